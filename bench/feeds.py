"""Selects that are followed: what they cost the commits that concern them, and those that do not.

Updates of one row each, a transaction each, on one table, while `select … where owner = :owner` is
followed with 1 and with 10,000 owners. The commits of one run all concern one of the followers, or
none. All of it in one process, so a commit's time has in it that its chunk reaches the follower's
outbox, which is emptied between runs. Best of short runs in turn: the machine's other work only
adds.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from random import Random
from time import perf_counter

import reifydb
from bench.bank import bank_wasm
from bench.measure import Result, Say, Sizes

OWNERS, RUN = 10_000, 500
_SELECT = "select id, balance from account where owner = :owner"
_BELOW = "select id, balance from account where balance < :most"


class _Bank:
    """Accounts, one for each owner and one more that nobody follows; and who follows them."""

    def __init__(self) -> None:
        self.db = reifydb.open(":memory:")
        self.db.install(bank_wasm().read_bytes(), apply_schema=True)
        self.db.execute("create index account_owner on account (owner)")
        with self.db.transaction() as tx:
            rows = [{"id": i, "owner": f"o{i}", "balance": 1000} for i in range(2 * OWNERS)]
            tx.insert_many("account", rows)
        self._followers: dict[int, reifydb.Changes] = {}

    def follow(self, owners: int) -> float:
        """So many owners are followed; microseconds for each of them."""
        start_s = perf_counter()
        for i in range(owners):
            self._followers[i] = changes = self.db.subscribe(_SELECT, {"owner": f"o{i}"})
            changes.get()
        return (perf_counter() - start_s) / owners * 1e6

    def below(self, count: int) -> list[reifydb.Changes]:
        """So many who compare with something else than `=`: each is looked at."""
        found = [self.db.subscribe(_BELOW, {"most": -i}) for i in range(count)]
        for changes in found:
            changes.get()
        return found

    def run(self, accounts: Sequence[int]) -> float:
        """Microseconds for each deposit of one, a commit each."""
        start_s = perf_counter()
        for account in accounts:
            self.db.call("bank.deposit", account, 1)
        spent_s = perf_counter() - start_s
        for account in set(accounts):
            changes = self._followers.get(account)
            while changes is not None and changes.get(timeout_s=0) is not None:
                pass
        return spent_s / len(accounts) * 1e6

    def close(self) -> None:
        """Drops it."""
        self.db.close()


def measure(folder: Path, sizes: Sizes, say: Say) -> Result:
    """Microseconds a commit, whether 1 or 10,000 follow; and what beginning to follow costs."""
    del folder
    say("selects that are followed")
    random = Random(1)
    none, few, many, below = _Bank(), _Bank(), _Bank(), _Bank()
    few.follow(1)
    joining_us = many.follow(OWNERS)
    watching = below.below(100)
    found: dict[str, float] = {}

    def note(name: str, bank: _Bank, accounts: Sequence[int]) -> None:
        found[name] = min(found.get(name, float("inf")), bank.run(accounts))

    try:
        for number in range(int(100 * sizes.scale)):
            say(f"selects that are followed, {number}")
            first = [0] * RUN
            owners = [random.randrange(OWNERS) for _ in range(RUN)]
            others = [OWNERS + owner for owner in owners]
            note("nobody follows", none, first)
            note("1 follows, concerned", few, first)
            note(f"{OWNERS:,} follow, one concerned", many, first)
            note("1 follows, not concerned", few, others)
            note(f"{OWNERS:,} follow, none concerned", many, others)
            note("nobody follows, scattered", none, owners)
            note(f"{OWNERS:,} follow, another one concerned each time", many, owners)
            note("100 follow by <, none concerned", below, others)
        for changes in watching:
            changes.close()
    finally:
        for bank in (none, few, many, below):
            bank.close()
    one, all_ = found["1 follows, concerned"], found[f"{OWNERS:,} follow, one concerned"]
    return {
        "us_per_commit": {name: round(value, 3) for name, value in found.items()},
        "ratio": round(all_ / one, 2),
        "us_to_begin_following": round(joining_us, 1),
    }
