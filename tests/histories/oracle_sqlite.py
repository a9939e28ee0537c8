"""The oracle: the same operations on stdlib sqlite3.

SQLite decides what is there, what is a duplicate, what must not be null, and in which order rows
come. Columns have no type there, so a value stays what it is; text compares by its UTF-8 bytes,
bools are 0 and 1, timestamps microseconds, decimals their unit, uuids bytes, JSON canonical text.
Auto-increment marks are rows of a table, so that they are undone with everything else. A table
whose columns change is made anew there, and its rows are carried over.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence

from reifydb.config import key_bytes_max
from reifydb.engine.catalog import Index, Table
from reifydb.sql.statements import AddColumn, CreateIndex, DropTable, Statement
from tests.histories import oracle_values as values
from tests.histories.changes import Refused, changed
from tests.histories.drawing import INT_MAX
from tests.histories.history import MANY, Operation
from tests.histories.key_order import index_order_key

Row = dict[str, object]

ROWS_REMEMBERED = 2000
"""Rows in Python's types are kept so many at a time: whole tables are compared again and again."""

__all__ = ["Refused", "SqliteOracle"]


class SqliteOracle:
    """Runs operations; collects which keys they touched."""

    def __init__(self, tables: Sequence[Table]) -> None:
        self.connection = sqlite3.connect(":memory:", isolation_level=None, cached_statements=1024)
        self.connection.execute("create table marks (name primary key, mark)")
        self._names = 0
        self.tables = {table.name: self._make(table) for table in tables}
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

    def rows_by_key(self, name: str) -> list[tuple[object, Row]]:
        """Every row of a table with its key, in order; what a subscriber must have."""
        relation = self.tables[name]
        names = relation.key_names
        return [
            (row[names[0]] if len(names) == 1 else tuple(row[n] for n in names), row)
            for row in relation.scan()
        ]

    # ------------------------------------------------------------------ schema

    def change(self, statements: Sequence[Statement]) -> None:
        """Changes the schema, all of it or nothing.

        Raises:
            Refused: It must fail.
        """
        before = self.tables
        self.begin()
        try:
            for statement in statements:
                self._change(statement)
        except Refused:
            self.rollback()
            self.tables = before
            raise
        self.commit()

    def _change(self, change: Statement) -> None:
        before = {name: relation.table for name, relation in self.tables.items()}
        after = changed(before, change)
        self._check_rows(change)
        gone = {t.name for t in before.values()} - {t.name for t in after.values()}
        same = [name for name in before if name not in gone and after[name] == before[name]]
        relations = {name: self.tables[name] for name in same}
        for name, table in after.items():
            if name in relations:
                continue
            old = self.tables.get(name)
            if old is None and gone and not isinstance(change, DropTable):
                old = self.tables[gone.pop()]  # it was renamed
            relations[name] = self._make(table) if old is None else self._carry(old, table)
        for name in gone:
            self.tables[name].drop()
        self.tables = {name: relations[name] for name in after}

    def _check_rows(self, change: Statement) -> None:
        if isinstance(change, AddColumn):
            lacks = not change.column.nullable and change.column.default is None
            if lacks and self.tables[change.table].count():
                raise Refused("schema")
        if isinstance(change, CreateIndex):
            relation = self.tables[change.table]
            columns = tuple(relation.table.position(name) for name in change.columns)
            relation.check_index(Index(change.name, columns, change.unique))  # type: ignore[arg-type]

    def _make(self, table: Table) -> _Relation:
        self._names += 1
        return _Relation(self.connection, table, f"{table.name}_{self._names}")

    def _carry(self, old: _Relation, table: Table) -> _Relation:
        """A table with other columns, name or indexes, and the rows of the old one."""
        new = self._make(table)
        known = {column.name: i for i, column in enumerate(old.table.columns)}
        renamed = len(old.table.columns) == len(table.columns)
        places = [
            i if renamed else known.get(column.name) for i, column in enumerate(table.columns)
        ]
        for row in self.connection.execute(f"select * from {old.sql_name}").fetchall():
            carried = [
                values.default(column) if place is None else row[place]
                for column, place in zip(table.columns, places, strict=True)
            ]
            self.connection.execute(new.insert_sql, carried)
        new.set_mark(old.mark())
        old.drop()
        return new

    # ------------------------------------------------------------------ operations

    def apply(self, operation: Operation) -> object:
        """The result the operation must have.

        Raises:
            Refused: It must fail; nothing has changed.
        """
        relation = self.tables.get(operation.table)
        if relation is None:
            raise Refused("unknown_name")
        if operation.method == "scan":
            options: dict[str, object] = dict(operation.options)
            relation.index_columns(options.get("index"))
            if operation.flaw:
                raise Refused(operation.flaw)
            return relation.scan(**options)  # type: ignore[arg-type]
        if operation.method == "count":
            return relation.count()
        if operation.flaw:
            relation.check_names(operation)
            raise Refused(operation.flaw)
        if operation.method == "get":
            return relation.get(relation.key_of(operation.arguments[0]))
        return self._write(relation, operation)

    def _write(self, relation: _Relation, operation: Operation) -> object:
        method, argument = operation.method, operation.arguments[0]
        rows = argument if method.endswith("_many") else [argument]
        relation.check_names(operation)
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
        if method in ("delete", "delete_many"):
            return
        for row in rows:
            names = [column.name for column in relation.key]
            if all(row.get(name) is not None for name in names):
                self._touch(relation, tuple(row[name] for name in names))


class RememberedRow(dict[str, object]):
    """A row that is compared again and again, as its text, and not changed."""

    __slots__ = ("text",)

    def __repr__(self) -> str:
        try:
            return self.text
        except AttributeError:
            self.text: str = super().__repr__()
            return self.text


class _Relation:
    def __init__(self, connection: sqlite3.Connection, table: Table, sql_name: str) -> None:
        self.execute, self.table, self.key = connection.execute, table, table.key_columns
        self.sql_name = sql_name
        self.rows: dict[tuple[object, ...], Row] = {}  # as the database gives them
        self.columns = {column.name: column for column in table.columns}
        self.names = tuple(self.columns)
        self.auto = None if table.auto is None else table.columns[table.auto].name
        self.writers: dict[str, Callable[[Row], tuple[object, ...]]] = {
            "insert": self.insert,
            "update": self.update,
            "upsert": self.upsert,
        }
        nullable = [c.nullable and i not in table.key for i, c in enumerate(table.columns)]
        self.nullable = dict(zip(self.names, nullable, strict=True))
        listed = ", ".join(f"{n}{'' if self.nullable[n] else ' not null'}" for n in self.names)
        self.key_names = [column.name for column in self.key]
        keys = ", ".join(self.key_names)
        self.execute(f"create table {sql_name} ({listed}, primary key ({keys})) without rowid")
        for index in table.indexes:
            unique = "unique " if index.unique else ""
            names = ", ".join(self.names[i] for i in index.columns)
            self.execute(f"create {unique}index {sql_name}_{index.name} on {sql_name} ({names})")
        self.execute("insert into marks values (?, 0)", (sql_name,))
        self.where = " and ".join(f"{name} = ?" for name in self.key_names)
        marks = ", ".join("?" * len(self.columns))
        self.insert_sql = f"insert into {sql_name} values ({marks})"

    def drop(self) -> None:
        self.execute(f"drop table {self.sql_name}")
        self.execute("delete from marks where name = ?", (self.sql_name,))

    def mark(self) -> int:
        (mark,) = self.execute("select mark from marks where name = ?", (self.sql_name,)).fetchone()
        return int(mark)

    def set_mark(self, mark: object) -> None:
        self.execute("update marks set mark = ? where name = ?", (mark, self.sql_name))

    def check_names(self, operation: Operation) -> None:
        """Columns that a write names must be there."""
        if operation.method in ("get", "delete", "delete_many"):
            return
        argument = operation.arguments[0]
        rows = argument if operation.method.endswith("_many") else [argument]
        if any(name not in self.columns for row in rows for name in row):
            raise Refused("unknown_name")

    def key_of(self, key: object) -> tuple[object, ...]:
        """The canonical values of a key or prefix given bare or as a tuple."""
        parts = key if isinstance(key, tuple) else (key,)
        return tuple(values.write(c, part) for c, part in zip(self.key, parts, strict=False))

    def bare(self, key: tuple[object, ...]) -> object:
        """A canonical key as the database gives it: in Python's types, bare when of one column."""
        found = tuple(values.read(c, part) for c, part in zip(self.key, key, strict=True))
        return found[0] if len(found) == 1 else found

    def row(self, stored: tuple[object, ...]) -> Row:
        row = self.rows.get(stored)
        if row is None:
            if len(self.rows) > ROWS_REMEMBERED:
                self.rows.clear()
            row = self.rows[stored] = RememberedRow(
                (column.name, values.read(column, value))
                for column, value in zip(self.table.columns, stored, strict=True)
            )
        return row

    # ------------------------------------------------------------------ reading

    def get(self, key: tuple[object, ...]) -> Row | None:
        found = self.execute(f"select * from {self.sql_name} where {self.where}", key).fetchone()
        return None if found is None else self.row(found)

    def count(self) -> int:
        (count,) = self.execute(f"select count(*) from {self.sql_name}").fetchone()
        return int(count)

    def scan(
        self,
        *,
        index: str | None = None,
        lower: object = None,
        upper: object = None,
        lower_exclusive: bool = False,
        upper_exclusive: bool = False,
        limit: int | None = None,
        reverse: bool = False,
    ) -> list[Row]:
        columns = self.index_columns(index)
        sql, given, clauses = f"select * from {self.sql_name}", [], []
        for bound, sign, exclusive in (
            (lower, ">", lower_exclusive),
            (upper, "<", upper_exclusive),
        ):
            if bound is None:
                continue
            parts = bound if isinstance(bound, tuple) else (bound,)
            left: list[str] = []
            right: list[object] = []
            for name, part in zip(columns, parts, strict=False):
                # Nulls come last: whether it is null compares first, and two nulls are equal.
                left += [f"({name} is null)", f"coalesce({name}, 0)"]
                value = values.write(self.columns[name], part)
                right += [int(value is None), 0 if value is None else value]
            marks = ", ".join("?" * len(right))
            clauses.append(f"({', '.join(left)}) {sign}{'' if exclusive else '='} ({marks})")
            given += right
        if clauses:
            sql += " where " + " and ".join(clauses)
        way = " desc" if reverse else ""
        order = [*columns, *self.key_names] if index is not None else self.key_names
        sql += " order by " + ", ".join(f"({n} is null){way}, {n}{way}" for n in order)
        if limit is not None:
            sql += f" limit {limit}"
        return [self.row(stored) for stored in self.execute(sql, given)]

    def index_columns(self, name: object) -> list[str]:
        """The columns that a scan walks along.

        Raises:
            Refused: There is no such index.
        """
        if not isinstance(name, str):
            return self.key_names
        index = self.table.index(name)
        if index is None:
            raise Refused("unknown_name")
        return [self.names[i] for i in index.columns]

    # ------------------------------------------------------------------ indexes

    def check_index(self, index: Index) -> None:
        """An index that is to be made: whether the rows that are there fit it."""
        names = [self.names[i] for i in index.columns]
        seen: set[tuple[object, ...]] = set()
        order = ", ".join(self.key_names)
        for stored in self.execute(
            f"select {', '.join(names)} from {self.sql_name} order by {order}"
        ):
            self._check_length(index, stored)
            if index.unique and None not in stored:
                if stored in seen:
                    raise Refused("duplicate_key", f"index {index.name}")
                seen.add(stored)

    def _check_length(self, index: Index, stored: Sequence[object]) -> None:
        columns = [self.table.columns[i] for i in index.columns]
        nullable = [self.nullable[column.name] for column in columns]
        given = [values.read(column, v) for column, v in zip(columns, stored, strict=True)]
        if len(index_order_key(columns, nullable, given)) > key_bytes_max:
            raise Refused("limit", "" if index not in self.table.indexes else f"index {index.name}")

    def _check_indexes(self, row: Row, old: Row | None) -> None:
        """A row that is to be written, as sqlite3 keeps it: each index in the order of creation."""
        for index in self.table.indexes:
            names = [self.names[i] for i in index.columns]
            stored = tuple(row[name] for name in names)
            if old is not None and stored == tuple(old[name] for name in names):
                continue
            self._check_length(index, stored)
            if index.unique and None not in stored:
                where = " and ".join(f"{name} = ?" for name in names)
                sql = f"select 1 from {self.sql_name} where {where}"
                if self.execute(sql, stored).fetchone():
                    raise Refused("duplicate_key", f"index {index.name}")

    # ------------------------------------------------------------------ writing

    def insert(self, row: Row) -> tuple[object, ...]:
        stored = {
            name: values.write(column, row[name]) if name in row else values.default(column)
            for name, column in self.columns.items()
        }
        if self.auto is not None:
            stored[self.auto] = self._number(stored[self.auto])
        for name in self.names:
            if stored[name] is None and not self.nullable[name]:
                raise Refused("not_null", f"column {name}")
        key = tuple(stored[name] for name in self.key_names)
        if self.get(key) is not None:
            raise Refused("duplicate_key", "primary key")
        self._check_indexes(stored, None)
        self.execute(self.insert_sql, tuple(stored.values()))
        return key

    def _number(self, wanted: object) -> object:
        mark = self.mark()
        if wanted is None and mark == INT_MAX:
            raise Refused("limit")
        number = mark + 1 if wanted is None else wanted
        if number > mark:  # type: ignore[operator]
            self.set_mark(number)
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
        there = self.execute(f"select * from {self.sql_name} where {self.where}", key).fetchone()
        if there is None:
            return False
        old = dict(zip(self.names, there, strict=True))
        new = {
            name: values.write(self.columns[name], value)
            for name, value in row.items()
            if name not in self.key_names
        }
        new = {name: value for name, value in new.items() if value != old[name]}
        if not new:
            return True
        for name in self.names:
            if name in new and new[name] is None and not self.nullable[name]:
                raise Refused("not_null", f"column {name}")
        self._check_indexes({**old, **new}, old)
        sets = ", ".join(f"{name} = ?" for name in new)
        self.execute(f"update {self.sql_name} set {sets} where {self.where}", (*new.values(), *key))
        return True

    def delete(self, key: tuple[object, ...]) -> int:
        return self.execute(f"delete from {self.sql_name} where {self.where}", key).rowcount
