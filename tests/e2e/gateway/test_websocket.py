"""The WebSocket, in both sub-protocols: a real server and real sockets."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import aiohttp
import msgpack
import pytest

import reifydb
from reifydb.config import group_calls_max, scan_rows_max, subscriptions_max
from tests.e2e.gateway.http_client import Client, bank, served
from tests.e2e.gateway.ws_client import JSON, MSGPACK, PATIENCE_S, PROTOCOLS, Socket, connected

both = pytest.mark.parametrize("protocol", PROTOCOLS)

ADA, BOB = [1, "ada", 100], [2, "bob", 0]


def page(*rows: Any) -> dict[str, Any]:
    """The last page of a scan."""
    return {"rows": list(rows), "next": None}


# ------------------------------------------------------------------ connecting


@both
async def test_the_server_greets_whoever_connects(protocol: str) -> None:
    async with bank() as client, connected(client, protocol, greeted=False) as socket:
        kind, said = await socket.next()
        assert kind == "hello"
        assert (said["protocol"], said["incarnation"], said["lsn"], said["ack"]) == (
            1,
            client.db.incarnation,
            client.db.lsn,
            "durable",
        )
        assert said["schema"] == (await socket.ask("schema", 1))[2]["hash"]


async def test_of_the_sub_protocols_offered_the_first_known_one_is_taken() -> None:
    async with bank() as client:
        offered = ["graphql-ws", MSGPACK, JSON]
        async with client.session.ws_connect(f"{client.url}/v1/ws", protocols=offered) as raw:
            assert raw.protocol == MSGPACK
            assert msgpack.unpackb((await raw.receive()).data)[0] == "hello"


@pytest.mark.parametrize("offered", [(), ("graphql-ws",)])
async def test_without_a_sub_protocol_that_is_known_nobody_connects(offered: tuple[str]) -> None:
    async with bank() as client:
        with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
            await client.session.ws_connect(f"{client.url}/v1/ws", protocols=offered)
        assert caught.value.status == 400


async def test_pages_of_other_origins_cannot_connect() -> None:
    with reifydb.open(":memory:") as db:
        async with served(db, origins=["https://app.example"]) as client:
            async with connected(client, origin="https://app.example") as socket:
                assert (await socket.ask("ping", 1))[0] == "pong"
            with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
                async with connected(client, origin="https://evil.example"):
                    pass
            assert caught.value.status == 403


# ------------------------------------------------------------------ requests


@both
async def test_a_call_is_answered_with_its_result_and_lsn(protocol: str) -> None:
    async with bank() as client, connected(client, protocol) as socket:
        assert await socket.ask("call", 1, "bank.transfer", [1, 2, 10]) == ["ok", 1, 90, 4]
        named = {"target": 1, "source": 2, "amount": 3}
        assert await socket.ask("call", "x", "bank.transfer", named) == ["ok", "x", 7, 5]
        assert await socket.ask("call", 2, "bank.close_account", [9]) == [
            "error",
            2,
            {
                "type": "https://reifydb.dev/errors/aborted",
                "title": "Refused",
                "status": 422,
                "detail": "bank.close_account aborted with code 3: account_missing",
                "code": "aborted",
                "retryable": False,
                "transition": "bank.close_account",
                "abort_code": 3,
                "abort_message": "account_missing",
            },
            5,
        ]


@both
async def test_a_frame_of_calls_is_a_batch_in_order(protocol: str) -> None:
    async with bank() as client, connected(client, protocol) as socket:
        calls = [["call", n, "bank.transfer", [1, 2, 1]] for n in range(100)]
        calls[50][3] = [1, 2, 1000]
        await socket.send(calls)
        answers = await socket.several(100)
        refused = answers[50]
        assert (refused[0], refused[1], refused[2]["abort_message"]) == (
            "error",
            50,
            "insufficient_funds",
        )
        others = answers[:50] + answers[51:]
        assert [answer[:2] for answer in others] == [["ok", n] for n in range(100) if n != 50]
        assert [answer[2] for answer in others] == list(range(99, 0, -1))
        assert [answer[3] for answer in others] == list(range(4, 103))


@both
async def test_a_group_is_one_transaction(protocol: str) -> None:
    async with bank() as client, connected(client, protocol) as socket:
        pays = ["bank.transfer", [1, 2, 60]]
        assert await socket.ask("group", 1, [pays, ["bank.total", []]]) == ["ok", 1, [40, 100], 4]
        problem = await socket.problem("group", 2, [["bank.deposit", [1, 1]], pays])
        assert (problem["code"], problem["index"]) == ("aborted", 1)
        assert await socket.ask("call", 3, "bank.total", []) == ["ok", 3, 100, 4]
        for calls in ([], [pays] * (group_calls_max + 1), "x", [["bank.total"]]):
            assert (await socket.problem("group", 4, calls))["code"] == "bad_request"


@both
async def test_rows_are_read_by_key_and_in_order(protocol: str) -> None:
    async with bank() as client, connected(client, protocol) as socket:
        assert await socket.ask("get", 1, "account", 1) == ["ok", 1, ADA, 3]
        assert await socket.ask("get", 2, "account", 3) == ["ok", 2, None, 3]
        assert await socket.ask("scan", 3, "account") == ["ok", 3, page(ADA, BOB), 3]
        for options, rows in [
            ({"reverse": True}, [BOB, ADA]),
            ({"limit": 1}, [ADA]),
            ({"limit": 0}, []),
            ({"lower": 2}, [BOB]),
            ({"lower": [1], "lower_exclusive": True}, [BOB]),
            ({"upper": 2, "upper_exclusive": True}, [ADA]),
        ]:
            assert (await socket.ask("scan", 4, "account", options))[2]["rows"] == rows
        over = await socket.problem("scan", 5, "account", {"limit": scan_rows_max + 1})
        assert "scan_rows_max" in over["detail"]


@both
async def test_rows_are_written_all_or_none(protocol: str) -> None:
    async with bank() as client, connected(client, protocol) as socket:
        eve = {"id": 3, "owner": "eve", "balance": 5}
        assert (await socket.ask("write", 1, "insert", "account", [eve]))[2] == [3]
        again = [{"id": 4, "owner": "dan", "balance": 0}, eve]
        assert (await socket.problem("write", 2, "insert", "account", again))["code"] == (
            "duplicate_key"
        )
        assert (await socket.ask("get", 3, "account", 4))[2] is None
        assert (await socket.ask("write", 4, "update", "account", [{"id": 3, "balance": 6}]))[
            2
        ] == 1
        assert (await socket.ask("write", 5, "upsert", "account", again))[2] == 2
        assert (await socket.ask("write", 6, "delete", "account", [3, 9]))[2] == 1
        assert (await socket.problem("write", 7, "replace", "account", []))["hint"] == (
            "insert, update, upsert, delete"
        )


# ------------------------------------------------------------------ subscriptions


async def snapshot(socket: Socket, id_: Any) -> tuple[list[Any], int]:
    """The entries of a subscription's pages, and the lsn at which they are whole."""
    entries: list[Any] = []
    while True:
        message = await socket.next()
        assert message[1] == id_, message
        if message[0] == "ready":
            return entries, message[2]
        assert message[0] == "page", message
        entries += message[2]


@both
async def test_a_subscription_begins_with_all_rows_and_goes_on_with_what_changes(
    protocol: str,
) -> None:
    async with (
        bank() as client,
        connected(client, protocol) as reader,
        connected(client, protocol) as writer,
    ):
        described = (await reader.ask("subscribe", "s", "account"))[2]
        assert [column["name"] for column in described["columns"]] == ["id", "owner", "balance"]
        assert described["key"] == ["id"]
        assert await snapshot(reader, "s") == ([[1, [1], ADA], [1, [2], BOB]], 3)
        await writer.ask("call", 1, "bank.transfer", [1, 2, 10])
        await writer.ask("call", 2, "bank.open", [3, "eve", 0])
        await writer.ask("call", 3, "bank.close_account", [3])
        await writer.ask("call", 4, "bank.total", [])
        await writer.problem("call", 5, "bank.transfer", [1, 2, 1000])
        assert await reader.several(3) == [
            ["delta", "s", 4, 3, [[2, [1], [1, "ada", 90]], [2, [2], [2, "bob", 10]]]],
            ["delta", "s", 5, 4, [[1, [3], [3, "eve", 0]]]],
            ["delta", "s", 6, 5, [[0, [3], None]]],
        ]
        assert await reader.ask("unsubscribe", 1, "s") == ["ok", 1, None, 6]
        await writer.ask("call", 6, "bank.transfer", [1, 2, 10])
        await reader.send(["ping", 2])
        assert await reader.next() == ["pong", 2, [1, 7], 7]


@both
async def test_who_comes_back_gets_what_it_has_missed_and_nothing_else(protocol: str) -> None:
    async with bank() as client, connected(client, protocol) as socket:
        await socket.ask("subscribe", 1, "account")
        _, lsn = await snapshot(socket, 1)
        await socket.ask("unsubscribe", 2, 1)
        await socket.ask("call", 3, "bank.deposit", [1, 1])
        await socket.ask("call", 4, "bank.deposit", [1, 1])
        position = [client.db.incarnation, lsn]
        await socket.ask("subscribe", 5, "account", {"since": position})
        assert await socket.several(2) == [
            ["delta", 5, 4, 3, [[2, [1], [1, "ada", 101]]]],
            ["delta", 5, 5, 4, [[2, [1], [1, "ada", 102]]]],
        ]


@both
async def test_who_comes_back_after_a_restart_goes_on_unless_its_commit_was_lost(
    protocol: str, tmp_path: Path
) -> None:
    path = str(tmp_path / "db")
    async with bank(path) as client:
        incarnation, lsn = client.db.incarnation, client.db.lsn
    with reifydb.open(path, options=reifydb.Options(reserve_bytes=4096)) as db:
        assert db.incarnation == incarnation + 1
        async with served(db) as client, connected(client, protocol) as socket:
            await socket.ask("subscribe", 1, "account", {"since": [incarnation, lsn]})
            await socket.send(["call", 2, "bank.deposit", [1, 1]])
            delta = ["delta", 1, lsn + 1, lsn, [[2, [1], [1, "ada", 101]]]]
            assert await socket.several(2) == [delta, ["ok", 2, 101, lsn + 1]]
            await socket.ask("unsubscribe", 3, 1)
            await socket.ask("subscribe", 4, "account", {"since": [incarnation, lsn + 1]})
            entries, _ = await snapshot(socket, 4)
            assert [entry[2] for entry in entries] == [[1, "ada", 101], BOB]


async def test_a_position_that_is_not_yet_there_or_none_is_refused() -> None:
    async with bank() as client, connected(client) as socket:
        for since in ([9, 9], [1, 99], [1], 5, "x", [1, True]):
            problem = await socket.problem("subscribe", 1, "account", {"since": since})
            assert problem["code"] == "bad_request", since


async def test_subscriptions_have_ids_and_a_limit() -> None:
    async with bank() as client, connected(client) as socket:
        for n in range(subscriptions_max):
            assert (await socket.ask("subscribe", n, "account"))[0] == "ok"
        assert "already" in (await socket.problem("subscribe", 0, "account"))["detail"]
        over = await socket.problem("subscribe", -1, "account")
        assert "subscriptions_max" in over["detail"]
        await socket.ask("unsubscribe", -2, 0)
        assert (await socket.ask("subscribe", 0, "account"))[0] == "ok"
        for nothing in (-7, None, [], {}):
            assert (await socket.problem("unsubscribe", -3, nothing))["code"] == "bad_request"


async def test_a_subscription_ends_when_its_table_is_dropped() -> None:
    with reifydb.open(":memory:") as db:
        db.execute("create table note (id int primary key)")
        async with served(db) as client, connected(client) as socket:
            await socket.ask("subscribe", 1, "note")
            await snapshot(socket, 1)
            db.execute("drop table note")
            kind, id_, problem = await socket.next()
            assert (kind, id_, problem["code"]) == ("ended", 1, "schema")


def filled(rows: int, bytes_each: int) -> reifydb.Database:
    """A database with a table of big rows."""
    options = reifydb.Options(reserve_bytes=4096)
    db = reifydb.open(":memory:", options=options)
    db.execute("create table big (id int primary key, body text not null)")
    with db.transaction() as tx:
        tx.insert_many("big", [{"id": n, "body": "x" * bytes_each} for n in range(rows)])
    return db


async def until_full(client: Client) -> None:
    """Waits until the server has more for its one connection than that reads."""
    async with asyncio.timeout(PATIENCE_S):
        while not any(connection.full for connection in client.server.connections):
            await asyncio.sleep(0.001)


@both
async def test_a_snapshot_goes_on_once_a_slow_reader_reads_again(protocol: str) -> None:
    rows = 400
    with filled(rows, 1 << 16) as db:
        async with served(db) as client, connected(client, protocol) as socket:
            await socket.send(["subscribe", 1, "big"])
            await until_full(client)
            assert (await socket.next())[0] == "ok"
            entries, _ = await snapshot(socket, 1)
            assert [entry[1] for entry in entries] == [[n] for n in range(rows)]


@both
async def test_a_reader_that_is_too_slow_begins_anew(protocol: str) -> None:
    with filled(8, 10) as db:
        async with served(db) as client, connected(client, protocol) as socket:
            await socket.ask("subscribe", 1, "big")
            await snapshot(socket, 1)
            [connection] = client.server.connections
            body, after_full = "", 0
            for n in range(1000):
                body = f"{n:04}" * (1 << 16)
                with db.transaction() as tx:
                    tx.upsert_many("big", [{"id": 0, "body": body}])
                await asyncio.sleep(0)  # the server's turn
                after_full += connection.full
                if after_full > 16:
                    break
            mirror: dict[int, str] = {}
            kinds: list[str] = []
            while kinds[-1:] != ["ready"] or mirror[0] != body:
                message = await socket.next()
                kinds.append(message[0])
                if message[0] == "restart":
                    mirror.clear()
                elif message[0] in ("page", "delta"):
                    mirror |= {entry[1][0]: entry[2][1] for entry in message[-1]}
            assert kinds.count("restart") == client.server.service.feeds.restarts == 1
            assert mirror == {0: body} | dict.fromkeys(range(1, 8), "x" * 10)


# ------------------------------------------------------------------ durability


@both
async def test_an_answer_waits_for_the_disk_unless_it_need_not(
    protocol: str, tmp_path: Path
) -> None:
    async with (
        bank(str(tmp_path / "db"), flush_interval_ms=0) as client,
        connected(client, protocol) as socket,
    ):
        for n in range(20):
            answer = await socket.ask("call", n, "bank.deposit", [1, 1])
            assert client.db.durable_lsn >= answer[3]
        answer = await socket.ask("call", 90, "bank.deposit", [1, 1], {"ack": "committed"})
        assert answer[:3] == ["ok", 90, 121]
        answer = await socket.ask("group", 91, [["bank.total", []]], {"ack": "durable"})
        assert client.db.durable_lsn >= answer[3]
        await socket.send(["hello", {"ack": "committed"}])
        assert (await socket.next())[1]["ack"] == "committed"
        for ack in ("later", 1, [], {}):
            problem = await socket.problem("call", 92, "bank.total", [], {"ack": ack})
            assert problem["code"] == "bad_request"


@both
async def test_committed_does_not_wait_for_the_disk(protocol: str, tmp_path: Path) -> None:
    lazy = {"flush_interval_ms": 3_000.0, "durability_lag_ms_max": 10_000.0}
    async with (
        bank(str(tmp_path / "db"), **lazy) as client,
        connected(client, protocol) as socket,
    ):
        client.db.flush()
        await socket.send(["call", 1, "bank.deposit", [1, 1]])
        await socket.send(["call", 2, "bank.deposit", [1, 1], {"ack": "committed"}])
        assert await socket.next() == ["ok", 2, 102, 5]
        assert client.db.durable_lsn < 5
        await asyncio.to_thread(client.db.flush)
        assert await socket.next() == ["ok", 1, 101, 4]


@both
async def test_what_becomes_durable_just_before_somebody_waits_for_it(
    protocol: str, tmp_path: Path
) -> None:
    class Late(set[Any]):
        """Who waits for the disk; it has become durable before anybody is in."""

        def add(self, peer: Any) -> None:
            client.db.flush()
            super().add(peer)

    lazy = {"flush_interval_ms": 60_000.0, "durability_lag_ms_max": 60_000.0}
    async with (
        bank(str(tmp_path / "db"), **lazy) as client,
        connected(client, protocol) as socket,
    ):
        client.server.service._owing = Late()
        for n in range(5):
            answer = await socket.ask("call", n, "bank.deposit", [1, 1])
            assert client.db.durable_lsn >= answer[3]


# ------------------------------------------------------------------ errors


WRONG: Sequence[tuple[list[Any], str, str]] = [
    (["frob", 1], "bad_request", "call, group, get, scan"),
    (["call", 1], "bad_request", ""),
    (["call", 1, "bank.transfr", []], "unknown_name", "did you mean 'bank.transfer'?"),
    (["call", 1, "bank.transfer", [1, 2]], "bad_request", ""),
    (["call", 1, "bank.transfer", [1, "x", 2]], "wrong_type", ""),
    (["call", 1, "bank.transfer", {"source": 1, "traget": 2, "amount": 3}], "bad_request", ""),
    (["call", 1, "bank.transfer", "x"], "bad_request", ""),
    (["call", 1, 5, []], "bad_request", ""),
    (["get", 1, "acount", 1], "unknown_name", "did you mean 'account'?"),
    (["get", 1, "account", "x"], "wrong_type", ""),
    (["get", 1, "_tokens", "x"], "unknown_name", ""),
    (["scan", 1, "account", {"limt": 1}], "unknown_name", "did you mean 'limit'?"),
    (["scan", 1, "account", {"index": "by"}], "unknown_name", ""),
    (["write", 1, "insert", "account", {}], "bad_request", ""),
    (["write", 1, "insert", "account", [{"idd": 1}]], "unknown_name", "did you mean 'id'?"),
    (["write", 1, "insert", "account", [{"id": 9}]], "not_null", ""),
    (["subscribe", 1, "acount"], "unknown_name", "did you mean 'account'?"),
    (["call", 1, "bank.total", [], {"akc": "committed"}], "unknown_name", "did you mean 'ack'?"),
    (["group", 1, [["bank.total", []]], {"Ack": "durable"}], "unknown_name", "'ack'"),
    (["subscribe", 1, "account", {"sinse": [1, 1]}], "unknown_name", "did you mean 'since'?"),
    (["scan", 1, "account", {"lowr": 1}], "unknown_name", "did you mean 'lower'?"),
    (["get", 1, "account", 1, 2], "bad_request", ""),
]


@both
@pytest.mark.parametrize("wrong", WRONG, ids=lambda case: repr(case[0])[:60])
async def test_a_wrong_message_is_refused_and_the_connection_goes_on(
    wrong: tuple[list[Any], str, str], protocol: str
) -> None:
    message, code, hint = wrong
    async with bank() as client, connected(client, protocol) as socket:
        problem = await socket.problem(*message)
        assert problem["code"] == code, problem
        assert hint in problem.get("hint", ""), problem
        assert await socket.ask("call", 2, "bank.total", []) == ["ok", 2, 100, 3]


# ------------------------------------------------------------------ tokens


NEEDS = [
    ("call:bank.total", ["call", 1, "bank.total", []]),
    ("call:bank.total", ["group", 1, [["bank.total", []]]]),
    ("read:account", ["get", 1, "account", 1]),
    ("read:account", ["scan", 1, "account"]),
    ("write:account", ["write", 1, "delete", "account", [9]]),
    ("subscribe:account", ["subscribe", 1, "account"]),
]


@both
@pytest.mark.parametrize("need", NEEDS, ids=lambda case: case[1][0])
async def test_each_request_needs_its_capability(
    need: tuple[str, list[Any]], protocol: str
) -> None:
    capability, message = need
    async with bank() as client:
        others = {"call", "read", "write", "subscribe"} - {capability.partition(":")[0]}
        has = client.server.tokens.make("has", [capability])
        lacks = client.server.tokens.make("lacks", others)
        for token, ok in ((has, True), (lacks, False)):
            async with connected(client, protocol, greeted=False) as socket:
                await socket.send(["hello", {"token": token}])
                assert (await socket.next())[0] == "hello"
                if ok:
                    assert (await socket.ask(*message))[0] == "ok"
                else:
                    problem = await socket.problem(*message)
                    assert (problem["code"], problem["capability"]) == ("forbidden", capability)


async def test_the_schema_has_what_the_client_may_use() -> None:
    async with bank() as client:
        token = client.server.tokens.make("teller", ["call:bank.total"])
        headers = {"Authorization": f"Bearer {token}"}
        async with connected(client, headers=headers) as socket:
            found = (await socket.ask("schema", 1))[2]
            assert found["tables"] == []
            assert [each["name"] for each in found["transitions"]] == ["bank.total"]


@both
@pytest.mark.parametrize(
    "first", [["ping", 1], ["hello"], ["hello", {"token": "rdb_x"}]], ids=["ping", "none", "wrong"]
)
async def test_who_does_not_say_who_it_is_is_closed(first: list[Any], protocol: str) -> None:
    async with bank() as client:
        client.server.tokens.make("someone", ["call"])
        async with connected(client, protocol, greeted=False) as socket:
            await socket.send(first)
            kind, id_, problem = await socket.next()
            assert (kind, id_, problem["code"]) == ("error", None, "unauthenticated")
            assert await socket.closed() == 4401


async def test_a_token_that_is_not_known_in_the_header_fails_the_handshake() -> None:
    async with bank() as client:
        client.server.tokens.make("someone", ["call"])
        with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
            async with connected(client, headers={"Authorization": "Bearer rdb_x"}):
                pass
        assert caught.value.status == 401


# ------------------------------------------------------------------ the end


@both
async def test_a_server_that_ends_answers_what_it_had_taken_on_and_closes_with_1001(
    protocol: str, tmp_path: Path
) -> None:
    path = tmp_path / "db"
    calls = [["call", n, "bank.deposit", [1, 1]] for n in range(1000)]
    async with aiohttp.ClientSession() as session:
        async with bank(str(path)) as client:
            url = f"{client.url}/v1/ws"
            raw = await session.ws_connect(url, protocols=[protocol])
            socket = Socket(raw, protocol)
            await socket.next()
            await socket.send(calls)
            first = await socket.next()
            closing = asyncio.create_task(socket.closed())
        assert await closing == 1001
        assert first[:3] == ["ok", 0, 101]
    with reifydb.open(path, options=reifydb.Options(reserve_bytes=4096)) as db:
        assert db.call("bank.total") == 1100
