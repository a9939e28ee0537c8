"""Databases that a history can be run on."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import reifydb
from reifydb.engine.catalog import Table
from tests.histories.twin import Twin

OPTIONS = reifydb.Options(
    outbox_commits_max=8,
    outbox_bytes_max=50_000,
    delta_retention_commits_max=20,
    reserve_bytes=4096,
)
"""Small outboxes, so that subscribers overflow them."""


class TwinSubject:
    """The twin, or one that is broken on purpose. It keeps nothing, and is told of reopening."""

    def __init__(self, make: Callable[[Sequence[Table]], Twin] = Twin) -> None:
        self.make = make

    def open(self, tables: Sequence[Table]) -> Any:
        return self.make(tables)

    def reopen(self, db: Any) -> Any:
        db.reopened()
        return db

    def close(self, db: Any) -> None:
        db.close()


class MemorySubject:
    """ReifyDB in memory."""

    def open(self, tables: Sequence[Table]) -> Any:
        return _create(reifydb.open(":memory:", options=OPTIONS), tables)

    def reopen(self, db: Any) -> Any:
        return db

    def close(self, db: Any) -> None:
        db.close()


class FolderSubject:
    """ReifyDB in a folder, which is removed at the end."""

    def __init__(self) -> None:
        self.folders: dict[int, tempfile.TemporaryDirectory[str]] = {}

    def open(self, tables: Sequence[Table]) -> Any:
        folder = tempfile.TemporaryDirectory(prefix="history-")
        db = _create(reifydb.open(str(Path(folder.name) / "db.reify"), options=OPTIONS), tables)
        self.folders[id(db)] = folder
        return db

    def reopen(self, db: Any) -> Any:
        folder = self.folders.pop(id(db))
        db.close()
        again = reifydb.open(str(Path(folder.name) / "db.reify"), options=OPTIONS)
        self.folders[id(again)] = folder
        return again

    def close(self, db: Any) -> None:
        db.close()
        folder = self.folders.pop(id(db), None)  # None when reopening failed
        if folder is not None:
            folder.cleanup()


def _create(db: Any, tables: Sequence[Table]) -> Any:
    from reifydb.sql.create_table import render_create_table

    for table in tables:
        db.execute(render_create_table(table))
    return db
