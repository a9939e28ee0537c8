"""How WebSockets end: a disk that fails, a server that is killed and comes back, silence, a server
that drains.
"""

from __future__ import annotations

import asyncio
import errno
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import aiohttp
import pytest

import reifydb
from reifydb.durability.simulated import SimulatedStorage
from reifydb.errors import DurabilityLostError
from reifydb.gateway import server
from tests.crash.test_disk import OPTIONS, open_on
from tests.e2e.client.servers import Process
from tests.e2e.gateway.http_client import Client, bank, bank_wasm, served
from tests.e2e.gateway.ws_client import PROTOCOLS, Socket, connected

both = pytest.mark.parametrize("protocol", PROTOCOLS)


@both
async def test_when_a_flush_fails_whoever_waits_is_told_and_reads_go_on(protocol: str) -> None:
    storage = SimulatedStorage()
    db = open_on(storage, replace(OPTIONS, flush_interval_ms=20))
    db.install(bank_wasm(), apply_schema=True)
    db.call("bank.open", 1, "ada", 100)
    db.flush()
    durable = db.durable_lsn
    async with AsyncExitStack() as stack, aiohttp.ClientSession() as session:
        client = await stack.enter_async_context(served(db))
        own = Client(db, client.server, client.url, session)  # which outlives the server
        async with connected(own, protocol) as socket:
            await socket.ask("subscribe", "s", "account")
            await socket.several(2)
            storage.faults = {("sync", storage.counts["sync"] + 1): errno.EIO}
            await socket.send([["call", n, "bank.deposit", [1, 1]] for n in range(3)])
            for told in (["error", 0], ["error", 1], ["error", 2], ["ended", "s"]):
                *who, problem = await socket.next()
                assert (who, problem["code"]) == (told, "durability_lost")
                assert problem["durable_lsn"] == durable
            for message in (["call", 3, "bank.deposit", [1, 1]], ["write", 4, "delete", "t", [1]]):
                assert (await socket.problem(*message))["code"] == "durability_lost"
            pong = await socket.ask("ping", 5)
            assert pong == ["pong", 5, [1, durable + 3], durable]
            assert (await client.get("/readyz")).content["reason"] == "durability_lost"
            assert (await client.get("/livez")).status == 200
            closing = asyncio.create_task(socket.closed())
            await asyncio.sleep(0)
            with pytest.raises(DurabilityLostError):
                await stack.aclose()
            assert await closing == 1001
    with pytest.raises(DurabilityLostError):
        db.close()
    lost = durable + 3
    after = (open_on(storage.after_crash(seed)) for seed in range(100))
    with next(again for again in after if again.lsn == durable) as again:
        async with served(again) as client, connected(client, protocol) as socket:
            # Whoever had been told of a commit that is lost begins anew.
            await socket.ask("subscribe", 1, "account", {"since": [1, lost]})
            assert [kind for kind, *_ in await socket.several(2)] == ["page", "ready"]
            await socket.ask("subscribe", 2, "account", {"since": [1, durable]})
            await socket.send(["call", 3, "bank.deposit", [1, 5]])
            kinds = [message[:2] for message in await socket.several(3)]
            assert sorted(kinds, key=str) == [["delta", 1], ["delta", 2], ["ok", 3]]


@both
async def test_a_server_that_is_killed_comes_back_as_another_incarnation(
    protocol: str, tmp_path: Path
) -> None:
    folder = tmp_path / "db"
    with reifydb.open(folder, options=reifydb.Options(reserve_bytes=4096)) as db:
        db.install(bank_wasm(), apply_schema=True)
        db.call("bank.open", 1, "ada", 100)
    process = Process(folder)
    await process.start()
    seen: list[Any] = []
    async with aiohttp.ClientSession() as session:
        try:
            for round_ in range(3):
                url = f"{process.url}/v1/ws"
                raw = await session.ws_connect(url, protocols=[protocol])
                socket = Socket(raw, protocol)
                said = (await socket.next())[1]
                if seen:
                    assert said["incarnation"] == seen[0] + 1
                    since = {"since": seen}
                    answer = await socket.ask("subscribe", 1, "account", since)
                else:
                    answer = await socket.ask("subscribe", 1, "account")
                    assert [kind for kind, *_ in await socket.several(2)] == ["page", "ready"]
                before = answer[3]
                await socket.send(["call", 2, "bank.deposit", [1, 1]])
                delta, ok = await socket.several(2)
                balance = 101 + round_
                entry = [2, [1], [1, "ada", balance]]
                assert delta == ["delta", 1, before + 1, before, [entry]]
                assert ok == ["ok", 2, balance, before + 1]
                seen = [said["incarnation"], before + 1]
                await process.end()
                assert await socket.closed() == 1006
                await process.start()
        finally:
            await process.end()


@both
async def test_who_does_not_answer_a_ping_is_closed_and_leaves_nothing_behind(
    protocol: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "HEARTBEAT_S", 0.2)
    async with (
        bank() as client,
        connected(client, protocol, autoping=False) as silent,
        connected(client, protocol) as lively,
    ):
        await silent.ask("subscribe", 1, "account")
        for number in range(20):  # a client answers pings while it reads
            assert (await lively.ask("call", number, "bank.total", []))[2] == 100
            with pytest.raises(TimeoutError):
                await lively.raw.receive(timeout=0.04)
        assert len(client.server.connections) == 1
        assert client.server.service.feeds.count == 0


@both
async def test_a_server_that_drains_refuses_what_is_new_and_answers_what_it_has(
    protocol: str, tmp_path: Path
) -> None:
    async with bank(
        str(tmp_path / "db"), flush_interval_ms=300, durability_lag_ms_max=5000
    ) as client:
        client.db.flush()
        async with connected(client, protocol) as socket:
            await socket.send(["call", 1, "bank.deposit", [1, 1]])
            while not client.server.service.busy:
                await asyncio.sleep(0.001)
            draining = asyncio.create_task(client.server.drain())
            await asyncio.sleep(0)
            problem = await socket.problem("call", 2, "bank.deposit", [1, 1])
            assert (problem["code"], problem["retryable"]) == ("unavailable", True)
            assert (await socket.next())[:3] == ["ok", 1, 101]
            await draining
            with pytest.raises(aiohttp.WSServerHandshakeError, match="503"):
                async with connected(client, protocol):
                    pass
        assert (client.db.get("account", 1) or {})["balance"] == 101
