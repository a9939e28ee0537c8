"""Calls on the short way are answered as on the long one, in order, whatever becomes of them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgpack
import pytest

import reifydb
from reifydb.gateway import admission as admission_module
from reifydb.gateway import patience as patience_module
from reifydb.gateway.http import bodies
from reifydb.gateway.http.lane import Lane
from reifydb.gateway.serve import serving
from reifydb.gateway.server import Settings
from reifydb.gateway.tokens import Tokens
from tests.e2e.gateway.http_client import Answer, bank, bank_wasm

TOTAL = b"POST /v1/call/bank.total HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n"
LIVEZ = b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n"


def call(
    transition: str, body: bytes = b"[]", query: str = "", method: str = "POST", **headers: str
) -> bytes:
    given = {"Host": "x", "Content-Length": str(len(body))} | {
        name.replace("_", "-"): value for name, value in headers.items()
    }
    lines = "".join(f"{name}: {value}\r\n" for name, value in given.items())
    return f"{method} /v1/call/{transition}{query} HTTP/1.1\r\n{lines}\r\n".encode() + body


class Line:
    """A connection, as bytes."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    async def read(self) -> Answer:
        """The next answer."""
        head = await asyncio.wait_for(self.reader.readuntil(b"\r\n\r\n"), 5)
        status, *lines = head.decode().removesuffix("\r\n\r\n").split("\r\n")
        headers = dict(line.split(": ", 1) for line in lines)
        body = await self.reader.readexactly(int(headers["Content-Length"]))
        return Answer(int(status.split()[1]), headers, body)

    async def ask(self, data: bytes) -> Answer:
        self.writer.write(data)
        return await self.read()


@asynccontextmanager
async def connected(port: int) -> AsyncIterator[Line]:
    """A connection on which aiohttp waits for a request: the first may come before it does."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    line = Line(reader, writer)
    assert (await line.ask(LIVEZ)).status == 200
    try:
        yield line
    finally:
        writer.close()


@pytest.fixture
def taken(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The transitions that were called on the short way."""
    names: list[str] = []
    serve = Lane._serve

    def serve_and_tell(lane: Lane, *args: Any) -> None:
        names.append(args[3])
        serve(lane, *args)

    monkeypatch.setattr(Lane, "_serve", serve_and_tell)
    return names


CALLS = {
    "by position": call("bank.transfer", b"[1, 2, 3]"),
    "by name": call("bank.transfer", b'{"source": 1, "target": 2, "amount": 3}'),
    "without a body": TOTAL,
    "with JSON's type": call("bank.total", Content_Type="application/json"),
    "msgpack": call("bank.balance", b"\x91\x01", Content_Type="application/msgpack"),
    "msgpack, a problem": call("bank.balance", b"\x91\xa1x", Content_Type="application/msgpack"),
    "refused": call("bank.transfer", b"[1, 2, 1000]"),
    "unknown": call("bank.transfr", b"[1, 2, 10]"),
    "a name that is none": call("..", b"[]"),
    "too few arguments": call("bank.transfer", b"[1]"),
    "no arguments at all": call("bank.transfer", b"1"),
    "a wrong type": call("bank.transfer", b'[1, 2, "x"]'),
    "no JSON": call("bank.transfer", b"[1, 2"),
    "no UTF-8": call("bank.transfer", b"[\xff]"),
    "half a surrogate pair": call("bank.total", b'["\\ud800"]'),
    "two types": call("bank.total", Accept="application/msgpack"),
    "committed": call("bank.total", query="?ack=committed"),
    "durable": call("bank.total", query="?ack=durable"),
    "committed, preferred": call("bank.total", Prefer="wait=committed"),
    "a token that is none": call("bank.total", Authorization="Bearer rdb_nobodys"),
    "no bearer": call("bank.total", Authorization="Basic eDp5"),
}


async def asked(data: bytes) -> list[Answer]:
    """What a new bank answers to a request, and how much money there is then."""
    async with bank() as client, connected(client.port) as line:
        answers = [await line.ask(data), await line.ask(TOTAL)]
        counted = client.server.service.metrics.requests
        route = "/v1/call/{transition}"
        assert {status for _, r, status in counted if r == route} == {a.status for a in answers}
        assert client.server.body_bytes == 0
        return answers


@pytest.mark.parametrize("name", CALLS)
async def test_both_ways_answer_alike(
    name: str, taken: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    short = await asked(CALLS[name])
    assert len(taken) == 2
    monkeypatch.setattr(Lane, "_target", lambda lane, message, payload: None)
    long = await asked(CALLS[name])
    assert len(taken) == 2
    for one, other in zip(short, long, strict=True):
        assert (one.status, one.body) == (other.status, other.body)
        assert one.headers.keys() == other.headers.keys()
        for header in one.headers.keys() - {"Date", "Server-Timing"}:
            assert one.headers[header] == other.headers[header]


@pytest.mark.parametrize(
    "data",
    [
        call("bank.total", query="?ack=maybe"),
        call("bank.total", query="?ack=durable&x=1"),
        call("bank%2etotal"),
        call("bank.total", method="PUT"),
        call("bank.total", Origin="https://app.example"),
        call("bank.total", Connection="close"),
        call("bank.total", Expect="100-continue"),
        call("bank.total", Content_Encoding="gzip"),
        call("b" * 300),
        b"POST /v1/call/bank.total HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"POST /v1/call/bank.total HTTP/1.0\r\nContent-Length: 0\r\n\r\n",
        TOTAL + TOTAL,
    ],
)
async def test_what_is_not_plain_goes_the_long_way(data: bytes, taken: list[str]) -> None:
    async with bank() as client, connected(client.port) as line:
        line.writer.write(data)
        assert await asyncio.wait_for(line.reader.readuntil(b"\r\n\r\n"), 5)
        assert not taken


async def test_what_comes_behind_a_call_is_answered_behind_it(tmp_path: Path) -> None:
    async with (
        bank(str(tmp_path), flush_interval_ms=50, durability_lag_ms_max=500) as client,
        connected(client.port) as line,
    ):
        deposit = call("bank.deposit", b"[1, 1]")
        line.writer.write(deposit)
        for data in (TOTAL + LIVEZ, TOTAL[:20], TOTAL[20:] + deposit, LIVEZ):
            await asyncio.sleep(0.005)
            line.writer.write(data)
        said = [(await line.read()).content for _ in range(6)]
        assert [one.get("value", one.get("status")) for one in said] == [
            *(101, 101, "live", 101, 102, "live")
        ]


async def test_a_client_that_goes_away_in_the_middle_leaves_nothing(
    tmp_path: Path, taken: list[str]
) -> None:
    async with bank(str(tmp_path), flush_interval_ms=100, durability_lag_ms_max=500) as client:
        async with connected(client.port) as line:
            line.writer.write(call("bank.deposit", b"[1, 1]"))
            while not client.server.service._owing:
                await asyncio.sleep(0.001)
            assert client.server.body_bytes > 0
            line.writer.transport.abort()
            await asyncio.sleep(0.02)
            assert client.server.body_bytes == 0
            assert not client.server.service._owing
            assert not client.server.patience._waiting
        assert taken == ["bank.deposit"]
        assert (await client.call("bank.total")).content["value"] == 101


async def test_an_answer_that_comes_too_late_is_not_the_next_call_s(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(patience_module, "answer_ms_max", 100)
    monkeypatch.setattr(patience_module, "LOOK_S", 0.02)
    options = {"flush_interval_ms": 400, "durability_lag_ms_max": 2000}
    async with bank(str(tmp_path), **options) as client, connected(client.port) as line:
        late = await line.ask(call("bank.deposit", b"[1, 1]"))
        assert (late.status, late.problem["code"]) == (504, "wait_timeout")
        answer = await line.ask(call("bank.balance", b"[1]", query="?ack=committed"))
        assert answer.content["value"] == 101
        client.db.flush()
        assert (await line.ask(call("bank.deposit", b"[1, 1]", "?ack=committed"))).status == 200


async def test_a_call_that_waits_is_not_an_idle_connection(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from reifydb.gateway.http import protocol

    monkeypatch.setitem(protocol.SETTINGS, "keepalive_timeout", 0.1)
    monkeypatch.setattr(protocol, "header_ms_max", 100)
    options = {"flush_interval_ms": 400, "durability_lag_ms_max": 2000}
    async with bank(str(tmp_path), **options) as client, connected(client.port) as line:
        assert (await line.ask(call("bank.deposit", b"[1, 1]"))).content["value"] == 101
        assert await asyncio.wait_for(line.reader.read(), 2) == b""


async def test_what_was_taken_on_is_answered_when_the_server_ends(
    tmp_path: Path, taken: list[str]
) -> None:
    options = reifydb.Options(reserve_bytes=4096, flush_interval_ms=200)
    with reifydb.open(tmp_path / "bank", options=options) as db:
        db.install(bank_wasm(), apply_schema=True)
        async with (
            serving(db, "127.0.0.1", 0, Settings()) as (server, url),
            connected(int(url.rpartition(":")[2])) as line,
        ):
            line.writer.write(call("bank.open", b'[1, "ada", 100]'))
            while not server.service._owing:
                await asyncio.sleep(0.001)
            await server.drain()
            assert (await line.read()).status == 200
            answer = await line.ask(TOTAL)
            assert (answer.status, answer.problem["code"]) == (503, "unavailable")
        assert taken == ["bank.open", "bank.total"]


async def test_limits_hold_on_the_short_way(
    monkeypatch: pytest.MonkeyPatch, taken: list[str]
) -> None:
    async with bank() as client, connected(client.port) as line:
        with monkeypatch.context() as patch:
            patch.setattr(admission_module, "waiting_requests_max", 0)
            answer = await line.ask(TOTAL)
        assert (answer.status, answer.problem["code"]) == (429, "overloaded")
        assert answer.headers["Retry-After"] == "1"
        assert client.server.service.admission.refused == 1
        monkeypatch.setattr(bodies, "bodies_bytes_max", 10)
        answer = await line.ask(call("bank.total", b"[          ]"))
        assert (answer.status, answer.problem["code"]) == (429, "overloaded")
    assert len(taken) == 2


async def test_a_token_is_asked_for_at_each_call(taken: list[str]) -> None:
    async with bank() as client:
        async with connected(client.port) as line:
            assert (await line.ask(TOTAL)).status == 200
            token = Tokens(client.db).make("teller", ["call:bank.total"])
            answer = await line.ask(TOTAL)
            assert (answer.status, answer.headers["WWW-Authenticate"]) == (401, "Bearer")
            bearer = {"Authorization": f"Bearer {token}"}
            assert (await line.ask(call("bank.total", **bearer))).status == 200
            assert (await line.ask(call("bank.balance", b"[1]", **bearer))).status == 403
            Tokens(client.db).remove("teller")
            Tokens(client.db).make("other", ["read:account"])
            assert (await line.ask(call("bank.total", **bearer))).status == 401
        assert len(taken) == 5


async def test_a_fault_of_ours_is_logged_and_not_told(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async with bank() as client, connected(client.port) as line:
        monkeypatch.setattr(client.server.service, "admit", lambda: 1 / 0)
        answer = await line.ask(TOTAL)
        assert answer.status == 500
        assert b"division" not in answer.body
        assert "division by zero" in caplog.text
        monkeypatch.undo()
        assert (await line.ask(TOTAL)).status == 200


def test_values_are_written_as_json_writes_them() -> None:
    from reifydb.gateway.http.forms import JSON, MSGPACK

    for value in (None, 0, -5, True, False, 'ä"', 1.5, [1, None], {"a": "b"}):
        whole = {"value": value, "lsn": 3, "incarnation": 1}
        assert JSON.write_outcome(value, 3, 1) == JSON.write(whole)
        assert json.loads(JSON.write_outcome(value, 3, 1)) == whole
        assert msgpack.unpackb(MSGPACK.write_outcome(value, 3, 1)) == whole
