"""Primitives: what an operation costs, a transaction each, in a batch and from Python.

Operations are called as one batch, each with its commit: that is more than what the operation alone
costs inside a transition. `counter, one at a time` is `db.counter(…).add(…)`. What a key of a
counter takes in memory is counted by the kernel, the key included.
"""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from statistics import median
from time import perf_counter

import reifydb
from bench.measure import Result, Say, Sizes

_SCHEMA = """
create counter views (page int);
create counter stock (item int) min 0;
create ring trade (price decimal(18,4), qty int) per (symbol int) capacity 1000;
create limiter api (client int) rate 1000000 per '1 second' burst 1000000;
create histogram latency (endpoint int);
create sequence ticket;
"""
_CALLS: dict[str, list[tuple[object, ...]]] = {
    "views.add": [(i % 1000, 1) for i in range(20_000)],
    "stock.add": [(i % 1000, 1) for i in range(20_000)],
    "trade.push": [(i % 100, Decimal("12.5"), 3) for i in range(20_000)],
    "api.take": [(i % 1000, 1) for i in range(20_000)],
    "latency.record": [(i % 10, 1.5 + i % 997, 1) for i in range(20_000)],
    "ticket.next": [()] * 20_000,
}


def measure(folder: Path, sizes: Sizes, say: Say) -> Result:
    """Microseconds of an operation with its commit, best and median of the rounds."""
    del folder
    found: Result = {}
    with reifydb.open(":memory:") as db:
        db.execute(_SCHEMA)
        packed = {
            name: db._registry.find_wasm(name).params.encode_many(calls)  # noqa: SLF001
            for name, calls in _CALLS.items()
        }
        taken: dict[str, list[float]] = {name: [] for name in (*packed, "one at a time")}
        for number in range(sizes.rounds):
            say(f"primitives: round {number + 1} of {sizes.rounds}")
            for name, rows in packed.items():
                start_s = perf_counter()
                db.call_packed(name, rows)
                taken[name].append((perf_counter() - start_s) / len(_CALLS[name]) * 1e6)
            counter = db.counter("views")
            start_s = perf_counter()
            for i in range(5000):
                counter.add(i % 1000)
            taken["one at a time"].append((perf_counter() - start_s) / 5000 * 1e6)
        for name, times in taken.items():
            found[name] = {"us_best": round(min(times), 3), "us_median": round(median(times), 3)}
        memory = db.memory("views")
        found["bytes of a counter's key"] = (memory.rows + memory.primary_key) / 1000
        db.verify()
    return found
