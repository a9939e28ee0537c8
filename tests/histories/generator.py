"""Histories: a schema, and transactions drawn for it. The same seed gives the same history.

A history is data that knows nothing of who runs it: any transaction, operation or change of the
schema may be dropped and the rest still means something. That is what makes a failing one shrink.
So names are not used twice for different things: a table, column or index that was dropped may come
back under its name, but with the same key, types and columns. Whoever names it before or after gets
the same rows, the same error, or the error that there is no such name, and the oracle knows which.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from reifydb.engine.catalog import Column, Index, Table, Type
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
from tests.histories.changes import Refused, changed, sql_of
from tests.histories.drawing import INT_MAX, INT_MIN, draw, draw_wrong, too_long
from tests.histories.schemas import (
    random_column,
    random_default,
    random_index_columns,
    random_schema,
)

MANY = {"insert_many": "insert", "update_many": "update", "upsert_many": "upsert"}


@dataclass(frozen=True, slots=True)
class Operation:
    """One method of a transaction (or of the database: reads alone) and what it is given.

    Attributes:
        flaw: The error code that must come out, whatever the state is; empty for a sound one.
    """

    method: str
    table: str
    arguments: tuple[Any, ...] = ()
    options: tuple[tuple[str, Any], ...] = ()
    flaw: str = ""

    def __str__(self) -> str:
        given = [repr(self.table), *map(repr, self.arguments)]
        given += [f"{name}={value!r}" for name, value in self.options]
        return f"{self.method}({', '.join(given)})"


@dataclass(frozen=True, slots=True)
class Transaction:
    """Operations that commit or abort together. `outside`: reads without a transaction."""

    operations: tuple[Operation, ...]
    abort: bool = False
    outside: bool = False

    def __str__(self) -> str:
        if self.outside:
            return "\n".join(f"db.{operation}" for operation in self.operations)
        lines = ["with db.transaction() as tx:"]
        lines += [f"    tx.{operation}" for operation in self.operations]
        return "\n".join([*lines, "    raise Abort"] if self.abort else lines)


@dataclass(frozen=True, slots=True)
class Change:
    """Changes of the schema in a transaction of their own, which may have to be refused."""

    statements: tuple[Statement, ...]

    @property
    def operations(self) -> tuple[Operation, ...]:
        """None: for those who count them."""
        return ()

    def __str__(self) -> str:
        return f"db.execute({self.sql!r})"

    @property
    def sql(self) -> str:
        """The script."""
        return "; ".join(map(sql_of, self.statements))


Step = Transaction | Change


@dataclass(frozen=True, slots=True)
class History:
    """What happens to one database, from its creation on."""

    seed: int
    tables: tuple[Table, ...]
    transactions: tuple[Step, ...]

    @property
    def operations(self) -> int:
        """How many operations there are, those on many rows counted once."""
        return sum(len(t.operations) for t in self.transactions)

    def __str__(self) -> str:
        head = [f"# seed {self.seed}", *map(describe, self.tables)]
        return "\n".join([*head, *map(str, self.transactions)])


def describe(table: Table) -> str:
    """A table on one line, for people."""
    columns = [
        f"{column.name} {column.sql_type}"
        + ("" if column.nullable else " not null")
        + ("" if column.default is None else f" default {column.default!r}")
        + (" auto_increment" if i == table.auto else "")
        for i, column in enumerate(table.columns)
    ]
    keys = ", ".join(column.name for column in table.key_columns)
    indexes = [
        f"{'unique ' if index.unique else ''}{index.name}"
        f" ({', '.join(table.columns[i].name for i in index.columns)})"
        for index in table.indexes
    ]
    listed = "; ".join(["", *indexes])
    return f"# {table.name} ({', '.join(columns)}, primary key ({keys})){listed}"


def generate(
    seed: int, operations: int, tables: tuple[Table, ...] | None = None, *, changes: bool = True
) -> History:
    """A history of about so many operations. O(operations), some 20 µs each.

    Args:
        changes: With changes of the schema in between.
    """
    rng = random.Random(seed)
    schema = tables if tables is not None else random_schema(rng)
    schemas = _Schemas(rng, schema)
    transactions: list[Step] = []
    done = 0
    while done < operations:
        if changes and rng.random() < 0.05:
            transactions.append(Change(schemas.change()))
            continue
        transaction = _transaction(rng, list(schemas.writers.values()))
        done += len(transaction.operations)
        transactions.append(transaction)
    return History(seed, schema, tuple(transactions))


def _transaction(rng: random.Random, writers: list[_Writer]) -> Transaction:
    count = rng.choices((1, rng.randint(2, 12), rng.randint(20, 60)), (25, 70, 5))[0]
    if rng.random() < 0.1:
        return Transaction(tuple(rng.choice(writers).read() for _ in range(count)), outside=True)
    operations = tuple(rng.choice(writers).operation() for _ in range(count))
    return Transaction(operations, abort=rng.random() < 0.2)


class _Schemas:
    """The tables as they are at this point of the history, and changes of them.

    A change that the rows refuse (a unique index, say) is not known to be here: what is drawn after
    it still means something, for names that are not there are errors that the oracle knows.
    """

    def __init__(self, rng: random.Random, tables: tuple[Table, ...]) -> None:
        self.rng, self.tables = rng, {table.name: table for table in tables}
        self.writers = {table.name: _Writer(rng, table) for table in tables}
        self.given_names = 0
        self.gone: list[Statement] = []  # what would bring back what was dropped

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
        writers = self.writers
        for statement in statements:
            if isinstance(statement, RenameTable):
                writers[statement.name] = writers.pop(statement.table)
            elif isinstance(statement, DropTable):
                del writers[statement.table]
            elif isinstance(statement, CreateTable):
                writers[statement.table.name] = _Writer(self.rng, statement.table)
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
                    CreateIndex(name, t.name, tuple(t.columns[i].name for i in index.columns))
                    for t in self.tables.values()
                    if (index := t.index(name)) is not None
                ]
        return []

    def _draw(self) -> Statement:
        rng = self.rng
        table = rng.choice(list(self.tables.values()))
        few = len(self.tables) < 2
        kinds = {
            self._create_index: 30,
            self._drop_index: 12,
            self._add_column: 14,
            self._drop_column: 14,
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
        names = tuple(table.columns[i].name for i in random_index_columns(self.rng, table))
        name = self._name("i") if self.rng.random() < 0.95 else self._some_index()
        return CreateIndex(name, table.name, names, self.rng.random() < 0.4)

    def _drop_index(self, table: Table) -> Statement:
        return DropIndex(self._some_index())

    def _some_index(self) -> str:
        names = [index.name for table in self.tables.values() for index in table.indexes]
        return self.rng.choice(names) if names and self.rng.random() < 0.95 else "nosuch"

    def _add_column(self, table: Table) -> Statement:
        if self.rng.random() < 0.05:
            return AddColumn(table.name, self.rng.choice(table.columns))
        column = random_column(self.rng, self._name("a"))
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
        old, other = self.rng.choice(table.columns).name, self.rng.choice(table.columns).name
        return RenameColumn(table.name, old, self._name("r") if self.rng.random() < 0.95 else other)

    def _create_table(self, table: Table) -> Statement:
        made = random_schema(self.rng)[0]
        indexes = tuple(replace(index, name=self._name("i")) for index in made.indexes)
        return CreateTable(replace(made, name=self._name("t"), indexes=indexes))

    def _bring_back(self, table: Table) -> Statement:
        """Something under the name of what was dropped, and much like it."""
        statement = self.rng.choice(self.gone)
        if isinstance(statement, AddColumn):
            column = replace(statement.column, default=random_default(self.rng, statement.column))
            return replace(statement, column=column)
        if isinstance(statement, CreateIndex):
            return replace(statement, unique=self.rng.random() < 0.5)
        return statement

    def _name(self, kind: str) -> str:
        self.given_names += 1
        return f"{kind}_{self.given_names}"


class _Writer:
    """Draws operations on one table. Keys come from a small pool, so that they meet again."""

    def __init__(self, rng: random.Random, table: Table) -> None:
        self.rng = rng
        self.adapt(table)
        self.given_out = 0
        self.exhausts = rng.random() < 0.1
        self.likely: dict[str, tuple[object, ...]] = {}
        self.given: dict[str, list[object]] = {}
        self.pool = [self._fresh() for _ in range(rng.choice((3, 12, 60, 250)))]
        self.calls = {
            self._write: 40,
            self._write_many: 8,
            self._delete: 12,
            self._delete_many: 3,
            self._get: 18,
            self._scan: 14,
            self._count: 5,
        }
        self.reads = {self._get: 5, self._scan: 4, self._count: 1}

    def adapt(self, table: Table) -> None:
        """The table has other columns or indexes, or another name. Its keys are what they were."""
        self.table = table
        self.others = [c for i, c in enumerate(table.columns) if i not in table.key]
        self.indexed = {table.columns[i].name for index in table.indexes for i in index.columns}
        self.unique = {
            table.columns[i].name for index in table.indexes if index.unique for i in index.columns
        }

    def operation(self) -> Operation:
        return self._draw(self.calls)

    def read(self) -> Operation:
        return self._draw(self.reads)

    def _draw(self, calls: dict[Any, int]) -> Operation:
        if self.rng.random() < 0.003:
            return Operation("count", self.table.name + "x", flaw="unknown_name")
        operation: Operation = self.rng.choices(list(calls), list(calls.values()))[0]()
        return operation

    # ------------------------------------------------------------------ keys

    def _fresh(self) -> tuple[object, ...]:
        return tuple(
            self._auto_value()
            if position == self.table.auto
            else draw(self.rng, self.table.columns[position], for_key=True)
            for position in self.table.key
        )

    def _auto_value(self) -> int:
        chance = self.rng.random()
        if chance < 0.02:
            return INT_MAX if self.exhausts else INT_MIN
        if chance < 0.1:
            return self.rng.randint(-3, 3)
        return self.rng.randint(max(1, self.given_out - 60), self.given_out + 3)

    def _key(self, *, there: bool = False) -> tuple[object, ...]:
        if there and self.likely and self.rng.random() < 0.8:
            return self.rng.choice(list(self.likely.values()))
        if self.table.auto is not None and self.rng.random() < 0.5:
            return self._fresh()
        if self.rng.random() < 0.06:
            self.pool[self.rng.randrange(len(self.pool))] = self._fresh()
        return self.rng.choice(self.pool)

    @staticmethod
    def _bare(key: tuple[object, ...]) -> object:
        return key[0] if len(key) == 1 else key

    # ------------------------------------------------------------------ writing

    def _row(self, method: str) -> dict[str, object]:
        rng, table = self.rng, self.table
        row: dict[str, object] = {}
        key = self._key(there=method == "update")
        if method == "insert" and repr(key) in self.likely and rng.random() < 0.7:
            key = self._fresh()
        for position, value in zip(table.key, key, strict=True):
            row[table.columns[position].name] = value
        if method != "update":
            self.likely[repr(key)] = key
        if table.auto is not None and method != "update" and rng.random() < 0.7:
            name = table.columns[table.auto].name
            self.given_out += 1
            if rng.random() < 0.5:
                row[name] = None
            else:
                del row[name]
        left_out = rng.choice((0.0, 0.2, 0.7))
        for column in self.others:
            # A column that must have a value is left out or null rarely: one such row fails all.
            needed = not column.nullable and column.default is None
            if rng.random() < (left_out if method == "update" or not needed else 0.01):
                continue
            if rng.random() < (0.2 if column.nullable else 0.01):
                row[column.name] = None
            else:
                row[column.name] = self._value(column, again=0.5 if method == "update" else 0.15)
        if rng.random() < 0.2:
            items = list(row.items())
            rng.shuffle(items)
            row = dict(items)
        return row

    def _value(self, column: Column, *, again: float) -> object:
        """A value; in an indexed column often one of few, so that they meet.

        Args:
            again: How often in a unique index one that was given before.
        """
        rng = self.rng
        if column.name not in self.indexed:
            return draw(rng, column)
        given = self.given.setdefault(column.name, [])
        if given and column.name in self.unique and rng.random() < again:
            return rng.choice(given)
        if column.type in _TAILED and rng.random() < 0.01:
            return too_long(rng, column.type)
        value = draw(rng, column, for_key=rng.random() < 0.9)
        given.append(value)
        del given[:-12]
        return value

    def _write(self) -> Operation:
        method = self.rng.choices(("insert", "update", "upsert"), (4, 4, 2))[0]
        row = self._row(method)
        row, flaw = self._spoil(row, 0.03)
        return Operation(method, self.table.name, (row,), flaw=flaw)

    def _write_many(self) -> Operation:
        many = self.rng.choices(list(MANY), (4, 3, 3))[0]
        count = self.rng.randint(1, 8) if self.rng.random() < 0.95 else self.rng.randint(50, 200)
        rows = [self._row(MANY[many]) for _ in range(count)]
        flaw = ""
        if self.rng.random() < 0.05:
            i = self.rng.randrange(count)
            rows[i], flaw = self._spoil(rows[i], 1.0, many=True)
        return Operation(many, self.table.name, (rows,), flaw=flaw)

    def _spoil(
        self, row: dict[str, object], chance: float, *, many: bool = False
    ) -> tuple[dict[str, object], str]:
        """With some chance a row that is wrong in itself, and the error it must get."""
        rng, table = self.rng, self.table
        if rng.random() >= chance:
            return row, ""
        if rng.random() < 0.2:
            return {**row, "nosuch": 1}, "unknown_name"
        long = [table.columns[i] for i in table.key if table.columns[i].type in _TAILED]
        whole = all(c.nullable or row.get(c.name) is not None for c in self.others)
        if long and whole and not many and rng.random() < 0.5:
            column = rng.choice(long)
            return {**row, column.name: too_long(rng, column.type)}, "limit"
        column = rng.choice(table.columns)
        return {**row, column.name: draw_wrong(rng, column)}, "wrong_type"

    def _delete(self) -> Operation:
        if self.rng.random() < 0.02:
            return Operation("delete", self.table.name, (self._wrong_key(),), flaw="wrong_type")
        key = self._key(there=True)
        self.likely.pop(repr(key), None)
        return Operation("delete", self.table.name, (self._bare(key),))

    def _delete_many(self) -> Operation:
        keys = [self._bare(self._key()) for _ in range(self.rng.choice((1, 3, 8, 40)))]
        flaw = ""
        if self.rng.random() < 0.05:
            keys[self.rng.randrange(len(keys))] = self._wrong_key()
            flaw = "wrong_type"
        return Operation("delete_many", self.table.name, (keys,), flaw=flaw)

    def _wrong_key(self) -> object:
        key = list(self._key())
        i = self.rng.randrange(len(key))
        column = self.table.key_columns[i]
        key[i] = None if self.rng.random() < 0.2 else draw_wrong(self.rng, column)
        return self._bare(tuple(key))

    # ------------------------------------------------------------------ reading

    def _get(self) -> Operation:
        if self.rng.random() < 0.02:
            return Operation("get", self.table.name, (self._wrong_key(),), flaw="wrong_type")
        return Operation("get", self.table.name, (self._bare(self._key(there=True)),))

    def _count(self) -> Operation:
        return Operation("count", self.table.name)

    def _scan(self) -> Operation:
        rng = self.rng
        options: dict[str, object] = {}
        index = None
        if self.table.indexes and rng.random() < 0.6:
            index = rng.choice(self.table.indexes)
            options["index"] = index.name
        elif rng.random() < 0.01:
            options["index"] = "nosuch"
        for bound in ("lower", "upper"):
            if rng.random() < 0.6:
                if index is not None:
                    key = self._index_values(index)
                else:
                    key = self._key() if rng.random() < 0.7 else self._fresh()
                prefix = key[: rng.randint(1, len(key))]
                options[bound] = prefix if index is not None else self._bare(prefix)
                if rng.random() < 0.4:
                    options[f"{bound}_exclusive"] = True
        if "lower" in options and "upper" in options and rng.random() < 0.15:
            options["upper"] = options["lower"]
        if rng.random() < 0.4:
            options["limit"] = rng.choice((1, 2, 3, 10, 1000))
        if rng.random() < 0.5:
            options["reverse"] = rng.random() < 0.8
        flaw = ""
        if rng.random() < 0.03:
            bound = rng.choice(("lower", "upper"))
            options[bound], flaw = self._wrong_bound(index)
        return Operation("scan", self.table.name, options=tuple(options.items()), flaw=flaw)

    def _wrong_bound(self, index: Index | None) -> tuple[object, str]:
        """A bound that is wrong whatever the rows are, and its error."""
        rng = self.rng
        key = list(self._fresh() if index is None else self._index_values(index))
        if rng.random() < 0.3:
            return ((*key, 1) if rng.random() < 0.7 else ()), "bad_request"
        i = rng.randrange(len(key))
        position = (self.table.key if index is None else index.columns)[i]
        key[i] = draw_wrong(rng, self.table.columns[position])
        flaw = "wrong_type"
        if not self._may_be_null(position) and rng.random() < 0.3:
            key[i], flaw = None, "wrong_type" if index is None else "not_null"
        return tuple(key[: rng.randint(i + 1, len(key))]), flaw

    def _may_be_null(self, position: int) -> bool:
        return self.table.columns[position].nullable and position not in self.table.key

    def _index_values(self, index: Index) -> tuple[object, ...]:
        """A whole key of a secondary index; null where it may be."""
        found: list[object] = []
        for position in index.columns:
            column = self.table.columns[position]
            if position == self.table.auto:
                found.append(self._auto_value())
                continue
            null = self._may_be_null(position) and self.rng.random() < 0.2
            found.append(None if null else draw(self.rng, column, for_key=True))
        return tuple(found)


_TAILED = (Type.TEXT, Type.BYTES, Type.JSON)
