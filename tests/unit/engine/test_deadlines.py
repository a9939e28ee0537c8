"""Rule 4: deadlines are per transaction, and never strike inside the kernel."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import wasmtime

import reifydb
from reifydb.engine import deadlines
from reifydb.engine.ffi import Code
from reifydb.errors import AbortedError, DeadlineError, KernelError, ModuleError, TrappedError
from reifydb.sandbox import workshop as workshop_module
from reifydb.sandbox.workshop import Workshop
from tests.guests import wat
from tests.guests.databases import NOW_NS, no_trace, open_with, rows_of, run_batch, zig_guest

LOOPS = ["loop", "loop_of_gets", "loop_of_writes", "loop_of_scans", "loop_of_logs"]
LOOPS += ["loop_of_counts"]

SANE_S = 30
"""Far more than any deadline here: a machine may be busy, but it must not hang."""


@pytest.mark.parametrize("name", LOOPS)
def test_an_endless_loop_ends_at_its_deadline_and_leaves_no_trace(name: str) -> None:
    with open_with(zig_guest("misbehave"), deadline_ms=40) as db:
        db.call("misbehave.honest", 1, 2)
        for _ in range(3):
            began = time.monotonic()
            with no_trace(db), pytest.raises(DeadlineError) as caught:
                db.call(f"misbehave.{name}", 1, 99)
            assert 0.02 < time.monotonic() - began < SANE_S
            assert caught.value.deadline_ms == 40
            assert db.call("misbehave.calls", 0, 0) == 1, "its instance was put back"
        with db.transaction() as tx:
            tx.insert("victim", {"id": 7, "n": 7})
            with pytest.raises(DeadlineError):
                tx.call(f"misbehave.{name}", 7, 99)
        assert db.get("victim", 7) == {"id": 7, "n": 7}
        db.verify()


def test_whoever_loops_after_an_abort_has_aborted() -> None:
    with open_with(zig_guest("misbehave"), deadline_ms=40) as db, no_trace(db):
        with pytest.raises(AbortedError) as caught:
            db.call("misbehave.loop_after_abort", 1, 99)
        assert caught.value.abort_code == 7


def test_a_deadline_in_a_batch_ends_one_call_of_it() -> None:
    with open_with(zig_guest("misbehave"), deadline_ms=30) as db:
        calls = [("misbehave.honest", (i, i)) for i in range(100)]
        for i in (0, 50, 99):
            calls[i] = ("misbehave.loop_of_writes", (i, i))
        found = run_batch(db, calls)
        assert [i for i, ending in enumerate(found) if ending.status] == [0, 50, 99]
        assert {found[i].code for i in (0, 50, 99)} == {1}
        assert set(rows_of(db, "victim")) == set(range(100)) - {0, 50, 99}
        db.verify()


def test_a_batch_as_a_whole_has_no_deadline() -> None:
    with open_with(zig_guest("misbehave"), deadline_ms=50) as db:
        began = time.monotonic()
        while time.monotonic() - began < 0.3:
            assert db.call_many("misbehave.many_rows", [(1, 2, 50)] * 200).committed == 200


def test_deadlines_are_the_module_s_own() -> None:
    slow = reifydb.ModuleLimits(deadline_ms=30)
    with open_with(zig_guest("misbehave"), limits=slow, deadline_ms=60_000) as db:
        began = time.monotonic()
        with pytest.raises(DeadlineError, match="30 ms"):
            db.call("misbehave.loop", 1, 2)
        assert time.monotonic() - began < SANE_S


def test_deadlines_hold_after_traps_aborts_and_moves() -> None:
    with open_with(zig_guest("misbehave"), wat.guest(wat.START), deadline_ms=30) as db:
        for failing in ("misbehave.trap", "guest.dirty_then_trap", "misbehave.abort_twice"):
            arguments = (1, 2) if failing.startswith("misbehave") else ()
            with pytest.raises((TrappedError, AbortedError)):
                db.call(failing, *arguments)
            with pytest.raises(DeadlineError):
                db.call("misbehave.loop", 1, 2)
        db._registry.move()
        with pytest.raises(DeadlineError):
            db.call("misbehave.loop", 1, 2)


# ------------------------------------------------------------------ never inside the kernel

SHORT = ["loop_of_gets", "loop_of_writes", "loop_of_scans", "loop_of_logs", "loop_of_counts"]


def strike_often(db: reifydb.Database, times: int) -> None:
    for name in SHORT:
        found = db.call_many(f"misbehave.{name}", [(1, 99)] * times)
        assert {type(outcome.error) for outcome in found} == {DeadlineError}


def test_deadlines_never_strike_inside_the_kernel() -> None:
    with open_with(zig_guest("misbehave"), deadline_ms=0.5) as db:
        with db.transaction() as tx:
            tx.insert_many("victim", ({"id": i, "n": i} for i in range(3000)))
        with no_trace(db):
            strike_often(db, 250)


def test_with_epoch_checks_in_the_kernel_they_would(monkeypatch: pytest.MonkeyPatch) -> None:
    def interruptible(workshop: Workshop, source: str | bytes) -> Code:
        module = wasmtime.Module(workshop.engine, source)
        return Code(workshop.engine, bytes(module.serialize()))

    monkeypatch.setattr(workshop_module, "_idle", deque(maxlen=0))
    monkeypatch.setattr(Workshop, "_kernel_side", interruptible)
    with (
        open_with(zig_guest("misbehave"), deadline_ms=0.5) as db,
        pytest.raises(KernelError, match="interrupted"),
    ):
        strike_often(db, 250)


# ------------------------------------------------------------------ struck late


@contextmanager
def wrong_victims(db: reifydb.Database) -> Iterator[None]:
    """As if the watchdog always came too late: whoever runs is struck in another one's place."""
    stop = threading.Event()

    def strike() -> None:
        while not stop.is_set():
            db._kernel.engine.increment_epoch()
            time.sleep(0.0002)

    thread = threading.Thread(target=strike)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def work(db: reifydb.Database) -> list[Any]:
    """Some calls in batches, alone, and nested; what became of them."""
    found: list[Any] = []
    for round_ in range(6):
        batch = db.call_many("misbehave.many_rows", [(i * 100, round_, 60) for i in range(60)])
        found += [(outcome.value, str(outcome.error), outcome.lsn) for outcome in batch]
        found += [db.call("every_type.facts")["random"] for _ in range(200)]
        facts = db.call_many("every_type.facts", [()] * 2000)
        found += [outcome.value["random"] for outcome in facts]
        with db.transaction() as tx:
            tx.call("misbehave.many_rows", 7, round_, 200)
            tx.call("misbehave.many_rows", 8, round_, 200)
    found.append(db.state_hash)
    return found


def test_a_call_struck_in_another_one_s_place_runs_again() -> None:
    modules = zig_guest("misbehave"), zig_guest("every_type")
    with open_with(*modules) as calm, open_with(*modules) as disturbed:
        expected = work(calm)
        with wrong_victims(disturbed):
            assert work(disturbed) == expected
        assert disturbed._watchdog.mistaken > 10
        assert calm._watchdog.mistaken == 0
        disturbed.verify()


def test_without_running_again_calls_would_fail_that_did_nothing_wrong(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    modules = zig_guest("misbehave"), zig_guest("every_type")
    with open_with(*modules) as db:
        monkeypatch.setattr(db._watchdog, "struck", lambda ended, serial: ended.interrupted)
        with wrong_victims(db), pytest.raises((DeadlineError, AssertionError, TypeError)):
            work(db)


# ------------------------------------------------------------------ start functions


def test_a_start_function_that_loops_is_refused_at_its_deadline() -> None:
    with open_with(zig_guest("misbehave"), deadline_ms=50) as db:
        began = time.monotonic()
        with no_trace(db), pytest.raises(ModuleError, match="start function"):
            db.install(wat.guest(wat.START_LOOPS))
        assert time.monotonic() - began < SANE_S
        db.call("misbehave.honest", 1, 2)
        with pytest.raises(DeadlineError):
            db.call("misbehave.loop", 1, 2)


LOOPS_LATER = wat.Guest(
    f"""
    (start $begin)
    (func $begin (loop $l (br_if $l (i64.gt_s (call $now) (i64.const {NOW_NS // 1000})))))
    (func (export "trap") (result i32) unreachable)
    (func (export "look") (result i32) (call $answer (i64.const 5)))
    """,
    ("trap",),
    ("look",),
    '(import "reifydb.v1" "now" (func $now (result i64)))' + wat.PRELUDE,
)
"""Its start function loops as soon as the clock has moved on."""


@contextmanager
def later() -> Iterator[reifydb.Database]:
    """A database with that guest, whose clock has moved on since it was installed."""
    now = [NOW_NS]
    options = reifydb.Options(deadline_ms=50)
    with reifydb.open(":memory:", options=options, clock=lambda: now[0]) as db:
        db.install(zig_guest("misbehave"), apply_schema=True)
        db.install(wat.guest(LOOPS_LATER))
        assert db.call("guest.look") == 5
        now[0] += 10**9
        db.call("misbehave.honest", 1, 2)
        yield db


@contextmanager
def safety_net(db: reifydb.Database) -> Iterator[None]:
    """Ends whatever hangs, and asserts that nothing had to be ended."""
    hung = threading.Event()

    def end() -> None:
        hung.set()
        for _ in range(100):
            db._kernel.engine.increment_epoch()
            time.sleep(0.01)

    timer = threading.Timer(3, end)
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        timer.join()
    assert not hung.is_set()


def test_a_start_function_that_loops_when_an_instance_is_renewed_fails_its_guest_only() -> None:
    with later() as db, safety_net(db):
        with pytest.raises(TrappedError):
            db.call("guest.trap")
        with pytest.raises(TrappedError, match="start function"):
            db.call("guest.look")
        db.call("misbehave.honest", 3, 4)
        db.verify()


def test_a_start_function_that_loops_in_a_fresh_store_fails_its_guest_only() -> None:
    with later() as db, safety_net(db):
        before = db.state_hash
        db._registry.move()
        assert db.state_hash == before
        db.call("misbehave.honest", 3, 4)
        with pytest.raises(TrappedError, match="start function"):
            db.call("guest.look")
        db.verify()


def test_one_thread_keeps_the_deadlines_of_all_databases() -> None:
    guest = zig_guest("misbehave")
    with open_with(guest, deadline_ms=5000) as slow, open_with(guest, deadline_ms=10) as quick:
        slow.call("misbehave.honest", 1, 1)  # looked at every 50 ms from now on
        for _ in range(3):
            began = time.monotonic()
            with pytest.raises(DeadlineError):
                quick.call("misbehave.loop", 1, 1)
            assert time.monotonic() - began < SANE_S / 2
            slow.call("misbehave.honest", 1, 1)
        assert slow._watchdog.mistaken == quick._watchdog.mistaken == 0
        names = [thread.name for thread in threading.enumerate()]
        assert names.count("reifydb-deadlines") == 1
        watched = {slow._watchdog, quick._watchdog}
    assert not watched & deadlines._patrol._awake


def test_databases_that_come_and_go_do_not_wake_the_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    """To be woken costs the call that does it up to a millisecond."""
    guest = zig_guest("misbehave")
    patrol = deadlines._Patrol()
    monkeypatch.setattr(deadlines, "_patrol", patrol)
    woken = 0
    wake = patrol._wake.set

    def counted() -> None:
        nonlocal woken
        woken += 1
        wake()

    monkeypatch.setattr(patrol._wake, "set", counted)
    for number in range(30):
        with open_with(guest) as db:
            db.call("misbehave.honest", number, 1)
    assert woken <= 3, "the first starts it; it may have been between two looks once or twice"
    with open_with(guest, deadline_ms=20) as db, pytest.raises(DeadlineError):
        db.call("misbehave.loop", 1, 1)
    assert woken >= 2, "a deadline that is shorter than the next look is far"


@pytest.mark.parametrize("idle_looks", [0, 1])
def test_a_thread_that_sleeps_for_good_is_woken(
    idle_looks: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deadlines, "IDLE_LOOKS_MAX", idle_looks)
    patrol = deadlines._Patrol()
    monkeypatch.setattr(deadlines, "_patrol", patrol)
    guest = zig_guest("misbehave")
    for _ in range(5):
        with open_with(guest, deadline_ms=40) as db:
            db.call("misbehave.honest", 1, 1)
            with pytest.raises(DeadlineError):
                db.call("misbehave.loop", 1, 1)
        began = time.monotonic()
        while patrol._pause_s is not None:
            assert time.monotonic() - began < SANE_S
            time.sleep(0.002)


def test_deadlines_are_kept_in_a_forked_child_too() -> None:
    program = """
import os, reifydb
from tests.guests.databases import open_with, zig_guest
def strikes():
    with open_with(zig_guest("misbehave"), deadline_ms=20) as db:
        try:
            db.call("misbehave.loop", 1, 1)
        except reifydb.DeadlineError:
            return 0
    return 1
assert strikes() == 0
child = os.fork()
if child == 0:
    os._exit(strikes())
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
assert strikes() == 0
"""
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)
