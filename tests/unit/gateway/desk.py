"""A service and a connection without sockets: what goes in, and what comes out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import msgpack

import reifydb
from reifydb.gateway.grants import EVERYTHING, Grant
from reifydb.gateway.service import Service
from reifydb.gateway.session import Hello, Session
from reifydb.wire.codecs import CODECS

MSGPACK = CODECS["reifydb.v1.msgpack"]


class _Loop:
    """An event loop that runs nothing by itself."""

    def time(self) -> float:
        return 0.0

    def call_soon(self, function: Callable[[], None]) -> None:
        """Forgotten: `Desk.tick` ticks."""

    def call_soon_threadsafe(self, function: Callable[[], None]) -> None:
        """Forgotten."""

    def call_later(self, seconds: float, function: Callable[[], None]) -> None:
        """Forgotten."""


class Desk:
    """A connection of its own service, in msgpack.

    Args:
        whole: Frames of plain calls are read at once; else call by call.

    Attributes:
        alone: How many frames were answered as they came.
    """

    full = False

    def __init__(
        self, db: reifydb.Database, *, whole: bool, grant: Grant = EVERYTHING, durable: bool = False
    ) -> None:
        self.db = db
        self.service = Service(db, cast(Any, _Loop()))
        read_calls = db.read_calls if whole else None
        self.session = Session(MSGPACK, grant, durable=durable, read_calls=read_calls)
        self.sent: list[bytes] = []
        self.alone = 0

    def send(self, frame: Any) -> None:
        """See `Peer`."""
        self.sent.append(frame)

    def take(self, frame: bytes) -> None:
        """A frame has come."""
        received = self.session.receive(frame)
        self.service.take_on(self, [one for one in received if not isinstance(one, Hello)])

    def take_alone(self, frame: bytes) -> None:
        """A frame has come, and nothing else."""
        self.service._ready = []  # what else the loop has to do
        self.db._turns.prepare()  # as any turn of this thread has done
        if self.session.told is None:
            self.session.told = self.db._schema_turn.number, ""
        if self.session.is_lone(frame) and self.service.answer_lone(self, frame):
            self.alone += 1
        else:
            self.take(frame)
            self.service._tick()

    def tick(self) -> list[Any]:
        """All that is said at the end of a tick, as messages."""
        self.service._tick()
        return self.said()

    def said(self) -> list[Any]:
        """All that was said since this was last asked."""
        sent, self.sent = self.sent, []
        messages = []
        for frame in sent:
            content = msgpack.unpackb(frame)
            messages += content if isinstance(content[0], list) else [content]
        return messages

    def ask(self, *messages: Any) -> list[Any]:
        """What these messages, one frame, are answered."""
        self.take(MSGPACK.encode(messages))  # type: ignore[arg-type]
        return self.tick()
