"""Tables and models looked at before and after training: what is wrong, what changed, what to label next."""
