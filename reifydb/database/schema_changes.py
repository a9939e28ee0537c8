"""What changes a database besides calls: statements of SQL, and modules. Each one transaction."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from reifydb.config import ModuleLimits
from reifydb.database.modules import Module
from reifydb.database.progress import Listener
from reifydb.database.rows import Values
from reifydb.database.schema import SchemaChange
from reifydb.database.schema_plan import SchemaPlan, planned
from reifydb.database.transaction import Transaction
from reifydb.errors import ModuleError, RequestError

if TYPE_CHECKING:
    from reifydb.database.database import Database
    from reifydb.database.plans import Plan

Source = str | os.PathLike[str] | bytes
"""A module: the path of a wasm binary, or the binary itself."""


def execute(db: Database, sql: str, params: Values | None, progress: Listener | None) -> int:
    """See `Database.execute`."""
    from reifydb.database.row_changes import is_change

    if isinstance(sql, str) and is_change(sql):
        with Transaction(db) as tx:
            return tx.execute(sql, params)
    if params:
        raise RequestError("a change of the schema has no parameters")
    from reifydb.sql import parse_statements

    statements = parse_statements(sql)
    with db._schema_turn.changing(), Transaction(db) as tx, db._turns.lock:
        tx._check()
        before, lsn = db._state.catalog, db._kernel.lsn_cell.value
        change = SchemaChange(db._state, db._views, db._registry.bound)
        db._subscriptions.before_schema(change.names(statements))
        try:
            with db._state.reporter.told(progress):
                for statement in statements:
                    change.apply(statement)
            db._registry.follow_schema()
            tx._commit()
        except BaseException:
            if db._kernel.lsn_cell.value == lsn:  # Ctrl-C may come after the commit
                db._state.catalog = before
                db._registry.follow_schema()
            raise
        finally:
            db._subscriptions.follow_schema(db._state.catalog)
    return 0


def plan_execute(db: Database, sql: str) -> SchemaPlan:
    """See `Database.plan_schema`."""
    from reifydb.sql import parse_statements

    statements = parse_statements(sql)
    with db._schema_turn.kept(), Transaction(db) as tx, db._turns.lock:
        tx._check()
        before, views = db._state.catalog, dict(db._state.made_views)
        try:
            change = SchemaChange(db._state, db._views, db._registry.bound)
            return planned(db._state, change, statements)
        finally:
            db._state.catalog, db._state.made_views = before, views
            tx._rollback()  # in this turn, however long it took


def install(
    db: Database, source: Source, name: str | None, limits: ModuleLimits, *, with_schema: bool
) -> Module:
    """See `Database.install`."""
    wasm = _read_module(source)
    compiled = db._workshop.compiled(wasm, limits, name)
    with db._schema_turn.changing(), Transaction(db) as tx, db._turns.lock:
        tx._check()
        module = db._registry.install(compiled, wasm, limits, with_schema=with_schema)
        tx._commit()
        db._registry.renew_store()
    return module


def plan_install(
    db: Database, source: Source, name: str | None, limits: ModuleLimits, *, with_schema: bool
) -> Plan:
    """See `Database.plan`."""
    from reifydb.database.plans import plan

    compiled = db._workshop.compiled(_read_module(source), limits, name)
    db._turns.prepare()
    with db._turns.lock:
        db._turns.settle()
        db._check_open()
        old = db._registry.installed.get(compiled.name)
        module = None if old is None else old.module
        return plan(compiled, db._state.catalog, module, schema=with_schema)


def remove(db: Database, module: str) -> None:
    """See `Database.remove`."""
    with db._schema_turn.changing(), Transaction(db) as tx, db._turns.lock:
        tx._check()
        db._registry.remove(module)
        tx._commit()
        db._registry.renew_store()


def _read_module(source: Source) -> bytes:
    if isinstance(source, bytes | bytearray | memoryview):
        return bytes(source)
    try:
        with open(source, "rb") as file:
            return file.read()
    except (OSError, TypeError, ValueError) as error:
        raise ModuleError(f"the module cannot be read: {error}") from None
