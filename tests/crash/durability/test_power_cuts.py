"""Power cuts and kills at every step of a log's life: what comes back is what was promised.

A simulated disk keeps of everything unsynced whatever the seed says. The negative controls leave
out one sync after the other: each must lead to a broken promise, or the suite proves nothing.
"""

from __future__ import annotations

import contextlib
import errno

import pytest

from reifydb.durability.simulated import SimulatedCrash, SimulatedStorage
from tests.crash.durability.histories import (
    PATH,
    History,
    Told,
    ViolationError,
    check_after,
    open_without_thread,
    read_log,
)

SEEDS = 40
FULL = {("write", 13): errno.ENOSPC}
"""The 13th write is a frame that finds the disk full, and is tried again."""


def run_history(crash_at: int = 0, leave_out: tuple[int, ...] = ()) -> History:
    """Run the history until the power goes."""
    storage = SimulatedStorage(crash_at=crash_at, leave_out=leave_out, faults=FULL)
    history = History(storage)
    try:
        history.run()
    except SimulatedCrash:
        assert crash_at
    return history


STEPS = run_history().storage.steps


def check_crash(crash_at: int, seed: int, leave_out: tuple[int, ...] = ()) -> None:
    history = run_history(crash_at, leave_out)
    check_after(history.storage.after_crash(seed), history.told)


def test_the_history_covers_what_can_happen() -> None:
    truncated: list[str] = []
    storage = SimulatedStorage(faults=FULL)
    storage.before = lambda kind, path: truncated.append(path) if kind == "truncate" else None
    history = History(storage)
    history.run()
    assert history.told == Told(durable=32, attempted=32, incarnation=4, closed=False)
    names = history.storage.names(f"{PATH}/log")
    assert len(names) >= 6, "several rotations"
    assert [path.endswith(".seg") for path in truncated].count(True) == 1, (
        "a full disk took a frame back"
    )


@pytest.mark.parametrize("seed", range(SEEDS))
def test_what_was_durable_survives_a_power_cut_at_every_step(seed: int) -> None:
    for crash_at in range(1, STEPS + 2):
        try:
            check_crash(crash_at, seed * 100_000 + crash_at)
        except ViolationError as error:
            pytest.fail(f"step {crash_at}, seed {seed * 100_000 + crash_at}: {error}")


@pytest.mark.parametrize("seed", range(2))
def test_recovery_itself_survives_a_power_cut_at_every_step(seed: int) -> None:
    """Two deep: the first crash leaves a disk, the second one interrupts its recovery."""
    for crash_at in range(1, STEPS + 2):
        history = run_history(crash_at)
        first = seed * 100_000 + crash_at
        whole = check_after(history.storage.after_crash(first), history.told)
        quarantined = whole.log.quarantined
        steps = whole.log._storage.steps
        for again in range(1, steps + 1):
            disk = history.storage.after_crash(first)
            disk.crash_at = again
            told = Told(whole.recovered, whole.recovered)
            with pytest.raises(SimulatedCrash):
                open_without_thread(disk)
            after = disk.after_crash(first + again)
            try:
                check_after(after, told)
                if quarantined:
                    data = whole.log._storage.read_image(quarantined)
                    if data != after.read_image(quarantined):
                        raise ViolationError("a torn tail was cut off and is not in quarantine")
            except (ViolationError, KeyError) as error:
                pytest.fail(f"steps {crash_at}, {again}, seed {first}: {error!r}")


def test_a_second_recovery_finds_the_same() -> None:
    for crash_at in range(1, STEPS + 2, 2):
        history = run_history(crash_at)
        disk = history.storage.after_crash(crash_at)
        opened = check_after(disk, history.told)
        opened.log.close()
        assert read_log(disk.after_crash(1)) == opened.recovered
        assert read_log(disk) == opened.recovered


def test_what_a_killed_process_left_in_the_cache_is_durable_before_it_is_said_to_be() -> None:
    """A kill, a recovery that finds unsynced frames and builds on them, then a power cut."""
    for crash_at in range(1, STEPS + 2):
        history = run_history(crash_at)
        disk = history.storage.after_kill()
        opened = check_after(disk, history.told)
        told = Told(opened.recovered, opened.recovered, opened.appender._incarnation)
        for seed in range(3):
            try:
                check_after(disk.after_crash(seed), told)
            except ViolationError as error:
                pytest.fail(f"step {crash_at}, seed {seed}: {error}")


# ------------------------------------------------------------------ is the suite able to fail


def syncs_with_steps() -> list[tuple[str, int]]:
    """The syncs of the history, each with its step."""
    found: list[tuple[str, int]] = []
    storage = SimulatedStorage(faults=FULL)

    def note(kind: str, path: str) -> None:
        if kind == "sync":
            found.append((path, storage.steps + 1))

    storage.before = note
    History(storage).run()
    return found


def reopenings(syncs: list[tuple[str, int]]) -> set[int]:
    """The first two syncs of each reopening of a sealed log, which matter after a kill only."""
    folder = [n for n, (path, _) in enumerate(syncs, 1) if path == PATH]
    again = [n for n in folder if syncs[n][0].endswith(".seg.tmp")][1:]
    return {n for each in again for n in (each - 1, each)}


SYNCS = syncs_with_steps()
AFTER_A_KILL = reopenings(SYNCS)
WITHOUT_COMMITS = next(
    n for n in range(len(SYNCS), 0, -1) if n + 1 in AFTER_A_KILL and SYNCS[n - 1][0] == PATH
)
"""HEAD's of the incarnation that commits nothing: the segment alone says what it did."""


def test_the_exceptions_are_those_that_are_meant() -> None:
    assert len(AFTER_A_KILL) == 6
    assert WITHOUT_COMMITS not in AFTER_A_KILL


@pytest.mark.parametrize(
    "number", sorted(set(range(1, len(SYNCS) + 1)) - AFTER_A_KILL - {WITHOUT_COMMITS})
)
def test_leaving_out_a_sync_is_noticed(number: int) -> None:
    path, step = SYNCS[number - 1]
    for seed in range(60):
        for crash_at in range(step + 1, min(step + 40, STEPS + 2)):
            history = run_history(crash_at, (number,))
            try:
                check_after(history.storage.after_crash(seed), history.told)
            except ViolationError:
                return
    pytest.fail(f"sync {number}, of {path}, is not missed")


@pytest.mark.parametrize("number", range(1, 7))
def test_leaving_out_a_sync_after_a_kill_is_noticed(number: int) -> None:
    """The nth sync of the opening that follows a kill: of the last segment, of folders, of HEAD."""
    for crash_at in range(1, STEPS + 2):
        history = run_history(crash_at)
        disk = history.storage.after_kill()
        disk.leave_out = frozenset({number})
        opened = check_after(disk, history.told)
        told = Told(opened.recovered, opened.recovered, opened.appender._incarnation)
        for seed in range(10):
            try:
                check_after(disk.after_crash(seed), told)
            except ViolationError:
                return
    pytest.fail(f"sync {number} of an opening is not missed")


def test_leaving_out_a_sync_while_a_torn_tail_is_cut_off_is_noticed() -> None:
    """Of the copy in quarantine, of its folders, of the cut, of the seal."""
    torn = next(
        disk
        for crash_at in range(STEPS, 0, -1)
        for disk in [run_history(crash_at).storage.after_crash(crash_at)]
        if _tears(disk.after_kill())
    )
    whole = open_without_thread(disk := torn.after_kill())
    quarantined = whole.log.quarantined
    assert quarantined
    syncs = disk.syncs[: disk.syncs.index(next(p for p in disk.syncs if p.endswith(".seg.tmp")))]
    told = Told(whole.recovered, whole.recovered)
    for number, path in enumerate(syncs, 1):
        if path == PATH and number > 1:
            continue  # of the log's folder, which is there
        assert _misses(torn, number, told, quarantined), f"sync {number}, of {path}, is not missed"


def _tears(disk: SimulatedStorage) -> bool:
    """Whether a tail is torn behind a frame, and longer than the seal which takes its place."""
    quarantined = open_without_thread(disk).log.quarantined
    if quarantined is None or "-64-" in quarantined:
        return False
    return len(disk.read_image(quarantined)) > 100


def _misses(torn: SimulatedStorage, number: int, told: Told, quarantined: str) -> bool:
    tail = open_without_thread(disk := torn.after_kill()).log.quarantined == quarantined
    data = disk.read_image(quarantined)
    assert tail
    for seed in range(60):
        for crash_at in range(1, 30):
            disk = torn.after_kill()
            disk.crash_at, disk.leave_out = crash_at, frozenset({number})
            with contextlib.suppress(SimulatedCrash):
                open_without_thread(disk)
            after = disk.after_crash(seed)
            try:
                check_after(after, told)
                if after.read_image(quarantined) != data:
                    return True
            except (ViolationError, KeyError, FileNotFoundError):
                return True
    return False
