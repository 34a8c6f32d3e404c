"""What computes predictions, without Keras, TensorFlow or pandas."""
