"""From tables to a trained model."""
