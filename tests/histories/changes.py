"""Changes of the schema in a history: what each makes of the tables, written down a second time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from reifydb.engine.catalog import Column, Index, Table
from reifydb.sql import literals
from reifydb.sql.create_table import render_create_table
from reifydb.sql.render import quoted
from reifydb.sql.statements import (
    AddColumn,
    CreateIndex,
    CreateTable,
    DropColumn,
    DropIndex,
    DropTable,
    RenameColumn,
    RenameTable,
    Statement,
)

Tables = dict[str, Table]


class Refused(Exception):
    """What must be raised: the code of a ReifyDB error, and what its text must name."""

    def __init__(self, code: str, names: str = "") -> None:
        super().__init__(f"{code} {names}".rstrip())
        self.code, self.names = code, names


def changed(tables: Mapping[str, Table], change: Statement) -> Tables:
    """The tables after a change.

    Raises:
        Refused: It does not fit them. What rows may have against it is not known here.
    """
    after = dict(tables)
    match change:
        case CreateTable(table):
            _free(tables, table.name)
            if any(other.index(i.name) for other in tables.values() for i in table.indexes):
                raise Refused("schema")
            after[table.name] = table
        case DropTable(name):
            _table(tables, name)
            del after[name]
        case RenameTable(old, new):
            table = _table(tables, old)
            _free(tables, new)
            after = {new if name == old else name: t for name, t in tables.items()}
            after[new] = replace(table, name=new)
        case AddColumn(name, column):
            table = _table(tables, name)
            if table.position(column.name) is not None:
                raise Refused("schema")
            after[name] = replace(table, columns=(*table.columns, column))
        case RenameColumn(name, old, new):
            table = _table(tables, name)
            position = _position(table, old)
            if table.position(new) is not None:
                raise Refused("schema")
            columns = list(table.columns)
            columns[position] = replace(columns[position], name=new)
            after[name] = replace(table, columns=tuple(columns))
        case DropColumn(name, old):
            table = _table(tables, name)
            position = _position(table, old)
            indexed = any(position in index.columns for index in table.indexes)
            if position in table.key or indexed:
                raise Refused("schema")
            after[name] = _without(table, position)
        case CreateIndex(name, of, columns, unique):
            if any(table.index(name) for table in tables.values()):
                raise Refused("schema")
            table = _table(tables, of)
            index = Index(name, tuple(_position(table, column) for column in columns), unique)
            after[of] = replace(table, indexes=(*table.indexes, index))
        case DropIndex(name):
            found = [table for table in tables.values() if table.index(name)]
            if not found:
                raise Refused("unknown_name")
            left = tuple(index for index in found[0].indexes if index.name != name)
            after[found[0].name] = replace(found[0], indexes=left)
    return after


def _table(tables: Mapping[str, Table], name: str) -> Table:
    if name not in tables:
        raise Refused("unknown_name")
    return tables[name]


def _free(tables: Mapping[str, Table], name: str) -> None:
    if name in tables:
        raise Refused("schema")


def _position(table: Table, column: str) -> int:
    position = table.position(column)
    if position is None:
        raise Refused("unknown_name")
    return position


def _without(table: Table, gone: int) -> Table:
    def moved(positions: tuple[int, ...]) -> tuple[int, ...]:
        return tuple(i - (i > gone) for i in positions)

    return replace(
        table,
        columns=tuple(column for i, column in enumerate(table.columns) if i != gone),
        key=moved(table.key),
        auto=None if table.auto is None else moved((table.auto,))[0],
        indexes=tuple(replace(index, columns=moved(index.columns)) for index in table.indexes),
    )


def sql_of(change: Statement) -> str:
    """The statement in SQL."""
    match change:
        case CreateTable(table):
            return render_create_table(table)
        case DropTable(name):
            return f"drop table {quoted(name)}"
        case RenameTable(old, new):
            return f"alter table {quoted(old)} rename to {quoted(new)}"
        case AddColumn(name, column):
            return f"alter table {quoted(name)} add column {_column(column)}"
        case RenameColumn(name, old, new):
            return f"alter table {quoted(name)} rename column {quoted(old)} to {quoted(new)}"
        case DropColumn(name, old):
            return f"alter table {quoted(name)} drop column {quoted(old)}"
        case CreateIndex(name, of, columns, unique):
            listed = ", ".join(map(quoted, columns))
            kind = "unique index" if unique else "index"
            return f"create {kind} {quoted(name)} on {quoted(of)} ({listed})"
        case DropIndex(name):
            return f"drop index {quoted(name)}"
    raise AssertionError(change)


def _column(column: Column) -> str:
    null = "" if column.nullable else " not null"
    default = "" if column.default is None else f" default {literals.sql(column, column.default)}"
    return f"{quoted(column.name)} {column.sql_type}{null}{default}"
