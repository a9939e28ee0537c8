"""A fresh database for each test: what the pytest plugin's fixture adds to a test.

Whole runs of pytest, each a process: of many tests and of one, with the fixture and without it.
What the first use in a run costs (the engine is loaded, the bank found in the compile cache) is
told apart; what pytest's own objects cost the garbage collector is in every test.
"""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
import sys
from pathlib import Path
from statistics import median
from time import perf_counter

from bench.bank import bank_wasm
from bench.measure import ROOT, Result, Say, Sizes

_HEAD = "import pytest\n\n@pytest.mark.parametrize('n', range({count}))\n"
_EMPTY = _HEAD + "def test_nothing(n):\n    pass\n"
_DATABASE = _HEAD + (
    "def test_open(n, reifydb):\n"
    "    reifydb.call('bank.open', 1, 'ada', 100)\n"
    "    assert reifydb.count('account') == 1\n"
)


def measure(folder: Path, sizes: Sizes, say: Say) -> Result:
    """In milliseconds of time and of processor time, for each test after the first."""
    shutil.copy(bank_wasm(), folder / "bank.wasm")
    (folder / "pytest.ini").write_text("[pytest]\nreifydb_modules = bank.wasm\n", encoding="utf-8")
    _run(folder, _DATABASE, 1)  # fills the compile cache
    more = sizes.tests
    walls, cpus, firsts = [], [], []
    for number in range(sizes.tries):
        say(f"fresh: {number + 1} of {sizes.tries}")
        one, many = _run(folder, _EMPTY, 1), _run(folder, _EMPTY, 1 + more)
        first, all_of_them = _run(folder, _DATABASE, 1), _run(folder, _DATABASE, 1 + more)
        wall_s, cpu_s = (
            (b - a) - (d - c) for a, b, c, d in zip(first, all_of_them, one, many, strict=True)
        )
        walls.append(wall_s / more * 1e3)
        cpus.append(cpu_s / more * 1e3)
        firsts.append((first[0] - one[0]) * 1e3)
    return {
        "tests": more,
        "ms_best": min(walls),
        "ms_median": median(walls),
        "cpu_ms_median": median(cpus),
        "first_ms_median": median(firsts),
    }


def _run(folder: Path, text: str, count: int) -> tuple[float, float]:
    """Seconds of time and of processor time of a run of so many tests."""
    (folder / "test_it.py").write_text(text.format(count=count), encoding="utf-8")
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    start_s = perf_counter()
    subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_it.py"],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        check=True,
        stdout=subprocess.DEVNULL,
    )
    wall_s = perf_counter() - start_s
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return wall_s, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
