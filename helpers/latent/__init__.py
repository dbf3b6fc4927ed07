"""Autoencoders, the space of their vectors, and scores of what is painted from it (notebook 09)."""
