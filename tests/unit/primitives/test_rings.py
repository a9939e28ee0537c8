"""Rings: the last rows of each part, and views of them."""

from __future__ import annotations

import pytest

import reifydb


@pytest.fixture
def db() -> reifydb.Database:
    db = reifydb.open(":memory:")
    db.execute("create ring trade (price decimal(6,2), qty int not null) per (s text) capacity 3")
    return db


def test_it_keeps_the_last_of_each_part(db: reifydb.Database) -> None:
    ring = db.ring("trade")
    assert [ring.push("a", i, i) for i in range(1, 6)] == [1, 2, 3, 4, 5]
    assert ring.push(s="b", price=None, qty=9) == 1
    assert (ring.length("a"), ring.length("b"), ring.length("c")) == (3, 1, 0)
    assert [row["qty"] for row in ring.last("a", 2)] == [5, 4]
    assert [row["seq"] for row in ring.last("a", 10)] == [5, 4, 3]
    assert (ring.last("a", 0), ring.last("c", 5)) == ([], [])
    assert ring.clear("a") == 3
    assert ring.push("a", 1, 1) == 1
    db.verify()


def test_eviction_is_a_delete_that_views_and_subscribers_see(db: reifydb.Database) -> None:
    db.execute("create view volume as select s, sum(qty) as q, count(*) as n from trade group by s")
    with db.subscribe("trade") as changes:
        assert changes.get(0).rows == []
        for i in range(1, 5):
            db.call("trade.push", "a", None, i)
        deltas = [changes.get(0) for _ in range(4)]
        assert sorted((c.op, c.key[1]) for c in deltas[3].changes) == [("delete", 1), ("insert", 4)]
    assert db.query("select s, q, n from volume").tuples == [("a", 9, 3)]
    db.verify()


def test_a_push_that_is_undone_evicts_nothing(db: reifydb.Database) -> None:
    for i in range(3):
        db.call("trade.push", "a", None, i)
    before = db.state_hash
    with db.transaction() as tx:
        for i in range(5):
            tx.ring("trade").push("a", None, i)
        assert [row["seq"] for row in tx.ring("trade").last("a", 9)] == [8, 7, 6]
        assert tx.ring("trade").length("a") == 3
        with pytest.raises(reifydb.WrongTypeError):
            tx.call("trade.push", "a", 1, None)
        tx.rollback()
    assert db.state_hash == before
    assert [row["seq"] for row in db.ring("trade").last("a", 9)] == [3, 2, 1]
    db.verify()


@pytest.mark.parametrize("args", [(), ("a",), ("a", "b", 3), ("a", True), ("a", 1.5)])
def test_wrong_arguments_of_last(db: reifydb.Database, args: tuple[object, ...]) -> None:
    with pytest.raises(reifydb.RequestError, match="1 values of the part, and a count"):
        db.ring("trade").last(*args)


def test_a_part_too_long_for_a_key_is_refused(db: reifydb.Database) -> None:
    for operation, args in (("push", ("x" * 2000, None, 1)), ("length", ("x" * 2000,))):
        with pytest.raises(reifydb.TransactionLimitError, match="key_bytes_max"):
            db.call(f"trade.{operation}", *args)
    db.verify()
