"""The commit log: commits in, durable commits out; after a crash, what was durable comes back.

`CommitLog` is the seam that the database uses. `FileLog` keeps the log in a folder, `MemoryLog`
(`memory.py`) keeps nothing; both pass one conformance suite. What lies behind a `FileLog`:

    open_log    identity.py, lock.py      whose folder is this, and is it free
    replay      recovery.py, reader.py    what to believe of the files
    start       appender.py, segment.py   a segment of this incarnation
    append      backlog.py                what waits, who waits
    (thread)    writer.py, appender.py    frames, syncs, seals

The log knows nothing of what the records mean.
"""

from __future__ import annotations

import os
import weakref
from collections.abc import Callable, Iterator
from logging import getLogger
from typing import Protocol

from reifydb.config import Options
from reifydb.durability.appender import NoSpaceError
from reifydb.durability.backlog import Backlog
from reifydb.durability.group import Group, Lag
from reifydb.durability.identity import Folder, make_identity, read_identity
from reifydb.durability.lock import Lock
from reifydb.durability.recovery import Recovery
from reifydb.durability.reserve import Reserve
from reifydb.durability.storage import FileStorage, Storage, make_folders
from reifydb.durability.writer import Writer
from reifydb.errors import (
    ClosedError,
    DurabilityLostError,
    LockedError,
    StorageError,
    StorageFullError,
)


class CommitLog(Protocol):
    """A log of commits. `replay`, then `start`, then the rest from any thread, then `close`."""

    @property
    def incarnation(self) -> int:
        """How often this log was opened for writing, this time included."""

    @property
    def uuid(self) -> bytes:
        """16 bytes: which database this is."""

    @property
    def lsn(self) -> int:
        """Of the last commit appended. Known from `start` on."""

    @property
    def durable_lsn(self) -> int:
        """Of the last durable commit. Never falls."""

    def ended_at(self, incarnation: int) -> int | None:
        """The last lsn of an earlier incarnation that survived; None when this one or unknown.
        Known from `start` on.
        """

    def replay(self) -> Iterator[Group]:
        """Every recovered group in order, once, before `start`.

        Raises:
            LogDamagedError: The log cannot be believed; it may come after many groups.
            StorageError: The system could not read.
        """

    def start(self) -> None:
        """Mend what a crash left, begin this incarnation on the disk, start to write.

        Raises:
            LogDamagedError: As `replay`, if that was not read to its end.
            StorageFullError: There is no space.
            StorageError: The system refused.
        """

    def append(self, group: Group) -> None:
        """Enqueue a group; about 1 µs, never waits. See `Backlog.append`."""

    def fetch_from(self, source: Callable[[], None]) -> None:
        """Let the log's thread call `source` after `expect`, so that it appends what it has."""

    def expect(self) -> None:
        """Say that commits wait to be fetched. See `Backlog.expect`."""

    def admit(self) -> None:
        """Wait until another batch of writes may commit. See `Backlog.admit`."""

    def behind(self) -> bool:
        """Whether `admit` may have to wait. 0.1 µs."""

    def check(self) -> None:
        """Raise what a writer would be refused with, without waiting. See `Backlog.check`."""

    def listen(self, listener: Callable[[], None] | None) -> None:
        """Call `listener`, on the log's thread, when more is durable or nothing will be any more.
        One listener; None ends it.
        """

    def wait_durable(self, lsn: int, timeout_s: float | None) -> None:
        """Return when this commit is durable. See `Backlog.wait_durable`."""

    def flush(self) -> None:
        """Make everything appended durable now. See `Backlog.flush`."""

    def lag(self) -> Lag:
        """What is committed and not durable."""

    def close(self) -> None:
        """Flush, seal, unlock. Twice is fine.

        Raises:
            DurabilityLostError: Commits were lost: a flush had failed, or the disk stayed full.
        """


def open_log(path: str, options: Options, *, storage: Storage | None = None) -> FileLog:
    """Open the log in a folder, making it if need be. Takes the lock; changes nothing else yet.

    Reads the segments' headers only. Two syncs for a new database.

    Args:
        path: The database's folder.
        options: Its settings.
        storage: Where the folder is; the operating system's files by default.

    Raises:
        LockedError: Another process has it open.
        FormatVersionError: The folder is something else's, or a newer ReifyDB's.
        LogDamagedError: A segment is missing or foreign, or a header is damaged.
        StorageError: The system refused.
    """
    storage = storage or FileStorage()
    folder = Folder(os.path.abspath(path))
    try:
        if read_identity(storage, folder) is None:
            make_folders(storage, folder.root)
        try:
            lock = storage.lock(folder.lock)
        except LockedError as error:
            raise LockedError(folder.root, error.pid) from None  # not the file in it
        try:
            # Read again: another process may have made it before we had the lock.
            uuid = read_identity(storage, folder) or make_identity(storage, folder)
            recovery = Recovery(storage, folder, uuid)
        except BaseException:
            lock.release()
            raise
    except OSError as error:
        raise StorageError(f"{folder.root} could not be opened: {error}") from error
    return FileLog(storage, folder, options, uuid, lock, recovery)


class FileLog:
    """A log in a folder. `open_log` makes it; see `CommitLog` for what its methods do."""

    def __init__(
        self,
        storage: Storage,
        folder: Folder,
        options: Options,
        uuid: bytes,
        lock: Lock,
        recovery: Recovery,
    ) -> None:
        self.incarnation = recovery.incarnation
        self.uuid = uuid
        self._storage, self._folder, self._options = storage, folder, options
        self._lock, self._recovery = lock, recovery
        self._groups = recovery.groups()
        self._backlog = Backlog(options)
        self._writer: Writer | None = None
        self._starts: tuple[tuple[int, int], ...] = ()
        self._closed = False
        self.append, self.admit = self._backlog.append, self._backlog.admit
        self.wait_durable, self.flush = self._backlog.wait_durable, self._backlog.flush
        self.lag, self.expect = self._backlog.lag, self._backlog.expect
        self.behind, self.check = self._backlog.behind, self._backlog.check
        _open_logs.add(self)

    def fetch_from(self, source: Callable[[], None]) -> None:
        """See `CommitLog`."""
        self._backlog.source = source

    def listen(self, listener: Callable[[], None] | None) -> None:
        """See `CommitLog`."""
        self._backlog.listener = listener

    @property
    def lsn(self) -> int:
        """See `CommitLog`."""
        return self._backlog.lsn

    @property
    def durable_lsn(self) -> int:
        """See `CommitLog`."""
        return self._backlog.durable_lsn

    def ended_at(self, incarnation: int) -> int | None:
        """See `CommitLog`. O(segments)."""
        if not self._starts or incarnation < self._starts[0][0]:
            return None
        return next((first - 1 for other, first in self._starts if other > incarnation), None)

    @property
    def quarantined(self) -> str | None:
        """The file that a torn tail was moved to by `start`; None when there was none."""
        return self._recovery.quarantined

    def replay(self) -> Iterator[Group]:
        """See `CommitLog`."""
        if self._closed:
            raise ClosedError("the log is closed")
        try:
            # `yield from` would end them when somebody drops this generator half-way.
            for group in self._groups:  # noqa: UP028
                yield group
        except OSError as error:
            raise StorageError(f"the commit log could not be read: {error}") from error

    def start(self) -> None:
        """See `CommitLog`. At most a dozen syncs; once."""
        for _ in self.replay():
            pass
        reserve = Reserve(self._storage, self._folder, self._options.reserve_bytes)
        try:
            appender = self._recovery.repair(self._options.segment_bytes_max)
            appender.begin()
            reserve.make()
        except NoSpaceError as error:
            raise StorageFullError(f"the log cannot be opened: {error}") from error
        except OSError as error:
            raise StorageError(f"the log cannot be opened: {error}") from error
        if self.quarantined:
            getLogger("reifydb").warning("a torn tail was moved to %s", self.quarantined)
        self._starts = (*self._recovery.starts, (self.incarnation, appender.last_lsn + 1))
        self._backlog.open(appender.last_lsn)
        self._writer = Writer(self._backlog, appender, reserve)
        self._writer.start()

    def close(self) -> None:
        """See `CommitLog`."""
        if self._closed:
            return
        self._closed = True
        self._groups.close()
        if self._writer:
            self._backlog.finish()
            self._writer.join()
        wrong = self._backlog.end() if self._writer else None
        self._lock.release()
        if isinstance(wrong, DurabilityLostError) and self.lsn > self.durable_lsn:
            raise wrong

    def abandon(self) -> None:
        """In a forked child: the parent goes on writing, the child has no log."""
        self._closed = True
        self._backlog.fork()
        self._lock.abandon()


_open_logs: weakref.WeakSet[FileLog] = weakref.WeakSet()


def _abandon_all() -> None:
    for log in list(_open_logs):
        log.abandon()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_abandon_all)
