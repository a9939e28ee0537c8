"""`GET /v1/ws`: moves frames between an aiohttp WebSocket and a `Session`; knows no messages."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any

from aiohttp import WSCloseCode, WSMessage, WSMsgType, web

from reifydb.config import outgoing_bytes_max, ws_frame_bytes_max
from reifydb.database.call_frames import CallFrame
from reifydb.errors import ReifyDBError, RequestError, UnauthenticatedError
from reifydb.gateway.inbox import Socket
from reifydb.gateway.server import Server, bearer
from reifydb.gateway.session import Hello, Request, Session
from reifydb.wire.codecs import CODECS, Data
from reifydb.wire.dialects import RAW
from reifydb.wire.problems import problem_of

_LOG = logging.getLogger("reifydb.gateway")

SERVER_NAME = "reifydb"
"""What the header Server says, and not which version of what."""

HELLO_S = 5.0
"""A connection that must say who it is has so long."""

ANSWER_S = 1.0
"""So long a malformed frame waits for the answers to what came before it."""

LOOK_S = 0.005
"""How often a connection that has too much to send is looked at."""

CLOSE_UNAUTHENTICATED, CLOSE_MALFORMED = 4401, WSCloseCode.PROTOCOL_ERROR


class Connection:
    """One WebSocket: a `Peer` of the service."""

    def __init__(
        self,
        server: Server,
        socket: Socket,
        session: Session,
        token: str | None,
        address: str | None,
    ) -> None:
        self._server, self._socket, self.session = server, socket, session
        self._address = address
        self._digest = None if token is None else server.tokens.digest_of(token)
        self._transport: asyncio.Transport | None = None
        self._inbox = socket.inbox
        self._asked = False  # whether it is there
        if self._inbox is not None:
            self._inbox.take = self._take_at_once
            self._inbox.take_alone = self._take_alone
            self._inbox.taken = server.service.hurry
        self._hello_until_s = 0.0

    @property
    def full(self) -> bool:
        """See `Peer`."""
        transport = self._transport
        return transport is not None and transport.get_write_buffer_size() > outgoing_bytes_max

    def send(self, frame: Data) -> None:
        """See `Peer`. Straight to the transport, which never waits: aiohttp's way there, of three
        coroutines, takes as long as the system's `send`.
        """
        transport = self._transport
        if self._socket.closed or transport is None or transport.is_closing():
            return
        if isinstance(frame, str):
            transport.write(framed(frame.encode(), _TEXT))
        else:
            transport.write(framed(frame, _BINARY))

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
                message = None  # or an idle connection would keep its last frame
                while self.full:  # what it does not read it cannot ask for more of
                    await asyncio.sleep(LOOK_S)
                    if self._socket.closed:
                        return
                    service.speak(self)
        except UnauthenticatedError as error:
            await self._refuse(error, CLOSE_UNAUTHENTICATED)
        except RequestError as error:
            await self._answer_the_rest()
            await self._refuse(error, CLOSE_MALFORMED)
        finally:
            service.forget(self)

    async def _receive(self) -> Data | None:
        """The next frame; None when there is no more."""
        inbox = self._inbox
        if self.session.grant is not None:
            if inbox is not None:
                inbox.open = not inbox._buffer
            message = await self._socket.receive()
        else:
            message = await self._receive_hello()
        if inbox is not None:
            inbox.open = False
            if inbox.error is not None:
                raise inbox.error
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

    def _take_at_once(self, data: Data) -> None:
        """A frame has come while nothing else is under way."""
        if self._socket.closed:
            return
        self._take(data, wake=False)
        inbox = self._inbox
        if inbox is not None and self.full:
            inbox.open = False  # the next one waits in the queue until there is room again

    def _take_alone(self, data: Data) -> bool:
        """Nothing but this frame has come, while nothing else is under way. False: it is left."""
        if self._server.limited or self.full or not self.session.is_lone(data):
            return False
        return self._server.service.answer_lone(self, data)  # type: ignore[arg-type]

    def _take(self, data: Data, *, wake: bool = True) -> None:
        received = self.session.receive(data)
        requests: list[Request | CallFrame] = []
        for one in received:
            if isinstance(one, Hello):
                self._identify(one)
            else:
                requests.append(one)
        count = sum(one.calls if isinstance(one, CallFrame) else 1 for one in requests)
        error = self._refusal(count)
        if error is not None:
            problem = problem_of(error)
            for request in requests:
                for id_ in request.ids if isinstance(request, CallFrame) else [request.id]:
                    self.session.answer(id_, ["error", id_, problem], 0, durable=False)
            requests = []
        self._server.service.take_on(self, requests, wake=wake)

    def _refusal(self, count: int) -> ReifyDBError | None:
        """Why these requests are not taken on; None when they are."""
        service = self._server.service
        if service.draining:
            return self._server.draining_error()
        try:
            if count:
                self._server.count(self.session.grant, self._address, count)
            service.admit()
        except ReifyDBError as error:
            return error
        return None

    def _identify(self, hello: Hello) -> None:
        if hello.durable is not None:
            self.session.durable = hello.durable
        if hello.token is not None:
            self.session.grant = self._server.grant_of(hello.token)
            self._digest = self._server.tokens.digest_of(hello.token)
        if self.session.grant is None:
            raise UnauthenticatedError("hello has no token")
        self._greet()

    def _greet(self) -> None:
        self.session.say(["hello", self._server.greeting(self.session)])
        self._server.service.speak(self)

    def look(self) -> None:
        """Once in a while: is the other side still there? It is asked; if nothing has come by the
        next time, it is not.
        """
        inbox, transport = self._inbox, self._transport
        if transport is None or self._socket.closed:
            return
        if inbox is None:  # what comes is not seen: the system finds out that it is gone
            step(self._socket.ping())
        elif inbox.heard:
            inbox.heard = self._asked = False
        elif not self._asked:
            self._asked = True
            step(self._socket.ping())
        else:
            transport.abort()

    def check_token(self) -> None:
        """Ends it when its token is good no more: what it has asked for may run or not, and nobody
        is told.
        """
        if self.session.grant is None or self._server.is_good(self._digest):
            return
        self.session.grant = None
        self._server.service.forget(self)
        gone = "the token was taken away, or has expired"
        error = UnauthenticatedError(gone if self._digest else "a token is needed from now on")
        self._ending = self._server.service._loop.create_task(
            self._refuse(error, CLOSE_UNAUTHENTICATED)
        )

    async def _answer_the_rest(self) -> None:
        """What has come before a malformed frame runs, so whoever asked is told; but the
        connection does not stay open for a disk that is behind.
        """
        session, loop = self.session, asyncio.get_running_loop()
        until_s = loop.time() + ANSWER_S
        while session.owes_answers and not self._socket.closed and loop.time() < until_s:
            await asyncio.sleep(LOOK_S)

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


_TEXT, _BINARY = 0x81, 0x82
"""How a frame begins that is a whole message."""


def framed(payload: bytes, first: int) -> bytes:
    """A frame of a server's (RFC 6455, 5.2): not masked."""
    size = len(payload)
    if size < 126:
        return bytes((first, size)) + payload
    if size < 1 << 16:
        return bytes((first, 126, size >> 8, size & 0xFF)) + payload
    return bytes((first, 127)) + size.to_bytes(8, "big") + payload


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
    server.count(None, request.remote)
    offered = [p.strip() for p in request.headers.get("Sec-WebSocket-Protocol", "").split(",")]
    codec = next((CODECS[name] for name in offered if name in CODECS), None)
    if codec is None:
        raise RequestError("no sub-protocol that is known", hint=", ".join(CODECS))
    grant = server.grant_of_header(request.headers.get("Authorization"))
    socket = Socket(
        protocols=(codec.subprotocol,),
        compress=False,
        max_msg_size=ws_frame_bytes_max,
    )
    socket.headers["Server"] = SERVER_NAME
    with server.connected():
        await socket.prepare(request)
        # What the kernel reads and writes is msgpack's dialect.
        read_calls = server.db.read_calls if codec.dialect is RAW else None
        session = Session(codec, grant, durable=True, read_calls=read_calls)
        token = bearer(request.headers.get("Authorization"))
        connection = Connection(server, socket, session, token, request.remote)
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
