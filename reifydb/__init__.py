"""ReifyDB: a database for live application state.

An application's tables, and its transitions compiled to WebAssembly that run next to the data.
Importing this package loads none of its heavy dependencies; they come with the first use.
"""

from __future__ import annotations

__version__ = "0.1.0.dev0"
