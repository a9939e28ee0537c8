"""Frames of calls that the kernel has read (kernel/calls.zig): Python does not touch each call.

A frame of plain calls becomes a part of a batch, and its outcomes become the messages that answer
it, as bytes. Whatever is not plain is read and answered call by call (docs/wire.md says what a call
may be; nobody can tell from an answer which way it went).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any, NamedTuple

from reifydb.database.transitions import WasmTransition
from reifydb.engine.kernel import RUN_HEAD

HEAD = struct.Struct("<IIII")
"""What the kernel says of a frame: calls, runs, bytes of the part of a batch, bytes of the ids."""

REPLY = struct.Struct("<IIQQQQ")
"""Calls that have outcomes, how many of them did not commit, where in the outcomes theirs begin and
end, bytes of messages, lsn of the last one. The messages follow, and a `GAP` for each of those."""

GAP = struct.Struct("<QQIIII")
"""Where among the messages its answer belongs, where its outcome is, how many messages are before
it, its transition, where its id begins and ends among the ids."""

ALONE = HEAD.pack(1, 0, 0, 0)
"""Stands for one call that is not of a frame, where frames and calls are answered together."""


LONE_CALL = b"\x94\xa4call"
"""How a frame begins that is one plain call."""


class Lone(NamedTuple):
    """What became of a call whose frame had nothing else in it.

    Attributes:
        handle: Its transition.
        lsn: Of its outcome.
        message: What it is answered; empty: its outcome is still to be worded.
        outcome: That, if it is.
    """

    handle: WasmTransition
    lsn: int
    message: bytes
    outcome: bytes


class CallFrame:
    """The calls of one frame.

    Args:
        data: The frame.
        made: What the kernel has made of it.
        numbered: The transitions by number.

    Attributes:
        tag: Whatever its sender is known by.
        calls: How many.
        runs: Their transitions, with how many calls of each follow each other.
        batch: They as a part of a batch.
        head: What the kernel needs to know to answer them.
        may_write: Some are of transitions that may write; `only_writes`: all are.
    """

    def __init__(self, data: bytes, made: bytes, numbered: Mapping[int, WasmTransition]) -> None:
        self.data = data
        self.tag: object = None
        self.calls, runs, batch_bytes, _ = HEAD.unpack_from(made)
        runs_at = HEAD.size + batch_bytes
        self.batch = made[HEAD.size : runs_at]
        self.head = made[: HEAD.size] + made[runs_at:]
        self._ids_at = HEAD.size + RUN_HEAD.size * runs
        self.runs: Sequence[tuple[WasmTransition, int]]
        if runs == 1:
            handle = numbered[RUN_HEAD.unpack_from(made, runs_at)[0]]
            self.runs = ((handle, self.calls),)
            self.may_write = self.only_writes = not handle.query
            return
        ends = runs_at + RUN_HEAD.size * runs
        self.runs = [(numbered[n], count) for n, count in RUN_HEAD.iter_unpack(made[runs_at:ends])]
        queries = {handle.query for handle, _ in self.runs}
        self.may_write, self.only_writes = False in queries, True not in queries

    @cached_property
    def messages(self) -> list[list[Any]]:
        """The calls as messages: for whoever must touch each of them after all."""
        import msgpack  # only servers need it

        content = msgpack.unpackb(self.data)
        return content if isinstance(content[0], list) else [content]

    def id_between(self, begin: int, end: int) -> Any:
        """The id that lies there among the ids."""
        import msgpack

        return msgpack.unpackb(self.head[self._ids_at + begin : self._ids_at + end])

    @property
    def ids(self) -> list[Any]:
        """What the calls are known by. O(calls)."""
        return [message[1] for message in self.messages]

    def each(self) -> Iterator[tuple[WasmTransition, Any]]:
        """Transition and id of each call."""
        handles = (handle for handle, count in self.runs for _ in range(count))
        return zip(handles, self.ids, strict=True)
