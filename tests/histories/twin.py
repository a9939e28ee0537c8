"""The stupid twin: the embedded API's tables in Python dictionaries.

A real implementation of what histories use, slow and obvious. It stands in for the database where
none is wanted, and broken on purpose it proves that the comparer notices.
"""

from __future__ import annotations

import contextlib
import hashlib
from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from reifydb import Change, Delta, Position
from reifydb.engine.catalog import Column, Index, Table
from reifydb.engine.rows import RowCodec
from reifydb.engine.values import default_value
from reifydb.errors import (
    DuplicateKeyError,
    LimitError,
    NotFoundError,
    NotNullError,
    ReifyDBError,
    RequestError,
    SchemaError,
    UnknownNameError,
)
from reifydb.sql import parse_statements
from reifydb.sql.statements import AddColumn, CreateIndex, RenameTable, Statement
from tests.histories import oracle_values
from tests.histories.changes import Refused, changed
from tests.histories.drawing import INT_MAX
from tests.histories.key_order import index_order_key
from tests.histories.twin_changes import TwinChanges
from tests.histories.twin_relation import Relation, Row

KEPT_MAX = 20
"""Deltas of a table that the twin keeps for subscribers who come back."""


class Twin:
    """The database. The methods named `_…` below are what broken twins break."""

    _changes: type[TwinChanges] = TwinChanges

    def __init__(self, tables: Sequence[Table]) -> None:
        self.relations = {table.name: Relation(table) for table in tables}
        self.lsn, self.incarnation = 0, 1
        self.subscriptions: list[TwinChanges] = []
        self.altered: set[Relation] = set()  # got other columns in this script
        self.undo: list[tuple[Relation, bytes, Row | None, int]] = []

    @contextlib.contextmanager
    def transaction(self) -> Iterator[Twin]:
        self.undo.clear()
        try:
            yield self
        except BaseException:
            self._undo_to(0)
            raise
        if self.undo:
            self.lsn += 1
            self._publish()

    @property
    def tables(self) -> dict[str, Table]:
        return {name: relation.table for name, relation in self.relations.items()}

    def subscribe(self, name: str, *, since: Position | None = None) -> TwinChanges:
        return self._changes(self, self._relation(name), since)

    def _publish(self) -> None:
        """Tells subscribers what the transaction did: each key's row before it, and now."""
        before: dict[Relation, dict[bytes, Row | None]] = {}
        for relation, at, row, _ in self.undo:
            before.setdefault(relation, {}).setdefault(at, row)
        for relation, rows in before.items():
            changes = [
                self._change(relation, at, old)
                for at, old in rows.items()
                if repr(relation.rows.get(at)) != repr(old)
            ]
            changes.sort(key=lambda change: change.op != "delete")
            self._tell(relation, changes)

    def _change(self, relation: Relation, at: bytes, old: Row | None) -> Change:
        new = relation.rows.get(at)
        row = old if new is None else new
        assert row is not None
        op: Any = "delete" if new is None else "update" if old is not None else "insert"
        return Change(op, relation.key_of(row), None if new is None else dict(new))

    def _tell(self, relation: Relation, changes: list[Change]) -> None:
        if not changes:
            return
        delta = Delta(Position(self.incarnation, self.lsn), relation.told_lsn, changes)
        relation.told_lsn = self.lsn
        relation.kept.append(delta)
        if len(relation.kept) > KEPT_MAX:
            relation.kept_after = relation.kept.pop(0).position.lsn
        for subscription in self.subscriptions:
            if subscription.relation is relation:
                subscription.put(delta)

    # ------------------------------------------------------------------ schema

    def execute(self, sql: str) -> None:
        relations = dict(self.relations)
        states = [(relation, relation.state()) for relation in relations.values()]
        self.altered.clear()
        try:
            for statement in parse_statements(sql):
                self._execute(statement)
        except BaseException:
            self._undo_script(relations, states)
            raise
        self.lsn += 1
        for relation in relations.values():
            if relation not in self.relations.values():
                self._end(relation)
            elif relation in self.altered:
                self._restart(relation)

    def _undo_script(self, relations: dict[str, Relation], states: list[Any]) -> None:
        self.relations = relations
        for relation, state in states:
            relation.restore(state)

    def _execute(self, statement: Statement) -> None:
        before = self.tables
        try:
            after = changed(before, statement)
        except Refused as refused:
            raise _ERRORS[refused.code]("refused") from None
        if isinstance(statement, AddColumn):
            relation = self.relations[statement.table]
            lacks = not statement.column.nullable and statement.column.default is None
            if lacks and relation.rows:
                raise SchemaError("it would be null")
        if isinstance(statement, CreateIndex):
            self._check_new_index(after[statement.table], self.relations[statement.table])
        relations = dict(self.relations)
        if isinstance(statement, RenameTable):
            relations[statement.name] = relations.pop(statement.table)
        self.relations = {
            name: Relation(table)
            if name not in relations
            else self._altered(relations[name], table)
            for name, table in after.items()
        }

    def _altered(self, relation: Relation, table: Table) -> Relation:
        columns = relation.table.columns
        if relation.table != table:
            relation.describe(table)
        if columns != table.columns:
            self.altered.add(relation)
            renamed = len(columns) == len(table.columns)
            for at, row in relation.rows.items():
                relation.rows[at] = self._carried(row, table, renamed=renamed)
        return relation

    def _carried(self, row: Row, table: Table, *, renamed: bool) -> Row:
        if renamed:
            return dict(zip([c.name for c in table.columns], row.values(), strict=True))
        return {
            c.name: row[c.name]
            if c.name in row
            else oracle_values.read(c, oracle_values.default(c))
            for c in table.columns
        }

    def _check_new_index(self, table: Table, relation: Relation) -> None:
        index, seen = table.indexes[-1], set()
        for at in relation.order:
            row = relation.rows[at]
            key = relation.index_key(index, row)
            if index.unique and None not in [row[table.columns[i].name] for i in index.columns]:
                if key in seen:
                    raise DuplicateKeyError(f"index {index.name}")
                seen.add(key)

    def _restart(self, relation: Relation) -> None:
        """Its columns are others: deltas from before say nothing."""
        relation.kept.clear()
        relation.kept_after = self.lsn
        for subscription in self.subscriptions:
            if subscription.relation is relation:
                subscription.restart()

    def _end(self, relation: Relation) -> None:
        for subscription in self.subscriptions:
            if subscription.relation is relation:
                subscription.error = SchemaError("dropped")

    def reopened(self) -> None:
        """What closing and opening again does to it: the deltas kept are forgotten."""
        self.incarnation += 1
        for relation in self.relations.values():
            relation.kept.clear()
            relation.kept_after = max(relation.kept_after, relation.told_lsn)

    @property
    def position(self) -> Position:
        return Position(self.incarnation, self.lsn)

    @property
    def state_hash(self) -> bytes:
        """One hash of all rows and marks, whatever the way they came there."""
        state = hashlib.sha256()
        for name, relation in sorted(self.relations.items()):
            state.update(f"{name} {relation.mark}".encode())
            for at in sorted(relation.rows):
                state.update(repr(relation.rows[at]).encode())
        return state.digest()

    def verify(self) -> None:
        for relation in self.relations.values():
            relation.verify()

    def close(self) -> None:
        self.relations.clear()

    # ------------------------------------------------------------------ reading

    def get(self, name: str, key: object) -> Row | None:
        relation = self._relation(name)
        row = relation.rows.get(relation.encoded(key))
        return None if row is None else dict(row)

    def count(self, name: str) -> int:
        return len(self._relation(name).rows)

    def scan(self, name: str, **options: Any) -> Iterator[Row]:
        relation = self._relation(name)
        index = options.pop("index", None)
        if index is not None:
            order = self._between_in_index(relation, index, **options)
        else:
            order = self._between(relation, **options)
        for at in order[: options.get("limit")]:
            yield dict(relation.rows[at])

    def _between_in_index(
        self,
        relation: Relation,
        name: str,
        *,
        lower: Any = None,
        upper: Any = None,
        lower_exclusive: bool = False,
        upper_exclusive: bool = False,
        reverse: bool = False,
        limit: int | None = None,
    ) -> list[bytes]:
        del limit
        index = relation.table.index(name)
        if index is None:
            raise UnknownNameError("index", name, [i.name for i in relation.table.indexes])
        columns, nullable = relation.index_columns(index)
        found = sorted(self._entries(relation, index))
        for bound, keep in (
            (lower, lambda k, b: k > b if lower_exclusive else k >= b),
            (upper, lambda k, b: k < b if upper_exclusive else k <= b),
        ):
            if bound is not None:
                self._check_bound(columns, nullable, bound)
                edge = index_order_key(columns, nullable, bound)
                found = [(k, at) for k, at in found if keep(self._cut(k, edge), edge)]
        order = [at for _, at in found]
        return order[::-1] if reverse else order

    @staticmethod
    def _check_bound(columns: list[Column], nullable: list[bool], bound: Any) -> None:
        if not 1 <= len(bound) <= len(columns):
            raise RequestError("too few or too many values")
        RowCodec(columns[: len(bound)], what="bound").encode(bound)
        for column, may_be_null, part in zip(columns, nullable, bound, strict=False):
            if part is None and not may_be_null:
                raise NotNullError(f"column {column.name}")

    @staticmethod
    def _cut(key: bytes, edge: bytes) -> bytes:
        """The part of a key that a bound is compared with."""
        return key[: len(edge)]

    def _entries(self, relation: Relation, index: Index) -> list[tuple[bytes, bytes]]:
        """The entries of an index: its key, and the primary key."""
        return [(relation.index_key(index, row), at) for at, row in relation.rows.items()]

    def _between(
        self,
        relation: Relation,
        *,
        lower: object = None,
        upper: object = None,
        lower_exclusive: bool = False,
        upper_exclusive: bool = False,
        reverse: bool = False,
        limit: int | None = None,
    ) -> list[bytes]:
        start, end = 0, len(relation.order)
        if lower is not None:
            start = self._edge(relation, lower, after=lower_exclusive)
        if upper is not None:
            end = self._edge(relation, upper, after=not upper_exclusive)
        between = relation.order[start:end] if start < end else []
        return between[::-1] if reverse else between

    def _edge(self, relation: Relation, bound: object, *, after: bool) -> int:
        """Where keys with this prefix begin in the order, or end."""
        relation.keys.encode_prefix(bound)
        prefix = relation.bounded(bound)
        if not after:
            return bisect_left(relation.order, prefix)
        rest = prefix.rstrip(b"\xff")
        if not rest:
            return len(relation.order)
        return bisect_left(relation.order, rest[:-1] + bytes([rest[-1] + 1]))

    # ------------------------------------------------------------------ writing

    def insert(self, name: str, row: Row) -> object:
        relation = self._relation(name)
        relation.codec.encode_mapping(row)
        return self._whole([row], lambda row: self._insert(relation, row))[0]

    def update(self, name: str, row: Row) -> None:
        relation = self._relation(name)
        relation.codec.encode_mapping(row)
        self._whole([row], lambda row: self._update(relation, row))

    def upsert(self, name: str, row: Row) -> None:
        relation = self._relation(name)
        relation.codec.encode_mapping(row)
        self._whole([row], lambda row: self._upsert(relation, row))

    def delete(self, name: str, key: object) -> bool:
        return self.delete_many(name, [key]) == 1

    def insert_many(self, name: str, rows: Sequence[Row]) -> None:
        relation = self._relation(name)
        self._check_all(relation, rows)
        self._whole(rows, lambda row: self._insert(relation, row))

    def update_many(self, name: str, rows: Sequence[Row]) -> None:
        relation = self._relation(name)
        self._check_all(relation, rows)
        self._whole(rows, lambda row: self._update(relation, row))

    def upsert_many(self, name: str, rows: Sequence[Row]) -> None:
        relation = self._relation(name)
        self._check_all(relation, rows)
        self._whole(rows, lambda row: self._upsert(relation, row))

    def delete_many(self, name: str, keys: Sequence[object]) -> int:
        relation = self._relation(name)
        for key in keys:
            relation.keys.encode(key)
        return sum(self._whole(keys, lambda key: self._delete(relation, key)))

    @staticmethod
    def _check_all(relation: Relation, rows: Sequence[Row]) -> None:
        """Names of all rows come first, then their values."""
        for row in (r for r in rows if not set(r) <= set(relation.codec.names)):
            relation.codec.encode_mapping(row)
        for row in rows:
            relation.codec.encode_mapping(row)

    def _relation(self, name: str) -> Relation:
        if name not in self.relations:
            raise UnknownNameError("table", name, self.relations)
        return self.relations[name]

    def _whole(self, items: Sequence[Any], change: Callable[[Any], Any]) -> list[Any]:
        """All items or none."""
        start = len(self.undo)
        try:
            return [change(item) for item in items]
        except BaseException:
            self._undo_to(start)
            raise

    def _undo_to(self, length: int) -> None:
        while len(self.undo) > length:
            relation, at, row, mark = self.undo.pop()
            relation.put(at, row)
            relation.mark = mark

    def _put(self, relation: Relation, at: bytes, row: Row | None) -> None:
        self.undo.append((relation, at, relation.rows.get(at), relation.mark))
        relation.put(at, row)

    def _default(self, column: Column) -> object:
        return default_value(column)

    def _check_indexes(self, relation: Relation, row: Row, old: Row | None) -> None:
        for index in relation.table.indexes:
            key = relation.index_key(index, row)
            if old is not None and relation.index_key(index, old) == key:
                continue
            names = [relation.table.columns[i].name for i in index.columns]
            if not index.unique or None in [row[name] for name in names]:
                continue
            if any(relation.index_key(index, other) == key for other in relation.rows.values()):
                raise DuplicateKeyError(f"index {index.name} has one already")

    def _check_nulls(self, relation: Relation, row: Row) -> None:
        for column in relation.table.columns:
            if not column.nullable and row[column.name] is None:
                raise NotNullError(f"column {column.name} must not be null")

    def _insert(self, relation: Relation, row: Row) -> object:
        row = {
            name: row.get(name, self._default(column)) for name, column in relation.columns.items()
        }
        mark = relation.mark
        if relation.auto is not None:
            if row[relation.auto] is None:
                if mark == INT_MAX:
                    raise LimitError("no number is left", limit="auto_increment", value=mark)
                row[relation.auto] = mark + 1
            mark = max(mark, row[relation.auto])
        self._check_nulls(relation, row)
        full = relation.full(row)
        at = relation.encoded(relation.key_of(full))
        if at in relation.rows:
            raise DuplicateKeyError("the primary key is there already")
        self._check_indexes(relation, full, None)
        self._put(relation, at, full)
        relation.mark = mark
        return relation.key_of(full)

    def _update(self, relation: Relation, row: Row) -> None:
        at = relation.encoded(relation.key_of(row))
        old = relation.rows.get(at)
        if old is None:
            raise NotFoundError("there is none")
        new = relation.full({**old, **self._others(relation, row)})
        self._check_nulls(relation, new)
        if repr(new) != repr(old):
            self._check_indexes(relation, new, old)
            self._put(relation, at, new)

    @staticmethod
    def _others(relation: Relation, row: Row) -> Row:
        keys = {column.name for column in relation.table.key_columns}
        return {name: value for name, value in row.items() if name not in keys}

    def _upsert(self, relation: Relation, row: Row) -> None:
        given_out = relation.auto is not None and row.get(relation.auto) is None
        if given_out or relation.encoded(relation.key_of(row)) not in relation.rows:
            self._insert(relation, row)
        else:
            self._update(relation, row)

    def _delete(self, relation: Relation, key: object) -> int:
        at = relation.encoded(key)
        if at not in relation.rows:
            return 0
        self._put(relation, at, None)
        return 1


_ERRORS: dict[str, Callable[[str], ReifyDBError]] = {
    "schema": SchemaError,
    "unknown_name": lambda text: UnknownNameError("name", text, []),
}
