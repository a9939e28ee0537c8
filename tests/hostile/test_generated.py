"""Hundreds of random modules, valid and damaged: deterministic, without a trace, and flat.

Seeds are printed. `REIFYDB_HOSTILE_SEED=17` repeats one, `REIFYDB_HOSTILE_SEED=0-49` a chunk of
them, because a module finds what the ones before it left behind.
"""

from __future__ import annotations

import os
from collections import Counter

import pytest

from tests.hostile.worker import Worker

CHUNK = 50
GENERATED, MUTATED = 350, 250

ENVIRONMENT = "REIFYDB_HOSTILE_SEED"


def chunks(count: int) -> list[tuple[int, int]]:
    """First seed and the one behind the last, of each chunk."""
    named = os.environ.get(ENVIRONMENT)
    if named:
        first, _, last = named.partition("-")
        return [(int(first), int(last or first) + 1)]
    return [(first, first + CHUNK) for first in range(0, count, CHUNK)]


def run(worker: Worker, trial: str, count: int) -> Counter[str]:
    """Runs all chunks, and asserts that the process holds no more at the end than at first."""
    counts: Counter[str] = Counter()
    before: list[int] | None = None
    for first, last in chunks(count):
        print(f"{trial}: seeds {first} to {last - 1}")
        counts.update(worker.run(f"tests.hostile.pairs:{trial}", first, last))
        after = worker.run("tests.hostile.pairs:resources")
        before = before or after
    address_space, resident, mappings = (a - b for a, b in zip(after, before or after, strict=True))
    assert address_space < 1 << 30, "a guest's memory alone is four times as much"
    assert resident < 48 << 20
    assert mappings < 100
    print(dict(counts))
    return counts


def test_generated_modules_are_deterministic_and_leave_no_trace(worker: Worker) -> None:
    counts = run(worker, "run_generated", GENERATED)
    if ENVIRONMENT not in os.environ:
        assert min(counts["committed"], counts["aborted"], counts["deadline"]) > GENERATED // 20
        assert sum(kind.startswith("trapped") for kind in counts) >= 6, "they trap in many ways"
        assert counts["host calls"] > 20 * GENERATED, "they run for a while"


def test_damaged_modules_are_refused_or_harmless(worker: Worker) -> None:
    counts = run(worker, "run_mutated", MUTATED)
    if ENVIRONMENT not in os.environ:
        assert MUTATED // 3 < counts["refused"] < MUTATED
        assert counts["committed"] > MUTATED // 10, "some of what was damaged still runs"


@pytest.mark.parametrize("mutated", [False, True])
def test_a_seed_is_the_same_module_everywhere(mutated: bool, worker: Worker) -> None:
    for seed in (0, 7, 33):
        here = worker.run("tests.hostile.pairs:digest", seed, mutated)
        other = Worker()
        try:
            assert other.run("tests.hostile.pairs:digest", seed, mutated) == here
        finally:
            other.close()
