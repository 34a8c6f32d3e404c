"""Tables in, ids and numbers out."""
