"""Other forms of a trained model, each checked against it."""
