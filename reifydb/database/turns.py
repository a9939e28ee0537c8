"""Whose turn it is: one thread at a time touches the kernel, one transaction is open at a time.

A thread takes a turn for one call or one batch, and for each single operation of an interactive
transaction. Between two of its operations an open transaction keeps everybody else out without
holding the lock, so that the log's thread can fetch what was committed, and so that a transaction
that was forgotten can be rolled back by whoever waits for it.
"""

from __future__ import annotations

import threading
import time
from typing import Protocol

from reifydb.engine.stack import require_stack
from reifydb.errors import BusyError, ReentrantError

GIVE_WAY_S = 0.0001
"""How long the engine is left to a thread that waits: it takes about so long to wake up."""


class Holder(Protocol):
    """An open transaction."""

    thread: int
    expires_s: float

    def expire(self) -> None:
        """Rolls it back, because it is older than `transaction_ms_max`. In a turn."""


class _Known(threading.local):
    """What is known of the present thread."""

    stack = False


class Turns:
    """The engine lock.

    Attributes:
        lock: The lock itself.
        holder: The open transaction; None when there is none.
        known: Per thread: whether its stack is large enough.
        waiting: Threads that wait for a turn. A lock is not fair: whoever takes turn after turn
            would keep them out for long, so it looks here first and gives way.
    """

    def __init__(self, wait_ms_max: float) -> None:
        self._wait_s_max = wait_ms_max / 1000
        self.lock = threading.Lock()
        self._closed_one = threading.Condition(self.lock)
        self.known = _Known()
        self.waiting: set[int] = set()
        self.holder: Holder | None = None

    def take(self) -> None:
        """Takes a turn; `lock.release()` ends it. 0.1 µs when nobody is in the way.

        Raises:
            ReentrantError: This thread has a transaction open.
            BusyError: Another one kept the engine for longer than `engine_wait_ms_max`.
            RequestError: The thread's stack is too small to run guests.
        """
        if self.waiting or not self.lock.acquire(False):
            self.take_slowly()
        elif self.holder is not None or not self.known.stack:
            self.lock.release()
            self.take_slowly()

    def take_slowly(self) -> None:
        """`take` when something is in the way, or the thread is new. Without the lock."""
        if not self.known.stack:
            require_stack()
            self.known.stack = True
        if self.waiting:
            time.sleep(GIVE_WAY_S)
        if not self.lock.acquire(False):
            holder = self.holder
            if holder is not None and holder.thread == threading.get_ident():
                raise _reentrant()
            self._wait_for_lock()
        if self.holder is not None:
            try:
                self._wait_for_holder()
            except BaseException:
                self.lock.release()
                raise

    def take_inside(self) -> None:
        """Takes a turn for an operation of the open transaction."""
        if not self.lock.acquire(False):
            self._wait_for_lock()

    def _wait_for_lock(self) -> None:
        me = threading.get_ident()
        self.waiting.add(me)
        try:
            if not self.lock.acquire(timeout=self._wait_s_max):
                raise self._busy()
        finally:
            self.waiting.discard(me)

    def leave(self) -> None:
        """The open transaction has ended. In a turn."""
        self.holder = None
        self._closed_one.notify_all()

    def _wait_for_holder(self) -> None:
        give_up_s = time.monotonic() + self._wait_s_max
        while (holder := self.holder) is not None:
            if holder.thread == threading.get_ident():
                raise _reentrant()
            now_s = time.monotonic()
            if now_s >= holder.expires_s:
                holder.expire()
                return
            if now_s >= give_up_s:
                raise self._busy()
            self._closed_one.wait(min(give_up_s, holder.expires_s) - now_s)

    def _busy(self) -> BusyError:
        return BusyError(
            f"another thread kept the engine for {self._wait_s_max:g} s (engine_wait_ms_max)",
            hint="keep transactions short",
        )


def _reentrant() -> ReentrantError:
    return ReentrantError(
        "this thread has a transaction open", hint="use the methods of the transaction instead"
    )
