"""Scans a page at a time, over HTTP and WebSocket alike. A cursor says where the row stands that
came last, and the next page begins behind that place: rows that come or go in the meantime make no
other row appear twice or be left out.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, NamedTuple

import msgpack

from reifydb.config import page_bytes_max
from reifydb.database import Database
from reifydb.errors import ReifyDBError, RequestError
from reifydb.gateway.shapes import TableShape
from reifydb.wire.dialects import RAW, Converter

Row = Mapping[str, object]


class Page(NamedTuple):
    """Rows, and the cursor of those behind them; None when there are none."""

    rows: list[Row]
    next: str | None


def page_of(
    db: Database, shape: TableShape, options: Mapping[str, Any], limit: int, cursor: object
) -> Page:
    """A page, all of one moment. O(log rows + page).

    Args:
        options: Of `Database.scan`, without `limit`; the same for each page.
        cursor: `next` of the page before; None for the first one.

    Raises:
        RequestError: The cursor is none of this scan's.
    """
    place = _Place(shape, options.get("index"))
    behind = None if cursor is None else place.read(cursor)
    if not limit:
        return Page([], None)
    with db.transaction(query=True) as tx:
        scanned = tx._scan_behind(shape.handle, behind, {**options, "limit": limit + 1})
        rows = list(_fitting(shape, islice(scanned, limit)))
        more = next(scanned, None) is not None
    following = place.cursor(rows[-1]) if more else None
    if shape.handle.stored is not None:
        rows = [{name: row[name] for name in shape.handle.names} for row in rows]
    return Page(rows, following)


def _fitting(shape: TableShape, rows: Iterator[Row]) -> Iterator[Row]:
    """As many of them as a page has: with the row that reaches the limit it ends."""
    size = 0
    for row in rows:
        yield row
        size += shape.size_of(row)
        if size >= page_bytes_max:
            return


class _Place:
    """Where a row stands in an order: its values in an index's columns, then its primary key."""

    def __init__(self, shape: TableShape, index: str | None) -> None:
        key = shape.handle.table.key_columns
        columns = key if index is None else (*shape.columns_of_index(index), *key)
        self._columns = columns
        self._write = Converter(columns, RAW.writer)
        self._read = Converter(columns, RAW.reader)

    def cursor(self, row: Row) -> str:
        """The cursor of what is behind this row."""
        content = list(self._write([row[column.name] for column in self._columns]))
        return base64.urlsafe_b64encode(msgpack.packb(content)).decode().rstrip("=")

    def read(self, cursor: object) -> Sequence[Any]:
        """The place that a cursor says.

        Raises:
            RequestError: It is none, or of another scan.
        """
        try:
            if not isinstance(cursor, str):
                raise TypeError("no text")
            padded = cursor + "=" * (-len(cursor) % 4)
            content = msgpack.unpackb(base64.urlsafe_b64decode(padded.encode()))
            if not isinstance(content, list) or len(content) != len(self._columns):
                raise ValueError("of another scan")
            for value, column in zip(content, self._columns, strict=True):
                if value is None and not column.nullable:
                    raise ValueError("no key has nulls")
            return self._read(content)
        except (ReifyDBError, ValueError, TypeError, msgpack.UnpackException):
            raise RequestError("the cursor is none of this scan's") from None
