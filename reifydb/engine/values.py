"""One value on its way between Python and a column's slot.

| type | written from | read as |
|---|---|---|
| bool | `bool` | `bool` |
| int | whatever has `__index__`, so `bool` too; 64 bits | `int` |
| float | `float`, or whatever has `__index__`; finite; −0.0 becomes 0.0 | `float` |
| text | `str` without lone surrogates | `str` |
| bytes | `bytes`, `bytearray`, `memoryview` | `bytes` |
| timestamp | `datetime` with a time zone, or microseconds since 1970 UTC | `datetime` in UTC |
| decimal(p,s) | `Decimal` or `int` that it holds exactly: nothing is rounded | `Decimal` |
| uuid | `UUID` | `UUID` |
| json | `dict`, `list`, `str`, `int`, `float`, `bool`, `JSON_NULL` | the same |

A timestamp that `datetime` cannot hold (before year 1, after year 9999) is read as its number of
microseconds: reading never fails. Null is `None`; rows.py handles it, nothing here does.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Context, Decimal
from uuid import UUID

from reifydb.engine.catalog import Column, Type
from reifydb.engine.json_values import json_bytes, json_value
from reifydb.engine.misfit import MisfitError

Buffer = bytes | bytearray | memoryview
"""What values are read from."""

INT_MIN, INT_MAX = -(1 << 63), (1 << 63) - 1
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

_MICROSECOND = timedelta(microseconds=1)
_INT_RANGE = f"int from {INT_MIN} to {INT_MAX}"
_FINITE = "finite float (no NaN, no infinity)"


def bool_slot(value: object) -> int:
    """The slot of a bool: 0 or 1.

    Raises:
        MisfitError: It is not a `bool`; 0 and 1 are not accepted.
    """
    if value is True:
        return 1
    if value is False:
        return 0
    raise MisfitError("bool", value)


def int_slot(value: object) -> int:
    """The slot of an int.

    Raises:
        MisfitError: It has no `__index__` or needs more than 64 bits.
    """
    try:
        number = operator.index(value)  # type: ignore[arg-type]  # the error is the answer
    except TypeError:
        raise MisfitError("int", value) from None
    if INT_MIN <= number <= INT_MAX:
        return number
    raise MisfitError(_INT_RANGE, number)


def float_slot(value: object) -> float:
    """The slot of a float, −0.0 made 0.0.

    Raises:
        MisfitError: Neither float nor int, or not finite.
    """
    if isinstance(value, float):
        number = float(value)
    else:
        try:
            number = float(operator.index(value))  # type: ignore[arg-type]
        except TypeError:
            raise MisfitError("float", value) from None
        except OverflowError:
            raise MisfitError(_FINITE, value) from None
    if math.isfinite(number):
        return number + 0.0
    raise MisfitError(_FINITE, value)


def text_bytes(value: object) -> bytes:
    """The UTF-8 of a text.

    Raises:
        MisfitError: It is not a `str`, or has a lone surrogate.
    """
    if not isinstance(value, str):
        raise MisfitError("text", value)
    try:
        return value.encode()
    except UnicodeEncodeError as error:
        code = f"U+{ord(value[error.start]):04X}"
        found = f"str with the lone surrogate {code} at position {error.start}"
        raise MisfitError("text", value, found=found) from None


def bytes_bytes(value: object) -> bytes:
    """The bytes of a bytes value.

    Raises:
        MisfitError: Neither `bytes` nor `bytearray` nor `memoryview`.
    """
    if isinstance(value, bytes | bytearray | memoryview):
        return bytes(value)
    hint = "encode it first" if isinstance(value, str) else ""
    raise MisfitError("bytes", value, hint=hint)


def timestamp_slot(value: object) -> int:
    """Microseconds since 1970-01-01T00:00:00Z.

    Raises:
        MisfitError: Neither `datetime` nor int, a `datetime` without time zone, over 64 bits.
    """
    if isinstance(value, datetime):
        if value.utcoffset() is None:
            hint = "give it a time zone, for example value.replace(tzinfo=datetime.UTC)"
            raise MisfitError("timestamp with a time zone", value, hint=hint)
        return (value - EPOCH) // _MICROSECOND
    if isinstance(value, bool):
        raise MisfitError("timestamp", value)
    try:
        return int_slot(value)
    except MisfitError as error:
        if error.expected == "int":
            hint = "a datetime with a time zone, or microseconds since 1970 UTC"
            raise MisfitError("timestamp", value, hint=hint) from None
        raise MisfitError("timestamp in 64 bits of microseconds", value) from None


def timestamp_value(slot: int) -> datetime | int:
    """The `datetime` in UTC; the microseconds themselves when `datetime` cannot hold them."""
    try:
        return EPOCH + timedelta(microseconds=slot)
    except OverflowError:
        return slot


# ------------------------------------------------------------------ decimals

_EXACT = Context(prec=40)


def decimal_slot(value: object, precision: int, scale: int) -> int:
    """How many units of 10^-scale a decimal is.

    Raises:
        MisfitError: Neither `Decimal` nor int, not finite, or it has more digits than fit.
    """
    expected = f"decimal({precision},{scale})"
    unit: int = 10**scale
    bound: int = 10**precision
    units: int
    if not isinstance(value, Decimal):
        hint = "decimal.Decimal(…); a float is not exact" if isinstance(value, float) else ""
        if isinstance(value, bool):
            raise MisfitError(expected, value)
        try:
            units = operator.index(value) * unit  # type: ignore[arg-type]
        except TypeError:
            raise MisfitError(expected, value, hint=hint) from None
    else:
        units = _units(value, precision, scale, expected)
    if abs(units) >= bound:
        most = Decimal(bound - 1).scaleb(-scale, _EXACT)
        raise MisfitError(f"{expected}, from -{most} to {most}", value)
    return units


def _units(value: Decimal, precision: int, scale: int, expected: str) -> int:
    units: int
    if not value.is_finite():
        raise MisfitError(f"{expected} (no NaN, no infinity)", value)
    if not value:
        return 0
    if value.adjusted() >= precision:  # also keeps the next step small
        units = 10**precision
        return units
    sign, digits, exponent = value.as_tuple()
    assert isinstance(exponent, int)
    shift = exponent + scale
    number = int("".join(map(str, digits)))
    if shift >= 0:
        units = number * 10**shift
    else:
        units, rest = divmod(number, 10 ** min(-shift, len(digits) + 1))
        if rest:
            hint = "round it first: value.quantize(…)"
            raise MisfitError(f"{expected}, {scale} digits behind the point", value, hint=hint)
    return -units if sign else units


def decimal_value(slot: int, scale: int) -> Decimal:
    """The decimal of a number of units, with exactly `scale` digits behind the point."""
    return Decimal(slot).scaleb(-scale, _EXACT)


# ------------------------------------------------------------------ uuids


def uuid_bytes(value: object) -> bytes:
    """The 16 bytes of a uuid.

    Raises:
        MisfitError: It is not a `UUID`.
    """
    if isinstance(value, UUID):
        return value.bytes
    hint = "uuid.UUID(…)" if isinstance(value, str | bytes) else ""
    raise MisfitError("uuid", value, hint=hint)


def _uuid_value(data: Buffer) -> UUID:
    return UUID(bytes=bytes(data))


def _text_value(data: Buffer) -> str:
    return str(data, "utf-8")


# ------------------------------------------------------------------ by column

TO_SLOT: dict[Type, Callable[[object], int] | Callable[[object], float]] = {
    Type.BOOL: bool_slot,
    Type.INT: int_slot,
    Type.FLOAT: float_slot,
    Type.TIMESTAMP: timestamp_slot,
}
"""Types whose value is in the slot itself; decimals, which need their scale, besides."""

TO_TAIL: dict[Type, Callable[[object], bytes]] = {
    Type.TEXT: text_bytes,
    Type.BYTES: bytes_bytes,
    Type.UUID: uuid_bytes,
    Type.JSON: json_bytes,
}
"""Types whose bytes are in the row's tail."""

FROM_TAIL: dict[Type, Callable[[Buffer], object]] = {
    Type.TEXT: _text_value,
    Type.BYTES: bytes,
    Type.UUID: _uuid_value,
    Type.JSON: json_value,
}
"""The way back."""


def slot_writer(column: Column) -> Callable[[object], int] | Callable[[object], float]:
    """What makes a slot of a value of this column, which must be one of those without a tail."""
    if column.type is Type.DECIMAL:
        precision, scale = column.precision, column.scale
        return lambda value: decimal_slot(value, precision, scale)
    return TO_SLOT[column.type]


def slot_reader(column: Column) -> Callable[[int], object] | None:
    """What makes a value of a slot of this column; None when the slot is the value."""
    match column.type:
        case Type.BOOL:
            return bool
        case Type.TIMESTAMP:
            return timestamp_value
        case Type.DECIMAL:
            scale = column.scale
            return lambda slot: decimal_value(slot, scale)
    return None


def kept_default(column: Column, value: object) -> object:
    """A default in Python as the catalog keeps it: the way back of `default_value`.

    Raises:
        MisfitError: It is not of the column's type.
    """
    match column.type:
        case Type.JSON:
            return json_bytes(value).decode()
        case Type.UUID:
            return uuid_bytes(value)
        case Type.TIMESTAMP | Type.DECIMAL:
            return slot_writer(column)(value)
    return value


def default_value(column: Column) -> object:
    """A column's default in Python."""
    kept = column.default
    match column.type, kept:
        case Type.TIMESTAMP, int():
            return timestamp_value(kept)
        case Type.DECIMAL, int():
            return decimal_value(kept, column.scale)
        case Type.UUID, bytes():
            return UUID(bytes=kept)
        case Type.JSON, str():
            return json_value(kept.encode())
    return kept
