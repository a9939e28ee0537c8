"""Real processes that run a bank under load and are killed with SIGKILL at any moment.

What they do is a function of a seed, so the state after any commit is known. Whatever the moment
was: the folder opens, it is in the state after one commit, exactly, and that commit is not before
any that the process said was durable. The same folder goes through all the rounds.
"""

from __future__ import annotations

import random
import shutil
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

import reifydb
from tests.crash.bank_history import OPTIONS, ROOT, Model, bank_wasm, prepare

ROUNDS, REOPENING_ROUNDS, CREATING_ROUNDS = 32, 12, 12


class Process:
    """A process of `killed.py` that has everything imported and waits for its turn."""

    def __init__(self, what: str, folder: Path, seed: int) -> None:
        self.popen = subprocess.Popen(
            [sys.executable, "-m", "tests.crash.killed", what, str(folder), str(seed)],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.seed = seed
        self.begun = threading.Event()
        self._lines: list[str] = []
        self._reader = threading.Thread(target=self._read)

    def _read(self) -> None:
        assert self.popen.stdout
        for line in self.popen.stdout:
            self._lines.append(line)
            if line.startswith("begun"):
                self.begun.set()
        self.begun.set()

    def kill_after(self, seconds: float, *, of_begin: bool) -> list[list[str]]:
        """Lets it go, and kills it so long after that, or after it has opened; what it said."""
        assert self.popen.stdout
        assert self.popen.stdin
        assert self.popen.stderr
        assert self.popen.stdout.readline() == "ready\n", self.popen.stderr.read()
        self._reader.start()
        self.popen.stdin.write("go\n")
        self.popen.stdin.flush()
        if of_begin:
            assert self.begun.wait(30)
        time.sleep(seconds)
        self.popen.kill()
        self.popen.wait(30)
        self._reader.join(30)
        wrong = self.popen.stderr.read()
        for pipe in (self.popen.stdin, self.popen.stdout, self.popen.stderr):
            pipe.close()
        assert not wrong, wrong
        return [line.split() for line in self._lines if line.endswith("\n")]

    def drop(self) -> None:
        self.popen.kill()
        self.popen.communicate()


@dataclass
class Said:
    """What a process said of its durability."""

    durable: int = 0
    checksums: dict[int, int] | None = None

    @classmethod
    def of(cls, lines: list[list[str]]) -> Said:
        said = cls(0, {})
        assert said.checksums is not None
        for word, *numbers in lines:
            assert word in ("begun", "durable"), word
            lsn = int(numbers[0])
            assert lsn >= said.durable, "durable_lsn fell, or what was durable is gone"
            said.durable = lsn
            if len(numbers) == 2:
                said.checksums[lsn] = int(numbers[1])
        return said


def check(folder: Path, model: Model, seed: int, said: Said) -> None:
    """Opens what the kill left and compares all of it with the history up to there."""
    with reifydb.open(folder, options=OPTIONS) as db:
        db.verify()
        assert db.durable_lsn == db.lsn
        assert db.lsn >= max(said.durable, model.lsn)
        sums = model.replay(seed, db.lsn)
        for lsn, checksum in (said.checksums or {}).items():
            assert sums[lsn] == checksum, f"the model and the process differ at lsn {lsn}"
        model.compare(db)
        assert db.call("bank.total") == sum(model.balances.values())


@pytest.fixture
def seed() -> int:
    seed = random.SystemRandom().randrange(1 << 32)
    print(f"seed {seed}")
    return seed


def rounds(what: str, folder: Path, seed: int, count: int, ms: tuple[int, int]) -> Model:
    with reifydb.open(folder, options=OPTIONS) as db:
        prepare(db)
    model = Model.initial()
    dice = random.Random(seed)
    process = Process(what, folder, dice.randrange(1 << 32))
    try:
        for number in range(count):
            delay_ms = dice.uniform(*ms)
            lines = process.kill_after(delay_ms / 1000, of_begin=what == "load")
            said = Said.of(lines)
            killed, process = process, Process(what, folder, dice.randrange(1 << 32))
            print(f"round {number}: killed after {delay_ms:.0f} ms, durable {said.durable}")
            if number % 2:
                # The next process has to mend the folder itself: we look at a copy.
                copy = folder.with_name(f"copy-{number}")
                shutil.copytree(folder, copy)
                check(copy, model, killed.seed, said)
                shutil.rmtree(copy)
            else:
                check(folder, model, killed.seed, said)
    finally:
        process.drop()
    return model


def test_a_killed_bank_is_in_the_state_after_a_commit_that_is_no_older_than_it_said(
    tmp_path: Path, seed: int
) -> None:
    folder = tmp_path / "bank"
    model = rounds("load", folder, seed, ROUNDS, (30, 400))
    assert model.lsn > 50 * ROUNDS, "there was no load"
    assert len(list((folder / "log").iterdir())) > 2 * ROUNDS, "there was no rotation"
    with reifydb.open(folder, options=OPTIONS) as db:
        assert db.incarnation > 1.5 * ROUNDS


def test_a_bank_killed_while_it_opens_or_closes_loses_nothing(tmp_path: Path, seed: int) -> None:
    rounds("reopen", tmp_path / "bank", seed, REOPENING_ROUNDS, (5, 400))


def test_a_database_killed_while_it_is_made_opens(tmp_path: Path, seed: int) -> None:
    bank_wasm()
    dice = random.Random(seed)
    waiting = [Process("create", tmp_path / str(i), i) for i in range(2)]
    try:
        for number in range(CREATING_ROUNDS):
            process = waiting.pop(0)
            waiting.append(Process("create", tmp_path / str(number + 2), number))
            lines = process.kill_after(dice.uniform(0, 0.08), of_begin=True)
            with reifydb.open(tmp_path / str(number), options=OPTIONS) as db:
                db.verify()
                assert Said.of(lines).durable <= db.lsn <= 3
                if db.lsn < 3:
                    assert "account" not in db.tables or db.count("account") == 0
                    assert set(db.modules) == ({"bank"} if db.lsn == 2 else set())
                    assert set(db.tables) == [set(), {"note"}, {"note", "account"}][db.lsn]
                else:
                    Model.initial().compare(db)
    finally:
        for process in waiting:
            process.drop()
