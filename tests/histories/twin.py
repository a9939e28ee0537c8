"""The stupid twin: the embedded API's tables in Python dictionaries.

A real implementation of what histories use, slow and obvious. It stands in for the database where
none is wanted, and broken on purpose it proves that the comparer notices.
"""

from __future__ import annotations

import contextlib
import hashlib
from bisect import bisect_left, insort
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from reifydb.config import key_bytes_max
from reifydb.engine.catalog import Column, Table
from reifydb.engine.keys import KeyCodec
from reifydb.engine.rows import RowCodec
from reifydb.errors import (
    DuplicateKeyError,
    LimitError,
    NotFoundError,
    NotNullError,
    UnknownNameError,
)
from tests.histories.drawing import INT_MAX
from tests.histories.key_order import order_key

Row = dict[str, Any]


class Relation:
    """One table: rows by encoded key, and the encoded keys in order."""

    def __init__(self, table: Table) -> None:
        self.table, self.columns = table, {column.name: column for column in table.columns}
        self.rows: dict[bytes, Row] = {}
        self.order: list[bytes] = []
        self.mark = 0
        self.keys = KeyCodec(table.key_columns, what=f"table {table.name}")
        self.codec = RowCodec(table.columns, what=f"table {table.name}")
        self.auto = None if table.auto is None else table.columns[table.auto].name

    def put(self, at: bytes, row: Row | None) -> None:
        """Sets or (None) takes away the row with this encoded key."""
        if row is None:
            if self.rows.pop(at, None) is not None:
                del self.order[bisect_left(self.order, at)]
            return
        if at not in self.rows:
            insort(self.order, at)
        self.rows[at] = row

    def encoded(self, key: object) -> bytes:
        """The encoded key of a key given bare or as a tuple, checked."""
        self.keys.encode(key)
        return self.bounded(key)

    def bounded(self, key: object) -> bytes:
        """The same, or of a prefix."""
        parts = key if isinstance(key, tuple | list) else (key,)
        at = order_key(self.table.key_columns, parts)
        if len(at) > key_bytes_max:
            raise LimitError("the key is too long", limit="key_bytes_max", value=key_bytes_max)
        return at

    def full(self, row: Row) -> Row:
        """A row as it is read back: every column, in Python's types."""
        return self.codec.decode_mapping(self.codec.encode_mapping(row))

    def key_of(self, row: Row) -> object:
        parts = tuple(row[column.name] for column in self.table.key_columns)
        return parts[0] if len(parts) == 1 else parts

    def verify(self) -> None:
        assert self.order == sorted(self.rows)
        for at, row in self.rows.items():
            assert at == self.bounded(self.key_of(row))


class Twin:
    """The database. The methods named `_…` below are what broken twins break."""

    def __init__(self, tables: Sequence[Table]) -> None:
        self.relations = {table.name: Relation(table) for table in tables}
        self.lsn = 0
        self.undo: list[tuple[Relation, bytes, Row | None, int]] = []

    @contextlib.contextmanager
    def transaction(self) -> Iterator[Twin]:
        self.undo.clear()
        try:
            yield self
        except BaseException:
            self._undo_to(0)
            raise
        self.lsn += bool(self.undo)

    @property
    def state_hash(self) -> bytes:
        """One hash of all rows and marks, whatever the way they came there."""
        state = hashlib.sha256()
        for name, relation in sorted(self.relations.items()):
            state.update(f"{name} {relation.mark}".encode())
            for at in sorted(relation.rows):
                state.update(relation.codec.encode_mapping(relation.rows[at]))
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
        order = self._between(relation, **options)
        for at in order[: options.get("limit")]:
            yield dict(relation.rows[at])

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
        for row in rows:
            relation.codec.encode_mapping(row)
        self._whole(rows, lambda row: self._insert(relation, row))

    def update_many(self, name: str, rows: Sequence[Row]) -> None:
        relation = self._relation(name)
        for row in rows:
            relation.codec.encode_mapping(row)
        self._whole(rows, lambda row: self._update(relation, row))

    def upsert_many(self, name: str, rows: Sequence[Row]) -> None:
        relation = self._relation(name)
        for row in rows:
            relation.codec.encode_mapping(row)
        self._whole(rows, lambda row: self._upsert(relation, row))

    def delete_many(self, name: str, keys: Sequence[object]) -> int:
        relation = self._relation(name)
        for key in keys:
            relation.keys.encode(key)
        return sum(self._whole(keys, lambda key: self._delete(relation, key)))

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
        return column.default

    def _check_nulls(self, relation: Relation, row: Row) -> None:
        for column in relation.table.columns:
            if not column.nullable and row[column.name] is None:
                raise NotNullError(f"{column.name} must not be null")

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
            raise DuplicateKeyError("there is one already")
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
        if new != old:
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
