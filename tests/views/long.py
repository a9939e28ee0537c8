"""As many random transactions as there is time for: `python -m tests.views.long --transactions N`.

Each run of `EACH` transactions has its own seed, counted up from `--seed`. It ends at the first
that shows a mistake. What the last nightly run found is in tests/views/long.md, made by
`python -m tests.views.long --transactions 1000000 --processes 2 --out tests/views/long.md`.
"""

from __future__ import annotations

import argparse
import datetime
import os
import platform
import subprocess
import time
from collections import Counter
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path

from tests.views.machine import machine

EACH = 1000


def one(seed: int) -> tuple[Counter[str], float]:
    """One run: what has happened in it, and the seconds of CPU it took."""
    begun_s = time.process_time()
    with machine(seed) as run:
        run.run(EACH)
    return run.figures, time.process_time() - begun_s


def report(figures: Counter[str], seeds: range, cpu_s: float) -> str:
    """What was found, for people."""
    revision = subprocess.run(
        ["git", "describe", "--always", "--dirty"], capture_output=True, text=True, check=False
    ).stdout.strip()
    shapes = {name.removeprefix("shape "): n for name, n in figures.items() if "shape" in name}
    rest = {name: n for name, n in figures.items() if not name.startswith(("shape", "refused:"))}
    today = datetime.datetime.now(tz=datetime.UTC).date()
    summary = (
        f"{figures['transactions']:,} transactions, seeds {seeds.start} to {seeds.stop - 1}, no"
        f" mismatch. {today}, revision {revision}, {platform.machine()}, {os.cpu_count()} cores,"
        f" {cpu_s:,.0f} s of CPU. Made by `python -m tests.views.long`."
    )
    return "\n".join(
        [
            "# The last long run of the machine of views",
            "",
            summary,
            "",
            "| | |",
            "|---|---|",
            *_rows(sorted(rest.items())),
            "",
            f"Views by shape, {len(shapes)} of them:",
            "",
            "| | |",
            "|---|---|",
            *_rows(sorted(shapes.items())),
            "",
        ]
    )


def _rows(pairs: Iterable[tuple[str, int]]) -> list[str]:
    return [f"| {name} | {count:,} |" for name, count in pairs]


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description="Random histories of tables and views.")
    parser.add_argument("--transactions", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--out", type=Path, help="where what was found is written")
    options = parser.parse_args()
    figures: Counter[str] = Counter()
    runs = -(-options.transactions // EACH)
    seeds = range(options.seed, options.seed + runs)
    cpu_s = 0.0
    with ProcessPoolExecutor(options.processes) as pool:
        pending = [pool.submit(one, seed) for seed in seeds]
        try:
            for done in as_completed(pending):
                found, took_s = done.result()
                figures += found
                cpu_s += took_s
                print(f"{figures['transactions']:,} transactions", flush=True)
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    text = report(figures, seeds, cpu_s)
    print(text)
    if options.out is not None:
        options.out.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
