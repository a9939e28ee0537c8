"""Whatever one client does on the WebSocket, another one is served."""

from __future__ import annotations

import asyncio
import contextlib
import socket as sockets
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import aiohttp
import msgpack
import pytest

import reifydb
from reifydb.config import frame_messages_max, walks_max, ws_frame_bytes_max
from reifydb.database.outbox import Phase
from tests.e2e.gateway.http_client import Client, bank, served
from tests.e2e.gateway.ws_client import JSON, MSGPACK, PATIENCE_S, PROTOCOLS, Socket, connected

both = pytest.mark.parametrize("protocol", PROTOCOLS)


@asynccontextmanager
async def others_are_served(protocol: str = JSON) -> AsyncIterator[tuple[Client, Socket]]:
    """A server and a hostile client's connection; after the block another one is served, and one
    that was there before still is.
    """
    async with (
        bank() as client,
        connected(client) as before,
        connected(client, protocol) as hostile,
    ):
        yield client, hostile
        async with connected(client) as after:
            for good in (before, after):
                answer = await good.ask("call", 1, "bank.total", [])
                assert answer[:3] == ["ok", 1, 100]


async def gone(client: Client, left: int) -> None:
    """Waits until the server has only so many connections."""
    async with asyncio.timeout(PATIENCE_S):
        while len(client.server.connections) > left:
            await asyncio.sleep(0.001)


async def raw_send(socket: Socket, data: bytes | str) -> None:
    send = socket.raw.send_str if isinstance(data, str) else socket.raw.send_bytes
    await send(data)  # type: ignore[arg-type]


# ------------------------------------------------------------------ frames


MALFORMED: list[tuple[str, bytes | str]] = [
    (JSON, "["),
    (JSON, "x" * 1000),
    (JSON, "[" * 1_000_000),
    (JSON, '{"a":' * 100_000),
    (JSON, "[1e5"),
    (JSON, '["call",1,"\\udfff",[]]'),
    (JSON, "[NaN]"),
    (JSON, '["ping",' + "9" * 5000 + "]"),
    (JSON, b"\x92\xa4ping\x01"),
    (JSON, "5"),
    (JSON, "[]"),
    (MSGPACK, b""),
    (MSGPACK, b"\xc1"),
    (MSGPACK, b"\x91" * 1_000_000),
    (MSGPACK, b"\xdd\xff\xff\xff\xff\xc0"),
    (MSGPACK, b"\xdf\xff\xff\xff\xff\xc0"),
    (MSGPACK, b"\xc6\xff\xff\xff\xff\xc0"),
    (MSGPACK, b"\xa1\xff"),
    (MSGPACK, b"\x92\xa4ping\x01\x01"),
    (MSGPACK, b"\x81\x90\xc0"),
    (MSGPACK, msgpack.packb(["ping", msgpack.ExtType(9, b"")])),
    (MSGPACK, '["ping", 1]'),
    (MSGPACK, b"\xc0"),
]


@pytest.mark.parametrize("case", MALFORMED, ids=lambda case: f"{case[1]!r:.24}")
async def test_a_malformed_frame_ends_its_connection_with_1002(
    case: tuple[str, bytes | str],
) -> None:
    protocol, data = case
    async with others_are_served(protocol) as (_, hostile):
        await raw_send(hostile, data)
        kind, id_, problem = await hostile.next()
        assert (kind, id_, problem["code"]) == ("error", None, "bad_request")
        assert await hostile.closed() == 1002


@both
async def test_a_frame_beyond_its_limit_ends_its_connection(protocol: str) -> None:
    async with others_are_served(protocol) as (client, hostile):
        filler = "x" * ws_frame_bytes_max
        with contextlib.suppress(ConnectionError):  # closed before it was sent
            await hostile.send(["call", 1, "bank.open", [9, filler, 0]])
            assert await hostile.closed() in (1009, 1006)
        await gone(client, 1)


@both
async def test_a_frame_just_below_its_limit_is_served(protocol: str) -> None:
    async with others_are_served(protocol) as (_, hostile):
        filler = "x" * (ws_frame_bytes_max - 100)
        answer = await hostile.ask("call", filler, "bank.total", [])
        assert (answer[0], len(answer[1]), answer[2]) == ("ok", len(filler), 100)


@both
async def test_a_frame_with_too_many_messages_ends_its_connection(protocol: str) -> None:
    async with others_are_served(protocol) as (_, hostile):
        await hostile.send([["ping", 1]] * (frame_messages_max + 1))
        assert "frame_messages_max" in (await hostile.next())[2]["detail"]
        assert await hostile.closed() == 1002


async def test_bytes_that_are_no_websocket_end_their_connection() -> None:
    async with others_are_served() as (client, hostile):
        connection = hostile.raw._response.connection
        assert connection is not None
        assert connection.transport is not None
        connection.transport.write(b"\xff" * 64)
        assert await hostile.closed() == 1002
        await gone(client, 1)


# ------------------------------------------------------------------ messages


NAMES: list[Any] = [None, 5, [], {}, "", "account", "bank.total", "bank.transfer", "_tokens", "ä\0"]
VALUES: list[Any] = [
    None, True, 5, -1.5, "x", [], {}, [None], [[]], [{}], [1, 2, 3, 4], [1, "x", 2], {"x": 1},
    {"id": []}, [{"id": {}}], [1 << 63], [-(1 << 63), 1, 1], {"limit": -1}, {"limit": True},
    {"lower": {}}, {"lower": [[]]}, {"lower": [1, 2]}, {"index": []}, {"index": "x"},
    {"reverse": 1}, {"since": [1]}, {"since": [-1, 1 << 62]}, {"since": {}}, {"ack": []},
    {"ack": 1}, [["bank.total", []]] * 2, [["bank.total", 5]], [[[], []]], ["account"] * 3,
]  # fmt: skip
MSGPACK_ONLY: list[Any] = [
    b"x",
    [b"x"],
    {1: 2},
    {b"x": 1},
    {None: 1},
    [{1: 2}],
    [msgpack.Timestamp(1)],
]


@both
async def test_values_of_wrong_types_are_refused_and_never_a_fault(protocol: str) -> None:
    values = VALUES + (MSGPACK_ONLY if protocol == MSGPACK else [])
    async with others_are_served(protocol) as (client, hostile):
        messages: list[list[Any]] = []
        for name in NAMES:
            for value in values:
                rest = [["call", name, value], ["call", "bank.total", [], value]]
                rest += [[kind, name, value] for kind in ("get", "scan", "subscribe")]
                rest += [["group", [[name, value]]], ["group", value], ["unsubscribe", value]]
                rest += [["write", how, name, value] for how in ("insert", "update", "upsert")]
                rest += [["write", value, "account", [value]], ["write", "insert", name, [value]]]
                messages += rest
        wanted = dict(enumerate(messages))
        await hostile.send([[kind, n, *rest] for n, (kind, *rest) in wanted.items()])
        while wanted:
            kind, id_, *rest = await hostile.next()
            if kind in ("ok", "error"):
                message = wanted.pop(id_)
                assert kind == "ok" or rest[0]["status"] < 500, (message, rest)
        client.db.verify()


@both
async def test_ids_that_are_none_are_refused(protocol: str) -> None:
    async with others_are_served(protocol) as (_, hostile):
        for id_ in (None, True, 1.5, [], {}, [1]):
            await hostile.send(["ping", id_])
            assert (await hostile.next())[:2] == ["error", None]
        for id_ in (0, -1, 1 << 62, "", "x" * 10_000, "ä\0"):
            assert (await hostile.ask("ping", id_))[0] == "pong"


# ------------------------------------------------------------------ readers and crowds


async def never_reads(client: Client, message: str) -> sockets.socket:
    """A connection that sends one message and reads nothing but the handshake."""
    raw = sockets.socket()
    raw.setblocking(False)
    raw.setsockopt(sockets.SOL_SOCKET, sockets.SO_RCVBUF, 4096)
    loop = asyncio.get_running_loop()
    await loop.sock_connect(raw, ("127.0.0.1", client.port))
    data = message.encode()
    assert len(data) < 126
    head = (
        f"GET /v1/ws HTTP/1.1\r\nHost: 127.0.0.1:{client.port}\r\nUpgrade: websocket\r\n"
        "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
        "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
        f"Sec-WebSocket-Protocol: {JSON}\r\n\r\n"
    )
    await loop.sock_sendall(raw, head.encode())
    assert (await loop.sock_recv(raw, 12)) == b"HTTP/1.1 101"
    await loop.sock_sendall(raw, bytes([0x81, 0x80 | len(data), 0, 0, 0, 0]) + data)
    return raw


async def test_readers_that_never_read_hold_up_nobody() -> None:
    options = reifydb.Options(reserve_bytes=4096)
    with reifydb.open(":memory:", options=options) as db:
        db.execute("create table big (id int primary key, body text not null)")
        with db.transaction() as tx:
            tx.insert_many("big", [{"id": n, "body": "x" * 65_536} for n in range(100)])
        async with served(db) as client:
            hostile = [await never_reads(client, '["subscribe",1,"big"]') for _ in range(8)]
            async with asyncio.timeout(PATIENCE_S):
                while sum(connection.full for connection in client.server.connections) < 8:
                    await asyncio.sleep(0.001)
            waiting = [
                transport.get_write_buffer_size()
                for connection in client.server.connections
                if (transport := connection._transport) is not None
            ]
            assert max(waiting) < 8 * 1024 * 1024
            async with connected(client) as good:
                await good.ask("subscribe", 1, "big")
                ids: list[int] = []
                while (message := await good.next())[0] != "ready":
                    ids += [entry[1][0] for entry in message[2]]
                assert ids == list(range(100))
                assert (await good.ask("write", 2, "delete", "big", [7]))[2] == 1
            for raw in hostile:
                raw.close()
            await gone(client, 0)
            assert client.server.service.feeds.count == 0


async def test_readers_that_never_read_give_their_walks_to_those_who_do(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("reifydb.gateway.feeds.walk_stall_ms_max", 300)
    with reifydb.open(":memory:", options=reifydb.Options(reserve_bytes=4096)) as db:
        db.execute("create table big (id int primary key, body text not null)")
        with db.transaction() as tx:
            tx.insert_many("big", [{"id": n, "body": "x" * 65_536} for n in range(100)])
        walks = db._subscriptions._walks
        async with served(db) as client:
            subscribe = '["subscribe",1,"big"]'
            hostile = [await never_reads(client, subscribe) for _ in range(walks_max)]
            async with asyncio.timeout(PATIENCE_S):
                while sum(connection.full for connection in client.server.connections) < walks_max:
                    await asyncio.sleep(0.001)
            assert len(walks) == walks_max
            async with connected(client) as good, connected(client) as other:
                for socket in (good, other):
                    await socket.ask("subscribe", 1, "big")
                for socket in (good, other):
                    ids: list[int] = []
                    while (message := await socket.next())[0] != "ready":
                        ids += [entry[1][0] for entry in message[2]]
                    assert ids == list(range(100))
                assert walks_max - 2 <= len(walks) < walks_max
            # Who reads again after it had to give way begins anew, and has all of it in the end.
            stuck = client.server.service.feeds._stuck
            assert len(stuck) == len(walks)
            gave_way = {
                connection._transport.get_extra_info("peername")
                for connection in client.server.connections
                for feed in client.server.service.feeds._feeds[connection].values()
                if feed.outbox.phase is Phase.NEEDS_SNAPSHOT and connection._transport is not None
            }
            reader = next(raw for raw in hostile if raw.getsockname() in gave_way)
            text = await read_all(reader, b'["ready",1')
            assert text.index(b'["restart",1') < text.rindex(b'["page",1')
            rows = text[text.index(b'["restart",1') :].count(b"x" * 65_536)
            assert rows == 100
            for raw in hostile:
                raw.close()
            await gone(client, 0)
            assert not stuck
            assert not walks
            assert client.server.service.feeds.count == 0


async def read_all(raw: sockets.socket, until: bytes) -> bytes:
    """What comes until these bytes have."""
    loop, found = asyncio.get_running_loop(), bytearray()
    async with asyncio.timeout(10):
        while until not in found[-1_000:]:
            found += await loop.sock_recv(raw, 1 << 20)
    return bytes(found)


@both
async def test_many_idle_connections_hold_up_nobody(protocol: str) -> None:
    async with others_are_served(protocol) as (client, hostile):
        async with AsyncExitStack() as stack:
            idle = [
                await stack.enter_async_context(connected(client, protocol)) for _ in range(200)
            ]
            assert len(client.server.connections) == 202
            assert (await hostile.ask("call", 1, "bank.total", []))[2] == 100
            assert (await idle[-1].ask("ping", 1))[0] == "pong"
        await gone(client, 2)


@both
async def test_a_storm_of_connections_that_break_off_leaves_nothing_behind(protocol: str) -> None:
    async with others_are_served(protocol) as (client, hostile):

        async def come_and_go(n: int) -> None:
            async with connected(client, protocol, greeted=n % 3 > 0) as socket:
                await socket.send([["subscribe", 1, "account"], ["call", 2, "bank.total", []]])
                if n % 2:
                    connection = socket.raw._response.connection
                    assert connection is not None
                    assert connection.transport is not None
                    connection.transport.abort()

        for _ in range(4):
            await asyncio.gather(*map(come_and_go, range(50)))
        assert (await hostile.ask("call", 1, "bank.total", []))[2] == 100
        await gone(client, 2)
        assert client.server.service.feeds.count == 0
        assert not client.server.service.busy


async def test_connections_that_do_not_say_who_they_are_are_closed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("reifydb.gateway.websocket.HELLO_S", 0.05)
    async with bank() as client:
        client.server.tokens.make("someone", ["call"])
        async with connected(client, greeted=False) as socket:
            assert (await socket.next())[2]["code"] == "unauthenticated"
            assert await socket.closed() == 4401


@pytest.mark.parametrize(
    "again", ['["hello", 5]', '["hello", {"token": 5}]', '["hello", {"ack": "x"}]', "[5]", "ping"]
)
async def test_who_says_wrongly_who_it_is_gains_no_time(
    again: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("reifydb.gateway.websocket.HELLO_S", 0.3)
    async with bank() as client:
        client.server.tokens.make("someone", ["call"])
        async with connected(client, greeted=False) as socket:

            async def insist() -> None:
                with contextlib.suppress(ConnectionError):
                    while True:
                        await (socket.raw.ping() if again == "ping" else socket.raw.send_str(again))
                        await asyncio.sleep(0.05)

            insisting = asyncio.create_task(insist())
            began_s = asyncio.get_running_loop().time()
            assert await socket.closed() == 4401
            assert asyncio.get_running_loop().time() - began_s < 2
            insisting.cancel()
        async with connected(client, greeted=False) as socket:
            await socket.send(["hello", {"token": "rdb_wrong"}])
            assert (await socket.next())[2]["code"] == "unauthenticated"
            assert await socket.closed() == 4401


async def test_connections_have_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("reifydb.gateway.server.connections_max", 3)
    async with bank() as client, AsyncExitStack() as stack:
        for _ in range(3):
            await stack.enter_async_context(connected(client))
        with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
            async with connected(client):
                pass
        assert caught.value.status == 429
        await stack.aclose()
        await gone(client, 0)
        async with connected(client) as socket:
            assert (await socket.ask("ping", 1))[0] == "pong"
