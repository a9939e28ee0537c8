"""The thread that does what takes long: schema changes and installations, one after the other,
while the event loop goes on.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

STACK_BYTES = 4 << 20
"""Guests need 1 MiB; macOS gives a thread 512 KiB, musl 128. The parser of SQL recurses, too."""

T = TypeVar("T")


class Thread:
    """One thread, started when it is first needed."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="reifydb-gateway")
        self._started = False

    async def run(self, function: Callable[[], T]) -> T:
        """Runs a function there. It goes on although nobody waits for it any more."""
        loop = asyncio.get_running_loop()
        if self._started:
            return await loop.run_in_executor(self._pool, function)
        self._started = True
        before = threading.stack_size(STACK_BYTES)
        try:
            future = loop.run_in_executor(self._pool, function)
        finally:
            threading.stack_size(before)
        return await future

    def close(self) -> None:
        """Waits for what it does."""
        self._pool.shutdown(wait=True, cancel_futures=True)
