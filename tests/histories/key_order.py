"""The order of keys, written down a second time: docs/formats.md, "Encoded key"."""

from __future__ import annotations

import struct
from collections.abc import Sequence

from reifydb.engine.catalog import Column, Type
from reifydb.engine.values import TO_TAIL, slot_writer

_SIGN = 1 << 63


def order_key(columns: Sequence[Column], values: Sequence[object]) -> bytes:
    """Bytes that compare as these values of a key, or of the first few of its columns, do."""
    return b"".join(map(_encoded, columns, values))


def index_order_key(
    columns: Sequence[Column], nullable: Sequence[bool], values: Sequence[object]
) -> bytes:
    """The same for columns of a secondary index: nulls come last."""
    encoded = b""
    for column, may_be_null, value in zip(columns, nullable, values, strict=False):
        if may_be_null:
            encoded += b"\x02" if value is None else b"\x01"
        if value is not None:
            encoded += _encoded(column, value)
    return encoded


def _encoded(column: Column, value: object) -> bytes:
    kind = column.type
    if kind is Type.UUID:
        return TO_TAIL[kind](value)
    if kind in TO_TAIL:
        return TO_TAIL[kind](value).replace(b"\0", b"\0\xff") + b"\0\0"
    slot = slot_writer(column)(value)
    if kind is Type.BOOL:
        return bytes([int(slot)])
    if kind is Type.FLOAT:
        (bits,) = struct.unpack(">Q", struct.pack(">d", slot))
        return struct.pack(">Q", bits ^ (_SIGN if bits < _SIGN else 2 * _SIGN - 1))
    return struct.pack(">Q", int(slot) + _SIGN)
