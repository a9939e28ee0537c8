"""Scans a page at a time. A cursor says which row came last, and the next page begins behind it:
rows that come or go in the meantime make no row appear twice or be left out.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

import msgpack
from aiohttp import web

from reifydb.config import page_bytes_max, scan_rows_max, scan_skipped_max
from reifydb.database import Database
from reifydb.database.tables import TableHandle
from reifydb.engine.catalog import Column
from reifydb.errors import LimitError, ReifyDBError, RequestError
from reifydb.gateway.http.exchange import flag
from reifydb.gateway.http.keys import bound_of
from reifydb.gateway.shapes import TableShape
from reifydb.wire.dialects import RAW, Converter

PAGE_ROWS = 100
"""Rows of a page, unless a client wants another number."""

PARAMETERS = "index lower upper lower_exclusive upper_exclusive limit reverse cursor ack".split()

Row = Mapping[str, object]


class Paging:
    """One page of a table that a client asks for.

    Raises:
        RequestError: A parameter is malformed.
        UnknownNameError: There is no such index, or parameter.
    """

    def __init__(self, request: web.Request, shape: TableShape) -> None:
        self._handle: TableHandle = shape.handle
        self._size_of = shape.size_of
        query, table = request.query, shape.handle.table
        self._index = query.get("index")
        self._key = Place(table.key_columns)
        self._columns = Place(shape.columns_of_index(self._index))
        self._reverse = flag(request, "reverse")
        self._limit = _limit(query.get("limit"))
        self._options: dict[str, Any] = {"index": self._index, "reverse": self._reverse}
        for bound in ("lower", "upper"):
            if bound in query:
                self._options[bound] = bound_of(query[bound], self._columns.columns)
                self._options[f"{bound}_exclusive"] = flag(request, f"{bound}_exclusive")
        self._after = self._continued(query["cursor"]) if "cursor" in query else None

    def page(self, db: Database) -> tuple[list[Row], str | None]:
        """The rows, and the cursor of those behind them; None when there are none.

        Raises:
            LimitError: Too many rows with one value in the index stand before it.
        """
        with db.transaction(query=True) as tx:
            rows = self._unseen(tx.scan(self._handle.name, **self._options))
            page = list(self._fitting(rows))
            more = next(rows, None) is not None
        return page, self._cursor(page[-1]) if more else None

    def _fitting(self, rows: Iterator[Row]) -> Iterator[Row]:
        """As many of them as a page has."""
        size = 0
        for row in islice(rows, self._limit):
            yield row
            size += self._size_of(row)
            if size >= page_bytes_max:
                return

    def _unseen(self, rows: Iterator[Row]) -> Iterator[Row]:
        """The rows behind the cursor. Only an index has rows before it: those with its value."""
        if self._index is None or self._after is None:
            yield from rows
            return
        columns, key = self._after
        skipped = 0
        for row in rows:
            if self._columns.raw(row) == columns and self._is_seen(self._key.raw(row), key):
                skipped += 1
                if skipped > scan_skipped_max:
                    raise LimitError(
                        "too many rows have one value in the index",
                        limit="scan_skipped_max",
                        value=scan_skipped_max,
                        hint="page by primary key",
                    )
                continue
            yield row
            yield from rows
            return

    def _is_seen(self, key: list[Any], last: list[Any]) -> bool:
        return key >= last if self._reverse else key <= last

    def _cursor(self, row: Row) -> str:
        content = [self._columns.raw(row), self._key.raw(row)]
        return base64.urlsafe_b64encode(msgpack.packb(content)).decode().rstrip("=")

    def _continued(self, cursor: str) -> tuple[list[Any], list[Any]]:
        """Begins behind a cursor.

        Raises:
            RequestError: It is none, or of another scan.
        """
        try:
            padded = cursor + "=" * (-len(cursor) % 4)
            content = msgpack.unpackb(base64.urlsafe_b64decode(padded.encode()))
            columns, key = content
            start, _ = self._columns.read(columns), self._key.read(key)
        except (ReifyDBError, ValueError, TypeError, msgpack.UnpackException):
            raise RequestError("the cursor is none of this scan's") from None
        bound = "upper" if self._reverse else "lower"
        self._options[bound] = start
        self._options[f"{bound}_exclusive"] = self._index is None
        return columns, key


class Place:
    """Where a row stands in an order: its values in some columns, such that they can be compared
    and travel.
    """

    def __init__(self, columns: Sequence[Column]) -> None:
        self.columns = columns
        self._names = [column.name for column in columns]
        self._write = Converter(columns, RAW.writer)
        self._read = Converter(columns, RAW.reader)

    def raw(self, row: Row) -> list[Any]:
        """A row's."""
        return list(self._write([row[name] for name in self._names]))

    def read(self, raw: Any) -> tuple[Any, ...]:
        """The same as the database takes it.

        Raises:
            RequestError: It is none.
        """
        if not isinstance(raw, list) or len(raw) != len(self.columns):
            raise RequestError("a place has a value for each column")
        return tuple(self._read(raw))


def _limit(text: str | None) -> int:
    if text is None:
        return PAGE_ROWS
    if text.isascii() and text.isdigit() and len(text) < 10 and 1 <= int(text) <= scan_rows_max:
        return int(text)
    raise RequestError(f"limit={text!r:.40} is not 1 to {scan_rows_max:,} (scan_rows_max)")
