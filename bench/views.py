"""Views: what keeping one costs a transaction of one row, beside SQLite.

A deposit changes the balance of one of 200,000 accounts, a transaction each. The cost of a view is
the time of a deposit with it less that without. All take turns within a round, on the same rows;
what counts is the best of the rounds, for the machine's other work only adds, and the medians stand
beside it. SQLite runs in this process, in memory. It keeps the same by a trigger that is right for
any update, as a view is; `shortest` is one that knows what a deposit changes, and adds the
difference to the sum, or sets the one column. What no trigger can keep (the first ten) is asked
again after each change, with an index. Our deposits are called as a batch, by a guest; SQLite's are
prepared statements in autocommit.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from pathlib import Path
from random import Random
from statistics import median
from time import perf_counter

import reifydb
from bench.bank import bank_wasm
from bench.measure import Result, Say, Sizes

BRANCHES, RUN = 2000, 500
_LOADED_AT_ONCE = 100_000

_GROUP = f"""select id % {BRANCHES} as branch, count(*) as n, sum(balance) as s from account
    group by id % {BRANCHES}"""
_GROUP_TABLE = f"create table v (branch integer primary key, n int, s int); insert into v {_GROUP};"
_TRIGGER = f"""{_GROUP_TABLE}
create trigger kept after update on account begin
    update v set n = n - 1, s = s - old.balance where branch = old.id % {BRANCHES};
    update v set n = n + 1, s = s + new.balance where branch = new.id % {BRANCHES};
end;"""
_SHORT_TRIGGER = f"""{_GROUP_TABLE}
create trigger kept after update of balance on account begin
    update v set s = s + new.balance - old.balance where branch = new.id % {BRANCHES};
end;"""
_JOIN = """select account.id, account.balance, branch.region from account
    join branch on branch.id = account.branch"""
_JOIN_TABLE = (
    f"create table v (id integer primary key, balance int, region text); insert into v {_JOIN};"
)
_JOIN_TRIGGER = f"""{_JOIN_TABLE}
create trigger kept after update on account begin
    delete from v where id = old.id;
    insert into v select new.id, new.balance, region from branch where id = new.branch;
end;"""
_SHORT_JOIN_TRIGGER = f"""{_JOIN_TABLE}
create trigger kept after update of balance on account begin
    update v set balance = new.balance where id = new.id;
end;"""
_OWN_JOIN = f"""select a.id, a.balance, b.region from account a
    join branch b on b.id = a.id % {BRANCHES}"""
_TOP = "select id, balance from account order by balance desc, id limit 10"
_TOP_INDEX = "create index i on account (balance desc, id)"
_POINT = "select id, owner, balance from account where id = ?"
_REJECTING = [f"select id, balance from account where owner = 'x{i}'" for i in range(50)]


class _Own:
    """Deposits into ReifyDB."""

    def __init__(self, accounts: int, *views: str) -> None:
        self.db = reifydb.open(":memory:")
        self.db.install(bank_wasm().read_bytes(), apply_schema=True)
        self.db.execute("create table branch (id int primary key, region text)")
        for start in range(0, accounts, _LOADED_AT_ONCE):
            ids = range(start, min(start + _LOADED_AT_ONCE, accounts))
            rows = [{"id": i, "owner": "o", "balance": 1000 + i % 997} for i in ids]
            with self.db.transaction() as tx:
                tx.insert_many("account", rows)
        with self.db.transaction() as tx:
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

    def ask(self, ids: Sequence[int]) -> Callable[[], object]:
        """Asks for rows by key."""
        query = self.db.query
        return lambda: [query(_POINT, (i,)).tuples for i in ids]

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

    def ask(self, ids: Sequence[int]) -> Callable[[], object]:
        """Asks for rows by key."""
        execute = self._db.execute
        return lambda: [execute(_POINT, (i,)).fetchall() for i in ids]

    def check(self) -> None:
        """It is over."""
        self._db.close()


_Contender = _Own | _SQLite


def measure(folder: Path, sizes: Sizes, say: Say) -> Result:
    """Microseconds of a deposit's view, and how many times SQLite's that is."""
    del folder
    count = 2 * sizes.accounts
    found: Result = {"accounts": count}
    plain, plain_theirs = _Own(count), _SQLite(count)
    for name, views, script, short, after in (
        ("group by, trigger", [_GROUP], _TRIGGER, _SHORT_TRIGGER, ""),
        ("join, trigger", [_OWN_JOIN], _JOIN_TRIGGER, _SHORT_JOIN_TRIGGER, ""),
        ("top 10, index and asked again", [_TOP], _TOP_INDEX, "", _TOP),
        ("50 that do not concern it", _REJECTING, "", "", ""),
    ):
        mine = _Own(count, *views)
        theirs = _SQLite(count, script, after) if script else None
        shortest = _SQLite(count, short) if short else None
        contenders: list[_Contender | None] = [plain, mine, plain_theirs, theirs, shortest]
        rounds = _rounds(say, sizes, name, contenders, _deposits)
        row: Result = _cost("us", rounds[1], rounds[0]) | {"made_s": round(mine.made_s, 3)}
        mine.check()
        if theirs is not None:
            row |= _cost("sqlite_us", rounds[3], rounds[2])
            row["ratio"] = round(row["sqlite_us"] / row["us"], 2)
            theirs.check()
        if shortest is not None:
            row |= _cost("shortest_us", rounds[4], rounds[2])
            row["shortest_ratio"] = round(row["shortest_us"] / row["us"], 2)
            shortest.check()
        found[name] = row
    found["without a view"] = _cost("us", rounds[0]) | _cost("sqlite_us", rounds[2])
    asked = _rounds(say, sizes, "asked by key", [plain, plain_theirs], _questions)
    row = _cost("us", asked[0]) | _cost("sqlite_us", asked[1])
    found["asked by key"] = row | {"ratio": round(row["sqlite_us"] / row["us"], 2)}
    plain.check()
    plain_theirs.check()
    large = _Own(sizes.rows, _GROUP)
    found[f"group by of {sizes.rows:,}, made"] = {"made_s": round(large.made_s, 3)}
    large.check()
    return found


def _deposits(contender: _Contender, ids: Sequence[int]) -> Callable[[], object]:
    return contender.work(ids)


def _questions(contender: _Contender, ids: Sequence[int]) -> Callable[[], object]:
    return contender.ask(ids)


def _rounds(
    say: Say,
    sizes: Sizes,
    name: str,
    contenders: Sequence[_Contender | None],
    work: Callable[[_Contender, Sequence[int]], Callable[[], object]],
) -> list[list[float]]:
    """For each contender the microseconds of one transaction or question in each round. All take
    turns within a round, on the same rows.
    """
    taken: list[list[float]] = [[] for _ in contenders]
    random = Random(1)
    for number in range(int(200 * sizes.scale)):
        say(f"views: {name}, {number}")
        ids = [random.randrange(2 * sizes.accounts) for _ in range(RUN)]
        for contender, found in zip(contenders, taken, strict=True):
            if contender is None:
                continue
            run = work(contender, ids)
            start_s = perf_counter()
            run()
            found.append((perf_counter() - start_s) / RUN * 1e6)
    return taken


def _cost(name: str, run: Sequence[float], base: Sequence[float] | None = None) -> Result:
    """The best of the rounds, and their median; of the one less those of the other."""
    bases = base or [0.0] * len(run)
    differences = [one - other for one, other in zip(run, bases, strict=True)]
    return {
        name: round(min(run) - min(bases), 2),
        f"median_{name}": round(median(differences), 2),
    }
