"""Functions in Python."""
