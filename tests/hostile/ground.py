"""A database with rows and an honest bank in it: the ground on which hostile modules are tried."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Self

from reifydb.errors import AbortedError, DeadlineError, TrappedError
from sdk.build import build_guest
from tests.guests.databases import open_with

DEADLINE_MS = 250
ACCOUNTS, VICTIMS = 8, 200
SCHEMA = """
create table victim (id int primary key, n int not null);
create table picky (id int primary key, t text, d bytes, x float, flag bool, n int not null);
create table wallet (id int primary key, owner text not null, balance int not null);
create table rich (id int primary key, d decimal(5,2), u uuid, j json);
create counter tally;
create index victim_by_n on victim (n);
create unique index picky_by_x on picky (x);
create unique index rich_by_u on rich (u, j);
"""


@functools.cache
def bank() -> bytes:
    """The example's module: transfers read and write two rows each."""
    return build_guest(Path("examples/wasm/bank/bank.zig")).read_bytes()


class Ground:
    """A database in memory: `victim` holds (i, i) for 200 i, `account` eight accounts.

    Attributes:
        db: The database. Its clock stands still, its seed is 1.
        balances: What the accounts must hold.
    """

    def __init__(self, deadline_ms: float = DEADLINE_MS) -> None:
        self.db = open_with(bank(), deadline_ms=deadline_ms)
        self.db.execute(SCHEMA)
        self.balances = dict.fromkeys(range(ACCOUNTS), 1000)
        with self.db.transaction() as tx:
            tx.insert_many("victim", [{"id": i, "n": i} for i in range(VICTIMS)])
            for i, balance in self.balances.items():
                tx.insert("account", {"id": i, "owner": f"owner {i}", "balance": balance})
        self._turn = 0

    def honest_call(self) -> None:
        """Transfers money, and asserts that the right amounts are there afterwards."""
        self._turn += 1
        source, target, amount = self._turn % ACCOUNTS, (self._turn + 3) % ACCOUNTS, 1
        self.balances[source] -= amount
        self.balances[target] += amount
        lsn = self.db.lsn
        assert self.db.call("bank.transfer", source, target, amount) == self.balances[source]
        assert self.db.lsn == lsn + 1
        for i in (source, target):
            row = self.db.get("account", i)
            assert row is not None
            assert row["balance"] == self.balances[i]

    @contextmanager
    def untouched(self) -> Iterator[None]:
        """Asserts that what happens inside changes nothing, and that an honest call is served."""
        before = self.db.state_hash, self.db.lsn, self.db.modules, self.db.tables
        yield
        assert (self.db.state_hash, self.db.lsn, self.db.modules, self.db.tables) == before
        self.db.verify()
        self.honest_call()

    def close(self) -> None:
        """Closes the database; it must be sound to the last."""
        self.db.verify()
        self.db.close()

    def __enter__(self) -> Self:
        """Itself."""
        return self

    def __exit__(self, *raised: object) -> None:
        """Closes it, without hiding what was raised."""
        self.db.close() if any(raised) else self.close()


def ending(work: Callable[[], object]) -> str:
    """What became of a call, in words."""
    try:
        work()
    except BaseException as error:
        return ending_of(error)
    return "committed"


def ending_of(error: BaseException | None) -> str:
    """The same of a call of a batch. What a guest cannot cause is raised."""
    if error is None:
        return "committed"
    if isinstance(error, AbortedError):
        return f"aborted: {error.abort_code}"
    if isinstance(error, TrappedError):
        return f"trapped: {error.trap}"
    if isinstance(error, DeadlineError):
        return "deadline"
    raise error
