"""Mistakes that were made once: each test showed one."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Any

import pytest

import reifydb
from reifydb.database import feed
from reifydb.database import packed_calls as packed_calls_module
from reifydb.engine import kernel as kernel_module
from reifydb.sandbox.compiler import CompiledGuest
from reifydb.sandbox.workshop import Workshop
from tests.guests import wat
from tests.guests.databases import open_with, zig_guest


def test_a_python_transition_cannot_end_the_transaction_that_called_it() -> None:
    with reifydb.open(":memory:") as db:
        db.execute("create table t (id int primary key)")

        @db.transition
        def ends(tx: reifydb.Transaction) -> None:
            tx.rollback()

        @db.transition
        def commits(tx: reifydb.Transaction) -> None:
            tx.commit()

        with db.transaction() as tx:
            tx.insert("t", {"id": 1})
            for name in ("ends", "commits"):
                with pytest.raises(reifydb.RequestError, match="inside a transition"):
                    tx.call(name)
            tx.insert("t", {"id": 2})
        assert db.count("t") == 2
        db.verify()


def test_too_many_open_scans_name_their_limit() -> None:
    with reifydb.open(":memory:") as db:
        db.execute("create table t (id int primary key)")
        with db.transaction() as tx:
            tx.insert_many("t", [{"id": i} for i in range(3)])
            scans = [tx.scan("t") for _ in range(64)]
            with pytest.raises(reifydb.TransactionLimitError, match="cursors_max is 64"):
                tx.scan("t")
            assert [next(scan)["id"] for scan in scans] == [0] * 64


def test_the_hash_of_the_log_is_that_of_commits_while_a_transaction_is_open(tmp_path: Path) -> None:
    """The log's thread fetches redo while a transaction has moved a counter and made a table."""
    folder = tmp_path / "db"
    with reifydb.open(folder) as db:
        db.execute("create table t (id int primary key auto_increment, n int)")
        with db.transaction() as tx:
            tx.insert("t", {"n": 1})
        tx = db.transaction()
        tx.begin()
        tx.insert("t", {"n": 2})
        db.wait_durable(timeout_s=10)
        tx.rollback()
    with reifydb.open(folder) as db:
        assert db.count("t") == 1
        db.verify()


def test_a_module_that_cannot_start_again_does_not_keep_the_data_from_being_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "db"
    with reifydb.open(folder) as db:
        db.install(zig_guest("misbehave"), apply_schema=True)
        db.install(wat.guest(wat.GLOBALS), name="globals")
        with db.transaction() as tx:
            tx.insert("victim", {"id": 1, "n": 5})
    compiled = Workshop.compiled

    def fails(workshop: Workshop, wasm: bytes, limits: Any, name: str | None) -> CompiledGuest:
        if name == "globals":
            raise reifydb.ModuleError("the module cannot be compiled", ["on purpose"])
        return compiled(workshop, wasm, limits, name)

    monkeypatch.setattr(Workshop, "compiled", fails)
    with reifydb.open(folder) as db:
        assert db.get("victim", 1) == {"id": 1, "n": 5}
        db.call("misbehave.honest", 2, 3)
        with pytest.raises(reifydb.ModuleError, match="on purpose"):
            db.call("globals.anything")
        monkeypatch.undo()
        db.install(wat.guest(wat.GLOBALS), name="globals")
        with pytest.raises(reifydb.UnknownNameError):
            db.call("globals.anything")
        db.verify()


def test_outcomes_of_calls_that_ran_survive_a_later_refusal(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    db = open_with(zig_guest("misbehave"))
    handle = db._registry.find_wasm("misbehave.honest")
    packed = handle.params.encode_many([(i, i) for i in range(100)])
    monkeypatch.setattr(packed_calls_module, "INPUT_BYTES_MAX", len(packed) // 2 + 8)
    admitted = 0

    def admit() -> None:
        nonlocal admitted
        admitted += 1
        if admitted == 2:
            raise reifydb.DurabilityStalledError("on purpose")

    monkeypatch.setattr(db, "_admit", admit)
    outcomes = db.call_many("misbehave.honest", [(i, i) for i in range(100)])
    assert outcomes.committed == 50 == db.count("victim")
    assert all(outcome.ok for outcome in outcomes[:50])
    assert {type(outcome.error) for outcome in outcomes[50:]} == {reifydb.UnavailableError}
    assert len(outcomes) == 100
    db.close()


def test_address_space_that_is_refused_is_an_error_of_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    from reifydb.engine.ffi import CallEnded

    def refused(self: object) -> None:
        import wasmtime

        raise CallEnded(wasmtime.WasmtimeError("mmap failed"))

    monkeypatch.setattr(kernel_module.Kernel, "_instantiate", refused)
    with pytest.raises(reifydb.KernelError, match="address space"):
        reifydb.open(":memory:")


def test_redo_is_fetched_while_nobody_calls(tmp_path: Path) -> None:
    with reifydb.open(tmp_path / "db") as db:
        db.execute("create table t (id int primary key)")
        give_up = time.monotonic() + 10
        while db.durable_lsn < db.lsn and time.monotonic() < give_up:
            time.sleep(0.005)
        assert db.durable_lsn == db.lsn == 1


def test_who_has_the_engine_hands_over_and_the_log_does_not_wait_for_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = reifydb.Options(flush_interval_ms=100)
    with reifydb.open(tmp_path / "db", options=options) as db:
        db.execute("create table t (id int primary key)")
        later: list[None] = []
        monkeypatch.setattr(feed, "FETCH_LOOKS", 50_000)
        with db._turns.lock:  # a batch that runs
            assert db._feed.state is feed.Redo.EXPECTED
            monkeypatch.setattr(db._log, "expect", lambda: later.append(None))
            while db._feed.state is not feed.Redo.WANTED:
                time.sleep(0.0001)
            db._feed.hand_over()  # between two of its slices
            db._log.wait_durable(1, 10)
        assert not later


def test_after_the_kernel_has_failed_everything_is_refused_and_nobody_is_kept_waiting() -> None:
    db = open_with(zig_guest("misbehave"))
    tx = db.transaction()
    tx.begin()
    db._executor.failed = "the kernel failed, on purpose"
    uses = [
        lambda: db.get("victim", 1),
        lambda: list(db.scan("victim")),
        lambda: db.count("victim"),
        lambda: db.call("misbehave.honest", 1, 1),
        lambda: db.execute("create table u (id int primary key)"),
        lambda: db.transaction().begin(),
        lambda: db.verify(),
    ]
    with pytest.raises(reifydb.KernelError, match="on purpose"):
        tx.get("victim", 1)
    for use in uses:
        with pytest.raises(reifydb.KernelError, match="on purpose"):
            use()
    assert "lsn" in repr(db)
    db.close()


async def test_waiting_for_durability_leaves_the_event_loop_alone(tmp_path: Path) -> None:
    options = reifydb.Options(flush_interval_ms=30)
    with reifydb.open(tmp_path / "db", options=options) as db:
        db.execute("create table t (id int primary key)")
        waiting = asyncio.create_task(db.wait_durable_async(timeout_s=10))
        turns = 0
        while not waiting.done():
            turns += 1
            await asyncio.sleep(0.001)
        await waiting
        assert turns > 1
        assert db.durable_lsn == db.lsn == 1
        with pytest.raises(reifydb.RequestError):
            await db.wait_durable_async(2)
