"""Subscriptions, as a script for each promise. `test_subscriptions_edges.py` goes further."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

import reifydb
from reifydb import Change, Delta, Position, Snapshot


@pytest.fixture
def db() -> Iterator[reifydb.Database]:
    """Two tables; `t` has the rows 1 and 2."""
    with reifydb.open(":memory:") as db:
        db.execute("""
            create table t (id int primary key, v int, s text default 's');
            create table pair (a text, b int, primary key (b, a))
        """)
        with db.transaction() as tx:
            tx.insert_many("t", [{"id": 2, "v": 20}, {"id": 1, "v": 10}])
        yield db
        db.verify()


def deltas(changes: reifydb.Changes) -> list[Any]:
    """All that has come."""
    found = []
    while (item := changes.get(timeout_s=0)) is not None:
        found.append(item)
    return found


def test_first_comes_a_snapshot_then_a_delta_for_each_commit(db: reifydb.Database) -> None:
    with db.subscribe("t") as changes:
        first = changes.get()
        rows = [{"id": 1, "v": 10, "s": "s"}, {"id": 2, "v": 20, "s": "s"}]
        assert first == Snapshot(db.position, rows)
        assert changes.get(timeout_s=0) is None
        with db.transaction() as tx:
            tx.insert("t", {"id": 3, "v": 30})
            tx.update("t", {"id": 2, "v": 21})
            tx.delete("t", 1)
        with db.transaction() as tx:
            tx.upsert("t", {"id": 1, "s": None})
        one, two = deltas(changes)
        assert (one.previous_lsn, one.position) == (first.position.lsn, Position(1, db.lsn - 1))
        assert (two.previous_lsn, two.position) == (db.lsn - 1, db.position)
        assert sorted(one.changes, key=lambda change: change.key) == [
            Change("delete", 1, None),
            Change("update", 2, {"id": 2, "v": 21, "s": "s"}),
            Change("insert", 3, {"id": 3, "v": 30, "s": "s"}),
        ]
        assert two.changes == [Change("insert", 1, {"id": 1, "v": None, "s": None})]
        assert changes.position == db.position


def test_a_commit_is_one_change_a_key_however_often_it_changed(db: reifydb.Database) -> None:
    with db.subscribe("t") as changes:
        changes.get()
        with db.transaction() as tx:
            tx.update("t", {"id": 1, "v": 11})
            tx.delete("t", 1)
            tx.insert("t", {"id": 1, "v": 12})
            tx.insert("t", {"id": 3, "v": 1})
            tx.update("t", {"id": 3, "v": 2})
            tx.insert("t", {"id": 4})
            tx.delete("t", 4)
            tx.update("t", {"id": 2, "v": 21})
            tx.delete("t", 2)
        [delta] = deltas(changes)
        found = {
            change.key: (change.op, change.row and change.row["v"]) for change in delta.changes
        }
        assert found == {1: ("update", 12), 2: ("delete", None), 3: ("insert", 2)}
        assert len(delta.changes) == 3


def test_what_changes_nothing_of_the_table_is_no_delta(db: reifydb.Database) -> None:
    with db.subscribe("t") as changes:
        changes.get()
        with db.transaction() as tx:
            tx.insert("pair", {"a": "x", "b": 1})
        with db.transaction() as tx:
            tx.update("t", {"id": 1, "v": 10})
            tx.insert("t", {"id": 9})
            tx.delete("t", 9)
        with db.transaction() as tx:
            tx.delete("t", 1)
            tx.rollback()
        with db.transaction() as tx:
            with pytest.raises(reifydb.DuplicateKeyError):
                tx.insert_many("t", [{"id": 9}, {"id": 1}])
            tx.update("pair", {"a": "x", "b": 1})
        assert deltas(changes) == []
        with db.transaction() as tx:
            tx.delete("t", 1)
        [delta] = deltas(changes)
        assert delta.previous_lsn < db.lsn - 1
        assert delta.position == db.position


def test_keys_of_several_columns_are_tuples_in_key_order(db: reifydb.Database) -> None:
    with db.subscribe("pair") as changes:
        assert changes.get() == Snapshot(db.position, [])
        with db.transaction() as tx:
            tx.insert("pair", {"a": "x", "b": 1})
        with db.transaction() as tx:
            tx.delete("pair", (1, "x"))
        assert [delta.changes for delta in deltas(changes)] == [
            [Change("insert", (1, "x"), {"a": "x", "b": 1})],
            [Change("delete", (1, "x"), None)],
        ]


def test_transitions_are_seen_as_transactions_are(db: reifydb.Database) -> None:
    @db.transition
    def raise_all(tx: reifydb.Transaction, by: int) -> None:
        for row in list(tx.scan("t")):
            tx.update("t", {"id": row["id"], "v": row["v"] + by})  # type: ignore[operator]
        if by > 100:
            tx.abort(1, "too much")

    with db.subscribe("t") as changes:
        changes.get()
        db.call("raise_all", 5)
        with pytest.raises(reifydb.AbortedError):
            db.call("raise_all", 500)
        [delta] = deltas(changes)
        assert {change.key: change.row["v"] for change in delta.changes} == {1: 15, 2: 25}


def test_since_goes_on_where_another_subscription_ended(db: reifydb.Database) -> None:
    with db.subscribe("t") as changes:
        changes.get()
        seen = changes.position
    assert seen is not None
    for v in (1, 2):
        with db.transaction() as tx:
            tx.update("t", {"id": 1, "v": v})
    with db.subscribe("t", since=seen) as changes:
        one, two = deltas(changes)
        assert [one.changes[0].row["v"], two.changes[0].row["v"]] == [1, 2]
        assert (one.previous_lsn, two.previous_lsn) == (seen.lsn, one.position.lsn)
    with db.subscribe("t", since=db.position) as changes:
        assert deltas(changes) == []


def test_subscribers_are_independent(db: reifydb.Database) -> None:
    with db.subscribe("t") as quick, db.subscribe("t") as slow:
        quick.get()
        with db.transaction() as tx:
            tx.delete("t", 1)
        [delta] = deltas(quick)
        assert isinstance(delta, Delta)
        assert slow.get() == Snapshot(db.position, [{"id": 2, "v": 20, "s": "s"}])
        quick.close()
        with db.transaction() as tx:
            tx.delete("t", 2)
        assert [item.changes[0].op for item in deltas(slow)] == ["delete"]
        with pytest.raises(reifydb.ClosedError):
            quick.get(timeout_s=0)


def test_only_tables_that_are_there_can_be_subscribed_to(db: reifydb.Database) -> None:
    with pytest.raises(reifydb.UnknownNameError, match="pair"):
        db.subscribe("pear")
