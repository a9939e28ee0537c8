"""Rule 1: a trap ends its own transaction and nothing else."""

from __future__ import annotations

import random
import sys
from collections.abc import Callable
from typing import Any

import pytest

import reifydb
from reifydb.engine.ffi import CallEnded
from reifydb.engine.kernel import COMMITTED, REDO_MARK, TRAPPED, Kernel
from reifydb.errors import DeadlineError, KernelError, TrappedError
from tests.guests import wat
from tests.guests.databases import (
    no_trace,
    open_with,
    rows_of,
    run_batch,
    stack_pointer,
    usage,
    zig_guest,
)

TRAPS: dict[str, tuple[tuple[int, ...], str]] = {
    "trap": ((), "unreachable code was reached"),
    "out_of_bounds": ((), "memory access out of bounds"),
    "divide_by_zero": ((), "integer division by zero"),
    "call_nothing": ((), "table access out of bounds"),
    "no_result": ((), "it returned without a result"),
    "grow_memory_then_trap": ((3,), "unreachable code was reached"),
    "dirty_then_trap": ((), "unreachable code was reached"),
    "leak_stack_then_trap": ((), "unreachable code was reached"),
    "dive_nothing": ((0,), "the call stack is exhausted"),
}

linux = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")


def honest_answers(db: reifydb.Database) -> None:
    lsn = db.lsn
    db.call("misbehave.honest", 500, lsn)
    assert db.get("victim", 500) == {"id": 500, "n": lsn}
    assert db.lsn == lsn + 1


@pytest.mark.parametrize("name", TRAPS)
def test_a_trap_leaves_no_trace_and_the_next_call_is_served(
    db: reifydb.Database, name: str
) -> None:
    arguments, reason = TRAPS[name]
    db.call("misbehave.honest", 1, 2)
    pointer = stack_pointer(db)
    top = pointer()
    for _ in range(3):
        with no_trace(db), pytest.raises(TrappedError) as caught:
            db.call(f"misbehave.{name}", 1, 99, *arguments)
        assert caught.value.trap == reason
        assert caught.value.transition == f"misbehave.{name}"
        assert pointer() == top
        honest_answers(db)
    assert db.get("victim", 1) == {"id": 1, "n": 2}


@pytest.mark.parametrize("name", TRAPS)
def test_a_trap_inside_an_open_transaction_undoes_its_call_alone(
    db: reifydb.Database, name: str
) -> None:
    with db.transaction() as tx:
        tx.insert("victim", {"id": 1, "n": 1})
        with pytest.raises(TrappedError):
            tx.call(f"misbehave.{name}", 1, 99, *TRAPS[name][0])
        tx.call("misbehave.honest", 2, 2)
        tx.insert("victim", {"id": 3, "n": 3})
    assert rows_of(db, "victim") == {i: {"id": i, "n": i} for i in (1, 2, 3)}
    db.verify()


def test_a_query_that_traps_inside_a_transaction_does_not_make_it_read_only() -> None:
    with open_with(wat.guest(TRAPPING_QUERY)) as db:
        with db.transaction() as tx:
            with pytest.raises(TrappedError):
                tx.call("guest.look")
            tx.insert("victim", {"id": 1, "n": 1})
        assert db.count("victim") == 1


TRAPPING_QUERY = wat.Guest('(func (export "look") (result i32) unreachable)', queries=("look",))


def test_a_thousand_positions_of_a_trap_in_a_batch_of_a_thousand(db: reifydb.Database) -> None:
    oracle: dict[object, int] = {}
    lsn = db.lsn
    for position in range(1000):
        calls: list[tuple[str, tuple[int, int]]] = [
            ("misbehave.honest", (i % 50, position * 1000 + i)) for i in range(1000)
        ]
        calls[position] = ("misbehave.trap", (position % 50, -1))
        found = run_batch(db, calls)
        assert len(found) == 1000
        statuses = [ending.status for ending in found]
        assert statuses == [COMMITTED] * position + [TRAPPED] + [COMMITTED] * (999 - position)
        lsns = [ending.lsn for ending in found if ending.status == COMMITTED]
        assert lsns == list(range(lsn + 1, lsn + 1000))
        lsn += 999
        for i in range(1000):
            if i != position:
                oracle[i % 50] = position * 1000 + i
    assert db.lsn == lsn
    assert rows_of(db, "victim") == {key: {"id": key, "n": n} for key, n in oracle.items()}
    db.verify()


def test_batches_of_everything_that_goes_wrong_equal_an_oracle(db: reifydb.Database) -> None:
    seed = 7
    dice = random.Random(seed)
    ways: list[tuple[str, tuple[int, ...]]] = [(name, TRAPS[name][0]) for name in TRAPS]
    ways += [("abort_then_write", ()), ("return_code", (5,)), ("stray_upsert", (2,))]
    oracle: dict[object, int] = {}
    lsn = db.lsn
    for _ in range(20):
        calls: list[tuple[str, tuple[Any, ...]]] = []
        expected = []
        for _ in range(300):
            key, n = dice.randrange(40), dice.randrange(1 << 40)
            if dice.random() < 0.7:
                calls.append(("misbehave.honest", (key, n)))
                lsn += oracle.get(key) != n
                oracle[key] = n
                expected.append(True)
            else:
                name, more = dice.choice(ways)
                calls.append((f"misbehave.{name}", (key, n, *more)))
                expected.append(False)
        found = run_batch(db, calls)
        assert [ending.status == COMMITTED for ending in found] == expected, f"seed {seed}"
    assert db.lsn == lsn
    assert rows_of(db, "victim") == {key: {"id": key, "n": n} for key, n in oracle.items()}
    db.verify()


# ------------------------------------------------------------------ the kernel's stack pointer


@linux
def test_traps_leave_memory_mappings_and_the_stack_pointer_as_they_were(
    db: reifydb.Database,
) -> None:
    packed = db._transitions["misbehave.trap"].params.encode((1, 2))  # type: ignore[union-attr]
    pointer = stack_pointer(db)
    top = pointer()
    db.call_packed("misbehave.trap", packed * 3000)
    before = usage()
    with no_trace(db):
        for _ in range(4):
            outcomes = db.call_packed("misbehave.trap", packed * 5000)
            assert len(outcomes) == 5000 * 24
        for _ in range(1000):
            with pytest.raises(TrappedError):
                db.call("misbehave.trap", 1, 2)
    after = usage()
    assert pointer() == top
    assert after.mappings <= before.mappings + 4
    assert after.address_space <= before.address_space + (8 << 20)
    assert after.resident <= before.resident + (8 << 20)
    honest_answers(db)


@pytest.fixture
def frames(db: reifydb.Database, monkeypatch: pytest.MonkeyPatch) -> Callable[[], int]:
    """Each trap unwinds 48 bytes of frames on the kernel's stack; reads the stack pointer.

    How many bytes it really is depends on what the compiler keeps there: sometimes none.
    """
    pointer = stack_pointer(db)
    for name in ("_execute", "_resume"):
        function = getattr(db._executor, name)

        def unwound(*arguments: int, function: Callable[..., int] = function) -> int:
            try:
                return function(*arguments)
            except CallEnded:
                db._kernel._set_stack(pointer() - 48)
                raise

        monkeypatch.setattr(db._executor, name, unwound)
    return pointer


def test_the_stack_pointer_is_restored_after_each_trap(
    db: reifydb.Database, frames: Callable[[], int]
) -> None:
    top = frames()
    with no_trace(db):
        assert db.call_many("misbehave.trap", [(1, 2)] * 10_000).committed == 0
    assert frames() == top
    honest_answers(db)


def test_without_restoring_the_stack_pointer_traps_would_kill_the_kernel(
    db: reifydb.Database, frames: Callable[[], int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Kernel, "restore_stack", lambda kernel: None)
    top = frames()
    db.call_many("misbehave.trap", [(1, 2)] * 100)
    assert top - frames() >= 100 * 48
    with pytest.raises(KernelError):
        db.call_many("misbehave.trap", [(1, 2)] * 10_000)


def test_a_failed_kernel_accepts_no_more_work(
    db: reifydb.Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Rule 8: a trap that finds an operation under way struck inside the kernel.
    struck = db._executor._execute

    def inside(*arguments: int) -> int:
        try:
            return struck(*arguments)
        except Exception:
            db._kernel.operation.value = 2
            raise

    monkeypatch.setattr(db._executor, "_execute", inside)
    with pytest.raises(KernelError, match="failed in operation 2"):
        db.call_many("misbehave.trap", [(1, 2)])
    for refused in (
        lambda: db.call("misbehave.honest", 1, 2),
        lambda: db.call_many("misbehave.honest", [(1, 2)]),
    ):
        with pytest.raises(KernelError, match="failed in operation 2") as caught:
            refused()
        assert "recovers" in caught.value.hint
    # What it has for the log may be wrong as well: a reopened database would refuse the hash.
    given: list[object] = []
    monkeypatch.setattr(db._log, "append", given.append)
    db._kernel.redo_len.value = 64
    db.close()
    assert not given


def test_deadlines_and_traps_are_told_apart(db: reifydb.Database) -> None:
    assert not issubclass(DeadlineError, TrappedError)
    with pytest.raises(TrappedError):
        db.call("misbehave.trap", 1, 2)


def test_the_guest_that_misbehaves_is_the_one_of_this_tree() -> None:
    assert zig_guest("misbehave").startswith(b"\0asm")


@pytest.mark.parametrize("name", ["trap", "dirty_then_trap", "dive_nothing"])
def test_a_trap_after_a_full_buffer_made_way_is_a_trap_like_any(
    db: reifydb.Database, name: str
) -> None:
    db.flush()
    with no_trace(db):
        db._kernel.redo_len.value = REDO_MARK + 8  # the log in memory does not look inside
        with pytest.raises(TrappedError):
            db.call(f"misbehave.{name}", 1, 99, *TRAPS[name][0])
        assert db._kernel.redo_len.value == 0
    honest_answers(db)
