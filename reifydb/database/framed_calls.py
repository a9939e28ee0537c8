"""Calls as the gateway has them: frames of many that the kernel reads itself, and the frame of one.

Nothing here waits for the disk; what is about one call only tries for a turn (docs/wire.md).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from reifydb.database.batches import Call, Outcome, Replied, handles_of, lay, read
from reifydb.database.call_frames import CallFrame, Lone
from reifydb.database.feed import EXPECTED
from reifydb.database.transitions import OUTCOME_BYTES, WasmTransition
from reifydb.engine.executor import ODD, PRESSING, PROGRESS
from reifydb.engine.kernel import INPUT_BYTES_MAX, LONE_ANSWER_AT, NONE, OUTCOME

if TYPE_CHECKING:
    from reifydb.database.database import Database

TRANSITION = 0x7FFF_FFFF
"""What `answer_lone` says from bit 32 on: the sign is above it."""


def read_calls(db: Database, frame: bytes) -> CallFrame | None:
    """See `Database.read_calls`."""
    lock = db._turns.lock
    if len(frame) > INPUT_BYTES_MAX or not lock.acquire(blocking=False):
        return None
    try:
        if db._refusal is not None or db._executor.failed is not None:
            return None
        kernel = db._kernel
        kernel.input[: len(frame)] = frame
        length = kernel.call["read_calls"](len(frame))
        if not length:
            return None
        return CallFrame(frame, bytes(kernel.output[:length]), db._registry.numbered)
    finally:
        lock.release()


def answer_lone(
    db: Database, frame: bytes, number: int, may: Callable[[str, str], bool] | None
) -> Lone | None:
    """See `Database.answer_lone`."""
    turns, executor, kernel = db._turns, db._executor, db._kernel
    length = len(frame)
    if turns.waiting or not turns.known.stack or length > INPUT_BYTES_MAX:
        return None
    if not turns.lock.acquire(blocking=False):
        return None
    try:
        if turns.holder is not None or db._refusal is not None or executor.failed is not None:
            return None
        if not db._schema_turn.is_still(number):
            return None
        kernel.input[:length] = frame
        if may is not None:
            handle = db._registry.numbered.get(kernel.call["read_lone"](length) & NONE)
            if handle is None or not may("call", handle.name):
                return None
            kernel.input[:length] = frame
        flags = 0
        try:
            db._seed = seed = db._seed + 1
            flags = executor.run_one(length, db._clock(), seed, frame=True)
            if flags & PROGRESS == ODD:
                db._seed = seed - 1
                return None
            lone = _lone(db, db._registry.numbered[flags >> 32 & TRANSITION], flags)
        finally:  # Ctrl-C comes when the kernel has committed, not instead
            if flags & PRESSING or db._feed.state is not EXPECTED:
                db._after_one(flags)
    finally:
        turns.lock.release()
    if db._log_lines:
        db._pass_on_log_lines()
    return lone


def run_calls(
    db: Database, entries: Sequence[Call | CallFrame]
) -> tuple[list[Outcome | Replied], bytes]:
    """See `Database.run_calls`."""
    db._turns.prepare()
    with db._turns.lock:
        db._turns.settle()
        db._check_open()
        for handle in handles_of(entries):
            handle.check()
        batch, count = lay(entries)
        try:
            parts, _ = db._executor.run(batch, db._now_us(), db._next_seed())
        finally:  # Ctrl-C leaves the slices before it committed
            db._after_commit()
            db._gather_log_lines()
        outcomes = parts[0] if len(parts) == 1 else b"".join(parts)
        found = read(entries[:count], outcomes, db._kernel)
        if db._executor.renewed:
            db._executor.renewed = False
            db._registry.renew_store()
    if db._log_lines:
        db._pass_on_log_lines()
    return found, outcomes


def _lone(db: Database, handle: WasmTransition, flags: int) -> Lone:
    """What lies in the kernel's output."""
    output = db._kernel.output
    length = flags >> 16 & 0xFFFF
    if length:
        message = bytes(output[LONE_ANSWER_AT : LONE_ANSWER_AT + length])
        return Lone(handle, db._kernel.lsn_cell.value, message, b"")
    _, _, lsn, payload, _ = OUTCOME.unpack_from(output)
    return Lone(handle, lsn, b"", bytes(output[: OUTCOME_BYTES + payload]))
