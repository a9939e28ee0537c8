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

FETCH_WAIT_S = 0.002
"""How long the log's thread waits for the engine before it looks again."""


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
        last_lsn: Of the last commit that was handed over.
    """

    def __init__(self, kernel: Kernel, executor: Executor, log: CommitLog, turns: Turns) -> None:
        self._kernel, self._executor, self._log, self._turns = kernel, executor, log, turns
        self.state = Redo.NONE
        self.last_lsn = 0
        self.closed = False

    def start(self) -> None:
        """Everything so far came from the log itself."""
        self.last_lsn = self._kernel.lsn_cell.value
        self._log.fetch_from(self.fetch)

    def after_commit(self) -> None:
        """After something may have been committed."""
        waiting = self._kernel.redo_len.value
        if waiting > HAND_OVER_BYTES or self.state is Redo.WANTED:
            self.hand_over()
        elif waiting and self.state is Redo.NONE:
            self.state = Redo.EXPECTED
            self._log.expect()

    def hand_over(self) -> None:
        """Gives the log what the kernel has for it."""
        kernel = self._kernel
        length = kernel.redo_len.value
        self.state = Redo.NONE
        if not length or self._executor.failed is not None:  # a failed kernel's hash may be wrong
            return
        lsn = kernel.lsn_cell.value
        first = self.last_lsn + 1
        group = Group(first, lsn - first + 1, bytes(kernel.redo[:length]), kernel.state_hash)
        kernel.redo_len.value = 0
        self.last_lsn = lsn
        self._log.append(group)

    def fetch(self) -> None:
        """On the log's own thread: has redo handed over, by whoever is at work or itself."""
        if self.state is Redo.EXPECTED:
            self.state = Redo.WANTED
        if not self._turns.lock.acquire(timeout=FETCH_WAIT_S):
            self._log.expect()
            return
        try:
            if not self.closed:
                self.hand_over()
        finally:
            self._turns.lock.release()
