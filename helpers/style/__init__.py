"""A photograph in the lines of another picture (notebook 10)."""
