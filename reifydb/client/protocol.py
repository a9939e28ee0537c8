"""The client's side of the protocol, without any I/O (docs/wire.md).

Requests go in and frames come out, frames go in and answers come out. A protocol outlives its
connections. What has not been sent waits for the next one. What was sent and not answered is sent
again when it changes nothing, and else fails with `ConnectionLostError`: it may have run.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any, Protocol, cast

import msgpack

from reifydb.client import requests
from reifydb.client.feed import Feed
from reifydb.client.requests import Prepare, Prepared
from reifydb.client.schema import Schema
from reifydb.config import client_retries_max, client_waiting_max
from reifydb.database.positions import Position
from reifydb.errors import (
    ConnectionLostError,
    LimitError,
    OfflineError,
    OperatorError,
    OverloadedError,
    ReifyDBError,
    RequestError,
    SchemaError,
    UnavailableError,
    UnknownNameError,
    WrongTypeError,
)
from reifydb.wire.codecs import CODECS
from reifydb.wire.problems import error_of

SUBPROTOCOL = "reifydb.v1.msgpack"

RETRY_S = 0.05
"""The wait before the first time, where the server says nothing; it doubles."""

FRAME_HEAD_BYTES = 5

_SCHEMA_ID = 0

_STALE = {UnknownNameError, WrongTypeError, RequestError, SchemaError}
"""Refusals that may come from a schema which is old. Nothing has changed after any of them."""

_decode = CODECS[SUBPROTOCOL].decode


class Clock(Protocol):
    """What the outside gives: time, and dice."""

    def now_s(self) -> float:
        """Seconds, from any moment on."""

    def later(self, after_s: float, run: Callable[[], None]) -> object:
        """Runs something later."""

    def drawn(self) -> float:
        """A random number from 0 to 1."""


class Request:
    """Something that is asked for.

    Args:
        done: Told the value and its lsn.
        failed: Told why not, and the lsn that it was refused at; 0: it has not run.
    """

    __slots__ = ("at_s", "attempts", "by", "done", "failed", "feed", "kind", "looked", "prepare")

    def __init__(
        self,
        kind: str,
        prepare: Prepare,
        done: Callable[[Any, int], object],
        failed: Callable[[ReifyDBError, int], object],
        feed: Feed | None = None,
    ) -> None:
        self.kind, self.prepare, self.done, self.failed = kind, prepare, done, failed
        self.feed = feed
        self.at_s = 0.0
        self.attempts = 0
        self.by = ""  # the hash of the schema that it was prepared by
        self.looked = False  # whether another schema may mend it has been looked at


class ClientProtocol:
    """One client's conversation with its server.

    Args:
        token: Who the client is.
        ack: What answers wait for: `durable` or `committed`.
        wake: Told that there may be something to send.

    Attributes:
        ready: Requests can be sent.
        schema: What is known of the server's.
        position: Of the newest answer.
        refusal: Why the server closes this connection, if it has said so.
    """

    def __init__(self, token: str | None, ack: str, clock: Clock, wake: Callable[[], None]) -> None:
        self._hello = {"ack": ack} if token is None else {"ack": ack, "token": token}
        self._clock, self._wake = clock, wake
        self.ready = False
        self.schema: Schema | None = None
        self.position = Position(0, 0)
        self.refusal: ReifyDBError | None = None
        self._packer = msgpack.Packer()
        self._sent: dict[int, tuple[Request, Prepared]] = {}
        self._waiting: deque[Request] = deque()
        self._looking: list[tuple[Request, ReifyDBError]] = []
        self._urgent: list[bytes] = []
        self._feeds: dict[Feed, None] = {}
        self._streams: dict[int, Feed] = {}
        self._asking = False
        self._ended: ReifyDBError | None = None
        self._next_id = _SCHEMA_ID + 1
        self._frame_bytes, self._frame_messages, self._in_flight = 1 << 20, 1000, 1000

    # ------------------------------------------------------------------ connections

    def open(self) -> None:
        """There is a connection. What must be sent first is among what `take` gives."""
        self.refusal = None
        self.ready = self._asking = False
        self._urgent = [self._pack(["hello", self._hello])]
        self._wake()

    def lost(self) -> None:
        """The connection is gone."""
        self.ready = self._asking = False
        self._urgent.clear()
        self._streams.clear()
        for feed in self._feeds:
            feed.pause()
        again: list[Request] = []
        sent, self._sent = self._sent, {}
        for request, prepared in sent.values():
            if request.feed is not None or request.kind == "unsubscribe":
                continue  # the next connection begins it anew
            if prepared.safe:
                again.append(request)
            else:
                said = (
                    f"the connection was lost before {request.kind} was answered: it may have run"
                )
                request.failed(ConnectionLostError(said, hint="look, then decide"), 0)
        again += [request for request, _ in self._looking]
        self._looking.clear()
        waiting = [request for request in self._waiting if request.feed is None]
        self._waiting = deque(again + waiting)

    def expire(self, before_s: float) -> None:
        """Fails what has waited to be sent since before then."""
        while self._waiting and self._waiting[0].at_s < before_s:
            request = self._waiting.popleft()
            said = "there was no connection to the server for too long; the request was not sent"
            request.failed(OfflineError(said), 0)

    def end(self, error: ReifyDBError) -> None:
        """The end: whatever waits fails."""
        if self._ended is not None:
            return
        self._ended = error
        self.lost()
        for request in self._waiting:
            request.failed(error, 0)
        for feed in self._feeds:
            feed.end(error)
        self._waiting.clear()
        self._feeds.clear()

    # ------------------------------------------------------------------ asking

    def ask(self, request: Request) -> None:
        """Takes on a request.

        Raises:
            OverloadedError: Too many wait to be sent.
            ClosedError, …: It has ended.
        """
        if self._ended is not None:
            raise self._ended
        if len(self._waiting) >= client_waiting_max:
            raise OverloadedError(
                f"{client_waiting_max:,} requests wait to be sent (client_waiting_max)"
            )
        self._enqueue(request)

    def _enqueue(self, request: Request) -> None:
        request.at_s = self._clock.now_s()
        self._waiting.append(request)
        self._wake()

    def join(self, feed: Feed) -> None:
        """Begins a subscription, now or with the next connection."""
        if self._ended is not None:
            raise self._ended
        self._feeds[feed] = None
        if self.ready:
            self._begin(feed)

    def resume(self, feed: Feed) -> None:
        """Takes up a subscription that was left because nobody read it."""
        feed.left = False
        if self.ready and feed in self._feeds:
            self._begin(feed)

    def leave(self, feed: Feed) -> None:
        """Ends a subscription."""
        self._feeds.pop(feed, None)
        self._leave_stream(feed)

    def _leave_stream(self, feed: Feed) -> None:
        id_ = feed.id
        feed.pause()
        self._waiting = deque(request for request in self._waiting if request.feed is not feed)
        if id_ is not None and self._streams.pop(id_, None) is not None:
            if id_ in self._sent:
                begun, _ = self._sent[id_]
                begun.done = begun.failed = _nothing
            self._enqueue(Request("unsubscribe", requests.unsubscribe(id_), _nothing, _nothing))

    def _begin(self, feed: Feed) -> None:
        def began(described: Any, lsn: int) -> None:
            del lsn
            if feed.id is not None:
                feed.begin(described, self.position.incarnation)

        def failed(error: ReifyDBError, lsn: int) -> None:
            del lsn
            if feed not in self._feeds:
                return
            self._streams.pop(feed.id or -1, None)
            feed.pause()
            if type(error) is RequestError and feed.since is not None and not feed.given:
                feed.forget()  # that position is not of this database's history
                self._begin(feed)
            else:
                self._feeds.pop(feed, None)
                feed.end(error)

        prepare = requests.subscribe(feed.what, feed.since)
        self._enqueue(Request("subscribe", prepare, began, failed, feed))

    # ------------------------------------------------------------------ out

    def take(self) -> list[bytes]:
        """The frames to send now."""
        frames, self._urgent = self._urgent, []
        messages: list[bytes] = []
        size = FRAME_HEAD_BYTES
        while self.ready and self._waiting and len(self._sent) < self._in_flight:
            message = self._prepare(self._waiting.popleft())
            if message is None:
                continue
            full = size + len(message) > self._frame_bytes
            if messages and (full or len(messages) >= self._frame_messages):
                frames.append(self._frame(messages))
                messages, size = [], FRAME_HEAD_BYTES
            messages.append(message)
            size += len(message)
        if messages:
            frames.append(self._frame(messages))
        frames += self._urgent
        self._urgent = []
        return frames

    def _frame(self, messages: list[bytes]) -> bytes:
        if len(messages) == 1:
            return messages[0]
        head = cast(bytes, self._packer.pack_array_header(len(messages)))
        return head + b"".join(messages)

    def _pack(self, message: Any) -> bytes:
        return cast(bytes, self._packer.pack(message))

    def _prepare(self, request: Request) -> bytes | None:
        """A request's message; None: it is not sent now."""
        id_ = self._next_id
        assert self.schema is not None
        request.by = self.schema.hash
        try:
            prepared = request.prepare(self.schema)
            message = self._pack((request.kind, id_, *prepared.rest))
            if len(message) + FRAME_HEAD_BYTES > self._frame_bytes:
                said = f"{request.kind}: a message of {len(message):,} bytes"
                raise LimitError(said, limit="ws_frame_bytes_max", value=self._frame_bytes)
        except ReifyDBError as error:
            self._refuse(request, error, 0)
            return None
        except (TypeError, ValueError, OverflowError) as error:
            self._packer = msgpack.Packer()
            request.failed(RequestError(f"{request.kind} cannot be sent: {error}"), 0)
            return None
        self._next_id += 1
        self._sent[id_] = request, prepared
        if request.feed is not None:
            request.feed.id = id_
            self._streams[id_] = request.feed
        return message

    def _refuse(self, request: Request, error: ReifyDBError, lsn: int) -> None:
        """Fails a request, after a look at the schema where that may be the reason."""
        assert self.schema is not None
        if type(error) not in _STALE or request.feed is not None or request.looked:
            request.failed(error, lsn)
            return
        request.looked = True
        if request.by != self.schema.hash:
            self._enqueue(request)
        else:
            self._looking.append((request, error))
            self._ask_schema()

    def _ask_schema(self) -> None:
        if not self._asking:
            self._asking = True
            self._urgent.append(self._pack(["schema", _SCHEMA_ID]))
            self._wake()

    # ------------------------------------------------------------------ in

    def receive(self, data: bytes | str) -> None:
        """A frame has come.

        Raises:
            ReifyDBError: The connection cannot go on.
        """
        content = _decode(data)
        if not isinstance(content, list) or not content:
            raise OperatorError("the server has sent a frame that holds no message")
        try:
            for message in content if isinstance(content[0], list) else [content]:
                self._message(message)
        except (TypeError, ValueError, LookupError) as error:
            raise OperatorError(
                f"the server has sent what cannot be read: {error!r:.200}"
            ) from error

    def _message(self, message: list[Any]) -> None:
        match message[0]:
            case "ok":
                self._answered(message[1], message[2], message[3])
            case "pong":
                self._answered(message[1], (Position(*message[2]), message[3]), message[2][1])
            case "error":
                self._failed(message)
            case "page" | "ready" | "restart" | "delta":
                self._stream(message)
            case "ended":
                self._stream_ended(message[1], error_of(message[2]))
            case "schema":  # what is answered from here on is of this one
                self.schema = Schema(message[1])
            case "hello":
                self._greet(message[1])
            case _:
                return  # what a newer server says besides

    def _greet(self, said: dict[str, Any]) -> None:
        limits = said.get("limits", {})
        self._frame_bytes = limits.get("frame_bytes", self._frame_bytes)
        self._frame_messages = limits.get("frame_messages", self._frame_messages)
        self._in_flight = limits.get("in_flight", self._in_flight)
        if self.ready or self._asking:
            return  # the answer to our hello, where the server has greeted unasked before
        self.position = Position(said["incarnation"], said["lsn"])
        if self.schema is not None and self.schema.hash == said["schema"]:
            self._start()
        else:
            self._ask_schema()

    def _start(self) -> None:
        self.ready = True
        waiting, self._waiting = self._waiting, deque()
        for feed in self._feeds:
            if feed.id is None and not feed.left:
                self._begin(feed)
        self._waiting += waiting
        self._wake()

    def _learn(self, described: Any) -> None:
        """The schema has come: what waited for it goes on."""
        self._asking = False
        self.schema = Schema(described)
        looking, self._looking = self._looking, []
        for request, error in looking:
            if request.by == self.schema.hash:
                request.failed(error, 0)
            else:
                self._enqueue(request)
        if not self.ready:
            self._start()

    def _answered(self, id_: int, value: Any, lsn: int) -> None:
        if lsn > self.position.lsn:
            self.position = Position(self.position.incarnation, lsn)
        if id_ == _SCHEMA_ID:
            self._learn(value)
            return
        sent = self._settled(id_)
        if sent is None:
            return
        request, prepared = sent
        assert self.schema is not None
        try:
            read = prepared.read(self.schema, value)
        except (ReifyDBError, TypeError, ValueError, LookupError, AttributeError) as error:
            said = f"{request.kind} has run, but its answer cannot be read: {error!r:.200}"
            request.failed(OperatorError(said), lsn)
        else:
            request.done(read, lsn)

    def _failed(self, message: list[Any]) -> None:
        id_, error = message[1], error_of(message[2])
        if id_ is None:
            self.refusal = error
            return
        if id_ == _SCHEMA_ID:
            raise error  # the connection is of no use; the next one asks again
        sent = self._settled(id_)
        if sent is None:
            return
        request, prepared = sent
        retryable = isinstance(error, UnavailableError) and prepared.safe
        if retryable and request.attempts < client_retries_max:
            self._retry(request, error)
        else:
            self._refuse(request, error, message[3] if len(message) > 3 else 0)

    def _retry(self, request: Request, error: ReifyDBError) -> None:
        request.attempts += 1
        feed = request.feed
        if feed is not None:
            self._streams.pop(feed.id or -1, None)
            feed.pause()
        after_s = getattr(error, "retry_after_s", RETRY_S * 2**request.attempts)
        after_s *= 1 + self._clock.drawn()  # what was refused together does not come back together

        def again() -> None:
            if self._ended is not None:
                request.failed(self._ended, 0)
                return
            wanted = self.ready and feed in self._feeds and not self._begins(feed) if feed else True
            if wanted:
                self._enqueue(request)

        self._clock.later(after_s, again)

    def _begins(self, feed: Feed) -> bool:
        """Whether a subscription is under way."""
        return feed.id is not None or any(request.feed is feed for request in self._waiting)

    def _settled(self, id_: int) -> tuple[Request, Prepared] | None:
        sent = self._sent.pop(id_, None)
        if self._waiting:
            self._wake()
        return sent

    def _stream(self, message: list[Any]) -> None:
        feed = self._streams.get(message[1])
        if feed is not None and not feed.receive(message):
            self._leave_stream(feed)
            if not feed.left:
                self._begin(feed)

    def _stream_ended(self, id_: int, error: ReifyDBError) -> None:
        feed = self._streams.pop(id_, None)
        if feed is not None:
            self._feeds.pop(feed, None)
            feed.end(error)


def _nothing(*_: object) -> None:
    """Nobody waits for this answer."""
