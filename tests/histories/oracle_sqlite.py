"""The oracle: the same operations on stdlib sqlite3.

SQLite decides what is there, what is a duplicate, what must not be null, and in which order rows
come. Columns have no type there, so a value stays what it is; text compares by its UTF-8 bytes,
bools are 0 and 1, timestamps microseconds. Auto-increment marks are rows of a table, so that they
are undone with everything else.
"""

from __future__ import annotations

import operator
import sqlite3
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

from reifydb.engine.catalog import Column, Table, Type
from tests.histories.drawing import EPOCH, INT_MAX, MICROSECOND
from tests.histories.generator import MANY, Operation

Row = dict[str, object]


class Refused(Exception):
    """What the operation must raise: the code of a ReifyDB error."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


class SqliteOracle:
    """Runs operations; collects which keys they touched."""

    def __init__(self, tables: Sequence[Table]) -> None:
        self.connection = sqlite3.connect(":memory:", isolation_level=None, cached_statements=1024)
        self.tables = {table.name: _Relation(self.connection, table) for table in tables}
        self.touched: set[tuple[str, tuple[object, ...]]] = set()
        self.mutated = False

    def begin(self) -> None:
        self.touched.clear()
        self.mutated = False
        self.connection.execute("begin")

    def commit(self) -> None:
        self.connection.execute("commit")

    def rollback(self) -> None:
        self.connection.execute("rollback")

    def close(self) -> None:
        self.connection.close()

    def apply(self, operation: Operation) -> object:
        """The result the operation must have.

        Raises:
            Refused: It must fail; nothing has changed.
        """
        if operation.flaw:
            raise Refused(operation.flaw)
        relation = self.tables[operation.table]
        if operation.method == "scan":
            return relation.scan(**dict(operation.options))
        if operation.method == "count":
            return relation.count()
        if operation.method == "get":
            return relation.get(relation.key_of(operation.arguments[0]))
        return self._write(relation, operation)

    def _write(self, relation: _Relation, operation: Operation) -> object:
        method, argument = operation.method, operation.arguments[0]
        rows = argument if method.endswith("_many") else [argument]
        changes = self.connection.total_changes
        self.connection.execute("savepoint operation")
        try:
            if method in ("delete", "delete_many"):
                count = sum(relation.delete(self._touch(relation, key)) for key in rows)
                result: object = count if method == "delete_many" else count == 1
            else:
                write = relation.writers[MANY.get(method, method)]
                keys = [write(row) for row in rows]
                self.touched.update((relation.table.name, key) for key in keys)
                result = relation.bare(keys[0]) if method == "insert" else None
        except Refused:
            self.connection.execute("rollback to operation")
            self._touch_all(relation, method, rows)
            raise
        finally:
            self.connection.execute("release operation")
        self.mutated = self.mutated or self.connection.total_changes > changes
        return result

    def _touch(self, relation: _Relation, key: object) -> tuple[object, ...]:
        canonical = relation.key_of(key)
        self.touched.add((relation.table.name, canonical))
        return canonical

    def _touch_all(self, relation: _Relation, method: str, rows: Sequence[Row]) -> None:
        """A failed operation may have left something behind in the database under test."""
        for row in rows:
            names = [column.name for column in relation.key]
            if all(row.get(name) is not None for name in names):
                self._touch(relation, tuple(row[name] for name in names))


class _Relation:
    def __init__(self, connection: sqlite3.Connection, table: Table) -> None:
        self.execute, self.table, self.key = connection.execute, table, table.key_columns
        self.columns = {column.name: column for column in table.columns}
        self.readers = [READ[column.type] for column in table.columns]
        self.names = tuple(self.columns)
        self.auto = None if table.auto is None else table.columns[table.auto].name
        self.writers: dict[str, Callable[[Row], tuple[object, ...]]] = {
            "insert": self.insert,
            "update": self.update,
            "upsert": self.upsert,
        }
        listed = ", ".join(f"{c.name}{'' if c.nullable else ' not null'}" for c in table.columns)
        self.key_names = [column.name for column in self.key]
        keys = ", ".join(self.key_names)
        self.execute(f"create table {table.name} ({listed}, primary key ({keys})) without rowid")
        self.execute("create table if not exists marks (name primary key, mark)")
        self.execute("insert into marks values (?, 0)", (table.name,))
        self.where = " and ".join(f"{name} = ?" for name in self.key_names)
        marks = ", ".join("?" * len(self.columns))
        self.insert_sql = f"insert into {table.name} values ({marks})"

    def key_of(self, key: object) -> tuple[object, ...]:
        """The canonical values of a key or prefix given bare or as a tuple."""
        parts = key if isinstance(key, tuple) else (key,)
        return tuple(WRITE[c.type](part) for c, part in zip(self.key, parts, strict=False))

    def bare(self, key: tuple[object, ...]) -> object:
        """A canonical key as the database gives it: in Python's types, bare when of one column."""
        values = tuple(READ[c.type](part) for c, part in zip(self.key, key, strict=True))
        return values[0] if len(values) == 1 else values

    def row(self, values: Sequence[object]) -> Row:
        return {
            name: None if value is None else read(value)
            for name, read, value in zip(self.names, self.readers, values, strict=True)
        }

    # ------------------------------------------------------------------ reading

    def get(self, key: tuple[object, ...]) -> Row | None:
        found = self.execute(f"select * from {self.table.name} where {self.where}", key).fetchone()
        return None if found is None else self.row(found)

    def count(self) -> int:
        (count,) = self.execute(f"select count(*) from {self.table.name}").fetchone()
        return int(count)

    def scan(
        self,
        *,
        lower: object = None,
        upper: object = None,
        lower_exclusive: bool = False,
        upper_exclusive: bool = False,
        limit: int | None = None,
        reverse: bool = False,
    ) -> list[Row]:
        sql, given, clauses = f"select * from {self.table.name}", [], []
        for bound, sign, exclusive in (
            (lower, ">", lower_exclusive),
            (upper, "<", upper_exclusive),
        ):
            if bound is None:
                continue
            parts = self.key_of(bound)
            names = ", ".join(self.key_names[: len(parts)])
            marks = ", ".join("?" * len(parts))
            clauses.append(f"({names}) {sign}{'' if exclusive else '='} ({marks})")
            given += parts
        if clauses:
            sql += " where " + " and ".join(clauses)
        way = " desc" if reverse else ""
        sql += " order by " + ", ".join(name + way for name in self.key_names)
        if limit is not None:
            sql += f" limit {limit}"
        return [self.row(values) for values in self.execute(sql, given)]

    # ------------------------------------------------------------------ writing

    def insert(self, row: Row) -> tuple[object, ...]:
        values = {
            name: _canonical(column, row.get(name, column.default))
            for name, column in self.columns.items()
        }
        if self.auto is not None:
            values[self.auto] = self._number(values[self.auto])
        try:
            self.execute(self.insert_sql, tuple(values.values()))
        except sqlite3.IntegrityError as error:
            raise Refused("not_null" if "NOT NULL" in str(error) else "duplicate_key") from None
        return tuple(values[name] for name in self.key_names)

    def _number(self, wanted: object) -> object:
        (mark,) = self.execute(
            "select mark from marks where name = ?", (self.table.name,)
        ).fetchone()
        if wanted is None and mark == INT_MAX:
            raise Refused("limit")
        number = mark + 1 if wanted is None else wanted
        if number > mark:
            self.execute("update marks set mark = ? where name = ?", (number, self.table.name))
        return number

    def update(self, row: Row) -> tuple[object, ...]:
        key = self.key_of(tuple(row[name] for name in self.key_names))
        if not self._change(key, row):
            raise Refused("not_found")
        return key

    def upsert(self, row: Row) -> tuple[object, ...]:
        if self.auto is not None and row.get(self.auto) is None:
            return self.insert(row)
        key = self.key_of(tuple(row[name] for name in self.key_names))
        return key if self._change(key, row) else self.insert(row)

    def _change(self, key: tuple[object, ...], row: Row) -> bool:
        """Updates the row if there is one that differs, and says whether there is one."""
        there = self.execute(f"select * from {self.table.name} where {self.where}", key).fetchone()
        if there is None:
            return False
        old = dict(zip(self.names, there, strict=True))
        new = {
            name: _canonical(self.columns[name], value)
            for name, value in row.items()
            if name not in self.key_names
        }
        new = {name: value for name, value in new.items() if value != old[name]}
        if not new:
            return True
        sets = ", ".join(f"{name} = ?" for name in new)
        try:
            sql = f"update {self.table.name} set {sets} where {self.where}"
            self.execute(sql, (*new.values(), *key))
        except sqlite3.IntegrityError:
            raise Refused("not_null") from None
        return True

    def delete(self, key: tuple[object, ...]) -> int:
        return self.execute(f"delete from {self.table.name} where {self.where}", key).rowcount


# ------------------------------------------------------------------ values


def _canonical(column: Column, value: object) -> object:
    return None if value is None else WRITE[column.type](value)


def _micros(value: object) -> int:
    if isinstance(value, datetime):
        return (value - EPOCH) // MICROSECOND
    return operator.index(value)  # type: ignore[arg-type]


def _moment(value: int) -> object:
    try:
        return EPOCH + timedelta(microseconds=value)
    except OverflowError:
        return value


WRITE: dict[Type, Callable] = {  # type: ignore[type-arg]
    Type.BOOL: int,
    Type.INT: int,
    Type.FLOAT: lambda value: float(value) + 0.0,
    Type.TEXT: str,
    Type.BYTES: bytes,
    Type.TIMESTAMP: _micros,
}
READ: dict[Type, Callable] = {**WRITE, Type.BOOL: bool, Type.TIMESTAMP: _moment}  # type: ignore[type-arg]
