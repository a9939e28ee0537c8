"""What waits for one subscriber: bounded, filled in a turn, emptied by whoever reads.

A subscriber that does not keep up costs nobody anything: what waits for it is dropped, and it reads
the table anew.
"""

from __future__ import annotations

import threading
from collections import deque
from enum import IntEnum
from typing import NamedTuple

from reifydb.config import Options
from reifydb.errors import ReifyDBError


class ChunkKind(IntEnum):
    """What a chunk of the kernel's is (docs/formats.md, "Chunks")."""

    DELTA = 0
    TOO_LARGE = 1
    PAGE = 2
    LAST_PAGE = 3
    FAILED = 4


class Chunk(NamedTuple):
    """One chunk of the kernel's.

    Attributes:
        previous: The lsn of the change of the relation before this one.
        changes: How many entries `body` has, one behind the other.
    """

    kind: ChunkKind
    lsn: int
    previous: int
    changes: int
    body: bytes


class Phase(IntEnum):
    """How far a subscription is."""

    NEEDS_SNAPSHOT = 0
    READING = 1  # a walk goes over the table
    FOLLOWING = 2
    ENDED = 3


_READING, _FOLLOWING = Phase.READING, Phase.FOLLOWING
_PAGES = frozenset({ChunkKind.PAGE, ChunkKind.LAST_PAGE})


class Outbox:
    """The chunks that wait for one subscriber, and how far it is.

    Attributes:
        lock: Guards all of it.
        changed: Of that lock; notified when something has come or the phase is another one.
        walk: The kernel's number of the walk that reads for it; None when there is none.
        lsn: Of the last chunk put here.
        error: Why it has ended.
    """

    def __init__(self, options: Options) -> None:
        self._commits_max = options.outbox_commits_max
        self._bytes_max = options.outbox_bytes_max
        self.lock = threading.Lock()
        self.changed = threading.Condition(self.lock)
        self.phase = Phase.NEEDS_SNAPSHOT
        self.walk: int | None = None
        self.lsn = 0
        self.error: ReifyDBError | None = None
        self._chunks: deque[Chunk] = deque()
        self._bytes = 0

    def put(self, chunk: Chunk) -> bool:
        """Adds a chunk; in a turn. False: it was too much, and the subscriber must read anew.

        A commit that was handed over before (Ctrl-C came in the middle of it) is not added again.
        """
        with self.lock:
            if self.phase is not _FOLLOWING and self.phase is not _READING:
                return True
            is_page = chunk.kind in _PAGES
            if chunk.lsn <= self.lsn and not is_page:
                return True
            fits = is_page or (
                len(self._chunks) < self._commits_max
                and self._bytes + len(chunk.body) <= self._bytes_max
            )
            if chunk.kind is ChunkKind.TOO_LARGE or not fits:
                self._restart()
                return False
            if chunk.lsn > self.lsn:
                self.lsn = chunk.lsn
            self._chunks.append(chunk)
            self._bytes += len(chunk.body)
            self._notify()
            return True

    def _notify(self) -> None:
        """Tells whoever waits; with `lock`."""
        self.changed.notify_all()

    def take(self) -> Chunk | None:
        """The next chunk; None when none waits. With `changed`."""
        if not self._chunks:
            return None
        chunk = self._chunks.popleft()
        self._bytes -= len(chunk.body)
        return chunk

    def begin_reading(self, walk: int) -> None:
        """A walk reads for it from now on."""
        with self.changed:
            self._drop()
            self.phase, self.walk, self.lsn = Phase.READING, walk, 0

    def begin_following(self, lsn: int) -> None:
        """It has the table as of this lsn, or will once it has read what waits."""
        with self.changed:
            self.phase, self.walk, self.lsn = Phase.FOLLOWING, None, lsn
            self._notify()

    def restart(self) -> None:
        """It must read the table anew."""
        with self.changed:
            if self.phase is not Phase.ENDED:
                self._restart()

    def end(self, error: ReifyDBError | None) -> None:
        """Nothing comes any more."""
        with self.changed:
            if self.phase is not Phase.ENDED:
                self._drop()
                self.phase, self.error = Phase.ENDED, error
                self._notify()

    def _restart(self) -> None:
        self._drop()
        self.phase = Phase.NEEDS_SNAPSHOT
        self._notify()

    def _drop(self) -> None:
        self._chunks.clear()
        self._bytes = 0
