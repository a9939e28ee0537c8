"""The Python client against a real server."""

from __future__ import annotations

import asyncio
import itertools
import threading
import time
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest

import reifydb
from reifydb.gateway.serve import serving
from reifydb.gateway.server import Settings
from tests.e2e.client.servers import bank_at_url

THING = {
    "name": "a",
    "number": (1 << 63) - 1,
    "at": datetime(2024, 2, 29, 12, 30, 0, 5, tzinfo=UTC),
    "price": Decimal("-123456789.125"),
    "code": UUID(int=7),
    "about": {"b": [1, None, "ü"], "c": 1.5},
    "data": b"\x00\xff",
    "weight": 0.1,
    "sold": True,
}


async def test_calls_and_what_they_say() -> None:
    async with bank_at_url() as (db, url), reifydb.aconnect(url) as client:
        assert await client.call("bank.transfer", 1, 2, 10) == 90
        assert await client.call("bank.transfer", 1, target=2, amount=1) == 89
        assert client.position == db.position
        assert db.durable_lsn >= client.lsn
        with pytest.raises(reifydb.AbortedError) as said:
            await client.call("bank.transfer", 1, 2, 1000)
        with pytest.raises(reifydb.AbortedError) as embedded:
            db.call("bank.transfer", 1, 2, 1000)
        assert str(said.value) == str(embedded.value)
        assert said.value.abort_code == embedded.value.abort_code
        wrong: list[tuple[str, tuple[Any, ...]]] = [
            ("bank.tranfer", ()),
            ("bank.transfer", (1, 2)),
            ("bank.transfer", (1, 2, "x")),
            ("bank.transfer", (1, 2, None)),
            ("bank.transfer", (1, 2, 1 << 64)),
        ]
        for name, args in wrong:
            with pytest.raises(reifydb.ReifyDBError) as here:
                await client.call(name, *args)
            with pytest.raises(reifydb.ReifyDBError) as there:
                db.call(name, *args)
            assert type(here.value) is type(there.value)
            assert str(here.value) == str(there.value)


async def test_many_calls_and_concurrent_ones() -> None:
    async with bank_at_url() as (db, url), reifydb.aconnect(url) as client:
        outcomes = await client.call_many("bank.transfer", [(1, 2, 1), (1, 2, 999), (2, 1, 1)])
        assert [outcome.value for outcome in outcomes] == [99, None, 0]
        assert isinstance(outcomes[1].error, reifydb.AbortedError)
        assert outcomes[2].lsn == db.lsn
        many = await client.call_many("bank.transfer", [(1, 2, 1), (2, 1, 1)] * 6000)
        assert sum(outcome.ok for outcome in many) == 12_000
        assert await client.call_many("bank.transfer", []) == []
        found = await asyncio.gather(*(client.call("bank.balance", 1) for _ in range(500)))
        assert found == [100] * 500


async def test_a_group_is_one_transaction() -> None:
    async with bank_at_url() as (db, url), reifydb.aconnect(url) as client:
        before = db.lsn
        calls = [("bank.transfer", (1, 2, 5)), ("bank.transfer", (2, 1, 2))]
        assert await client.group(calls) == [95, 3]
        assert db.lsn == before + 1
        with pytest.raises(reifydb.AbortedError) as error:
            await client.group([("bank.transfer", (1, 2, 5)), ("bank.transfer", (2, 1, 999))])
        assert error.value.index == 1  # type: ignore[attr-defined]
        assert db.lsn == before + 1


async def test_rows_of_all_types_go_and_come_back() -> None:
    async with bank_at_url() as (db, url), reifydb.aconnect(url) as client:
        key = (THING["name"], THING["number"])
        assert await client.insert("thing", THING) == key
        assert await client.get("thing", key) == THING == db.get("thing", key)
        empty = dict.fromkeys(THING) | {"name": "b", "number": 0}
        await client.upsert("thing", empty)
        await client.update("thing", {"name": "b", "number": 0, "about": reifydb.JSON_NULL})
        row = await client.get("thing", ("b", 0))
        assert row == empty | {"about": reifydb.JSON_NULL}
        assert await client.count("thing") == 2
        assert [row async for row in client.scan("thing")] == list(db.scan("thing"))
        assert await client.delete("thing", key)
        assert not await client.delete("thing", key)
        assert await client.get("thing", key) is None
        assert await client.insert("counter", {"text": "x"}) == 1
        assert await client.insert_many("counter", [{"text": "y"}, {"text": "z"}]) == 2
        assert await client.update_many("counter", [{"id": 1, "text": "w"}]) == 1
        assert await client.upsert_many("counter", [{"id": 9, "text": "v"}]) == 1
        assert await client.delete_many("counter", [1, 2, 77]) == 2
        with pytest.raises(reifydb.DuplicateKeyError):
            await client.insert("counter", {"id": 9})
        with pytest.raises(reifydb.NotFoundError):
            await client.update("counter", {"id": 10, "text": ""})
        with pytest.raises(reifydb.UnknownNameError, match="did you mean 'text'"):
            await client.insert("counter", {"tex": ""})
        with pytest.raises(reifydb.NotNullError):
            await client.insert("account", {"id": 5, "owner": None, "balance": 0})


async def test_a_query_is_answered_as_by_the_database() -> None:
    async with bank_at_url() as (db, url), reifydb.aconnect(url) as client:
        await client.insert("thing", THING)
        for name, value in THING.items():
            for sql, params in [
                (f"select * from thing where {name} = :it", {"it": value}),
                (f"select * from thing where {name} = ?", [value]),
                (f"select * from thing where {name} = $1", (None,)),
            ]:
                found = await client.query(sql, params)
                assert found == db.query(sql, params), name
                assert found.tuples == db.query(sql, params).tuples
                assert [c.sql_type for c in found.columns] == [
                    c.sql_type for c in db.query(sql, params).columns
                ]
        for about in ([], {}, {"$json": 1}, reifydb.JSON_NULL, "x", 1.5, 3, True):
            await client.update("thing", {"name": "a", "number": THING["number"], "about": about})
            sql = "select about from thing where about = ?"
            assert (await client.query(sql, [about])).value() == about
        assert repr(await client.query("select 1 as n")) == repr(db.query("select 1 as n"))


async def test_a_query_that_is_refused_is_refused_as_by_the_database() -> None:
    async with bank_at_url() as (db, url), reifydb.aconnect(url) as client:
        wrong: list[tuple[str, Any]] = [
            ("select frob from account", None),
            ("select 1 / (id - id) from account", None),
            ("select id from account where id = ?", None),
            ("select id from account where id = :id", {"idd": 1}),
            ("select id from account where id = ?", ["x"]),
            ("select id from account", "x"),
            ("select id from account limit ?", [-1]),
        ]
        for sql, params in wrong:
            with pytest.raises(reifydb.ReifyDBError) as here:
                await client.query(sql, params)
            with pytest.raises(reifydb.ReifyDBError) as there:
                db.query(sql, params)
            assert type(here.value) is type(there.value)
            if params != ["x"]:
                assert str(here.value) == str(there.value)
        with pytest.raises(reifydb.WrongTypeError, match=r"parameter :at: expected"):
            await client.query("select :at::timestamp", {"at": datetime(2024, 1, 1)})
        with pytest.raises(reifydb.ExpressionError) as error:
            await client.query("select 1 / (id - id) from account")
        assert (error.value.reason, error.value.line, error.value.column) == (
            "division by zero",
            1,
            8,
        )


@pytest.mark.parametrize("reverse", [False, True])
async def test_scans_are_those_of_the_database_over_any_number_of_pages(reverse: bool) -> None:
    async with bank_at_url() as (db, url), reifydb.aconnect(url) as client:
        with db.transaction() as tx:
            for i in range(3500):
                price = None if i % 7 == 0 else Decimal(i % 3) + Decimal("0.5")
                tx.insert("thing", {"name": "x", "number": i, "price": price})
        ranges: list[dict[str, Any]] = [
            {},
            {"limit": 1500},
            {"limit": 0},
            {"lower": ("x", 100), "upper": ("x", 3000), "upper_exclusive": True},
            {"index": "thing_price"},
            {"index": "thing_price", "limit": 2222},
            {"index": "thing_price", "lower": Decimal("1.5"), "lower_exclusive": True},
            {"index": "thing_price", "lower": (None,), "upper": (None,)},
        ]
        for options in ranges:
            found = [row async for row in client.scan("thing", reverse=reverse, **options)]
            assert found == list(db.scan("thing", reverse=reverse, **options)), options
        with pytest.raises(reifydb.UnknownNameError):
            await anext(client.scan("thing", index="thing_prize"))


async def test_a_page_of_long_rows_has_fewer() -> None:
    async with bank_at_url() as (db, url), reifydb.aconnect(url) as client:
        with db.transaction() as tx:
            tx.insert_many("counter", [{"text": "x" * 100_000}] * 120)
        assert [row["id"] async for row in client.scan("counter")] == list(range(1, 121))


async def test_any_number_of_rows_may_have_one_value_in_an_index() -> None:
    async with bank_at_url() as (db, url), reifydb.aconnect(url) as client:
        with db.transaction() as tx:
            rows = [{"name": "x", "number": i, "price": 1} for i in range(10_500)]
            tx.insert_many("thing", rows)
        found = [row["number"] async for row in client.scan("thing", index="thing_price")]
        assert found == list(range(10_500))


# ---------------------------------------------------------------- subscriptions


def apply(state: dict[object, Any], item: reifydb.Snapshot | reifydb.Delta, key: str) -> None:
    """Makes a copy of a table what it is after an item."""
    if isinstance(item, reifydb.Snapshot):
        state.clear()
        state.update({row[key]: row for row in item.rows})
        return
    for change in item.changes:
        if change.op == "delete":
            del state[change.key]
        else:
            state[change.key] = change.row


async def test_a_subscription_is_a_snapshot_and_exact_deltas() -> None:
    async with bank_at_url() as (db, url), reifydb.aconnect(url) as client:
        state: dict[object, Any] = {}
        async with client.subscribe("account") as changes:
            assert changes.table == "account"
            apply(state, await changes.get() or pytest.fail("nothing"), "id")
            await client.call_many("bank.transfer", [(1, 2, 1)] * 50)
            with db.transaction() as tx:
                tx.delete("account", 1)
                tx.insert("account", {"id": 3, "owner": "cy", "balance": 1})
            async for item in changes:
                assert isinstance(item, reifydb.Delta)
                apply(state, item, "id")
                if item.position == db.position:
                    break
            assert list(state.values()) == list(db.scan("account"))
            seen = changes.position
            assert await changes.get(timeout_s=0.01) is None
        db.call("bank.open", 9, "eve", 0)
        async with client.subscribe("account", since=seen) as changes:
            item = await changes.get()
            assert isinstance(item, reifydb.Delta)
            assert [change.key for change in item.changes] == [9]
        with pytest.raises(reifydb.UnknownNameError):
            await client.subscribe("acount").accepted()
        with pytest.raises(reifydb.RequestError):
            await client.subscribe("account", since=reifydb.Position(77, 1)).accepted()


async def test_a_subscriber_that_stops_reading_holds_nobody_up_and_ends_exact() -> None:
    async with bank_at_url() as (db, url), reifydb.aconnect(url) as client:
        state: dict[object, Any] = {}
        async with client.subscribe("counter") as changes:
            apply(state, await changes.get() or pytest.fail("nothing"), "id")
            for _ in range(40):
                await client.insert_many("counter", [{"text": "x"}] * 2000)
            while db.position != changes.position:
                apply(state, await changes.get(5) or pytest.fail("nothing"), "id")
            assert list(state.values()) == list(db.scan("counter"))


async def test_a_client_that_reads_nothing_is_resynchronised_by_the_server() -> None:
    """Its event loop stands still: frames fill the system's buffers, then its outbox there."""
    async with bank_at_url() as (db, url):
        client = await asyncio.to_thread(reifydb.connect, url)
        changes = await asyncio.to_thread(client.subscribe, "counter")
        await asyncio.to_thread(changes.get)
        client._loop._loop.call_soon_threadsafe(time.sleep, 2)
        for _ in range(60):
            with db.transaction() as tx:
                tx.insert_many("counter", [{"text": "x" * 1000}] * 1000)
            await asyncio.sleep(0.01)
        state: dict[object, Any] = {}
        kinds = []
        while changes.position != db.position:
            item = await asyncio.to_thread(changes.get, 10) or pytest.fail("nothing")
            kinds.append(type(item))
            apply(state, item, "id")
        assert reifydb.Snapshot in kinds
        assert list(state.values()) == list(db.scan("counter"))
        await asyncio.to_thread(client.close)


async def test_a_subscriber_learns_of_other_columns_and_of_the_end() -> None:
    async with bank_at_url() as (db, url), reifydb.aconnect(url) as client:
        changes = client.subscribe("counter")
        await changes.get()
        db.execute("alter table counter add column note text default 'n'")
        await client.insert("counter", {"text": "x"})
        state: dict[object, Any] = {}
        while changes.position != db.position:
            apply(state, await changes.get(5) or pytest.fail("nothing"), "id")
        assert list(state.values()) == [{"id": 1, "text": "x", "note": "n"}]
        db.execute("drop table counter")
        with pytest.raises(reifydb.SchemaError):
            await changes.get(5)


# ---------------------------------------------------------------- schema, ack, tokens, the end


async def test_a_schema_that_changes_is_followed() -> None:
    async with bank_at_url() as (db, url), reifydb.aconnect(url) as client:
        await client.insert("counter", {"text": "x"})
        db.execute("alter table counter add column price decimal(5,2) not null default 1.5")
        assert await client.get("counter", 1) == db.get("counter", 1)
        assert await client.insert("counter", {"price": Decimal("2.25")}) == 2
        db.execute("create table later (id uuid primary key)")
        assert await client.count("later") == 0
        assert client.tables["later"].key_columns[0].sql_type == "uuid"
        assert client.transitions["bank.transfer"].params[2].name == "amount"


async def test_committed_is_acknowledged_at_once_and_can_be_waited_for() -> None:
    async with bank_at_url() as (db, url), reifydb.aconnect(url, ack="committed") as client:
        await client.call("bank.transfer", 1, 2, 1)
        await client.wait_durable(timeout_s=5)
        assert db.durable_lsn >= client.lsn
        with pytest.raises(reifydb.RequestError, match="no lsn"):
            await client.wait_durable(client.lsn + 1000)


async def test_a_token_opens_and_limits(tmp_path: Any) -> None:
    with reifydb.open(":memory:") as db:
        db.execute("create table t (id int primary key); create table u (id int primary key)")
        async with serving(db, "127.0.0.1", 0, Settings(tokens_needed=True)) as (server, url):
            with pytest.raises(reifydb.UnauthenticatedError):
                await reifydb.aconnect(url)
            with pytest.raises(reifydb.UnauthenticatedError):
                await reifydb.aconnect(url, token="rfy_wrong")
            token = make_token(server, "read:t")
            async with reifydb.aconnect(url, token=token) as client:
                assert await client.count("t") == 0
                assert list(client.tables) == ["t"]
                with pytest.raises(reifydb.ForbiddenError):
                    await client.insert("t", {"id": 1})


def make_token(server: Any, capability: str) -> str:
    return str(server.tokens.make("test", [capability]))


async def test_whoever_waits_when_it_is_closed_is_told() -> None:
    async with bank_at_url() as (_, url):
        client = await reifydb.aconnect(url)
        changes = client.subscribe("account")
        await changes.get()
        waiting = asyncio.ensure_future(changes.get())
        await asyncio.sleep(0.01)
        await client.close()
        await client.close()
        with pytest.raises(reifydb.ClosedError):
            await waiting
        with pytest.raises(reifydb.ClosedError):
            await client.call("bank.balance", 1)


async def test_a_cancelled_call_leaves_the_others_alone() -> None:
    async with bank_at_url() as (_, url), reifydb.aconnect(url) as client:
        tasks = [asyncio.ensure_future(client.call("bank.balance", 1)) for _ in range(10)]
        await asyncio.sleep(0)
        tasks[3].cancel()
        found = await asyncio.gather(*tasks, return_exceptions=True)
        assert [value for value in found if value == 100] == [100] * 9


# ---------------------------------------------------------------- without async


async def test_the_same_without_async() -> None:
    async with bank_at_url() as (db, url):
        await asyncio.to_thread(without_async, db, url)


def without_async(db: reifydb.Database, url: str) -> None:
    with reifydb.connect(url) as client:
        assert client.call("bank.transfer", 1, 2, amount=10) == 90
        assert [outcome.value for outcome in client.call_many("bank.balance", [(1,), (2,)])] == [
            90,
            10,
        ]
        assert client.group([("bank.transfer", (1, 2, 1))]) == [89]
        assert client.get("account", 2) == {"id": 2, "owner": "bob", "balance": 11}
        assert client.count("account") == 2
        owned = "select id from account where owner = :owner"
        assert client.query(owned, {"owner": "bob"}).one() == {"id": 2}
        assert list(client.scan("account", reverse=True)) == list(db.scan("account", reverse=True))
        assert client.insert("counter", {"text": "x"}) == 1
        client.update("counter", {"id": 1, "text": "y"})
        client.upsert("counter", {"id": 2, "text": "z"})
        assert client.delete("counter", 1)
        assert client.insert_many("counter", [{}, {}]) == 2
        assert client.update_many("counter", [{"id": 2, "text": ""}]) == 1
        assert client.upsert_many("counter", [{"id": 5}]) == 1
        assert client.delete_many("counter", [2, 3]) == 2
        assert client.position == reifydb.Position(client.incarnation, client.lsn) == db.position
        client.wait_durable(timeout_s=5)
        assert "account" in client.tables
        assert "bank.transfer" in client.transitions
        with client.subscribe("account") as changes:
            assert isinstance(changes.get(), reifydb.Snapshot)
            client.call("bank.transfer", 1, 2, 1)
            [item] = itertools.islice(changes, 1)
            assert isinstance(item, reifydb.Delta)
            assert item.position == changes.position == db.position
            assert changes.get(timeout_s=0.01) is None
            threading.Timer(0.1, changes.close).start()
            assert list(changes) == []
        with pytest.raises(reifydb.UnknownNameError):
            client.subscribe("acount")
    client.close()
    with pytest.raises(reifydb.ClosedError):
        client.count("account")


async def test_several_threads_share_a_connection() -> None:
    async with bank_at_url() as (db, url):

        def work(client: reifydb.RemoteDatabase) -> None:
            for _ in range(50):
                client.call("bank.transfer", 1, 2, 1)
                client.call("bank.transfer", 2, 1, 1)

        def all_of_it() -> None:
            with reifydb.connect(url, ack="committed") as client:
                threads = [threading.Thread(target=work, args=(client,)) for _ in range(4)]
                for thread in threads:
                    thread.start()
                for thread in threads:
                    thread.join()

        before = db.lsn
        await asyncio.to_thread(all_of_it)
        assert db.lsn == before + 400
