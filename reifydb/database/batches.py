"""Calls of any transitions, gathered for one crossing: what the gateway runs in a tick.

They are single calls, and frames of calls that the kernel has read. The outcomes are in their
order. When the log falls behind in the middle, the rest has not run and can be run again
(docs/formats.md, "Batches", "Outcomes").
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from reifydb.database.call_frames import ALONE, GAP, REPLY, CallFrame
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
        answers: In their order: messages, and how many they are; outcomes that are still to be
            worded, of calls whose tag is their id. Those that committed mostly are messages.
        lsn: Of the last one.
        end: Where in the batch's outcomes theirs end.
    """

    frame: CallFrame
    calls: int
    answers: list[tuple[bytes, int] | Outcome]
    lsn: int
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
        calls, gaps, _, end, size, lsn = REPLY.unpack_from(said, at)
        at += REPLY.size
        messages = said[at : at + size]
        at += (size + 7) & ~7
        if gaps:
            own = said[at : at + GAP.size * gaps]
            at += len(own)
            answers = list(_with_gaps(frame, messages, calls - gaps, own, outcomes))
        else:
            answers = [(messages, calls)]
        yield Replied(frame, calls, answers, lsn, end)


def _with_gaps(
    frame: CallFrame, messages: bytes, count: int, gaps: bytes, outcomes: bytes
) -> Iterator[tuple[bytes, int] | Outcome]:
    """Messages and, between them, the outcomes that have none."""
    at = told = 0
    handles = {handle.number: handle for handle, _ in frame.runs}
    for messages_at, outcome_at, before, number, id_at, id_end in GAP.iter_unpack(gaps):
        if before > told:
            yield messages[at:messages_at], before - told
            at, told = messages_at, before
        call = Call(handles[number], b"", frame.id_between(id_at, id_end))
        yield from _outcomes([call], outcomes, outcome_at, len(outcomes))
    if count > told:
        yield messages[at:], count - told


def _counted(frame: CallFrame, outcomes: bytes, at: int) -> Replied:
    """The same without the kernel."""
    calls = (Call(handle, b"", id_) for handle, id_ in frame.each())
    answers: list[tuple[bytes, int] | Outcome] = list(_outcomes(calls, outcomes, at, len(outcomes)))
    last = answers[-1]
    assert isinstance(last, Outcome)
    end = last.at + (last.length + 7 & ~7)
    return Replied(frame, len(answers), answers, last.lsn, end)
