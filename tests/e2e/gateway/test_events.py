"""Server-sent events, read from raw sockets: snapshots, deltas, coming back, slow readers."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import pytest

import reifydb
from reifydb.gateway.tokens import Tokens
from tests.e2e.gateway.http_client import Client, bank, served
from tests.e2e.gateway.test_views import views

PATIENCE_S = 5.0


@dataclass
class Event:
    kind: str
    id: str | None
    data: Any


class Stream:
    """A raw connection that reads events."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer
        self.status = 0
        self.headers: dict[str, str] = {}
        self._text = ""

    async def begin(self) -> None:
        head = (await self.reader.readuntil(b"\r\n\r\n")).decode()
        first, *lines = head.strip().split("\r\n")
        self.status = int(first.split()[1])
        self.headers = dict(line.split(": ", 1) for line in lines)

    async def _chunk(self) -> str:
        size = int(await self.reader.readuntil(b"\r\n"), 16)
        data = await self.reader.readexactly(size + 2)
        return data[:-2].decode()

    async def next(self) -> Event | None:
        """The next event; None when the stream ended."""
        async with asyncio.timeout(PATIENCE_S):
            while True:
                block, end, rest = self._text.partition("\n\n")
                if not end:
                    more = await self._chunk()
                    if not more:
                        return None
                    self._text += more
                    continue
                self._text = rest
                fields = dict(line.split(":", 1) for line in block.split("\n"))
                if "event" in fields:
                    id_ = fields.get("id")
                    data = json.loads(fields["data"])
                    return Event(fields["event"].strip(), (id_ and id_.strip()) or id_, data)

    async def several(self, *kinds: str) -> list[Event]:
        found = []
        for kind in kinds:
            event = await self.next()
            assert event is not None
            assert event.kind == kind, event
            found.append(event)
        return found


@asynccontextmanager
async def streaming(client: Client, path: str, **more: str) -> AsyncIterator[Stream]:
    own = socket.socket()
    own.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    own.setblocking(False)
    await asyncio.get_running_loop().sock_connect(own, ("127.0.0.1", client.port))
    reader, writer = await asyncio.open_connection(sock=own, limit=1 << 12)
    try:
        lines = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in more.items())
        writer.write(f"GET {path} HTTP/1.1\r\nHost: x\r\n{lines}\r\n".encode())
        stream = Stream(reader, writer)
        await stream.begin()
        yield stream
    finally:
        writer.close()


async def test_a_snapshot_then_what_each_commit_changes() -> None:
    async with bank() as client, streaming(client, "/v1/events?table=account") as stream:
        assert stream.status == 200
        assert stream.headers["Content-Type"] == "text/event-stream"
        assert stream.headers["Cache-Control"] == "no-store"
        table, page, ready = await stream.several("table", "page", "ready")
        assert table.data["key"] == ["id"]
        assert page.id == ""
        ada = {"id": 1, "owner": "ada", "balance": 100}
        assert page.data[0] == {"op": "insert", "key": [1], "row": ada}
        before = client.db.lsn
        assert (ready.id, ready.data) == (f"1-{before}", {"lsn": before})
        await client.call("bank.transfer", 1, 2, 10)
        [delta] = await stream.several("delta")
        assert (delta.id, delta.data["previous"]) == (f"1-{before + 1}", before)
        assert delta.data["changes"][0] == {
            "op": "update",
            "key": [1],
            "row": ada | {"balance": 90},
        }
        await client.ask("DELETE", "/v1/tables/account/2")
        [delta] = await stream.several("delta")
        assert delta.data["changes"] == [{"op": "delete", "key": [2], "row": None}]
        assert client.server.service.feeds.count == 1
    async with asyncio.timeout(PATIENCE_S):
        while client.server.service.feeds.count:
            await asyncio.sleep(0.01)


@pytest.mark.parametrize("way", ["header", "parameter"])
async def test_whoever_comes_back_goes_on_where_it_was(way: str) -> None:
    async with bank() as client:
        path = "/v1/events?table=account"
        async with streaming(client, path) as stream:
            *_, ready = await stream.several("table", "page", "ready")
        assert ready.id is not None
        await client.call("bank.transfer", 1, 2, 10)
        more = {"Last_Event_ID": ready.id} if way == "header" else {}
        path += "" if way == "header" else f"&since={ready.id}"
        async with streaming(client, path, **more) as stream:
            _, delta = await stream.several("table", "delta")
            assert delta.id == f"1-{client.db.lsn}"
            assert len(delta.data["changes"]) == 2


async def test_a_position_that_never_was_begins_anew_unless_it_was_asked_for() -> None:
    async with bank() as client:
        path = "/v1/events?table=account"
        for id_ in ("1-999", "7-1", "x", ""):
            async with streaming(client, path, Last_Event_ID=id_) as stream:
                await stream.several("table", "page", "ready")
        for since in ("1-999", "x", "1"):
            async with streaming(client, f"{path}&since={since}") as stream:
                assert stream.status == 400


async def test_a_view_comes_with_keys_that_its_rows_do_not_show() -> None:
    async with views() as client, streaming(client, "/v1/events?table=pair") as stream:
        table, page, _ = await stream.several("table", "page", "ready")
        assert [column["name"] for column in table.data["hidden"]] == table.data["key"]
        row = {"name": "ada", "other": "eve"}
        assert page.data[0] == {"op": "insert", "key": [1, 3], "row": row}
        await client.ask("DELETE", "/v1/tables/friend/1/3")
        [delta] = await stream.several("delta")
        assert delta.data["changes"] == [{"op": "delete", "key": [1, 3], "row": None}]


async def test_other_columns_restart_a_stream_and_a_dropped_table_ends_it() -> None:
    with reifydb.open(":memory:") as db:
        db.execute("create table t (id int primary key, c int)")
        async with served(db) as client, streaming(client, "/v1/events?table=t") as stream:
            await stream.several("table", "page", "ready")
            db.execute("alter table t rename column c to d; alter table t add column e int")
            restart, _, ready = await stream.several("restart", "page", "ready")
            assert [column["name"] for column in restart.data["columns"]] == ["id", "d", "e"]
            assert (restart.id, ready.id) == ("", f"1-{db.lsn}")
            await client.ask("POST", "/v1/tables/t", json={"id": 1, "e": 2})
            [delta] = await stream.several("delta")
            assert delta.data["changes"][0]["row"] == {"id": 1, "d": None, "e": 2}
            db.execute("drop table t")
            [ended] = await stream.several("ended")
            assert ended.data["code"] == "schema"
            assert await stream.next() is None


async def test_who_may_not_subscribe_is_told_so_with_a_problem() -> None:
    async with bank() as client:
        for path, status in [
            ("/v1/events", 400),
            ("/v1/events?table=acount", 404),
            ("/v1/events?table=reifydb_token", 404),
            ("/v1/events?tabel=account", 404),
        ]:
            assert (await client.get(path)).status == status
        token = Tokens(client.db).make("reader", ["read", "subscribe:other"])
        headers = {"Authorization": f"Bearer {token}"}
        answer = await client.get("/v1/events?table=account", headers=headers)
        assert (answer.status, answer.problem["capability"]) == (403, "subscribe:account")


async def test_a_stream_ends_when_its_token_is_taken_away() -> None:
    async with bank() as client:
        token = Tokens(client.db).make("reader", ["subscribe"])
        Tokens(client.db).make("other", ["call"])
        path, bearer = "/v1/events?table=account", f"Bearer {token}"
        async with streaming(client, path, Authorization=bearer) as stream:
            await stream.several("table", "page", "ready")
            Tokens(client.db).remove("reader")
            client.db.call("bank.transfer", 1, 2, 1)
            event = await stream.next()
            assert event is not None
            assert (event.kind, event.data["code"]) == ("ended", "unauthenticated")
            assert await stream.next() is None


async def test_whoever_does_not_read_holds_nobody_up_and_reads_the_table_anew() -> None:
    options = reifydb.Options(outbox_commits_max=20)
    with reifydb.open(":memory:", options=options) as db:
        db.execute("create table t (id int primary key, text text)")
        async with served(db) as client, streaming(client, "/v1/events?table=t") as slow:
            await slow.several("table", "page", "ready")
            async with streaming(client, "/v1/events?table=t") as fast:
                await fast.several("table", "page", "ready")
                text = "x" * 50_000
                for i in range(200):
                    with db.transaction() as tx:
                        tx.upsert("t", {"id": i % 10, "text": f"{i}{text}"})
                    [delta] = await fast.several("delta")
                    assert delta.id == f"1-{db.lsn}"
            assert all(stream._size < 3 << 20 for stream in client.server.streams)
            rows: dict[int, Any] = {}
            last = None
            while last is None or last.id != f"1-{db.lsn}":
                last = await slow.next()
                assert last is not None
                if last.kind == "restart":
                    rows.clear()
                for change in last.data if last.kind == "page" else last.data.get("changes", ()):
                    rows[change["key"][0]] = change["row"]
            assert [rows[i] for i in range(10)] == list(db.scan("t"))
            assert client.server.service.feeds.restarts >= 1


async def test_the_end_of_the_server_ends_its_streams() -> None:
    with reifydb.open(":memory:") as db:
        db.execute("create table t (id int primary key)")
        serving = served(db)
        client = await serving.__aenter__()
        async with streaming(client, "/v1/events?table=t") as stream:
            await stream.several("table", "page", "ready")
            with db.transaction() as tx:
                tx.insert("t", {"id": 1})
            leaving = asyncio.create_task(serving.__aexit__(None, None, None))
            await stream.several("delta")
            assert await stream.next() is None
            async with asyncio.timeout(PATIENCE_S):
                await leaving
