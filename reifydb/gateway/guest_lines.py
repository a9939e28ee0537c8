"""Lines that guests write with `log`, kept for a while for those who ask (`GET /v1/logs`).

A ring of `guest_lines_max`: a guest may write as much as it likes, and nobody waits for whoever
reads. A reader that is too slow misses lines, and sees it by their numbers.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from typing import Any

from reifydb.config import guest_lines_max, guest_readers_max
from reifydb.database import Database
from reifydb.errors import OverloadedError, RequestError

LEVELS = {"debug": 10, "info": 20, "warning": 30, "error": 40}
_NAMES = {number: name for name, number in LEVELS.items()}


@dataclass(frozen=True, slots=True)
class GuestLine:
    """One line; `number` counts from 1, without gaps."""

    number: int
    time_ns: int
    level: int
    transition: str
    text: str

    def shown(self) -> dict[str, Any]:
        """For a client."""
        moment = datetime.fromtimestamp(self.time_ns / 1e9, UTC)
        return {
            "number": self.number,
            "time": moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
            "level": _NAMES[self.level],
            "transition": self.transition,
            "text": self.text,
        }


class GuestLines:
    """The lines of one database's guests while it is served."""

    def __init__(self, db: Database, loop: asyncio.AbstractEventLoop) -> None:
        self._db, self._loop = db, loop
        self._kept: deque[GuestLine] = deque(maxlen=guest_lines_max)
        self._number = 0
        self._readers = 0
        self._more = asyncio.Event()
        self._closed = False
        db._log_listener = self._take

    def close(self) -> None:
        """No more will come: whoever follows is done."""
        self._db._log_listener = None
        self._closed = True
        self._more.set()

    def _take(self, level: int, transition: str, text: str) -> None:
        """In any thread that runs transitions: on the loop's itself, or a schema change's."""
        with contextlib.suppress(RuntimeError):  # the loop is closed
            line = level, transition, text, time.time_ns()
            self._loop.call_soon_threadsafe(self._keep, *line)

    def _keep(self, level: int, transition: str, text: str, time_ns: int) -> None:
        self._number += 1
        self._kept.append(GuestLine(self._number, time_ns, level, transition, text))
        if self._readers:
            self._more.set()

    def since(self, number: int, level: int) -> Sequence[GuestLine]:
        """Those of a level and above that came after the one of this number."""
        first = self._number - len(self._kept)  # the number before the oldest that is kept
        new = islice(self._kept, max(0, number - first), None)
        return [line for line in new if line.level >= level]

    @contextmanager
    def reader(self) -> Iterator[None]:
        """Counts someone who follows, while they do.

        Raises:
            OverloadedError: Too many do already.
        """
        if self._readers >= guest_readers_max:
            raise OverloadedError(f"{guest_readers_max} read already (guest_readers_max)")
        self._readers += 1
        try:
            yield
        finally:
            self._readers -= 1

    async def follow(self, level: int) -> AsyncGenerator[Sequence[GuestLine]]:
        """Those that are kept, then those that come, as they come. For a `reader`."""
        number = 0
        while not self._closed:
            self._more.clear()
            lines, number = self.since(number, level), self._number
            if lines:
                yield lines
            else:
                await self._more.wait()


def level_of(name: str | None) -> int:
    """The number of a level.

    Raises:
        RequestError: It is none.
    """
    if name is None:
        return 0
    if name not in LEVELS:
        raise RequestError(f"{name!r:.40} is no level", hint=", ".join(LEVELS))
    return LEVELS[name]
