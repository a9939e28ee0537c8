"""The gate for writers, and who is told what: with a disk that syncs only when it is let."""

from __future__ import annotations

import signal
import threading
import time
from bisect import bisect_left
from collections.abc import Callable, Iterator

import pytest

from reifydb.config import Options
from reifydb.durability import FileLog, backlog, open_log
from reifydb.durability.simulated import SimulatedStorage
from reifydb.errors import DurabilityStalledError, LogDamagedError, WaitTimeoutError
from tests.crash.durability.histories import PATH, group


class HeldDisk:
    """A simulated disk whose syncs of the log wait until they are let go."""

    def __init__(self) -> None:
        self.storage = SimulatedStorage()
        self.held = threading.Event()
        self._passes = 0
        self._go = threading.Event()
        self._go.set()
        self.storage.before = self._before

    def _before(self, kind: str, path: str) -> None:
        if kind == "sync" and path.endswith(".seg") and not self._go.is_set():
            self.held.set()
            while not self._go.wait(0.01) and not self._passes:
                pass
            self._passes = 0

    def hold(self) -> None:
        self._go.clear()

    def let_one_go(self) -> None:
        """The sync that is held, and no other."""
        self.held.clear()
        self._passes = 1

    def let_go(self) -> None:
        self._go.set()


@pytest.fixture
def disk() -> HeldDisk:
    return HeldDisk()


@pytest.fixture
def open_it(disk: HeldDisk) -> Iterator[Callable[[Options], FileLog]]:
    opened: list[FileLog] = []

    def open_log_of(options: Options) -> FileLog:
        opened.append(open_log(PATH, options, storage=disk.storage))
        opened[-1].start()
        return opened[-1]

    yield open_log_of
    disk.let_go()
    for log in opened:
        log.close()


def in_thread(action: Callable[[], None]) -> tuple[threading.Thread, threading.Event]:
    done = threading.Event()

    def run() -> None:
        action()
        done.set()

    thread = threading.Thread(target=run)
    thread.start()
    return thread, done


def test_admit_waits_while_too_many_bytes_wait(
    disk: HeldDisk, open_it: Callable[[Options], FileLog]
) -> None:
    log = open_it(
        Options(
            durability_lag_bytes_max=100,
            durability_lag_ms_max=60_000.0,
            durability_stall_ms_max=60_000.0,
            reserve_bytes=0,
        )
    )
    disk.hold()
    log.append(group(1, 1))
    disk.held.wait()
    log.admit()
    log.append(group(2, 9))
    assert log.lag().bytes > 100
    thread, admitted = in_thread(log.admit)
    assert not admitted.wait(0.1)
    disk.let_go()
    thread.join()
    assert admitted.is_set()
    assert log.durable_lsn >= 1


def test_admit_waits_while_the_oldest_commit_is_too_old(
    disk: HeldDisk, open_it: Callable[[Options], FileLog]
) -> None:
    log = open_it(
        Options(durability_lag_ms_max=5.0, durability_stall_ms_max=60_000.0, reserve_bytes=0)
    )
    disk.hold()
    log.append(group(1, 1))
    disk.held.wait()
    while log.lag().ms <= 5.0:
        pass
    thread, admitted = in_thread(log.admit)
    assert not admitted.wait(0.1)
    disk.let_go()
    thread.join()
    assert admitted.is_set()
    assert log.durable_lsn == 1


def test_the_age_counts_from_the_oldest_also_behind_a_group_on_its_way(
    disk: HeldDisk, open_it: Callable[[Options], FileLog]
) -> None:
    log = open_it(
        Options(durability_lag_ms_max=20.0, durability_stall_ms_max=60_000.0, reserve_bytes=0)
    )
    disk.hold()
    log.append(group(1, 1))
    disk.held.wait()
    before = log.lag().ms
    log.append(group(2, 1))
    assert log.lag().ms >= before
    assert log.lag().commits == 2
    disk.let_one_go()
    log.wait_durable(1, 30)
    disk.held.wait()
    assert log.durable_lsn == 1
    while log.lag().ms <= 20.0:
        assert log.lag().ms > 0
    thread, admitted = in_thread(log.admit)
    assert not admitted.wait(0.1)
    disk.let_go()
    thread.join()


def test_a_disk_that_stalls_refuses_writers_and_then_at_once(
    disk: HeldDisk, open_it: Callable[[Options], FileLog]
) -> None:
    log = open_it(Options(durability_lag_ms_max=1.0, durability_stall_ms_max=30.0, reserve_bytes=0))
    disk.hold()
    log.append(group(1, 1))
    disk.held.wait()
    for _ in range(3):
        while log.lag().ms <= 1.0:
            pass
        with pytest.raises(DurabilityStalledError):
            log.admit()
    with pytest.raises(WaitTimeoutError):
        log.wait_durable(1, 0.01)
    disk.let_go()
    log.wait_durable(1, 30)
    log.admit()


def test_who_comes_when_the_disk_has_long_been_still_is_refused_at_once(
    disk: HeldDisk, open_it: Callable[[Options], FileLog], monkeypatch: pytest.MonkeyPatch
) -> None:
    log = open_it(Options(durability_stall_ms_max=3_600_000.0, reserve_bytes=0))
    disk.hold()
    log.append(group(1, 1))
    disk.held.wait()
    later = time.monotonic_ns() + 3_601_000_000_000
    monkeypatch.setattr(backlog, "monotonic_ns", lambda: later)
    with pytest.raises(DurabilityStalledError):
        log.admit()


def test_appending_never_waits_for_the_disk(
    disk: HeldDisk, open_it: Callable[[Options], FileLog]
) -> None:
    log = open_it(Options(durability_lag_ms_max=1.0, reserve_bytes=0))
    disk.hold()
    for n in range(1, 1001):
        log.append(group(n))
    assert (log.lsn, log.durable_lsn) == (1000, 0)
    assert log.lag().commits == 1000
    disk.let_go()
    log.flush()
    assert log.durable_lsn == 1000


def test_what_waits_is_joined_into_one_frame(
    disk: HeldDisk, open_it: Callable[[Options], FileLog]
) -> None:
    log = open_it(Options(reserve_bytes=0))
    disk.hold()
    log.append(group(1))
    disk.held.wait()
    for n in range(2, 101):
        log.append(group(n))
    disk.let_go()
    log.flush()
    log.close()
    again = open_log(PATH, Options(), storage=disk.storage)
    assert [each.commits for each in again.replay()] == [1, 99]
    again.close()


# ------------------------------------------------------------------ commits that are fetched


def test_expected_commits_are_fetched_by_the_log(
    disk: HeldDisk, open_it: Callable[[Options], FileLog]
) -> None:
    log = open_it(Options(reserve_bytes=0))
    log.fetch_from(lambda: log.append(group(log.lsn + 1)))
    for lsn in range(1, 6):
        log.expect()
        log.wait_durable(lsn, 30)
    assert log.lsn == log.durable_lsn == 5


def test_expected_commits_that_were_appended_meanwhile_leave_no_lag(
    disk: HeldDisk, open_it: Callable[[Options], FileLog]
) -> None:
    """The log comes to fetch what the engine has appended itself: nothing is old after that."""
    log = open_it(Options(durability_lag_ms_max=1.0, reserve_bytes=0))
    fetched = threading.Event()
    log.fetch_from(fetched.set)
    log.expect()
    fetched.wait()
    while log.lag().ms:
        pass
    log.admit()
    log.append(group(1))
    log.flush()
    while log.lag().ms:
        pass
    log.admit()


def test_expected_commits_count_as_lag_until_they_are_fetched(
    disk: HeldDisk, open_it: Callable[[Options], FileLog]
) -> None:
    log = open_it(Options(durability_lag_ms_max=1.0, durability_stall_ms_max=20.0, reserve_bytes=0))
    busy = threading.Event()
    tries: list[float] = []

    def source() -> None:
        tries.append(log.lag().ms)
        if busy.is_set():
            log.append(group(1))
        else:
            log.expect()  # the engine is at work: later

    log.fetch_from(source)
    log.expect()
    while len(tries) < 50:
        pass
    assert tries == sorted(tries), "the age is that of the first time"
    while log.lag().ms <= 20.0:
        pass
    with pytest.raises(DurabilityStalledError):
        log.admit()
    busy.set()
    log.wait_durable(1, 30)
    log.admit()


def test_what_the_engine_appends_itself_waits_since_it_was_expected(
    disk: HeldDisk, open_it: Callable[[Options], FileLog]
) -> None:
    log = open_it(Options(reserve_bytes=0))
    disk.hold()
    log.append(group(1))
    disk.held.wait()
    log.expect()  # visible, while another flush is on its way …
    time.sleep(0.03)
    log.append(group(2))  # … and handed over later
    log.append(group(3))
    disk.let_one_go()
    while log.durable_lsn < 1:
        pass
    assert log.lag().ms >= 30
    disk.let_go()
    log.wait_durable(3, 30)
    lags = log.pace.lags
    assert sum(lags.counts) == sum(log.pace.flushes.counts) == 2
    assert sum(lags.counts[bisect_left(lags.bounds, 0.03) :]) == 2
    assert lags.sum >= 0.06


def test_an_idle_log_leaves_a_mark(disk: HeldDisk, open_it: Callable[[Options], FileLog]) -> None:
    log = open_it(Options(reserve_bytes=0))
    log.append(group(1))
    log.flush()
    path = f"{PATH}/log/{1:016x}.seg"
    size = len(disk.storage.read_image(path))
    while len(disk.storage.read_image(path)) == size:
        log.lag()
    rotten = bytearray(disk.storage.read_image(path))
    rotten[size - 1] ^= 1
    crashed = disk.storage.after_kill()
    crashed.write_image(path, bytes(rotten))
    with pytest.raises(LogDamagedError):
        list(open_log(PATH, Options(), storage=crashed).replay())


def test_two_interrupts_do_not_release_the_lock_of_another_thread(
    disk: HeldDisk, open_it: Callable[[Options], FileLog]
) -> None:
    """The first ends the wait, the second what waits to have the lock back."""

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    log = open_it(Options())
    disk.hold()
    log.append(group(1))
    lock = log._backlog._lock
    released: list[str] = []

    def holds_the_lock() -> None:
        time.sleep(0.05)
        with lock:
            for _ in range(2):
                signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGUSR1)
                time.sleep(0.05)
            taken = threading.Thread(
                target=lambda: lock.acquire(timeout=0.01) and released.append("released")
            )
            taken.start()
            taken.join()

    before = signal.signal(signal.SIGUSR1, interrupt)
    other = threading.Thread(target=holds_the_lock)
    try:
        other.start()
        with pytest.raises(KeyboardInterrupt):
            log.wait_durable(1, 10)
    finally:
        other.join()
        signal.signal(signal.SIGUSR1, before)
    assert released == []
    disk.let_go()
    log.wait_durable(1, 10)
