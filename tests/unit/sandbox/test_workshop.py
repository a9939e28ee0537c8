"""Workshops wait for the next database of the process, and never serve two at a time."""

from __future__ import annotations

from collections import deque

import pytest

import reifydb
from reifydb.config import ModuleLimits
from reifydb.errors import DeadlineError, KernelError
from reifydb.sandbox import workshop
from reifydb.sandbox.cache import Cache
from reifydb.sandbox.workshop import IDLE_MAX, Workshop
from tests.guests import wat
from tests.guests.databases import open_with, zig_guest


@pytest.fixture(autouse=True)
def nobody_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workshop, "_idle", deque(maxlen=IDLE_MAX))


def test_databases_that_are_open_together_have_an_engine_each() -> None:
    opened = [reifydb.open(":memory:") for _ in range(IDLE_MAX + 2)]
    assert len({id(db._workshop.engine) for db in opened}) == len(opened)
    for db in opened:
        db.close()
    assert len(workshop._idle) == IDLE_MAX


def test_a_closed_databases_workshop_serves_the_next_one_as_a_new_one_would() -> None:
    guest = zig_guest("misbehave")
    engines, hashes = set(), set()
    for _ in range(3):
        with open_with(guest, deadline_ms=30) as db:
            engines.add(db._workshop.engine)
            hashes.add(db.state_hash)
            db.call("misbehave.honest", 1, 2)
            with pytest.raises(DeadlineError):  # advances the engine's epoch
                db.call("misbehave.loop", 1, 1)
            db.call("misbehave.honest", 2, 3)
            db.verify()
    assert (len(engines), len(hashes)) == (1, 1)


def test_a_workshop_is_given_back_once_and_not_after_the_kernel_failed() -> None:
    db = reifydb.open(":memory:")
    db.close()
    db.close()
    assert len(workshop._idle) == 1
    db = reifydb.open(":memory:")
    db._executor.failed = "on purpose"
    with pytest.raises(KernelError):
        db.verify()
    db.close()
    assert not workshop._idle


def test_a_guest_is_compiled_once_for_each_set_of_limits() -> None:
    made = Workshop(Cache(None))
    guest, limits = wat.guest(wat.GLOBALS), ModuleLimits()
    first = made.compiled(guest, limits, "one")
    assert made.compiled(bytes(bytearray(guest)), ModuleLimits(), "one") is first
    assert made.compiled(guest, limits, "two") is not first
    assert made.compiled(guest, ModuleLimits(memory_pages_max=9), "one") is not first


def test_what_a_workshop_keeps_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    kept: dict[int, int] = {}
    for i in range(100):
        workshop._keep(kept, i, i)
    assert list(kept) == list(range(100 - workshop.GUESTS_KEPT_MAX, 100))
    monkeypatch.setattr(workshop, "GUEST_KEPT_BYTES_MAX", 10)
    made = Workshop()
    made.compiled(wat.guest(wat.GLOBALS), ModuleLimits(), "one")
    assert not made._guests
