"""Databases that are open in this process, for what happens to all of them: fork, and its end."""

from __future__ import annotations

import atexit
import os
import weakref
from contextlib import ExitStack
from typing import TYPE_CHECKING

from reifydb.database.turns import Turns
from reifydb.errors import ForkedError

if TYPE_CHECKING:
    from reifydb.database.database import Database

open_databases: weakref.WeakSet[Database] = weakref.WeakSet()
"""Every database that was opened, until it is collected."""


def _forked() -> None:
    """In a forked child: every handle refuses. The kernel's memory is shared copy-on-write, but the
    log, its lock and the threads are the parent's.
    """
    for db in open_databases:
        if db._refusal is None:
            db._refusal = ForkedError(
                "the database belongs to the parent process", hint="open it after the fork"
            )
        db._turns = Turns(db.options.engine_wait_ms_max)


def _close_all() -> None:
    """When the program ends: what was committed is to be durable although nobody closed."""
    with ExitStack() as stack:
        for db in list(open_databases):
            stack.callback(db.close)


if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(after_in_child=_forked)
atexit.register(_close_all)
