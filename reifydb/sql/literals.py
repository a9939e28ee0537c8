"""Default values: from the literal in the syntax tree to the value kept, and back to SQL.

Kept is what `catalog.Value` says. Only literals are defaults; nothing is computed or cast.
"""

from __future__ import annotations

import json
import math
import re
from datetime import datetime, timedelta
from decimal import Decimal
from typing import NoReturn
from uuid import UUID

from sqlglot import exp

from reifydb.engine.catalog import Column, Type, Value
from reifydb.engine.json_values import JSON_NULL, json_bytes
from reifydb.engine.misfit import MisfitError
from reifydb.engine.values import EPOCH, INT_MAX, INT_MIN, decimal_slot, decimal_value

EXAMPLES = {
    Type.BOOL: "true or false",
    Type.INT: "a whole number such as -1",
    Type.FLOAT: "a number such as 1.5",
    Type.TEXT: "a string such as 'new'",
    Type.BYTES: "a string of hexadecimal digits such as '\\x00ff'",
    Type.TIMESTAMP: "a string such as '2024-01-31 12:00:00+00'",
    Type.DECIMAL: "a number such as 12.50",
    Type.UUID: "a string such as '3b241101-e2bb-4255-8caf-4136c566a962'",
    Type.JSON: "a string such as '{\"a\": [1, 2]}'",
}

_INT = re.compile(r"[0-9]+")
_NUMBER = re.compile(r"([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")
_UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_HEX = re.compile(r"\\x((?:[0-9a-fA-F]{2})*)")
_TIMESTAMP = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2})"
    r"(?:[T ]((?:[01][0-9]|2[0-3]):[0-5][0-9](?::[0-5][0-9](?:\.[0-9]{1,6})?)?)"
    r" ?(Z|[+-][0-9]{2}(?::?[0-9]{2})?)?)?"
)
_MICROSECOND = timedelta(microseconds=1)


class LiteralError(ValueError):
    """A literal that is not of its column's type; the text says why."""


def value(column: Column, node: exp.Expression) -> Value:
    """The value of a literal, for this column.

    Raises:
        LiteralError: Not a literal, not of this type, or out of its range.
    """
    negative = isinstance(node, exp.Neg)
    if isinstance(node, exp.Neg):
        node = node.this
        if not isinstance(node, exp.Literal) or node.is_string:
            raise LiteralError("only a number can be negative")
    if isinstance(node, exp.Null):
        return None
    if isinstance(node, exp.Boolean):
        if column.type != Type.BOOL:
            raise LiteralError("a bool")
        return bool(node.this)
    if not isinstance(node, exp.Literal):
        raise LiteralError("not a literal")
    text = str(node.this)
    if node.is_string:
        return _string(column.type, text)
    return _number(column, text, negative)


def sql(column: Column, kept: object) -> str:
    """The canonical literal of a value kept.

    Raises:
        ValueError: The value is not one that `value` gives for this type.
    """
    if kept is None:
        return "null"
    if column.type == Type.DECIMAL and isinstance(kept, int):
        return f"{decimal_value(kept, column.scale):f}"
    if column.type == Type.UUID and isinstance(kept, bytes):
        return f"'{UUID(bytes=kept)}'"
    if column.type == Type.TIMESTAMP and isinstance(kept, int):
        moment = EPOCH + kept * _MICROSECOND
        return "'" + moment.isoformat(" ").replace("+00:00", "+00") + "'"
    if isinstance(kept, bool):
        return "true" if kept else "false"
    if isinstance(kept, int | float):
        return repr(kept)
    if isinstance(kept, bytes):
        return f"'\\x{kept.hex()}'"
    if isinstance(kept, str):
        return quoted(kept)
    raise ValueError(f"{kept!r} is not a default of type {column.sql_type}")


def quoted(text: str) -> str:
    """A text as a literal."""
    return "'" + text.replace("'", "''") + "'"


def _number(column: Column, text: str, negative: bool) -> Value:
    type_, sign = column.type, "-" if negative else ""
    if type_ == Type.DECIMAL:
        if not _NUMBER.fullmatch(text):
            raise LiteralError("not a number")
        try:
            return decimal_slot(Decimal(sign + text), column.precision, column.scale)
        except MisfitError as error:
            raise LiteralError(f"not a {error.expected}") from None
    if type_ == Type.INT:
        if not _INT.fullmatch(text):
            raise LiteralError("not a whole number")
        digits = text.lstrip("0") or "0"
        if len(digits) > 19 or not INT_MIN <= int(sign + digits) <= INT_MAX:
            raise LiteralError("out of range: an int has 64 bits")
        return int(sign + digits)
    if type_ == Type.FLOAT:
        if not _NUMBER.fullmatch(text):
            raise LiteralError("not a number")
        number = float(sign + text)
        if not math.isfinite(number):
            raise LiteralError("out of range: a float is finite")
        return number + 0.0  # no negative zero
    raise LiteralError("a number")


def _string(type_: Type, text: str) -> Value:
    if type_ == Type.TEXT:
        return text
    if type_ == Type.BYTES:
        found = _HEX.fullmatch(text)
        if not found:
            raise LiteralError("not hexadecimal digits after \\x, two for each byte")
        return bytes.fromhex(found[1])
    if type_ == Type.TIMESTAMP:
        return _timestamp(text)
    if type_ == Type.UUID:
        if not _UUID.fullmatch(text):
            raise LiteralError("not a uuid, 32 hexadecimal digits and four hyphens")
        return UUID(text).bytes
    if type_ == Type.JSON:
        return _json(text)
    raise LiteralError("a string")


def _json(text: str) -> str:
    """Canonical text; numbers that a float would round are refused rather than rounded."""
    try:
        found = json.loads(
            text, object_pairs_hook=_members, parse_float=_float, parse_constant=_refuse_constant
        )
        return json_bytes(JSON_NULL if found is None else found).decode()
    except MisfitError as error:
        raise LiteralError(f"not {error.expected}") from None
    except (ValueError, RecursionError) as error:
        raise LiteralError(f"not JSON: {error}") from None


def _members(pairs: list[tuple[str, object]]) -> dict[str, object]:
    members = dict(pairs)
    if len(members) < len(pairs):
        raise ValueError("a key is there twice")
    return members


def _float(text: str) -> float:
    number = float(text)
    if not math.isfinite(number) or Decimal(repr(number)) != Decimal(text):
        raise ValueError(f"{text} has more digits than a float")
    return number + 0.0  # no negative zero


def _refuse_constant(text: str) -> NoReturn:
    raise ValueError(f"{text} is no JSON value")


def _timestamp(text: str) -> int:
    found = _TIMESTAMP.fullmatch(text)
    if not found:
        raise LiteralError("not a timestamp as ISO 8601 writes it")
    day, time, zone = found.groups()
    try:
        moment = datetime.fromisoformat(f"{day}T{time or '00:00'}{zone or 'Z'}")
        microseconds = (moment - EPOCH) // _MICROSECOND
        _ = EPOCH + microseconds * _MICROSECOND  # in UTC it must be within these years as well
    except (ValueError, OverflowError):
        raise LiteralError(
            "no such day, time or offset, or not within the years 1 to 9999"
        ) from None
    return microseconds
