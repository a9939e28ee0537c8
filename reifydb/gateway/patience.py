"""Requests that wait for their answer do so for a while only: the disk may have stalled."""

from __future__ import annotations

import asyncio
from typing import Protocol

from reifydb.config import answer_ms_max
from reifydb.errors import ReifyDBError, WaitTimeoutError

LOOK_S = 1.0
"""How often those that wait are looked at: one timer for all, for a timer each costs 3 µs."""


class Waiter(Protocol):
    """Someone who waits for an answer."""

    def expire(self, error: ReifyDBError) -> None:
        """It waits no longer, and is told so. Not when it has its answer."""


class Patience:
    """Those that wait, from the first on."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._waiting: dict[Waiter, float] = {}
        self._timer: asyncio.TimerHandle | None = None

    def begin(self, waits: Waiter) -> None:
        """Someone waits from now on. 0.3 µs."""
        self._waiting[waits] = self._loop.time()
        if self._timer is None:
            self._timer = self._loop.call_later(LOOK_S, self._look)

    def end(self, waits: Waiter) -> None:
        """They wait no longer."""
        self._waiting.pop(waits, None)

    def close(self) -> None:
        """Nobody is looked after any more."""
        if self._timer is not None:
            self._timer.cancel()

    def _look(self) -> None:
        self._timer = None
        latest_s = self._loop.time() - answer_ms_max / 1000
        said = f"there is no answer after {answer_ms_max:,} ms (answer_ms_max)"
        hint = "what was asked for may have happened, or may still do so"
        while self._waiting:
            waits, began_s = next(iter(self._waiting.items()))  # they began in this order
            if began_s > latest_s:
                break
            del self._waiting[waits]
            waits.expire(WaitTimeoutError(said, hint=hint))
        if self._waiting:
            self._timer = self._loop.call_later(LOOK_S, self._look)
