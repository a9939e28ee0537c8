"""Rows of the system's own tables, written for what serves a database: tokens and the like."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from reifydb.database.state import Row
from reifydb.database.transaction import Transaction
from reifydb.engine.catalog import Table

if TYPE_CHECKING:
    from reifydb.database.database import Database


def write_system(db: Database, table: Table, row: Row) -> None:
    """See `Database.write_system`."""
    _change(db, lambda: db._state.write_system(_table(db, table), row))


def delete_system(db: Database, table: Table, key: object) -> None:
    """See `Database.delete_system`."""
    _change(db, lambda: db._state.delete_system(_table(db, table), key))


def _change(db: Database, change: Callable[[], None]) -> None:
    with Transaction(db) as tx, db._turns.lock:
        tx._check()
        before, lsn = db._state.catalog, db._kernel.lsn_cell.value
        try:
            change()
            tx._commit()
        except BaseException:
            if db._kernel.lsn_cell.value == lsn:
                db._state.catalog = before
            raise


def _table(db: Database, table: Table) -> Table:
    known = db._state.catalog.handles.get(table.name)
    if known is None:
        table = replace(table, number=db._state.catalog.next_number)
        db._state.create_table(table)
    return table if known is None else known.table
