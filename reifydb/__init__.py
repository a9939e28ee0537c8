"""ReifyDB: a database for live application state.

An application's tables, and its transitions compiled to WebAssembly that run next to the data.
Importing this package loads none of its heavy dependencies; they come with the first use.

    import reifydb

    db = reifydb.open("bank.reify")

Every error is a `reifydb.ReifyDBError`; docs/errors.md lists them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from reifydb.config import ModuleLimits, Options
from reifydb.errors import *  # noqa: F403
from reifydb.errors import __all__ as _errors

if TYPE_CHECKING:
    from reifydb.client.changes import AsyncChanges
    from reifydb.client.database import AsyncDatabase, aconnect
    from reifydb.client.remote import RemoteChanges, RemoteDatabase, connect
    from reifydb.database.changes import Change, Changes, Delta, Snapshot
    from reifydb.database.database import Database
    from reifydb.database.modules import Module
    from reifydb.database.objects import Counter, Limiter, Ring, Sequence, Taken
    from reifydb.database.opening import open_database as open
    from reifydb.database.outcome import Outcome
    from reifydb.database.outcomes import Outcomes
    from reifydb.database.positions import Position
    from reifydb.database.progress import Progress
    from reifydb.database.table_memory import TableMemory
    from reifydb.database.transaction import Transaction
    from reifydb.database.typed import AsyncCalls, Calls, TypedTable
    from reifydb.engine.json_values import JSON_NULL, Json

__version__ = "0.1.0.dev0"

__all__ = [
    "JSON_NULL",
    "AsyncChanges",
    "AsyncDatabase",
    "AsyncCalls",
    "Calls",
    "Change",
    "Changes",
    "Counter",
    "Database",
    "Delta",
    "Json",
    "Limiter",
    "Module",
    "ModuleLimits",
    "Options",
    "Outcome",
    "Outcomes",
    "Position",
    "Progress",
    "RemoteChanges",
    "RemoteDatabase",
    "Ring",
    "Sequence",
    "Snapshot",
    "TableMemory",
    "Taken",
    "Transaction",
    "TypedTable",
    "aconnect",
    "connect",
    "open",
    *_errors,
]

_LAZY = {
    "JSON_NULL": ("reifydb.engine.json_values", "JSON_NULL"),
    "Json": ("reifydb.engine.json_values", "Json"),
    "open": ("reifydb.database.opening", "open_database"),
    "connect": ("reifydb.client.remote", "connect"),
    "aconnect": ("reifydb.client.database", "aconnect"),
    "AsyncDatabase": ("reifydb.client.database", "AsyncDatabase"),
    "AsyncChanges": ("reifydb.client.changes", "AsyncChanges"),
    "RemoteDatabase": ("reifydb.client.remote", "RemoteDatabase"),
    "RemoteChanges": ("reifydb.client.remote", "RemoteChanges"),
    "Counter": ("reifydb.database.objects", "Counter"),
    "Limiter": ("reifydb.database.objects", "Limiter"),
    "Ring": ("reifydb.database.objects", "Ring"),
    "Sequence": ("reifydb.database.objects", "Sequence"),
    "Taken": ("reifydb.database.objects", "Taken"),
    "Database": ("reifydb.database.database", "Database"),
    "Module": ("reifydb.database.modules", "Module"),
    "Change": ("reifydb.database.changes", "Change"),
    "Changes": ("reifydb.database.changes", "Changes"),
    "Delta": ("reifydb.database.changes", "Delta"),
    "Snapshot": ("reifydb.database.changes", "Snapshot"),
    "Position": ("reifydb.database.positions", "Position"),
    "Progress": ("reifydb.database.progress", "Progress"),
    "Outcome": ("reifydb.database.outcome", "Outcome"),
    "Outcomes": ("reifydb.database.outcomes", "Outcomes"),
    "TableMemory": ("reifydb.database.table_memory", "TableMemory"),
    "Transaction": ("reifydb.database.transaction", "Transaction"),
    "AsyncCalls": ("reifydb.database.typed", "AsyncCalls"),
    "Calls": ("reifydb.database.typed", "Calls"),
    "TypedTable": ("reifydb.database.typed", "TypedTable"),
}


def __getattr__(name: str) -> object:
    if name not in _LAZY:
        raise AttributeError(f"module 'reifydb' has no attribute {name!r}")
    from importlib import import_module

    module, attribute = _LAZY[name]
    value = globals()[name] = getattr(import_module(module), attribute)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_LAZY})
