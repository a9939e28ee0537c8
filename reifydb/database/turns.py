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

LOOK_S = 0.00005
"""How often a thread that waits looks whether the lock is free."""

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

    def prepare(self) -> None:
        """Waits until the lock is free, or nearly; `with turns.lock` and `settle` follow.

        Only `with` takes a lock in such a way that Ctrl-C cannot come between taking it and
        knowing so; but it waits without end. So the waiting is done here.

        Raises:
            ReentrantError: This thread has a transaction open.
            BusyError: Another one kept the engine for longer than `engine_wait_ms_max`.
            RequestError: The thread's stack is too small to run guests.
        """
        if self.waiting or self.lock.locked() or not self.known.stack:
            self._prepare_slowly()

    def _prepare_slowly(self) -> None:
        if not self.known.stack:
            require_stack()
            self.known.stack = True
        me = threading.get_ident()
        if self.waiting:
            time.sleep(GIVE_WAY_S)
        if not self.lock.locked():
            return
        holder = self.holder
        if holder is not None and holder.thread == me and time.monotonic() < holder.expires_s:
            raise _reentrant()
        give_up_s = time.monotonic() + self._wait_s_max
        self.waiting.add(me)
        try:
            while self.lock.locked():
                if time.monotonic() >= give_up_s:
                    raise self._busy()
                time.sleep(LOOK_S)
        finally:
            self.waiting.discard(me)

    def settle(self) -> None:
        """With the lock: waits for whoever has a transaction open. Raises as `prepare`."""
        if self.holder is not None:
            self._wait_for_holder()

    def leave(self) -> None:
        """The open transaction has ended. In a turn."""
        self.holder = None
        self._closed_one.notify_all()

    def _wait_for_holder(self) -> None:
        give_up_s = time.monotonic() + self._wait_s_max
        while (holder := self.holder) is not None:
            now_s = time.monotonic()
            if now_s >= holder.expires_s:
                holder.expire()
                return
            if holder.thread == threading.get_ident():
                raise _reentrant()
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
