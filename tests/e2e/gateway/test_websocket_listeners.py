"""Connections that only listen: nothing that they ask for wakes the server."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.e2e.gateway.http_client import Client, bank

LISTEN = json.dumps(["subscribe", 1, "account"])


async def listener(client: Client, session: aiohttp.ClientSession) -> Any:
    socket = await session.ws_connect(
        f"{client.url}/v1/ws", protocols=["reifydb.v1.json"], max_msg_size=0
    )
    await socket.receive()
    await socket.send_str(LISTEN)
    return socket


async def messages(socket: Any) -> list[list[Any]]:
    frame = json.loads((await socket.receive(timeout=5)).data)
    return frame if isinstance(frame[0], list) else [frame]


@pytest.mark.parametrize("where", ["memory", "disk"])
async def test_who_only_listens_is_told_what_others_change(where: str, tmp_path: Path) -> None:
    path = ":memory:" if where == "memory" else str(tmp_path / "db")
    async with bank(path) as client:
        socket = await listener(client, client.session)
        kinds: list[str] = []
        while "ready" not in kinds:
            kinds += [message[0] for message in await messages(socket)]
        for amount in (1, 2, 3):
            answer = await client.call("bank.transfer", 1, 2, amount)
            assert answer.status == 200
            [delta] = await messages(socket)
            assert [delta[0], len(delta[4])] == ["delta", 2]
        await socket.close()


async def test_who_only_listens_and_stops_reading_gets_the_rest_once_it_reads() -> None:
    async with bank() as client:
        rows = [{"id": 10 + i, "owner": "x" * 1000, "balance": 0} for i in range(12_000)]
        with client.db.transaction() as tx:
            tx.insert_many("account", rows)
        socket = await listener(client, client.session)
        await asyncio.sleep(0.5)  # more waits than its outbox and the system's buffers take
        seen: list[int] = []
        while True:
            found = await messages(socket)
            pages = [message[2] for message in found if message[0] == "page"]
            seen += [key for page in pages for _, [key], _ in page]
            if found[-1][0] == "ready":
                break
        assert seen == [1, 2, *range(10, 12_010)]
        await socket.close()
