"""Source text made from a schema: one module per language."""

from reifydb.generate.c import generate_c
from reifydb.generate.python import generate_python
from reifydb.generate.typescript import generate_typescript
from reifydb.generate.zig import generate_zig

__all__ = ["generate_c", "generate_python", "generate_typescript", "generate_zig"]
