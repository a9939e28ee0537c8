"""One value on its way between Python and a column's slot.

| type | written from | read as |
|---|---|---|
| bool | `bool` | `bool` |
| int | whatever has `__index__`, so `bool` too; 64 bits | `int` |
| float | `float`, or whatever has `__index__`; finite; −0.0 becomes 0.0 | `float` |
| text | `str` without lone surrogates | `str` |
| bytes | `bytes`, `bytearray`, `memoryview` | `bytes` |
| timestamp | `datetime` with a time zone, or microseconds since 1970 UTC | `datetime` in UTC |

A timestamp that `datetime` cannot hold (before year 1, after year 9999) is read as its number of
microseconds: reading never fails. Null is `None`; rows.py handles it, nothing here does.
"""

from __future__ import annotations

import math
import operator
import reprlib
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from reifydb.engine.catalog import Type

INT_MIN, INT_MAX = -(1 << 63), (1 << 63) - 1
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

_MICROSECOND = timedelta(microseconds=1)
_INT_RANGE = f"int from {INT_MIN} to {INT_MAX}"
_FINITE = "finite float (no NaN, no infinity)"

_short = reprlib.Repr()
_short.maxstring = _short.maxother = 40
_short.maxlevel = 2


class MisfitError(ValueError):
    """A value does not fit a type. `expected` and `got` are for people; `hint` may be empty."""

    def __init__(self, expected: str, value: object, *, found: str = "", hint: str = "") -> None:
        super().__init__(expected)
        self.expected, self.value, self.found, self.hint = expected, value, found, hint

    def got(self, *, secret: bool = False) -> str:
        """What was there instead, shortened; a secret value is not shown."""
        name = type(self.value).__name__
        return f"{name} (secret)" if secret else self.found or describe(self.value)


def describe(value: object) -> str:
    """Type and shortened value, as error messages show them: `str 'x'`, `null`."""
    if value is None:
        return "null"
    name = type(value).__name__
    if isinstance(value, int) and value.bit_length() > 128:
        return f"{name} of {value.bit_length():,} bits"
    return f"{name} {_short.repr(value)}"


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


TO_SLOT: dict[Type, Callable[[object], int] | Callable[[object], float]] = {
    Type.BOOL: bool_slot,
    Type.INT: int_slot,
    Type.FLOAT: float_slot,
    Type.TIMESTAMP: timestamp_slot,
}
"""Types whose value is in the slot itself."""

TO_TAIL: dict[Type, Callable[[object], bytes]] = {Type.TEXT: text_bytes, Type.BYTES: bytes_bytes}
"""Types whose bytes are in the row's tail."""
