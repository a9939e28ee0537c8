"""Connections before they have asked for anything: aiohttp's, with limits that it has not."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

from aiohttp import web
from aiohttp.web_protocol import RequestHandler

from reifydb.config import header_ms_max, keepalive_ms_max, sockets_max, write_ms_max
from reifydb.errors import OperatorError, RequestError
from reifydb.gateway.http.answers import problem_answer
from reifydb.gateway.http.forms import JSON
from reifydb.gateway.http.lane import Lane
from reifydb.gateway.server import Server
from reifydb.gateway.websocket import SERVER, SERVER_NAME
from reifydb.wire.problems import problem_of

_LOG = logging.getLogger("reifydb.gateway")

LINGER_S = 2.0
"""How long what is still sent of a refused body is thrown away, so that the sender, which may read
only then, finds the answer instead of a reset."""

SETTINGS: dict[str, Any] = {
    "access_log": None,
    "auto_decompress": False,  # a body of 16 MiB is then no more than that
    "keepalive_timeout": keepalive_ms_max / 1000,
    "lingering_time": LINGER_S,
}
"""Of every connection."""


class Connection(RequestHandler):
    """One connection. A first request that does not come in time is not waited for, and what is
    not HTTP is told so with a problem. Calls take the short way.
    """

    __slots__ = ("_lane", "_unread")

    _unread: asyncio.TimerHandle | None

    def __init__(self, manager: web.Server, server: Server, **settings: Any) -> None:
        super().__init__(manager, **settings)
        parser = "_parser" if hasattr(self, "_parser") else "_request_parser"  # before aiohttp 3.14
        self._lane = Lane(getattr(self, parser), self, server)
        setattr(self, parser, self._lane)

    def answered(self, now_s: float) -> None:
        """A call was answered on the short way: the next request may take its time."""
        self._next_keepalive_close_time = now_s + self._keepalive_timeout
        if self._keepalive_handle is None:
            self._keepalive_handle = self._loop.call_at(
                self._next_keepalive_close_time, self._process_keepalive
            )

    def _process_keepalive(self) -> None:
        if self._lane.busy:  # aiohttp takes it for idle
            self._next_keepalive_close_time = self._loop.time() + self._keepalive_timeout
        super()._process_keepalive()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See `asyncio.Protocol`."""
        self._unread = None
        super().connection_made(transport)
        if self._keepalive_handle is not None:  # aiohttp's own, which would wait for `keepalive`
            self._keepalive_handle.cancel()
        self._next_keepalive_close_time = self._loop.time() + header_ms_max / 1000
        self._keepalive_handle = self._loop.call_at(
            self._next_keepalive_close_time, self._process_keepalive
        )

    def pause_writing(self) -> None:
        """See `asyncio.Protocol`: the client does not read as fast as it is sent to."""
        super().pause_writing()
        if not self._upgraded:  # WebSockets have their own ways
            self._look_later()

    def resume_writing(self) -> None:
        """See `asyncio.Protocol`."""
        super().resume_writing()
        self._look_no_more()

    def connection_lost(self, exc: BaseException | None) -> None:
        """See `asyncio.Protocol`."""
        self._lane.lost()
        super().connection_lost(exc)
        self._look_no_more()

    def _look_later(self) -> None:
        transport = self.transport
        if transport is not None:
            left = transport.get_write_buffer_size()
            self._unread = self._loop.call_later(write_ms_max / 1000, self._look, left)

    def _look_no_more(self) -> None:
        if self._unread is not None:
            self._unread.cancel()
            self._unread = None

    def _look(self, left: int) -> None:
        """Closes the connection if as much is left as before."""
        transport = self.transport
        if transport is not None and transport.get_write_buffer_size() >= left:
            transport.abort()
        else:
            self._look_later()

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """The answer to what no handler has seen, or none has survived."""
        del message
        if request.writer.output_size > 0:
            raise ConnectionError("an answer was begun already")
        if status == 400:
            problem = problem_of(RequestError("the request is not HTTP, or its head is too long"))
        else:
            _LOG.error("a request failed", exc_info=exc)
            problem = problem_of(OperatorError("an internal error; the server's log has it"))
        response = problem_answer(JSON, problem, request.path)
        response.headers["Server"] = SERVER_NAME
        response.force_close()  # what follows cannot be read
        return response


class _Connections(web.Server):
    """All connections of a server."""

    def __init__(self, server: Server, *args: Any, **settings: Any) -> None:
        super().__init__(*args, **settings)
        self._server = server

    def __call__(self) -> RequestHandler:
        return Connection(self, self._server, loop=self._loop, **self._kwargs)

    def connection_made(
        self,
        handler: RequestHandler,
        transport: asyncio.Transport,
    ) -> None:
        """See `web.Server`. One too many is closed without a word: words cost."""
        super().connection_made(handler, transport)
        if len(self._connections) > sockets_max:
            transport.abort()


class Runner(web.AppRunner):
    """An `AppRunner` whose connections have these limits."""

    async def _make_server(self) -> web.Server:
        made = await super()._make_server()
        return _Connections(
            self.app[SERVER],
            made.request_handler,
            request_factory=made.request_factory,
            handler_cancellation=made.handler_cancellation,
            loop=made._loop,
            **made._kwargs,
        )
