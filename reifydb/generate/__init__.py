"""Source text for guests, made from a schema: one module per language."""

from reifydb.generate.c import generate_c
from reifydb.generate.zig import generate_zig

__all__ = ["generate_c", "generate_zig"]
