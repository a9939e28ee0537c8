"""Values of the database as sqlite3 keeps them, and back."""

from __future__ import annotations

import json
import operator
from collections.abc import Callable
from datetime import datetime, timedelta
from decimal import Decimal
from uuid import UUID

from reifydb.engine.catalog import Column, Type
from reifydb.engine.json_values import JSON_NULL
from tests.histories.drawing import EPOCH, MICROSECOND


def canonical_json(value: object) -> str:
    """docs/formats.md, "Canonical JSON", by Python's own means."""
    kept = None if value is JSON_NULL else _without_negative_zeroes(value)
    return json.dumps(kept, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def _without_negative_zeroes(value: object) -> object:
    if isinstance(value, dict):
        return {key: _without_negative_zeroes(member) for key, member in value.items()}
    if isinstance(value, list | tuple):
        return [_without_negative_zeroes(member) for member in value]
    return value + 0.0 if isinstance(value, float) else value


def _micros(value: object) -> int:
    if isinstance(value, datetime):
        return (value - EPOCH) // MICROSECOND
    return operator.index(value)  # type: ignore[arg-type]


def _moment(value: int) -> object:
    try:
        return EPOCH + timedelta(microseconds=value)
    except OverflowError:
        return value


def write(column: Column, value: object) -> object:
    """A value as sqlite3 keeps it; null stays null."""
    if value is None:
        return None
    if column.type is Type.DECIMAL:
        return int(Decimal(value).scaleb(column.scale))  # type: ignore[arg-type]
    return _WRITE[column.type](value)


def read(column: Column, value: object) -> object:
    """What the database must answer for it."""
    if value is None:
        return None
    if column.type is Type.DECIMAL:
        return Decimal(value).scaleb(-column.scale)  # type: ignore[arg-type]
    return _READ[column.type](value)


def default(column: Column) -> object:
    """A column's default as sqlite3 keeps it: the catalog's own form is that."""
    if column.default is None or column.type in (Type.DECIMAL, Type.UUID, Type.JSON):
        return column.default
    return _WRITE[column.type](column.default)


def _json_of(text: str) -> object:
    value = json.loads(text)
    return JSON_NULL if value is None else value


_WRITE: dict[Type, Callable] = {  # type: ignore[type-arg]
    Type.BOOL: int,
    Type.INT: int,
    Type.FLOAT: lambda value: float(value) + 0.0,
    Type.TEXT: str,
    Type.BYTES: bytes,
    Type.TIMESTAMP: _micros,
    Type.UUID: lambda value: value.bytes,
    Type.JSON: canonical_json,
}
_READ: dict[Type, Callable] = {  # type: ignore[type-arg]
    **_WRITE,
    Type.BOOL: bool,
    Type.TIMESTAMP: _moment,
    Type.UUID: lambda value: UUID(bytes=value),
    Type.JSON: _json_of,
}
