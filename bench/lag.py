"""Durability lag under load: how long a commit is visible before it is durable.

Measured three times, by threads of their own. From outside: the last lsn is noted, and
`db.durable_lsn` looked at until it is reached (`durable`); or `db.wait_durable` is called for it
(`waited`: what it adds is the price of waiting). And as the commit log itself keeps it, sampled
about every millisecond (`oldest`: the age of the oldest commit that is not durable; its bound is in
`Options`).
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from itertools import cycle
from pathlib import Path
from time import perf_counter, sleep
from typing import Any

import reifydb
from bench.account_pairs import first_pairs
from bench.bank import Calls, Packed
from bench.machine import flush_us
from bench.measure import Result, Say, Sizes, spread

PAUSE_S = 0.0002
"""Between two looks: a thread that never pauses would hold up the load."""


def measure(folder: Path, sizes: Sizes, say: Say) -> Result:
    """Under single calls, and under batches that never pause."""
    found: Result = {}
    loads: list[Callable[[], Any]] = [
        lambda: Calls(20_000, sizes.accounts, folder / "calls.reify"),
        lambda: Packed(200_000, sizes.accounts, folder / "packed.reify", batch=1_000),
        lambda: Packed(200_000, sizes.accounts, folder / "large.reify", batch=40_000),
    ]
    for make in loads:
        load = make()
        say(f"durability lag under {load.name}")
        try:
            found[load.name] = _under(load, sizes, folder)
        finally:
            load.close()
    return found


def _under(load: Any, sizes: Sizes, folder: Path) -> Result:
    db: reifydb.Database = load.db
    pairs = first_pairs(load.transfers, sizes.accounts)
    work = load.work(pairs)
    db.flush()
    stop = threading.Event()
    samples: dict[str, list[float]] = {"durable_ms": [], "waited_ms": [], "oldest_ms": []}
    threads = [
        threading.Thread(target=watch, args=(db, taken, stop))
        for watch, taken in zip((_look, _wait, _sample), samples.values(), strict=True)
    ]
    for thread in threads:
        thread.start()
    made, end_s = 0, perf_counter() + sizes.load_s
    start_s = perf_counter()
    for item in cycle(work):
        load.one(*item)
        made += load.batch
        if perf_counter() > end_s:
            break
    taken_s = perf_counter() - start_s
    stop.set()
    for thread in threads:
        thread.join()
    load.check(made)
    flushes = flush_us(folder, 256 << 10)
    options = db.options
    return {
        "per_s": round(made / taken_s),
        **{name: _rounded(taken) for name, taken in samples.items()},
        "bound_ms": options.durability_lag_ms_max,
        "slice_ms": options.slice_ms,
        "flush_p99_ms": flushes["p99"] / 1000,
        "limit_ms": round(
            options.durability_lag_ms_max + options.slice_ms + flushes["p99"] / 1000, 2
        ),
    }


def _look(db: reifydb.Database, taken: list[float], stop: threading.Event) -> None:
    while not stop.is_set():
        lsn, start_s = db.lsn, perf_counter()
        if lsn <= db.durable_lsn:
            sleep(PAUSE_S)
            continue
        while db.durable_lsn < lsn:
            sleep(PAUSE_S)
        taken.append((perf_counter() - start_s) * 1000)


def _wait(db: reifydb.Database, waited: list[float], stop: threading.Event) -> None:
    while not stop.is_set():
        lsn, start_s = db.lsn, perf_counter()
        if lsn <= db.durable_lsn:
            sleep(PAUSE_S)
            continue
        db.wait_durable(lsn)
        waited.append((perf_counter() - start_s) * 1000)


def _sample(db: reifydb.Database, oldest: list[float], stop: threading.Event) -> None:
    # `db.durability_lag` would hand over what has gathered, and so change what it measures.
    lag = db._log.lag  # noqa: SLF001
    while not stop.is_set():
        oldest.append(lag().ms)
        sleep(0.001)


def _rounded(values: list[float]) -> Result:
    return {name: round(value, 3) for name, value in spread(values).items()}
