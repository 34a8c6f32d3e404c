"""What answers, without Keras, TensorFlow or pandas."""
