"""Several threads on one database: turns, waiting, limits of waiting, closing under their feet."""

from __future__ import annotations

import os
import random
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

import reifydb
from tests.guests.databases import open_with
from tests.unit.database.conftest import SMALL

WAIT_S = 20


def in_thread(work: Callable[[], object]) -> Callable[[], object]:
    """Starts `work`; the function returned waits for it and gives or raises what it did."""
    pool = ThreadPoolExecutor(1)
    future = pool.submit(work)
    pool.shutdown(wait=False)
    return lambda: future.result(WAIT_S)


def held(db: reifydb.Database) -> tuple[threading.Event, Callable[[], object]]:
    """Another thread that has a transaction open until the event is set."""
    begun, end = threading.Event(), threading.Event()

    def hold() -> None:
        with db.transaction() as tx:
            tx.insert("note", {"body": "held"})
            begun.set()
            end.wait(WAIT_S)

    joined = in_thread(hold)
    assert begun.wait(WAIT_S)
    return end, joined


def test_many_threads_call_at_once(folder: Path, bank_wasm: bytes) -> None:
    seed = random.SystemRandom().randrange(1 << 32)
    print(f"seed {seed}")
    with reifydb.open(folder, options=SMALL) as db:
        first = db.lsn
        lsns: list[list[int]] = [[] for _ in range(8)]

        def work(number: int) -> None:
            dice = random.Random(seed + number)
            for _ in range(150):
                a, b = dice.randrange(10), dice.randrange(10)
                kind = dice.randrange(6)
                if kind == 0:
                    outcomes = db.call_many("bank.transfer", [(a, b, 1), (b, a, 2)] * 5)
                    lsns[number] += [outcome.lsn for outcome in outcomes if outcome.ok]
                elif kind == 1:
                    with db.transaction() as tx:
                        tx.insert("note", {"mark": number})
                        for account, change in ((a, -1), (b, 1)):
                            row = tx.get("account", account)
                            assert row is not None
                            balance = row["balance"]
                            assert isinstance(balance, int)
                            tx.update("account", {"id": account, "balance": balance + change})
                    assert tx.lsn is not None
                    lsns[number].append(tx.lsn)
                elif kind == 2:
                    rows = list(db.scan("account"))
                    assert sum(row["balance"] for row in rows) == 1000  # type: ignore[misc]
                elif kind == 3:
                    assert db.call("bank.total") == 1000
                    db.wait_durable(timeout_s=WAIT_S)
                elif kind == 4 and dice.random() < 0.2:
                    db.install(bank_wasm)
                else:
                    [outcome] = db.call_many("bank.transfer", [(a, (a + 1) % 10, 1)])
                    lsns[number] += [outcome.lsn] if outcome.ok else []

        with ThreadPoolExecutor(8) as pool:
            for done in [pool.submit(work, number) for number in range(8)]:
                done.result(60)
        assert sorted(lsn for each in lsns for lsn in each) == list(range(first + 1, db.lsn + 1))
        assert all(each == sorted(each) for each in lsns)
        db.verify()
        assert db.call("bank.total") == 1000
        lsn, state = db.lsn, db.state_hash
    with reifydb.open(folder, options=SMALL) as db:
        db.verify()
        assert (db.lsn, db.state_hash) == (lsn, state)


def test_threads_that_make_tables_at_once_give_each_its_own_number(folder: Path) -> None:
    with reifydb.open(folder, options=SMALL) as db:

        def work(number: int) -> None:
            for i in range(20):
                db.execute(f"create table t_{number}_{i} (id int primary key)")
                db.execute("create table if not exists shared (id int primary key)")
                with db.transaction() as tx:
                    tx.insert(f"t_{number}_{i}", {"id": number})

        with ThreadPoolExecutor(4) as pool:
            for done in [pool.submit(work, number) for number in range(4)]:
                done.result(60)
        numbers = [table.number for table in db.tables.values()]
        assert len(set(numbers)) == len(numbers) == 3 + 80 + 1
        db.verify()
    with reifydb.open(folder, options=SMALL) as db:
        for number in range(4):
            for i in range(20):
                assert [r["id"] for r in db.scan(f"t_{number}_{i}")] == [number]


def test_others_wait_for_an_open_transaction(db: reifydb.Database) -> None:
    end, joined = held(db)
    waiting = [
        in_thread(lambda: db.call("bank.balance", 1)),
        in_thread(lambda: db.count("note")),
        in_thread(lambda: list(db.scan("account", limit=1))),
        in_thread(lambda: db.call_many("bank.balance", [(1,)]).results()),
        in_thread(lambda: db.verify()),
    ]
    time.sleep(0.05)
    began = time.monotonic()
    end.set()
    joined()
    assert [wait() for wait in waiting[:2]] == [100, 1]
    for wait in waiting[2:]:
        wait()
    assert time.monotonic() - began < 30, "every one of them is woken"


def test_waiting_for_a_transaction_has_a_limit() -> None:
    with open_with(engine_wait_ms_max=30) as db:
        db.execute("create table note (id int primary key auto_increment, body text)")
        end, joined = held(db)
        for use in (
            lambda: db.count("note"),
            lambda: db.scan("note"),
            lambda: db.execute("create table t (id int primary key)"),
            lambda: db.transaction().begin(),
        ):
            with pytest.raises(reifydb.BusyError, match="engine_wait_ms_max") as caught:
                use()
            assert "0.03 s" in str(caught.value)
        end.set()
        joined()
        assert db.count("note") == 1
        assert set(db.tables) == {"note"}


def test_a_forgotten_transaction_is_rolled_back_by_whoever_waits() -> None:
    with open_with(transaction_ms_max=60) as db:
        db.execute("create table note (id int primary key auto_increment, body text)")
        state = db.state_hash
        end, joined = held(db)
        began = time.monotonic()
        assert db.count("note") == 0
        assert 0.02 < time.monotonic() - began < 30
        assert db.state_hash == state
        with db.transaction() as tx:
            tx.insert("note", {"body": "mine"})
        end.set()
        with pytest.raises(reifydb.ClosedError, match="transaction_ms_max"):
            joined()
        assert [row["body"] for row in db.scan("note")] == ["mine"]


def test_closing_ends_another_threads_transaction(db: reifydb.Database) -> None:
    end, joined = held(db)
    waiting = [
        in_thread(lambda: db.count("note")),
        in_thread(lambda: db.call("bank.transfer", 1, 2, 3)),
        in_thread(lambda: db.transaction(query=True).begin()),
    ]
    time.sleep(0.05)
    db.close()
    end.set()
    for wait in (joined, *waiting):
        with pytest.raises(reifydb.ClosedError):
            wait()


def test_closing_rolls_back_the_own_transaction(folder: Path) -> None:
    db = reifydb.open(folder, options=SMALL)
    tx = db.transaction()
    tx.begin()
    tx.insert("note", {"body": "gone"})
    db.close()
    with pytest.raises(reifydb.ClosedError):
        tx.insert("note", {})
    with pytest.raises(reifydb.ClosedError):
        tx.commit()
    with reifydb.open(folder, options=SMALL) as db:
        assert db.count("note") == 0
    closed = pytest.raises(reifydb.ClosedError, match="the database is closed")
    with closed, reifydb.open(folder, options=SMALL) as db, db.transaction() as tx:
        tx.insert("note", {"body": "gone"})
        db.close()


def test_closing_while_threads_work_keeps_what_they_were_told(folder: Path) -> None:
    for number in range(4):
        db = reifydb.open(folder, options=SMALL)
        told = [db.lsn] * 4
        stopped: list[str] = []

        def work(
            me: int,
            db: reifydb.Database = db,
            told: list[int] = told,
            stopped: list[str] = stopped,
        ) -> None:
            try:
                while True:
                    if me == 0:
                        told[me] = db.call_many("bank.transfer", [(1, 2, 1), (2, 1, 1)] * 50)[
                            -1
                        ].lsn
                    elif me == 1:
                        with db.transaction() as tx:
                            tx.insert("note", {})
                        told[me] = tx.lsn or 0
                    elif me == 2:
                        told[me] = db.call_many("bank.transfer", [(3, 4, 1), (4, 3, 1)])[-1].lsn
                        db.wait_durable(told[me])
                    else:
                        assert db.call("bank.total") == 1000
            except reifydb.ClosedError as error:
                stopped.append(str(error))

        threads = [threading.Thread(target=work, args=(me,)) for me in range(4)]
        for thread in threads:
            thread.start()
        time.sleep(0.05 + 0.01 * number)
        closing = [in_thread(db.close), in_thread(db.close)]
        for wait in closing:
            wait()
        for thread in threads:
            thread.join(WAIT_S)
        assert len(stopped) == 4
        assert set(stopped) == {"the database is closed"}
        with reifydb.open(folder, options=SMALL) as db:
            db.verify()
            assert db.lsn >= max(told)
            assert db.call("bank.total") == 1000


def test_the_errors_of_a_closed_database_do_not_grow(db: reifydb.Database) -> None:
    db.close()
    depths = []
    for _ in range(50):
        with pytest.raises(reifydb.ClosedError) as caught:
            db.count("note")
        depths.append(len(caught.traceback))
    assert len(set(depths)) == 1


# ------------------------------------------------------------------ durability


def test_waiting_until_durable(folder: Path) -> None:
    with reifydb.open(folder, options=SMALL) as db:
        seen = [db.durable_lsn]
        for _ in range(200):
            db.call("bank.transfer", 1, 2, 1) if db.call("bank.balance", 1) else None
            seen.append(db.durable_lsn)
        assert seen == sorted(seen)
        assert seen[-1] <= db.lsn
        db.wait_durable(timeout_s=WAIT_S)
        assert db.durable_lsn == db.lsn
        db.wait_durable(0)
        db.wait_durable(db.lsn, 0)
        db.call("bank.transfer", 2, 1, 1)
        db.flush()
        assert db.durable_lsn == db.lsn
        assert db.durability_lag.commits == 0
        with pytest.raises(reifydb.RequestError, match=f"no lsn {db.lsn + 1} yet; the last is"):
            db.wait_durable(db.lsn + 1)
        for wrong in ("3", 1.5, [1]):
            with pytest.raises(reifydb.RequestError, match="an lsn is a number"):
                db.wait_durable(wrong)  # type: ignore[arg-type]


def test_waiting_until_durable_has_a_timeout(folder: Path) -> None:
    options = reifydb.Options(
        reserve_bytes=0, flush_interval_ms=60_000, durability_lag_ms_max=120_000
    )
    with reifydb.open(folder, options=options) as db:
        db.call("bank.transfer", 1, 2, 1)
        began = time.monotonic()
        with pytest.raises(reifydb.WaitTimeoutError, match=f"lsn {db.lsn} is not durable yet"):
            db.wait_durable(timeout_s=0.05)
        assert 0.04 < time.monotonic() - began < 30
        with pytest.raises(reifydb.WaitTimeoutError):
            db.wait_durable(timeout_s=0)
        waiting = [in_thread(lambda: db.wait_durable()) for _ in range(3)]
        time.sleep(0.02)
        db.flush()
        for wait in waiting:
            wait()
        db.wait_durable(timeout_s=0)


def test_closing_makes_durable_what_others_wait_for(folder: Path) -> None:
    options = reifydb.Options(
        reserve_bytes=0, flush_interval_ms=60_000, durability_lag_ms_max=120_000
    )
    db = reifydb.open(folder, options=options)
    db.call("bank.transfer", 1, 2, 1)
    wait = in_thread(lambda: db.wait_durable())
    time.sleep(0.02)
    db.close()
    wait()


# ------------------------------------------------------------------ fork


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_a_forked_child_is_refused_and_the_parent_is_unharmed(folder: Path) -> None:
    db = reifydb.open(folder, options=SMALL)
    scan = db.scan("account")
    tx = db.transaction()
    tx.begin()
    tx.insert("note", {"body": "the parent's"})
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        said = []
        try:
            for use in (
                lambda: db.count("account"),
                lambda: db.call("bank.transfer", 1, 2, 3),
                lambda: db.call_many("bank.transfer", [(1, 2, 3)]),
                lambda: db.execute("create table t (id int primary key)"),
                lambda: db.transaction().begin(),
                lambda: tx.insert("note", {}),
                lambda: tx.commit(),
                lambda: db.lsn,
                lambda: db.wait_durable(1),
                lambda: db.flush(),
                lambda: db.verify(),
            ):
                try:
                    use()
                    said.append("nothing")
                except reifydb.ForkedError:
                    said.append("forked")
                except BaseException as error:
                    said.append(f"{type(error).__name__}: {error}")
            db.close()
            try:
                reifydb.open(folder, options=SMALL)
            except reifydb.LockedError:
                said.append("locked")
            os.write(writer, ",".join(said).encode())
        finally:
            os._exit(0)
    os.close(writer)
    with open(reader) as pipe:
        assert pipe.read() == ",".join(["forked"] * 11 + ["locked"])
    assert os.waitpid(child, 0)[1] == 0
    tx.insert("note", {"body": "and more"})
    tx.commit()
    assert len(list(scan)) == 10
    assert db.call("bank.transfer", 1, 2, 3) == 97
    db.wait_durable(timeout_s=WAIT_S)
    db.verify()
    lsn = db.lsn
    db.close()
    with reifydb.open(folder, options=SMALL) as db:
        assert db.lsn == lsn
        assert db.count("note") == 2
