"""The order of keys, written down a second time: docs/formats.md, "Encoded key"."""

from __future__ import annotations

import struct
from collections.abc import Sequence

from reifydb.engine.catalog import Column, Type
from reifydb.engine.values import TO_SLOT, TO_TAIL

_SIGN = 1 << 63


def order_key(columns: Sequence[Column], values: Sequence[object]) -> bytes:
    """Bytes that compare as these values of a key, or of the first few of its columns, do."""
    return b"".join(
        _encoded(column.type, value) for column, value in zip(columns, values, strict=False)
    )


def _encoded(kind: Type, value: object) -> bytes:
    if kind in TO_TAIL:
        return TO_TAIL[kind](value).replace(b"\0", b"\0\xff") + b"\0\0"
    slot = TO_SLOT[kind](value)
    if kind is Type.BOOL:
        return bytes([int(slot)])
    if kind is Type.FLOAT:
        (bits,) = struct.unpack(">Q", struct.pack(">d", slot))
        return struct.pack(">Q", bits ^ (_SIGN if bits < _SIGN else 2 * _SIGN - 1))
    return struct.pack(">Q", int(slot) + _SIGN)
