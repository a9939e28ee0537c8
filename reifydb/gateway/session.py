"""One WebSocket connection's conversation, without any I/O (docs/wire.md).

Frames go in and requests come out; messages go in and frames come out. A session knows who it talks
to, what it still owes, and which replies must wait until what they say is durable. It knows no
socket, no clock and no database, so its tests need none.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from reifydb.config import frame_messages_max, in_flight_max
from reifydb.database.call_frames import LONE_CALL, CallFrame
from reifydb.errors import OverloadedError, ReifyDBError, RequestError, UnauthenticatedError
from reifydb.gateway.grants import Grant
from reifydb.gateway.options import options_of
from reifydb.wire.codecs import Codec, Data, Spliced
from reifydb.wire.problems import problem_of

Id = int | str


class Request(NamedTuple):
    """One message of the client's, of the right shape.

    Attributes:
        kind: `call`, `group`, `get`, …
        id: Chosen by the client; what is answered carries it.
        arguments: What follows the id, as many as `SHAPES` says; what may be left out is None.
    """

    kind: str
    id: Id
    arguments: Sequence[Any]


class Shape(NamedTuple):
    """How many arguments a message has, and how many of them must be there."""

    least: int
    most: int

    @property
    def said(self) -> str:
        """In words."""
        return str(self.most) if self.least == self.most else f"{self.least} to {self.most}"


SHAPES = {
    "call": Shape(2, 3),
    "group": Shape(1, 2),
    "get": Shape(2, 2),
    "scan": Shape(1, 2),
    "query": Shape(1, 2),
    "count": Shape(1, 1),
    "write": Shape(3, 3),
    "subscribe": Shape(1, 2),
    "unsubscribe": Shape(1, 1),
    "schema": Shape(0, 0),
    "ping": Shape(0, 0),
}


CALL = b"\xa4call"
"""How a call begins in msgpack, behind the heads of one or two arrays."""


_WAITS_FOR_NOTHING = -1
"""The lsn of what is durable whatever happens, but has its place in the line."""


@dataclass(slots=True, eq=False)
class _Held:
    """A frame's worth of messages that waits for an lsn to be durable."""

    lsn: int
    ids: list[Id | Spliced]  # of some messages themselves: their ids are looked for when needed
    messages: list[Any]


class Session:
    """One conversation.

    Args:
        codec: Of the sub-protocol that was agreed on.
        grant: Who it is, if that is known from the start; None: the first message must say so.
        durable: Whether replies wait until durable, unless a message says otherwise.
        read_calls: Reads a frame of plain calls at once (`Database.read_calls`); None: each message
            is read by itself.

    Attributes:
        grant: Who it is; None until it has said.
        in_flight: Requests that are not yet answered.
        told: The number and the hash of the schema that the client knows; None: it is not told when
            there is another one.
        gone: Nobody hears it any more.
    """

    def __init__(
        self,
        codec: Codec,
        grant: Grant | None,
        *,
        durable: bool = True,
        read_calls: Callable[[bytes], CallFrame | None] | None = None,
    ) -> None:
        self.codec, self.grant, self.durable = codec, grant, durable
        self._read_calls = read_calls
        self.in_flight = 0
        self.told: tuple[int, str] | None = None
        self.gone = False
        self._ready: list[Any] = []
        self._open: _Held | None = None  # what is being gathered in this tick
        self._held: deque[_Held] = deque()
        self._news: _Held | None = None  # of another schema: it waits for the answers before it

    def may(self, kind: str, name: object) -> bool:
        """Whether the client may do this."""
        return self.grant is not None and isinstance(name, str) and self.grant.may(kind, name)

    def require(self, kind: str, name: object) -> None:
        """Refuses what the client may not do.

        Raises:
            ForbiddenError: It may not.
            RequestError: The name is none.
        """
        if not isinstance(name, str):
            raise RequestError(f"a name is a string, not {name!r:.40}")
        if self.grant is None:
            raise UnauthenticatedError("who are you?")
        self.grant.require(kind, name)

    # ------------------------------------------------------------------ in

    def receive(self, data: Data) -> Sequence[Request | Hello | CallFrame]:
        """The requests of a frame. What is wrong with single messages is answered here.

        Raises:
            RequestError: The frame is malformed: the connection cannot go on.
            UnauthenticatedError: Something else than `hello` comes before it has said who it is.
        """
        frame = self._calls(data)
        if frame is not None:
            return [frame]
        content = self.codec.decode(data)
        if not isinstance(content, list) or not content:
            raise RequestError("a frame holds a message, or several in an array")
        messages = content if isinstance(content[0], list) else [content]
        if len(messages) > frame_messages_max:
            raise RequestError(
                f"{len(messages):,} messages in a frame; frame_messages_max is "
                f"{frame_messages_max:,}"
            )
        requests: list[Request | Hello] = []
        for message in messages:
            try:
                requests.append(self._request(message))
            except UnauthenticatedError:
                raise
            except ReifyDBError as error:
                self._refuse(message, error)
        return requests

    def is_lone(self, data: Data) -> bool:
        """Whether a frame may be one plain call that would not be refused here, with nothing about
        it that `receive` would have to look at.
        """
        return (
            self._read_calls is not None
            and isinstance(data, bytes)
            and data.startswith(LONE_CALL)
            and self.in_flight < in_flight_max
            and self.told is not None
        )

    def _calls(self, data: Data) -> CallFrame | None:
        """A frame of nothing but plain calls, none of which would be refused here."""
        if self._read_calls is None or not isinstance(data, bytes) or CALL not in data[:11]:
            return None
        frame = self._read_calls(data)
        if frame is None or frame.calls > min(frame_messages_max, in_flight_max - self.in_flight):
            return None
        for handle, _ in frame.runs:
            if not self.may("call", handle.name):
                return None
        self.in_flight += frame.calls
        return frame

    def _request(self, message: Any) -> Request | Hello:
        if not isinstance(message, list) or not message or not isinstance(message[0], str):
            raise RequestError("a message is an array that begins with its kind")
        kind = message[0]
        if kind == "hello":
            return _hello(message)
        if self.grant is None:
            raise UnauthenticatedError(
                "the first message must be hello with a token", hint='["hello", {"token": "…"}]'
            )
        shape = SHAPES.get(kind)
        if shape is None:
            raise RequestError(f"there is no message {kind!r:.40}", hint=", ".join(SHAPES))
        if not shape.least <= len(message) - 2 <= shape.most:
            raise RequestError(f"{kind} has an id and {shape.said} arguments")
        id_ = message[1]
        if not isinstance(id_, int | str) or isinstance(id_, bool):
            raise RequestError("an id is a whole number or a string")
        if self.in_flight >= in_flight_max:
            raise OverloadedError(
                f"{in_flight_max} requests of this connection wait already (in_flight_max)"
            )
        self.in_flight += 1
        arguments = message[2:]
        return Request(kind, id_, arguments + [None] * (shape.most - len(arguments)))

    def _refuse(self, message: Any, error: ReifyDBError) -> None:
        """Answers a message that is no request, with its id if it has one."""
        id_ = message[1] if isinstance(message, list) and len(message) > 1 else None
        known = id_ if isinstance(id_, int | str) and not isinstance(id_, bool) else None
        self.say(["error", known, problem_of(error)])

    # ------------------------------------------------------------------ out

    def say(self, message: Any) -> None:
        """A message that waits for nothing, but for news of another schema."""
        (self._ready if self._news is None else self._news.messages).append(message)

    def tell_schema(self, number: int, described: dict[str, Any]) -> None:
        """There is another schema: the client is told before the first answer of it, and behind
        the last one that is not.
        """
        found, self._open = described["hash"], None
        is_new = self.told is None or self.told[1] != found
        self.told = number, found
        if is_new and self._held:
            self._news = _Held(_WAITS_FOR_NOTHING, [], [])
            self._held.append(self._news)
        if is_new:
            self.say(["schema", described])

    def answer(self, id_: Id, message: Any, lsn: int, *, durable: bool | None = None) -> None:
        """The answer to a request, which says what was so as of an lsn."""
        self.in_flight -= 1
        if not (self.durable if durable is None else durable):
            self.say(message)
            return
        self._hold(id_, message, lsn)

    def answer_calls(self, messages: Spliced, lsn: int) -> None:
        """The answers to calls of a frame."""
        self.in_flight -= messages.count
        if self.durable:
            self._hold(messages, messages, lsn)
        else:
            self.say(messages)

    @property
    def owes_nothing(self) -> bool:
        """Whether nothing is ready to be said, and nothing waits."""
        return not (self._held or self._ready)

    @property
    def owes_answers(self) -> bool:
        """Whether a request has not been answered, or its answer waits for the disk."""
        return self.in_flight > 0 or bool(self._held)

    def answer_lone(self, message: bytes, lsn: int, durable_lsn: int) -> Data | None:
        """`answer_calls` and `frame` in one, for a call that was never in flight: it was answered
        as it came.
        """
        if not (self._held or self._ready or (self.durable and lsn > durable_lsn)):
            return message
        self.in_flight += 1
        self.answer_calls(Spliced(message), lsn)
        return self.frame(durable_lsn)

    def _hold(self, id_: Id | Spliced, message: Any, lsn: int) -> None:
        held = self._open
        if held is None:
            held = self._open = _Held(lsn, [], [])
            self._held.append(held)
        if lsn > held.lsn:
            held.lsn = lsn
        held.ids.append(id_)
        held.messages.append(message)

    def frame(self, durable_lsn: int) -> Data | None:
        """All that can be said now, as one frame; None when that is nothing. Ends the tick: what is
        answered from now on waits for itself.
        """
        self._open = None
        messages, self._ready = self._ready, []
        while self._held and self._held[0].lsn <= durable_lsn:
            held = self._held.popleft()
            messages += held.messages
            if held is self._news:
                self._news = None
        return self.codec.encode(messages) if messages else None

    @property
    def waits_for(self) -> int | None:
        """The lsn that must be durable before there is more to say; None: nothing waits."""
        return self._held[0].lsn if self._held else None

    def lose(self, error: ReifyDBError) -> None:
        """What waits to be durable never will be: each request of it is told so."""
        problem = problem_of(error)
        while self._held:
            held = self._held.popleft()
            waited = [one for id_ in held.ids for one in _ids(id_)]
            # What waited for others only is said all the same.
            self._ready += [["error", one, problem] for one in waited] or held.messages
        self._open = self._news = None


def _ids(id_: Id | Spliced) -> list[Id]:
    return [message[1] for message in id_.messages()] if isinstance(id_, Spliced) else [id_]


class Hello(NamedTuple):
    """The client says who it is and what it wants to wait for."""

    token: str | None
    durable: bool | None


_HELLO = '["hello", {"token": "…", "ack": "durable"}]'


def _hello(message: list[Any]) -> Hello:
    if len(message) > 2:
        raise RequestError("hello has options and nothing else", hint=_HELLO)
    given = message[1] if len(message) > 1 else None
    options = options_of(given, ("token", "ack"), "hello", _HELLO)
    token, ack = options.get("token"), options.get("ack")
    if token is not None and not isinstance(token, str):
        raise RequestError("a token is a string")
    return Hello(token, wants_durable(ack))


def wants_durable(ack: object) -> bool | None:
    """What the option `ack` says; None when it says nothing.

    Raises:
        RequestError: It is neither `durable` nor `committed`.
    """
    if ack is None:
        return None
    if ack not in ("durable", "committed"):
        raise RequestError(f"ack is {ack!r:.40}", hint='"durable" or "committed"')
    return ack == "durable"
