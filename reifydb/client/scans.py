"""A scan of many pages, without any I/O: which page comes next, and which of its rows are new."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from reifydb.config import scan_rows_max
from reifydb.engine.catalog import Table
from reifydb.errors import LimitError, ReifyDBError

PAGE_ROWS = 1000
"""Rows that are asked for at a time."""


class Walk:
    """Where a scan is. The arguments are those of `AsyncDatabase.scan`.

    Behind a page comes what is behind its last row. In the order of an index rows may have equal
    values: the next page begins with all of those, and the ones that came already are left out.
    """

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
        self.table, self._index, self._left, self._reverse = table, index, limit, reverse
        self._options: dict[str, Any] = {
            "index": index,
            "lower": lower,
            "upper": upper,
            "lower_exclusive": lower_exclusive,
            "upper_exclusive": upper_exclusive,
            "reverse": reverse,
        }
        self._page = PAGE_ROWS
        self._asked = 0
        self._behind: tuple[Any, ...] | None = None  # of the last row: its place in the order
        self._equal: set[str] = set()  # keys of rows that came and are as the last in the index
        self._done = False

    def next_page(self) -> dict[str, Any] | None:
        """The options of the next page; None: there is none."""
        if self._done or self._left == 0:
            return None
        wanted = self._page if self._left is None else min(self._page, self._left)
        self._asked = min(scan_rows_max, wanted + len(self._equal))
        if self._asked <= len(self._equal):
            raise LimitError(
                f"table {self.table}: more rows have the same values in index {self._index} than "
                "one answer may have",
                limit="scan_rows_max",
                value=scan_rows_max,
            )
        return self._options | {"limit": self._asked}

    def refused(self, error: ReifyDBError) -> None:
        """A page was refused: a shorter one, if that may help."""
        too_long = isinstance(error, LimitError) and error.limit == "page_bytes_max"
        if not too_long or self._page == 1:
            raise error
        self._page = max(1, min(self._page, self._asked) // 2)

    def got(self, rows: Sequence[dict[str, Any]], table: Table) -> Sequence[dict[str, Any]]:
        """The rows of a page that are new."""
        self._done = len(rows) < self._asked
        names = [column.name for column in table.columns]
        key = [names[i] for i in table.key]
        found = table.index(self._index) if self._index is not None else None
        order = key if found is None else [names[i] for i in found.columns]
        new = [row for row in rows if repr(_values(row, key)) not in self._equal]
        if self._left is not None:
            self._left -= len(new)
        if new and not self._done:
            last = _values(new[-1], order)
            bound = "upper" if self._reverse else "lower"
            self._options |= {bound: last, f"{bound}_exclusive": found is None}
            if found is not None:
                if last != self._behind:
                    self._equal.clear()
                self._behind = last
                self._equal |= {repr(_values(r, key)) for r in new if _values(r, order) == last}
        return new


def _values(row: dict[str, Any], names: Sequence[str]) -> tuple[Any, ...]:
    return tuple(row[name] for name in names)
