"""Primitives against models of a few lines, in random histories."""
