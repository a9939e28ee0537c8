"""Selects that are followed, over real sockets: WebSockets, events, the client in Python."""

from __future__ import annotations

import asyncio
import json
from typing import Any
from urllib.parse import quote

import pytest

import reifydb
from reifydb.config import query_bytes_max, subscriptions_max
from reifydb.gateway.tokens import Tokens
from tests.e2e.gateway.http_client import Client
from tests.e2e.gateway.test_events import streaming
from tests.e2e.gateway.test_views import views
from tests.e2e.gateway.ws_client import PROTOCOLS, connected

OLDER = "select name, age from person where age >= :age"
CITIES = "select city, count(*) as people from person group by city"


def followed(client: Client) -> int:
    return len(client.db._subscriptions.selects._followed)


async def until_nobody_follows(client: Client) -> None:
    async with asyncio.timeout(5):
        while followed(client):
            await asyncio.sleep(0.01)


def write(db: reifydb.Database, **columns: Any) -> None:
    with db.transaction() as tx:
        tx.upsert("person", columns)


@pytest.mark.parametrize("protocol", PROTOCOLS)
async def test_a_filter_and_a_group_are_followed_side_by_side(protocol: str) -> None:
    async with views() as client:
        async with connected(client, protocol) as socket:
            await socket.send(["subscribe", "f", {"query": OLDER, "params": {"age": 30}}])
            ok, page, ready = await socket.several(3)
            assert ok[2]["name"] == "select"
            assert [column["name"] for column in ok[2]["columns"]] == ["name", "age"]
            assert (ok[2]["key"], len(ok[2]["hidden"])) == (["key_0"], 1)
            assert page[2] == [[1, [1], ["ada", 36]], [1, [4], ["dan", 40]]]
            assert ready == ["ready", "f", client.db.lsn]
            await socket.send(["subscribe", "g", {"query": CITIES}])
            ok, page, ready = await socket.several(3)
            assert ok[2]["key"] == ["city"]
            assert ["bern", 2] in [row for _, _, row in page[2]]
            write(client.db, id=3, age=31)
            assert (await socket.next())[4] == [[1, [3], ["eve", 31]]]
            write(client.db, id=1, city="rom", age=3)
            found = {message[1]: message[4] for message in await socket.several(2)}
            assert found["f"] == [[0, [1], None]]
            assert sorted(found["g"]) == [[1, ["rom"], ["rom", 1]], [2, ["bern"], ["bern", 1]]]
            assert (await socket.ask("unsubscribe", 1, "g"))[0] == "ok"
            assert followed(client) == 1
        await until_nobody_follows(client)


async def test_connections_share_what_they_follow_with_the_same_values() -> None:
    async with views() as client:
        async with connected(client) as one:
            async with connected(client) as two:
                for socket in (one, two):
                    await socket.send(["subscribe", 1, {"query": CITIES}])
                    await socket.several(3)
                assert followed(client) == 1
            write(client.db, id=9, name="x", city="bern")
            assert (await one.next())[0] == "delta"
            assert followed(client) == 1
        await until_nobody_follows(client)


async def test_coming_back_and_other_columns() -> None:
    async with views() as client, connected(client) as socket:
        what = {"query": "select * from friend where a = ?", "params": [1]}
        since = {"since": [1, client.db.lsn]}
        assert (await socket.ask("subscribe", 1, what, since))[0] == "ok"
        with client.db.transaction() as tx:
            tx.insert("friend", {"a": 1, "b": 9})
        assert (await socket.next())[4] == [[1, [1, 9], [1, 9]]]
        client.db.execute("drop view pair; alter table friend add column since int default 7")
        restart, page, _ = await socket.several(3)
        assert [column["name"] for column in restart[2]] == ["a", "b", "since"]
        assert [1, [1, 9], [1, 9, 7]] in page[2]
        client.db.execute("drop table friend")
        ended = await socket.next()
        assert (ended[0], ended[2]["code"]) == ("ended", "sql")
        assert followed(client) == 0


async def test_a_select_that_fails_ends_for_all_who_follow_it() -> None:
    async with views() as client, connected(client) as one, connected(client) as two:
        for sql in ("select 1 / (age - 77) as x from person where age > 0", ""):
            what = {"query": sql or "select sum(1 / (age - 78)) as x from person"}
            for socket in (one, two):
                assert (await socket.ask("subscribe", sql, what))[0] == "ok"
        async with asyncio.timeout(5):
            while any(feed.outbox.phase != 2 for feed in all_feeds(client)):
                await asyncio.sleep(0.01)
        for age in (77, 78):
            write(client.db, id=1, age=age)
        for socket in (one, two):
            ended = []
            while len(ended) < 2:
                message = await socket.next()
                ended += [message] if message[0] == "ended" else []
            assert {message[2]["code"] for message in ended} == {"expression"}
        assert followed(client) == 0
        assert client.server.service.feeds.count == 0


def all_feeds(client: Client) -> list[Any]:
    return [f for own in client.server.service.feeds._feeds.values() for f in own.values()]


@pytest.mark.parametrize(
    ("what", "code"),
    [
        ({"query": "select nam from person"}, "sql"),
        ({"query": OLDER}, "bad_request"),
        ({"query": OLDER, "params": {"age": "x"}}, "wrong_type"),
        ({"query": OLDER, "params": {"age": [1]}}, "wrong_type"),
        ({"query": OLDER, "params": 5}, "bad_request"),
        ({"query": OLDER, "params": {"age": 1, "b": 2}}, "bad_request"),
        ({"query": OLDER, "parms": {"age": 1}}, "unknown_name"),
        ({"query": 7}, "bad_request"),
        ({}, "bad_request"),
        ([], "bad_request"),
        (None, "bad_request"),
        ({"query": "select * from reifydb_table"}, "sql"),
        ({"query": "select 1 from person -- " + "x" * query_bytes_max}, "limit"),
        ({"query": "select " + "(" * 5000 + "1" + ")" * 5000 + " from person"}, "sql"),
        ({"query": "select name from person limit 1"}, "sql"),
        ({"query": "drop table person"}, "sql"),
    ],
)
async def test_what_cannot_be_followed_is_refused(what: Any, code: str) -> None:
    async with views() as client, connected(client) as socket:
        problem = await socket.problem("subscribe", 1, what)
        assert problem["code"].startswith(code), problem
        assert (await socket.ask("ping", 2))[0] == "pong"
        assert followed(client) == 0


async def test_it_needs_the_right_to_subscribe_to_all_that_it_names() -> None:
    async with views() as client:
        tokens = Tokens(client.db)
        token = tokens.make("some", ["subscribe:person", "read:friend"])
        headers = {"Authorization": f"Bearer {token}"}
        async with connected(client, headers=headers) as socket:
            what = {"query": OLDER, "params": [1]}
            assert (await socket.ask("subscribe", 1, what))[0] == "ok"
            for sql in (
                "select * from friend",
                "select p.name from person p join friend f on f.a = p.id",
                "select * from nothing",
            ):
                problem = await socket.problem("subscribe", 2, {"query": sql})
                assert problem["code"] == "forbidden"
        assert (await client.get(f"/v1/events?query={quote(CITIES)}")).status == 401


async def test_ten_thousand_of_one_shape_are_told_what_concerns_them() -> None:
    """On as many connections as it takes, of which most hear nothing."""
    async with views() as client:
        sockets = []
        async with asyncio.TaskGroup() as group:
            done = asyncio.Event()

            async def hold(number: int) -> None:
                async with connected(client) as socket:
                    for i in range(subscriptions_max):
                        age = 1000 + number * subscriptions_max + i
                        params = {"age": age}
                        sql = "select id, name from person where age = :age"
                        await socket.send(["subscribe", i, {"query": sql, "params": params}])
                    for _ in range(subscriptions_max):
                        while (await socket.next())[0] != "ready":
                            pass
                    sockets.append((number, socket))
                    await done.wait()

            for number in range(20):
                group.create_task(hold(number))
            async with asyncio.timeout(60):
                while len(sockets) < 20:
                    await asyncio.sleep(0.01)
            assert followed(client) == 20 * subscriptions_max
            write(client.db, id=1, age=1000 + 7 * subscriptions_max + 5)
            [socket] = [socket for number, socket in sockets if number == 7]
            delta = await socket.next()
            assert (delta[1], delta[4]) == (5, [[1, [1], [1, "ada"]]])
            for number, other in sockets:
                if number != 7:
                    assert (await other.ask("ping", "p"))[0] == "pong"
            done.set()
        await until_nobody_follows(client)


async def test_events_of_a_select() -> None:
    async with views() as client:
        path = f"/v1/events?query={quote(OLDER)}&params={quote(json.dumps({'age': 30}))}"
        async with streaming(client, path) as stream:
            table, page, ready = await stream.several("table", "page", "ready")
            assert table.data["name"] == "select"
            assert [entry["row"]["name"] for entry in page.data] == ["ada", "dan"]
            write(client.db, id=1, age=29)
            [delta] = await stream.several("delta")
            assert delta.data["changes"] == [{"op": "delete", "key": [1], "row": None}]
        assert ready.id is not None
        await until_nobody_follows(client)
        async with streaming(client, path, Last_Event_ID=delta.id or "") as stream:
            await stream.several("table")
            write(client.db, id=4, age=41)
            [delta] = await stream.several("delta")
            assert delta.data["changes"][0]["row"] == {"name": "dan", "age": 41}
        both = f"table=person&query={quote(CITIES)}"
        for bad in ("", "params={}", "table=person&params=[]", both, f"{path[11:]}[", "query="):
            assert (await client.get(f"/v1/events?{bad}")).status == 400, bad


async def test_the_client_follows_selects() -> None:
    async with views() as client, reifydb.aconnect(client.url) as db:
        sql = "select name from person where age >= ? and city = ?"
        async with db.subscribe(sql, [18, "bern"]) as changes:
            first = await changes.get()
            assert isinstance(first, reifydb.Snapshot)
            assert [row["name"] for row in first.rows] == ["ada", "eve"]
            assert first.keys == [1, 3]
            assert changes.table == "select"
            assert changes.described["key"] == ["key_0"]
            await db.update("person", {"id": 1, "city": None})
            delta = await changes.get()
            assert isinstance(delta, reifydb.Delta)
            assert [(change.op, change.key) for change in delta.changes] == [("delete", 1)]
        with pytest.raises(reifydb.SqlError, match="no table persn"):
            async with db.subscribe("select * from persn"):
                pass
        with pytest.raises(reifydb.RequestError, match="no parameters"):
            db.subscribe("person", [1])
        await until_nobody_follows(client)
