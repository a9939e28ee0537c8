"""Values as words: on a command line, in a path, in a query string. The column says what they are.

| type | word |
|---|---|
| text | itself |
| bool | `true`, `false` |
| int, decimal, uuid | as in SQL |
| float | as in Python, finite |
| timestamp | RFC 3339, or microseconds since 1970 UTC |
| bytes | base64 |
| json | JSON in `PLAIN`; `null` is JSON's own |
"""

from __future__ import annotations

import math
from typing import Any

from reifydb.engine.catalog import Column, Type
from reifydb.errors import WrongTypeError
from reifydb.wire.codecs import JsonCodec
from reifydb.wire.dialects import PLAIN, WRAPPER

_JSON = JsonCodec()


def plain_word(text: str, column: Column) -> Any:
    """The value in `PLAIN` that a word stands for.

    Raises:
        WrongTypeError: It is none of the column's type.
        RequestError: It should be JSON, and is not.
    """
    match column.type:
        case Type.TEXT:
            return text
        case Type.BOOL if text in ("true", "false"):
            return text == "true"
        case Type.FLOAT if (number := _float(text)) is not None:
            return number
        case Type.JSON:
            value = _JSON.decode(text)
            return {WRAPPER: None} if value is None else value
        case Type.BOOL | Type.FLOAT:
            raise wrong_word(text, column)
    read = PLAIN.reader(column)
    assert read is not None
    read(text)  # or raises
    return text


def wrong_word(text: str, column: Column) -> WrongTypeError:
    """The error for a word that is not of its column's type."""
    return WrongTypeError(f"{column.name}: expected {column.sql_type}, got {text!r:.60}")


def _float(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) and "_" not in text else None
