"""Subscriptions where it is hard: overflow, snapshots beside writers, positions, the end."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

import reifydb
from reifydb import Delta, Position, Snapshot
from reifydb.config import walks_max
from reifydb.errors import ClosedError, ReentrantError, RequestError, SchemaError
from tests.unit.database.conftest import SMALL


@pytest.fixture
def db() -> Iterator[reifydb.Database]:
    with reifydb.open(":memory:", options=reifydb.Options(outbox_commits_max=5)) as db:
        db.execute("create table t (id int primary key, v int, s text)")
        yield db
        if not repr(db).endswith("closed>"):
            db.verify()


def put(db: reifydb.Database, *ids: int, v: int = 0) -> int:
    with db.transaction() as tx:
        tx.upsert_many("t", [{"id": i, "v": v} for i in ids])
    return db.lsn


def test_beyond_its_outbox_a_subscriber_gets_a_snapshot(db: reifydb.Database) -> None:
    with db.subscribe("t") as changes:
        assert isinstance(changes.get(), Snapshot)
        for i in range(5):
            put(db, i)
        assert [type(changes.get(0)) for _ in range(6)] == [Delta] * 5 + [type(None)]
        for i in range(6):
            put(db, i, v=1)
        snapshot = changes.get(0)
        assert isinstance(snapshot, Snapshot)
        assert snapshot.position == db.position
        assert snapshot.rows == list(db.scan("t"))
        put(db, 9)
        delta = changes.get(0)
        assert isinstance(delta, Delta)
        assert delta.previous_lsn == snapshot.position.lsn


def test_beyond_so_many_bytes_too() -> None:
    with reifydb.open(":memory:", options=reifydb.Options(outbox_bytes_max=1000)) as db:
        db.execute("create table t (id int primary key, s text)")
        with db.subscribe("t") as changes:
            changes.get()
            with db.transaction() as tx:
                tx.insert("t", {"id": 1, "s": "x" * 2000})
            assert isinstance(changes.get(0), Snapshot)


def test_a_commit_too_large_for_a_delta_is_a_snapshot_for_all(db: reifydb.Database) -> None:
    with db.subscribe("t") as one, db.subscribe("t") as two:
        one.get(), two.get()
        with db.transaction() as tx:
            tx.insert_many("t", [{"id": i, "s": "x" * 1_000_000} for i in range(20)])
        for changes in (one, two):
            snapshot = changes.get(0)
            assert isinstance(snapshot, Snapshot)
            assert len(snapshot.rows) == 20
        put(db, 99)
        assert isinstance(one.get(0), Delta)


def test_writers_go_on_during_a_snapshot_which_is_exact(db: reifydb.Database) -> None:
    """Between two pages commits change rows before and behind the walk, add and delete some."""
    with db.transaction() as tx:
        tx.insert_many("t", [{"id": i, "v": 0, "s": "x" * 200} for i in range(0, 4000, 2)])
    with db.subscribe("t") as changes:
        pages, read_on = 0, changes._hub.read_on

        def step(outbox: object) -> None:
            nonlocal pages
            read_on(outbox)  # type: ignore[arg-type]
            pages += 1

        changes._hub.read_on = step  # type: ignore[method-assign]
        turn, wrote = changes._turn, []

        def between(*, read: bool) -> bool:
            done = turn(read=read)
            k = pages * 300
            with db.transaction() as tx:
                for i in (k, k + 1, 3999 - k, 1):
                    tx.upsert("t", {"id": i, "v": pages + 1})
                tx.delete("t", k + 2)
                tx.delete("t", 3998 - k)
                tx.insert("t", {"id": -1 - pages, "v": 9})
            wrote.append(db.lsn)
            return done

        changes._turn = between  # type: ignore[method-assign]
        snapshot = changes.get()
        assert isinstance(snapshot, Snapshot)
        assert pages >= 4
        state = {row["id"]: row for row in snapshot.rows}
        assert list(state) == sorted(state)  # type: ignore[type-var]
        while (delta := changes.get(0)) is not None:
            assert isinstance(delta, Delta)
            for change in delta.changes:
                assert (change.op == "insert") == (change.key not in state)
                if change.row is None:
                    del state[change.key]
                else:
                    state[change.key] = change.row
        assert [state[k] for k in sorted(state)] == list(db.scan("t"))  # type: ignore[type-var]


def test_a_snapshot_waits_until_one_of_the_others_is_read(db: reifydb.Database) -> None:
    put(db, *range(10))
    walks = []
    for _ in range(walks_max):
        changes = db.subscribe("t")
        changes._begin()
        walks.append(changes)
    with db.subscribe("t") as late:
        assert late.get(0.01) is None
        walks[3].close()
        assert isinstance(late.get(1), Snapshot)
    for changes in walks[4:10]:
        assert isinstance(changes.get(), Snapshot)
    for changes in walks:
        changes.close()
    put(db, 3, v=5)


def test_one_change_for_each_key_says_what_the_commit_did(db: reifydb.Database) -> None:
    put(db, 1, 2, 3, 4)
    with db.subscribe("t") as changes:
        changes.get()
        with db.transaction() as tx:
            tx.insert("t", {"id": 5})
            tx.delete("t", 5)  # came to nothing
            tx.delete("t", 1)
            tx.insert("t", {"id": 1, "v": 8})  # there before and after
            tx.update("t", {"id": 2, "v": 7})
            tx.delete("t", 2)
            tx.insert("t", {"id": 6})
            tx.update("t", {"id": 6, "v": 1})
            tx.delete("t", 3)
            tx.insert("t", {"id": 3})
            tx.delete("t", 3)
        delta = changes.get(0)
        assert isinstance(delta, Delta)
        assert [(c.op, c.key) for c in delta.changes[:2]] == [("delete", 2), ("delete", 3)]
        assert {(c.op, c.key, c.row["v"]) for c in delta.changes[2:] if c.row} == {
            ("update", 1, 8),
            ("insert", 6, 1),
        }


def test_commits_that_change_other_tables_leave_no_delta(db: reifydb.Database) -> None:
    db.execute("create table other (id int primary key)")
    with db.subscribe("t") as changes:
        first = changes.get()
        with db.transaction() as tx:
            tx.insert("other", {"id": 1})
        with db.transaction() as tx:
            tx.insert("t", {"id": 1})
            tx.delete("t", 1)
            tx.insert("other", {"id": 2})
        assert changes.get(0) is None
        put(db, 1)
        delta = changes.get(0)
        assert isinstance(delta, Delta)
        assert isinstance(first, Snapshot)
        assert delta.previous_lsn <= first.position.lsn < delta.position.lsn == db.lsn


# ------------------------------------------------------------------ positions


def test_since_goes_on_without_a_snapshot_while_deltas_are_kept(db: reifydb.Database) -> None:
    put(db, 1)
    here = db.position
    with db.subscribe("t", since=here) as changes:
        assert changes.get(0) is None  # nothing has changed
        put(db, 2)
        assert isinstance(changes.get(0), Delta)
        here = changes.position  # type: ignore[assignment]
    lsns = [put(db, i) for i in (3, 4, 5)]
    with db.subscribe("t", since=here) as changes:
        got = [changes.get(0) for _ in range(3)]
        assert [item.position.lsn for item in got if isinstance(item, Delta)] == lsns
    with db.subscribe("t", since=Position(1, 0)) as changes:
        assert isinstance(changes.get(0), Snapshot)


def test_since_beyond_what_is_kept_is_a_snapshot() -> None:
    options = reifydb.Options(delta_retention_commits_max=3)
    with reifydb.open(":memory:", options=options) as db:
        db.execute("create table t (id int primary key, v int, s text)")
        with db.subscribe("t") as changes:
            changes.get()
            here = [db.position]
            for i in range(6):
                put(db, i)
                here.append(db.position)
        expected = [Snapshot] * 3 + [Delta] * 3
        for position, kind in zip(here, expected, strict=False):
            with db.subscribe("t", since=position) as changes:
                assert type(changes.get(0)) is kind
        for i in range(10):
            put(db, i, v=1)  # nobody listens: the table is not watched any longer
        assert db._subscriptions._relations == {}


def test_a_position_that_is_still_to_come_is_refused(db: reifydb.Database) -> None:
    for position in (Position(1, db.lsn + 1), Position(2, 0)):
        with pytest.raises(RequestError, match="there is no"):
            db.subscribe("t", since=position)


def test_since_holds_across_opening_if_nothing_has_changed(tmp_path: Path) -> None:
    path = str(tmp_path / "db")
    with reifydb.open(path, options=SMALL) as db:
        db.execute(
            "create table t (id int primary key, v int); create table o (id int primary key)"
        )
        put(db, 1)
        here = db.position
        with db.transaction() as tx:
            tx.insert("o", {"id": 1})
        later = db.position
    with reifydb.open(path, options=SMALL) as db:
        assert db.incarnation == 2
        for position in (here, later):
            with db.subscribe("t", since=position) as changes:
                assert changes.get(0) is None
        # Positions that the first incarnation gave out and that did not survive, or never were.
        with db.subscribe("t", since=Position(1, later.lsn + 1)) as changes:
            assert isinstance(changes.get(0), Snapshot)
        with db.subscribe("t", since=Position(1, 1)) as changes:
            assert isinstance(changes.get(0), Snapshot)
        put(db, 2)
        with db.subscribe("t", since=here) as changes:
            delta = changes.get(0)
            assert isinstance(delta, Delta)
            assert delta.position == Position(2, later.lsn + 1)


# ------------------------------------------------------------------ the end


def test_iterating_ends_when_another_thread_closes_it(db: reifydb.Database) -> None:
    changes, seen = db.subscribe("t"), []
    thread = threading.Thread(target=lambda: seen.extend(changes))
    thread.start()
    while not seen:
        pass
    put(db, 1)
    while len(seen) < 2:
        pass
    changes.close()
    thread.join(5)
    assert not thread.is_alive()
    assert [type(item) for item in seen] == [Snapshot, Delta]
    with pytest.raises(ClosedError):
        changes.get()
    changes.close()


def test_whoever_waits_is_told_that_the_database_closes() -> None:
    db = reifydb.open(":memory:")
    db.execute("create table t (id int primary key)")
    changes = db.subscribe("t")
    changes.get()
    raised: list[BaseException] = []

    def read() -> None:
        try:
            for _ in changes:
                pass
        except ClosedError as error:
            raised.append(error)

    thread = threading.Thread(target=read)
    thread.start()
    db.close()
    thread.join(5)
    assert not thread.is_alive()
    assert "database is closed" in str(raised[0])
    changes.close()


def test_a_dropped_table_ends_its_subscriptions(db: reifydb.Database) -> None:
    following, reading = db.subscribe("t"), db.subscribe("t")
    following.get()
    reading._begin()
    waiting = db.subscribe("t")
    db.execute("drop table t")
    for changes in (following, reading, waiting):
        with pytest.raises(SchemaError, match="table t was dropped"):
            changes.get()
    db.execute("create table t (id int primary key)")
    with pytest.raises(SchemaError):
        following.get()


@pytest.mark.parametrize(
    "sql",
    [
        "alter table t add column x int default 3",
        "alter table t drop column v",
        "alter table t rename column v to w",
    ],
)
def test_other_columns_are_a_new_snapshot(db: reifydb.Database, sql: str) -> None:
    put(db, 1)
    following, reading = db.subscribe("t"), db.subscribe("t")
    following.get()
    reading._begin()
    put(db, 2)  # waits, and is not given out: it has other columns
    db.execute(sql)
    for changes in (following, reading):
        snapshot = changes.get(0)
        assert isinstance(snapshot, Snapshot)
        assert snapshot.rows == list(db.scan("t"))
        changes.close()


@pytest.mark.parametrize(
    "sql", ["alter table t add column x int", "alter table t rename column v to w"]
)
def test_since_before_a_change_of_columns_is_a_snapshot(db: reifydb.Database, sql: str) -> None:
    put(db, 1)
    with db.subscribe("t") as changes:
        changes.get()
        here = changes.position
    db.execute(sql)
    with db.subscribe("t", since=here) as changes:
        assert isinstance(changes.get(0), Snapshot)
    with db.subscribe("t", since=db.position) as changes:
        assert changes.get(0) is None


@pytest.mark.parametrize(
    "sql",
    [
        "alter table t drop column v; alter table t add column v int",
        "alter table t add column w int; alter table t drop column w",
    ],
)
def test_columns_that_only_look_as_before_are_a_new_snapshot(
    db: reifydb.Database, sql: str
) -> None:
    put(db, 1, v=5)
    db.execute("alter table t drop column s")  # v is the last column, and will be again
    with db.subscribe("t") as changes:
        changes.get()
        seen = changes.position
        db.execute(sql)
        put(db, 2)
        snapshot = changes.get(0)
        assert isinstance(snapshot, Snapshot)
        assert (snapshot.position, snapshot.rows) == (db.position, list(db.scan("t")))
    with db.subscribe("t", since=seen) as changes:
        assert isinstance(changes.get(0), Snapshot)


def test_indexes_and_names_disturb_nobody(db: reifydb.Database) -> None:
    with db.subscribe("t") as changes:
        changes.get()
        db.execute("create index i on t (v); drop index i; alter table t rename to u")
        with db.transaction() as tx:
            tx.insert("u", {"id": 1})
        assert isinstance(changes.get(0), Delta)


def test_a_subscriber_may_write_but_not_read_a_snapshot_in_its_transaction(
    db: reifydb.Database,
) -> None:
    with db.subscribe("t") as changes:
        for item in changes:
            if isinstance(item, Delta):
                break
            put(db, 1)
    changes = db.subscribe("t")
    with db.transaction() as tx:
        tx.insert("t", {"id": 2})
        with pytest.raises(ReentrantError):
            changes.get(0)
        changes.close()


def test_every_type_comes_through_a_delta(db: reifydb.Database) -> None:
    from datetime import UTC, datetime
    from decimal import Decimal
    from uuid import UUID

    db.execute(
        """create table every (k decimal(18,4), u uuid, j json, i int, f float, b bool, x bytes,
           m timestamp, s text, primary key (k, u, j))"""
    )
    row = {
        "k": Decimal("-99999999999999.9999"), "u": UUID(int=2**128 - 1), "j": [None, {"é\0": 1.5}],
        "i": -(2**63), "f": 5e-324, "b": True, "x": b"\0\xff", "m": datetime(1, 1, 1, tzinfo=UTC),
        "s": "\U0001f98a" * 300,
    }  # fmt: skip
    with db.subscribe("every") as changes:
        changes.get()
        with db.transaction() as tx:
            tx.insert("every", row)
            tx.insert("every", {"k": 1, "u": UUID(int=0), "j": reifydb.JSON_NULL})
        delta = changes.get(0)
    assert isinstance(delta, Delta)
    assert [change.row for change in delta.changes] == [
        row,
        dict.fromkeys(row) | {"k": Decimal(1), "u": UUID(int=0), "j": reifydb.JSON_NULL},
    ]
    assert [change.key for change in delta.changes] == [
        (row["k"], row["u"], row["j"]),
        (Decimal("1.0000"), UUID(int=0), reifydb.JSON_NULL),
    ]
