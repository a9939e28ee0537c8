"""Calls of any transitions, gathered for one crossing: what the gateway runs in a tick.

They are single calls, and frames of calls that the kernel has read. The outcomes are in their
order. When the log falls behind in the middle, the rest has not run and can be run again
(docs/formats.md, "Batches", "Outcomes").
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from reifydb.database.call_frames import ALONE, REPLY, CallFrame
from reifydb.database.transitions import OUTCOME_BYTES, WasmTransition
from reifydb.engine.kernel import INPUT_BYTES_MAX, OUTCOME, RUN_HEAD, Kernel


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


class Replied(NamedTuple):
    """What became of a frame of calls.

    Attributes:
        calls: How many of them have run: the first few, when the log fell behind.
        messages: They answer those; None when some did not commit: errors are worded by others.
        lsn: Of the last one.
        at: Where in the batch's outcomes theirs begin; `end`: where they end.
    """

    frame: CallFrame
    calls: int
    messages: bytes | None
    lsn: int
    at: int
    end: int

    def counts(self) -> Sequence[tuple[WasmTransition, int]]:
        """How many of them are of which transition."""
        if self.calls == self.frame.calls:
            return self.frame.runs
        found, left = [], self.calls
        for handle, count in self.frame.runs:
            found.append((handle, min(left, count)))
            left -= found[-1][1]
        return found

    def outcomes(self, data: bytes) -> Iterator[Outcome]:
        """Those of its calls one by one; the tag of each is its id. O(calls), 2 µs each."""
        calls = (Call(handle, b"", id_) for handle, id_ in self.frame.each())
        return _outcomes(calls, data, self.at, self.end)


def handles_of(entries: Sequence[Call | CallFrame]) -> set[WasmTransition]:
    """The transitions that are called."""
    found: set[WasmTransition] = set()
    for entry in entries:
        if isinstance(entry, CallFrame):
            for handle, _ in entry.runs:
                found.add(handle)
        else:
            found.add(entry.handle)
    return found


def lay(entries: Sequence[Call | CallFrame]) -> tuple[bytes, int]:
    """As many as fit into one batch, from the first on: the batch, and how many they are."""
    parts: list[bytes] = []
    size, i, count = 0, 0, len(entries)
    while i < count:
        entry = entries[i]
        if isinstance(entry, CallFrame):
            part = entry.batch
            if size + len(part) > INPUT_BYTES_MAX:
                break
            i += 1
        else:
            room = INPUT_BYTES_MAX - size - RUN_HEAD.size
            rows = list(_run_of(entry.handle, entries, i, room))
            if not rows:
                break
            part = b"".join([RUN_HEAD.pack(entry.handle.number, len(rows)), *rows])
            i += len(rows)
        parts.append(part)
        size += len(part)
    return parts[0] if len(parts) == 1 else b"".join(parts), i


def _run_of(
    handle: WasmTransition, entries: Sequence[Call | CallFrame], first: int, room: int
) -> Iterator[bytes]:
    """The rows of the calls of one transition that follow each other, as far as there is room."""
    for i in range(first, len(entries)):
        entry = entries[i]
        if isinstance(entry, CallFrame) or entry.handle is not handle or len(entry.row) > room:
            return
        room -= len(entry.row)
        yield entry.row


def read(
    entries: Sequence[Call | CallFrame], outcomes: bytes, kernel: Kernel
) -> list[Outcome | Replied]:
    """What became of those that have run: of the first few, or all. In the turn of their batch."""
    found: list[Outcome | Replied] = []
    replies = _replies(entries, outcomes, kernel)
    at = 0
    for entry in entries:
        if at >= len(outcomes):
            break
        if isinstance(entry, CallFrame):
            replied = next(replies, None) or _counted(entry, outcomes, at)
            at = replied.end
            found.append(replied)
        else:
            [outcome] = _outcomes([entry], outcomes, at, len(outcomes))
            at = outcome.at + (outcome.length + 7 & ~7)
            found.append(outcome)
    return found


def _outcomes(calls: Iterable[Call], outcomes: bytes, at: int, end: int) -> Iterator[Outcome]:
    unpack = OUTCOME.unpack_from
    for call in calls:
        if at >= end:
            return
        status, code, lsn, length, _ = unpack(outcomes, at)
        at += OUTCOME_BYTES
        yield Outcome(call, status, code, lsn, at, length)
        at += (length + 7) & ~7


def _replies(
    entries: Sequence[Call | CallFrame], outcomes: bytes, kernel: Kernel
) -> Iterator[Replied]:
    """What became of the frames among them, as the kernel says: of the first few only when it is
    too much for one crossing.
    """
    frames = [entry for entry in entries if isinstance(entry, CallFrame)]
    heads = b"".join([ALONE if isinstance(e, Call) else e.head for e in entries])
    if not frames or len(heads) + len(outcomes) > INPUT_BYTES_MAX:
        return
    length = len(heads) + len(outcomes)
    kernel.input[:length] = heads + outcomes
    said = bytes(kernel.output[: kernel.call["reply_to_calls"](len(heads), length)])
    at = 0
    for frame in frames:
        if at >= len(said):
            return
        calls, refused, begin, end, size, lsn = REPLY.unpack_from(said, at)
        at += REPLY.size
        messages = None if refused else said[at : at + size]
        yield Replied(frame, calls, messages, lsn, begin, end)
        at += (size + 7) & ~7


def _counted(frame: CallFrame, outcomes: bytes, at: int) -> Replied:
    """The same without the kernel."""
    calls = (Call(handle, b"", id_) for handle, id_ in frame.each())
    known = list(_outcomes(calls, outcomes, at, len(outcomes)))
    last = known[-1]
    return Replied(frame, len(known), None, last.lsn, at, last.at + (last.length + 7 & ~7))
