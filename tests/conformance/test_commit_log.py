"""One suite for every `CommitLog`: on files, on the simulated disk, in memory."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from reifydb.config import Options
from reifydb.durability import CommitLog, Group, Lag, MemoryLog, open_log
from reifydb.durability.simulated import SimulatedStorage
from reifydb.errors import ClosedError, WaitTimeoutError
from tests.crash.durability.histories import check_prefix, group

OPTIONS = Options(segment_bytes_max=2000, reserve_bytes=4096)
Open = Callable[[], CommitLog]


@pytest.fixture(params=["files", "simulated", "memory"])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def open_again(kind: str, tmp_path: Path) -> Iterator[Open]:
    """Opens the log, each time the same one; closes what a test left open."""
    disk = SimulatedStorage()
    opened: list[CommitLog] = []

    def open_it() -> CommitLog:
        if kind == "memory":
            opened.append(MemoryLog())
        elif kind == "simulated":
            opened.append(open_log("/db", OPTIONS, storage=disk))
        else:
            opened.append(open_log(str(tmp_path / "db"), OPTIONS))
        return opened[-1]

    yield open_it
    for log in opened:
        log.close()


@pytest.fixture
def log(open_again: Open) -> CommitLog:
    log = open_again()
    assert list(log.replay()) == []
    log.start()
    return log


def test_a_new_log_is_empty(log: CommitLog) -> None:
    assert (log.lsn, log.durable_lsn, log.incarnation) == (0, 0, 1)
    assert len(log.uuid) == 16
    assert log.lag() == Lag(0, 0, 0.0)
    log.flush()
    log.wait_durable(0, 0)
    log.admit()


def test_what_is_waited_for_is_durable(log: CommitLog) -> None:
    for commits in (1, 5, 2):
        log.admit()
        log.append(group(log.lsn + 1, commits))
        log.wait_durable(log.lsn, 30)
        assert log.durable_lsn == log.lsn
    assert log.lsn == 8


def test_flush_leaves_no_lag(log: CommitLog) -> None:
    for _ in range(50):
        log.append(group(log.lsn + 1, 3))
    log.flush()
    assert log.durable_lsn == log.lsn == 150
    assert log.lag() == Lag(0, 0, 0.0)


def test_waiting_for_what_does_not_come_ends(log: CommitLog) -> None:
    with pytest.raises(WaitTimeoutError):
        log.wait_durable(1, 0.01)
    with pytest.raises(WaitTimeoutError):
        log.wait_durable(1, 0)
    log.append(group(1))
    log.wait_durable(1, float("inf"))


def test_lsns_are_dense(log: CommitLog) -> None:
    log.append(group(1, 2))
    with pytest.raises(AssertionError):
        log.append(group(4, 1))
    log.append(group(3, 1))


def test_nothing_goes_on_before_start_or_after_close(open_again: Open) -> None:
    log = open_again()
    with pytest.raises(ClosedError):
        log.append(group(1))
    with pytest.raises(ClosedError):
        log.admit()
    log.start()
    log.append(group(1))
    log.close()
    log.close()
    for use in (lambda: log.append(group(2)), log.admit, log.flush):
        with pytest.raises(ClosedError):
            use()
    with pytest.raises(ClosedError):
        log.wait_durable(2, 1)
    log.wait_durable(1, 1)
    assert log.durable_lsn == 1


def test_closing_without_starting_is_fine(open_again: Open) -> None:
    open_again().close()


def test_durable_lsn_never_falls_while_writers_wait(log: CommitLog) -> None:
    seen: list[int] = []
    stop = threading.Event()

    def watch() -> None:
        while not stop.is_set():
            seen.append(durable := log.durable_lsn)
            if durable < log.lsn:
                log.wait_durable(durable + 1, 30)

    watcher = threading.Thread(target=watch)
    watcher.start()
    for _ in range(300):
        log.admit()
        log.append(group(log.lsn + 1, 2))
    log.flush()
    stop.set()
    watcher.join()
    assert seen == sorted(seen)


def test_what_was_durable_comes_back(open_again: Open, kind: str) -> None:
    if kind == "memory":
        pytest.skip("keeps nothing")
    last = 0
    for incarnation in range(1, 6):
        log = open_again()
        assert log.incarnation == incarnation
        assert check_prefix(list(log.replay())) == last
        log.start()
        assert log.lsn == log.durable_lsn == last
        for _ in range(20):
            log.admit()
            log.append(group(log.lsn + 1, 3))
            if log.lsn % 4 == 0:
                log.flush()
        last = log.lsn
        log.close()


def test_start_reads_what_replay_left(open_again: Open, kind: str) -> None:
    if kind == "memory":
        pytest.skip("keeps nothing")
    log = open_again()
    log.start()
    for _ in range(9):
        log.append(group(log.lsn + 1, 1))
        log.flush()
    log.close()
    log = open_again()
    first = next(iter(log.replay()))  # dropped half-way
    assert first == group(1)
    log.start()
    assert log.lsn == 9
    log.close()
    assert check_prefix(list(open_again().replay())) == 9


def test_large_groups_come_back(open_again: Open, kind: str) -> None:
    if kind == "memory":
        pytest.skip("keeps nothing")
    log = open_again()
    log.start()
    sent = [Group(n, 1, bytes([n]) * (n * 700_001), bytes([n] * 16)) for n in range(1, 8)]
    for each in sent:
        log.append(each)
        log.flush()
    log.close()
    assert list(open_again().replay()) == sent
