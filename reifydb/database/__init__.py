"""The embedded database. `open_database` is `reifydb.open`.

Clients of a served database use some modules of this package, too: it loads the engine, and
wasmtime with it, only for whoever asks for a database.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from reifydb.database.database import Database
    from reifydb.database.opening import open_database

MEMORY = ":memory:"
"""The path of a database that keeps nothing."""

__all__ = ["MEMORY", "Database", "open_database"]


def __getattr__(name: str) -> object:
    if name == "Database":
        from reifydb.database.database import Database

        return Database
    if name == "open_database":
        from reifydb.database.opening import open_database

        return open_database
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
