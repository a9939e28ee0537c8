"""`GET /v1/events`: a subscription as server-sent events (docs/http.md, "Events").

The events are the messages of a subscription over WebSocket (docs/wire.md), with rows by name. An
event at which the client has the whole table carries a position as its id, so that whoever comes
back with `Last-Event-ID` goes on from there; in between the id is empty, and it begins anew.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Sequence
from typing import Any

from aiohttp import web

from reifydb.config import answer_ms_max, outgoing_bytes_max
from reifydb.errors import RequestError, UnauthenticatedError, WaitTimeoutError
from reifydb.gateway.http.answers import headers
from reifydb.gateway.http.exchange import Exchange, ProblemError
from reifydb.gateway.http.middleware import mark_origin
from reifydb.gateway.session import Request, Session
from reifydb.gateway.websocket import SERVER_NAME
from reifydb.wire.codecs import JsonCodec
from reifydb.wire.problems import problem_of

PARAMETERS = ("table", "query", "params", "since", "ack")

LOOK_S = 5.0
"""How often a stream on which nothing happens is looked at, and shows that it is there."""

RETRY_MS = 1000
"""How long a browser waits before it comes back."""

OPS = ("delete", "insert", "update")
SUBSCRIPTION = "events"
_POSITION = re.compile(r"(\d{1,18})-(\d{1,18})", re.ASCII)


class EventCodec(JsonCodec):
    """Messages stay what they are; a stream makes events of them."""

    subprotocol = "events"

    def encode(self, messages: Sequence[Any]) -> Any:
        """See `Codec`."""
        return messages


_CODEC = EventCodec()


class Stream:
    """A `Peer` of the service that subscribes to one thing, and is read as events.

    Args:
        complete: The client has the whole table, as of the position that it has given.
    """

    def __init__(self, exchange: Exchange, *, complete: bool) -> None:
        self._exchange, self._complete = exchange, complete
        self.session = Session(_CODEC, exchange.grant, durable=exchange.session.durable)
        self._incarnation = exchange.server.db.incarnation
        self._names: list[str] = []
        self._waiting: list[bytes] = []
        self._size = 0
        self._more = asyncio.Event()
        self.ended = False
        self.refusal: dict[str, Any] | None = None

    # ------------------------------------------------------------------ the service's side

    @property
    def full(self) -> bool:
        """See `Peer`."""
        transport = self._exchange.request.transport
        buffered = 0 if transport is None else transport.get_write_buffer_size()
        return self._size + buffered > outgoing_bytes_max

    def send(self, frame: Any) -> None:
        """See `Peer`: messages."""
        for message in frame:
            data = self._event(message)
            self._waiting.append(data)
            self._size += len(data)
        self._more.set()

    def end(self) -> None:
        """Nothing more will come: the server ends."""
        self.ended = True
        self._more.set()

    def _event(self, message: Sequence[Any]) -> bytes:
        match message:
            case ["ok", _, described, _]:
                self._names = [column["name"] for column in described["columns"]]
                return _event("table", described, f"retry: {RETRY_MS}\n")
            case ["error", _, problem, *_]:
                self.refusal = problem
                self.ended = True
                return b""
            case ["page", _, entries]:
                self._complete = False
                return _event("page", self._changes(entries), "id:\n")
            case ["ready", _, lsn]:
                self._complete = True
                return _event("ready", {"lsn": lsn}, self._id(lsn))
            case ["delta", _, lsn, previous, entries]:
                changes = self._changes(entries)
                told = {"lsn": lsn, "previous": previous, "changes": changes}
                return _event("delta", told, self._id(lsn))
            case ["restart", _, columns, key, *hidden]:
                self._complete = False
                self._names = [column["name"] for column in columns]
                told = {"columns": columns, "key": key}
                return _event("restart", told | ({"hidden": hidden[0]} if hidden else {}), "id:\n")
            case _:  # ended
                self.ended = True
                return _event("ended", message[2], "id:\n")

    def _id(self, lsn: int) -> str:
        return f"id: {self._incarnation}-{lsn}\n" if self._complete else "id:\n"

    def _changes(self, entries: Sequence[Any]) -> list[dict[str, Any]]:
        names = self._names
        return [
            {
                "op": OPS[op],
                "key": key,
                "row": None if row is None else dict(zip(names, row, strict=True)),
            }
            for op, key, row in entries
        ]

    # ------------------------------------------------------------------ the client's side

    async def next(self, timeout_s: float) -> bytes:
        """What has come; nothing when nothing has in time."""
        if not self._waiting and not self.ended:
            self._more.clear()
            try:
                async with asyncio.timeout(timeout_s):
                    await self._more.wait()
            except TimeoutError:
                return b""
        found, self._waiting, self._size = b"".join(self._waiting), [], 0
        return found


async def events(request: web.Request) -> web.StreamResponse:
    """A table, a view or a select as a stream of events, until either side ends it."""
    exchange = Exchange(request, PARAMETERS)
    server = exchange.server
    what = _wanted(request)
    with server.connected():
        stream, first = await _subscribed(exchange, what)
        server.streams.add(stream)
        try:
            return await _told(exchange, stream, first)
        finally:
            server.streams.discard(stream)
            server.service.forget(stream)


def _wanted(request: web.Request) -> Any:
    """What is to be followed, as `subscribe` takes it."""
    table, sql = request.query.get("table"), request.query.get("query")
    params = request.query.get("params")
    if (table is None) == (sql is None) or (sql is None and params is not None):
        hint = "/v1/events?table=NAME, or ?query=select…&params={…}"
        raise RequestError("which table, or which query?", hint=hint)
    if sql is None:
        return table
    if params is None:
        return {"query": sql}
    try:
        return {"query": sql, "params": json.loads(params)}
    except (ValueError, RecursionError):
        raise RequestError("params is JSON: an array, or an object by name") from None


async def _subscribed(exchange: Exchange, what: Any) -> tuple[Stream, bytes]:
    """The stream, once the server has accepted it, and its first events.

    Raises:
        ProblemError: It was refused.
    """
    request = exchange.request
    given = request.query.get("since")
    since = None if given is None else _position(given)
    last = request.headers.get("Last-Event-ID")
    came_back = last is not None and _POSITION.fullmatch(last) is not None
    if last is not None and came_back:
        since = _position(last)
    try:
        return await _ask(exchange, what, since)
    except ProblemError as error:
        # A position that was lost in a crash: a browser would not try again without it.
        if not came_back or error.problem["code"] != RequestError.code:
            raise
    return await _ask(exchange, what, None)


async def _ask(exchange: Exchange, what: Any, since: list[int] | None) -> tuple[Stream, bytes]:
    service = exchange.server.service
    stream = Stream(exchange, complete=since is not None)
    stream.session.in_flight = 1
    options = None if since is None else {"since": since}
    service.take_on(stream, [Request("subscribe", SUBSCRIPTION, (what, options))])
    try:
        first = await stream.next(answer_ms_max / 1000)
        if stream.refusal is not None:
            raise ProblemError(stream.refusal)
        if not first:
            raise WaitTimeoutError(f"no answer within {answer_ms_max:,} ms (answer_ms_max)")
    except BaseException:
        service.forget(stream)
        raise
    return stream, first


async def _told(exchange: Exchange, stream: Stream, first: bytes) -> web.StreamResponse:
    request, server = exchange.request, exchange.server
    exchange.lsn = server.db.lsn
    more = {
        "Cache-Control": "no-store",
        "X-Accel-Buffering": "no",  # nginx would gather them
        "Server": SERVER_NAME,
    }
    response = web.StreamResponse(headers=headers(exchange, "text/event-stream") | more)
    if "Origin" in request.headers:
        mark_origin(request, response)
    await response.prepare(request)
    await response.write(first)
    while not stream.ended:
        found = await stream.next(LOOK_S)
        if not exchange.still_allowed:
            error = UnauthenticatedError("the token was taken away, or has expired")
            await response.write(_event("ended", problem_of(error), "id:\n"))
            break
        await response.write(found or b":\n\n")
    await response.write_eof()
    return response


def _position(text: str) -> list[int]:
    match = _POSITION.fullmatch(text)
    if match is None:
        raise RequestError(f"{text!r:.40} is no position", hint="incarnation-lsn, as in 1-42")
    return [int(match[1]), int(match[2])]


def _event(kind: str, data: Any, more: str = "") -> bytes:
    return f"event: {kind}\n{more}data: {_dumps(data)}\n\n".encode()


_dumps = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode
