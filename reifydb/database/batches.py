"""Calls of any transitions, gathered for one crossing: what the gateway runs in a tick.

The outcomes are in the order of the calls. When the log falls behind in the middle, the rest has
not run and can be run again (docs/formats.md, "Batches", "Outcomes").
"""

from __future__ import annotations

from typing import NamedTuple

from reifydb.database.transitions import OUTCOME_BYTES, WasmTransition
from reifydb.engine.kernel import INPUT_BYTES_MAX, OUTCOME, RUN_HEAD


class Call(NamedTuple):
    """One call: its transition, its arguments as a row, and whatever its caller knows it by."""

    handle: WasmTransition
    row: bytes
    tag: object


class Outcome(NamedTuple):
    """What became of a call; `payload` is where in the outcomes' bytes its result or message is."""

    call: Call
    status: int
    code: int
    lsn: int
    at: int
    length: int


def lay(calls: list[Call]) -> tuple[bytes, int]:
    """As many calls as fit into one batch, from the first on: the batch, and how many they are."""
    parts: list[bytes] = []
    size, i, count = 0, 0, len(calls)
    while i < count:
        handle = calls[i].handle
        rows: list[bytes] = []
        room = INPUT_BYTES_MAX - size - RUN_HEAD.size
        while i < count and calls[i].handle is handle and len(calls[i].row) <= room:
            row = calls[i].row
            room -= len(row)
            rows.append(row)
            i += 1
        if not rows:
            break
        run = b"".join([RUN_HEAD.pack(handle.number, len(rows)), *rows])
        parts.append(run)
        size += len(run)
    return b"".join(parts), i


def read(calls: list[Call], outcomes: bytes) -> list[Outcome]:
    """The outcomes of the calls that have run: of the first few, or all."""
    found: list[Outcome] = []
    at, unpack = 0, OUTCOME.unpack_from
    for call in calls:
        if at >= len(outcomes):
            break
        status, code, lsn, length, _ = unpack(outcomes, at)
        at += OUTCOME_BYTES
        found.append(Outcome(call, status, code, lsn, at, length))
        at += (length + 7) & ~7
    return found
