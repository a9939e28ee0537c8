"""Many threads, every door of the database, and one order that explains all of it.

`REIFYDB_HISTORY_S` says for how many seconds the threads of each history run; the seed is printed.
"""

from __future__ import annotations

import os
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import reifydb
from tests.guests.databases import zig_guest
from tests.serial.checker import Event, check
from tests.serial.model import ENDED, State
from tests.serial.workers import Subject, run

SECONDS = float(os.environ.get("REIFYDB_HISTORY_S", "2.5"))
SEED = int(os.environ.get("REIFYDB_HISTORY_SEED", int.from_bytes(os.urandom(4), "little")))
THREADS = 6
OPTIONS = reifydb.Options(
    deadline_ms=60,
    reserve_bytes=4096,
    # A disk that stops for seconds, or a busy machine, is no reason to fail here.
    durability_stall_ms_max=60_000,
    engine_wait_ms_max=60_000,
    transaction_ms_max=60_000,
)


@pytest.fixture(autouse=True)
def threads_alternate() -> Iterator[None]:
    """Every 50 µs instead of every 5 ms."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(50e-6)
    print(f"REIFYDB_HISTORY_SEED={SEED}")
    yield
    sys.setswitchinterval(before)


def opened(path: Path | str) -> reifydb.Database:
    return reifydb.open(path, options=OPTIONS)


def state_of(db: reifydb.Database) -> tuple[dict[Any, Any], int]:
    return {row["id"]: row["n"] for row in db.scan("cell")}, db.count("entry")


def modelled(state: State) -> tuple[dict[Any, Any], int]:
    return state.cells, state.notes


def test_one_order_explains_what_many_threads_were_answered() -> None:
    with opened(":memory:") as db:
        db.install(zig_guest("serial"), apply_schema=True)
        first = db.lsn
        events = run(Subject(db), threads=THREADS, seed=SEED, seconds=SECONDS)
        problems, state = check(events, first, db.lsn)
        assert problems == []
        assert state_of(db) == modelled(state)
        db.verify()
    seen = Counter(step.name for event in events for step in event.steps)
    ends = Counter(str(step.result) for e in events for step in e.steps if step.result in ENDED)
    assert len(seen) >= 17, seen
    assert min(ends["aborted"], ends["trapped"]) > 0, ends
    print(f"{len(events):,} transactions and reads, {dict(ends)}")


def test_it_explains_a_folder_that_is_reopened_too(tmp_path: Path) -> None:
    events: list[Event] = []
    first = 0
    for session in range(4):
        with opened(tmp_path / "db") as db:
            if session == 0:
                db.install(zig_guest("serial"), apply_schema=True)
                first = db.lsn
            events += run(Subject(db), threads=THREADS, seed=SEED + session, seconds=SECONDS / 4)
            last, left = db.lsn, state_of(db)
    problems, state = check(events, first, last)
    assert problems == []
    assert left == modelled(state)
    with opened(tmp_path / "db") as db:
        assert state_of(db) == left
        assert db.lsn == last
        db.verify()


# ------------------------------------------------------------------ subjects that are broken


class StaleReads(Subject):
    """A read may be answered from a cache that nobody invalidates."""

    cache: dict[tuple[str, int], Any]

    def get(self, table: str, key: int) -> Any:
        cache = self.__dict__.setdefault("cache", {})
        if len(cache) > CACHED:
            cache.clear()
        return cache.setdefault((table, key), super().get(table, key))


CACHED = 6


class ReadsOutside(Subject):
    """What a transaction reads is of the time before it began."""

    def read(self, tx: reifydb.Transaction, table: str, key: int) -> Any:
        before = self.__dict__.setdefault("before", {})
        old = before.get(key)
        before[key] = super().read(tx, table, key)
        return old


class LosesAnUpdate(Subject):
    """Says that it has committed what it has not, now and then."""

    calls = 0

    def call(self, name: str, args: tuple[Any, ...]) -> tuple[Any, int]:
        self.calls += 1
        if name == "put" and self.calls % 50 == 0:
            row = self.db.get("cell", args[0])
            return row and row["n"], self.db.lsn
        return super().call(name, args)


class KeepsWhatWasAborted(Subject):
    """An aborted call leaves its first write."""

    def call(self, name: str, args: tuple[Any, ...]) -> tuple[Any, int]:
        result, lsn = super().call(name, args)
        if result == "aborted":
            with self.db.transaction() as tx:
                tx.upsert("cell", {"id": args[0], "n": -args[2]})
        return result, lsn


def history(make: type[Subject] = Subject) -> tuple[list[Event], int, int]:
    with opened(":memory:") as db:
        db.install(zig_guest("serial"), apply_schema=True)
        first = db.lsn
        events = run(make(db), threads=4, seed=SEED, seconds=0.6)
        return events, first, db.lsn


@pytest.mark.parametrize("make", [StaleReads, ReadsOutside, LosesAnUpdate, KeepsWhatWasAborted])
def test_broken_databases_are_found_out(make: type[Subject]) -> None:
    problems, _ = check(*history(make))
    assert problems


def test_broken_histories_are_found_out() -> None:
    events, first, last = history()
    assert check(events, first, last)[0] == []
    commits = sorted(
        (e for e in events if e.lsn is not None and e.committed and e.steps[0].name == "put"),
        key=lambda event: event.lsn or 0,
    )
    # Two of which the first had ended when the second began: those at the same time may be swapped.
    one, other = next(
        pair
        for pair in zip(
            commits[len(commits) // 2 :], commits[len(commits) // 2 + 1 :], strict=False
        )
        if pair[0].returned_ns < pair[1].invoked_ns
    )
    others = [event for event in events if event is not one and event is not other]
    end = max(event.returned_ns for event in events)

    swapped = [replace(one, lsn=other.lsn), replace(other, lsn=one.lsn)]
    late = [replace(one, invoked_ns=end + 1, returned_ns=end + 2), other]
    again = [one, other, replace(other, thread=9)]
    for what in (swapped, late, again, [one]):
        assert check([*others, *what], first, last)[0], what
    reads = [e for e in events if e.lsn is None and e.steps[0].name == "scan"]
    moved = replace(reads[0], invoked_ns=end + 1, returned_ns=end + 2)
    assert check([*events, moved], first, last)[0]
