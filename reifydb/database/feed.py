"""From the kernel to the commit log: redo is gathered in the kernel and handed over in groups.

To hand over after each single call would cost as much as the call. So redo stays in the kernel
until enough has gathered, a slice of a batch has ended, or the log's thread wants it: that thread
is told once that there is something (`expect`), comes when it has nothing else to write, and asks
whoever has the engine to hand over, or does it itself when nobody has.
"""

from __future__ import annotations

from enum import IntEnum

from reifydb.database.turns import Turns
from reifydb.durability.group import Group
from reifydb.durability.log import CommitLog
from reifydb.engine.executor import Executor
from reifydb.engine.kernel import Kernel

HAND_OVER_BYTES = 1 << 16
"""So much redo is handed over without waiting for the log to ask."""

FETCH_LOOK_S = 0.0002
"""How long the log's thread waits for the engine before it looks whether whoever has it has handed
over. A lock is not fair: it may not get it for long while batch follows batch."""

FETCH_LOOKS = 10
"""So often it does, before it comes back later."""


class Redo(IntEnum):
    """What the log knows of the redo in the kernel."""

    NONE = 0
    EXPECTED = 1
    WANTED = 2


EXPECTED = Redo.EXPECTED


class Feed:
    """Hands redo over. Everything but `fetch` in a turn.

    Attributes:
        state: What the log knows of the redo that the kernel has; set by both threads.
    """

    def __init__(self, kernel: Kernel, executor: Executor, log: CommitLog, turns: Turns) -> None:
        self._kernel, self._executor, self._log, self._turns = kernel, executor, log, turns
        self.state = Redo.NONE
        self.closed = False
        self._handed_over = 0  # of the bytes of redo that the kernel has ever written
        self._under_way = (0, 0)  # the same, and the lsn, once the group at hand is appended

    def start(self) -> None:
        """Everything so far came from the log itself."""
        self._log.fetch_from(self.fetch)

    def after_commit(self) -> None:
        """After something may have been committed."""
        waiting = self._kernel.redo_len.value
        if waiting > HAND_OVER_BYTES or self.state is Redo.WANTED:
            self.hand_over()
        elif waiting and self.state is Redo.NONE:
            self._log.expect()  # first: an interrupt in between must not leave it untold
            self.state = Redo.EXPECTED

    def hand_over(self) -> None:
        """Gives the log what the kernel has for it.

        Ctrl-C may come between any two steps. What says how far we are is the kernel's count and
        the log's lsn; the rest is made good by the next hand-over.
        """
        kernel = self._kernel
        self.state = Redo.NONE
        if self._executor.failed is not None:  # a failed kernel's hash may be wrong
            return
        length, total = kernel.redo_len.value, kernel.redo_total.value
        appended, lsn = self._under_way
        if self._log.lsn >= lsn:
            self._handed_over = max(self._handed_over, appended)
        known = length - (total - self._handed_over)
        if known < length:
            lsn = kernel.lsn_cell.value
            first = self._log.lsn + 1
            records = bytes(kernel.redo[known:length])
            group = Group(first, lsn - first + 1, records, kernel.state_hash)
            self._under_way = (total, lsn)
            self._log.append(group)
            self._handed_over = total
        kernel.redo_len.value = 0

    def fetch(self) -> None:
        """On the log's own thread: has redo handed over, by whoever is at work or itself."""
        if self.state is Redo.EXPECTED:
            self.state = Redo.WANTED
        lsn, lock = self._log.lsn, self._turns.lock
        for _ in range(FETCH_LOOKS):
            if lock.acquire(timeout=FETCH_LOOK_S):
                break
            if self._log.lsn > lsn:
                return
        else:
            self._log.expect()
            return
        try:
            if not self.closed:
                self.hand_over()
        finally:
            lock.release()
