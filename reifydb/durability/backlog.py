"""What is committed and not yet durable, and everyone who waits for that to change.

Three kinds of threads meet here, under one lock that is held for microseconds: the engine's appends
groups and never waits; writers ask `admit` before a batch and wait here while the disk is behind;
the log's own thread takes groups and reports how far they are durable.

The bound: no commit becomes visible while the oldest one that is not durable is older than
`durability_lag_ms_max`, or more than `durability_lag_bytes_max` waits. `admit` is the gate. What
goes wrong is kept here too, so that everyone is told the same.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from math import inf
from time import monotonic, monotonic_ns

from reifydb.config import Options, frame_bytes_max
from reifydb.durability.ages import Pace
from reifydb.durability.group import Group, Lag
from reifydb.errors import (
    ClosedError,
    DurabilityLostError,
    DurabilityStalledError,
    ForkedError,
    ReifyDBError,
    StorageFullError,
    WaitTimeoutError,
)

_MS = 1_000_000
_FOREVER = 1 << 63


class _Progress(threading.Condition):
    """A condition whose `wait` ends with the lock taken, also when Ctrl-C ends it."""

    def wait(self, timeout: float | None = None) -> bool:
        """See `threading.Condition`."""
        try:
            return super().wait(timeout)
        finally:
            interrupted = None
            while not self._is_owned():  # type: ignore[attr-defined]
                try:
                    self.acquire()
                except BaseException as error:
                    interrupted = error
            if interrupted is not None:
                raise interrupted


class Backlog:
    """Groups between the engine and the disk. Safe from several threads.

    Attributes:
        lsn: Of the last commit appended.
        durable_lsn: Of the last durable commit. Never falls.
        source: Appends what the engine has kept back since `expect`; called by the log's thread.
        pace: How long commits have waited.
        listener: Told, on the log's thread, that more is durable or that nothing will be any more.
    """

    def __init__(self, options: Options) -> None:
        self.lsn = self.durable_lsn = 0
        self.pace = Pace()
        self._options = options
        self._lag_ns = int(options.durability_lag_ms_max * _MS)
        self._stall_ns = int(options.durability_stall_ms_max * _MS)
        self._gather_ns = int(options.flush_interval_ms * _MS)
        self._queue: deque[tuple[int, Group]] = deque()
        self._bytes = 0
        self._oldest_ns = 0  # when the oldest non-durable commit was appended; 0: there is none
        self._free_until_ns = 0  # until then `admit` need not look any closer
        self._hurry_lsn = 0
        self.source: Callable[[], None] | None = None
        self.listener: Callable[[], None] | None = None
        self._expected_ns = 0  # when the engine said that commits wait to be fetched; 0: none do
        self._idle = self._closing = self._full = False
        self._refusal: Callable[[], ReifyDBError] | None = lambda: ClosedError("not started")
        self._make_lock()

    def _make_lock(self) -> None:
        # Not a plain lock: that could be given back by a thread which does not have it, because
        # Ctrl-C came as it waited to have it back.
        self._lock = threading.RLock()
        self._work = threading.Condition(self._lock)  # the log's thread waits for work
        self._progress = _Progress(self._lock)  # everyone else waits for the disk

    def open(self, lsn: int) -> None:
        """Begin with everything up to `lsn` durable."""
        with self._lock:
            self.lsn = self.durable_lsn = lsn
            self._refusal = None
            self._admit_anew()

    # -------------------------------------------------------------- the engine, and writers

    def append(self, group: Group) -> None:
        """Enqueue a group: about 1 µs, never waits. The next group starts where this one ends.

        Raises:
            DurabilityLostError: A flush to disk has failed.
            ClosedError, ForkedError: There is no log any more.
        """
        size = len(group.records)
        assert size <= frame_bytes_max, "a group must fit into a frame"
        now = monotonic_ns()
        with self._lock:
            if self._refusal:
                raise self._refusal()
            assert group.first_lsn == self.lsn + 1, "lsns are dense"
            assert group.commits > 0
            # What was expected is in it, and waits since then.
            item = self._expected_ns or now, group
            self._expected_ns = 0
            self._bytes += size
            self.lsn = group.last_lsn
            self._queue.append(item)  # right behind the lsn: an interrupt finds both or neither
            if not self._oldest_ns:
                self._oldest_ns = item[0]
                self._admit_anew()
            elif self._bytes > self._options.durability_lag_bytes_max:
                self._free_until_ns = 0
            if self._idle:
                self._idle = False
                self._work.notify()

    def expect(self) -> None:
        """Say that there are commits which the log's thread is to fetch by calling `source`.

        For an engine that does not append after each commit. Once until they are fetched.
        """
        with self._lock:
            if not self._expected_ns:
                self._expected_ns = monotonic_ns()
            if not self._oldest_ns:
                self._oldest_ns = self._expected_ns
                self._admit_anew()
            if self._idle:
                self._idle = False
                self._work.notify()

    def admit(self) -> None:
        """Wait until another batch of writes may commit. At once (0.1 µs) when the disk keeps up.

        Raises:
            DurabilityStalledError: It did not keep up for `durability_stall_ms_max`.
            StorageFullError: There is no space on the disk.
            DurabilityLostError: A flush to disk has failed.
            ClosedError, ForkedError: There is no log any more.
        """
        if monotonic_ns() < self._free_until_ns:
            return
        give_up_ns = monotonic_ns() + self._stall_ns
        with self._lock:
            while True:
                if self._refusal:
                    raise self._refusal()
                if self._full:
                    raise StorageFullError("no space left on the disk", hint="reads go on")
                now = monotonic_ns()
                if now < self._free_until_ns:
                    return
                # Who comes when the disk has long been still is refused at once.
                until = min(give_up_ns, self._oldest_ns + self._stall_ns)
                if now >= until:
                    raise DurabilityStalledError(
                        f"the disk is behind by {(now - self._oldest_ns) // _MS} ms and"
                        f" {self._bytes} bytes",
                        hint="reads go on, try again",
                    )
                self._progress.wait((until - now) / 1e9)

    def behind(self) -> bool:
        """Whether `admit` would look closer, and perhaps wait."""
        return monotonic_ns() >= self._free_until_ns

    def check(self) -> None:
        """Raise what a writer would be refused with, without waiting.

        Raises:
            StorageFullError, DurabilityLostError, ClosedError, ForkedError: As `admit`.
            DurabilityStalledError: The disk has not kept up for `durability_stall_ms_max`.
        """
        with self._lock:
            if self._refusal:
                raise self._refusal()
            if self._full:
                raise StorageFullError("no space left on the disk", hint="reads go on")
            if self._oldest_ns and monotonic_ns() - self._oldest_ns > self._stall_ns:
                behind_ms = (monotonic_ns() - self._oldest_ns) // _MS
                raise DurabilityStalledError(
                    f"the disk is behind by {behind_ms} ms and {self._bytes} bytes",
                    hint="reads go on, try again",
                )

    def wait_durable(self, lsn: int, timeout_s: float | None) -> None:
        """Return when the commit with this lsn is durable.

        Raises:
            WaitTimeoutError: It is not yet.
            DurabilityLostError: It will not be.
            ClosedError, ForkedError: There is no log any more.
        """
        if lsn <= self.durable_lsn:
            return
        with self._lock:
            self._wait(lsn, timeout_s)

    def flush(self) -> None:
        """Make everything appended durable now: no gathering.

        Raises:
            StorageFullError: There is no space on the disk; it is tried again in the background.
            DurabilityLostError: A flush to disk has failed.
            ClosedError, ForkedError: There is no log any more.
        """
        with self._lock:
            lsn = self._hurry_lsn = self.lsn
            self._work.notify()
            while self.durable_lsn < lsn:
                if self._full:
                    raise StorageFullError("no space left on the disk", hint="reads go on")
                self._wait(lsn, None, stop_when_full=True)
            if self._refusal:
                raise self._refusal()

    def _wait(self, lsn: int, timeout_s: float | None, *, stop_when_full: bool = False) -> None:
        give_up_s = inf if timeout_s is None else monotonic() + timeout_s
        while self.durable_lsn < lsn:
            if self._refusal:
                raise self._refusal()
            if stop_when_full and self._full:
                return
            left_s = give_up_s - monotonic()
            if left_s <= 0:
                raise WaitTimeoutError(f"lsn {lsn} is not durable yet, {self.durable_lsn} is")
            self._progress.wait(left_s if left_s < threading.TIMEOUT_MAX else None)

    def lag(self) -> Lag:
        """What is committed and not durable."""
        with self._lock:
            ms = (monotonic_ns() - self._oldest_ns) / _MS if self._oldest_ns else 0.0
            return Lag(self.lsn - self.durable_lsn, self._bytes, ms)

    # -------------------------------------------------------------- the log's thread

    def take(self, timeout_s: float | None) -> list[Group]:
        """Wait for groups, gather for `flush_interval_ms`, and take what fits into one frame.

        Returns:
            Nothing after `timeout_s` without work, or when the log is closing.
        """
        with self._lock:
            if not self._queue and not self._expected_ns and not self._closing:
                self._idle = True
                self._work.wait(timeout_s)
                self._idle = False
        while True:
            with self._lock:
                self._gather()
                since_ns, self._expected_ns = self._expected_ns, 0
            if since_ns and self.source:
                self.source()
            with self._lock:
                taken = self._take_frame()
                if not taken:
                    self._note_empty(since_ns)
                if taken or self._closing or not self._expected_ns:
                    return taken

    def _take_frame(self) -> list[Group]:
        taken: list[Group] = []
        size = 0
        while self._queue:
            group = self._queue[0][1]
            size += len(group.records)
            if taken and size > frame_bytes_max:
                break
            taken.append(group)
            self._queue.popleft()
        return taken

    def _note_empty(self, since_ns: int) -> None:
        """Nothing waits and nothing is on its way, but for what is still expected since then.

        Nothing expected either: it had been appended before it was fetched.
        """
        if self._expected_ns and since_ns:
            self._expected_ns = since_ns
        self._oldest_ns = self._expected_ns
        self._admit_anew()
        self._progress.notify_all()

    def _gather(self) -> None:
        while not self._closing and self._hurry_lsn <= self.durable_lsn:
            first_ns = self._queue[0][0] if self._queue else self._expected_ns
            left = first_ns + self._gather_ns - monotonic_ns()
            if left <= 0:
                return
            self._work.wait(left / 1e9)  # nobody is told of appends meanwhile

    def pause(self, seconds: float) -> None:
        """Wait before another try on a full disk; not when the log is closing."""
        with self._lock:
            if not self._closing:
                self._work.wait(seconds)

    def done(self, groups: list[Group]) -> None:
        """These groups, taken before, are durable now."""
        with self._lock:
            if self._oldest_ns:
                self.pace.lags.observe((monotonic_ns() - self._oldest_ns) / 1e9)
            self.durable_lsn = groups[-1].last_lsn
            self._bytes -= sum(len(group.records) for group in groups)
            self._oldest_ns = self._queue[0][0] if self._queue else self._expected_ns
            self._admit_anew()
            self._progress.notify_all()
        self._tell()

    def _tell(self) -> None:
        if self.listener is not None:
            self.listener()

    def set_full(self, full: bool) -> None:
        """The disk is full, or no longer."""
        with self._lock:
            self._full = full
            self._admit_anew()
            self._progress.notify_all()

    def lose(self, why: str) -> None:
        """Nothing more will become durable: say so to everyone who waits or comes."""
        self._refuse(lambda: DurabilityLostError(why, durable_lsn=self.durable_lsn))

    def _refuse(self, refusal: Callable[[], ReifyDBError]) -> None:
        with self._lock:
            if self._refusal is None:
                self._refusal = refusal
            self._admit_anew()
            self._progress.notify_all()
        self._tell()

    def _admit_anew(self) -> None:
        if self._refusal or self._full or self._bytes > self._options.durability_lag_bytes_max:
            self._free_until_ns = 0
        elif self._oldest_ns:
            self._free_until_ns = self._oldest_ns + self._lag_ns
        else:
            self._free_until_ns = _FOREVER

    # -------------------------------------------------------------- the end

    @property
    def closing(self) -> bool:
        """Whether the log's thread should end when nothing is left to do."""
        return self._closing

    @property
    def full(self) -> bool:
        """Whether the disk is full."""
        return self._full

    def finish(self) -> None:
        """Ask the log's thread to write what is left and to end."""
        with self._lock:
            self._closing = True
            self._work.notify()

    def end(self) -> ReifyDBError | None:
        """Refuse everything from now on; what was wrong before, if anything."""
        wrong = self._refusal() if self._refusal else None
        self._refuse(lambda: ClosedError("the database is closed"))
        return wrong

    def fork(self) -> None:
        """In a forked child: refuse everything. The lock may be held by a thread that is gone."""
        self._make_lock()
        self._refusal = lambda: ForkedError("the log belongs to the parent process")
        self._free_until_ns = 0
