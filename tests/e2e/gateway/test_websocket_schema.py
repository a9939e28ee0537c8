"""Whoever is connected when the schema changes: no row is ever read by the wrong columns."""

from __future__ import annotations

import asyncio
import itertools
from typing import Any

import pytest

import reifydb
from reifydb.gateway.tokens import Tokens
from tests.e2e.gateway.http_client import Client, bank, served
from tests.e2e.gateway.ws_client import PROTOCOLS, Socket, connected

both = pytest.mark.parametrize("protocol", PROTOCOLS)

ROWS, PIPELINED, CHANGES = 20, 50, 30


def swap(number: int) -> str:
    """Another column at the same place: its values are its name, so that each row says by which
    columns it was made.
    """
    return (
        f"alter table word drop column c{number - 1};"
        f"alter table word add column c{number} text not null default 'c{number}'"
    )


def words(where: Any = ":memory:") -> reifydb.Database:
    db = reifydb.open(where)
    db.execute("create table word (id int primary key, c0 text not null default 'c0')")
    with db.transaction() as tx:
        tx.insert_many("word", [{"id": i} for i in range(ROWS)])
    return db


class Reader:
    """Knows the columns from `schema` messages alone, and reads what is pipelined."""

    def __init__(self, socket: Socket) -> None:
        self.socket, self.names = socket, ["id", "c0"]
        self.news = 0

    def hear(self, message: list[Any]) -> None:
        if message[0] == "schema":
            [table] = message[1]["tables"]
            self.names = [column["name"] for column in table["columns"]]
            self.news += 1
            return
        assert message[0] == "ok", message
        rows = [message[2]] if isinstance(message[2], list) else message[2]["rows"]
        for row in rows:
            assert len(row) == len(self.names)
            assert row[1] == self.names[1], (row, self.names)

    async def read(self) -> None:
        """Many reads at a time, without waiting for their answers."""
        await self.socket.send(
            [
                ["get", i, "word", i % ROWS] if i % 2 else ["scan", i, "word"]
                for i in range(PIPELINED)
            ]
        )
        left = PIPELINED
        while left:
            message = await self.socket.next()
            self.hear(message)
            left -= message[0] == "ok"


@both
async def test_an_answer_of_another_schema_comes_behind_it(protocol: str) -> None:
    with words() as db:
        async with served(db) as client, connected(client, protocol) as socket:
            await socket.send(["get", 1, "word", 1])
            assert await socket.next() == ["ok", 1, [1, "c0"], db.lsn]
            db.execute(swap(1))
            await socket.send(["get", 2, "word", 1])
            kind, described = await socket.next()
            assert kind == "schema"
            assert [column["name"] for column in described["tables"][0]["columns"]] == ["id", "c1"]
            assert await socket.next() == ["ok", 2, [1, "c1"], db.lsn]
            await socket.send(["schema", 3])  # and only once
            assert await socket.next() == ["ok", 3, described, db.lsn]


@both
@pytest.mark.parametrize("where", ["memory", "disk"])
async def test_a_table_that_is_altered_during_pipelined_reads(
    protocol: str, where: str, tmp_path: Any
) -> None:
    with words(":memory:" if where == "memory" else tmp_path / "db") as db:
        async with served(db) as client, connected(client, protocol) as socket:
            reader = Reader(socket)

            def alter() -> None:
                for number in range(1, CHANGES + 1):
                    db.execute(swap(number))

            altering = asyncio.create_task(asyncio.to_thread(alter))
            while not altering.done():
                await reader.read()
            await altering
            await reader.read()
            assert reader.names == ["id", f"c{CHANGES}"]
            assert reader.news > 1


async def test_the_python_client_reads_each_row_by_its_columns() -> None:
    with words() as db:
        async with served(db) as client, reifydb.aconnect(client.url) as remote:

            async def read() -> None:
                rows = await asyncio.gather(
                    *(remote.get("word", i % ROWS) for i in range(PIPELINED))
                )
                rows += [row async for row in remote.scan("word")]
                for row in rows:
                    _, (name, value) = row.items()  # type: ignore[union-attr]
                    assert name == value

            def alter() -> None:
                for number in range(1, CHANGES + 1):
                    db.execute(swap(number))

            altering = asyncio.create_task(asyncio.to_thread(alter))
            while not altering.done():
                await read()
            await altering
            await read()
            assert f"c{CHANGES}" in [c.name for c in remote.tables["word"].columns]


@both
async def test_results_of_a_module_that_is_replaced_come_behind_its_schema(protocol: str) -> None:
    async with bank() as client, connected(client, protocol) as socket:
        assert (await socket.ask("call", 1, "bank.balance", [1]))[2] == 100
        client.db.remove("bank")
        await socket.send(["call", 2, "bank.balance", [1]])
        kind, described = await socket.next()
        assert (kind, described["transitions"]) == ("schema", [])
        assert (await socket.next())[2]["code"] == "unknown_name"


async def test_who_does_not_see_the_change_is_not_told() -> None:
    with words() as db:
        db.execute("create table other (id int primary key)")
        token = Tokens(db).make("reader", ["read:word"])
        async with served(db) as client:
            headers = {"Authorization": f"Bearer {token}"}
            async with connected(client, headers=headers) as socket:
                db.execute("alter table other add column text text")
                await socket.send(["count", 1, "word"])
                assert (await socket.next())[0] == "ok"


async def test_http_is_not_told() -> None:
    with words() as db:
        async with served(db) as client:
            for number in itertools.count(1):
                found = (await client.get("/v1/tables/word/1")).content
                assert found == {"id": 1, f"c{number - 1}": f"c{number - 1}"}
                if number == 4:
                    break
                await alter_over_http(client, number)


async def alter_over_http(client: Client, number: int) -> None:
    answer = await client.ask("POST", "/v1/schema", json={"sql": swap(number)})
    assert answer.status == 200
