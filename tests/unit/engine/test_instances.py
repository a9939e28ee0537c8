"""Rule 3: instances are finite. Put back in place, replaced when that cannot be, moved at last."""

from __future__ import annotations

import sys
from typing import Any

import pytest

import reifydb
from reifydb.database import registry
from reifydb.errors import AbortedError, DeadlineError, TrappedError
from reifydb.sandbox.guest import Guest
from tests.guests import wat
from tests.guests.databases import no_trace, open_with, rows_of, stack_pointer, usage, zig_guest

linux = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")


def guest_of(db: reifydb.Database, name: str) -> Guest:
    return db._registry.installed[name].guest


def trap(db: reifydb.Database, name: str, *arguments: int) -> None:
    with no_trace(db), pytest.raises(TrappedError):
        db.call(name, *arguments)


# ------------------------------------------------------------------ put back in place


@pytest.mark.parametrize(
    ("text", "trapping", "answers"),
    [
        (wat.START, "dirty_then_trap", {"look": 17}),
        (wat.GLOBALS, "dirty_then_trap", {"look": 10}),
        (wat.TABLE, "change_then_trap", {"size": 4, "look": 56}),
        (wat.TABLE, "call_null", {"size": 4, "look": 56}),
    ],
)
def test_memory_globals_and_tables_are_put_back_in_place(
    text: wat.Guest, trapping: str, answers: dict[str, int]
) -> None:
    with open_with(wat.guest(text)) as db:
        for i in range(3):
            assert {name: db.call(f"guest.{name}") for name in answers} == answers
            trap(db, f"guest.{trapping}")
            assert guest_of(db, "guest").resets == i + 1
        assert {name: db.call(f"guest.{name}") for name in answers} == answers
        assert guest_of(db, "guest").replacements == 0


def test_every_byte_and_the_guest_s_own_stack_are_put_back(db: reifydb.Database) -> None:
    pointer = db.call("misbehave.stack_pointer", 0, 0)
    for name in ("dirty_then_trap", "leak_stack_then_trap", "trap", "dive_nothing"):
        assert db.call("misbehave.calls", 0, 0) == 1
        assert db.call("misbehave.calls", 0, 0) == 2
        trap(db, f"misbehave.{name}", 1, 2, *([5] if name == "dive_nothing" else []))
        assert db.call("misbehave.stack_pointer", 0, 0) == pointer
        assert db.call("misbehave.calls", 0, 0) == 1
        trap(db, "misbehave.trap", 1, 2)
    assert guest_of(db, "misbehave").replacements == 0


def test_without_the_reset_a_guest_would_go_on_with_half_done_state(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Guest, "renew", lambda guest, kernel: None)
    with open_with(wat.guest(wat.GLOBALS), zig_guest("misbehave")) as db:
        trap(db, "guest.dirty_then_trap")
        assert db.call("guest.look") != 10
        db.call("misbehave.calls", 0, 0)
        trap(db, "misbehave.trap", 1, 2)
        assert db.call("misbehave.calls", 0, 0) != 1


# ------------------------------------------------------------------ replaced


@pytest.mark.parametrize(
    ("text", "trapping", "answers"),
    [
        (wat.TABLE, "grow_then_trap", {"size": 4, "look": 56}),
        (wat.PASSIVE, "drop_then_trap", {"look": 51}),
    ],
)
def test_what_cannot_be_put_back_is_replaced(
    text: wat.Guest, trapping: str, answers: dict[str, int]
) -> None:
    with open_with(wat.guest(text)) as db:
        for i in range(3):
            trap(db, f"guest.{trapping}")
            assert {name: db.call(f"guest.{name}") for name in answers} == answers
            assert guest_of(db, "guest").replacements == i + 1


def test_grown_memory_is_replaced_and_its_pages_are_given_back(db: reifydb.Database) -> None:
    db.call("misbehave.calls", 0, 0)
    for i in range(3):
        trap(db, "misbehave.grow_memory_then_trap", 1, 2, 20)
        assert guest_of(db, "misbehave").replacements == i + 1
        assert db.call("misbehave.calls", 0, 0) == 1
    # One that committed keeps what it grew; a trap after it replaces it.
    db.call("misbehave.grow_memory", 1, 2, 100)
    assert db.call("misbehave.calls", 0, 0) > 1
    trap(db, "misbehave.trap", 1, 2)
    assert guest_of(db, "misbehave").replacements == 4
    assert db.call("misbehave.calls", 0, 0) == 1


def test_memory_and_tables_grow_to_their_limit_only(db: reifydb.Database) -> None:
    with pytest.raises(AbortedError):
        db.call("misbehave.grow_memory", 1, 2, 1000)
    db.install(wat.guest(wat.TABLE))
    db.call("guest.grow_beyond")
    small = reifydb.ModuleLimits(memory_pages_max=8)
    db.install(zig_guest("misbehave"), limits=small)
    with pytest.raises(AbortedError):
        db.call("misbehave.grow_memory", 1, 2, 8)
    db.call("misbehave.grow_memory", 1, 2, 1)


# ------------------------------------------------------------------ moved to a fresh store


@linux
def test_after_enough_replacements_the_kernel_moves(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "REPLACEMENTS_MAX", 20)
    modules = wat.guest(wat.PASSIVE), wat.guest(wat.START, "started"), zig_guest("misbehave")
    with open_with(*modules) as db:
        db.call_many("misbehave.honest", [(i, i) for i in range(5000)])
        stores = {id(db._kernel.store)}
        before = None
        for i in range(200):
            with no_trace(db):
                with pytest.raises(TrappedError):
                    db.call("guest.drop_then_trap")
                assert db.call("guest.look") == 51
            db.call("misbehave.honest", i, -i)
            stores.add(id(db._kernel.store))
            assert guest_of(db, "guest").replacements < 20
            if i == 40:
                before = usage()
        after = usage()
        assert before is not None
        assert len(stores) > 3
        # 20 dead instances reserve 80 GiB and 40 mappings; 160 would be 640 GiB and 320.
        assert after.address_space - before.address_space < 100 << 30
        assert after.mappings - before.mappings < 100
        assert after.resident - before.resident < 64 << 20
        assert db.call("started.look") == 17
        assert db.count("victim") == 5000
        assert db.get("victim", 199) == {"id": 199, "n": -199}


@linux
def test_without_moves_address_space_would_be_used_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry.Registry, "renew_store", lambda self: None)
    with open_with(wat.guest(wat.PASSIVE)) as db:
        before = usage()
        for _ in range(100):
            trap(db, "guest.drop_then_trap")
        assert usage().address_space - before.address_space > 300 << 30


def test_a_move_keeps_everything(db: reifydb.Database) -> None:
    for text, name in ((wat.START, "a"), (wat.TABLE, "b"), (wat.PASSIVE, "c"), (wat.GLOBALS, "d")):
        db.install(wat.guest(text, name))
    db.install(zig_guest("every_type"), apply_schema=True)
    for round_ in range(5):
        found = db.call_many("misbehave.many_rows", [(i * 1000, round_, 50) for i in range(50)])
        assert found.committed == 50
        db.call("every_type.create_note", f"note {round_}", round_)
        before = rows_of(db, "victim")
        pointer = stack_pointer(db)()
        with no_trace(db):
            old = db._kernel.store
            db._registry.move()
            assert db._kernel.store is not old
            assert stack_pointer(db)() == pointer
            assert rows_of(db, "victim") == before
        assert [db.call(f"{name}.look") for name in "abcd"] == [17, 56, 51, 10]
        assert db.call("every_type.note_body", round_ + 1) == f"note {round_}"
        assert db.call("misbehave.calls", 0, 0) == 1
        trap(db, "misbehave.trap", 1, 2)
        trap(db, "c.drop_then_trap")
        with pytest.raises(TrappedError):
            db.call("d.dirty_then_trap")
        with db.transaction() as tx:
            tx.upsert("victim", {"id": -1, "n": round_})


def test_a_move_carries_redo_that_the_log_has_not_fetched(tmp_path: Any) -> None:
    path = tmp_path / "db.reify"
    with reifydb.open(path, options=reifydb.Options(flush_interval_ms=50)) as db:
        db.install(zig_guest("misbehave"), apply_schema=True)
        for i in range(300):
            db.call("misbehave.honest", i, i)
            if i % 20 == 0:
                with db._turns.lock:
                    db._registry.move()
        expected = db.state_hash, db.lsn
    with reifydb.open(path) as db:
        assert (db.state_hash, db.lsn) == expected
        assert db.call("misbehave.calls", 0, 0) == 1
        db.verify()


# ------------------------------------------------------------------ installed again and again


@linux
def test_installing_replacing_and_removing_for_ever_stays_flat(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(registry, "INSTANCES_MAX", 60)
    with open_with(zig_guest("misbehave")) as db:
        before = None
        stores = set()
        for i in range(150):
            text = (wat.START, wat.TABLE, wat.PASSIVE)[i % 3]
            db.install(wat.guest(text))
            assert db.call("guest.look") in (17, 56, 51)
            if i % 5 == 4:
                db.remove("guest")
            stores.add(id(db._kernel.store))
            if i == 40:
                before = usage()
        after = usage()
        assert before is not None
        assert len(stores) > 2
        assert after.address_space - before.address_space < 200 << 30
        assert after.mappings - before.mappings < 150
        db.call("misbehave.honest", 1, 2)
        db.verify()


def test_many_traps_of_many_kinds_in_one_instance() -> None:
    kinds = ["trap", "out_of_bounds", "divide_by_zero", "call_nothing", "dirty_then_trap"]
    with open_with(zig_guest("misbehave"), deadline_ms=5) as db:
        with no_trace(db):
            for _ in range(20):
                for name in kinds:
                    found = db.call_many(f"misbehave.{name}", [(1, 2)] * 20)
                    assert found.committed == 0
                with pytest.raises(DeadlineError):
                    db.call("misbehave.loop", 1, 2)
        assert guest_of(db, "misbehave").resets == 20 * (20 * len(kinds) + 1)
        assert db.call("misbehave.calls", 0, 0) == 1
