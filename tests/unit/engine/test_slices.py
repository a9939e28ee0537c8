"""Rule 7: one crossing is bounded. A batch gives way between transactions, also to Ctrl-C."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from collections.abc import Iterator
from typing import Any

import pytest

import reifydb
from reifydb.engine.kernel import REDO_MARK
from tests.guests.databases import no_trace, open_with, zig_guest


def packed_rows(db: reifydb.Database, first: int, last: int) -> bytes:
    handle: Any = db._transitions["misbehave.honest"]
    return b"".join(handle.encode((i, i)) for i in range(first, last))


@pytest.fixture
def groups(
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[tuple[reifydb.Database, list[tuple[int, int]], list[int]]]:
    """A database with short slices; what its log is given, and at which lsn it yields."""
    with open_with(zig_guest("misbehave"), slice_ms=0.1) as db:
        given: list[tuple[int, int]] = []
        yields: list[int] = []
        append, hand_over = db._log.append, db._executor.on_yield

        def record(group: Any) -> None:
            given.append((group.first_lsn, group.commits))
            append(group)

        def on_yield() -> None:
            yields.append(db._kernel.lsn_cell.value)
            hand_over()

        monkeypatch.setattr(db._log, "append", record)
        monkeypatch.setattr(db._executor, "on_yield", on_yield)
        yield db, given, yields


def test_a_long_batch_yields_and_hands_its_redo_over_between_slices(groups: Any) -> None:
    db, given, yields = groups
    packed = packed_rows(db, 0, 30_000)
    db.flush()
    given.clear()
    before = db.lsn
    db.call_packed("misbehave.honest", packed)
    db.flush()
    assert len(yields) >= 10, "30,000 calls take some 20 ms: 200 slices of 0.1 ms"
    assert yields == sorted(set(yields)), "every slice commits something"
    assert len(given) >= len(yields)
    following = before + 1
    for first, commits in given:
        assert first == following
        following += commits
    assert following == db.lsn + 1 == before + 30_001


def test_without_slices_only_full_buffers_make_a_batch_yield(groups: Any) -> None:
    db, _, yields = groups
    db._executor._slice_ns = 10**15
    db._executor._calls[db._transitions["misbehave.honest"].number] = 1 << 20
    packed = packed_rows(db, 0, 30_000)
    db.call_packed("misbehave.honest", packed)
    assert len(yields) <= 3


def test_a_batch_gives_way_before_the_redo_buffer_is_full(groups: Any) -> None:
    db, _, yields = groups
    db._executor._slice_ns = 10**15
    db._executor._calls[db._transitions["misbehave.huge_row"].number] = 1 << 20
    seen = []
    monitored = db._executor.on_yield

    def on_yield() -> None:
        seen.append(db._kernel.redo_len.value)
        monitored()

    db._executor.on_yield = on_yield
    found = db.call_many("misbehave.huge_row", [(i, i, 400_000) for i in range(30)])
    assert found.committed == 30
    assert len(yields) >= 8
    assert max(seen) <= REDO_MARK + 500_000
    assert db.count("picky") == 30
    db.verify()


def test_outcomes_arrive_in_order_whatever_the_slices(groups: Any) -> None:
    db, _, _ = groups
    calls = [(i, i) if i % 7 else (i, -1) for i in range(5000)]
    found = db.call_many("misbehave.honest", calls)
    assert [outcome.lsn for outcome in found] == list(range(2, 5002))
    texts = db.call_many("misbehave.huge_result", [(i, i, 8 * i + 64) for i in range(200)])
    assert [len(outcome.value) for outcome in texts] == [8 * i + 40 for i in range(200)]


def test_a_batch_of_nothing(db: reifydb.Database) -> None:
    with no_trace(db):
        assert db.call_packed("misbehave.honest", b"") == b""
        assert list(db.call_many("misbehave.honest", [])) == []


# ------------------------------------------------------------------ Ctrl-C, in a process of its own

PRELUDE = """
import os, signal, threading, time
from reifydb.errors import *
from tests.guests.databases import *
from tests.guests.databases import stack_pointer, rows_of
signal.signal(signal.SIGINT, signal.default_int_handler)  # a job in the background ignores it
db = open_with(zig_guest("misbehave"), deadline_ms=300)
pointer = stack_pointer(db)
top = pointer()

def interrupted(work, begun=lambda: True):
    def strike():
        time.sleep(0.05)
        while not begun():
            time.sleep(0.001)
        os.kill(os.getpid(), signal.SIGINT)

    timer = threading.Thread(target=strike)
    timer.start()
    try:
        work()
        time.sleep(30)
    except KeyboardInterrupt:
        return
    finally:
        timer.join()
    raise AssertionError("no KeyboardInterrupt")

def still_works():
    db.verify()
    assert pointer() == top
    lsn = db.lsn
    db.call("misbehave.honest", -5, lsn)
    assert db.lsn == lsn + 1 and db.get("victim", -5)["n"] == lsn
    found = db.call_many("misbehave.honest", [(-i, lsn + i) for i in range(1, 9)])
    assert [outcome.lsn for outcome in found] == list(range(lsn + 2, lsn + 10)), list(found)
    try:
        db.call("misbehave.trap", 1, 2)
        raise AssertionError("it did not trap")
    except TrappedError:
        pass
    assert db.call("misbehave.calls", 1, 1) == 1
    with db.transaction() as tx:
        tx.insert("victim", {"id": -1000 - lsn, "n": 1})
    db.verify()
"""


def run(script: str) -> None:
    text = textwrap.dedent(PRELUDE) + textwrap.dedent(script)
    done = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr


def test_ctrl_c_between_slices_leaves_a_prefix_of_the_batch() -> None:
    run("""
    encode = db._transitions["misbehave.honest"].encode
    packed = b"".join(encode((i, i)) for i in range(400_000))
    before = db.lsn
    work = lambda: [db.call_packed("misbehave.honest", packed) for _ in range(50)]
    interrupted(work, lambda: db.lsn > before)
    done = db.lsn - before
    assert 0 < done, done
    rows = [row["id"] for row in db.scan("victim")]
    assert rows == list(range(len(rows))) and len(rows) == min(done, 400_000)
    assert db._feed.state or not db._kernel.redo_len.value, "the log is not told of the last slice"
    still_works()
    db.close()
    """)


@pytest.mark.parametrize(
    "work",
    [
        'db.call("misbehave.loop", 1, 2)',
        'db.call_many("misbehave.loop", [(1, 2), (3, 4)])',
        'db.call("misbehave.loop_of_writes", 1, 2)',
        'db.call("misbehave.loop_after_abort", 1, 2)',
        'db.call_many("misbehave.loop_of_scans", [(1, 2), (3, 4)])',
    ],
)
def test_ctrl_c_while_a_transition_loops_is_honoured_when_it_was_ended(work: str) -> None:
    run(f"""
    for _ in range(2):
        with no_trace(db):
            interrupted(lambda: {work})
        still_works()
    db.close()
    """)


def test_ctrl_c_while_a_nested_call_loops() -> None:
    run("""
    def work():
        with db.transaction() as tx:
            tx.insert("victim", {"id": 1, "n": 1})
            tx.call("misbehave.loop", 1, 2)

    for _ in range(2):
        with no_trace(db):
            interrupted(work)
        still_works()

    with db.transaction() as tx:
        tx.insert("victim", {"id": 1, "n": 1})
        interrupted(lambda: tx.call("misbehave.loop", 1, 2))
        tx.insert("victim", {"id": 2, "n": 2})
    assert db.get("victim", 1)["n"] == 1 and db.get("victim", 2)["n"] == 2
    still_works()
    db.close()
    """)


@pytest.mark.parametrize("step", ["restore_stack", "call", "renew"])
def test_ctrl_c_in_the_middle_of_the_recovery_from_a_trap(
    db: reifydb.Database, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    """An interrupt between two steps of `Executor._recover`, each step in turn."""
    executor, kernel = db._executor, db._kernel
    number = db._transitions["misbehave.trap"].number  # type: ignore[union-attr]
    where: Any = {
        "restore_stack": (kernel, "restore_stack"),
        "call": (kernel.call, "abandon"),
        "renew": (executor.guests[number], "renew"),
    }[step]
    holder, name = where
    real = holder[name] if isinstance(holder, dict) else getattr(holder, name)
    left = [1]

    def interrupted(*arguments: Any) -> Any:
        if left:
            left.pop()
            raise KeyboardInterrupt
        return real(*arguments)

    if isinstance(holder, dict):
        monkeypatch.setitem(holder, name, interrupted)
    else:
        monkeypatch.setattr(holder, name, interrupted)
    for work in (
        lambda: db.call("misbehave.dirty_then_trap", 1, 2),
        lambda: db.call_many("misbehave.dirty_then_trap", [(1, 2), (3, 4)]),
    ):
        left[:] = [1]
        with no_trace(db), pytest.raises(KeyboardInterrupt):
            work()
        assert db.call("misbehave.calls", 1, 1) == 1
        found = db.call_many("misbehave.honest", [(1, db.lsn), (2, db.lsn)])
        assert len(found) == found.committed == 2
        with db.transaction() as tx:
            tx.upsert("victim", {"id": 1, "n": 1})
