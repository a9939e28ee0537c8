"""The bank, in ReifyDB and in sqlite3: whoever takes part opens the same accounts."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import reifydb
from bench.measure import ROOT
from sdk.build import build_guest

OPENING_BALANCE = 1_000_000_000
"""Nobody runs out of money, so that every transfer commits."""

AMOUNT = 1
TRANSFER = "bank.transfer"

OPTIONS = reifydb.Options(deadline_ms=60_000)
"""To count the money of ten million accounts takes more than the second that is the default."""

_OPEN_BATCH = 10_000


class MoneyError(Exception):
    """Money is missing, or transfers are."""


def bank_wasm() -> Path:
    """The guest; built when it is not there."""
    return build_guest(ROOT / "examples" / "wasm" / "bank" / "bank.zig")


def owner(account: int) -> str:
    """The owner's name: 12 characters."""
    return f"owner {account % 1_000_000:06}"


def open_bank(path: str | Path) -> reifydb.Database:
    """A database with the bank installed, without accounts."""
    db = reifydb.open(path, options=OPTIONS)
    db.install(bank_wasm(), apply_schema=True)
    return db


def open_accounts(db: reifydb.Database, numbers: Sequence[int]) -> None:
    """Opens accounts in the order given; about 2 µs each."""
    for start in range(0, len(numbers), _OPEN_BATCH):
        some = numbers[start : start + _OPEN_BATCH]
        outcomes = db.call_many("bank.open", [(i, owner(i), OPENING_BALANCE) for i in some])
        if outcomes.committed != len(some):
            raise MoneyError(f"only {outcomes.committed} of {len(some)} accounts were opened")


def memory_used(db: reifydb.Database) -> int:
    """Bytes that the kernel uses for state."""
    return db._kernel.control.memory_used  # noqa: SLF001


def check_bank(db: reifydb.Database, accounts: int) -> None:
    """Raises unless the money is all there and the state sound."""
    _check_money(db.count("account"), db.call("bank.total"), accounts)
    db.verify()


def pack(db: reifydb.Database, calls: Sequence[Sequence[object]]) -> bytes:
    """Arguments of transfers as packed rows."""
    transition = db._registry.find_wasm(TRANSFER)  # noqa: SLF001
    return transition.params.encode_many(calls)


def batches(pairs: Sequence[tuple[int, int]], size: int) -> Iterator[list[tuple[int, int, int]]]:
    """Arguments of transfers, `size` of them at a time."""
    for start in range(0, len(pairs), size):
        yield [(source, target, AMOUNT) for source, target in pairs[start : start + size]]


class _Reify:
    """What our contenders share: a database with the accounts.

    Args:
        accounts: How many accounts.
        folder: Where its log goes; None: it keeps nothing.
    """

    def __init__(self, name: str, batch: int, transfers: int, accounts: int, folder: Path | None):
        self.batch, self.transfers = batch, max(transfers, batch)
        self.name = f"{name}, {'log' if folder else 'memory'}"
        self._accounts = accounts
        self.db = open_bank(":memory:" if folder is None else folder)
        used = memory_used(self.db)
        open_accounts(self.db, range(accounts))
        self.bytes_per_row = (memory_used(self.db) - used) / accounts
        self._first_lsn = self.db.lsn

    def settle(self) -> None:
        self.db.flush()

    def check(self, transfers: int) -> None:
        made = self.db.lsn - self._first_lsn
        if made != transfers:
            raise MoneyError(f"{self.name}: {made} transfers were made instead of {transfers}")
        check_bank(self.db, self._accounts)

    def close(self) -> None:
        self.db.close()


class Calls(_Reify):
    """`db.call`, one transfer at a time."""

    def __init__(self, transfers: int, accounts: int, folder: Path | None = None) -> None:
        super().__init__("call", 1, transfers, accounts, folder)
        self.one: Callable[..., object] = self.db.call

    def work(self, pairs: Sequence[tuple[int, int]]) -> list[tuple[Any, ...]]:
        return [(TRANSFER, source, target, AMOUNT) for source, target in pairs]


class Many(_Reify):
    """`db.call_many`; decodes no outcomes, or all results."""

    def __init__(
        self,
        transfers: int,
        accounts: int,
        folder: Path | None = None,
        *,
        batch: int = 1000,
        decoded: bool = False,
    ) -> None:
        name = f"call_many {batch:,}" + (" read" if decoded else "")
        super().__init__(name, batch, transfers, accounts, folder)
        call_many = self.db.call_many
        self.one: Callable[..., object] = call_many
        if decoded:
            self.one = lambda *args: call_many(*args).results()

    def work(self, pairs: Sequence[tuple[int, int]]) -> list[tuple[Any, ...]]:
        return [(TRANSFER, calls) for calls in batches(pairs, self.batch)]


class Packed(_Reify):
    """`db.call_packed`: the arguments are rows already."""

    def __init__(
        self, transfers: int, accounts: int, folder: Path | None = None, *, batch: int
    ) -> None:
        super().__init__(f"call_packed {batch:,}", batch, transfers, accounts, folder)
        self.one: Callable[..., object] = self.db.call_packed

    def work(self, pairs: Sequence[tuple[int, int]]) -> list[tuple[Any, ...]]:
        return [(TRANSFER, pack(self.db, calls)) for calls in batches(pairs, self.batch)]


class Sqlite:
    """The stdlib's sqlite3 with prepared statements (its statement cache); a transaction each.

    Args:
        file: Where; None: `:memory:`.
        synchronous: FULL flushes at each commit, NORMAL at checkpoints only.
    """

    batch = 1

    def __init__(
        self, transfers: int, accounts: int, file: Path | None = None, synchronous: str = "FULL"
    ) -> None:
        self.name = f"sqlite3, WAL {synchronous}" if file else "sqlite3, memory"
        self.transfers, self._accounts = transfers, accounts
        self._made = 0
        self._connection = sqlite3.connect(file or ":memory:", isolation_level=None)
        execute = self._execute = self._connection.execute
        if file:
            execute("pragma journal_mode = wal")
            execute(f"pragma synchronous = {synchronous}")
            execute("pragma cache_size = -65536")
        execute(
            "create table account (id integer primary key, owner text not null,"
            " balance integer not null)"
        )
        execute("begin")
        self._connection.executemany(
            "insert into account values (?, ?, ?)",
            ((i, owner(i), OPENING_BALANCE) for i in range(accounts)),
        )
        execute("commit")
        self.one: Callable[..., object] = self._transfer()

    def _transfer(self) -> Callable[..., object]:
        """The transfer with the checks that the guest makes."""
        execute = self._execute
        select = "select balance from account where id = ?"
        take = "update account set balance = balance - ? where id = ?"
        give = "update account set balance = balance + ? where id = ?"

        def transfer(source: int, target: int, amount: int) -> int:
            if source == target or amount <= 0:
                raise MoneyError("no such transfer")
            execute("begin")
            available = execute(select, (source,)).fetchone()
            if available is None or execute(select, (target,)).fetchone() is None:
                execute("rollback")
                raise MoneyError("account_missing")
            left: int = available[0] - amount
            if left < 0:
                execute("rollback")
                raise MoneyError("insufficient_funds")
            execute(take, (amount, source))
            execute(give, (amount, target))
            execute("commit")
            return left

        return transfer

    def work(self, pairs: Sequence[tuple[int, int]]) -> list[tuple[Any, ...]]:
        self._made += len(pairs)
        return [(source, target, AMOUNT) for source, target in pairs]

    def settle(self) -> None:
        pass

    def check(self, transfers: int) -> None:
        if self._made != transfers:
            raise MoneyError(f"{self.name}: {self._made} transfers instead of {transfers}")
        count, total = self._execute("select count(*), sum(balance) from account").fetchone()
        _check_money(count, total, self._accounts)

    def close(self) -> None:
        self._connection.close()


def _check_money(count: int, total: object, accounts: int) -> None:
    if (count, total) != (accounts, accounts * OPENING_BALANCE):
        raise MoneyError(
            f"{accounts:,} accounts should hold {accounts * OPENING_BALANCE:,};"
            f" there are {count:,} that hold {total:,}"
        )
