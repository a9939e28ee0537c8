"""A scan of many pages, without any I/O: which page comes next."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from reifydb.client.requests import Page

PAGE_ROWS = 1000
"""Rows that are asked for at a time. A page has fewer when they are long."""


class Walk:
    """Where a scan is. The arguments are those of `AsyncDatabase.scan`."""

    def __init__(
        self,
        table: str,
        index: str | None,
        lower: object,
        upper: object,
        lower_exclusive: bool,
        upper_exclusive: bool,
        limit: int | None,
        reverse: bool,
    ) -> None:
        self.table, self._left = table, limit
        self._options: dict[str, Any] = {
            "index": index,
            "lower": lower,
            "upper": upper,
            "lower_exclusive": lower_exclusive,
            "upper_exclusive": upper_exclusive,
            "reverse": reverse,
        }
        self._done = False

    def next_page(self) -> dict[str, Any] | None:
        """The options of the next page; None: there is none."""
        if self._done or self._left == 0:
            return None
        return self._options | {
            "limit": PAGE_ROWS if self._left is None else min(PAGE_ROWS, self._left)
        }

    def got(self, page: Page) -> Sequence[dict[str, Any]]:
        """The rows of a page."""
        if self._left is not None:
            self._left -= len(page.rows)
        self._options["cursor"] = page.next
        self._done = page.next is None
        return page.rows
