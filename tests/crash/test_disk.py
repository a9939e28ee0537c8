"""A whole database on a disk that is full, or whose syncs fail: a real small one, and simulated.

Writes are refused, reads go on, nothing that was acknowledged as durable is lost. A full disk
serves again when there is space; a failed sync is final until the database is opened anew.
"""

from __future__ import annotations

import contextlib
import errno
import shutil
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

import reifydb
from reifydb.database.database import Database, now_ns
from reifydb.durability import open_log
from reifydb.durability.simulated import SimulatedStorage
from reifydb.durability.storage import Storage
from reifydb.errors import (
    DurabilityLostError,
    DurabilityStalledError,
    StorageError,
    StorageFullError,
)
from reifydb.sandbox.workshop import Workshop
from tests.crash.bank_history import ACCOUNTS, EACH, prepare

RESERVE_BYTES = 1 << 14
OPTIONS = reifydb.Options(
    segment_bytes_max=20_000,
    reserve_bytes=RESERVE_BYTES,
    durability_lag_ms_max=60_000,
    durability_stall_ms_max=500,
)
PATH = "/data/bank"


def open_on(storage: Storage, options: reifydb.Options = OPTIONS) -> Database:
    """`reifydb.open` with another disk."""
    log = open_log(PATH, options, storage=storage)
    try:
        db = Database(PATH, options, log, Workshop(), clock=now_ns, seed=1)
        try:
            db.recover()
        except BaseException:
            db._abandon()
            raise
    except BaseException:
        log.close()
        raise
    return db


def money(db: Database) -> object:
    return db.call("bank.total")


def insert_note(db: Database, text: str) -> int:
    """A commit; its lsn."""
    with db.transaction() as tx:
        tx.insert("note", {"text": text})
    assert tx.lsn is not None
    return tx.lsn


def fill(db: Database, *, commits_max: int = 5000) -> tuple[int, int]:
    """Commits until the disk is full; the last lsn that was flushed, and the last one."""
    durable = db.durable_lsn
    for number in range(commits_max):
        try:
            lsn = insert_note(db, f"{number} " + "x" * 500)
            if number % 7 == 0:
                db.flush()
                durable = lsn
        except StorageFullError:
            return durable, db.lsn
    pytest.fail("the disk never was full")


def check_reads_go_on(db: Database, notes: int) -> None:
    db.verify()
    assert db.count("note") == notes
    assert len(list(db.scan("note", limit=3))) == 3
    assert money(db) == ACCOUNTS * EACH
    assert db.call("bank.balance", 5) is not None
    with db.transaction(query=True) as tx:
        assert tx.get("account", 1) is not None


def check_writes_are_refused(db: Database, error: type[Exception]) -> None:
    before = db.lsn, db.state_hash
    for write in (
        lambda: db.call("bank.transfer", 1, 2, 3),
        lambda: db.call_many("bank.transfer", [(1, 2, 3)]),
        lambda: insert_note(db, "refused"),
        lambda: db.execute("create table refused (id int primary key)"),
        lambda: db.remove("bank"),
    ):
        with pytest.raises(error):
            write()
    assert (db.lsn, db.state_hash) == before
    assert "refused" not in db.tables
    assert "bank" in db.modules


def until(condition: Callable[[], bool], seconds: float = 10.0) -> None:
    give_up = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < give_up, "waited in vain"
        time.sleep(0.01)


def writes_are_served(db: Database) -> bool:
    try:
        insert_note(db, "served")
    except StorageFullError:
        return False
    return True


# ------------------------------------------------------------------ a real disk


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 512 KiB; mounting one needs root."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = shutil.which("mount")
    if mount is None:
        pytest.skip("there is no mount")
    command = [mount, "-t", "tmpfs", "-o", "size=512k", "reifydb-test", str(disk)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"a small file system cannot be mounted here: {done.stderr.strip()}")
    try:
        yield disk
    finally:
        subprocess.run(["umount", "--lazy", str(disk)], check=True)


def test_a_full_disk_refuses_writes_and_serves_again_when_there_is_space(small_disk: Path) -> None:
    ballast = small_disk / "somebody_elses"
    ballast.write_bytes(bytes(200 << 10))
    folder = small_disk / "bank"
    db = reifydb.open(folder, options=OPTIONS)
    prepare(db)
    durable, committed = fill(db)
    check_writes_are_refused(db, StorageFullError)
    notes = committed - 3
    check_reads_go_on(db, notes)
    # Another handle finds, in a copy, everything that was durable.
    copy = small_disk.with_name("copy")
    shutil.copytree(folder, copy)
    with reifydb.open(copy) as other:
        other.verify()
        assert durable <= other.lsn <= committed
    ballast.unlink()
    until(lambda: writes_are_served(db))
    db.wait_durable(timeout_s=10)
    assert db.call("bank.transfer", 1, 2, 3) == EACH - 3
    last, state = db.lsn, db.state_hash
    db.close()
    with reifydb.open(folder, options=OPTIONS) as db:
        db.verify()
        assert (db.lsn, db.state_hash) == (last, state)
        assert money(db) == ACCOUNTS * EACH


def test_a_database_closed_on_a_full_disk_keeps_what_was_durable(small_disk: Path) -> None:
    folder = small_disk / "bank"
    db = reifydb.open(folder, options=OPTIONS)
    prepare(db)
    durable, committed = fill(db)
    with contextlib.suppress(DurabilityLostError):
        db.close()  # the ballast makes room for what waits, if that is not too much
    shutil.move(folder, small_disk.with_name("elsewhere"))
    with reifydb.open(small_disk.with_name("elsewhere")) as db:
        db.verify()
        assert durable <= db.lsn <= committed
        assert money(db) == ACCOUNTS * EACH


def test_a_disk_too_full_for_a_new_database_is_named(small_disk: Path) -> None:
    with contextlib.suppress(OSError), open(small_disk / "somebody_elses", "wb") as file:
        while True:
            file.write(bytes(4096))
            file.flush()
    with pytest.raises((StorageFullError, StorageError), match="No space left"):
        reifydb.open(small_disk / "bank", options=OPTIONS)
    (small_disk / "somebody_elses").unlink()
    with reifydb.open(small_disk / "bank", options=OPTIONS) as db:
        prepare(db)
        db.verify()


# ------------------------------------------------------------------ a simulated disk


def test_a_full_simulated_disk_loses_nothing_and_serves_again() -> None:
    storage = SimulatedStorage(space_bytes=300_000)
    db = open_on(storage)
    prepare(db)
    durable, committed = fill(db)
    check_writes_are_refused(db, StorageFullError)
    check_reads_go_on(db, committed - 3)
    for seed in range(5):
        with open_on(storage.after_crash(seed)) as other:
            other.verify()
            assert durable <= other.lsn <= committed
    storage.space_bytes = 1 << 20
    until(lambda: writes_are_served(db))
    db.flush()
    state = db.lsn, db.state_hash
    db.close()
    with open_on(storage.after_crash(9)) as db:
        db.verify()
        assert (db.lsn, db.state_hash) == state


def test_who_waits_on_a_full_disk_is_told_when_it_is_durable() -> None:
    storage = SimulatedStorage(space_bytes=300_000)
    db = open_on(storage)
    prepare(db)
    fill(db)
    lsn = db.lsn
    told: list[int] = []
    waiter = threading.Thread(target=lambda: (db.wait_durable(lsn, 30), told.append(lsn)))
    waiter.start()
    storage.space_bytes = 1 << 20
    waiter.join(30)
    assert told == [lsn]
    assert db.durable_lsn >= lsn
    db.close()


def commits_of_five(db: Database, log: list[int]) -> None:
    """Five durable commits, noted as they are acknowledged."""
    for number in range(5):
        lsn = insert_note(db, f"note {number}")
        db.wait_durable(lsn, 10)
        log.append(lsn)


def test_a_failed_sync_tells_everyone_and_the_next_opening_has_what_was_durable() -> None:
    """For each sync of five commits, among which segments are sealed and begun."""
    for number in range(1, 100):
        storage = SimulatedStorage()
        db = open_on(storage, replace(OPTIONS, segment_bytes_max=400))
        prepare(db)
        db.flush()
        storage.faults = {("sync", storage.counts["sync"] + number): errno.EIO}
        acknowledged: list[int] = []
        try:
            commits_of_five(db, acknowledged)
        except DurabilityLostError as error:
            caught = error
        else:
            db.close()
            assert number > 12
            return
        durable = max([3, *acknowledged])
        assert caught.durable_lsn >= durable
        assert db.durable_lsn == caught.durable_lsn
        lost = db.lsn
        # Reads go on, of what was committed; writes and waits are refused.
        check_reads_go_on(db, lost - 3) if lost > 5 else db.verify()
        check_writes_are_refused(db, DurabilityLostError)
        with pytest.raises(DurabilityLostError):
            db.wait_durable(lost)
        with pytest.raises(DurabilityLostError):
            db.flush()
        with pytest.raises(DurabilityLostError):
            db.close()
        db.close()
        for seed in range(2):
            with open_on(storage.after_crash(seed)) as other:
                other.verify()
                assert durable <= other.lsn <= lost
                assert other.count("note") == other.lsn - 3
                assert money(other) == ACCOUNTS * EACH
                insert_note(other, "the next incarnation")
                other.flush()
    pytest.fail("no end of syncs")


def stands_still(db: Database) -> bool:
    try:
        insert_note(db, "behind it")
    except DurabilityStalledError:
        return True
    return False


def test_a_disk_that_stands_still_stalls_writers_and_no_readers() -> None:
    storage = SimulatedStorage()
    options = reifydb.Options(
        reserve_bytes=0, durability_lag_ms_max=5.0, durability_stall_ms_max=100.0
    )
    db = open_on(storage, options)
    prepare(db)
    db.flush()
    moves = threading.Event()

    def stand_still(kind: str, path: str) -> None:
        if kind == "sync":
            moves.wait(30)

    storage.before = stand_still
    try:
        insert_note(db, "on its way")
        until(lambda: stands_still(db), 5)
        check_writes_are_refused(db, DurabilityStalledError)
        db.verify()
        assert money(db) == ACCOUNTS * EACH
        assert db.durability_lag.commits == db.lsn - db.durable_lsn > 0
        with pytest.raises(reifydb.WaitTimeoutError):
            db.wait_durable(timeout_s=0.01)
    finally:
        moves.set()
    db.wait_durable(timeout_s=10)
    insert_note(db, "it moves")
    db.close()


@pytest.mark.parametrize("kind", ["open", "folder", "rename", "sync", "write"])
def test_an_opening_that_the_disk_refuses_leaves_nothing_locked(kind: str) -> None:
    for number in range(1, 40):
        storage = SimulatedStorage(faults={(kind, number): errno.EIO})
        try:
            db = open_on(storage)
        except (StorageError, StorageFullError):
            storage.faults = {}
            with open_on(storage) as db:
                prepare(db)
                db.verify()
        else:
            storage.faults = {}
            db.close()
            if storage.counts.get(kind, 0) < number:
                return
    pytest.fail("opening takes more steps than were tried")
