"""The classifier: its network and its folder."""
