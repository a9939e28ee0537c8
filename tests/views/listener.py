"""A simulated subscriber of a view: it sees snapshots and deltas only, and must have its rows."""

from __future__ import annotations

from collections import Counter
from typing import Any

Shown = tuple[object, ...]


class Listener:
    """One subscription, and the view as this subscriber knows it."""

    def __init__(self, db: Any, view: str) -> None:
        self.view = view
        self.changes = db.subscribe(view)
        self.rows: dict[str, dict[str, object]] | None = None
        self.position: Any = None

    def read(self, db: Any) -> list[dict[str, object]]:
        """Reads all that has come; the rows that it knows then."""
        while (item := self.changes.get(0)) is not None:
            if hasattr(item, "rows"):
                self.rows = {repr(key): row for key, row in zip(item.keys, item.rows, strict=True)}
                assert len(self.rows) == len(item.rows), f"{self.view}: a key is there twice"
            else:
                self._apply(item)
            self.position = item.position
        assert self.rows is not None, f"there was no snapshot of {self.view}"
        assert self.position <= db.position
        return list(self.rows.values())

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
        self.changes = db.subscribe(self.view, since=self.position)

    def close(self) -> None:
        self.changes.close()
