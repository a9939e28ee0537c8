"""Ctrl-C as a wish to end, not as an exception that may come between any two steps."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType


@contextmanager
def until_interrupted() -> Iterator[Callable[[], bool]]:
    """While the block runs, SIGINT and SIGTERM only make what it gives say that it is time to end.

    Where SIGINT is ignored, as in a job that was started in the background, it stays so.
    """
    told = False

    def tell(number: int, frame: FrameType | None) -> None:
        nonlocal told
        del number, frame
        told = True

    numbers = [n for n in (signal.SIGINT, signal.SIGTERM) if signal.getsignal(n) != signal.SIG_IGN]
    before = {number: signal.signal(number, tell) for number in numbers}
    try:
        yield lambda: told
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
