"""Limiters: no more than the burst and what comes back, in any stretch of time."""

from __future__ import annotations

from random import Random

import pytest

import reifydb

START_NS = 1_800_000_000_000_000_000


class Now:
    """A clock of whole microseconds."""

    def __init__(self) -> None:
        self.us = START_NS // 1000

    def __call__(self) -> int:
        return self.us * 1000


@pytest.fixture
def now() -> Now:
    return Now()


@pytest.fixture
def db(now: Now) -> reifydb.Database:
    db = reifydb.open(":memory:", clock=now)
    db.execute("create limiter api (client text) rate 3 per '10 us' burst 5")
    return db


def test_what_it_answers(db: reifydb.Database, now: Now) -> None:
    api = db.limiter("api")
    assert api.peek("a") == reifydb.Taken(True, 5, 0)
    assert api.take("a", 5) == reifydb.Taken(True, 0, 0)
    assert api.take("a") == reifydb.Taken(False, 0, 4e-6)
    assert not api.take("a")
    now.us += 3
    assert not api.take("a")
    now.us += 1
    assert api.take("a")  # 1.2 were there
    assert api.take("b", 6) == reifydb.Taken(False, 5, None)
    now.us += 1_000_000
    assert api.peek("a", 5).remaining == 5
    api.reset("a")
    assert db.query("select count(*) from api").tuples == [(0,)]
    with pytest.raises(reifydb.WrongTypeError):
        api.take("a", -1)
    db.verify()


def test_what_was_refused_changes_nothing_and_takes_no_lsn(db: reifydb.Database) -> None:
    db.call("api.take", "a", 5)
    lsn = db.lsn
    assert db.call("api.take", "a", 1)["allowed"] is False  # type: ignore[index]
    assert db.lsn == lsn


@pytest.mark.parametrize("seed", range(3))
def test_no_stretch_of_time_has_more_than_it_may(db: reifydb.Database, now: Now, seed: int) -> None:
    random, taken = Random(seed), []
    for _ in range(600):
        now.us += random.choice([0, 0, 1, 2, 3, 9, 40])
        count = random.choice([1, 1, 2, 5])
        if db.limiter("api").take("a", count):
            taken.append((now.us, count))
    assert len(taken) > 100
    for i in range(len(taken)):
        total = 0
        for at, count in taken[i:]:
            total += count
            assert total <= 5 + 3 * (at - taken[i][0]) / 10


def test_a_transaction_that_is_undone_gives_back(db: reifydb.Database) -> None:
    with db.transaction() as tx:
        assert tx.limiter("api").take("a", 5)
        assert not tx.limiter("api").take("a")
        tx.rollback()
    assert db.limiter("api").take("a", 5)
