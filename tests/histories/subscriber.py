"""Simulated subscribers: they see snapshots and deltas only, and must have each table as it is.

Each reads at its own pace: at once, now and then, or so rarely that its outbox overflows. Now and
then it goes and comes back with the position it had. What it may not see: an insert of a key that
is there, a change of one that is not, two changes of one key, a gap between deltas, a delta for a
commit that changed nothing in its table.
"""

from __future__ import annotations

import contextlib
import random
from collections.abc import Callable
from typing import Any

from reifydb.errors import ReifyDBError

Rows = Callable[[str], list[tuple[object, dict[str, object]]]]


class MismatchError(AssertionError):
    """Database and oracle disagree."""


class _Subscriber:
    """One subscription of one table, and the table as this subscriber knows it."""

    def __init__(self, db: Any, table: str, pace: float) -> None:
        self.table, self.pace = table, pace
        self.changes = db.subscribe(table)
        self.rows: dict[object, dict[str, object]] | None = None
        self.position: Any = None

    def read(self, db: Any, expected: list[tuple[object, dict[str, object]]]) -> None:
        """Reads all that has come; then it must have the table as it is."""
        before = self.position
        while (item := self.changes.get(0)) is not None:
            if hasattr(item, "rows"):
                names = [column.name for column in db.tables[self.table].key_columns]
                self.rows = {_key(row, names): row for row in item.rows}
                if len(self.rows) < len(item.rows):
                    raise MismatchError(f"a snapshot of {self.table} has a key twice")
            else:
                self._apply(item)
            self.position = item.position
        if self.rows is None or (before is None and self.position is None):
            raise MismatchError(f"there was no snapshot of {self.table}")
        found = [self.rows[_hashable(key)] for key, _ in expected if _hashable(key) in self.rows]
        wanted = [row for _, row in expected]
        if len(self.rows) != len(expected) or repr(found) != repr(wanted):
            raise MismatchError(
                f"a subscriber of {self.table} has {len(self.rows)} rows that are not the "
                f"{len(expected)} of the table\n  got {found!r}\n  not {wanted!r}"
            )

    def _apply(self, delta: Any) -> None:
        if self.rows is None:
            raise MismatchError("a delta came before a snapshot")
        if not delta.previous_lsn <= self.position.lsn < delta.position.lsn:
            raise MismatchError(f"{delta} does not follow {self.position}")
        if not delta.changes:
            raise MismatchError(f"{delta} changes nothing")
        seen: set[object] = set()
        for change in delta.changes:
            key = _hashable(change.key)
            if key in seen:
                raise MismatchError(f"{delta} has {key!r} twice")
            seen.add(key)
            if (change.op == "insert") == (key in self.rows):
                raise MismatchError(f"{change} although the row was {self.rows.get(key)!r}")
            if change.row is None:
                del self.rows[key]
            else:
                self.rows[key] = change.row

    def come_back(self, db: Any) -> None:
        """Goes, and comes back with the position it had."""
        self.changes.close()
        self.changes = db.subscribe(self.table, since=self.position)


class Subscribers:
    """Subscribers of whatever tables there are. Repeatable: all dice are of the history's seed."""

    def __init__(self, seed: int) -> None:
        self._rng = random.Random(seed)
        self._there: dict[str, _Subscriber] = {}

    def after(self, db: Any, rows: Rows, *, all_of_them: bool = False) -> None:
        """After a transaction: some read, and are compared; new tables get a subscriber."""
        rng = self._rng
        for name in list(self._there):
            if name not in db.tables:
                self._see_it_gone(name)
        for name in db.tables:
            one = self._there.get(name)
            if one is None:
                one = self._there[name] = _Subscriber(db, name, rng.choice((1.0, 0.5, 0.1, 0.04)))
            elif one.position is not None and rng.random() < 0.03:
                one.come_back(db)
            if all_of_them or rng.random() < one.pace:
                one.read(db, rows(name))

    def part(self) -> None:
        """All of them go."""
        for one in self._there.values():
            one.changes.close()
        self._there.clear()

    def _see_it_gone(self, name: str) -> None:
        """The table was dropped, or has another name, which does not end a subscription."""
        one = self._there.pop(name)
        with contextlib.suppress(ReifyDBError):
            while one.changes.get(0) is not None:
                pass
        one.changes.close()


def _key(row: dict[str, object], names: list[str]) -> object:
    parts = tuple(row[name] for name in names)
    return _hashable(parts[0] if len(parts) == 1 else parts)


def _hashable(key: object) -> object:
    """Keys may be JSON, which has no hash; and 1, 1.0 and True are different keys there."""
    return key if isinstance(key, str | bytes) else repr(key)
