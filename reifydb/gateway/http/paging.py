"""A page of a table that a client asks for with the parameters of a URL."""

from __future__ import annotations

from typing import Any

from aiohttp import web

from reifydb.config import scan_rows_max
from reifydb.database import Database
from reifydb.errors import RequestError
from reifydb.gateway.http.exchange import flag
from reifydb.gateway.http.keys import bound_of
from reifydb.gateway.pages import Page, page_of
from reifydb.gateway.shapes import TableShape

PAGE_ROWS = 100
"""Rows of a page, unless a client wants another number."""

PARAMETERS = "index lower upper lower_exclusive upper_exclusive limit reverse cursor ack".split()


class Paging:
    """One page, as it is asked for.

    Raises:
        RequestError: A parameter is malformed.
        UnknownNameError: There is no such index.
    """

    def __init__(self, request: web.Request, shape: TableShape) -> None:
        query = request.query
        self._shape, self._cursor = shape, query.get("cursor")
        self._limit = _limit(query.get("limit"))
        index = query.get("index")
        columns = shape.columns_of_index(index)
        self._options: dict[str, Any] = {"index": index, "reverse": flag(request, "reverse")}
        for bound in ("lower", "upper"):
            if bound in query:
                self._options[bound] = bound_of(query[bound], columns)
                self._options[f"{bound}_exclusive"] = flag(request, f"{bound}_exclusive")

    def page(self, db: Database) -> Page:
        """The rows."""
        return page_of(db, self._shape, self._options, self._limit, self._cursor)


def _limit(text: str | None) -> int:
    if text is None:
        return PAGE_ROWS
    if text.isascii() and text.isdigit() and len(text) < 10 and 1 <= int(text) <= scan_rows_max:
        return int(text)
    raise RequestError(f"limit={text!r:.40} is not 1 to {scan_rows_max:,} (scan_rows_max)")
