"""How far long work has come, for whoever waits: a line on a terminal, lines in a server's log."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable

from reifydb.database.progress import Progress

AFTER_S = 0.5
"""What takes less is not shown."""

LOGGED_S = 5.0
"""A server's log has a line so often."""


def progress_line() -> Callable[[Progress], None] | None:
    """What draws a line on standard error while it is a terminal; None: it is none."""
    if not sys.stderr.isatty():
        return None
    begun = time.monotonic()
    shown = False

    def draw(progress: Progress) -> None:
        nonlocal shown
        done = progress.rows == progress.of
        if done and not shown:
            return
        if not done and time.monotonic() - begun < AFTER_S:
            return
        shown = not done
        line = "" if done else f"{progress.what}: {progress.rows:,} of {progress.of:,} rows"
        print(f"\r{line}\033[K", end="", file=sys.stderr, flush=True)

    return draw


def progress_log(log: Callable[..., None]) -> Callable[[Progress], None]:
    """What writes a line into a log every few seconds."""
    last = time.monotonic()

    def write(progress: Progress) -> None:
        nonlocal last
        if time.monotonic() - last >= LOGGED_S:
            last = time.monotonic()
            log("opening: %s, %d of %d rows", progress.what, progress.rows, progress.of)

    return write
