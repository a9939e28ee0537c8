"""Interactive transactions: rows, scans, savepoints of nested calls, and every way to end."""

from __future__ import annotations

import gc
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest

import reifydb
from tests.guests.databases import no_trace, open_with, zig_guest

Change = Callable[[reifydb.Transaction], object]


# ------------------------------------------------------------------ rows


def test_a_row_is_inserted_read_updated_upserted_and_deleted(db: reifydb.Database) -> None:
    lsn = db.lsn
    with db.transaction() as tx:
        assert tx.insert("account", {"id": 77, "owner": "ada", "balance": 0}) == 77
        assert tx.get("account", 77) == {"id": 77, "owner": "ada", "balance": 0}
        tx.update("account", {"id": 77, "balance": 5})
        assert tx.get("account", 77) == {"id": 77, "owner": "ada", "balance": 5}
        tx.upsert("account", {"id": 77, "owner": "eve", "balance": 6})
        tx.upsert("account", {"id": 78, "owner": "new", "balance": 7})
        assert tx.count("account") == 12
        assert tx.delete("account", 78) is True
        assert tx.delete("account", 78) is False
        assert tx.get("account", 78) is None
        assert tx.lsn is None
    assert tx.lsn == db.lsn == lsn + 1
    assert db.get("account", 77) == {"id": 77, "owner": "eve", "balance": 6}
    assert db.get("account", 78) is None


def test_defaults_and_auto_increment(db: reifydb.Database) -> None:
    with db.transaction() as tx:
        assert tx.insert("note", {}) == 1
        assert tx.insert("note", {"body": "two"}) == 2
        assert tx.insert("note", {"id": 10, "mark": None}) == 10
        assert tx.insert("note", {"id": None}) == 11
        assert tx.delete("note", 11)
        assert tx.insert("note", {"mark": 5}) == 12
        assert tx.insert_many("note", [{"body": "a"}, {"mark": 1}, {}, {"id": 20}]) == 4
    rows = {row["id"]: (row["body"], row["mark"]) for row in db.scan("note")}
    assert list(rows) == [1, 2, 10, 12, 13, 14, 15, 20]
    assert rows.pop(2) == ("two", None)
    assert rows.pop(12) == ("empty", 5)
    assert rows.pop(13) == ("a", None)
    assert rows.pop(14) == ("empty", 1)
    assert set(rows.values()) == {("empty", None)}
    with db.transaction() as tx:
        assert tx.insert("place", {"town": "b", "street": "x", "number": 1}) == ("b", "x", 1)
    row = db.get("place", ("b", "x", 1))
    assert row is not None
    assert list(row.items()) == [("town", "b"), ("street", "x"), ("number", 1), ("people", 1)]


def test_numbers_of_a_rolled_back_transaction_are_given_out_again(db: reifydb.Database) -> None:
    with no_trace(db), pytest.raises(KeyError), db.transaction() as tx:  # noqa: PT012
        assert tx.insert("note", {}) == 1
        raise KeyError
    with db.transaction() as tx:
        assert tx.insert("note", {}) == 1


def test_many_rows_are_changed_together(db: reifydb.Database) -> None:
    with db.transaction() as tx:
        assert tx.insert_many("note", [{"id": i, "body": f"{i}"} for i in range(1, 1001)]) == 1000
        assert tx.update_many("note", [{"id": i, "mark": i} for i in range(1, 11)]) == 10
        assert tx.update_many("note", [{"id": 11, "mark": 1}, {"body": "x", "id": 12}]) == 2
        assert tx.upsert_many("note", [{"id": 1, "body": "u"}, {"id": 2000, "body": "v"}]) == 2
        assert tx.delete_many("note", range(500, 600)) == 100
        assert tx.delete_many("note", [1, 1, 5000]) == 1
        assert tx.insert_many("note", iter([])) == tx.delete_many("note", []) == 0
        assert tx.insert_many("note", ({"id": i} for i in (3000, 3001))) == 2
    assert db.count("note") == 1000 + 1 - 100 - 1 + 2
    assert db.get("note", 12) == {"id": 12, "body": "x", "mark": None}


def test_many_rows_may_come_from_the_same_transaction(db: reifydb.Database) -> None:
    with db.transaction() as tx:
        owners = ({"body": row["owner"]} for row in tx.scan("account"))
        assert tx.insert_many("note", owners) == 10
        assert tx.delete_many("note", (row["id"] for row in tx.scan("note", limit=4))) == 4
        marks = ({"id": row["id"], "mark": tx.count("note")} for row in tx.scan("note"))
        assert tx.update_many("note", marks) == 6
    assert {row["mark"] for row in db.scan("note")} == {6}


def test_a_refused_operation_changes_nothing_and_the_transaction_goes_on(
    db: reifydb.Database,
) -> None:
    many = [{"id": 50 + i, "owner": "x", "balance": 0} for i in range(20)]
    refused: list[Change] = [
        lambda tx: tx.insert("account", {"id": 1, "owner": "x", "balance": 0}),
        lambda tx: tx.insert("account", {"id": 50, "balance": 0}),
        lambda tx: tx.insert_many("account", [*many, many[0]]),
        lambda tx: tx.insert_many("account", [*many, {"id": 3, "owner": "x", "balance": 0}]),
        lambda tx: tx.insert_many("account", [*many, {"owner": "x", "id": 3, "balance": 0}]),
        lambda tx: tx.insert_many("account", [*many, {"id": 80, "owner": "x"}]),
        lambda tx: tx.insert_many("account", [*many, {"id": 80, "owner": 7, "balance": 0}]),
        lambda tx: tx.update_many("account", [{"id": 1, "balance": 0}, {"id": 99, "balance": 0}]),
        lambda tx: tx.update_many("account", [{"id": 1, "balance": 0}, {"id": 99, "owner": "x"}]),
        lambda tx: tx.upsert_many("account", [{"id": 1, "balance": 0}, {"id": 99, "owner": "x"}]),
        lambda tx: tx.delete_many("account", [1, 2, "x"]),
    ]
    with db.transaction() as tx:
        tx.insert("note", {"body": "kept"})
        for change in refused:
            with pytest.raises(reifydb.ReifyDBError):
                change(tx)
            assert tx.count("account") == 10
            assert sum(row["balance"] for row in tx.scan("account")) == 1000  # type: ignore[misc]
    assert db.count("note") == 1
    assert db.count("account") == 10


def test_a_transaction_that_changes_nothing_takes_no_lsn(db: reifydb.Database) -> None:
    with no_trace(db):
        with db.transaction() as tx:
            tx.get("account", 1)
            tx.update("account", {"id": 1, "balance": 100})
            tx.insert("account", {"id": 99, "owner": "x", "balance": 0})
            tx.delete("account", 99)
        assert tx.lsn is None


def test_a_read_only_transaction_refuses_writes(db: reifydb.Database) -> None:
    changes: list[Change] = [
        lambda tx: tx.insert("note", {}),
        lambda tx: tx.update("account", {"id": 1, "balance": 1}),
        lambda tx: tx.upsert("account", {"id": 1, "balance": 1}),
        lambda tx: tx.delete("account", 1),
        lambda tx: tx.insert_many("note", [{}, {"mark": 1}]),
        lambda tx: tx.call("bank.transfer", 1, 2, 3),
    ]
    with no_trace(db), db.transaction(query=True) as tx:
        for change in changes:
            with pytest.raises(reifydb.ReadOnlyError, match="may only read"):
                change(tx)
        assert tx.call("bank.balance", 1) == 100
        assert tx.count("account") == 10


# ------------------------------------------------------------------ scans


@pytest.fixture
def places(db: reifydb.Database) -> reifydb.Database:
    with db.transaction() as tx:
        tx.insert_many(
            "place",
            [{"town": t, "street": s, "number": n} for t in "abc" for s in "xyz" for n in (1, 2)],
        )
    return db


ALL = [(t, s, n) for t in "abc" for s in "xyz" for n in (1, 2)]


def keys(rows: Iterator[dict[str, object]]) -> list[object]:
    return [(row["town"], row["street"], row["number"]) for row in rows]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, ALL),
        ({"lower": "b"}, ALL[6:]),
        ({"lower": ("b",)}, ALL[6:]),
        ({"lower": ["b"]}, ALL[6:]),
        ({"upper": "b"}, ALL[:12]),
        ({"lower": "b", "upper": "b"}, ALL[6:12]),
        ({"lower": "b", "lower_exclusive": True}, ALL[12:]),
        ({"upper": "b", "upper_exclusive": True}, ALL[:6]),
        ({"lower": ("b", "y"), "upper": ("b", "y")}, ALL[8:10]),
        ({"lower": ("b", "y"), "lower_exclusive": True}, ALL[10:]),
        ({"lower": ("b", "y", 1), "upper": ("b", "y", 1)}, ALL[8:9]),
        ({"lower": ("b", "y", 1), "lower_exclusive": True, "upper": "b"}, ALL[9:12]),
        ({"lower": ("b", "y", 9)}, ALL[10:]),
        ({"lower": "c", "upper": "a"}, []),
        ({"lower": "b", "upper": "b", "upper_exclusive": True}, []),
        ({"lower": "bb", "upper": "bbb"}, []),
        ({"limit": 4}, ALL[:4]),
        ({"limit": 1000}, ALL),
        ({"limit": 0}, []),
        ({"limit": None}, ALL),
        ({"lower": "b", "limit": 2}, ALL[6:8]),
    ],
)
def test_scans_have_bounds_limits_and_directions(
    places: reifydb.Database, options: dict[str, Any], expected: list[object]
) -> None:
    assert keys(places.scan("place", **options)) == expected
    limit = options.pop("limit", None)
    whole = keys(places.scan("place", **options))
    backwards = whole[::-1] if limit is None else whole[::-1][:limit]
    assert keys(places.scan("place", **options, limit=limit, reverse=True)) == backwards
    with places.transaction(query=True) as tx:
        assert keys(tx.scan("place", **options, limit=limit)) == expected
        assert keys(tx.scan("place", **options, limit=limit, reverse=True)) == backwards


def test_a_scan_finds_what_is_written_ahead_of_it(db: reifydb.Database) -> None:
    with db.transaction() as tx:
        assert list(tx.scan("note")) == []
        seen: list[object] = []
        tx.insert_many("note", [{"id": i, "body": "x" * 1000} for i in range(1, 301)])
        for row in tx.scan("note"):
            number = row["id"]
            assert isinstance(number, int)
            seen.append(number)
            if number <= 300:
                tx.insert("note", {"id": number + 1000})
            tx.delete("note", number)
        assert tx.count("note") == 0
    assert seen == [*range(1, 301), *range(1001, 1301)]


def test_a_scan_of_the_database_is_of_one_moment(db: reifydb.Database) -> None:
    rows = db.scan("account")
    next(rows)
    for _ in range(5):
        db.call("bank.transfer", 5, 6, 10)
    db.call("bank.open", 70, "new", 0)
    assert [row["balance"] for row in rows] == [100] * 9


def test_scans_that_nobody_reads_to_the_end_use_nothing_up(db: reifydb.Database) -> None:
    with db.transaction() as tx:
        for _ in range(500):
            assert next(tx.scan("account"))["id"] == 0
        kept = [tx.scan("account") for _ in range(60)]
        assert [next(rows)["id"] for rows in kept] == [0] * 60
        for rows in kept:
            rows.close()  # type: ignore[attr-defined]
        assert len(list(tx.scan("account"))) == 10


def test_too_many_scans_at_a_time_are_refused(db: reifydb.Database) -> None:
    with db.transaction() as tx:
        kept = []
        with pytest.raises(reifydb.TransactionLimitError, match="cursors"):  # noqa: PT012
            for _ in range(100):
                kept.append(tx.scan("account"))
                next(kept[-1])
        assert len(kept) >= 64
        del kept
        assert len(list(tx.scan("account"))) == 10


def test_an_abandoned_scan_may_be_collected_in_the_middle_of_an_operation(
    db: reifydb.Database,
) -> None:
    class Collecting(Mapping[str, object]):
        def __getitem__(self, name: str) -> object:
            return {"body": "x"}[name]

        def __iter__(self) -> Iterator[str]:
            gc.collect()
            return iter(["body"])

        def __len__(self) -> int:
            return 1

    began = time.monotonic()
    with db.transaction() as tx:
        rows = tx.scan("account")
        next(rows)
        cycle: list[object] = [rows]
        cycle.append(cycle)
        del rows, cycle
        tx.insert("note", Collecting())
    assert time.monotonic() - began < 30
    assert db.count("note") == 1


def test_a_scan_ends_with_its_transaction(db: reifydb.Database) -> None:
    with db.transaction() as tx:
        fresh, begun = tx.scan("account"), tx.scan("account")
        next(begun)
    with pytest.raises(reifydb.ClosedError, match="committed"):
        next(fresh)
    for _ in range(9):
        next(begun)  # these had been fetched
    with pytest.raises(reifydb.ClosedError, match="committed"):
        next(begun)


# ------------------------------------------------------------------ nested calls


def test_a_nested_call_that_fails_undoes_only_itself(db: reifydb.Database) -> None:
    db.install(zig_guest("misbehave"), apply_schema=True, limits=None)

    @db.transition
    def fails(tx: reifydb.Transaction) -> None:
        tx.insert("note", {"body": "undone"})
        tx.call("bank.transfer", 1, 2, 10)
        raise LookupError

    @db.transition
    def outer(tx: reifydb.Transaction) -> str:
        tx.insert("note", {"body": "outer"})
        with pytest.raises(LookupError):
            tx.call("fails")
        return "done"

    with db.transaction() as tx:
        tx.insert("note", {"body": "first"})
        assert tx.call("bank.transfer", 3, 4, 10) == 90
        assert tx.call("bank.transfer", source=3, target=4, amount=5) == 85
        with pytest.raises(reifydb.AbortedError, match="insufficient_funds"):
            tx.call("bank.transfer", 3, 4, 1000)
        with pytest.raises(reifydb.TrappedError):
            tx.call("misbehave.trap", 1, 2)
        with pytest.raises(LookupError):
            tx.call("fails")
        assert tx.call("outer") == "done"
        with pytest.raises(reifydb.UnknownNameError):
            tx.call("bank.nothing")
        with pytest.raises(reifydb.RequestError):
            tx.call("bank.transfer", 1)
        with pytest.raises(reifydb.WrongTypeError):
            tx.call("bank.transfer", 1, 2, "x")
        assert tx.count("victim") == 0
    assert [row["body"] for row in db.scan("note")] == ["first", "outer"]
    assert [db.call("bank.balance", i) for i in (1, 2, 3, 4)] == [100, 100, 85, 115]


def test_a_nested_call_past_its_deadline_undoes_only_itself() -> None:
    with open_with(zig_guest("misbehave"), deadline_ms=20) as db:
        with db.transaction() as tx:
            tx.insert("victim", {"id": 500, "n": 1})
            with pytest.raises(reifydb.DeadlineError):
                tx.call("misbehave.loop_of_writes", 1, 2)
        assert [row["id"] for row in db.scan("victim")] == [500]
        db.verify()


def test_calls_nested_too_deeply_are_refused(db: reifydb.Database) -> None:
    @db.transition
    def deeper(tx: reifydb.Transaction) -> object:
        tx.insert("note", {})
        return tx.call("deeper")

    with no_trace(db), pytest.raises(reifydb.LimitError, match="nested too deeply"):
        db.call("deeper")
    with db.transaction() as tx:
        with pytest.raises(reifydb.LimitError):
            tx.call("deeper")
        tx.insert("note", {"body": "kept"})
    assert [row["body"] for row in db.scan("note")] == ["kept"]


def test_a_parameter_may_have_any_name(db: reifydb.Database) -> None:
    @db.transition
    def odd(tx: reifydb.Transaction, *, transition: int, self: int) -> int:
        return transition + self

    assert db.call("odd", transition=1, self=2) == 3
    with db.transaction() as tx:
        assert tx.call("odd", transition=1, self=2) == 3


# ------------------------------------------------------------------ ends


def test_an_exception_rolls_back_and_is_passed_on(db: reifydb.Database) -> None:
    with no_trace(db), pytest.raises(KeyError, match="mine"), db.transaction() as tx:  # noqa: PT012
        tx.insert("note", {})
        raise KeyError("mine")
    with no_trace(db), pytest.raises(KeyboardInterrupt), db.transaction() as tx:  # noqa: PT012
        tx.insert("note", {})
        raise KeyboardInterrupt
    assert db.call("bank.transfer", 1, 2, 3) == 97


def test_a_block_may_end_its_transaction_itself(db: reifydb.Database) -> None:
    with no_trace(db), db.transaction() as tx:
        tx.insert("note", {})
        tx.rollback()
    with db.transaction() as tx:
        tx.insert("note", {})
        tx.commit()
        assert tx.lsn == db.lsn
    assert db.count("note") == 1


def test_after_its_end_a_transaction_says_how_it_ended(db: reifydb.Database) -> None:
    uses: list[Change] = [
        lambda tx: tx.get("note", 1),
        lambda tx: tx.count("note"),
        lambda tx: tx.scan("note"),
        lambda tx: tx.insert("note", {}),
        lambda tx: tx.insert_many("note", [{}]),
        lambda tx: tx.delete("note", 1),
        lambda tx: tx.call("bank.balance", 1),
        lambda tx: tx.commit(),
        lambda tx: tx.rollback(),
    ]
    with db.transaction() as committed:
        committed.insert("note", {})
    rolled_back = db.transaction()
    rolled_back.begin()
    rolled_back.rollback()
    for tx, how in (
        (committed, "has ended: committed"),
        (rolled_back, "has ended: rolled back"),
    ):
        for use in uses:
            with no_trace(db), pytest.raises(reifydb.ClosedError, match=how):
                use(tx)
    for use in uses:
        with no_trace(db), pytest.raises(reifydb.ClosedError, match="not begun"):
            use(db.transaction())


def test_begin_twice_is_refused(db: reifydb.Database) -> None:
    with db.transaction() as tx:
        with pytest.raises(reifydb.RequestError, match="begun already"):
            tx.begin()
        tx.insert("note", {})
    assert db.count("note") == 1


def test_a_transaction_can_be_begun_again_after_its_end(db: reifydb.Database) -> None:
    tx = db.transaction()
    for number in range(3):
        with tx:
            tx.insert("note", {})
        assert tx.lsn == db.lsn
        assert db.count("note") == number + 1


def test_the_database_refuses_the_thread_that_has_a_transaction_open(
    db: reifydb.Database, bank_wasm: bytes
) -> None:
    uses: list[Callable[[], object]] = [
        lambda: db.call("bank.transfer", 1, 2, 3),
        lambda: db.call_many("bank.transfer", [(1, 2, 3)]),
        lambda: db.call_packed("bank.transfer", bytes(48)),
        lambda: db.call("mine"),
        lambda: db.get("account", 1),
        lambda: db.count("account"),
        lambda: db.scan("account"),
        lambda: db.execute("create table t (id int primary key)"),
        lambda: db.install(bank_wasm),
        lambda: db.remove("bank"),
        lambda: db.verify(),
        lambda: db.transaction().begin(),
    ]
    db.transition(name="mine")(lambda tx: db.count("note"))
    with db.transaction() as tx:
        tx.insert("note", {})
        for use in uses:
            with pytest.raises(reifydb.ReentrantError, match="methods of the transaction"):
                use()
        # What needs no turn is answered.
        db.wait_durable()
        assert db.lsn == db.durable_lsn
        assert len(db.state_hash) == 16
        assert "bank" in db.modules
    assert db.count("note") == 1
    with pytest.raises(reifydb.ReentrantError):
        db.call("mine")


def test_a_transaction_is_for_the_thread_that_opened_it(db: reifydb.Database) -> None:
    said: list[BaseException] = []

    def use(tx: reifydb.Transaction) -> None:
        for operation in (
            lambda: tx.insert("note", {}),
            lambda: list(tx.scan("note")),
            lambda: tx.commit(),
            lambda: tx.call("bank.balance", 1),
        ):
            try:
                operation()
            except reifydb.RequestError as error:
                said.append(error)

    with db.transaction() as tx:
        tx.insert("note", {})
        thread = threading.Thread(target=use, args=(tx,))
        thread.start()
        thread.join()
        assert tx.count("note") == 1
    assert len(said) == 4
    assert {str(error) for error in said} == {"the transaction belongs to another thread"}


def test_a_transaction_that_is_too_old_says_so_and_is_rolled_back() -> None:
    with open_with(transaction_ms_max=30) as db:
        db.execute("create table note (id int primary key)")
        with (  # noqa: PT012
            no_trace(db),
            pytest.raises(reifydb.TransactionError, match="transaction_ms_max"),
            db.transaction() as tx,
        ):
            tx.insert("note", {"id": 1})
            time.sleep(0.04)
            tx.insert("note", {"id": 2})
        with (  # noqa: PT012
            no_trace(db),
            pytest.raises(reifydb.TransactionError, match="open for more than 30 ms"),
            db.transaction() as tx,
        ):
            tx.insert("note", {"id": 1})
            time.sleep(0.04)
        with pytest.raises(KeyError), db.transaction() as tx:  # noqa: PT012
            time.sleep(0.04)
            raise KeyError
        with no_trace(db), pytest.raises(reifydb.ClosedError, match="transaction_ms_max"):
            tx.count("note")
        with db.transaction() as tx:
            tx.insert("note", {"id": 3})


def test_a_schema_change_that_is_too_slow_is_all_or_nothing() -> None:
    """Whoever waits may roll back what is too old, but not in the middle of a turn."""
    with open_with(transaction_ms_max=0.0) as db:
        for number in range(20):
            before = db.state_hash, db.lsn, set(db.tables)
            try:
                db.execute(f"create table t{number} (id int primary key)")
            except reifydb.TransactionError:
                assert (db.state_hash, db.lsn, set(db.tables)) == before
            else:
                assert f"t{number}" in db.tables
                assert db.lsn == before[1] + 1
            db.verify()


def test_a_row_of_the_first_columns_without_its_key_is_inserted_not_updated() -> None:
    """The columns given are the table's first ones in its order, and the key is not among them."""
    with reifydb.open(":memory:") as db:
        db.execute("create table t (a bool, b int, id int primary key auto_increment)")
        with db.transaction() as tx:
            tx.upsert("t", {"id": 0, "b": 1})
        with db.transaction() as tx:
            tx.upsert("t", {"a": True, "b": 2})
        assert [(row["id"], row["b"]) for row in db.scan("t")] == [(0, 1), (1, 2)]
        db.verify()
