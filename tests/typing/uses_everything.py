"""A program that uses all of the API, also as a client: type checkers accept it, and it runs.

`rows.py` beside it is what `reifydb generate python` makes of the bank and of `SCHEMA`. A line that
ends in `# wrong` must be refused by a type checker; it is not run.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import assert_type
from uuid import UUID

import rows

import reifydb
from reifydb.gateway.serve import serving
from reifydb.gateway.server import Settings

SCHEMA = """
    create table account (id int primary key, owner text not null, balance int not null);
    create table item (
        id int primary key auto_increment, price decimal(10,2) not null, code uuid, at timestamp,
        about json, weight float not null default 1.0, photo bytes, sold bool not null default false
    );
    create table place (town text, number int, people int not null, primary key (town, number));
    create index item_by_price on item (price);
"""


def opens(folder: Path) -> None:
    options = reifydb.Options(deadline_ms=50, reserve_bytes=4096)
    with reifydb.open(folder, options=options, clock=lambda: 10**18, seed=1) as db:
        db.execute("create table t (n int primary key)")
        assert_type(db.lsn, int)
        assert_type(db.durable_lsn, int)
        assert_type(db.incarnation, int)
        assert_type(db.state_hash, bytes)
        assert_type(db.durability_lag.ms, float)
        db.flush()
        db.wait_durable(db.lsn, timeout_s=5)
        asyncio.run(db.wait_durable_async())
    reifydb.open(str(folder)).close()


def calls(db: reifydb.Database, wasm: bytes) -> None:
    module = db.install(wasm, apply_schema=True, limits=reifydb.ModuleLimits(deadline_ms=100))
    assert_type(module, reifydb.Module)
    assert_type(db.modules, dict[str, reifydb.Module])
    assert_type(db.call("bank.open", 1, "ada", 100), object)
    db.call("bank.open", id=2, owner="bob", balance=0)
    outcomes = db.call_many("bank.transfer", [(1, 2, 10), (1, 2, 1000)])
    assert_type(outcomes, reifydb.Outcomes)
    assert_type(outcomes[0], reifydb.Outcome)
    assert_type(outcomes[:1], list[reifydb.Outcome])
    assert_type(outcomes[1].error, Exception | None)
    assert_type(outcomes[0].lsn, int)
    assert_type(db.call_packed("bank.transfer", b""), bytes)

    @db.transition
    def double(tx: reifydb.Transaction, key: int) -> int:
        row = rows.account.get(tx, key) or tx.abort(3, "account_missing")
        rows.account.update(tx, {"id": key, "balance": 2 * row["balance"]})
        return 2 * row["balance"]

    @db.transition(name="audit.count", query=True)
    def count(tx: reifydb.Transaction) -> int:
        return tx.count("account")

    kept: list[Callable[[reifydb.Transaction], int]] = [count]  # decorated, they keep their types
    kept = [double]  # wrong
    assert len(kept) == 1
    assert db.call("double", 2) == 20
    try:
        db.call("bank.transfer", 1, 2, 1000)
    except reifydb.AbortedError as error:
        assert_type(error.abort_code, int)


def transactions(db: reifydb.Database) -> None:
    with db.transaction() as tx:
        assert_type(tx, reifydb.Transaction)
        assert_type(tx.insert("item", {"price": Decimal("1.50")}), object)
        tx.upsert("place", {"town": "Bern", "number": 1, "people": 2})
        assert_type(tx.insert_many("place", [{"town": "Bern", "number": 2, "people": 1}]), int)
        tx.update_many("place", [{"town": "Bern", "number": 2, "people": 3}])
        tx.upsert_many("place", ({"town": "Bern", "number": n, "people": 3} for n in range(2)))
        assert_type(tx.delete("place", ("Bern", 0)), bool)
        assert_type(tx.delete_many("place", [("Bern", 7)]), int)
        assert_type(tx.get("place", ("Bern", 1)), dict[str, object] | None)
        tx.call("bank.deposit", 2, 5)
    assert_type(tx.lsn, int | None)
    with db.transaction(query=True) as reading:
        assert_type(list(reading.scan("place", lower=("Bern",))), list[dict[str, object]])
    assert_type(db.count("place"), int)
    assert_type(db.memory("place"), reifydb.TableMemory)
    assert_type(db.memory("place").total, int)
    for name, table in db.tables.items():
        assert_type(name, str)
        assert_type(table.columns[0].name, str)
    with db.subscribe("place") as changes:
        first = changes.get(5)
        assert isinstance(first, reifydb.Snapshot)
        assert_type(first.rows, list[dict[str, object]])
        assert_type(first.position, reifydb.Position)
    db.verify()
    db.remove("bank")


def typed_rows(db: reifydb.Database) -> None:
    with db.transaction() as tx:
        key = rows.item.insert(tx, {"price": 3, "at": 0, "about": {"a": [1, None]}})
        assert_type(key, int)
        rows.item.update(tx, {"id": key, "code": UUID(int=7), "price": Decimal("2.25")})
        rows.place.upsert(tx, {"town": "Genf", "number": 1, "people": 1})
        assert_type(rows.place.delete(tx, ("Genf", 2)), bool)
        rows.place.insert_many(tx, [{"town": "Genf", "number": 3, "people": 1}])
        rows.account.insert(tx, {"id": 9, "owner": "eve"})  # wrong
        rows.account.insert(tx, {"id": "9", "owner": "eve", "balance": 1})  # wrong
        rows.account.update(tx, {"owner": "eve"})  # wrong
        rows.place.get(tx, "Genf")  # wrong
    rows.account.update(db, {"id": 1})  # wrong
    item = rows.item.get(db, key)
    assert item is not None
    assert_type(item, rows.Item)
    assert_type(item["price"], Decimal)
    assert_type(item["at"], datetime | None)
    assert_type(item["code"], UUID | None)
    assert_type(item["sold"], bool)
    assert item["at"] == datetime(1970, 1, 1, tzinfo=UTC)
    assert (item["price"], item["about"], item["weight"]) == (Decimal("2.25"), {"a": [1, None]}, 1)
    item["prize"]  # wrong
    towns = [place["town"] for place in rows.place.scan(db, lower=("Genf",), reverse=True)]
    assert_type(towns, list[str])
    cheap = rows.item.scan(db, index="item_by_price", upper=Decimal("2.50"))
    assert [found["id"] for found in cheap] == [1, key]
    assert rows.place.count(db) == 4  # two of Bern, two of Genf


def typed_transitions(db: reifydb.Database) -> None:
    bank = rows.Bank(db)
    assert_type(bank.transfer(1, 2, 1), int)
    assert_type(bank.transfer(source=1, target=2, amount=1), int)
    bank.transfer(1, 2, "1")  # wrong
    bank.transfer(1, 2)  # wrong
    bank.transfers(1, 2, 1)  # wrong
    with db.transaction() as tx:
        rows.Bank(tx).open(3, "eve", 5)
        assert rows.Bank(tx).balance(3) == 5


def clients(db: reifydb.Database) -> None:
    async def served() -> None:
        async with serving(db, "127.0.0.1", 0, Settings()) as (_, url):
            await asyncio.to_thread(remote, url)
            async with reifydb.aconnect(url, ack="committed") as there:
                assert_type(there, reifydb.AsyncDatabase)
                assert_type(await there.call("bank.balance", 2), object)
                assert_type(await there.call_many("bank.balance", [(2,)]), list[reifydb.Outcome])
                assert_type(await there.get("place", ("Bern", 1)), dict[str, object] | None)
                assert_type([row async for row in there.scan("place")], list[dict[str, object]])
                async with there.subscribe("place") as changes:
                    assert_type(changes, reifydb.AsyncChanges)
                    item = await changes.get()
                    assert_type(item, reifydb.Snapshot | reifydb.Delta | None)
                await there.wait_durable()
                await typed_async(there)

    asyncio.run(served())


async def typed_async(there: reifydb.AsyncDatabase) -> None:
    bank = rows.AsyncBank(there)
    assert_type(await bank.transfer(1, 2, 1), int)
    await bank.transfer(1, 2, "1")  # wrong
    assert_type(await rows.place.count(there), int)
    await rows.place.upsert(there, {"town": "Genf", "number": 9, "people": 1})
    await rows.place.upsert(there, {"town": "Genf", "number": "9", "people": 1})  # wrong
    place = await rows.place.get(there, ("Genf", 9))
    assert place is not None
    assert_type(place, rows.Place)
    assert_type([found async for found in rows.place.scan(there, limit=1)], list[rows.Place])
    assert_type(await rows.place.delete(there, ("Genf", 9)), bool)


def remote(url: str) -> None:
    with reifydb.connect(url) as there:
        assert_type(there, reifydb.RemoteDatabase)
        assert_type(rows.Bank(there).deposit(2, 1), int)
        rows.place.upsert(there, {"town": "Genf", "number": 1, "people": 1})
        rows.place.upsert(there, {"town": "Genf", "number": "1", "people": 1})  # wrong
        place = rows.place.get(there, ("Genf", 1))
        assert place is not None
        assert_type(place, rows.Place)
        assert_type(list(rows.place.scan(there)), list[rows.Place])
        with there.subscribe("place") as changes:
            assert_type(changes.get(), reifydb.Snapshot | reifydb.Delta | None)


def main(folder: Path, wasm: bytes) -> None:
    opens(folder)
    with reifydb.open(":memory:") as db:
        db.execute(SCHEMA)
        calls(db, wasm)
        typed_transitions(db)
        clients(db)
        transactions(db)
        typed_rows(db)
