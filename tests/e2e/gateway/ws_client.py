"""A WebSocket client of a test's server, in either sub-protocol, that takes frames apart."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import msgpack
from aiohttp import WSMsgType

from tests.e2e.gateway.http_client import Client

JSON, MSGPACK = "reifydb.v1.json", "reifydb.v1.msgpack"
PROTOCOLS = [JSON, MSGPACK]
PATIENCE_S = 20.0
"""How long a test waits for a message before it fails."""


class Socket:
    """One connection. Messages come one by one, whatever frames they were in."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse, protocol: str) -> None:
        self.raw, self.protocol = socket, protocol
        self._read: deque[Any] = deque()

    async def send(self, message: Any) -> None:
        if self.protocol == JSON:
            await self.raw.send_str(json.dumps(message))
        else:
            await self.raw.send_bytes(msgpack.packb(message))

    async def frame(self) -> list[Any] | None:
        """The messages of the next frame; None when it was closed."""
        got = await self.raw.receive(timeout=PATIENCE_S)
        if got.type not in (WSMsgType.TEXT, WSMsgType.BINARY):
            return None
        assert (got.type == WSMsgType.TEXT) == (self.protocol == JSON)
        content = json.loads(got.data) if self.protocol == JSON else msgpack.unpackb(got.data)
        return content if isinstance(content[0], list) else [content]

    async def next(self) -> Any:
        """The next message."""
        while not self._read:
            frame = await self.frame()
            assert frame is not None, f"closed with {self.raw.close_code}"
            self._read += frame
        return self._read.popleft()

    async def several(self, count: int) -> list[Any]:
        return [await self.next() for _ in range(count)]

    async def ask(self, *message: Any) -> Any:
        """The answer to a message; what else comes until then is left out."""
        await self.send(list(message))
        while True:
            answer = await self.next()
            if answer[0] in ("ok", "error", "pong") and answer[1] == message[1]:
                return answer

    async def problem(self, *message: Any) -> Any:
        answer = await self.ask(*message)
        assert answer[0] == "error", answer
        return answer[2]

    async def closed(self) -> int | None:
        """Reads until it is closed; the code."""
        while await self.frame() is not None:
            pass
        return self.raw.close_code


@asynccontextmanager
async def connected(
    client: Client, protocol: str = JSON, *, greeted: bool = True, **options: Any
) -> AsyncIterator[Socket]:
    """A connection to the server of `client`."""
    url = f"{client.url}/v1/ws"
    async with client.session.ws_connect(
        url, protocols=[protocol], max_msg_size=0, **options
    ) as raw:
        assert raw.protocol == protocol
        socket = Socket(raw, protocol)
        if greeted:
            assert (await socket.next())[0] == "hello"
        yield socket
