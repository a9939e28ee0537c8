"""Values on the wire, in two dialects; docs/wire.md, "Values".

| type | `RAW` (msgpack) | `PLAIN` (JSON) |
|---|---|---|
| bool, text, float | themselves | themselves |
| int | int | int; beyond ±2^53 a string, for JSON's readers make doubles of numbers |
| bytes | bin | base64 |
| timestamp | int, microseconds since 1970 UTC | RFC 3339 in UTC |
| decimal | int, in units of 10^-scale | string |
| uuid | bin of 16 bytes | string |
| json | str, its canonical text | itself; null, and what has only a key `$json`: `{"$json": …}` |

`RAW` is what the kernel writes, so that its bytes pass through the server unchanged. A reader needs
the schema; `PLAIN` can be read without.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any, Protocol
from uuid import UUID

from reifydb.engine.catalog import Column, Type
from reifydb.engine.json_values import JSON_NULL, json_value
from reifydb.engine.values import decimal_value, timestamp_slot
from reifydb.errors import WrongTypeError

JSON_SAFE_INT = 1 << 53
"""Integers below this are exact in a double, which is all that many readers of JSON have."""

WRAPPER = "$json"
"""JSON's own null as the value of a column is wrapped in an object of this key, in `PLAIN`: null
alone means that there is no value. So is what looks like such an object."""

Convert = Callable[[Any], Any]


class Dialect(Protocol):
    """How values of a column are written and read. None stands for a value as it is."""

    name: str

    def writer(self, column: Column) -> Convert | None:
        """From Python to the wire."""

    def reader(self, column: Column) -> Convert | None:
        """From the wire to what `RowCodec` takes."""

    def raw_writer(self, column: Column) -> Convert | None:
        """From the kernel's chunks, which are `RAW`, to the wire."""


class _Raw:
    name = "msgpack"

    def writer(self, column: Column) -> Convert | None:
        match column.type:
            case Type.TIMESTAMP:
                return timestamp_slot
            case Type.DECIMAL:
                scale = column.scale
                return lambda value: int(value.scaleb(scale))
            case Type.UUID:
                return lambda value: value.bytes
            case Type.JSON:
                from reifydb.engine.json_values import json_bytes

                return lambda value: json_bytes(value).decode()
        return None

    def reader(self, column: Column) -> Convert | None:
        match column.type:
            case Type.DECIMAL:
                scale = column.scale
                return lambda units: decimal_value(_int(units, column), scale)
            case Type.UUID:
                return lambda data: _uuid_of(data, column)
            case Type.JSON:
                return lambda text: _json_of(text, column)
        return None

    def raw_writer(self, column: Column) -> Convert | None:
        del column
        return None


class _Plain:
    name = "json"

    def writer(self, column: Column) -> Convert | None:
        match column.type:
            case Type.INT:
                return _plain_int
            case Type.BYTES:
                return lambda data: base64.b64encode(data).decode()
            case Type.TIMESTAMP:
                return _plain_timestamp
            case Type.DECIMAL:
                return lambda value: format(value, "f")
            case Type.UUID:
                return str
            case Type.JSON:
                return wrapped_json
        return None

    def reader(self, column: Column) -> Convert | None:
        match column.type:
            case Type.INT:
                return lambda value: _int(value, column) if isinstance(value, str) else value
            case Type.BYTES:
                return lambda text: _bytes_of(text, column)
            case Type.TIMESTAMP:
                return lambda value: _moment_of(value, column)
            case Type.DECIMAL:
                return lambda value: _decimal_of(value, column)
            case Type.UUID:
                return lambda text: _uuid_of(text, column)
            case Type.JSON:
                return _unwrapped
        return None

    def raw_writer(self, column: Column) -> Convert | None:
        write = self.writer(column)
        match column.type:
            case Type.TIMESTAMP | Type.INT | Type.BYTES:
                return write
            case Type.DECIMAL:
                scale = column.scale
                return lambda units: format(decimal_value(units, scale), "f")
            case Type.UUID:
                return lambda data: str(UUID(bytes=data))
            case Type.JSON:
                return lambda text: wrapped_json(json_value(text.encode()))
        return None


RAW: Dialect = _Raw()
"""msgpack's."""

PLAIN: Dialect = _Plain()
"""JSON's."""


class Converter:
    """Converts rows of given columns; O(columns) to make, and costs nothing for plain ones."""

    __slots__ = ("_steps",)

    def __init__(
        self, columns: Sequence[Column], choose: Callable[[Column], Convert | None]
    ) -> None:
        found = [(i, choose(column)) for i, column in enumerate(columns)]
        self._steps = [(i, convert) for i, convert in found if convert is not None]

    @property
    def is_plain(self) -> bool:
        """There is nothing to convert."""
        return not self._steps

    def __call__(self, values: Sequence[Any]) -> Sequence[Any]:
        """The row converted. One that is too short or long is left for others to refuse."""
        if not self._steps:
            return values
        converted = list(values)
        for i, convert in self._steps:
            if i < len(converted) and converted[i] is not None:
                converted[i] = convert(converted[i])
        return converted


def _plain_int(value: int) -> int | str:
    return value if -JSON_SAFE_INT <= value <= JSON_SAFE_INT else str(value)


def _plain_timestamp(value: Any) -> str | int:
    """RFC 3339; microseconds where no calendar has the moment."""
    from reifydb.engine.values import timestamp_value

    moment = timestamp_value(value) if isinstance(value, int) else value
    if isinstance(moment, int):
        return _plain_int(moment)
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ").rjust(27, "0")


def wrapped_json(value: object) -> object:
    """A value of JSON as `PLAIN` writes it."""
    if value is JSON_NULL:
        return {WRAPPER: None}
    return {WRAPPER: value} if _is_wrapped(value) else value


def _unwrapped(value: object) -> object:
    if not _is_wrapped(value):
        return value
    assert isinstance(value, dict)
    return JSON_NULL if value[WRAPPER] is None else value[WRAPPER]


def _is_wrapped(value: object) -> bool:
    return isinstance(value, dict) and len(value) == 1 and WRAPPER in value


# ------------------------------------------------------------------ reading


def _wrong(column: Column, expected: str, value: object) -> WrongTypeError:
    shown = "a secret value" if column.secret else f"{value!r:.60}"
    return WrongTypeError(f"{column.name}: expected {expected}, got {shown}")


def _int(value: object, column: Column) -> int:
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if isinstance(value, str) and len(value) <= 20:
        digits = value[1:] if value[:1] == "-" else value
        if digits.isascii() and digits.isdigit():
            return int(value)
    raise _wrong(column, column.sql_type, value)


def _bytes_of(text: object, column: Column) -> bytes:
    if isinstance(text, str):
        try:
            return base64.b64decode(text, validate=True)
        except (binascii.Error, ValueError):
            pass
    raise _wrong(column, "bytes in base64", text)


def _moment_of(value: object, column: Column) -> datetime | int:
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if isinstance(value, str):
        if value.lstrip("-").isdigit():
            return _int(value, column)
        try:
            moment = datetime.fromisoformat(value)
        except ValueError:
            pass
        else:
            if moment.utcoffset() is not None:
                return moment
    raise _wrong(column, "a timestamp as in 2024-01-31T12:00:00Z", value)


def _decimal_of(value: object, column: Column) -> Decimal:
    if isinstance(value, str | int) and not isinstance(value, bool):
        try:
            return Decimal(value)
        except InvalidOperation:
            pass
    raise _wrong(column, f'{column.sql_type} as a string such as "12.50"', value)


def _uuid_of(value: object, column: Column) -> UUID:
    try:
        if isinstance(value, bytes):
            return UUID(bytes=value)
        if isinstance(value, str):
            return UUID(value)
    except ValueError:
        pass
    raise _wrong(column, "a uuid", value)


def _json_of(text: object, column: Column) -> object:
    if isinstance(text, str):
        try:
            return json_value(text.encode())
        except (ValueError, RecursionError):
            pass
    raise _wrong(column, "JSON as text", text)
