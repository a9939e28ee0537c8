"""Calls of one transition whose arguments are packed rows, in batches that fit."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reifydb.database.packed import not_run, pieces
from reifydb.database.transitions import WasmTransition
from reifydb.engine.kernel import INPUT_BYTES_MAX
from reifydb.errors import DurabilityLostError, RequestError, UnavailableError

if TYPE_CHECKING:
    from reifydb.database.database import Database


def run_packed(db: Database, handle: WasmTransition, packed: bytes) -> list[bytes]:
    """Runs packed calls in batches that fit the kernel's input.

    What is refused before anything has run is raised. Later on (the disk has stalled, the
    database was closed) the calls that did not run have outcomes that say so: those of the
    calls that did must not be lost.
    """
    outcomes: list[bytes] = []
    for piece in pieces(packed, INPUT_BYTES_MAX - len(handle.run_head)):
        left = piece
        try:
            while left:
                left = _run_piece(db, handle, left, outcomes)
        except (UnavailableError, RequestError, DurabilityLostError):
            if not outcomes:
                raise
            outcomes.append(not_run(left))
    return outcomes


def _run_piece(db: Database, handle: WasmTransition, piece: bytes, outcomes: list[bytes]) -> bytes:
    """Runs packed calls until all are done or the log is behind; those that are left."""
    if not handle.query:
        db._admit()
    db._turns.prepare()
    with db._turns.lock:
        db._turns.settle()
        db._check_open()
        handle.check()
        batch = handle.run_head + piece
        try:
            parts, consumed = db._executor.run(batch, db._now_us(), db._next_seed())
        finally:  # Ctrl-C leaves the slices before it committed
            db._after_commit()
            db._gather_log_lines()
        outcomes += parts
        db._registry.renew_store()
    db._pass_on_log_lines()
    return batch[consumed:]
