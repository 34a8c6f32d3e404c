"""The languages that clients speak: one module each, from a parsed request to texts, and from predictions to an answer."""
