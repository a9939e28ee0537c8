"""One table of the twin."""

from __future__ import annotations

from bisect import bisect_left, insort
from typing import Any

from reifydb import Delta
from reifydb.config import key_bytes_max
from reifydb.engine.catalog import Column, Index, Table
from reifydb.engine.keys import KeyCodec
from reifydb.engine.rows import RowCodec
from reifydb.errors import LimitError
from tests.histories import oracle_values
from tests.histories.key_order import index_order_key, order_key

Row = dict[str, Any]


class Relation:
    """One table: rows by encoded key, and the encoded keys in order."""

    def __init__(self, table: Table) -> None:
        self.rows: dict[bytes, Row] = {}
        self.order: list[bytes] = []
        self.mark = 0
        self.kept: list[Delta] = []
        self.kept_after = 0  # all deltas after this lsn are kept
        self.told_lsn = 0
        self.describe(table)

    def describe(self, table: Table) -> None:
        """Gives it this schema; its rows are somebody else's business."""
        self.table, self.columns = table, {column.name: column for column in table.columns}
        self.keys = KeyCodec(table.key_columns, what=f"table {table.name}")
        self.codec = RowCodec(table.columns, what=f"table {table.name}")
        self.auto = None if table.auto is None else table.columns[table.auto].name

    def state(self) -> tuple[Table, dict[bytes, Row]]:
        """What a change of the schema may change, and `restore` puts back."""
        return self.table, dict(self.rows)

    def restore(self, state: tuple[Table, dict[bytes, Row]]) -> None:
        """Undoes a change of the schema."""
        table, self.rows = state
        self.describe(table)

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
            raise self.too_long()
        return at

    def index_key(self, index: Index, row: Row) -> bytes:
        """A row's key in a secondary index, the primary key behind it."""
        columns, nullable = self.index_columns(index)
        at = index_order_key(columns, nullable, [row[column.name] for column in columns])
        if len(at) > key_bytes_max:
            raise self.too_long(f" of index {index.name}")
        return at

    @staticmethod
    def too_long(whose: str = "") -> LimitError:
        return LimitError(f"the key{whose} is too long", limit="key_bytes_max", value=key_bytes_max)

    def index_columns(self, index: Index) -> tuple[list[Column], list[bool]]:
        """An index's columns, and which may be null."""
        columns = [self.table.columns[i] for i in index.columns]
        return columns, [
            c.nullable and i not in self.table.key
            for i, c in zip(index.columns, columns, strict=True)
        ]

    def full(self, row: Row) -> Row:
        """A row as it is read back: every column, in Python's types."""
        kept = {
            name: oracle_values.read(self.columns[name], oracle_values.write(self.columns[name], v))
            for name, v in row.items()
        }
        return self.codec.decode_mapping(self.codec.encode_mapping(kept))

    def key_of(self, row: Row) -> object:
        parts = tuple(row[column.name] for column in self.table.key_columns)
        return parts[0] if len(parts) == 1 else parts

    def verify(self) -> None:
        assert self.order == sorted(self.rows)
        for at, row in self.rows.items():
            assert at == self.bounded(self.key_of(row))
