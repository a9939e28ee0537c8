"""Random histories of tables and views: always what sqlite3 says, in memory and on disk.

Seeds are fixed in CI and new on each run elsewhere; `REIFYDB_VIEWS_SEED` repeats one.
"""

from __future__ import annotations

import os
import random
from collections import Counter

import pytest

from tests.views.machine import machine

SHARDS, TRANSACTIONS = 10, 500


def first_seed() -> int:
    given = os.environ.get("REIFYDB_VIEWS_SEED")
    if given is not None:
        return int(given)
    return 1 if os.environ.get("CI") else random.SystemRandom().randrange(10**9)


@pytest.mark.parametrize("shard", range(SHARDS))
def test_views_are_what_sqlite_says_at_any_time(shard: int) -> None:
    seed = first_seed() + shard
    print(f"REIFYDB_VIEWS_SEED={seed - shard}")
    with machine(seed, folder=shard < SHARDS // 2) as run:
        run.run(TRANSACTIONS)
        figures = run.figures
    assert figures["views"] >= 15
    assert figures["aborted"] > TRANSACTIONS // 10
    assert figures["nested"] > 0
    assert figures["reads inside"] > 0


def test_all_shapes_come_up() -> None:
    figures: Counter[str] = Counter()
    for seed in range(1, 5):
        with machine(seed, folder=False) as run:
            for _ in range(60):
                run.create_view()
            figures += run.figures
    shapes = {name for name in figures if name.startswith("shape ")}
    assert len(shapes) >= 16
    forms = {name for name in figures if name.startswith("subquery ")}
    assert len(forms) >= 15
    assert figures["views"] >= 120


def test_the_same_seed_gives_the_same_run() -> None:
    logs = []
    for _ in range(2):
        with machine(7, folder=False) as run:
            run.run(30)
            logs.append(run.log)
    assert logs[0] == logs[1]


def test_memory_is_given_back() -> None:
    """What views have taken, in transactions that were undone as well, is free without them."""
    used = []
    with machine(11, folder=False) as run:
        for _ in range(4):  # the same views each time
            run.rng.seed(5)
            for _ in range(60):
                run.transaction()
                if run.rng.random() < 0.15:
                    run.create_view()
            while run.specs:
                run.drop_view()
            run.leave()
            run.empty()
            queries = run.db._queries
            for sql in list(queries._kept):
                queries._drop(sql)
            run.db.verify()
            used.append(run.db._kernel.control.memory_used)
    assert used[-1] - used[1] < 100_000, used
