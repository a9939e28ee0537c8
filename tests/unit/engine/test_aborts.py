"""Rule 2: an abort is no trap. It dooms the transaction, whatever the transition does then."""

from __future__ import annotations

import random
from typing import Any

import pytest

import reifydb
from reifydb.engine.kernel import ABORTED, COMMITTED
from reifydb.errors import AbortedError
from tests.guests.databases import no_trace, open_with, rows_of, run_batch, zig_guest


def aborted(db: reifydb.Database, name: str, *arguments: Any) -> tuple[int, str]:
    with no_trace(db), pytest.raises(AbortedError) as caught:
        db.call(name, *arguments)
    assert caught.value.transition == name
    return caught.value.abort_code, caught.value.abort_message


@pytest.mark.parametrize(
    ("call", "expected"),
    [
        (("abort_then_write",), (7, "aborted")),
        (("abort_twice",), (7, "first")),
        (("abort_then_trap",), (7, "")),
        (("abort_bad_message", 9, 100), (9, "")),
        (("abort_bad_message", 0, 0), (1, "")),
        (("abort_bad_message", -(2**31), 2000), (-(2**31), "")),
        (("return_code", 5), (5, "")),
        (("return_code", -3), (-3, "")),
        (("return_code", 2**31 - 1), (2**31 - 1, "")),
    ],
)
def test_an_abort_has_its_code_and_message_and_leaves_no_trace(
    db: reifydb.Database, call: tuple[Any, ...], expected: tuple[int, str]
) -> None:
    name, *more = call
    db.call("misbehave.honest", 1, 2)
    for _ in range(3):
        assert aborted(db, f"misbehave.{name}", 1, 99, *more) == expected
        db.call("misbehave.honest", 2, db.lsn)


def test_an_instance_goes_on_after_an_abort_and_is_put_back_after_a_trap(
    db: reifydb.Database,
) -> None:
    assert db.call("misbehave.calls", 0, 0) == 1
    aborted(db, "misbehave.abort_then_write", 1, 2)
    assert db.call("misbehave.calls", 0, 0) == 3
    aborted(db, "misbehave.abort_then_trap", 1, 2)
    assert db.call("misbehave.calls", 0, 0) == 1


@pytest.mark.parametrize(
    ("message", "delivered"),
    [
        ("", ""),
        ("no", "no"),
        ("x" * 1024, "x" * 1024),
        ("x" * 1025, "x" * 1024),
        ("é" * 600, "é" * 512),
        ("x" + "é" * 600, "x" + "é" * 511),
        ("x" * 1021 + "💰", "x" * 1021),
        ("x" * 1020 + "💰💰", "x" * 1020 + "💰"),
    ],
)
def test_a_message_is_cut_at_a_character(message: str, delivered: str) -> None:
    with open_with(zig_guest("every_type")) as db:
        found = aborted(db, "every_type.abort_after_write", 1, 44, message)
        assert found == (44, delivered)
        (outcome,) = db.call_many("every_type.abort_after_write", [(1, 44, message)])
        assert isinstance(outcome.error, AbortedError)
        assert outcome.error.abort_message == delivered


def test_errors_that_a_transition_swallows_do_not_abort_it(db: reifydb.Database) -> None:
    db.call("misbehave.swallow_errors", 1, 2)
    assert rows_of(db, "victim") == {1: {"id": 1, "n": 2}}


def test_whoever_goes_on_after_an_abort_cannot_commit() -> None:
    with open_with(zig_guest("every_type")) as db:
        assert aborted(db, "every_type.abort_is_final", 1) == (9, "final")
        assert db.count("note") == 0


def test_an_abort_inside_an_open_transaction_undoes_its_call_alone(db: reifydb.Database) -> None:
    with db.transaction() as tx:
        tx.insert("victim", {"id": 1, "n": 1})
        for name in ("abort_then_write", "abort_twice", "abort_then_trap"):
            with pytest.raises(AbortedError):
                tx.call(f"misbehave.{name}", 1, 99)
        tx.update("victim", {"id": 1, "n": 5})
        tx.call("misbehave.honest", 2, 2)
    assert rows_of(db, "victim") == {1: {"id": 1, "n": 5}, 2: {"id": 2, "n": 2}}
    db.verify()


def test_three_aborts_in_ten_leave_what_the_others_leave_alone(db: reifydb.Database) -> None:
    seed = 11
    dice = random.Random(seed)
    calls: list[tuple[str, tuple[int, ...]]] = []
    for i in range(20_000):
        key = dice.randrange(500)
        if dice.random() < 0.3:
            calls.append(("misbehave.return_code", (key, -i, 5)))
        else:
            calls.append(("misbehave.honest", (key, i)))
    found = run_batch(db, calls)
    for (name, _), ending in zip(calls, found, strict=True):
        assert ending.status == (COMMITTED if name.endswith("honest") else ABORTED), f"seed {seed}"
    lsns = [ending.lsn for ending in found if ending.status == COMMITTED]
    assert lsns == list(range(2, 2 + len(lsns)))
    with open_with(zig_guest("misbehave")) as other:
        run_batch(other, [call for call in calls if call[0].endswith("honest")])
        assert (other.state_hash, other.lsn) == (db.state_hash, db.lsn)
    oracle = {args[0]: args[1] for name, args in calls if name.endswith("honest")}
    assert rows_of(db, "victim") == {k: {"id": k, "n": n} for k, n in oracle.items()}
    db.verify()
