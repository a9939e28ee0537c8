"""Primitives over the network: their operations are called as transitions are."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import Any

import reifydb
from tests.e2e.gateway.http_client import Client, served

SCHEMA = """
create counter stock (item int) min 0;
create counter sold (item int);
create ring trade (price decimal(8,2), qty int not null) per (symbol text) capacity 3;
create limiter api (client text) rate 1 per '1 hour' burst 2;
create sequence ticket start 100;
create view left_over as select sum(value) as pieces from stock;
"""


@asynccontextmanager
async def shop() -> AsyncIterator[Client]:
    with reifydb.open(":memory:", options=reifydb.Options(reserve_bytes=4096)) as db:
        db.execute(SCHEMA)
        async with served(db) as client:
            yield client
            db.verify()


async def test_over_http() -> None:
    async with shop() as client:
        assert (await client.call("stock.set", 7, 2)).content["value"] == 0
        assert (await client.call("stock.add", 7, -2)).content["value"] == 0
        answer = await client.call("stock.add", 7, -1)
        assert answer.status == 422
        assert (answer.problem["code"], answer.problem["constraint"]) == ("check", "stock_min")
        said = (await client.call("api.take", "ada", 2)).content["value"]
        assert said == [True, 0, 0]
        assert (await client.call("trade.push", "ACME", "12.50", 3)).content["value"] == 1
        assert (await client.call("ticket.next")).content["value"] == 100
        page = (await client.get("/v1/tables/trade")).content
        assert page["rows"] == [{"symbol": "ACME", "seq": 1, "price": "12.50", "qty": 3}]
        for name, args in (("stock.ad", (1, 2)), ("stock.add", (1,)), ("stock.add", ("x", 1))):
            assert (await client.call(name, *args)).status in (400, 404, 422)
        schema = (await client.get("/v1/schema")).content
        names = {one["name"] for one in schema["transitions"]}
        assert {"stock.add", "trade.push", "api.take", "ticket.next"} <= names
        openapi = (await client.get("/openapi.json")).content
        assert "/v1/call/stock.add" in openapi["paths"]


async def test_errors_are_those_of_the_embedded_database() -> None:
    async with shop() as client, reifydb.aconnect(client.url) as remote:
        cases: list[tuple[str, tuple[Any, ...]]] = [
            ("stock.add", (7, -1)),
            ("sold.add", (7, 2**63 - 1)),
            ("sold.add", (7, 2**63 - 1)),
            ("api.take", ("a", -1)),
            ("trade.push", ("x" * 2000, None, 1)),
            ("trade.push", ("x", None, None)),
        ]
        for name, args in cases:
            errors = []
            for call in (client.db.call, remote.call):
                try:
                    value = call(name, *args)
                    if asyncio.iscoroutine(value):
                        await value
                except reifydb.ReifyDBError as error:
                    errors.append((type(error), str(error)))
            assert len(errors) in (0, 2) or name == "sold.add", (name, errors)
            assert len(set(errors)) <= 1, errors


async def test_nothing_is_sold_twice_to_64_at_once() -> None:
    pieces, buyers, tries = 300, 64, 20
    async with shop() as client:
        client.db.call("stock.set", 7, pieces)
        remotes = [await reifydb.aconnect(client.url).__aenter__() for _ in range(buyers)]
        try:
            changes = remotes[0].subscribe("stock")
            left = [row["value"] for row in (await changes.get()).rows]
            assert left == [pieces]

            async def buy(remote: Any) -> int:
                bought = 0
                for _ in range(tries):
                    try:
                        await remote.call("stock.add", 7, -1)
                    except reifydb.CheckError:
                        continue
                    await remote.call("sold.add", 7, 1)
                    bought += 1
                return bought

            bought = await asyncio.gather(*(buy(remote) for remote in remotes))
            assert sum(bought) == pieces
            assert client.db.call("sold.get", 7) == pieces
            assert client.db.call("stock.get", 7) == 0
            assert client.db.query("select pieces from left_over").tuples == [(0,)]
            while left[-1] != 0:
                delta = await changes.get()
                left += [change.row["value"] for change in delta.changes if change.row]
            assert left == sorted(left, reverse=True)
            changes.close()
        finally:
            for remote in remotes:
                await remote.close()


async def test_many_in_one_frame() -> None:
    async with shop() as client, reifydb.aconnect(client.url) as remote:
        outcomes = await remote.call_many("sold.add", [(i % 10, 1) for i in range(5000)])
        assert [outcome.value for outcome in outcomes[-10:]] == [500] * 10
        pushed = await remote.call_many("trade.push", [("A", Decimal(i), i) for i in range(1, 9)])
        assert [outcome.value for outcome in pushed] == list(range(1, 9))
        taken = await remote.call_many("api.take", [("eve", 1)] * 3)
        assert [outcome.value["allowed"] for outcome in taken] == [True, True, False]
