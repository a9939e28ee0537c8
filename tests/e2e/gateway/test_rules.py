"""Assertions and foreign keys over HTTP and WebSocket: what is refused, and what is not told."""

from __future__ import annotations

import reifydb
from tests.e2e.gateway.http_client import bank
from tests.e2e.gateway.ws_client import MSGPACK, connected

SCHEMA = """
create assertion nobody_rich as select owner, balance from account where balance > 120;
create table note (id int primary key, account int not null references account on delete cascade);
"""


async def test_a_call_is_refused_and_the_row_is_not_told() -> None:
    async with bank() as client:
        assert (await client.ask("POST", "/v1/schema", json={"sql": SCHEMA})).status == 200
        before = client.db.state_hash
        answer = await client.call("bank.deposit", 1, 100)
        problem = answer.problem
        assert (answer.status, problem["code"]) == (409, "assertion")
        assert problem["constraint"] == "nobody_rich"
        assert problem["detail"] == "assertion nobody_rich is violated"
        assert "ada" not in answer.body.decode()
        assert client.db.state_hash == before


async def test_one_call_of_a_batch_is_refused() -> None:
    async with bank() as client:
        client.db.execute(SCHEMA)
        calls = [["bank.deposit", [1, amount]] for amount in (5, 1000, 6)]
        answer = await client.ask("POST", "/v1/batch", json={"calls": calls})
        codes = [one.get("error", one).get("code") for one in answer.content["outcomes"]]
        assert codes == [None, "assertion", None]
        async with connected(client, MSGPACK) as socket:
            for i, amount in enumerate((1, 999)):
                await socket.send(["call", i, "bank.deposit", [2, amount]])
            first, second = await socket.next(), await socket.next()
            assert first[0] == "ok"
            assert (second[0], second[2]["code"]) == ("error", "assertion")
            assert second[2]["constraint"] == "nobody_rich"


async def test_rows_are_refused_and_deletes_cascade() -> None:
    async with bank() as client:
        client.db.execute(SCHEMA)
        answer = await client.ask("PUT", "/v1/tables/note/1", json={"account": 77})
        assert (answer.status, answer.problem["code"]) == (409, "foreign_key")
        assert answer.problem["constraint"] == "note_account_fkey"
        answer = await client.ask("PUT", "/v1/tables/note/1", json={"account": 1})
        assert answer.status == 201
        assert (await client.ask("DELETE", "/v1/tables/account/1")).status == 204
        assert client.db.count("note") == 0


async def test_the_schema_tells_of_them() -> None:
    async with bank() as client:
        client.db.execute(SCHEMA)
        tables = {t["name"]: t for t in (await client.ask("GET", "/v1/schema")).content["tables"]}
        assert tables["nobody_rich"]["view"]["assertion"] is True
        assert tables["nobody_rich"]["view"]["tables"] == ["account"]
        assert tables["note"]["foreign_keys"] == [
            {
                "name": "note_account_fkey",
                "columns": ["account"],
                "table": "account",
                "to": ["id"],
                "on_delete": "cascade",
            }
        ]
        assert tables["note"]["indexes"] == [
            {
                "name": "note_account_fkey_index",
                "columns": ["account"],
                "unique": False,
                "implied": True,
            }
        ]


async def test_a_client_raises_the_same_errors() -> None:
    async with bank() as client:
        client.db.execute(SCHEMA)
        async with reifydb.aconnect(client.url) as remote:
            with_row = None
            try:
                await remote.call("bank.deposit", 1, 100)
            except reifydb.AssertionViolatedError as error:
                with_row = error.row, error.constraint, str(error)
            assert with_row == (None, "nobody_rich", "assertion nobody_rich is violated")


async def test_a_change_of_the_schema_is_planned() -> None:
    async with bank() as client:
        before = client.db.state_hash, client.db.lsn
        sql = {"sql": SCHEMA + "drop table nothing"}
        answer = await client.ask("POST", "/v1/schema?dry_run=1", json=sql)
        assert answer.status == 200
        assert answer.content["fits"] is False
        assert [one["does"] for one in answer.content["changes"]] == [
            "create assertion",
            "create table",
            "create index",
        ]
        assert answer.content["problems"] == [
            "statement 3: there is no table 'nothing' (there are: account, nobody_rich, note)"
        ]
        assert (client.db.state_hash, client.db.lsn) == before
        assert (await client.ask("POST", "/v1/schema?dryrun=1", json=sql)).status == 404
