"""Changes of the schema: each statement checked against what is there, then done in the kernel.

Inside one open transaction; `State.catalog` follows step by step, and whoever runs this puts it
back when the transaction does not commit.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import singledispatchmethod

from reifydb.config import columns_max, foreign_keys_max
from reifydb.database import foreign_keys
from reifydb.database.state import State
from reifydb.database.tables import TableHandle
from reifydb.database.transition_numbers import number_transitions
from reifydb.database.views import Views
from reifydb.engine.catalog import Index, Table, with_article
from reifydb.errors import LimitError, SchemaError, UnknownNameError
from reifydb.primitives import operations_of
from reifydb.sql.create_table import index_of
from reifydb.sql.statements import (
    AddColumn,
    AddForeignKey,
    CreateIndex,
    CreateTable,
    CreateView,
    DropColumn,
    DropConstraint,
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
        name, word = statement.table.name, statement.table.word
        if self._state.catalog.is_taken(name):
            if not statement.if_not_exists:
                self._refuse_taken(
                    "relation" if word != "table" else word,
                    name,
                    hint=f"create {word} if not exists",
                )
            return
        create_table(self._state, statement.table)

    @_apply.register
    def _drop_table(self, statement: DropTable) -> None:
        if statement.if_exists and not self._state.catalog.is_taken(statement.table):
            return
        table = self._state.catalog.changeable(statement.table).table
        if table.word != statement.word:
            raise SchemaError(
                f"{table.name} is {with_article(table.word)}",
                hint=f"drop {table.word} {table.name}",
            )
        users = {b.module for b in self._bound() if b.table == table.number}
        keys = foreign_keys.users_of_table(table, self._state.catalog)
        used = self._views.users(table.name)
        self._refuse_used(f"{table.word} {table.name}", users, used, more=keys)
        self._state.drop_table(table)

    @_apply.register
    def _rename_table(self, statement: RenameTable) -> None:
        table = self._table(statement.table)
        if self._state.catalog.is_taken(statement.name):
            self._refuse_taken("table", statement.name)
        used = self._views.users(table.name)
        self._refuse_used(f"table {table.name}", (), used, "renamed")
        changed = foreign_keys.renamed(table, self._state.catalog, name=statement.name)
        for other in changed:
            if other.number == table.number:
                table = other
            else:
                self._state.describe(other)
        self._state.describe(replace(table, name=statement.name))

    # ------------------------------------------------------------------ views

    @_apply.register
    def _create_view(self, statement: CreateView) -> None:
        if self._state.catalog.is_taken(statement.name):
            if not statement.if_not_exists:
                self._refuse_taken("table or view", statement.name)
            return
        self._views.create(statement)

    @_apply.register
    def _drop_view(self, statement: DropView) -> None:
        if statement.if_exists and not self._state.catalog.is_taken(statement.name):
            return
        parameterised = self._state.catalog.parameterised.get(statement.name)
        if parameterised is not None and not statement.assertion:
            self._refuse_used(f"view {statement.name}", (), self._views.users(statement.name))
            self._state.drop_view(parameterised)
            return
        view = self._views.find(statement.name, "assertion" if statement.assertion else "view")
        assert view.view is not None
        word = "assertion" if view.view.assertion else "view"
        if statement.assertion != view.view.assertion:
            raise SchemaError(
                f"{view.name} is {with_article(word)}", hint=f"drop {word} {view.name}"
            )
        users = {b.module for b in self._bound() if b.table == view.number}
        self._refuse_used(f"{word} {view.name}", users, self._views.users(view.name))
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
        both = (statement.column, statement.name)
        for other in foreign_keys.renamed(table, self._state.catalog, column=both):
            if other.number == table.number:
                table = other
            else:
                self._state.describe(other)
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
        problems += foreign_keys.users_of_column(table, position, self._state.catalog)
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
        keys = foreign_keys.users_of_index(table, index.number, self._state.catalog)
        self._refuse_used(f"index {index.name}", users, used, more=keys)
        self._state.drop_index(table, index)
        left = tuple(other for other in table.indexes if other is not index)
        self._state.describe(replace(table, indexes=left))

    # ------------------------------------------------------------------ constraints

    @_apply.register
    def _add_foreign_key(self, statement: AddForeignKey) -> None:
        from reifydb.sql.foreign_keys import key_of

        table, text = self._table(statement.table), statement.key
        taken = {check.name for check in table.checks} | {k.name for k in table.foreign_keys}
        if text.name in taken:
            self._refuse_taken(f"constraint of table {table.name}:", str(text.name))
        if len(table.foreign_keys) == foreign_keys_max:
            message = f"table {table.name} has too many foreign keys"
            raise LimitError(message, limit="foreign_keys_max", value=foreign_keys_max)
        for column in text.columns:
            self._position(table, column)
        there = {index.number for index in table.indexes}
        one = key_of(table, text, taken)
        table = replace(table, foreign_keys=(*table.foreign_keys, one))
        table = foreign_keys.with_key(table, len(table.foreign_keys) - 1, self._state.catalog)
        for index in table.indexes:
            if index.number not in there:
                self._state.create_index(table, index)
        self._state.describe(table)
        self._state.define_foreign_keys(table)

    @_apply.register
    def _drop_constraint(self, statement: DropConstraint) -> None:
        table, name = self._table(statement.table), statement.name
        if any(check.name == name for check in table.checks):
            hint = "make a table without it, and copy the rows"
            raise SchemaError(f"{name} is a check: checks stay", hint=hint)
        left = tuple(one for one in table.foreign_keys if one.name != name)
        if len(left) == len(table.foreign_keys):
            if statement.if_exists:
                return
            known = [one.name for one in table.foreign_keys]
            raise UnknownNameError(f"constraint of table {table.name}:", name, known)
        table = replace(table, foreign_keys=left)
        self._state.describe(table)
        self._state.define_foreign_keys(table)
        for index in table.indexes:
            if index.implied:
                self._drop_implied(self._table(table.name), index)

    def _drop_implied(self, table: Table, index: Index) -> None:
        """An index that was made for a foreign key goes with it, unless somebody uses it by now:
        then it is one like others.
        """
        if any(foreign_keys.own_index(one, table) == index.number for one in table.foreign_keys):
            return
        bound = any(b.table == table.number and index.number in b.indexes for b in self._bound())
        if bound or self._views.index_users(table.number, index.number):
            left = tuple(replace(i, implied=False) if i is index else i for i in table.indexes)
        else:
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
        self,
        what: str,
        modules: Iterable[str],
        views: Iterable[str],
        how: str = "dropped",
        more: Iterable[str] = (),
    ) -> None:
        users = [f"module {module} binds it" for module in sorted(modules)]
        users += [f"view {view} is made of it" for view in sorted(views)]
        users += more
        if users:
            self._refuse(f"{what} cannot be {how}", users)


def create_table(state: State, table: Table) -> None:
    """Makes a table that is new, with the indexes that its foreign keys need.

    Raises:
        SchemaError: A foreign key does not fit what it references.
        UnknownNameError: There is no such table.
    """
    made = foreign_keys.resolved(table, state.catalog)
    made = replace(made, number=state.catalog.next_number)
    state.create_table(made)
    names = [operation.name for operation in operations_of(made)]
    if names:
        number_transitions(state, made.name, names)


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
        foreign_keys=tuple(replace(k, columns=moved(k.columns)) for k in table.foreign_keys),
        dropped=tuple(sorted((*table.dropped, gone))),
    )
