"""One row by its key: the short way gives what the long one gives, for every shape."""

from __future__ import annotations

import threading
from datetime import UTC, datetime
from decimal import Decimal
from random import Random
from typing import Any
from uuid import UUID

import pytest

import reifydb

COLUMNS = {
    "b": ("bool", [True, False]),
    "i": ("int", [0, -1, 2**63 - 1, -(2**63)]),
    "f": ("float", [0.0, -1.5, 1e300]),
    "t": ("text", ["", "a", "äöü€", "x" * 127, "x" * 128, "x" * 129, "x" * 5000]),
    "y": ("bytes", [b"", b"\0\xff", b"z" * 100]),
    "at": ("timestamp", [datetime(2026, 1, 2, 3, 4, 5, 6, tzinfo=UTC)]),
    "d": ("decimal(10,2)", [Decimal("1.50"), Decimal("-99999999.99")]),
    "u": ("uuid", [UUID(int=0), UUID(int=2**128 - 1)]),
    "j": ("json", [{"a": [1, None]}, [], "text"]),
}
KEYS = [["i"], ["t"], ["u"], ["at"], ["d"], ["b", "i"], ["t", "i"], ["i", "t", "u"], ["y"], ["f"]]


def _value(random: Random, name: str, *, in_key: bool) -> Any:
    values = COLUMNS[name][1]
    return random.choice(
        [v for v in values if not (in_key and isinstance(v, str) and len(v) > 999)]
    )


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("key", KEYS, ids=",".join)
def test_a_row_by_its_key_is_the_row_of_a_scan(key: list[str], seed: int) -> None:
    random = Random(f"{seed} {key}")
    others = random.sample([c for c in COLUMNS if c not in key], random.randrange(7))
    names = [*key, *others]
    random.shuffle(names)
    columns = ", ".join(f"{name} {COLUMNS[name][0]}" for name in names)
    with reifydb.open(":memory:") as db:
        db.execute(f"create table r ({columns}, primary key ({', '.join(key)}))")
        rows = {}
        for _ in range(40):
            row = {
                n: None
                if n not in key and random.random() < 0.15
                else _value(random, n, in_key=n in key)
                for n in names
            }
            with db.transaction() as tx:
                tx.upsert("r", row)
            rows[repr([row[name] for name in key])] = row
        if others:
            db.execute("alter table r add column more text default 'more'")
        select = f"select * from r where {' and '.join(f'{name} = ?' for name in key)}"
        for row in list(db.scan("r")):
            values = tuple(row[name] for name in key)
            for _ in range(2):
                assert db.get("r", values if len(values) > 1 else values[0]) == row
                assert list(db.query(select, values)) == [row]
                assert list(db.query(select, list(values))) == [row]
        assert len(rows) == db.count("r")


@pytest.fixture
def db() -> reifydb.Database:
    db = reifydb.open(":memory:")
    db.execute("create table r (id int primary key, t text, n int)")
    with db.transaction() as tx:
        tx.insert_many("r", [{"id": i, "t": f"t{i}", "n": i} for i in range(100)])
    return db


SELECT = "select t, n from r where id = ?"


def test_what_is_not_there_is_not_found(db: reifydb.Database) -> None:
    for _ in range(2):
        assert db.get("r", 100) is None
        assert db.query(SELECT, (100,)).tuples == []
        assert db.query(SELECT, (7,)).tuples == [("t7", 7)]


@pytest.mark.parametrize("params", [(), (1, 2), ("1",), (2**63,), {"x": 1}, None, (1.5,), 3])
def test_wrong_parameters_are_refused_as_ever(db: reifydb.Database, params: Any) -> None:
    for _ in range(2):
        with pytest.raises((reifydb.RequestError, reifydb.WrongTypeError)):
            db.query(SELECT, params)
        assert db.query(SELECT, (7,)).tuples == [("t7", 7)]


def test_null_finds_nothing(db: reifydb.Database) -> None:
    assert db.query(SELECT, (None,)).tuples == []
    with pytest.raises(reifydb.ReifyDBError):
        db.get("r", None)


def test_it_follows_the_schema(db: reifydb.Database) -> None:
    assert db.query(SELECT, (1,)).tuples == [("t1", 1)]
    assert db.get("r", 1) == {"id": 1, "t": "t1", "n": 1}
    db.execute("alter table r add column more int default 5; alter table r rename column n to m")
    assert db.get("r", 1) == {"id": 1, "t": "t1", "m": 1, "more": 5}
    with pytest.raises(reifydb.SqlError, match="n"):
        db.query(SELECT, (1,))
    db.execute("drop table r")
    with pytest.raises(reifydb.UnknownNameError):
        db.get("r", 1)


def test_it_sees_what_was_committed_and_no_more(db: reifydb.Database) -> None:
    assert db.query(SELECT, (1,)).tuples == [("t1", 1)]
    with db.transaction() as tx:
        tx.update("r", {"id": 1, "n": 2})
        with pytest.raises(reifydb.ReentrantError):
            db.query(SELECT, (1,))
        with pytest.raises(reifydb.ReentrantError):
            db.get("r", 1)
    assert db.query(SELECT, (1,)).tuples == [("t1", 2)]


def test_a_closed_database_refuses(db: reifydb.Database) -> None:
    db.query(SELECT, (1,))
    db.get("r", 1)
    db.close()
    with pytest.raises(reifydb.ClosedError):
        db.query(SELECT, (1,))
    with pytest.raises(reifydb.ClosedError):
        db.get("r", 1)


def test_threads_read_beside_writers_and_moves_of_the_kernel(db: reifydb.Database) -> None:
    stop, wrong = threading.Event(), []

    def read(seed: int) -> None:
        random = Random(seed)
        while not stop.is_set():
            i = random.randrange(100)
            row, found = db.get("r", i), db.query(SELECT, (i,)).tuples
            if row is None or row["t"] != f"t{i}" or found[0][0] != f"t{i}":
                wrong.append((i, row, found))

    readers = [threading.Thread(target=read, args=(seed,)) for seed in range(3)]
    for reader in readers:
        reader.start()
    for round_ in range(60):
        with db.transaction() as tx:
            tx.update_many("r", [{"id": i, "n": round_} for i in range(0, 100, 7)])
        with db._turns.lock:
            db._registry.move()
    stop.set()
    for reader in readers:
        reader.join()
    assert not wrong
    db.verify()
