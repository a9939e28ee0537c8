"""Views over HTTP and WebSocket: keys that rows do not show, keys with nulls, the first rows."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any
from urllib.parse import quote
from uuid import UUID

import pytest

import reifydb
from reifydb.engine.values import timestamp_slot
from reifydb.gateway.tokens import Tokens
from tests.e2e.gateway.http_client import Client, served
from tests.e2e.gateway.ws_client import JSON, PROTOCOLS, Socket, connected

SCHEMA = """
create table person (id int primary key, name text not null, city text, age int);
create table event (
    id uuid, at timestamp, price decimal(6,2), about text not null, primary key (id, at, price)
);
create table friend (a int, b int, primary key (a, b));
create view grown as select name from person where age >= 18;
create view by_city as select city, count(*) as people from person group by city;
create view by_age as select age, count(*) as people from person group by age;
create view said as select about from event where about <> '';
create view oldest as select name, age from person order by age desc nulls last, id limit 2;
create view pair as
    select p.name, q.name as other from friend join person as p on p.id = a
    join person as q on q.id = b;
"""
PEOPLE = [
    {"id": 1, "name": "ada", "city": "bern", "age": 36},
    {"id": 2, "name": "bob", "city": None, "age": None},
    {"id": 3, "name": "eve", "city": "bern", "age": 20},
    {"id": 4, "name": "dan", "city": "null", "age": 40},
]
CODE = UUID(int=7)
AT = "2024-01-31T12:00:00.000000Z"


@asynccontextmanager
async def views() -> AsyncIterator[Client]:
    with reifydb.open(":memory:") as db:
        db.execute(SCHEMA)
        async with served(db) as client:
            answer = await client.ask("POST", "/v1/tables/person", json=PEOPLE)
            assert answer.status == 201
            event = {"id": str(CODE), "at": AT, "price": "1.50", "about": "x"}
            assert (await client.ask("POST", "/v1/tables/event", json=event)).status == 201
            friends = [{"a": 1, "b": 3}, {"a": 3, "b": 1}, {"a": 1, "b": 4}]
            assert (await client.ask("POST", "/v1/tables/friend", json=friends)).status == 201
            yield client
            db.verify()


async def rows(client: Client, path: str) -> Any:
    answer = await client.get(f"/v1/tables/{path}")
    assert answer.status == 200, answer
    return answer.content["rows"]


# ---------------------------------------------------------------- HTTP


async def test_what_is_a_view_says_of_what_and_which_columns_of_its_key_are_hidden() -> None:
    async with views() as client:
        tables = (await client.get("/v1/schema")).content["tables"]
        found = {table["name"]: table for table in tables}
        assert "view" not in found["person"]
        assert found["grown"] == {
            "name": "grown",
            "columns": [{"name": "name", "type": "text", "nullable": False}],
            "key": ["key_0"],
            "hidden": [{"name": "key_0", "type": "int", "nullable": False}],
            "auto": None,
            "indexes": [],
            "view": {"sql": "select name from person where age >= 18", "tables": ["person"]},
        }
        assert found["by_city"]["key"] == ["city"]
        assert "hidden" not in found["by_city"]
        assert found["pair"]["view"]["tables"] == ["friend", "person"]
        assert {table["name"] for table in tables} == {
            *("person", "event", "friend", "grown", "by_city", "by_age", "said", "oldest", "pair")
        }


async def test_rows_of_a_view_are_found_by_its_key() -> None:
    async with views() as client:
        for path, row in [
            ("by_city/bern", {"city": "bern", "people": 2}),
            ("by_city/null", {"city": "null", "people": 1}),
            ("by_age/20", {"age": 20, "people": 1}),
            ("by_age/null", {"age": None, "people": 1}),
            ("grown/1", {"name": "ada"}),
            (f"said/{CODE}/{quote(AT)}/1.50", {"about": "x"}),
            ("pair/1/4", {"name": "ada", "other": "dan"}),
            ("oldest/4", {"name": "dan", "age": 40}),
        ]:
            answer = await client.get(f"/v1/tables/{path}")
            assert (answer.status, answer.content) == (200, row), path
            etag = answer.headers["ETag"]
            again = await client.get(f"/v1/tables/{path}", headers={"If-None-Match": etag})
            assert again.status == 304
        for path in ("by_city/x", "grown/2", "pair/4/1", "oldest/1x", "pair/1"):
            assert (await client.get(f"/v1/tables/{path}")).status in (400, 404, 422)
        found = await rows(client, f"by_city?lower={quote('[null]')}")
        assert found == [{"city": None, "people": 1}]


@pytest.mark.parametrize("reverse", [0, 1])
@pytest.mark.parametrize("name", ["grown", "by_city", "by_age", "said", "oldest", "pair", "person"])
async def test_pages_of_a_view_lead_through_all_its_rows(name: str, reverse: int) -> None:
    async with views() as client:
        expected = list(client.db.scan(name, reverse=bool(reverse)))
        found: list[Any] = []
        path = f"/v1/tables/{name}?limit=1&reverse={reverse}"
        answer = (await client.get(path)).content
        while answer["next"] is not None:
            found += answer["rows"]
            answer = (await client.get(f"{path}&cursor={answer['next']}")).content
        assert found + answer["rows"] == expected
        bad = await client.get(f"{path}&cursor=kQEB")
        assert (bad.status, bad.problem["code"]) == (400, "bad_request")


async def test_a_view_is_not_written() -> None:
    async with views() as client:
        row = {"city": "x", "people": 1}
        for method, path, body in [
            ("POST", "by_city", row),
            ("PUT", "by_city/x", {"people": 1}),
            ("PATCH", "by_city/bern", {"people": 1}),
            ("DELETE", "by_city/bern", None),
            ("DELETE", "grown/1", None),
        ]:
            answer = await client.ask(method, f"/v1/tables/{path}", json=body)
            assert answer.status == 400, answer
            assert answer.problem["hint"] == "write the tables that it is made of"
        paths = (await client.get("/openapi.json")).content["paths"]
        assert paths["/v1/tables/by_city"].keys() == {"get"}
        assert paths["/v1/tables/grown/{key_0}"].keys() == {"get", "parameters"}


async def test_a_token_for_a_view_does_not_read_its_tables() -> None:
    async with views() as client:
        token = Tokens(client.db).make("viewer", ["read:grown", "subscribe:grown"])
        headers = {"Authorization": f"Bearer {token}"}
        answer = await client.get("/v1/tables/grown", headers=headers)
        assert answer.content["rows"] == [{"name": "ada"}, {"name": "eve"}, {"name": "dan"}]
        assert (await client.get("/v1/tables/person", headers=headers)).status == 403


async def test_what_keeping_a_view_has_cost_is_in_the_list_of_tables_and_in_the_metrics() -> None:
    async with views() as client:
        tables = (await client.get("/v1/tables")).content["tables"]
        found = {table["name"]: table for table in tables}
        assert "view" not in found["person"]
        said = found["by_city"]["view"]
        upkeep = client.db.upkeep("by_city")
        assert (said["rows_in"], said["rows_out"]) == (upkeep.rows_in, upkeep.rows_out) == (4, 3)
        assert found["by_city"]["bytes"]["beside"] == upkeep.beside_bytes
        assert (await client.ask("DELETE", "/v1/tables/person/4")).status == 204
        metrics = (await client.get("/metrics")).body.decode()
        assert 'reifydb_view_rows_in_total{view="by_city"} 5' in metrics
        assert 'reifydb_view_rows_out_total{view="by_city"} 4' in metrics
        with pytest.raises(reifydb.UnknownNameError):
            client.db.upkeep("person")


# ---------------------------------------------------------------- WebSocket


async def followed(socket: Socket, name: str) -> dict[Any, Any]:
    """The rows of the snapshot by their keys."""
    assert (await socket.ask("subscribe", name, name))[0] == "ok"
    found: dict[Any, Any] = {}
    while (message := await socket.next())[0] == "page":
        assert message[1] == name
        apply(found, message[2])
    assert message[0] == "ready"
    return found


def apply(rows: dict[Any, Any], entries: list[Any]) -> None:
    for op, key, row in entries:
        if op == 0:
            del rows[tuple(key)]
        else:
            assert ((tuple(key) in rows), op) in ((False, 1), (True, 2))
            rows[tuple(key)] = row


@pytest.mark.parametrize("protocol", PROTOCOLS)
async def test_a_subscriber_of_views_has_what_they_show_after_each_commit(protocol: str) -> None:
    async with views() as client, connected(client, protocol) as socket:
        names = ["grown", "by_city", "by_age", "said", "oldest", "pair"]
        state = {name: await followed(socket, name) for name in names}
        plain = protocol == JSON
        code = str(CODE) if plain else CODE.bytes
        at = AT if plain else timestamp_slot(datetime.fromisoformat(AT))
        assert state["said"] == {(code, at, "1.50" if plain else 150): ["x"]}
        assert state["by_city"][None,] == [None, 1]
        assert state["grown"] == {(1,): ["ada"], (3,): ["eve"], (4,): ["dan"]}
        assert state["pair"].keys() == {(1, 3), (3, 1), (1, 4)}
        assert list(state["oldest"]) == [(1,), (4,)]
        with client.db.transaction() as tx:
            tx.update("person", {"id": 2, "age": 50})
            tx.update("person", {"id": 1, "city": None})
            tx.delete("person", 4)
            tx.insert("friend", {"a": 2, "b": 2})
        client.db.flush()
        for _ in range(len(names) - 1):
            kind, name, lsn, _, entries = await socket.next()
            assert (kind, lsn) == ("delta", client.db.lsn)
            apply(state[name], entries)
        for name in names:
            shown = [list(row.values()) for row in client.db.scan(name)]
            if name != "said":
                assert sorted(state[name].values(), key=repr) == sorted(shown, key=repr), name
        assert (await socket.ask("get", 1, "by_city", None))[2] == [None, 2]
        assert (await socket.ask("get", 2, "pair", [2, 2]))[2] == ["bob", "bob"]
        page = (await socket.ask("scan", 3, "grown", {"limit": 2}))[2]
        assert page["rows"] == [["ada"], ["bob"]]
        rest = (await socket.ask("scan", 4, "grown", {"limit": 2, "cursor": page["next"]}))[2]
        assert rest == {"rows": [["eve"]], "next": None}
        answer = await socket.ask("write", 5, "delete", "grown", [1])
        assert answer[2]["detail"] == "grown is a view"
