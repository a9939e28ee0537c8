"""Hostile requests: whatever comes, it is answered or closed, others are served, memory returns."""

from __future__ import annotations

import asyncio
import gc
import io
import json
import socket
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import msgpack
import pytest

from reifydb import config
from reifydb.gateway import admission as admission_module
from reifydb.gateway.exposition import resident_bytes
from reifydb.gateway.http import bodies, protocol
from tests.e2e.gateway.http_client import MSGPACK, Client, bank

MIB = 1 << 20

BOTH_LENGTHS = (
    b"POST /v1/batch HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n"
    b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
)
"""How requests are smuggled past a proxy that believes the other one."""


async def check_serves(client: Client) -> None:
    """Others are served, at normal speed."""
    began = time.perf_counter()
    for _ in range(10):
        assert (await client.call("bank.total")).content["value"] == 100
    assert time.perf_counter() - began < 10
    client.db.verify()
    assert client.server.body_bytes == 0


@asynccontextmanager
async def attacked() -> AsyncIterator[Client]:
    """A bank, which must serve as before when the attack is over."""
    async with bank() as client:
        before = client.db.state_hash
        yield client
        await check_serves(client)
        assert client.db.state_hash == before


async def raw(client: Client, data: bytes, *, timeout_s: float = 5) -> bytes:
    """Sends bytes, and returns all that comes until the server closes."""
    reader, writer = await asyncio.open_connection("127.0.0.1", client.port)
    try:
        writer.write(data)
        await writer.drain()
        return await asyncio.wait_for(reader.read(), timeout_s)
    except ConnectionError:
        return b""
    finally:
        writer.close()


# ---------------------------------------------------------------- bodies


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"nonsense",
        b"\xff\xfe",
        b"[NaN, 1, 2]",
        b"[1e999, 2, 3]",
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b"[" + b"9" * 10_000 + b"]",
        b'["\\ud800"]',
        b'{"\\udfff": 1}',
        b"null",
        b"[1, 2, 3] 4",
        b"\0" * 1000,
        json.dumps([[], {}, None]).encode(),
        json.dumps([{"$json": None}, True, "x" * 100_000]).encode(),
    ],
)
@pytest.mark.parametrize("path", ["/v1/call/bank.transfer", "/v1/batch", "/v1/tables/account"])
async def test_json_of_any_kind_is_answered_with_a_problem(path: str, body: bytes) -> None:
    async with attacked() as client:
        answer = await client.ask("POST", path, data=body)
        assert answer.status in (400, 404, 422), answer
        assert answer.problem["retryable"] is False


@pytest.mark.parametrize(
    "body",
    [
        b"\xc1",
        b"\x93\x01",
        b"\x91" * 5000 + b"\x01",
        b"\xdd\xff\xff\xff\xff",
        b"\xdf\xff\xff\xff\xff",
        b"\xc6\xff\xff\xff\xff",
        b"\xdb\x7f\xff\xff\xff",
        msgpack.packb([msgpack.ExtType(5, b"x"), 1, 2]),
        msgpack.packb([msgpack.Timestamp(1), 1, 2]),
        b"\x93\xcf\xff\xff\xff\xff\xff\xff\xff\xff\x01\x02",
        b"\xa1\xff",
        msgpack.packb({1: 2}),
        b"\x81\x91\x01\x02",
        b"\x93\x01\x02\x03\x04",
        b"",
    ],
)
@pytest.mark.parametrize("path", ["/v1/call/bank.transfer", "/v1/batch", "/v1/tables/account"])
async def test_msgpack_of_any_kind_is_answered_with_a_problem(path: str, body: bytes) -> None:
    async with attacked() as client:
        answer = await client.ask("POST", path, data=body, headers=MSGPACK)
        assert answer.status in (400, 404, 422), answer
        assert answer.problem["retryable"] is False


async def test_names_of_any_kind_are_answered_with_a_problem() -> None:
    names = ["x" * 5000, "%00", "%FF%FE", "..%2F..", "%F0%9F%92%A9", "a.b.c", "%22%27%3B--", "*"]
    async with attacked() as client:
        for name in names:
            for method, path in (
                ("POST", f"/v1/call/{name}"),
                ("GET", f"/v1/tables/{name}"),
                ("GET", f"/v1/tables/{name}/1"),
                ("DELETE", f"/v1/modules/{name}"),
            ):
                answer = await client.ask(method, path)
                assert answer.status in (400, 404, 422), (method, path)
                assert answer.problem["code"] in ("unknown_name", "bad_request"), (method, path)


async def test_a_body_that_is_too_long_is_refused_before_it_is_read() -> None:
    async with attacked() as client:
        head = f"POST /v1/batch HTTP/1.1\r\nHost: x\r\nContent-Length: {1 << 40}\r\n\r\n".encode()
        reader, writer = await asyncio.open_connection("127.0.0.1", client.port)
        writer.write(head)
        said = await asyncio.wait_for(reader.readuntil(b"}"), 5)
        writer.close()
        assert b"HTTP/1.1 413" in said
        assert b'"body_bytes_max"' in said


async def test_a_body_of_chunks_without_end_is_cut_off() -> None:
    async with attacked() as client:

        async def endless() -> AsyncIterator[bytes]:
            for _ in range(config.body_bytes_max // MIB + 2):
                yield b"x" * MIB

        try:
            answer = await client.ask("POST", "/v1/batch", data=endless())
        except OSError:  # closed while it still sent
            return
        assert (answer.status, answer.problem["limit"]) == (413, "body_bytes_max")


async def test_compressed_bodies_are_refused() -> None:
    async with attacked() as client:
        answer = await client.ask(
            "POST", "/v1/batch", data=b"x" * 100, headers={"Content-Encoding": "gzip"}
        )
        assert (answer.status, answer.problem["code"]) == (400, "bad_request")


async def test_bodies_together_are_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bodies, "bodies_bytes_max", 3 * MIB)
    monkeypatch.setattr(bodies, "body_ms_max", 400)
    async with attacked() as client:
        head = f"POST /v1/batch HTTP/1.1\r\nHost: x\r\nContent-Length: {2 * MIB}\r\n\r\n".encode()
        slow = asyncio.create_task(raw(client, head + b"["))
        while not client.server.body_bytes:
            await asyncio.sleep(0.001)
        answer = await client.ask("POST", "/v1/batch", data=io.BytesIO(b" " * (2 * MIB)))
        assert (answer.status, answer.problem["code"]) == (429, "overloaded")
        assert answer.headers["Retry-After"] == "1"
        assert (await client.call("bank.total")).status == 200
        assert b"HTTP/1.1 408" in await slow


async def test_memory_returns_after_large_bodies() -> None:
    async with attacked() as client:
        body = b'{"calls": ' + b"[" * 500 + b" " * (8 * MIB)
        before = None
        for i in range(12):
            answer = await client.ask("POST", "/v1/batch", data=io.BytesIO(body))
            assert answer.status == 400
            if i == 3:
                gc.collect()
                before = resident_bytes()
        gc.collect()
        after = resident_bytes()
        if before is not None and after is not None:
            assert after - before < 32 * MIB


# ---------------------------------------------------------------- heads


@pytest.mark.parametrize(
    "data",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" * 10,
        b"GET\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nno colon\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"y" * 20_000 + b"\r\n\r\n",
        b"GET /" + b"y" * 20_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\n" + b"A: b\r\n" * 1000 + b"\r\n",
        BOTH_LENGTHS,
    ],
)
async def test_what_is_not_http_is_answered_with_a_problem_and_closed(
    data: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    async with attacked() as client:
        said = await raw(client, data)
        assert said.startswith(b"HTTP/1.0 400 Bad Request")
        head, _, body = said.partition(b"\r\n\r\n")
        assert b"application/problem+json" in head
        assert json.loads(body)["code"] == "bad_request"
        assert not caplog.records


async def test_a_chunk_that_is_none_is_answered_with_a_problem() -> None:
    async with attacked() as client:
        head = b"POST /v1/batch HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
        said = await raw(client, head + b"zz\r\nnonsense\r\n")
        assert said.startswith(b"HTTP/1.0 400 Bad Request")


async def test_half_sent_heads_are_closed_and_others_served(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(protocol, "header_ms_max", 300)
    async with attacked() as client:
        pieces = [b"", b"G", b"GET / HTTP/1.1\r\nHost: x\r\n", b"POST /v1/batch HTTP/1.1\r\nX: y"]
        began = time.perf_counter()
        waiting = [asyncio.create_task(raw(client, pieces[i % 4])) for i in range(200)]
        await asyncio.sleep(0.05)
        assert (await client.call("bank.total")).status == 200
        assert set(await asyncio.gather(*waiting)) == {b""}
        assert time.perf_counter() - began < 9
        # One that has asked is kept, although as long a time goes by.
        await asyncio.sleep(0.4)
        assert (await client.call("bank.total")).status == 200


async def test_a_head_that_comes_byte_by_byte_gains_no_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(protocol, "header_ms_max", 300)
    async with attacked() as client:
        reader, writer = await asyncio.open_connection("127.0.0.1", client.port)
        closed = asyncio.create_task(reader.read())
        for byte in b"GET / HTTP/1.1\r\n" * 100:
            if closed.done():
                break
            writer.write(bytes([byte]))
            await asyncio.sleep(0.01)
        assert closed.done()
        writer.close()


async def test_too_many_connections_are_closed_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    async with attacked() as client:
        assert (await client.call("bank.total")).status == 200  # this one stays
        monkeypatch.setattr(protocol, "sockets_max", 10)
        opened = [await asyncio.open_connection("127.0.0.1", client.port) for _ in range(20)]
        await asyncio.sleep(0.1)
        closed = sum(reader.at_eof() or reader.exception() is not None for reader, _ in opened)
        assert closed == 11
        assert (await client.call("bank.total")).status == 200
        for _, writer in opened:
            writer.close()


async def test_unknown_methods_and_paths_are_problems() -> None:
    async with attacked() as client:
        for method in ("TRACE", "PROPFIND", "OPTIONS", "PUT"):
            answer = await client.ask(method, "/v1/call/bank.total")
            assert (answer.status, answer.problem["hint"]) == (405, "POST")
            assert answer.headers["Allow"] == "POST"
        answer = await client.get("/v1/tabels")
        assert (answer.status, answer.problem["hint"]) == (404, "did you mean '/v1/tables'?")


async def test_clients_that_go_away_leave_nothing() -> None:
    async with bank() as client:
        body = b"[1, 1]"
        head = b"POST /v1/call/bank.deposit HTTP/1.1\r\nHost: x\r\nContent-Length: 6\r\n\r\n"
        for _ in range(100):
            _, writer = await asyncio.open_connection("127.0.0.1", client.port)
            writer.write(head + body)
            writer.transport.abort()
        await asyncio.sleep(0.2)
        service = client.server.service
        assert not service.busy
        assert client.server.body_bytes == 0
        assert (await client.call("bank.total")).status == 200


async def test_a_client_that_reads_nothing_is_closed_and_a_slow_one_is_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(protocol, "write_ms_max", 300)
    async with bank() as client:
        client.db.execute("create table long (id int primary key, text text)")
        with client.db.transaction() as tx:
            tx.insert_many("long", [{"id": i, "text": "x" * 100_000} for i in range(100)])
        ask = b"GET /v1/tables/long?limit=100 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
        loop = asyncio.get_running_loop()

        async def read(pause_s: float) -> int:
            with socket.socket() as own:
                own.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 16)
                own.setblocking(False)
                await loop.sock_connect(own, ("127.0.0.1", client.port))
                await loop.sock_sendall(own, ask)
                await asyncio.sleep(pause_s)
                size = 0
                try:
                    while part := await loop.sock_recv(own, 1 << 17):
                        size += len(part)
                        await asyncio.sleep(0.01)
                except ConnectionError:
                    pass
                return size

        slow, dead = await asyncio.gather(read(0), read(1.5))
        assert slow > config.page_bytes_max
        assert dead < slow
        await check_serves(client)


# ---------------------------------------------------------------- too much


async def test_when_too_many_wait_new_ones_are_told_to_come_later(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with attacked() as client:
        monkeypatch.setattr(admission_module, "waiting_requests_max", 0)
        answer = await client.call("bank.total")
        assert (answer.status, answer.problem["code"]) == (429, "overloaded")
        assert answer.headers["Retry-After"] == "1"
        assert answer.problem["retryable"] is True
        for path in ("/livez", "/readyz", "/metrics"):
            assert (await client.get(path)).status == 200
        assert client.server.service.admission.refused == 1
        monkeypatch.undo()


async def test_when_the_disk_stands_still_requests_do_not_pile_up(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    monkeypatch.setattr(admission_module, "waiting_peers_max", 5)
    async with bank(str(tmp_path), flush_interval_ms=300, durability_lag_ms_max=5000) as client:
        answers = await asyncio.gather(*[client.call("bank.deposit", 1, 1) for _ in range(40)])
        statuses = [answer.status for answer in answers]
        assert 5 <= statuses.count(200) < 40
        assert set(statuses) == {200, 429}
        balance = client.db.get("account", 1)["balance"]  # type: ignore[index]
        assert balance == 100 + statuses.count(200)
