"""Rule 5: an exhausted stack is noticed before the kernel changes anything."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

import pytest

import reifydb
from reifydb.errors import AbortedError, KernelError, RequestError, TrappedError
from reifydb.sandbox import workshop
from reifydb.sandbox.bridge import (
    FLUSH_RESERVE_BYTES,
    STACK_RESERVE_BYTES,
    dispatch_wat,
    probe_wat,
)
from reifydb.sandbox.host_functions import SIGNATURES
from tests.guests.databases import no_trace, open_with, zig_guest
from tests.hostile import view_diver
from tests.hostile.host_calls import diver, mutating
from tests.hostile.values import json_diver

PHASES = 64
NESTED_JSON = "nested JSON"
SCHEMA = """
create index victim_by_n on victim (n);
create table rich (id int primary key, j json);
create counter tally;
"""

WithProbe = Callable[[str, str], AbstractContextManager[reifydb.Database]]


def dive(db: reifydb.Database, name: str) -> None:
    """Recurses until the stack ends, calling the host at every depth, from 64 starting depths."""
    for phase in range(PHASES):
        with no_trace(db), pytest.raises((TrappedError, AbortedError)) as caught:
            db.call("diver.dive", phase)
        if isinstance(caught.value, TrappedError):
            assert caught.value.trap == "the call stack is exhausted"
        else:
            assert name == "abort"
    db.call("misbehave.honest", 1, db.lsn)


@pytest.fixture
def with_probe(monkeypatch: pytest.MonkeyPatch) -> WithProbe:
    """Opens a database whose bridges have another probe, with the guest that dives."""

    @contextmanager
    def opened(wat: str, name: str) -> Iterator[reifydb.Database]:
        monkeypatch.setattr(workshop, "_idle", deque(maxlen=0))
        monkeypatch.setattr(workshop, "probe_wat", lambda: wat)
        with open_with(zig_guest("misbehave")) as db:
            db.execute(SCHEMA)
            db.install(json_diver() if name == NESTED_JSON else diver(name))
            db.execute("create index i on victim (n); create unique index j on victim (n, id)")
            with db.transaction() as tx:
                tx.insert_many("victim", ({"id": i, "n": i} for i in range(0, 2000, 2)))
            yield db

    return opened


# With the whole reserve: tests/hostile, "dive".


@pytest.mark.parametrize("name", [*SIGNATURES, NESTED_JSON])
def test_a_quarter_of_the_reserve_is_enough(with_probe: WithProbe, name: str) -> None:
    with with_probe(probe_wat(STACK_RESERVE_BYTES // 4), name) as db:
        dive(db, name)


def test_without_a_probe_it_would_end_inside_the_kernel(with_probe: WithProbe) -> None:
    struck = []
    for name in mutating():
        with with_probe('(module $probe (func (export "probe") (param i32)))', name) as db:
            try:
                dive(db, name)
            except KernelError:
                struck.append(name)
    assert struck


# ------------------------------------------------------------------ views


@pytest.mark.parametrize("part", [1, 4])
def test_a_quarter_of_what_views_want_is_enough(part: int, monkeypatch: pytest.MonkeyPatch) -> None:
    wat = dispatch_wat(FLUSH_RESERVE_BYTES // part)
    monkeypatch.setattr(workshop, "_idle", deque(maxlen=0))
    monkeypatch.setattr(workshop, "dispatch_wat", lambda: wat)
    with open_with(zig_guest("misbehave"), deadline_ms=60_000) as db:
        db.execute(view_diver.SCHEMA)
        with db.transaction() as tx:
            rows = ({"id": i, "n": i, "j": {"a": "x" * i}} for i in range(32))
            tx.insert_many("deep", rows)
        db.execute(view_diver.view())
        db.install(view_diver.view_diver())
        db.call("diver.once")
        for phase in range(0, PHASES, 4):
            with no_trace(db), pytest.raises(TrappedError) as caught:
                db.call("diver.dive", phase)
            assert caught.value.trap == "the call stack is exhausted"
        db.call("misbehave.honest", 1, db.lsn)


# ------------------------------------------------------------------ threads


def in_thread(stack_bytes: int, work: Callable[[], object]) -> BaseException | None:
    """What `work` raises in a thread with so much stack."""
    raised: list[BaseException] = []

    def run() -> None:
        try:
            work()
        except BaseException as error:
            raised.append(error)

    before = threading.stack_size(stack_bytes)
    try:
        thread = threading.Thread(target=run)
        thread.start()
    finally:
        threading.stack_size(before)
    thread.join()
    return raised[0] if raised else None


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a thread's stack")
def test_a_thread_with_a_small_stack_is_refused(db: reifydb.Database) -> None:
    for work in (
        lambda: db.call("misbehave.honest", 1, 2),
        lambda: db.call_many("misbehave.honest", [(1, 2)]),
        lambda: db.transaction().begin(),
    ):
        with no_trace(db):
            error = in_thread(512 << 10, work)
        assert isinstance(error, RequestError)
        assert "stack of 512 KiB is too small" in str(error)
        assert "threading.stack_size" in error.hint


def test_a_mebibyte_is_enough_for_endless_recursion(db: reifydb.Database) -> None:
    for what in ("nothing", "upsert"):
        error = in_thread(1 << 20, lambda what=what: db.call(f"misbehave.dive_{what}", 1, 2, 3))
        assert isinstance(error, TrappedError)
    assert in_thread(1 << 20, lambda: db.call("misbehave.honest", 1, 2)) is None


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere other sizes may do")
def test_without_the_refusal_the_process_would_crash() -> None:
    script = """
import threading
from reifydb.database import turns
from tests.guests.databases import open_with, zig_guest
turns.require_stack = lambda: None
db = open_with(zig_guest("misbehave"))
threading.stack_size(384 << 10)
thread = threading.Thread(target=lambda: db.call("misbehave.dive_nothing", 1, 2, 0))
thread.start()
thread.join()
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, timeout=60)
    assert done.returncode < 0
