"""The system refuses: errors of sync, full disks, short writes, at each of a history's operations.

After a failed sync nothing is acknowledged any more. A full disk only stops writes for a while. And
whatever happened, the next opening finds what was acknowledged.
"""

from __future__ import annotations

import contextlib
import errno
import threading

import pytest

from reifydb.config import Options
from reifydb.durability import FileLog, open_log
from reifydb.durability.simulated import SimulatedStorage
from reifydb.errors import (
    DurabilityLostError,
    ReifyDBError,
    StorageError,
    StorageFullError,
)
from tests.crash.durability.histories import PATH, Told, check_after, check_prefix, group, read_log

OPTIONS = Options(
    segment_bytes_max=400,
    reserve_bytes=4096,
    flush_interval_ms=0.0,
    durability_lag_ms_max=60_000.0,
    durability_stall_ms_max=60_000.0,
)


def start(storage: SimulatedStorage) -> FileLog:
    log = open_log(PATH, OPTIONS, storage=storage)
    try:
        check_prefix(list(log.replay()))
        log.start()
    except ReifyDBError:
        log.close()
        raise
    return log


def run(storage: SimulatedStorage, told: Told) -> None:
    """Two incarnations of ten flushed groups, noting what is acknowledged."""
    for _ in range(2):
        log = start(storage)
        told.incarnation = log.incarnation
        try:
            for _ in range(10):
                log.admit()
                log.append(group(log.lsn + 1, 2))
                told.attempted = log.lsn
                log.flush()
                told.durable = log.durable_lsn
                assert told.durable == log.lsn
        finally:
            log.close()


def counts_of_run() -> dict[str, int]:
    storage = SimulatedStorage()
    run(storage, Told())
    return storage.counts


COUNTS = counts_of_run()


@pytest.mark.parametrize("code", [errno.EIO, errno.ENOSPC])
def test_a_failed_sync_is_final_and_loses_nothing_acknowledged(code: int) -> None:
    durable: list[tuple[int, int]] = []
    refused = 0
    for number in range(1, COUNTS["sync"] + 1):
        storage, told = SimulatedStorage(faults={("sync", number): code}), Told()
        try:
            run(storage, told)
        except DurabilityLostError as error:
            durable.append((error.durable_lsn, told.durable))
        except StorageError:
            refused += 1
        for seed in range(4):
            check_after(storage.after_crash(seed), told)
    assert all(stated == noted for stated, noted in durable)
    assert (lost := len(durable)) >= 20
    assert refused >= 5
    # Only syncs of folders that were there, and of a seal behind which everything was durable, may
    # fail without a word.
    assert lost + refused >= COUNTS["sync"] - 5


def test_after_a_failed_sync_no_file_is_synced_again() -> None:
    for number in range(12, 30):
        storage = SimulatedStorage(faults={("sync", number): errno.EIO})
        with pytest.raises((DurabilityLostError, StorageError)):
            run(storage, Told())
        assert len(storage.syncs) == number


def test_everyone_is_told_of_a_failed_sync() -> None:
    storage = SimulatedStorage()
    log = start(storage)
    log.append(group(1, 4))
    log.flush()
    storage.faults[("sync", len(storage.syncs) + 1)] = errno.EIO
    entered, told = threading.Event(), []
    storage.before = lambda kind, _: entered.wait() if kind == "sync" else None

    def wait() -> None:
        try:
            log.wait_durable(6, None)
        except DurabilityLostError as error:
            told.append(error.durable_lsn)

    waiters = [threading.Thread(target=wait) for _ in range(5)]
    for waiter in waiters:
        waiter.start()
    log.append(group(5, 2))
    entered.set()
    for waiter in waiters:
        waiter.join()
    assert told == [4] * 5
    log.wait_durable(4, 0)
    for use in (log.admit, log.flush, lambda: log.append(group(7))):
        with pytest.raises(DurabilityLostError):
            use()
    with pytest.raises(DurabilityLostError):
        log.close()
    log.close()
    assert 4 <= read_log(storage) <= 6


@pytest.mark.parametrize("code", [0, errno.ENOSPC, errno.EDQUOT, errno.EIO])
def test_a_write_that_fails_loses_nothing_acknowledged(code: int) -> None:
    """Code 0 is a short write: half is written, and nothing is said."""
    for number in range(1, COUNTS["write"] + 1):
        storage, told = SimulatedStorage(faults={("write", number): code}), Told()
        failed = None
        try:
            run(storage, told)
        except ReifyDBError as error:
            failed = error
        if code == 0:
            assert failed is None
            assert told.durable == 40
        for seed in range(3):
            check_after(storage.after_crash(seed), told)


@pytest.mark.parametrize("kind", ["open", "rename", "remove", "folder", "allocate", "truncate"])
def test_other_refusals_lose_nothing_acknowledged(kind: str) -> None:
    for number in range(1, COUNTS.get(kind, 0) + 1):
        for code in (errno.EIO, errno.ENOSPC):
            storage, told = SimulatedStorage(faults={(kind, number): code}), Told()
            with contextlib.suppress(ReifyDBError):
                run(storage, told)
            check_after(storage.after_crash(number), told)


# ------------------------------------------------------------------ a full disk


def fill(storage: SimulatedStorage, log: FileLog) -> None:
    """Commit until the disk is full, with one group waiting that does not even fit the reserve."""
    storage.space_bytes = 0
    for _ in range(100):
        log.append(group(log.lsn + 1, 5))
        try:
            log.flush()
        except StorageFullError:
            return
    pytest.fail("the disk does not get full")


def test_a_full_disk_refuses_writes_and_serves_again_by_itself() -> None:
    storage = SimulatedStorage()
    log = start(storage)
    log.append(group(1, 3))
    log.flush()
    fill(storage, log)
    with pytest.raises(StorageFullError):
        log.admit()
    assert "RESERVE" not in storage.names(PATH)
    log.append(group(log.lsn + 1))  # what had been admitted before
    storage.space_bytes = None
    log.wait_durable(log.lsn, 30)
    while True:  # it serves again once the reserve is back
        try:
            log.admit()
            break
        except StorageFullError:
            log.lag()
    assert "RESERVE" in storage.names(PATH)
    log.append(group(log.lsn + 1))
    log.close()
    assert read_log(storage) == log.lsn


def test_the_reserve_lets_a_log_on_a_full_disk_close() -> None:
    storage = SimulatedStorage()
    log = start(storage)
    storage.space_bytes = storage.used_bytes
    log.append(group(1, 5))
    log.close()
    assert log.durable_lsn == 5
    assert read_log(storage) == 5


def test_closing_on_a_disk_that_stays_full_says_what_is_lost() -> None:
    storage = SimulatedStorage()
    log = start(storage)
    log.append(group(1, 5))
    log.flush()
    fill(storage, log)
    durable = log.durable_lsn
    with pytest.raises(DurabilityLostError) as caught:
        log.close()
    assert caught.value.durable_lsn == durable
    log.close()
    storage.space_bytes = None
    assert read_log(storage) == durable


def test_opening_on_a_full_disk_is_refused_and_harmless() -> None:
    storage = SimulatedStorage()
    log = start(storage)
    log.append(group(1, 5))
    log.close()
    storage.space_bytes = 0
    with pytest.raises(StorageFullError):
        start(storage)
    assert read_log(storage) == 5
    storage.space_bytes = None
    start(storage).close()
