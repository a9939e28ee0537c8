"""Histories: a schema, and transactions drawn for it. The same seed gives the same history.

A history is data that knows nothing of who runs it: any transaction or operation may be dropped and
the rest still means something. That is what makes a failing one shrink.
"""

from __future__ import annotations

import random
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
from tests.histories.drawing import INT_MAX, INT_MIN, WRONG, draw, too_long
from tests.histories.schemas import random_column, random_index_columns, random_schema

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
    """A change of the schema, in a transaction of its own. It may have to be refused."""

    statement: Statement

    @property
    def operations(self) -> tuple[Operation, ...]:
        """None: for those who count them."""
        return ()

    def __str__(self) -> str:
        return f"db.execute({sql_of(self.statement)!r})"


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
        if changes and rng.random() < 0.04:
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

    def change(self) -> Statement:
        """Draws a change, and goes on with the tables that it makes."""
        change = self._draw()
        try:
            after = changed(self.tables, change)
        except Refused:
            return change
        if isinstance(change, RenameTable):
            self.writers[change.name] = self.writers.pop(change.table)
        self.writers = {name: w for name, w in self.writers.items() if name in after}
        for name, table in after.items():
            if name in self.writers:
                self.writers[name].adapt(table)
            else:
                self.writers[name] = _Writer(self.rng, table)
        self.tables = after
        return change

    def _draw(self) -> Statement:
        rng = self.rng
        table = rng.choice(list(self.tables.values()))
        if rng.random() < 0.05:
            table = replace(table, name="nosuch")
        column = rng.choice(table.columns).name
        indexes = [index.name for one in self.tables.values() for index in one.indexes]
        kinds = ("index", "drop index", "add", "drop", "rename", "rename table", "drop table")
        kind = rng.choices(kinds, (30, 15, 20, 15, 8, 5, 3 if len(self.tables) > 1 else 0))[0]
        match kind:
            case "index":
                names = tuple(table.columns[i].name for i in random_index_columns(rng, table))
                name = self._name("i") if rng.random() < 0.95 else rng.choice([*indexes, "i"])
                return CreateIndex(name, table.name, names, rng.random() < 0.3)
            case "drop index":
                return DropIndex(rng.choice([*indexes, "nosuch"]))
            case "add":
                name = self._name("a") if rng.random() < 0.95 else column
                return AddColumn(table.name, random_column(rng, name))
            case "drop":
                return DropColumn(table.name, column if rng.random() < 0.95 else "nosuch")
            case "rename":
                new = self._name("r") if rng.random() < 0.95 else rng.choice(table.columns).name
                return RenameColumn(table.name, column, new)
            case "rename table":
                return RenameTable(table.name, self._name("u"))
        if rng.random() < 0.5:
            [made, *_] = random_schema(rng)
            indexes = [replace(i, name=self._name("i")) for i in made.indexes]  # type: ignore[misc]
            return CreateTable(replace(made, name=self._name("t"), indexes=tuple(indexes)))  # type: ignore[arg-type]
        return DropTable(table.name)

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
                row[column.name] = self._value(column)
        if rng.random() < 0.2:
            items = list(row.items())
            rng.shuffle(items)
            row = dict(items)
        return row

    def _value(self, column: Column) -> object:
        """A value; in an indexed column often one of few, so that they meet."""
        position = self.table.position(column.name)
        indexed = any(position in index.columns for index in self.table.indexes)
        near = indexed and self.rng.random() < 0.9
        return draw(self.rng, column, for_key=near)

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
        return {**row, column.name: rng.choice(WRONG[column.type])}, "wrong_type"

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
        key[i] = self.rng.choice((None, *WRONG[self.table.key_columns[i].type]))
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
        return Operation("scan", self.table.name, options=tuple(options.items()))

    def _index_values(self, index: Index) -> tuple[object, ...]:
        """A whole key of a secondary index; null where it may be."""
        found: list[object] = []
        for position in index.columns:
            column = self.table.columns[position]
            if position == self.table.auto:
                found.append(self._auto_value())
                continue
            nullable = column.nullable and position not in self.table.key
            null = nullable and self.rng.random() < 0.2
            found.append(None if null else draw(self.rng, column, for_key=True))
        return tuple(found)


_TAILED = (Type.TEXT, Type.BYTES)
