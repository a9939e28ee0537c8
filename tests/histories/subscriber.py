"""Simulated subscribers: they see snapshots and deltas only, and must have each table as it is.

Each reads at its own pace: at once, now and then, or so rarely that its outbox overflows. Now and
then it goes and comes back with the position it had, also after the database was opened again. What
it may not see: an insert of a key that is there, a change of one that is not, two changes of one
key, a gap between deltas, a delta without changes, a snapshot of another time than now. (A row that
a transaction changed and changed back may be told as an update.)
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import Any

from reifydb.errors import SchemaError
from reifydb.sql.statements import DropTable, RenameTable, Statement

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
        self.compared: dict[object, tuple[object, object]] = {}
        self.away = False  # its subscription was closed, and it will come back
        self.last_delta: int | None = None  # its lsn, if nothing came after it

    def read(self, db: Any, expected: list[tuple[object, dict[str, object]]]) -> None:
        """Reads all that has come; then it must have the table as it is."""
        before = self.position
        while (item := self.changes.get(0)) is not None:
            if hasattr(item, "rows"):
                names = [column.name for column in db.tables[self.table].key_columns]
                self.rows = {_key(row, names): row for row in item.rows}
                if len(self.rows) < len(item.rows):
                    raise MismatchError(f"a snapshot of {self.table} has a key twice")
                if item.position != db.position:
                    raise MismatchError(f"{item.position} of a snapshot, not {db.position}")
                self.last_delta = None
            else:
                self._apply(item)
                self.last_delta = item.position.lsn
            self.position = item.position
        if self.position is not None and self.position > db.position:
            raise MismatchError(f"{self.position} is still to come: it is {db.position}")
        if self.rows is None or (before is None and self.position is None):
            raise MismatchError(f"there was no snapshot of {self.table}")
        if len(self.rows) != len(expected):
            raise MismatchError(
                f"a subscriber of {self.table} has {len(self.rows)} rows, not {len(expected)}"
            )
        for key, wanted in expected:
            self._compare(_hashable(key), wanted)

    def _compare(self, key: object, wanted: dict[str, object]) -> None:
        """One row, unless it is the same two objects as before: tables are compared very often."""
        assert self.rows is not None
        row = self.rows.get(key)
        known = self.compared.get(key)
        if known is not None and known[0] is row and known[1] is wanted:
            return
        if repr(row) != repr(wanted):
            raise MismatchError(
                f"a subscriber of {self.table} has another row\n  got {row!r}\n  not {wanted!r}"
            )
        self.compared[key] = (row, wanted)

    def _apply(self, delta: Any) -> None:
        if self.rows is None:
            raise MismatchError("a delta came before a snapshot")
        if not delta.previous_lsn <= self.position.lsn < delta.position.lsn:
            raise MismatchError(f"{delta} does not follow {self.position}")
        if self.last_delta not in (None, delta.previous_lsn):
            raise MismatchError(f"{delta} does not follow the delta of {self.last_delta}")
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
        self.away = False

    def see_the_end(self) -> None:
        """The table was dropped: that is all there is to hear."""
        if self.away:
            return
        try:
            # One that is to read a snapshot finds out as it begins.
            item = self.changes.get(0) or self.changes.get(0)
        except SchemaError:
            self.changes.close()
        else:
            raise MismatchError(f"table {self.table} was dropped, and its subscriber got {item}")


class Subscribers:
    """Subscribers of whatever tables there are. Repeatable: all dice are of the history's seed."""

    def __init__(self, seed: int) -> None:
        self._rng = random.Random(seed)
        self._there: dict[str, _Subscriber] = {}

    def after(self, db: Any, rows: Rows, *, all_of_them: bool = False) -> None:
        """After a transaction: some read, and are compared; new tables get a subscriber."""
        rng = self._rng
        for name in db.tables:
            one = self._there.get(name)
            if one is None:
                one = self._there[name] = _Subscriber(db, name, rng.choice((1.0, 0.5, 0.1, 0.04)))
            elif one.away or (one.position is not None and rng.random() < 0.03):
                one.come_back(db)
            if all_of_them or rng.random() < one.pace:
                one.read(db, rows(name))

    def part(self) -> None:
        """All of them go, because the database closes; they come back."""
        for one in self._there.values():
            one.changes.close()
            one.away = True

    def follow(self, statements: Sequence[Statement]) -> None:
        """After a change of the schema: another name is nothing to a subscription, and the end of
        its table is its own.
        """
        for statement in statements:
            if isinstance(statement, RenameTable) and statement.table in self._there:
                one = self._there[statement.name] = self._there.pop(statement.table)
                one.table = statement.name
            elif isinstance(statement, DropTable) and statement.table in self._there:
                self._there.pop(statement.table).see_the_end()


def _key(row: dict[str, object], names: list[str]) -> object:
    parts = tuple(row[name] for name in names)
    return _hashable(parts[0] if len(parts) == 1 else parts)


def _hashable(key: object) -> object:
    """Keys may be JSON, which has no hash; and 1, 1.0 and True are different keys there."""
    return key if type(key) in (str, bytes, int) else (repr(key),)
