"""How good a model is: metrics, significance, plots, the card."""
