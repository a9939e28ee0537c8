"""A served database that is killed and comes back, under load: the client goes on by itself."""

from __future__ import annotations

import asyncio
import random
import signal
from pathlib import Path
from typing import Any

import pytest

import reifydb
from tests.e2e.client.servers import Process
from tests.e2e.client.test_client import apply

ROUNDS = 3


def seeded(folder: Path) -> None:
    with reifydb.open(folder, options=reifydb.Options(reserve_bytes=4096)) as db:
        db.execute("create table item (id int primary key, round int not null)")


class Load:
    """Inserts rows with ever new ids, and keeps count of what was said of each."""

    def __init__(self, client: reifydb.AsyncDatabase) -> None:
        self._client = client
        self.acknowledged: set[int] = set()
        self.unknown: set[int] = set()
        self._next = 0
        self.going = True

    async def run(self, worker: int) -> None:
        while self.going:
            self._next += 1
            id_ = self._next
            try:
                await self._client.insert("item", {"id": id_, "round": worker})
            except reifydb.ConnectionLostError:
                self.unknown.add(id_)
            else:
                self.acknowledged.add(id_)


async def follow(changes: reifydb.AsyncChanges, state: dict[object, Any], seen: list[Any]) -> None:
    async for item in changes:
        apply(state, item, "id")
        seen.append(item)


@pytest.mark.parametrize("ack", ["durable", "committed"])
async def test_killed_under_load_nothing_acknowledged_is_lost_and_copies_are_exact(
    tmp_path: Path, ack: Any
) -> None:
    seed = random.randrange(1 << 30)
    print("seed", seed)
    dice = random.Random(seed)
    folder = tmp_path / "db"
    seeded(folder)
    server = Process(folder)
    await server.start()
    try:
        async with reifydb.aconnect(server.url, ack=ack) as client:
            changes = client.subscribe("item")
            state: dict[object, Any] = {}
            seen: list[Any] = []
            follower = asyncio.ensure_future(follow(changes, state, seen))
            load = Load(client)
            workers = [asyncio.ensure_future(load.run(i)) for i in range(16)]
            for _ in range(ROUNDS):
                await asyncio.sleep(0.1 + 0.3 * dice.random())
                await server.end()
                await server.start()
            await asyncio.sleep(0.3)
            load.going = False
            await asyncio.gather(*workers)
            assert len(load.acknowledged) > 100
            assert client.incarnation == ROUNDS + 2  # the first one made the table
            rows = {row["id"]: row async for row in client.scan("item")}
            if ack == "durable":
                assert load.acknowledged <= rows.keys()
            assert rows.keys() <= load.acknowledged | load.unknown
            for _ in range(500):
                if state == rows:
                    break
                await asyncio.sleep(0.01)
            assert state == rows
            assert await client.count("item") == len(rows)
            follower.cancel()
            positions = [item.position for item in seen]
            assert positions == sorted(positions)
    finally:
        await server.end()


async def test_a_position_that_was_lost_leads_to_a_snapshot(tmp_path: Path) -> None:
    folder = tmp_path / "db"
    seeded(folder)
    server = Process(folder)
    await server.start()
    try:
        async with reifydb.aconnect(server.url) as client:
            await client.insert("item", {"id": 1, "round": 0})
            kept = client.position
        await server.end()
        await server.start()
        lost = reifydb.Position(kept.incarnation, kept.lsn + 5)  # as if more had been passed on
        async with reifydb.aconnect(server.url) as client:
            assert client.incarnation == kept.incarnation + 1
            async with client.subscribe("item", since=lost) as changes:
                item = await changes.get(5)
                assert isinstance(item, reifydb.Snapshot)
                assert [row["id"] for row in item.rows] == [1]
                assert item.position.incarnation == client.incarnation
            async with client.subscribe("item", since=kept) as changes:
                await client.insert("item", {"id": 2, "round": 0})
                item = await changes.get(5)
                assert isinstance(item, reifydb.Delta), "what was durable is gone on from"
    finally:
        await server.end()


async def test_a_server_that_ends_in_order_and_comes_back_is_waited_for(tmp_path: Path) -> None:
    folder = tmp_path / "db"
    seeded(folder)
    server = Process(folder)
    await server.start()
    try:
        async with reifydb.aconnect(server.url, offline_s=0.6) as client:
            await client.insert("item", {"id": 1, "round": 0})
            changes = client.subscribe("item")
            await changes.get()
            await server.end(signal.SIGTERM)
            with pytest.raises(reifydb.OfflineError):
                await client.count("item")
            await server.start()
            while True:
                try:
                    await client.insert("item", {"id": 2, "round": 0})
                    break
                except reifydb.OfflineError:
                    continue
            item = await changes.get(5)
            assert isinstance(item, reifydb.Delta)
            assert [change.key for change in item.changes] == [2]
    finally:
        await server.end()
