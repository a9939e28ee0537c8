"""Source text for guests, made from a schema: one module per language."""

from reifydb.generate.zig import generate_zig

__all__ = ["generate_zig"]
