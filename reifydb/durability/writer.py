"""The log's own thread: takes groups from the backlog, has them appended, reports them durable.

It sleeps without polling while there is nothing to do, but for one mark after the last commits:
written when the disk has been quiet for 20 ms, synced when it has been for a second. A mark tells
rot in the last commits from a torn tail.

- Full disk: writers are refused, the reserve is freed, the same groups are tried again until they
  fit; service resumes when nothing waits any more and the reserve is there again.
- Anything else that goes wrong ends the thread for good and tells everyone who waits.
"""

from __future__ import annotations

import threading
from time import perf_counter

from reifydb.durability.appender import Appender, NoSpaceError
from reifydb.durability.backlog import Backlog
from reifydb.durability.group import Group
from reifydb.durability.reserve import Reserve

MARK_AFTER_S = 0.02
MARK_SYNC_AFTER_S = 1.0
RETRY_S_MIN, RETRY_S_MAX = 0.01, 1.0


class Writer:
    """The thread and what it works on. The appender is touched by this thread only."""

    def __init__(self, backlog: Backlog, appender: Appender, reserve: Reserve) -> None:
        self._backlog, self._appender, self._reserve = backlog, appender, reserve
        self._retry_s = RETRY_S_MIN
        self._thread = threading.Thread(target=self._run, name="reifydb-log", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def join(self) -> None:
        """Wait until the thread has ended; it does after `Backlog.finish`."""
        self._thread.join()

    def _run(self) -> None:
        try:
            while not self._step():
                pass
            self._seal()
        except BaseException as error:
            # Whatever it is, commits behind it would wait for ever if it were not said.
            self._backlog.lose(f"the commit log could not be written: {error}")
        finally:
            self._appender.close()

    def _step(self) -> bool:
        """One turn. True when the log is closing and nothing is left to do."""
        groups = self._backlog.take(self._patience_s())
        if groups:
            self._write(groups)
        elif self._backlog.closing:
            return True
        elif self._backlog.full:
            self._resume()
        elif self._appender.marked == "no":
            self._appender.mark()
        elif self._appender.marked == "written":
            self._appender.sync_mark()
        return False

    def _patience_s(self) -> float | None:
        if self._backlog.full:
            return self._retry_s
        waits = {"no": MARK_AFTER_S, "written": MARK_SYNC_AFTER_S}
        return waits.get(self._appender.marked)

    def _write(self, groups: list[Group]) -> None:
        while not self._try(groups):
            closing = self._backlog.closing
            self._reserve.free()
            self._backlog.set_full(True)
            if closing and not self._try(groups):
                raise NoSpaceError("no space left on the disk, and the log is closing")
            if closing:
                break
            self._backlog.pause(self._retry_s)
            self._retry_s = min(2 * self._retry_s, RETRY_S_MAX)
        self._backlog.done(groups)

    def _try(self, groups: list[Group]) -> bool:
        began = perf_counter()
        try:
            self._appender.append(groups)
        except NoSpaceError:
            return False
        self._backlog.pace.flushes.observe(perf_counter() - began)
        return True

    def _resume(self) -> None:
        """Everything that waited is durable. Serve again once there is ballast for next time."""
        if self._reserve.make():
            self._retry_s = RETRY_S_MIN
            self._backlog.set_full(False)
        else:
            self._reserve.free()
            self._retry_s = min(2 * self._retry_s, RETRY_S_MAX)

    def _seal(self) -> None:
        try:
            self._appender.seal()
        except NoSpaceError:
            # The seal is a service to the next opening; what is durable is so without it.
            return
