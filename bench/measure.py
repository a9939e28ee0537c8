"""What all measurements share: turns of contenders, percentiles, processes of their own.

Rules: contenders take turns within a round, so that what else the machine does hits all of them.
Throughput comes from turns without a clock inside; latencies from turns of their own. The garbage
collector rests during a turn, as in `timeit`.
"""

from __future__ import annotations

import gc
import json
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter, perf_counter_ns, process_time
from typing import Any, Protocol

ROOT = Path(__file__).resolve().parents[1]

Result = dict[str, Any]
"""What a measurement found: it becomes JSON."""

Say = Callable[[str], None]
"""Where a measurement says how far it is."""


@dataclass(frozen=True, slots=True)
class Sizes:
    """How much is measured.

    Attributes:
        accounts: Accounts of the bank.
        rounds: Rounds of throughput; `skewed_rounds` with alpha 1.5.
        scale: Transfers of a turn, as a share of the full number.
        load_s: How long the load runs under which durability lag is sampled.
        logged: Transfers to recover.
        rows: Rows whose memory is measured.
        starts: Starts with a warm cache; `first_starts` with an empty one.
        tries: Of what is measured best of a few.
        growth: Accounts of the banks whose costs are compared.
        tests: Tests of a run of pytest.
        served_s: How long each turn over the network is; `served_rounds` turns of everybody.
    """

    accounts: int = 100_000
    rounds: int = 10
    skewed_rounds: int = 3
    scale: float = 1.0
    load_s: float = 5.0
    logged: int = 1_000_000
    rows: int = 1_000_000
    starts: int = 10
    first_starts: int = 3
    tries: int = 3
    growth: tuple[int, ...] = (10_000, 1_000_000, 10_000_000)
    tests: int = 1000
    served_s: float = 2.0
    served_rounds: int = 2


QUICK = Sizes(
    accounts=20_000,
    rounds=2,
    skewed_rounds=0,
    scale=0.2,
    load_s=1.0,
    logged=100_000,
    rows=100_000,
    starts=2,
    first_starts=1,
    tries=1,
    growth=(1_000, 10_000, 100_000),
    tests=100,
    served_s=0.5,
    served_rounds=1,
)


class Contender(Protocol):
    """Whoever makes transfers.

    Attributes:
        name: What the table calls it.
        batch: Transfers of one item of work.
        transfers: Transfers of one turn.
        one: Does one item of work.
    """

    name: str
    batch: int
    transfers: int
    one: Callable[..., object]

    def work(self, pairs: Sequence[tuple[int, int]]) -> list[tuple[Any, ...]]:
        """Items of work that make these transfers. Not timed."""

    def settle(self) -> None:
        """Ends what goes on in the background. Its processor time counts, its duration does not."""

    def check(self, transfers: int) -> None:
        """Raises unless exactly so many transfers were made in all, and the money is all there."""

    def close(self) -> None:
        """Ends it."""


@dataclass(frozen=True, slots=True)
class Turn:
    """One turn: so many transfers, so long, so much processor time of the whole process."""

    transfers: int
    wall_s: float
    cpu_s: float

    @property
    def per_s(self) -> float:
        """Transfers a second."""
        return self.transfers / self.wall_s

    @property
    def cpu_us(self) -> float:
        """Processor time of a transfer in microseconds."""
        return self.cpu_s / self.transfers * 1e6


def take_turn(contender: Contender, pairs: Sequence[tuple[int, int]]) -> Turn:
    """One turn without a clock inside."""
    work, one = contender.work(pairs), contender.one
    gc.collect()
    gc.disable()
    try:
        cpu_s, start_s = process_time(), perf_counter()
        for item in work:
            one(*item)
        wall_s = perf_counter() - start_s
        contender.settle()
        cpu_s = process_time() - cpu_s
    finally:
        gc.enable()
    return Turn(len(pairs), wall_s, cpu_s)


def take_timed_turn(contender: Contender, pairs: Sequence[tuple[int, int]]) -> list[float]:
    """One turn; how long each item took, in microseconds."""
    work, one, now = contender.work(pairs), contender.one, perf_counter_ns
    gc.collect()
    gc.disable()
    taken = []
    try:
        for item in work:
            start_ns = now()
            one(*item)
            taken.append((now() - start_ns) / 1000)
        contender.settle()
    finally:
        gc.enable()
    return taken


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest value that so large a share of all values does not exceed."""
    ordered = sorted(values)
    return ordered[max(0, -int(-share * len(ordered) // 1) - 1)]


def spread(values: Sequence[float]) -> Result:
    """Count, p50, p99 and max."""
    return {
        "count": len(values),
        "p50": percentile(values, 0.5),
        "p99": percentile(values, 0.99),
        "max": max(values),
    }


def in_child(module: str, *args: object, environment: dict[str, str] | None = None) -> Result:
    """What `python -m module args` prints: a fresh process, so that nothing else is measured."""
    command = [sys.executable, "-m", module, *map(str, args)]
    done = subprocess.run(
        command,
        cwd=ROOT,
        env={**os.environ, **(environment or {})},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(command)} failed:\n{done.stderr}")
    found: Result = json.loads(done.stdout)
    return found
