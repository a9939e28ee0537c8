"""Tries one entry of the corpus on a database with rows, and asserts that nothing came of it."""

from __future__ import annotations

import pytest

from reifydb.errors import ModuleError
from tests.hostile.corpus import CORPUS
from tests.hostile.entry import OUTSIDE, STACK, Call, Hostile
from tests.hostile.ground import Ground, ending, ending_of
from tests.hostile.host_calls import (
    BIAS,
    CANARY_DIED,
    attacker,
    attacks,
    diver,
    honest,
    must_trap,
    starter,
)
from tests.hostile.values import json_diver

PHASES = 64


def try_entry(entry: Hostile) -> None:
    """Refused or called: the state as before, `verify()` clean, the next call served."""
    wasm = entry.wasm()
    with Ground() as ground:
        if entry.refused is not None:
            with ground.untouched(), pytest.raises(ModuleError) as caught:
                ground.db.install(wasm, apply_schema=True, limits=entry.limits)
            assert entry.refused in "\n".join((str(caught.value), *caught.value.problems))
            return
        module = ground.db.install(wasm, apply_schema=True, limits=entry.limits)
        for one in entry.calls:
            _call(ground, module.name, one)
        ground.db.remove(module.name)
        ground.honest_call()
        with ground.untouched():
            ground.db._registry.move()


def _call(ground: Ground, module: str, one: Call) -> None:
    """Alone, in the middle of a batch, and inside an open transaction that goes on."""
    db, name = ground.db, f"{module}.{one.name}"
    with ground.untouched():
        found = ending(lambda: db.call(name, *one.arguments))
        assert found in one.endings, (found, name, repr(one.arguments)[:200])
    with ground.untouched():
        batch = db.call_many(name, [one.arguments] * 3)
        assert {ending_of(outcome.error) for outcome in batch} <= set(one.endings)
    with ground.untouched(), db.transaction() as tx:
        tx.upsert("victim", {"id": -1, "n": 7})
        assert ending(lambda: tx.call(name, *one.arguments)) in one.endings
        assert tx.get("victim", -1) == {"id": -1, "n": 7}
        tx.rollback()


# ------------------------------------------------------------------ one for each host function


def try_attacks(name: str) -> None:
    """Every pointer, length and number that is at an edge or beyond it, and no other outcome than
    a trap or an answer.
    """
    with Ground() as ground:
        ground.db.install(attacker(name))
        calls = attacks(name)
        with ground.untouched():
            outcomes = ground.db.call_many("attacker.attack", calls)
            endings = [ending_of(outcome.error) for outcome in outcomes]
        if not calls:
            return
        answer = _answer(name, endings[0])
        for values, found in zip(calls, endings, strict=True):
            assert found == OUTSIDE or found.startswith("aborted: "), (name, values, found)
            assert found != f"aborted: {CANARY_DIED}", (name, values)
            expected = must_trap(name, values, answer)
            assert expected in (None, found == OUTSIDE), (name, values, found)


def _answer(name: str, found: str) -> int:
    """What the host answered to honest arguments: these are not refused."""
    kind, _, code = found.partition(": ")
    assert kind == "aborted", (name, found)
    if name == "abort":
        assert int(code) == honest(name)[0]
        return 0
    assert int(code) + BIAS >= 0, (name, int(code) + BIAS)
    return int(code) + BIAS


def try_dive(name: str | None) -> None:
    """Recursion to the last byte before every call of a host function, from 64 depths."""
    expected = f"aborted: {honest(name)[0]}" if name == "abort" else STACK
    with Ground(deadline_ms=1000) as ground:
        ground.db.install(diver(name))
        for phase in range(PHASES):
            with ground.untouched():
                assert ending(lambda p=phase: ground.db.call("diver.dive", p)) == expected
        with ground.untouched():
            batch = ground.db.call_many("diver.dive", [(phase,) for phase in range(PHASES)])
            assert {ending_of(outcome.error) for outcome in batch} == {expected}


def try_json_dive() -> None:
    """The same with JSON that is nested as deep as it may be: the kernel's deepest operation."""
    with Ground(deadline_ms=1000) as ground:
        ground.db.install(json_diver())
        for phase in range(PHASES):
            with ground.untouched():
                assert ending(lambda p=phase: ground.db.call("diver.dive", p)) == STACK


def try_start(name: str) -> None:
    """A start function that calls the host, in every situation in which one is run.

    It sees nothing of the transaction or scan that is open when its instance is put back.
    """
    with Ground() as ground:
        db = ground.db
        db.install(starter(name))
        first = ending(lambda: db.call("starter.look"))
        for _ in range(2):
            with ground.untouched():
                assert ending(lambda: db.call("starter.trap")) == (
                    "trapped: unreachable code was reached"
                )
            with ground.untouched():
                assert ending(lambda: db.call("starter.look")) == first
            with ground.untouched():
                db._registry.move()
            with ground.untouched(), db.transaction() as tx:
                tx.upsert("victim", {"id": -1, "n": 7})
                rows = tx.scan("victim", limit=100)
                seen = [next(rows)["id"]]
                ending(lambda tx=tx: tx.call("starter.trap"))
                seen += [row["id"] for row in rows]
                assert seen == list(range(-1, 99)), name
                assert ending(lambda tx=tx: tx.call("starter.look")) == first
                assert tx.get("victim", 5) == {"id": 5, "n": 5}
                tx.rollback()


EACH = {"attacks": try_attacks, "dive": try_dive, "start": try_start}
"""Trials that are made with each host function."""


def try_each(trial: str, name: str) -> None:
    """One of them, with one host function."""
    EACH[trial](name)


def try_named(does: str) -> None:
    """The entry of the corpus that does this."""
    assert does in CORPUS
    try_entry(CORPUS[does])
