"""ETags of rows: what `If-Match` and `If-None-Match` are compared with.

A row's ETag is made of the row alone, so that it is the same after a restart, and again the same
when the row has become what it was: what an update that was made for this row needs to know.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping

from aiohttp import web

from reifydb.database.tables import TableHandle
from reifydb.errors import PreconditionFailedError, RequestError

DIGEST_BYTES = 16

_LIST = re.compile(r'\s*(?:W/)?"([^"]*)"\s*(?:,|$)')


def etag_of(handle: TableHandle, row: Mapping[str, object]) -> str:
    """The ETag of a row: 128 bits of the SHA-256 of its columns' names and its canonical bytes."""
    digest = hashlib.sha256("\0".join(handle.names).encode())
    digest.update(handle.rows.encode(tuple(row.values())))
    return digest.hexdigest()[: 2 * DIGEST_BYTES]


class Precondition:
    """What a request wants a row to be before it is changed, or not to be before it is sent.

    Raises:
        RequestError: A header is malformed.
    """

    def __init__(self, request: web.Request) -> None:
        self._match = _tags(request.headers.getall("If-Match", ()), "If-Match")
        self._none = _tags(request.headers.getall("If-None-Match", ()), "If-None-Match")

    def check(self, etag: str | None) -> None:
        """Before a change, in its transaction. `etag` is the row's; None: there is none.

        Raises:
            PreconditionFailedError: It is not as it should be.
        """
        if self._match is not None and not _holds(self._match, etag):
            said = "there is no such row" if etag is None else "the row has changed"
            raise PreconditionFailedError(f"{said} (If-Match)", hint="read it again")
        if self.unchanged(etag):
            said = "there is such a row" if "*" in (self._none or ()) else "the row is this one"
            raise PreconditionFailedError(f"{said} (If-None-Match)")

    def unchanged(self, etag: str | None) -> bool:
        """Whether a reader has this row already."""
        return self._none is not None and _holds(self._none, etag)


def _holds(tags: frozenset[str], etag: str | None) -> bool:
    return etag is not None and ("*" in tags or etag in tags)


def _tags(values: tuple[str, ...] | list[str], header: str) -> frozenset[str] | None:
    """The ETags of a header; `*` is one; None when it is not there."""
    if not values:
        return None
    found: set[str] = set()
    for value in values:
        if value.strip() == "*":
            found.add("*")
            continue
        at = 0
        while at < len(value):
            match = _LIST.match(value, at)
            if match is None:
                raise RequestError(f"{header} is not a list of ETags", hint='as in "3f2a…", or *')
            found.add(match[1])
            at = match.end()
    return frozenset(found)
