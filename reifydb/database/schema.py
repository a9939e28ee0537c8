"""Changes of the schema: each statement checked against what is there, then done in the kernel.

Inside one open transaction; `State.catalog` follows step by step, and whoever runs this puts it
back when the transaction does not commit.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import singledispatchmethod

from reifydb.config import columns_max
from reifydb.database.state import State
from reifydb.database.tables import TableHandle
from reifydb.database.views import Views
from reifydb.engine.catalog import Table
from reifydb.errors import LimitError, SchemaError, UnknownNameError
from reifydb.sql.create_table import index_of
from reifydb.sql.statements import (
    AddColumn,
    CreateIndex,
    CreateTable,
    CreateView,
    DropColumn,
    DropIndex,
    DropTable,
    DropView,
    RenameColumn,
    RenameTable,
    Statement,
)


@dataclass(frozen=True, slots=True)
class Bound:
    """What an installed module binds of a table: places of columns and numbers of indexes."""

    module: str
    table: int
    places: frozenset[int]
    indexes: frozenset[int]


class SchemaChange:
    """The statements of one transaction.

    Args:
        state: Where they are done.
        views: Those of the same database.
        bound: What the installed modules bind.
    """

    def __init__(self, state: State, views: Views, bound: Callable[[], Iterable[Bound]]) -> None:
        self._state, self._views, self._bound = state, views, bound

    def apply(self, statement: Statement) -> None:
        """Does one statement.

        Raises:
            SchemaError: It does not fit what is there.
            UnknownNameError: There is no table, column or index of a name.
            DuplicateKeyError, LimitError: The rows do not fit an index.
        """
        self._apply(statement)

    def names(self, statements: Iterable[Statement]) -> set[str]:
        """The tables and views that these statements change, or take away."""
        found = set()
        for statement in statements:
            match statement:
                case DropIndex(name=name):
                    table = self._state.catalog.table_of_index(name)
                    found |= set() if table is None else {table.name}
                case DropView(name=name):
                    found.add(name)
                case (
                    DropTable(table=name)
                    | RenameTable(table=name)
                    | AddColumn(table=name)
                    | RenameColumn(table=name)
                    | DropColumn(table=name)
                ):
                    found.add(name)
        return found

    @singledispatchmethod
    def _apply(self, statement: object) -> None:
        raise TypeError(f"{statement!r} is no statement")

    # ------------------------------------------------------------------ tables

    @_apply.register
    def _create_table(self, statement: CreateTable) -> None:
        name = statement.table.name
        if name in self._state.catalog.handles:
            if not statement.if_not_exists:
                self._refuse_taken("table", name, hint="create table if not exists")
            return
        number = self._state.catalog.next_number
        self._state.create_table(replace(statement.table, number=number))

    @_apply.register
    def _drop_table(self, statement: DropTable) -> None:
        if statement.if_exists and statement.table not in self._state.catalog.handles:
            return
        table = self._table(statement.table)
        users = {b.module for b in self._bound() if b.table == table.number}
        self._refuse_used(f"table {table.name}", users, self._views.users(table.name))
        self._state.drop_table(table)

    @_apply.register
    def _rename_table(self, statement: RenameTable) -> None:
        table = self._table(statement.table)
        if statement.name in self._state.catalog.handles:
            self._refuse_taken("table", statement.name)
        used = self._views.users(table.name)
        self._refuse_used(f"table {table.name}", (), used, "renamed")
        self._state.describe(replace(table, name=statement.name))

    # ------------------------------------------------------------------ views

    @_apply.register
    def _create_view(self, statement: CreateView) -> None:
        if statement.name in self._state.catalog.handles:
            if not statement.if_not_exists:
                self._refuse_taken("table or view", statement.name)
            return
        self._views.create(statement)

    @_apply.register
    def _drop_view(self, statement: DropView) -> None:
        if statement.if_exists and statement.name not in self._state.catalog.handles:
            return
        view = self._views.find(statement.name)
        users = {b.module for b in self._bound() if b.table == view.number}
        self._refuse_used(f"view {view.name}", users, self._views.users(view.name))
        self._views.drop(view)

    # ------------------------------------------------------------------ columns

    @_apply.register
    def _add_column(self, statement: AddColumn) -> None:
        table, column = self._table(statement.table), statement.column
        if table.position(column.name) is not None:
            self._refuse_taken(f"column in table {table.name}:", column.name)
        if len(table.places) + len(table.dropped) >= columns_max:
            message = f"table {table.name} has too many columns, dropped ones included"
            raise LimitError(message, limit="columns_max", value=columns_max)
        self._state.alter_table(replace(table, columns=(*table.columns, column)))

    @_apply.register
    def _rename_column(self, statement: RenameColumn) -> None:
        table = self._table(statement.table)
        position = self._position(table, statement.column)
        if table.position(statement.name) is not None:
            self._refuse_taken(f"column in table {table.name}:", statement.name)
        used = self._views.users(table.name, statement.column)
        self._refuse_used(f"column {table.name}.{statement.column}", (), used, "renamed")
        columns = list(table.columns)
        columns[position] = replace(columns[position], name=statement.name)
        renamed = replace(table, columns=tuple(columns))
        if table.checks:
            from reifydb.sql.checks import renamed_checks  # loads the parser

            renamed = replace(renamed, checks=renamed_checks(table, renamed))
        # Names are not the kernel's, but subscribers must learn that these have changed.
        self._state.alter_table(renamed)

    @_apply.register
    def _drop_column(self, statement: DropColumn) -> None:
        table = self._table(statement.table)
        position = self._position(table, statement.column)
        place = table.places[position]
        problems = ["it is in the primary key"] if position in table.key else []
        problems += [f"index {i.name} has it" for i in table.indexes if position in i.columns]
        if table.checks:
            from reifydb.sql.checks import checks_of_column

            found = checks_of_column(table, statement.column)
            problems += [f"check {name} has it" for name in found]
        what = f"column {table.name}.{statement.column}"
        if problems:
            self._refuse(f"{what} cannot be dropped", problems)
        bound = self._bound()
        users = {b.module for b in bound if b.table == table.number and place in b.places}
        self._refuse_used(what, users, self._views.users(table.name, statement.column))
        self._state.alter_table(_without(table, position))

    # ------------------------------------------------------------------ indexes

    @_apply.register
    def _create_index(self, statement: CreateIndex) -> None:
        catalog = self._state.catalog
        if catalog.table_of_index(statement.name) is not None:
            if not statement.if_not_exists:
                self._refuse_taken("index", statement.name, hint="create index if not exists")
            return
        table = self._table(statement.table)
        for column in statement.columns:
            self._position(table, column)
        number = max((index.number for index in table.indexes), default=0) + 1
        index = index_of(table, statement, number)
        self._state.create_index(table, index)
        self._state.describe(replace(table, indexes=(*table.indexes, index)))

    @_apply.register
    def _drop_index(self, statement: DropIndex) -> None:
        table = self._state.catalog.table_of_index(statement.name)
        index = None if table is None else table.index(statement.name)
        if table is None or index is None:
            if statement.if_exists:
                return
            raise UnknownNameError("index", statement.name, self._state.catalog.index_names)
        bound = self._bound()
        users = {b.module for b in bound if b.table == table.number and index.number in b.indexes}
        used = self._views.index_users(table.number, index.number)
        self._refuse_used(f"index {index.name}", users, used)
        self._state.drop_index(table, index)
        left = tuple(other for other in table.indexes if other is not index)
        self._state.describe(replace(table, indexes=left))

    # ------------------------------------------------------------------ names, refusals

    def _table(self, name: str) -> Table:
        handle: TableHandle = self._state.catalog.writable(name)
        return handle.table

    @staticmethod
    def _position(table: Table, column: str) -> int:
        position = table.position(column)
        if position is None:
            names = [c.name for c in table.columns]
            raise UnknownNameError(f"column in table {table.name}:", column, names)
        return position

    @staticmethod
    def _refuse_taken(kind: str, name: str, *, hint: str = "") -> None:
        raise SchemaError(f"there is a {kind} {name} already", hint=hint)

    @staticmethod
    def _refuse(message: str, problems: Iterable[str]) -> None:
        raise SchemaError(message + ":" + "".join(f"\n- {problem}" for problem in problems))

    def _refuse_used(
        self, what: str, modules: Iterable[str], views: Iterable[str], how: str = "dropped"
    ) -> None:
        users = [f"module {module} binds it" for module in sorted(modules)]
        users += [f"view {view} is made of it" for view in sorted(views)]
        if users:
            self._refuse(f"{what} cannot be {how}", users)


def _without(table: Table, position: int) -> Table:
    """The table without a column: it stays in stored rows, and is null in new ones."""

    def moved(positions: tuple[int, ...]) -> tuple[int, ...]:
        return tuple(i - (i > position) for i in positions)

    gone = (table.places[position], table.columns[position].code)
    return replace(
        table,
        columns=(*table.columns[:position], *table.columns[position + 1 :]),
        key=moved(table.key),
        auto=None if table.auto is None else table.auto - (table.auto > position),
        indexes=tuple(replace(i, columns=moved(i.columns)) for i in table.indexes),
        dropped=tuple(sorted((*table.dropped, gone))),
    )
