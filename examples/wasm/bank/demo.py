"""The bank from end to end: transfers, SIGKILL in the middle, recovery, the sum of money.

    ./dev demo [--accounts N] [--seconds S] [--folder F] [--keep]

A process of its own (`teller.py`) opens the accounts and makes transfers as fast as it can: single
calls first, then batches. This one watches, kills it, opens what it left, and compares: every
commit that was reported durable is there; every account holds what the transfers up to the
recovered lsn make of it; the sum of money is what it was. Exit status 1 when anything is not so.
"""

from __future__ import annotations

import argparse
import json
import queue
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter
from typing import Any, Self

sys.path.insert(0, str(Path(__file__).resolve().parents[3]))

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn
from rich.table import Table
from teller import AMOUNT, BATCH, OPENING_BALANCE, PAIRS

import reifydb
from bench.account_pairs import first_pairs
from bench.measure import spread
from sdk.build import GuestBuildError, build_guest

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[2]

CALLS_SHARE = 0.35
"""Of the time before the kill; the rest goes to batches."""

SILENCE_S_MAX = 20.0
"""A teller that says nothing for so long is stuck."""


class DemoError(Exception):
    """The demo could not do its part; the message says why."""


# ---------------------------------------------------------------- showing


class Stages:
    """One line for each stage: a bar on a terminal, plain text elsewhere."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._progress = Progress(
            TextColumn("  {task.description:<22}"),
            BarColumn(bar_width=24, finished_style="green"),
            TextColumn("{task.fields[note]}"),
            console=console,
            disable=not console.is_terminal,
        )

    @contextmanager
    def stage(self, title: str, total: float | None = None) -> Iterator[Callable[..., None]]:
        """Yields what moves the bar: `move(completed, note)`."""
        notes = [""]
        task: TaskID = self._progress.add_task(title, total=total, note="")

        def move(completed: float | None = None, note: str | None = None) -> None:
            if note is not None:
                notes[0] = note
            self._progress.update(task, completed=completed, note=notes[0])

        yield move
        self._progress.update(task, total=total or 1, completed=total or 1, note=notes[0])
        if not self._console.is_terminal:
            self._console.print(f"  {title:<22} {notes[0]}", highlight=False, soft_wrap=True)

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._progress.stop()


# ---------------------------------------------------------------- the process that is killed


@dataclass
class Seen:
    """What the teller has said.

    Attributes:
        opened: Accounts.
        first_lsn: The lsn after the last account was opened; transfer number 0 has the next one.
        made, lsn: Transfers that it saw committed, and the last one's lsn.
        durable_lsn: The highest lsn that it saw to be on disk.
        waited_ms: How long commits took to become so.
        calls: How single calls went; None while they go on.
        batches_s: How long batches have run.
    """

    opened: int = 0
    first_lsn: int = 0
    made: int = 0
    lsn: int = 0
    durable_lsn: int = 0
    waited_ms: list[float] = field(default_factory=list)
    calls: dict[str, Any] | None = None
    batches_s: float = 0.0

    @property
    def batched(self) -> int:
        """Transfers made in batches."""
        return self.made - self.calls["calls"] if self.calls else 0

    def take(self, said: dict[str, Any]) -> None:
        """Notes one line."""
        self.opened = said.get("opened", self.opened)
        self.first_lsn = said.get("ready", self.first_lsn)
        self.made = said.get("made", self.made)
        self.lsn = said.get("lsn", self.lsn)
        if "durable" in said:
            self.durable_lsn = max(self.durable_lsn, said["durable"])
            self.waited_ms.append(said["waited_ms"])
        if "calls" in said:
            self.calls = said


class Teller:
    """The other process, and what it says."""

    def __init__(self, folder: Path, wasm: Path, accounts: int, calls_s: float) -> None:
        self.seen = Seen()
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 - closed in `end`
        command = [sys.executable, str(HERE / "teller.py"), folder, wasm, accounts, calls_s]
        self._process = subprocess.Popen(
            [str(part) for part in command], stdout=subprocess.PIPE, stderr=self._errors
        )
        self.pid = self._process.pid
        self._lines: queue.Queue[bytes | None] = queue.Queue()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._lines.put(line)
        self._lines.put(None)

    def watch(self, until: Callable[[Seen], bool], moved: Callable[[Seen], None]) -> None:
        """Listens until `until` holds.

        Raises:
            DemoError: It ended by itself, or says nothing any more.
        """
        while not until(self.seen):
            try:
                line = self._lines.get(timeout=SILENCE_S_MAX)
            except queue.Empty:
                raise DemoError(f"the teller said nothing for {SILENCE_S_MAX:g} s") from None
            if line is None:
                raise DemoError(f"the teller ended by itself:\n{self._last_words()}")
            self.seen.take(json.loads(line))
            moved(self.seen)

    def kill(self) -> None:
        """SIGKILL, in the middle of whatever it does. What it had said before still counts."""
        self._process.kill()
        status = self._process.wait()
        while (line := self._lines.get()) is not None:
            if line.endswith(b"\n"):
                self.seen.take(json.loads(line))
        if status != -signal.SIGKILL:
            raise DemoError(f"the teller ended by itself:\n{self._last_words()}")

    def end(self) -> None:
        """Leaves no process behind."""
        self._process.kill()
        self._process.wait()
        self._reader.join()
        assert self._process.stdout is not None
        self._process.stdout.close()
        self._errors.close()

    def _last_words(self) -> str:
        self._process.wait()
        self._errors.seek(0)
        return self._errors.read().decode(errors="replace").strip() or "(without a word)"


def run_teller(stages: Stages, teller: Teller, accounts: int, seconds: float) -> None:
    """Everything up to the kill."""
    calls_s, batches_s = seconds * CALLS_SHARE, seconds * (1 - CALLS_SHARE)
    with stages.stage("opening accounts", accounts) as move:
        teller.watch(
            lambda seen: seen.first_lsn > 0, lambda seen: move(seen.opened, f"{seen.opened:,}")
        )
    start_s = perf_counter()
    with stages.stage("single calls", calls_s) as move:
        teller.watch(
            lambda seen: seen.calls is not None,
            lambda seen: move(perf_counter() - start_s, f"{seen.made:,} transfers"),
        )
    batches_start_s = perf_counter()
    with stages.stage(f"batches of {BATCH:,}", batches_s) as move:

        def moved(seen: Seen) -> None:
            seen.batches_s = perf_counter() - batches_start_s
            move(seen.batches_s, f"{seen.batched:,} transfers")

        teller.watch(lambda seen: seen.batches_s >= batches_s, moved)
        teller.kill()
        move(batches_s, f"{teller.seen.batched:,} transfers, then SIGKILL to process {teller.pid}")


# ---------------------------------------------------------------- what it left


@dataclass(frozen=True)
class Found:
    """What came back.

    Attributes:
        opening_s: How long opening took.
        lsn: Of the last commit recovered.
        incarnation: How often the database was opened, this time included.
        balances: Of every account.
        total: The sum of money, as the bank itself says.
        problem: What `verify` said; None when the state is sound.
    """

    opening_s: float
    lsn: int
    incarnation: int
    balances: dict[int, int]
    total: int
    problem: str | None


def recover(folder: Path) -> Found:
    """Opens what the killed process left, and looks at all of it."""
    start_s = perf_counter()
    with reifydb.open(folder) as db:
        opening_s = perf_counter() - start_s
        problem = None
        try:
            db.verify()
        except reifydb.VerifyError as error:
            problem = str(error)
        balances = {int(str(row["id"])): int(str(row["balance"])) for row in db.scan("account")}
        total = int(str(db.call("bank.total")))
        return Found(opening_s, db.lsn, db.incarnation, balances, total, problem)


def expected_balances(accounts: int, transfers: int) -> dict[int, int]:
    """What the first so many transfers make of the accounts; whole rounds are multiplied."""
    pairs = first_pairs(PAIRS, accounts)
    rounds, rest = divmod(transfers, PAIRS)
    change: Counter[int] = Counter()
    for some, times in ((pairs, rounds), (pairs[:rest], 1)):
        for source, target in some:
            change[source] -= AMOUNT * times
            change[target] += AMOUNT * times
    return {i: OPENING_BALANCE + change[i] for i in range(accounts)}


def problems(accounts: int, seen: Seen, found: Found) -> list[str]:
    """Everything that is not as it must be."""
    wrong = []
    money, there = accounts * OPENING_BALANCE, sum(found.balances.values())
    if there != money:
        wrong.append(f"the accounts hold {there:,} instead of {money:,}")
    if found.total != there:
        wrong.append(f"the bank says that it holds {found.total:,}, its accounts hold {there:,}")
    if found.lsn < seen.durable_lsn:
        lost = seen.durable_lsn - found.lsn
        wrong.append(f"{lost:,} commits had been reported durable and are lost")
    if found.lsn < seen.first_lsn:
        wrong.append(f"lsn {found.lsn:,} came back; the accounts were open at {seen.first_lsn:,}")
    expected = expected_balances(accounts, max(0, found.lsn - seen.first_lsn))
    differ = [
        i for i in expected.keys() | found.balances if expected.get(i) != found.balances.get(i)
    ]
    if differ:
        i = min(differ)
        wrong.append(
            f"{len(differ):,} accounts do not hold what the transfers up to lsn {found.lsn:,} make:"
            f" account {i} holds {found.balances.get(i)} instead of {expected.get(i)}"
        )
    if found.problem is not None:
        wrong.append(found.problem)
    return wrong


# ---------------------------------------------------------------- the summary


def summary(accounts: int, seen: Seen, found: Found) -> Table:
    """What happened, in words and figures."""
    assert seen.calls is not None
    latency, lag = seen.calls["latency_us"], spread(seen.waited_ms or [0.0])
    ahead = seen.lsn - found.lsn
    recovered = f"{found.lsn:,}, incarnation {found.incarnation}"
    unseen = f"{ahead:,} commits" if ahead > 0 else "nothing that had been reported"
    table = Table(box=None, show_header=False, padding=(0, 0, 0, 2))
    table.add_column(style="dim")
    table.add_column()
    for title, text in (
        ("single calls", f"{seen.calls['per_s']:,.0f} transfers a second"),
        ("", f"p50 {latency['p50']:.1f} µs, p99 {latency['p99']:.1f} µs"),
        (f"batches of {BATCH:,}", f"{seen.batched / seen.batches_s:,.0f} transfers a second"),
        ("durability lag", f"p50 {lag['p50']:.1f} ms, p99 {lag['p99']:.1f}, max {lag['max']:.1f}"),
        ("killed at", f"lsn {seen.lsn:,} seen committed, {seen.durable_lsn:,} seen durable"),
        ("recovered", f"lsn {recovered}"),
        (
            "recovery",
            f"{found.opening_s:.2f} s, {found.lsn / found.opening_s:,.0f} commits a second",
        ),
        ("lost, not yet durable", unseen),
        ("lost, though durable", f"{max(0, seen.durable_lsn - found.lsn):,} commits"),
        ("sum of money", f"{found.total:,} of {accounts * OPENING_BALANCE:,}"),
    ):
        table.add_row(title, text)
    return table


# ---------------------------------------------------------------- the command


def run(accounts: int, seconds: float, folder: Path, console: Console) -> int:
    """The whole demo in a folder that is new; its exit status."""
    console.print(f"A bank of {accounts:,} accounts, killed in the middle\n", highlight=False)
    with Stages(console) as stages:
        with stages.stage("building the bank") as move:
            wasm = build_guest(HERE / "bank.zig")
            move(note=f"{wasm.stat().st_size:,} bytes of WebAssembly")
        teller = Teller(folder, wasm, accounts, seconds * CALLS_SHARE)
        try:
            run_teller(stages, teller, accounts, seconds)
        finally:
            teller.end()
        with stages.stage("recovering, checking") as move:
            found = recover(folder)
            wrong = problems(accounts, teller.seen, found)
            move(note=f"{len(found.balances):,} accounts")
    console.print()
    console.print(summary(accounts, teller.seen, found), highlight=False)
    console.print()
    for problem in wrong:
        console.print(f"WRONG: {problem}", style="bold red", highlight=False, soft_wrap=True)
    if wrong:
        return 1
    console.print(
        "All the money is there: every account holds what the recovered transfers make of it.",
        style="bold green",
        highlight=False,
        soft_wrap=True,
    )
    return 0


def main() -> int:
    """The command line; returns the exit status."""
    given = _parser().parse_args()
    if sys.platform == "win32":
        print("the demo needs SIGKILL, which Windows does not have", file=sys.stderr)
        return 2
    try:
        folder, ours = _new_folder(given.folder)
    except OSError as error:
        print(f"there is no place for the database: {error}", file=sys.stderr)
        return 2
    done = False
    try:
        status = run(given.accounts, given.seconds, folder, Console())
        done = status == 0
        return status
    except (DemoError, GuestBuildError, reifydb.ReifyDBError) as error:
        print(f"the demo failed: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        done = True
        return 130
    finally:
        if done and not given.keep:
            shutil.rmtree(ours, ignore_errors=True)
        else:
            print(f"\nthe database is kept in {folder}", file=sys.stderr)


def _new_folder(wanted: Path | None) -> tuple[Path, Path]:
    """Where the database goes, and what to remove afterwards. The former does not exist yet.

    By default below the repository: the system's temporary folder may be memory.
    """
    if wanted is None:
        (ROOT / "build").mkdir(exist_ok=True)
        ours = Path(tempfile.mkdtemp(prefix="demo-", dir=ROOT / "build"))
        return ours / "bank.reify", ours
    wanted.mkdir(parents=True)
    return wanted.resolve(), wanted.resolve()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="./dev demo", description="Runs the bank, kills it, and looks for the money."
    )
    parser.add_argument("--accounts", type=_at_least(2, int), default=100_000, help="100,000")
    parser.add_argument(
        "--seconds", type=_at_least(0.2, float), default=5.0, help="of transfers before the kill: 5"
    )
    parser.add_argument("--folder", type=Path, help="of the database; must not exist yet")
    parser.add_argument("--keep", action="store_true", help="keep the database")
    return parser


def _at_least(least: float, kind: type[int | float]) -> Callable[[str], float]:
    def number(text: str) -> float:
        value = kind(text)
        if value < least:
            raise argparse.ArgumentTypeError(f"at least {least}")
        return value

    return number


if __name__ == "__main__":
    sys.exit(main())
