"""How the host describes a table to the kernel: docs/formats.md, "Table descriptor"."""

from __future__ import annotations

import struct

from reifydb.engine.catalog import Table
from reifydb.engine.rows import row_codec

_HEADER = struct.Struct("<IHHHHI")
_NO_AUTO = 0xFFFF
_NULLABLE = 1


def table_descriptor(table: Table) -> bytes:
    """The descriptor of a table, its number and defaults included. O(columns).

    Columns of the primary key are described as not null, whatever they say.

    Raises:
        WrongTypeError: A default is not of its column's type.
    """
    n, k = len(table.columns), len(table.key)
    auto = _NO_AUTO if table.auto is None else table.auto
    head = _HEADER.pack(table.number, n, k, auto, 0, 0)
    head += bytes(column.type for column in table.columns)
    head += bytes(
        _NULLABLE if column.nullable and i not in table.key else 0
        for i, column in enumerate(table.columns)
    )
    head += bytes(len(head) % 2) + struct.pack(f"<{k}H", *table.key)
    head += bytes(-len(head) % 8)
    codec = row_codec(table.columns, what=f"defaults of table {table.name}")
    return head + codec.encode([column.default for column in table.columns])
