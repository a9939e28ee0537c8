"""The short way of calls: without a request object, a task and further turns of the event loop.

What aiohttp does for each request costs ten times as much as a transfer. A `Lane` stands between a
connection's parser, which is aiohttp's, and aiohttp. It takes a call that is all there and as plain
as nearly all are, while nothing else is under way on its connection; hands it to the service, and
writes the answer. All that is not so plain it passes on, to `calls.call`. Both answer alike: the
tests ask both of them.
"""

from __future__ import annotations

import logging
import re
from functools import lru_cache
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from aiohttp import HttpVersion11, web

from reifydb.errors import ReifyDBError
from reifydb.gateway.http.answers import answer_head, mark_problem, problem_answer, server_headers
from reifydb.gateway.http.bodies import check_room
from reifydb.gateway.http.exchange import caller, prefers_durable, read_body
from reifydb.gateway.http.forms import Form, form_of_answer
from reifydb.gateway.server import Server
from reifydb.gateway.session import Request, Session
from reifydb.wire.problems import problem_of

if TYPE_CHECKING:
    from reifydb.gateway.http.protocol import Connection

_LOG = logging.getLogger("reifydb.gateway")

ROUTE = "/v1/call/{transition}"

PATH_CHARACTERS_MAX = 200
"""Longer ones are not looked at more closely."""

_TARGET = re.compile(r"(/v1/call/([A-Za-z0-9_.]+))(?:\?ack=(durable|committed))?", re.ASCII)
_ACKS = {None: None, "durable": True, "committed": False}
_NOTHING: tuple[tuple[Any, ...], bool, bytes] = ((), False, b"")
_NO_OPTIONS = None
_NOT_PLAIN = ("Origin", "Expect", "Content-Encoding")


class _Call:
    """A call under way: a `Peer` of the service, and used again by the next one of its connection
    unless someone has given up waiting for it.
    """

    __slots__ = ("_lane", "form", "path", "session", "size", "started_s")

    full = False

    def __init__(self, lane: Lane, session: Session) -> None:
        self._lane, self.session = lane, session
        self.form: Form
        self.path, self.size, self.started_s = "", 0, 0.0

    def send(self, frame: Any) -> None:
        """See `Peer`: its answer. One that comes too late is another call's, or nobody's."""
        if not self.session.gone:
            self._lane.answered(frame[0])

    def expire(self, error: ReifyDBError) -> None:
        """See `Waiter`."""
        self._lane.give_up(error)


class Lane:
    """A connection's parser, as aiohttp sees it, which keeps plain calls for itself.

    Attributes:
        busy: A call of this connection is under way.
    """

    def __init__(self, parser: Any, connection: Connection, server: Server) -> None:
        self._parser, self._connection, self._server = parser, connection, server
        self._consumed = getattr(parser, "message_consumed", None)
        self._call: _Call | None = None
        self.busy = False
        self._unparsed = b""  # has come behind a call that is under way

    def __getattr__(self, name: str) -> Any:
        return getattr(self._parser, name)

    def feed_data(self, data: bytes) -> Any:
        """What has come: the requests in it that aiohttp is to serve."""
        if self.busy:
            if data:
                self._unparsed += data
                assert self._connection.transport is not None
                self._connection.transport.pause_reading()
            return _NOTHING
        found = self._parser.feed_data(data)
        messages = found[0]
        if len(messages) != 1 or found[1]:
            return found
        message, payload = messages[0]
        target = self._target(message, payload)
        if target is None:
            return found
        if self._consumed is not None:
            self._consumed()
        self._serve(message, payload, *target)
        return _NOTHING

    def _target(self, message: Any, payload: Any) -> tuple[str, str, bool | None] | None:
        """The path, transition and `ack` of a plain call; None when it is something else."""
        connection = self._connection
        waiter = connection._waiter
        if (
            waiter is None  # aiohttp is at work
            or waiter.done()
            or connection._paused  # the answer before is not read yet
            or message.method != "POST"
            or not payload.is_eof()
            or message.should_close
            or message.chunked
            or message.upgrade
            or message.version != HttpVersion11
            or len(message.path) > PATH_CHARACTERS_MAX
        ):
            return None
        headers = message.headers
        for name in _NOT_PLAIN:
            if name in headers:
                return None
        return _target_of(message.path)

    # ------------------------------------------------------------------ a call

    def _serve(self, message: Any, payload: Any, path: str, name: str, ack: bool | None) -> None:
        server, service = self._server, self._server.service
        call = self._call
        if call is None:
            form = form_of_answer(message)
            call = self._call = _Call(self, Session(form.codec, None))
        self.busy = True
        call.started_s = service._loop.time()
        call.path, call.size = path, 0
        form = call.form = form_of_answer(message)
        session = call.session
        try:
            if server.limited:
                assert self._connection.transport is not None
                server.count(None, self._connection.transport.get_extra_info("peername")[0])
            service.admit()
            session.grant = caller(server, message.headers)
            server.count(session.grant, None)
            session.codec = form.codec
            session.durable = prefers_durable(message.headers) if ack is None else ack
            body = payload.read_nowait()
            check_room(server, len(body))
            call.size = len(body)
            server.body_bytes += call.size
            args = read_body(message, form, body) if body else []
            if service.draining:
                raise server.draining_error()
        except Exception as error:
            if not isinstance(error, ReifyDBError):
                _LOG.error("POST %s failed", path, exc_info=error)
            self._write_problem(call, problem_of(error))
            return
        session.in_flight = 1
        server.patience.begin(call)
        service.take_on(call, [Request("call", 0, (name, args, _NO_OPTIONS))])

    def answered(self, message: Any) -> None:
        """The call under way has its answer, a message (docs/wire.md)."""
        call = self._call
        assert call is not None
        self._server.patience.end(call)
        if message[0] != "ok":
            self._write_problem(call, message[2], *message[3:4])
            return
        server, form, lsn = self._server, call.form, message[3]
        incarnation = server.db.incarnation
        now_s = server.service._loop.time()
        body = form.write_outcome(message[2], lsn, incarnation)
        head = answer_head(
            lsn,
            incarnation,
            (now_s - call.started_s) * 1000,
            form.content_type,
            durable=call.session.durable,
            size=len(body),
        )
        self._write(call, 200, head + body, now_s)

    def give_up(self, error: ReifyDBError) -> None:
        """Nobody waits for the call under way any more. It may still run."""
        call = self._call
        assert call is not None
        self._forget(call)
        self._write_problem(call, problem_of(error))

    def lost(self) -> None:
        """The connection is gone."""
        if self.busy:
            call = self._call
            assert call is not None
            self._server.patience.end(call)
            self._server.body_bytes -= call.size
            self._forget(call)
            self.busy = False

    def _forget(self, call: _Call) -> None:
        self._server.service.forget(call)
        self._call = None  # its answer may still come

    def _write_problem(self, call: _Call, problem: dict[str, Any], lsn: int | None = None) -> None:
        server = self._server
        now_s = server.service._loop.time()
        response = problem_answer(call.form, problem, call.path)
        mark_problem(response, (now_s - call.started_s) * 1000, lsn, server.db.incarnation)
        self._write(call, response.status, _written(response), now_s)

    def _write(self, call: _Call, status: int, data: bytes, now_s: float) -> None:
        """Ends a call with its answer; goes on with what has come behind it."""
        server, connection = self._server, self._connection
        self.busy = False
        server.body_bytes -= call.size
        server.service.metrics.answered("POST", ROUTE, status, now_s - call.started_s)
        transport = connection.transport
        if transport is None:
            return
        transport.write(data)
        connection.answered(now_s)
        if self._unparsed:
            data, self._unparsed = self._unparsed, b""
            transport.resume_reading()
            connection.data_received(data)


@lru_cache(maxsize=1024)
def _target_of(path: str) -> tuple[str, str, bool | None] | None:
    match = _TARGET.fullmatch(path)
    return None if match is None else (match[1], match[2], _ACKS[match[3]])


def _written(response: web.Response) -> bytes:
    """An answer of aiohttp's as its bytes."""
    body = response.body
    assert isinstance(body, bytes)
    phrase = HTTPStatus(response.status).phrase
    own = "".join(f"{name}: {value}\r\n" for name, value in response.headers.items())
    head = f"HTTP/1.1 {response.status} {phrase}\r\n{own}{server_headers(len(body))}\r\n"
    return head.encode() + body
