"""Rows as chunks carry them, and in Python (docs/formats.md, "Chunks").

Numbers are numbers there: timestamps in microseconds, decimals in their unit; uuids are 16 bytes,
JSON its text.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple
from uuid import UUID

from reifydb.database.outbox import Chunk
from reifydb.engine.catalog import Column, Table, Type
from reifydb.engine.json_values import json_value
from reifydb.engine.values import decimal_value, timestamp_value

_COUNT = struct.Struct(">BI")
_ARRAY = 0xDD


class Entry(NamedTuple):
    """One entry of a chunk: 0 delete, 1 insert, 2 update; key and row as they came."""

    op: int
    key: tuple[Any, ...]
    row: tuple[Any, ...] | None


class WireRows:
    """Reads the rows of one table; O(columns) to make."""

    def __init__(self, table: Table) -> None:
        self._names = [column.name for column in table.columns]
        self._readers = readers(table.columns)
        self._key_readers = readers(table.key_columns)

    def entries(self, chunk: Chunk) -> Iterator[Entry]:
        """The entries of a chunk."""
        import msgpack

        whole = _COUNT.pack(_ARRAY, chunk.changes) + chunk.body
        return map(Entry._make, msgpack.unpackb(whole, use_list=False))

    def row(self, values: Any) -> dict[str, object]:
        """A row by name."""
        return dict(zip(self._names, read(values, self._readers), strict=True))

    def key(self, values: Sequence[Any]) -> object:
        """A key: bare when it is of one column, else a tuple."""
        found = read(values, self._key_readers)
        return found[0] if len(found) == 1 else tuple(found)

    def in_order(self, keys: Mapping[Any, object]) -> Iterable[Any]:
        """Keys in the order of the primary key. They compare as the index does: numbers by value,
        text by code point (so does its UTF-8), bytes byte by byte; nulls, which only views have in
        their keys, come last.
        """
        return sorted(keys, key=_order)


def _order(key: tuple[Any, ...]) -> tuple[tuple[bool, Any], ...]:
    return tuple((part is None, part) for part in key)


Readers = Sequence[tuple[int, Callable[[Any], object]]]
"""The columns whose values are not what they are in Python, and what makes them that."""


def readers(columns: Sequence[Column]) -> Readers:
    """What `read` needs for rows of these columns."""
    found = [(i, _reader(column)) for i, column in enumerate(columns)]
    return [(i, reader) for i, reader in found if reader is not None]


def _reader(column: Column) -> Callable[[Any], object] | None:
    match column.type:
        case Type.TIMESTAMP:
            return timestamp_value
        case Type.DECIMAL:
            scale = column.scale
            return lambda units: decimal_value(units, scale)
        case Type.UUID:
            return lambda data: UUID(bytes=data)
        case Type.JSON:
            return lambda text: json_value(text.encode())
    return None


def read(values: Sequence[object], readers: Readers) -> list[object]:
    """The values of a row as they are in Python."""
    found = list(values)
    for i, reader in readers:
        if found[i] is not None:
            found[i] = reader(found[i])
    return found
