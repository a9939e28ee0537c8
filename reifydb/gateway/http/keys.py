"""Values in paths and query strings: text, typed by the column that they are for.

A key of several columns is several segments of a path: `/v1/tables/seat/3/12`. Each is unescaped
alone, so that a `/` in a text is `%2F`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from urllib.parse import unquote_to_bytes

from aiohttp import web

from reifydb.engine.catalog import Column, Type
from reifydb.errors import RequestError
from reifydb.gateway.http.forms import JSON
from reifydb.gateway.shapes import TableShape
from reifydb.wire.dialects import PLAIN
from reifydb.wire.words import plain_word

NULL = "null"


def path_key(request: web.Request, shape: TableShape) -> tuple[Any, ...]:
    """The key of a row in the path of a request.

    Raises:
        RequestError: It has too few or too many parts, or they are no text.
        WrongTypeError: One is not of its column's type.
    """
    segments = request.rel_url.raw_path.split("/")[4:]  # after "", v1, tables and its name
    columns = shape.handle.table.key_columns
    if len(segments) != len(columns):
        listed = "/".join(f"{{{column.name}}}" for column in columns)
        raise RequestError(
            f"the key of table {shape.handle.name} has {len(columns)} parts, not {len(segments)}",
            hint=f"/v1/tables/{shape.handle.name}/{listed}",
        )
    nullable = shape.handle.table.derived
    return tuple(
        None if nullable and is_null(segment, column) else value_of(unescaped(segment), column)
        for segment, column in zip(segments, columns, strict=True)
    )


def is_null(segment: str, column: Column) -> bool:
    """Whether a segment of a view's key is the word for null: where it is no text."""
    return segment == NULL and column.nullable and column.type not in (Type.TEXT, Type.JSON)


def unescaped(segment: str) -> str:
    """A segment of a path as text.

    Raises:
        RequestError: It is not UTF-8.
    """
    try:
        return unquote_to_bytes(segment).decode()
    except UnicodeDecodeError:
        raise RequestError(f"{segment:.40} is not UTF-8") from None


def bound_of(text: str, columns: Sequence[Column]) -> tuple[Any, ...]:
    """A bound of a scan: a value of the first column, or several in a JSON array.

    Raises:
        RequestError: It is malformed.
        WrongTypeError: A value is not of its column's type.
    """
    if not text.startswith("["):
        return (value_of(text, columns[0]),)
    values = JSON.read(text.encode("utf-8", "surrogatepass"))
    if not isinstance(values, list):
        raise RequestError("a bound is a value, or a JSON array of some")
    readers = [PLAIN.reader(column) for column in columns]
    read = [
        value if reader is None or value is None else reader(value)
        for value, reader in zip(values, readers, strict=False)
    ]
    return (*read, *values[len(read) :])


def value_of(text: str, column: Column) -> Any:
    """A value in a path or a query.

    Raises:
        WrongTypeError: It is not of the column's type.
    """
    value = plain_word(text, column)
    read = PLAIN.reader(column)
    return value if read is None else read(value)
