"""Moves frames between a WebSocket and a `ClientProtocol`, and connects again."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import urlsplit, urlunsplit

import aiohttp

from reifydb.client.protocol import SUBPROTOCOL, ClientProtocol
from reifydb.errors import (
    ClosedError,
    OfflineError,
    OperatorError,
    ReifyDBError,
    RequestError,
    UnauthenticatedError,
)

RECONNECT_FIRST_S, RECONNECT_LAST_S = 0.1, 10.0
"""The wait before connecting again, at most: it doubles from the first to the last."""

HEARTBEAT_S = 20.0
"""After so long a silence the server is asked whether it is there; after half as long again the
connection is given up."""

LOOK_S = 0.5
"""How often what waits for a connection is looked at."""

_CLOSED = "the connection was closed"


@dataclass(frozen=True, slots=True)
class Patience:
    """How long is waited for what.

    Attributes:
        connect_s: For one attempt to connect, and for the first one to succeed.
        offline_s: For a connection, with a request to send.
    """

    connect_s: float = 10.0
    offline_s: float = 30.0


def socket_url(url: str) -> str:
    """The address of a server's WebSocket.

    Raises:
        RequestError: It is no URL of a server.

    >>> socket_url("http://localhost:8042")
    'ws://localhost:8042/v1/ws'
    """
    parts = urlsplit(url) if isinstance(url, str) else urlsplit("")
    scheme = {"http": "ws", "https": "wss", "ws": "ws", "wss": "wss"}.get(parts.scheme)
    if scheme is None or not parts.netloc:
        raise RequestError(f"{url!r:.100} leads to no server", hint="http://localhost:8042")
    path = parts.path.rstrip("/")
    path = path if path.endswith("/v1/ws") else f"{path}/v1/ws"
    return urlunsplit((scheme, parts.netloc, path, "", ""))


def reconnect_delay_s(attempt: int, drawn: float) -> float:
    """How long to wait before the given attempt, from 0. Drawn (0 to 1), so that clients which lost
    their server together do not come back together.
    """
    return drawn * min(RECONNECT_LAST_S, RECONNECT_FIRST_S * 2.0 ** min(attempt, 30))


class _LoopClock:
    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.now_s = loop.time
        self._later = loop.call_later

    drawn = staticmethod(random.random)

    def later(self, after_s: float, run: Callable[[], None]) -> object:
        return self._later(after_s, run)


class Connection:
    """A connection that comes back by itself. Made within a running event loop.

    Attributes:
        protocol: What is said on it.
    """

    def __init__(self, url: str, token: str | None, ack: str, patience: Patience) -> None:
        self._url, self._patience = socket_url(url), patience
        self._loop = asyncio.get_running_loop()
        self._wanted = asyncio.Event()  # there may be something to send
        clock = _LoopClock(self._loop)
        self.protocol = ClientProtocol(token, ack, clock, self._wanted.set)
        self._ready: asyncio.Future[None] = self._loop.create_future()
        self._ready.add_done_callback(_look)
        self._attempt = 0
        self._why = ""
        self._task = self._loop.create_task(self._run(), name=f"reifydb client of {self._url}")

    async def ready(self) -> None:
        """Waits for the first connection.

        Raises:
            OfflineError: There was none in time.
            UnauthenticatedError, …: The server refuses this client.
        """
        done, _ = await asyncio.wait([self._ready], timeout=self._patience.connect_s)
        if not done:
            error = OfflineError(f"no connection to {self._url}: {self._why or 'no answer'}")
            await self.close(error)
            raise error
        self._ready.result()

    async def close(self, error: ReifyDBError | None = None) -> None:
        """Ends it; whatever waits fails. Twice is fine."""
        self.protocol.end(error or ClosedError(_CLOSED))
        self._task.cancel()
        await asyncio.wait([self._task])

    # ------------------------------------------------------------------ connecting

    async def _run(self) -> None:
        watch = self._loop.create_task(self._expire())
        try:
            async with aiohttp.ClientSession() as session:
                while True:
                    await self._connect(session)
                    refusal = self.protocol.refusal
                    if isinstance(refusal, UnauthenticatedError):
                        self._give_up(refusal)
                        return
                    delay_s = reconnect_delay_s(self._attempt, random.random())
                    self._attempt += 1
                    await asyncio.sleep(delay_s)
        except ReifyDBError as error:
            self._give_up(error)
        except Exception as error:  # a bug of ours: whoever waits is told
            self._give_up(OperatorError(f"the client failed: {error!r:.200}"))
            raise
        finally:
            watch.cancel()

    def _give_up(self, error: ReifyDBError) -> None:
        self.protocol.end(error)
        if not self._ready.done():
            self._ready.set_exception(error)

    async def _connect(self, session: aiohttp.ClientSession) -> None:
        """One connection, from its beginning to its end."""
        try:
            async with asyncio.timeout(self._patience.connect_s):
                socket = await session.ws_connect(
                    self._url,
                    protocols=[SUBPROTOCOL],
                    heartbeat=HEARTBEAT_S,
                    compress=0,
                    max_msg_size=0,
                )
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            self._why = str(error) or type(error).__name__
            return
        writer = None
        try:
            self.protocol.open()
            writer = self._loop.create_task(self._write(socket))
            await self._read(socket)
        except ReifyDBError as error:
            self._why = str(error)
        finally:
            self.protocol.lost()
            if writer is not None:
                writer.cancel()
            with contextlib.suppress(aiohttp.ClientError, OSError):
                await socket.close()

    async def _read(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        async for message in socket:
            if message.type not in (aiohttp.WSMsgType.BINARY, aiohttp.WSMsgType.TEXT):
                break
            self.protocol.receive(message.data)
            if self.protocol.ready:
                self._attempt = 0
                if not self._ready.done():
                    self._ready.set_result(None)
        refusal = self.protocol.refusal
        self._why = str(refusal) if refusal else f"closed with {socket.close_code}"

    async def _write(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        """Sends what there is: all that was asked for in one tick is one frame."""
        with contextlib.suppress(aiohttp.ClientError, OSError):
            while True:
                await self._wanted.wait()
                self._wanted.clear()
                for frame in self.protocol.take():
                    await socket.send_bytes(frame)

    async def _expire(self) -> None:
        while True:
            await asyncio.sleep(LOOK_S)
            if not self.protocol.ready:
                self.protocol.expire(self._loop.time() - self._patience.offline_s)


def _look(future: asyncio.Future[None]) -> None:
    """Whoever waited may be gone: the error has been seen."""
    if not future.cancelled():
        future.exception()
