"""Draws changes of the schema, and knows the tables as they are at this point of the history."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace

from reifydb.engine.catalog import Index, Table
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
from tests.histories.changes import Refused, changed
from tests.histories.schemas import (
    random_column,
    random_default,
    random_index_columns,
    random_schema,
)
from tests.histories.table_writer import TableWriter


class SchemaWriter:
    """The tables as they are at this point of the history, and changes of them.

    A change that the rows refuse (a unique index, say) is not known to be here: what is drawn after
    it still means something, for names that are not there are errors that the oracle knows.
    """

    def __init__(self, rng: random.Random, tables: tuple[Table, ...]) -> None:
        self.rng, self.tables = rng, {table.name: table for table in tables}
        self._writers = {table.name: TableWriter(rng, table) for table in tables}
        self.given_names = 0
        self.gone: list[Statement] = []  # what would bring back what was dropped

    @property
    def writers(self) -> list[TableWriter]:
        """Who draws operations on each of the tables."""
        return list(self._writers.values())

    def change(self) -> tuple[Statement, ...]:
        """Draws a script, and goes on with the tables that it makes, if it makes any."""
        before, statements, gone = self.tables, [], []
        refused = False
        for _ in range(self.rng.choices((1, 2, 4), (70, 20, 10))[0]):
            statement = self._draw()
            statements.append(statement)
            gone += self._undoing(statement)
            try:
                self.tables = changed(self.tables, statement)
            except Refused:
                refused = True
        after, self.tables = self.tables, before
        if not refused:
            self.gone += gone
            self._adopt(statements, after)
        return tuple(statements)

    def _adopt(self, statements: Sequence[Statement], after: dict[str, Table]) -> None:
        writers = self._writers
        for statement in statements:
            if isinstance(statement, RenameTable):
                writers[statement.name] = writers.pop(statement.table)
            elif isinstance(statement, DropTable):
                del writers[statement.table]
            elif isinstance(statement, CreateTable):
                writers[statement.table.name] = TableWriter(self.rng, statement.table)
        for name, table in after.items():
            writers[name].adapt(table)
        self.tables = after

    def _undoing(self, statement: Statement) -> list[Statement]:
        """What would bring back what this statement drops."""
        match statement:
            case DropTable(name) if name in self.tables:
                return [CreateTable(self.tables[name])]
            case DropColumn(name, old) if name in self.tables:
                return [AddColumn(name, c) for c in self.tables[name].columns if c.name == old]
            case DropIndex(name):
                return [
                    CreateIndex(name, t.name, _names(t, index))
                    for t in self.tables.values()
                    if (index := t.index(name)) is not None
                ]
        return []

    def _draw(self) -> Statement:
        rng = self.rng
        table = rng.choice(list(self.tables.values()))
        few = len(self.tables) < 2
        kinds = {
            self._create_index: 26,
            self._drop_index: 12,
            self._add_column: 18,
            self._drop_column: 16,
            self._rename_column: 8,
            self._bring_back: 14 if self.gone else 0,
            self._create_table: 4,
        }
        if rng.random() < 0.04:
            return RenameTable(table.name, self._name("u"))
        if rng.random() < 0.08 and not few:
            return DropTable(table.name)
        if rng.random() < 0.04:
            table = replace(table, name="nosuch")
        statement: Statement = rng.choices(list(kinds), list(kinds.values()))[0](table)
        return statement

    def _create_index(self, table: Table) -> Statement:
        unique = self.rng.random() < 0.4
        if table.indexes and self.rng.random() < 0.05:
            index = self.rng.choice(table.indexes)  # once more, under the same name
            return CreateIndex(index.name, table.name, _names(table, index), unique)
        names = tuple(table.columns[i].name for i in random_index_columns(self.rng, table))
        return CreateIndex(self._name("i"), table.name, names, unique)

    def _drop_index(self, table: Table) -> Statement:
        return DropIndex(self._some_index())

    def _some_index(self) -> str:
        names = [index.name for table in self.tables.values() for index in table.indexes]
        return self.rng.choice(names) if names and self.rng.random() < 0.95 else "nosuch"

    def _add_column(self, table: Table) -> Statement:
        if self.rng.random() < 0.05:
            return AddColumn(table.name, self.rng.choice(table.columns))
        column = random_column(self.rng, self._name("a"))
        column = replace(column, default=random_default(self.rng, column, chance=0.7))
        if column.default is None and self.rng.random() < 0.9:
            # Otherwise it needs a table without rows, and all that follows would miss it.
            column = replace(column, nullable=True)
        return AddColumn(table.name, column)

    def _drop_column(self, table: Table) -> Statement:
        bound = {*table.key, *(i for index in table.indexes for i in index.columns)}
        free = [c.name for i, c in enumerate(table.columns) if i not in bound]
        if free and self.rng.random() < 0.8:
            return DropColumn(table.name, self.rng.choice(free))
        return DropColumn(table.name, self.rng.choice([*(c.name for c in table.columns), "nosuch"]))

    def _rename_column(self, table: Table) -> Statement:
        old = self.rng.choice(table.columns).name
        return RenameColumn(table.name, old, self._name("r") if self.rng.random() < 0.95 else old)

    def _create_table(self, table: Table) -> Statement:
        made = random_schema(self.rng)[0]
        indexes = tuple(replace(index, name=self._name("i")) for index in made.indexes)
        return CreateTable(replace(made, name=self._name("t"), indexes=indexes))

    def _bring_back(self, table: Table) -> Statement:
        """Something under the name of what was dropped, and much like it."""
        missing = [statement for statement in self.gone if self._fits(statement)]
        tables = [statement for statement in missing if isinstance(statement, CreateTable)]
        statement = self.rng.choice(
            tables if tables and self.rng.random() < 0.5 else missing or self.gone
        )
        if isinstance(statement, AddColumn):
            column = replace(
                statement.column, default=random_default(self.rng, statement.column, chance=0.7)
            )
            return replace(statement, column=column)
        if isinstance(statement, CreateIndex):
            return replace(statement, unique=self.rng.random() < 0.5)
        return statement

    def _fits(self, statement: Statement) -> bool:
        try:
            changed(self.tables, statement)
        except Refused:
            return False
        return True

    def _name(self, kind: str) -> str:
        self.given_names += 1
        return f"{kind}_{self.given_names}"


def _names(table: Table, index: Index) -> tuple[str, ...]:
    return tuple(table.columns[i].name for i in index.columns)
