"""One subscription, without any I/O: what the server streams becomes snapshots and deltas.

It outlives connections, and knows where the next one may go on.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

from reifydb.client.schema import TableShape
from reifydb.config import client_changes_max
from reifydb.database.changes import Change, Delta, Snapshot
from reifydb.database.positions import Position
from reifydb.errors import OperatorError, ReifyDBError

_OPS: tuple[Literal["delete", "insert", "update"], ...] = ("delete", "insert", "update")


class Feed:
    """A subscription.

    Attributes:
        what: What `subscribe` is sent: a table's name, or a select.
        table: The table's name when it was subscribed to; "select" of a select.
        id: Of the subscription on the connection that there is; None: there is none under way.
        position: Of what was read last.
        given: `position` is what the user gave, and must be a right one.
        begun: The server has once accepted it.
        described: What its rows look like, as the server says it.
        error: Why nothing comes any more.
        left: It was left, because too much waits to be read.
    """

    def __init__(self, what: object, since: Position | None, tell: Callable[[], None]) -> None:
        self.what, self.table = what, what if isinstance(what, str) else "select"
        self.position, self.given = since, since is not None
        self.id: int | None = None
        self.begun = self.left = False
        self.error: ReifyDBError | None = None
        self._tell = tell
        self._known = since  # of what has come last
        self._items: deque[Snapshot | Delta] = deque()
        self._changes = 0
        self._incarnation = 0
        self.described: Mapping[str, Any] = {}
        self._shape: TableShape | None = None
        self._gathered: dict[tuple[Any, ...], Any] | None = None

    # ------------------------------------------------------------------ the reader's side

    def take(self) -> Snapshot | Delta | None:
        """What has come next; None: nothing."""
        if not self._items:
            return None
        item = self._items.popleft()
        if isinstance(item, Delta):
            self._changes -= len(item.changes)
        self.position = item.position
        return item

    # ------------------------------------------------------------------ the connection's side

    @property
    def since(self) -> Position | None:
        """Where a connection may go on; None: it begins with a snapshot."""
        return self._known

    def forget(self) -> None:
        """The next connection begins with a snapshot."""
        self._known, self.given = None, False

    def begin(self, described: Mapping[str, Any], incarnation: int) -> None:
        """The server has accepted it."""
        self.described, self._incarnation = described, incarnation
        self._shape = TableShape(described)
        self._gathered = None
        self.begun, self.given = True, False
        self._tell()

    def pause(self) -> None:
        """The connection is gone; what was gathered of a snapshot is of no use."""
        self.id, self._gathered = None, None

    def end(self, error: ReifyDBError) -> None:
        """Nothing comes any more."""
        self.pause()
        self.error = error
        self._tell()

    def receive(self, message: Sequence[Any]) -> bool:
        """A message of the stream. False: something is missing, or nobody reads: the stream must
        be left, and begins anew from `since`, at once unless it is `left`.
        """
        match message[0]:
            case "page":
                self._gather(message[2])
            case "ready":
                self._complete(message[2])
            case "restart":
                self._restart(*message[2:5])
            case "delta" if self._gathered is not None:
                self._gather(message[4])
            case "delta":
                return self._delta(message[2], message[3], message[4])
        return True

    def _restart(self, columns: Any, key: Any, hidden: Any = ()) -> None:
        described = {"name": self.table, "columns": columns, "key": key, "hidden": hidden}
        self.described, self._shape = described, TableShape(described)
        self._gathered = {}

    def _gather(self, entries: Any) -> None:
        if self._gathered is None:
            self._gathered = {}
        for op, key, row in entries:
            if op == 0:
                self._gathered.pop(tuple(key), None)
            else:
                self._gathered[tuple(key)] = row

    def _complete(self, lsn: int) -> None:
        rows = self._shaped.rows
        gathered, self._gathered = self._gathered or {}, None
        self._known = Position(self._incarnation, lsn)
        self._items.clear()  # it replaces whatever waits
        self._changes = 0
        order = rows.in_order(gathered)
        found = [rows.row(gathered[key]) for key in order]
        self._put(Snapshot(self._known, found, [rows.key(key) for key in order]))

    def _delta(self, lsn: int, previous_lsn: int, entries: Any) -> bool:
        known = self._known
        if known is None or (known.incarnation == self._incarnation and previous_lsn > known.lsn):
            self._known = None
            return False
        if self._changes and self._changes + len(entries) > client_changes_max:
            self.left = True
            return False
        rows = self._shaped.rows
        changes = [
            Change(_OPS[op], rows.key(key), None if row is None else rows.row(row))
            for op, key, row in entries
        ]
        self._known = Position(self._incarnation, lsn)
        self._changes += len(changes)
        self._put(Delta(self._known, previous_lsn, changes))
        return True

    def _put(self, item: Snapshot | Delta) -> None:
        self._items.append(item)
        self._tell()

    @property
    def _shaped(self) -> TableShape:
        if self._shape is None:
            raise OperatorError(f"the server streams {self.table} before it has accepted that")
        return self._shape
