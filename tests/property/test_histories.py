"""Random histories on ReifyDB and on stdlib sqlite3: the same results, rows and order.

Seeds are fixed in CI and new on each run elsewhere; `REIFYDB_HISTORY_SEED` repeats one.
"""

from __future__ import annotations

import functools
import os
import random

import pytest

import reifydb
from reifydb.sql.create_table import parse_schema, render_create_table
from tests.histories.broken_twins import BROKEN
from tests.histories.generator import generate
from tests.histories.runner import MismatchError, Plan, check, run
from tests.histories.schemas import random_schema
from tests.histories.subjects import FolderSubject, MemorySubject, TwinSubject
from tests.histories.twin import Twin

SHARDS, HISTORIES, OPERATIONS = 10, 5, 2000
"""Together 100,000 operations, on 50 schemas."""


def first_seed() -> int:
    given = os.environ.get("REIFYDB_HISTORY_SEED")
    if given is not None:
        return int(given)
    return 1 if os.environ.get("CI") else random.SystemRandom().randrange(10**9)


history = functools.lru_cache(maxsize=8)(generate)
"""The first few are run by every broken twin."""

needs_database = pytest.mark.skipif(
    not hasattr(reifydb, "open"), reason="there is no database to open yet"
)


@needs_database
@pytest.mark.parametrize("shard", range(SHARDS))
def test_a_database_in_memory_agrees_with_sqlite(shard: int) -> None:
    seed = first_seed() + shard * HISTORIES
    for i in range(HISTORIES):
        print(f"REIFYDB_HISTORY_SEED={seed + i}")
        check(generate(seed + i, OPERATIONS), MemorySubject())


@needs_database
@pytest.mark.parametrize("shard", range(4))
def test_a_database_in_a_folder_agrees_with_sqlite_and_with_itself_reopened(shard: int) -> None:
    seed = first_seed() + 10_000 + shard
    print(f"REIFYDB_HISTORY_SEED={seed - 10_000}")
    check(generate(seed, OPERATIONS), FolderSubject(), Plan(reopen_every=30))


def test_the_twin_agrees_with_sqlite() -> None:
    seed = first_seed()
    for i in range(4):
        print(f"REIFYDB_HISTORY_SEED={seed + i}")
        check(generate(seed + i, OPERATIONS), TwinSubject(), Plan(reopen_every=70))


@pytest.mark.parametrize("broken", BROKEN, ids=lambda twin: twin.__name__)
def test_the_comparer_notices(broken: type[Twin]) -> None:
    """Whatever is broken is found within what CI runs, mostly in the first of its histories."""
    seed = first_seed()
    for i in range(SHARDS * HISTORIES):
        print(f"REIFYDB_HISTORY_SEED={seed + i}")
        try:
            run(history(seed + i, OPERATIONS), TwinSubject(broken), Plan(reopen_every=70))
        except MismatchError:
            return
    pytest.fail(f"not noticed: {broken.__doc__}")


def test_generated_schemas_can_be_written_in_sql() -> None:
    for seed in range(100):
        for table in random_schema(random.Random(seed)):
            [statement] = parse_schema(render_create_table(table))
            assert statement.table == table


def test_the_same_seed_gives_the_same_history() -> None:
    assert str(generate(7, 500)) == str(generate(7, 500))
    assert str(generate(7, 500)) != str(generate(8, 500))


def test_a_failing_history_is_shrunk_to_what_it_needs() -> None:
    with pytest.raises(MismatchError, match="shrunk from seed 3") as caught:
        check(generate(3, OPERATIONS), TwinSubject(BROKEN[0]))
    script = str(caught.value).split("shrunk from seed")[1]
    # LostUpdate loses the seventh update: one insert and seven updates, one of them visible.
    assert script.count("tx.") <= 20
