"""Requests a second, of a token and of an address."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
import pytest

import reifydb
from reifydb.gateway.serve import serving
from reifydb.gateway.server import Settings
from tests.e2e.gateway.http_client import Client, bank_wasm
from tests.e2e.gateway.ws_client import PROTOCOLS, connected

both = pytest.mark.parametrize("protocol", PROTOCOLS)


@asynccontextmanager
async def limited(settings: Settings) -> AsyncIterator[Client]:
    with reifydb.open(":memory:") as db:
        db.install(bank_wasm(), apply_schema=True)
        async with (
            serving(db, "127.0.0.1", 0, settings) as (server, url),
            aiohttp.ClientSession() as session,
        ):
            yield Client(db, server, url, session)


async def test_an_address_that_asks_for_too_much_is_refused_and_told_when() -> None:
    async with limited(Settings(requests_per_address_max=5)) as client:
        answers = await asyncio.gather(*(client.get("/v1/tables") for _ in range(20)))
        refused = [answer for answer in answers if answer.status == 429]
        assert 10 <= len(refused) <= 15
        assert refused[0].headers["Retry-After"] == "1"
        problem = refused[0].problem
        assert (problem["code"], problem["retryable"]) == ("overloaded", True)
        assert "requests_per_address_max" in problem["detail"]
        assert (await client.get("/livez")).status == 200
        with pytest.raises(aiohttp.WSServerHandshakeError, match="429"):
            async with connected(client):
                pass
        await asyncio.sleep(0.4)
        assert (await client.get("/v1/tables")).status == 200


async def test_calls_on_the_short_way_are_counted_too() -> None:
    async with limited(Settings(requests_per_address_max=5)) as client:
        answers = [await client.call("bank.total") for _ in range(10)]
        assert [answer.status for answer in answers] == [200] * 5 + [429] * 5
        assert answers[-1].headers["Retry-After"] == "1"
        assert answers[-1].headers["Server-Timing"].startswith("total;dur=")


async def test_each_token_has_its_own_rate_and_a_batch_counts_its_calls() -> None:
    async with limited(Settings(requests_per_token_max=10)) as client:
        tokens = client.server.tokens
        one, other = (
            {"Authorization": f"Bearer {tokens.make(name, ['call'])}"} for name in ("one", "other")
        )
        calls = {"calls": [["bank.total", []]] * 30}
        batch = await client.ask("POST", "/v1/batch", json=calls, headers=one)
        assert batch.status == 200
        answer = await client.call("bank.total", headers=one)
        assert (answer.status, answer.headers["Retry-After"]) == (429, "2")
        assert (await client.call("bank.total", headers=other)).status == 200


@both
async def test_requests_of_a_frame_are_refused_and_the_connection_goes_on(protocol: str) -> None:
    settings = Settings(requests_per_address_max=50)
    async with limited(settings) as client, connected(client, protocol) as socket:
        await socket.send([["call", i, "bank.total", []] for i in range(60)])
        for i in range(60):
            assert (await socket.next())[:2] == ["ok", i]
        await socket.send([["call", i, "bank.total", []] for i in range(60, 65)])
        for i in range(60, 65):
            kind, id_, problem = await socket.next()
            assert (kind, id_, problem["code"]) == ("error", i, "overloaded")
            assert 0 < problem["retry_after_s"] < 1
        await asyncio.sleep(problem["retry_after_s"] + 0.05)
        assert (await socket.ask("call", 99, "bank.total", []))[0] == "ok"


async def test_the_python_client_waits_as_it_is_told_where_that_is_safe() -> None:
    settings = Settings(requests_per_address_max=20)
    async with limited(settings) as client, reifydb.aconnect(client.url) as remote:
        await asyncio.gather(*(remote.count("account") for _ in range(30)))
        with pytest.raises(reifydb.OverloadedError):
            await remote.insert("account", {"id": 1, "owner": "x", "balance": 0})
        assert await remote.count("account") == 0
