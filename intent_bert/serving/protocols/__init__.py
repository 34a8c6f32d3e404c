"""The protocols that clients speak, one module each: from a request to texts, from predictions to an answer."""
