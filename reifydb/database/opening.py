"""Opening a database: `open_database` is `reifydb.open`."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable

from reifydb.config import Options
from reifydb.database import MEMORY
from reifydb.database.database import Database, now_ns
from reifydb.database.progress import Progress
from reifydb.durability.log import CommitLog, open_log
from reifydb.durability.memory import MemoryLog
from reifydb.errors import RequestError
from reifydb.sandbox.workshop import take

_DEFAULTS = Options()


def open_database(
    path: str | os.PathLike[str],
    *,
    options: Options | None = None,
    clock: Callable[[], int] | None = None,
    seed: int | None = None,
    progress: Callable[[Progress], object] | None = None,
) -> Database:
    """Opens a database, and makes it when the folder is not there or empty.

    What was durable when it was last used is there again; O(log), at about a million commits a
    second.

    Args:
        path: Its folder; `":memory:"` keeps nothing.
        options: Its settings; see `reifydb.Options`.
        clock: Nanoseconds since 1970 UTC, for `now()`; by default the system's clock.
        seed: Where `random()` starts; by default somewhere new each time.
        progress: Is told how far views have come, which are made anew: every 100 ms, in another
            thread, and at the end of each.

    Raises:
        LockedError: Another process has it open.
        LogDamagedError: Its log cannot be believed: says where. Nothing was changed.
        FormatVersionError: It is a newer ReifyDB's, or the folder is something else's.
        StorageError: The system refused.
    """
    options = _DEFAULTS if options is None else options
    if not isinstance(path, str | os.PathLike) or not isinstance(name := os.fspath(path), str):
        raise RequestError(f"a database's path is a folder's name or {MEMORY!r}, not {path!r}")
    if not name:
        raise RequestError("a database's path is empty", hint=f"a folder's name or {MEMORY!r}")
    if not isinstance(options, Options):
        raise RequestError(f"options is {options!r}", hint="reifydb.Options(…)")
    if clock is not None and not callable(clock):
        raise RequestError(f"clock is {clock!r}", hint="a function that returns nanoseconds")
    if seed is not None and not isinstance(seed, int):
        raise RequestError(f"seed is {seed!r}; it must be a whole number")
    if sys.platform == "win32" and name != MEMORY:
        raise RequestError(
            "on Windows a database is kept in memory only", hint=f"reifydb.open({MEMORY!r})"
        )
    log: CommitLog = MemoryLog() if name == MEMORY else open_log(name, options)
    try:
        db = Database(
            name,
            options,
            log,
            take(),
            clock=clock or now_ns,
            seed=int.from_bytes(os.urandom(8), "little") if seed is None else seed,
        )
        try:
            db.recover(progress)
        except BaseException:
            db._abandon()
            raise
    except BaseException:
        log.close()
        raise
    return db
