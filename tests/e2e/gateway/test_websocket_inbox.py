"""Frames are taken as they come, in their order, whatever way they take."""

from __future__ import annotations

import asyncio
import base64
import os
from pathlib import Path
from typing import Any

import msgpack
import pytest

from bench.served.tongues import masked
from tests.e2e.gateway.http_client import Client, bank
from tests.e2e.gateway.ws_client import MSGPACK, PATIENCE_S, Socket, connected


def deposits(*amounts: int) -> bytes:
    calls = [["call", i, "bank.deposit", [1, amount]] for i, amount in enumerate(amounts)]
    packed: bytes = msgpack.packb(calls)
    return packed


async def only(client: Client) -> Any:
    """The server's side of the only connection."""
    [connection] = client.server.connections
    return connection


async def values(socket: Socket, count: int) -> list[Any]:
    return [message[2] for message in await socket.several(count)]


async def test_frames_that_come_together_run_together() -> None:
    async with bank() as client, connected(client, MSGPACK) as socket:
        transport = socket.raw._response.connection.transport  # type: ignore[union-attr]
        assert transport is not None
        transport.write(b"".join(masked(deposits(n)) for n in (1, 2, 3)))
        assert await values(socket, 3) == [101, 103, 106]
        batches = client.server.service.metrics.batches
        assert (sum(batches.counts), batches.sum) == (1, 3)


async def test_what_comes_with_the_handshake_is_not_lost() -> None:
    async with bank() as client:
        reader, writer = await asyncio.open_connection("127.0.0.1", client.port)
        key = base64.b64encode(os.urandom(16)).decode()
        head = (
            f"GET /v1/ws HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
            f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n"
            f"Sec-WebSocket-Protocol: {MSGPACK}\r\n\r\n"
        )
        frame = masked(deposits(5)) + masked(deposits(7))
        writer.write(head.encode() + frame[:-4])
        await asyncio.sleep(0.05)
        writer.write(frame[-4:])
        found = b""
        async with asyncio.timeout(PATIENCE_S):
            while found.count(b"\x94\xa2ok") < 2:
                found += await reader.read(4096)
        writer.close()
        assert client.db.get("account", 1)["balance"] == 112  # type: ignore[index]


async def test_the_order_is_kept_while_the_task_is_busy() -> None:
    async with bank() as client, connected(client, MSGPACK) as socket:
        inbox = (await only(client))._inbox
        inbox.open = False  # as if something had come that the task has not yet taken
        for n in range(1, 6):
            await socket.raw.send_bytes(deposits(n))
        assert await values(socket, 5) == [101, 103, 106, 110, 115]
        await socket.raw.ping()
        await socket.raw.send_bytes(deposits(1))
        assert await values(socket, 1) == [116]


async def test_who_says_nothing_is_asked_and_then_is_gone() -> None:
    async with bank() as client, connected(client, MSGPACK, autoping=False) as socket:
        connection = await only(client)
        connection.look()  # it has said something, when it came
        connection.look()  # nothing since: it is asked
        message = await socket.raw.receive(timeout=PATIENCE_S)
        assert message.type.name == "PING"
        await socket.raw.pong(message.data)
        async with asyncio.timeout(PATIENCE_S):
            while not connection._inbox.heard:
                await asyncio.sleep(0.001)
        for _ in range(3):  # heard, asked, gone
            connection.look()
        assert (await socket.raw.receive(timeout=PATIENCE_S)).type.name == "PING"
        assert await socket.closed() == 1006


@pytest.mark.parametrize("frame", [b"\xc1", b"\x90", deposits(1)[:-1]])
async def test_a_malformed_frame_ends_the_connection(frame: bytes) -> None:
    async with bank() as client, connected(client, MSGPACK) as socket:
        assert (await only(client))._inbox.open
        await socket.raw.send_bytes(frame)
        assert (await socket.next())[0] == "error"
        assert await socket.closed() == 1002


async def test_a_call_that_comes_alone_is_answered_as_it_comes() -> None:
    async with bank() as client, connected(client, MSGPACK) as socket:
        service = client.server.service
        alone = []
        answer = service.answer_lone

        def counted(*given: Any) -> bool:
            alone.append(answer(*given))
            return alone[-1]

        service.answer_lone = counted  # type: ignore[method-assign]
        call = msgpack.packb(["call", "a", "bank.deposit", [1, 1]])
        for n in range(1, 4):
            await socket.raw.send_bytes(call)
            assert (await socket.next())[:3] == ["ok", "a", 100 + n]
        assert alone == [True] * 3
        transport = socket.raw._response.connection.transport  # type: ignore[union-attr]
        assert transport is not None
        transport.write(masked(call) + masked(call))
        assert await values(socket, 2) == [104, 105]
        assert len(alone) == 3


@pytest.mark.parametrize("ack", ["committed", "durable"])
async def test_what_came_before_a_malformed_frame_is_answered(ack: str, tmp_path: Path) -> None:
    async with bank(str(tmp_path / "db")) as client, connected(client, MSGPACK) as socket:
        await socket.send(["hello", {"ack": ack}])
        assert (await socket.next())[0] == "hello"
        transport = socket.raw._response.connection.transport  # type: ignore[union-attr]
        assert transport is not None
        transport.write(masked(deposits(3)) + masked(b"\xc1") + masked(deposits(5)))
        assert await values(socket, 1) == [103]
        assert (await socket.next())[0] == "error"
        assert await socket.closed() == 1002
        assert client.db.get("account", 1)["balance"] == 103  # type: ignore[index]
