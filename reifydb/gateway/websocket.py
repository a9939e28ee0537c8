"""`GET /v1/ws`: moves frames between an aiohttp WebSocket and a `Session`; knows no messages."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any

from aiohttp import WSCloseCode, WSMessage, WSMsgType, web

from reifydb.config import outgoing_bytes_max, ws_frame_bytes_max
from reifydb.errors import ReifyDBError, RequestError, UnauthenticatedError
from reifydb.gateway.server import Server
from reifydb.gateway.session import Hello, Request, Session
from reifydb.wire.codecs import CODECS, Data
from reifydb.wire.problems import problem_of

_LOG = logging.getLogger("reifydb.gateway")

HELLO_S = 5.0
"""A connection that must say who it is has so long."""

HEARTBEAT_S = 20.0
"""So often the other side is asked whether it is still there."""

LOOK_S = 0.005
"""How often a connection that has too much to send is looked at."""

CLOSE_UNAUTHENTICATED, CLOSE_MALFORMED = 4401, WSCloseCode.PROTOCOL_ERROR


class Connection:
    """One WebSocket: a `Peer` of the service."""

    def __init__(self, server: Server, socket: web.WebSocketResponse, session: Session) -> None:
        self._server, self._socket, self.session = server, socket, session
        self._transport: asyncio.Transport | None = None
        self._hello_until_s = 0.0

    @property
    def full(self) -> bool:
        """See `Peer`."""
        transport = self._transport
        return transport is not None and transport.get_write_buffer_size() > outgoing_bytes_max

    def send(self, frame: Data) -> None:
        """See `Peer`. aiohttp's writer waits for nothing below its own limit, which is above ours,
        so that its coroutine is done after one step.
        """
        if self._socket.closed:
            return
        write = self._socket.send_str if isinstance(frame, str) else self._socket.send_bytes
        step(write(frame))  # type: ignore[arg-type]

    async def run(self, request: web.Request) -> None:
        """Serves it until it is closed."""
        self._transport = request.transport
        self._hello_until_s = asyncio.get_running_loop().time() + HELLO_S
        service = self._server.service
        if self.session.grant is not None:
            self._greet()
        try:
            while True:
                message = await self._receive()
                if message is None:
                    return
                self._take(message)
                while self.full:  # what it does not read it cannot ask for more of
                    await asyncio.sleep(LOOK_S)
                    if self._socket.closed:
                        return
                    service.speak(self)
        except UnauthenticatedError as error:
            await self._refuse(error, CLOSE_UNAUTHENTICATED)
        except RequestError as error:
            await self._refuse(error, CLOSE_MALFORMED)
        finally:
            service.forget(self)

    async def _receive(self) -> Data | None:
        """The next frame; None when there is no more."""
        if self.session.grant is not None:
            message = await self._socket.receive()
        else:
            message = await self._receive_hello()
        if message.type in (WSMsgType.BINARY, WSMsgType.TEXT):
            data: Data = message.data
            return data
        return None

    async def _receive_hello(self) -> WSMessage:
        """What comes from someone who has not said who it is. Neither pings nor messages that say
        it wrongly gain it any time.
        """
        try:
            async with asyncio.timeout_at(self._hello_until_s):
                return await self._socket.receive()
        except TimeoutError:
            raise UnauthenticatedError(f"no hello with a token within {HELLO_S:g} s") from None

    def _take(self, data: Data) -> None:
        received = self.session.receive(data)
        requests: list[Request] = []
        for one in received:
            if isinstance(one, Hello):
                self._identify(one)
            else:
                requests.append(one)
        error = self._refusal()
        if error is not None:
            for request in requests:
                problem = problem_of(error)
                message = ["error", request.id, problem]
                self.session.answer(request.id, message, 0, durable=False)
            requests = []
        self._server.service.take_on(self, requests)

    def _refusal(self) -> ReifyDBError | None:
        """Why nothing is taken on; None when it is."""
        service = self._server.service
        if service.draining:
            return self._server.draining_error()
        try:
            service.admit()
        except ReifyDBError as error:
            return error
        return None

    def _identify(self, hello: Hello) -> None:
        if hello.durable is not None:
            self.session.durable = hello.durable
        if hello.token is not None:
            self.session.grant = self._server.grant_of(hello.token)
        if self.session.grant is None:
            raise UnauthenticatedError("hello has no token")
        self._greet()

    def _greet(self) -> None:
        self.session.say(["hello", self._server.greeting(self.session)])
        self._server.service.speak(self)

    async def close(self, code: int, reason: str) -> None:
        """Closes it, and says why."""
        await self._socket.close(code=code, message=reason.encode())

    async def _refuse(self, error: ReifyDBError, code: int) -> None:
        if self._socket.closed:
            return
        self.session.say(["error", None, problem_of(error)])
        frame = self.session.frame(-1)
        if frame is not None:
            self.send(frame)
        await self._socket.close(code=code, message=error.code.encode())


def step(coroutine: Coroutine[Any, Any, None]) -> None:
    """Runs a coroutine that does not wait, without a task. One that does is dropped where it
    waits: what it has written is written.
    """
    try:
        coroutine.send(None)
    except StopIteration:
        return
    except (ConnectionError, RuntimeError):  # the other side is gone
        return
    coroutine.close()


async def websocket(request: web.Request) -> web.StreamResponse:
    """The handler of `GET /v1/ws`."""
    server: Server = request.app[SERVER]
    server.check_origin(request.headers.get("Origin"))
    offered = [p.strip() for p in request.headers.get("Sec-WebSocket-Protocol", "").split(",")]
    codec = next((CODECS[name] for name in offered if name in CODECS), None)
    if codec is None:
        raise RequestError("no sub-protocol that is known", hint=", ".join(CODECS))
    grant = server.grant_of_header(request.headers.get("Authorization"))
    socket = web.WebSocketResponse(
        protocols=(codec.subprotocol,),
        heartbeat=HEARTBEAT_S,
        compress=False,
        max_msg_size=ws_frame_bytes_max,
        writer_limit=1 << 30,
    )
    with server.connected():
        await socket.prepare(request)
        session = Session(codec, grant, durable=True)
        connection = Connection(server, socket, session)
        server.connections.add(connection)
        try:
            await connection.run(request)
        finally:
            server.connections.discard(connection)
            if not socket.closed:
                await socket.close()
    return socket


SERVER: web.AppKey[Server] = web.AppKey("server", Server)
"""Where handlers find the server."""
