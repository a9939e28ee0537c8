"""Histories of a commit log that the tests of durability share, and what must be true after them.

The records of commit n are known (`records`), so any recovered log can be compared with the commits
that were made. The log is driven without its thread here: the same history takes the same steps.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field

from reifydb.config import Options
from reifydb.durability import FileLog, Group, open_log
from reifydb.durability.appender import Appender, NoSpaceError
from reifydb.durability.simulated import SimulatedStorage
from reifydb.durability.storage import Storage
from reifydb.errors import ReifyDBError

PATH = "/data/bank"
SEGMENT_BYTES_MAX = 400
OPTIONS = Options(segment_bytes_max=SEGMENT_BYTES_MAX, reserve_bytes=4096, flush_interval_ms=0.0)


class ViolationError(AssertionError):
    """A promise was broken. A class of its own, so that negative controls catch nothing else."""


def record(lsn: int) -> bytes:
    """The redo record of a commit: 13 … 93 bytes that belong to no other."""
    return b"<%d:%s>" % (lsn, hashlib.sha256(b"%d" % lsn).hexdigest().encode()[: 8 + lsn * 7 % 80])


def records(first_lsn: int, commits: int) -> bytes:
    return b"".join(record(lsn) for lsn in range(first_lsn, first_lsn + commits))


def state_hash(lsn: int) -> bytes:
    return hashlib.md5(b"%d" % lsn, usedforsecurity=False).digest()


def group(first_lsn: int, commits: int = 1) -> Group:
    last = first_lsn + commits - 1
    return Group(first_lsn, commits, records(first_lsn, commits), state_hash(last))


def check_prefix(groups: list[Group]) -> int:
    """Check that the groups are commits 1 … k, whole and in order; k."""
    last = 0
    for each in groups:
        if each != group(last + 1, each.commits):
            raise ViolationError(f"after lsn {last} came {each}")
        last = each.last_lsn
    return last


def read_log(storage: Storage) -> int:
    """Open, replay, close: how many commits are there. Nothing is mended."""
    log = open_log(PATH, OPTIONS, storage=storage)
    try:
        return check_prefix(list(log.replay()))
    finally:
        log.close()


@dataclass
class Opened:
    """A log that was opened and begun, without its thread."""

    log: FileLog
    appender: Appender
    recovered: int


def open_without_thread(storage: Storage) -> Opened:
    log = open_log(PATH, OPTIONS, storage=storage)
    try:
        recovered = check_prefix(list(log.replay()))
        appender = log._recovery.repair(SEGMENT_BYTES_MAX)
        appender.begin()
    except ReifyDBError:
        log.close()
        raise
    return Opened(log, appender, recovered)


@dataclass
class Told:
    """What the outside was told while a history ran."""

    durable: int = 0
    attempted: int = 0
    incarnation: int = 0
    closed: bool = False


@dataclass
class History:
    """A history of two incarnations: rotations, marks, a full disk, a clean close, a reopening."""

    storage: SimulatedStorage
    told: Told = field(default_factory=Told)

    def run(self) -> None:
        opened = self.open()
        for step, commits in enumerate((1, 3, 2, 1, 5, 4, 1, 2, 3)):
            self.append(opened.appender, commits)
            if step in (0, 1, 4, 6):
                opened.appender.mark()
            if step in (1, 6):
                opened.appender.sync_mark()
        self.close(opened)
        opened = self.open()
        self.append(opened.appender, 2)
        self.close(opened)
        opened = self.open()
        opened.appender.close()
        opened.log.close()
        opened = self.open()
        self.append(opened.appender, 7)
        opened.appender.mark()
        self.append(opened.appender, 1)

    def open(self) -> Opened:
        opened = open_without_thread(self.storage)
        self.told.incarnation = opened.appender._incarnation
        self.told.durable = max(self.told.durable, opened.recovered)
        self.told.closed = False
        return opened

    def append(self, appender: Appender, commits: int) -> None:
        first = appender.last_lsn + 1
        self.told.attempted = first + commits - 1
        try:
            appender.append([group(first, commits)])
        except NoSpaceError:
            appender.append([group(first, commits)])
        self.told.durable = self.told.attempted

    def close(self, opened: Opened) -> None:
        opened.appender.seal()
        opened.log.close()
        self.told.closed = True


def check_after(storage: Storage, told: Told) -> Opened:
    """Open what a crash left and check every promise; the opened log."""
    try:
        opened = open_without_thread(storage)
    except ReifyDBError as error:
        raise ViolationError(f"a crash left a log that is refused: {error}") from error
    if not told.durable <= opened.recovered <= told.attempted:
        raise ViolationError(
            f"{opened.recovered} commits, of {told.durable} durable, {told.attempted} attempted"
        )
    if opened.appender._incarnation <= told.incarnation:
        raise ViolationError(f"incarnation {told.incarnation} is given out again")
    tail = opened.log._recovery._tail
    if told.closed and told.durable and not (tail and tail.sealed):
        raise ViolationError("the log was closed and has no seal")
    return opened
