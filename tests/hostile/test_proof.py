"""A tenth of the proof that instances are finite (proof.py runs all of it)."""

from __future__ import annotations

import sys

import pytest

from tests.hostile.proof import Part, Sample
from tests.hostile.worker import Worker

INSTANCES_MAX = 3000
"""The kernel moves after so many dead instances, instead of 15,000: three times in a tenth."""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_traps_generated_modules_and_installs_leave_the_process_flat() -> None:
    worker = Worker()  # one that has done nothing else
    try:
        found = worker.run("tests.hostile.proof:prove_a_tenth", INSTANCES_MAX)
    finally:
        worker.close()
    parts = [Part(one["name"], [Sample(**sample) for sample in one["samples"]]) for one in found]
    for part in parts:
        print(part.table())
    assert [part.name for part in parts] == ["traps", "modules", "installs"]
    assert [problem for part in parts for problem in part.problems()] == []


def test_what_grows_or_slows_down_is_not_flat() -> None:
    def part(grown: int, slower: float) -> Part:
        return Part(
            "part",
            [
                Sample(i, 10 * slower**i, 0, (60 << 20) + i * grown, 1 << 40, 300, i)
                for i in range(10)
            ],
        )

    assert part(0, 1).problems() == []
    assert "memory grew" in part(8 << 20, 1).problems()[0]
    assert "µs each in the end" in part(0, 1.2).problems()[0]
