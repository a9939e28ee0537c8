"""Start: import, open an existing small database with the bank installed, first call.

Each start is a fresh process, timed from within (without the interpreter's own start) and from
without (with it). With an empty compile cache the kernel and the bank are compiled first.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from statistics import median
from time import perf_counter

from bench.bank import open_accounts, open_bank
from bench.measure import ROOT, Result, Say, Sizes

ACCOUNTS = 1000

PROGRAM = """
from time import perf_counter
start_s = perf_counter()
import sys
import reifydb
imported_s = perf_counter()
db = reifydb.open(sys.argv[1])
opened_s = perf_counter()
db.call("bank.transfer", 1, 2, 1)
called_s = perf_counter()
print(imported_s - start_s, opened_s - imported_s, called_s - opened_s, called_s - start_s)
db.close()
"""


def measure(folder: Path, sizes: Sizes, say: Say) -> Result:
    """With a warm cache, and with an empty one."""
    path = folder / "small.reify"
    with open_bank(path) as db:
        open_accounts(db, range(ACCOUNTS))
    with tempfile.TemporaryDirectory(dir=folder) as warm:
        say("start: filling the compile cache")
        _start(path, warm)
        found = {
            "warm": _starts(path, sizes.starts, lambda: warm, say),
            "empty cache": _starts(
                path, sizes.first_starts, lambda: tempfile.mkdtemp(dir=folder), say
            ),
        }
    return {"accounts": ACCOUNTS, **found}


def _starts(path: Path, count: int, cache: Callable[[], str], say: Say) -> Result:
    runs = []
    for number in range(count):
        say(f"start: {number + 1} of {count}")
        runs.append(_start(path, cache()))
    best = min(runs, key=lambda run: run["in_process_s"])
    middle = median(run["in_process_s"] for run in runs)
    return {"best": best, "in_process_s_median": round(middle, 4), "runs": len(runs)}


def _start(path: Path, cache: str) -> dict[str, float]:
    command = [sys.executable, "-c", PROGRAM, str(path)]
    environment = {**os.environ, "REIFYDB_CACHE": cache}
    start_s = perf_counter()
    done = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True
    )
    whole_s = perf_counter() - start_s
    names = ("import_s", "open_s", "first_call_s", "in_process_s")
    found = dict(zip(names, map(float, done.stdout.split()), strict=True))
    return {name: round(value, 4) for name, value in {**found, "process_s": whole_s}.items()}
