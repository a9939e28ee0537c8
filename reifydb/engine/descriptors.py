"""How the host describes tables, indexes and transitions to the kernel (docs/formats.md)."""

from __future__ import annotations

import struct
from collections.abc import Mapping

from reifydb.config import ModuleLimits
from reifydb.engine.catalog import Column, Index, Table, Transition, Type
from reifydb.engine.rows import row_codec
from reifydb.engine.values import default_value

_HEADER = struct.Struct("<IHHHHI")
_TRANSITION = struct.Struct("<IHHQQQ")
_INDEX = struct.Struct("<IHH")
_NO_AUTO = 0xFFFF
_NULLABLE, _DROPPED = 1, 2
_DERIVED, _MUST_BE_EMPTY, _GUARDED = 1, 2, 4


def table_descriptor(table: Table) -> bytes:
    """The descriptor of a table, its number and defaults included. O(columns).

    Columns of the primary key are described as not null, whatever they say; dropped columns stand
    where they are in stored rows.

    Raises:
        WrongTypeError: A default is not of its column's type.
    """
    shown, gone = len(table.columns), dict(table.dropped)
    places = table.places + tuple(range(shown, shown + len(table.hidden)))
    n, k = len(places) + len(gone), len(table.key)
    auto = _NO_AUTO if table.auto is None else places[table.auto]
    columns = dict(zip(places, (*table.columns, *table.hidden), strict=True))
    keys = set() if table.derived else {places[i] for i in table.key}
    flags = _DERIVED if table.derived else 0
    if table.view is not None and table.view.assertion:
        flags |= _MUST_BE_EMPTY
    if table.primitive is not None:
        flags |= _GUARDED
    head = _HEADER.pack(table.number, n, k, auto, flags, 0)
    head += bytes(gone[at] if at in gone else columns[at].code for at in range(n))
    head += bytes(_flags(columns.get(at), is_key=at in keys) for at in range(n - len(table.hidden)))
    head += bytes(_flags(column, is_key=False) | _DROPPED for column in table.hidden)
    head += bytes(len(head) % 2) + struct.pack(f"<{k}H", *(places[i] for i in table.key))
    head += bytes(-len(head) % 8)
    return head + _defaults(table, columns, n)


def _flags(column: Column | None, *, is_key: bool) -> int:
    if column is None:
        return _NULLABLE | _DROPPED
    return _NULLABLE if column.nullable and not is_key else 0


def _defaults(table: Table, columns: Mapping[int, Column], count: int) -> bytes:
    """A row of all columns; those that were dropped are null."""
    nothing = Column("dropped", Type.INT)
    codec = row_codec(
        [columns.get(at, nothing) for at in range(count)], what=f"defaults of table {table.name}"
    )
    return codec.encode(
        [default_value(columns[at]) if at in columns else None for at in range(count)]
    )


def transition_descriptor(transition: Transition, limits: ModuleLimits) -> bytes:
    """What the kernel must know of a transition: its types, its limits, its name."""
    params, result = transition.params, transition.result
    flags = int(transition.query) | (2 if any(c.secret for c in params) else 0)
    flags |= 4 if transition.result_is_row else 0
    head = _TRANSITION.pack(
        flags,
        len(params),
        len(result),
        limits.rows_written_max,
        limits.rows_scanned_max,
        limits.result_bytes_max,
    )
    name = f"{transition.module}.{transition.name}".encode()
    return head + _types(params) + _types(result) + name


def _types(columns: tuple[Column, ...]) -> bytes:
    return bytes(c.code for c in columns) + bytes(c.nullable for c in columns)


def index_descriptor(table: Table, index: Index) -> bytes:
    """The descriptor of an index (docs/formats.md, "Index descriptor")."""
    places = [table.places[i] for i in index.columns]
    head = _INDEX.pack(index.number, int(index.unique), len(places))
    return head + struct.pack(f"<{len(places)}H", *places)
