"""Views: what keeping one costs a transaction of one row, beside SQLite.

A deposit changes the balance of one of 200,000 accounts, a transaction each. The cost of a view is
the time of a deposit with it less that without. SQLite keeps the same by triggers, or asks again
after each change; it runs in this process, in memory. Best of short runs in turn: the machine's
other work only adds.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from pathlib import Path
from random import Random
from time import perf_counter

import reifydb
from bench.bank import bank_wasm
from bench.measure import Result, Say, Sizes

BRANCHES, RUN = 2000, 500

_GROUP = f"""select id % {BRANCHES} as branch, count(*) as n, sum(balance) as s from account
    group by id % {BRANCHES}"""
_TRIGGER = f"""
create table v (branch integer primary key, n int, s int);
insert into v {_GROUP};
create trigger kept after update on account begin
    update v set n = n - 1, s = s - old.balance where branch = old.id % {BRANCHES};
    update v set n = n + 1, s = s + new.balance where branch = new.id % {BRANCHES};
end;"""
_JOIN = """select account.id, account.balance, branch.region from account
    join branch on branch.id = account.branch"""
_JOIN_TRIGGER = f"""
create table v (id integer primary key, balance int, region text);
insert into v {_JOIN};
create trigger kept after update on account begin
    delete from v where id = old.id;
    insert into v select new.id, new.balance, region from branch where id = new.branch;
end;"""
_TOP = "select id, balance from account order by balance desc, id limit 10"


class _Own:
    """Deposits into ReifyDB."""

    def __init__(self, accounts: int, *views: str) -> None:
        self.db = reifydb.open(":memory:")
        self.db.install(bank_wasm().read_bytes(), apply_schema=True)
        self.db.execute("create table branch (id int primary key, region text)")
        with self.db.transaction() as tx:
            rows = [{"id": i, "owner": "o", "balance": 1000 + i % 997} for i in range(accounts)]
            tx.insert_many("account", rows)
            regions = [{"id": i, "region": f"r{i % 10}"} for i in range(BRANCHES)]
            tx.insert_many("branch", regions)
        start_s = perf_counter()
        for i, view in enumerate(views):
            self.db.execute(f"create view v{i} as {view}")
        self.made_s = perf_counter() - start_s
        self._handle = self.db._registry.find_wasm("bank.deposit")  # noqa: SLF001

    def work(self, ids: Sequence[int]) -> Callable[[], object]:
        """Deposits of 1, one batch of transactions."""
        packed = self._handle.params.encode_many([(i, 1) for i in ids])
        return lambda: self.db.call_packed("bank.deposit", packed)

    def check(self) -> None:
        """The views are right; then it is over."""
        self.db.verify()
        self.db.close()


class _SQLite:
    """The same with prepared statements, a transaction each."""

    def __init__(self, accounts: int, script: str = "", after: str = "") -> None:
        self._db = sqlite3.connect(":memory:", isolation_level=None)
        self._after = after
        self._db.executescript(
            "create table account (id integer primary key, owner text, balance int, branch int);"
            "create table branch (id integer primary key, region text)"
        )
        self._db.execute("begin")
        rows = ((i, "o", 1000 + i % 997, i % BRANCHES) for i in range(accounts))
        self._db.executemany("insert into account values (?, ?, ?, ?)", rows)
        regions = ((i, f"r{i % 10}") for i in range(BRANCHES))
        self._db.executemany("insert into branch values (?, ?)", regions)
        self._db.execute("commit")
        self._db.executescript(script)

    def work(self, ids: Sequence[int]) -> Callable[[], object]:
        """Deposits of 1, a transaction each."""
        execute, after = self._db.execute, self._after

        def run() -> None:
            for i in ids:
                execute("update account set balance = balance + 1 where id = ?", (i,))
                if after:
                    execute(after).fetchall()

        return run

    def check(self) -> None:
        """It is over."""
        self._db.close()


def measure(folder: Path, sizes: Sizes, say: Say) -> Result:
    """Microseconds of a deposit's view, and how many times SQLite's that is."""
    del folder
    count = 2 * sizes.accounts
    own_join = f"""select a.id, a.balance, b.region from account a
        join branch b on b.id = a.id % {BRANCHES}"""
    rejecting = [f"select id, balance from account where owner = 'x{i}'" for i in range(50)]
    found: Result = {"accounts": count}
    own, theirs = _best(say, sizes, "without a view", _Own(count), _SQLite(count))
    for name, views, other in (
        ("group by, trigger", [_GROUP], _SQLite(count, _TRIGGER)),
        ("join, trigger", [own_join], _SQLite(count, _JOIN_TRIGGER)),
        (
            "top 10, index and asked again",
            [_TOP],
            _SQLite(count, "create index i on account (balance desc, id)", _TOP),
        ),
        ("50 that do not concern it", rejecting, None),
    ):
        mine = _Own(count, *views)
        made_s = mine.made_s
        with_view, with_theirs = _best(say, sizes, name, mine, other)
        row = {"us": round(with_view - own, 2), "made_s": round(made_s, 3)}
        if other is not None:
            cost = with_theirs - theirs
            row |= {"sqlite_us": round(cost, 2), "ratio": round(cost / (with_view - own), 2)}
        found[name] = row
    found["without a view"] = {"us": round(own, 2), "sqlite_us": round(theirs, 2)}
    return found


def _best(
    say: Say, sizes: Sizes, name: str, own: _Own, other: _SQLite | None
) -> tuple[float, float]:
    """The best microseconds of one deposit of each, in short runs in turn."""
    contenders = [own] if other is None else [own, other]
    best = [float("inf"), float("inf")]
    random = Random(1)
    for number in range(int(200 * sizes.scale)):
        say(f"views: {name}, {number}")
        ids = [random.randrange(sizes.accounts) for _ in range(RUN)]
        for i, contender in enumerate(contenders):
            run = contender.work(ids)
            start_s = perf_counter()
            run()
            best[i] = min(best[i], (perf_counter() - start_s) / RUN * 1e6)
    for contender in contenders:
        contender.check()
    return best[0], best[1]
