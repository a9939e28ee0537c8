"""A simulated subscriber of a view or a select: it sees snapshots and deltas only, and must have
the rows.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

from reifydb.errors import ExpressionError

Shown = tuple[object, ...]


class Listener:
    """One subscription, and the rows as this subscriber knows them.

    Args:
        view: A view's name, or a select.
        params: Of a select.
        fragile: It may end because an expression cannot be computed: then it begins anew.
    """

    def __init__(self, db: Any, view: str, params: Any = None, *, fragile: bool = False) -> None:
        self.view, self.params, self.fragile = view, params, fragile
        self.changes = db.subscribe(view, params)
        self.rows: dict[str, dict[str, object]] | None = None
        self.position: Any = None

    def read(self, db: Any) -> list[dict[str, object]]:
        """Reads all that has come; the rows that it knows then."""
        while (item := self._next(db)) is not None:
            if hasattr(item, "rows"):
                self.rows = {repr(key): row for key, row in zip(item.keys, item.rows, strict=True)}
                assert len(self.rows) == len(item.rows), f"{self.view}: a key is there twice"
            else:
                self._apply(item)
            self.position = item.position
        assert self.rows is not None, f"there was no snapshot of {self.view}"
        assert self.position <= db.position
        return list(self.rows.values())

    def _next(self, db: Any) -> Any:
        try:
            return self.changes.get(0)
        except ExpressionError:
            if not self.fragile:
                raise
            self.changes.close()
            self.changes = db.subscribe(self.view, self.params)
            return self.changes.get(0)

    def _apply(self, delta: Any) -> None:
        assert self.rows is not None, "a delta came before a snapshot"
        assert delta.previous_lsn <= self.position.lsn < delta.position.lsn, (delta, self.position)
        assert delta.changes, "a delta without changes"
        keys = Counter(repr(change.key) for change in delta.changes)
        assert max(keys.values()) == 1, f"{delta} has a key twice"
        for change in delta.changes:
            key = repr(change.key)
            assert (change.op == "insert") != (key in self.rows), (self.view, change)
            if change.row is None:
                del self.rows[key]
            else:
                self.rows[key] = change.row

    def come_back(self, db: Any) -> None:
        """Goes, and comes back with the position it had."""
        self.changes.close()
        self.changes = db.subscribe(self.view, self.params, since=self.position)

    def close(self) -> None:
        self.changes.close()
