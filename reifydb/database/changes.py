"""What a subscriber reads: a snapshot of a table, then the exact changes of each commit."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from types import TracebackType
from typing import TYPE_CHECKING, Literal, Self

from reifydb.database.outbox import Chunk, ChunkKind, Outbox, Phase
from reifydb.database.positions import Position
from reifydb.database.sources import Subject
from reifydb.database.wire_rows import WireRows
from reifydb.errors import ClosedError, ReifyDBError

if TYPE_CHECKING:
    from reifydb.database.database import Database

Row = dict[str, object]

WALK_WAIT_S = 0.001
"""How long a snapshot that may not begin yet waits before it asks again."""

LOOK_S = 1.0
"""How often one who waits looks whether the database still works."""


@dataclass(frozen=True, slots=True)
class Change:
    """What has become of one row.

    Attributes:
        op: What happened to its primary key, the commit taken as a whole.
        key: Its primary key: a value, or a tuple in key order.
        row: The whole row after the change, by column name; None when it was deleted.
    """

    op: Literal["insert", "update", "delete"]
    key: object
    row: Row | None


@dataclass(frozen=True, slots=True)
class Snapshot:
    """All rows of a table or a select. It replaces whatever was known.

    Attributes:
        position: The table was like this after this commit.
        rows: In the order of the primary key.
        keys: Of each of the rows its primary key, as changes name it: not all of a view's key may
            be among its columns.
    """

    position: Position
    rows: list[Row]
    keys: list[object] = field(default_factory=list, repr=False, compare=False)


@dataclass(frozen=True, slots=True)
class Delta:
    """What one commit changed in a table or a select.

    Attributes:
        position: Of the commit.
        previous_lsn: Of the commit before it that changed the table: whoever has the table as of an
            earlier one has missed something.
        changes: At most one for each primary key, those that delete first.
    """

    position: Position
    previous_lsn: int
    changes: list[Change]


class Changes:
    """A subscription. Made by `Database.subscribe`; for one thread; close it.

    Iterating waits for the next snapshot or delta, without end; it ends when the subscription is
    closed. A subscriber that is slower than `outbox_commits_max` or `outbox_bytes_max` allow gets a
    new snapshot, and so does one whose table got other columns.

    Attributes:
        table: The table's name when it was subscribed to; "select" of a select.
        position: Of what was read last; None before anything was.
    """

    def __init__(
        self, db: Database, subject: Callable[[], Subject], since: Position | None
    ) -> None:
        self._db, self._hub = db, db._subscriptions
        self.position = since
        self._outbox = Outbox(db.options)
        db._turns.prepare()
        with db._turns.lock:
            db._turns.settle()
            db._check_open()
            self._subject = subject()
            self.table = self._subject.name
            source = self._subject.source()
            self._rows = WireRows(source.handle.table)
            try:
                if since is not None:
                    self._hub.resume(self._outbox, source, since)
            except BaseException:
                self._subject.leave()
                raise
        self._gathered: dict[object, object] = {}
        self._gathering = False  # a snapshot was begun and not yet given to the reader

    # ------------------------------------------------------------------ reading

    def __iter__(self) -> Iterator[Snapshot | Delta]:
        while True:
            try:
                item = self.get()
            except ClosedError:
                if self._outbox.error is None:  # closed by `close`
                    return
                raise
            if item is not None:
                yield item

    def get(self, timeout_s: float | None = None) -> Snapshot | Delta | None:
        """The next snapshot or delta; None when none came in time. 0 does not wait for commits,
        but a snapshot that was begun takes as long as it takes.

        Args:
            timeout_s: None: without end.

        Raises:
            ClosedError: The subscription or the database is closed.
            SchemaError: The table was dropped.
            ReentrantError: A snapshot cannot be read while this thread has a transaction open.
        """
        until = None if timeout_s is None else time.monotonic() + timeout_s
        while True:
            outbox = self._outbox
            with outbox.changed:
                phase = outbox.phase
                if phase is Phase.FOLLOWING and not self._gathering:
                    chunk = outbox.take()
                    if chunk is not None:
                        return self._delta(chunk)
                    if not self._wait(until):
                        return None
            if phase is Phase.ENDED:
                raise outbox.error or ClosedError("the subscription is closed")
            if phase is Phase.FOLLOWING and not self._gathering:
                self._db._check_open()
                continue
            snapshot = self._read_snapshot(until)
            if snapshot is not None:
                return snapshot
            late = until is not None and time.monotonic() >= until
            if late and outbox.phase is not Phase.ENDED:
                return None

    def _wait(self, until: float | None) -> bool:
        """Waits for something to come. With `changed`. False: it is too late."""
        left = LOOK_S if until is None else min(LOOK_S, until - time.monotonic())
        if left <= 0:
            return False
        self._outbox.changed.wait(left)
        return True

    # ------------------------------------------------------------------ snapshots

    def _read_snapshot(self, until: float | None) -> Snapshot | None:
        """Reads the table page by page; between two pages commits go on, and what they change of
        the pages read comes along. None: it has to begin again, or to wait.
        """
        if self._outbox.phase is Phase.NEEDS_SNAPSHOT and not self._begin():
            left = WALK_WAIT_S if until is None else min(WALK_WAIT_S, until - time.monotonic())
            time.sleep(max(0.0, left))
            return None
        while True:
            snapshot = self._gather()
            if snapshot is not None or self._outbox.phase is not Phase.READING:
                return snapshot
            self._turn(read=True)

    def _begin(self) -> bool:
        self._gathered.clear()
        self._gathering = True
        return self._turn(read=False)

    def _turn(self, *, read: bool) -> bool:
        db = self._db
        db._turns.prepare()
        with db._turns.lock:
            db._turns.settle()
            db._check_open()
            try:
                if read:
                    self._hub.read_on(self._outbox)
                    return True
                source = self._subject.source()
                self._rows = WireRows(source.handle.table)
                return self._hub.begin_reading(self._outbox, source)
            except ReifyDBError as error:
                self._outbox.end(error)
                return True

    def _gather(self) -> Snapshot | None:
        """Takes what has come of a snapshot; the snapshot once it is complete."""
        while True:
            with self._outbox.changed:
                if self._outbox.phase not in (Phase.READING, Phase.FOLLOWING):
                    return None
                chunk = self._outbox.take()
            if chunk is None:
                return None
            for op, key, row in self._rows.entries(chunk):
                if op == 0:
                    self._gathered.pop(key, None)
                else:
                    self._gathered[key] = row
            if chunk.kind is ChunkKind.LAST_PAGE:
                return self._snapshot(chunk.lsn)

    def _snapshot(self, lsn: int) -> Snapshot:
        gathered, self._gathered, self._gathering = self._gathered, {}, False
        order = self._rows.in_order(gathered)
        rows = [self._rows.row(gathered[key]) for key in order]
        self.position = Position(self._db.incarnation, lsn)
        return Snapshot(self.position, rows, [self._rows.key(key) for key in order])

    def _delta(self, chunk: Chunk) -> Delta:
        rows = self._rows
        changes = [
            Change(_OPS[op], rows.key(key), None if row is None else rows.row(row))
            for op, key, row in rows.entries(chunk)
        ]
        self.position = Position(self._db.incarnation, chunk.lsn)
        return Delta(self.position, chunk.previous, changes)

    # ------------------------------------------------------------------ the end

    def close(self) -> None:
        """Ends the subscription; twice is fine. Whoever waits in another thread is told."""
        with self._db._turns.lock:
            if self._db._refusal is None:
                self._hub.leave(self._outbox)
                self._subject.leave()
            self._outbox.end(None)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<reifydb.Changes of {self.table!r}, {self._outbox.phase.name.lower()}>"


_OPS: tuple[Literal["delete", "insert", "update"], ...] = ("delete", "insert", "update")
