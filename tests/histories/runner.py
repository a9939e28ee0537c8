"""Runs a history on a database and on the oracle at once, and compares.

After each operation: result or error code. After each transaction: every row it touched, the lsn,
and after an abort the state hash. Every so often: whole tables in both directions, counts,
`verify()`, and where the subject can, closing and opening again. A failing history is shrunk.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

from reifydb.engine.catalog import Table
from reifydb.errors import ReifyDBError
from tests.histories.history import Change, History, Operation, Step, Transaction
from tests.histories.oracle_sqlite import Refused, SqliteOracle
from tests.histories.subscriber import MismatchError, Subscribers


class Subject(Protocol):
    """How the database under test is opened; the database itself has the embedded API."""

    def open(self, tables: Sequence[Table]) -> Any:
        """A new, empty database with these tables."""

    def reopen(self, db: Any) -> Any:
        """The same database closed and opened again; the one given when it keeps nothing."""

    def close(self, db: Any) -> None:
        """Ends it and removes what it left."""


class Abort(Exception):
    """Rolls a transaction back."""


@dataclass(frozen=True, slots=True)
class Plan:
    """How often what is compared, in transactions; 0: never, but tables always at the end."""

    tables_every: int = 40
    reopen_every: int = 0
    subscribers: bool = True


PLAN = Plan()


def run(history: History, subject: Subject, plan: Plan = PLAN) -> None:
    """Runs a history from an empty database. O(operations + rows compared).

    Raises:
        MismatchError: Database and oracle disagree.
    """
    oracle = SqliteOracle(history.tables)
    db = subject.open(history.tables)
    subscribers = Subscribers(history.seed) if plan.subscribers else None
    try:
        for number, transaction in enumerate(history.transactions, 1):
            try:
                if isinstance(transaction, Change):
                    done = _run_change(db, oracle, transaction)
                    if done and subscribers is not None:
                        subscribers.follow(transaction.statements)
                else:
                    _run_transaction(db, oracle, transaction)
                if plan.reopen_every and number % plan.reopen_every == 0:
                    if subscribers is not None:
                        subscribers.part()
                    db = _reopen(db, subject)
                    _compare_tables(db, oracle)
                elif number % plan.tables_every == 0 or number == len(history.transactions):
                    _compare_tables(db, oracle)
                if subscribers is not None:
                    last = number == len(history.transactions)
                    subscribers.after(db, oracle.rows_by_key, all_of_them=last)
            except MismatchError as error:
                raise MismatchError(f"transaction {number}: {error}\n{transaction}") from None
            except Exception as error:
                # Not an error that an operation may answer with: a crash, or what verify() found.
                said = f"{type(error).__name__}: {error}"
                raise MismatchError(f"transaction {number}: {said}\n{transaction}") from error
    finally:
        if subscribers is not None:
            subscribers.part()
        subject.close(db)
        oracle.close()


def check(history: History, subject: Subject, plan: Plan = PLAN) -> None:
    """Runs a history; when it fails, shrinks it and says how to repeat it.

    Raises:
        MismatchError: With the seed, the mismatch and the shrunk history as a script.
    """
    try:
        run(history, subject, plan)
    except MismatchError as error:
        small = shrink(history, subject, plan)
        raise MismatchError(
            f"{error}\n\nshrunk from seed {history.seed}:\n{small}"
        ) from error.__cause__


# ------------------------------------------------------------------ comparing


def _run_change(db: Any, oracle: SqliteOracle, change: Change) -> bool:
    """A change of the schema, and all rows afterwards. Whether it was done."""
    lsn, state = db.lsn, db.state_hash
    expected: Refused | None = None
    try:
        oracle.change(change.statements)
    except Refused as refused:
        expected = refused
    try:
        db.execute(change.sql)
    except ReifyDBError as error:
        _compare_error("", error, expected)
        _same("the lsn after a refused change", db.lsn, lsn)
        _same("the state hash after a refused change", db.state_hash, state)
    else:
        _same("error", None, expected)
        _same("the lsn after a change of the schema", db.lsn, lsn + 1)
    _compare_tables(db, oracle)
    return expected is None


def _run_transaction(db: Any, oracle: SqliteOracle, transaction: Transaction) -> None:
    lsn, state = db.lsn, db.state_hash
    oracle.begin()
    if transaction.outside:
        for operation in transaction.operations:
            _compare_operation(db, oracle, operation)
        oracle.commit()
    else:
        try:
            with db.transaction() as tx:
                for operation in transaction.operations:
                    _compare_operation(tx, oracle, operation)
                if transaction.abort:
                    raise Abort
        except Abort:
            oracle.rollback()
        else:
            oracle.commit()
    _compare_position(db, oracle, transaction, lsn, state)
    for name, key in oracle.touched:
        relation = oracle.tables[name]
        bare = relation.bare(key)
        _same(f"row {bare!r} of {name} afterwards", db.get(name, bare), relation.get(key))


def _compare_operation(target: Any, oracle: SqliteOracle, operation: Operation) -> None:
    expected: object
    try:
        expected = oracle.apply(operation)
    except Refused as refused:
        expected = refused
    got: object
    try:
        method = getattr(target, operation.method)
        got = method(operation.table, *operation.arguments, **dict(operation.options))
        if operation.method == "scan":
            got = list(got)  # type: ignore[call-overload]
    except ReifyDBError as error:
        _compare_error(f"{operation}\n", error, expected)
        return
    if isinstance(expected, Refused):
        raise MismatchError(f"{operation}\n  got {got!r}\n  not the error {expected}")
    if operation.method not in _SILENT:
        _same(str(operation), got, expected)


def _compare_error(what: str, error: ReifyDBError, expected: object) -> None:
    """The code, and that the text names what it must name."""
    code = _CODES.get(error.code, error.code)
    if isinstance(expected, Refused):
        named = re.search(rf"\b{expected.names}\b", str(error)) is not None
        if code == expected.code and (not expected.names or named):
            return
    wanted = f"the error {expected}" if isinstance(expected, Refused) else repr(expected)
    raise MismatchError(f"{what}  got {code} ({error})\n  not {wanted}") from None


def _compare_position(
    db: Any, oracle: SqliteOracle, transaction: Transaction, lsn: int, state: object
) -> None:
    if transaction.abort or transaction.outside or not oracle.mutated:
        _same("lsn when nothing changed", db.lsn, lsn)
        _same("state hash when nothing changed", db.state_hash, state)
    elif len(transaction.operations) == 1 and transaction.operations[0].method in _SINGLE:
        _same("lsn after a change", db.lsn, lsn + 1)
        if db.state_hash == state:
            raise MismatchError("the state hash is the same after a change")
    elif db.lsn not in (lsn, lsn + 1):
        raise MismatchError(f"lsn went from {lsn} to {db.lsn} in one transaction")


def _compare_tables(db: Any, oracle: SqliteOracle) -> None:
    for name, relation in oracle.tables.items():
        expected = relation.scan()
        _same(f"table {name}", list(db.scan(name)), expected)
        _same(f"table {name} in reverse", list(db.scan(name, reverse=True)), expected[::-1])
        _same(f"count of {name}", db.count(name), len(expected))
        for index in relation.table.indexes:
            expected = relation.scan(index=index.name)
            _same(f"index {index.name} of {name}", list(db.scan(name, index=index.name)), expected)
    db.verify()


def _reopen(db: Any, subject: Subject) -> Any:
    lsn, state = db.lsn, db.state_hash
    db = subject.reopen(db)
    _same("lsn after reopening", db.lsn, lsn)
    _same("state hash after reopening", db.state_hash, state)
    return db


def _same(what: str, got: object, expected: object) -> None:
    """Equal, of the same types (True is not 1, −0.0 is not 0.0), columns in the same order."""
    if got == expected and repr(got) == repr(expected):
        return
    if isinstance(got, list) and isinstance(expected, list):
        pairs = zip(got, expected, strict=False)
        first = next((i for i, (a, b) in enumerate(pairs) if repr(a) != repr(b)), None)
        if first is None:
            what += f": {len(got)} rows, not {len(expected)}; the first that is too much or missing"
            first = min(len(got), len(expected))
        else:
            what += f": row {first} of {len(got)}"
        got, expected = got[first : first + 1], expected[first : first + 1]
    raise MismatchError(f"{what}\n  got {got!r}\n  not {expected!r}")


_SILENT = {"update", "upsert", "insert_many", "update_many", "upsert_many"}
_SINGLE = {"insert", "update", "upsert", "delete"}
_CODES = {"transaction_limit": "limit"}


# ------------------------------------------------------------------ shrinking


def shrink(
    history: History, subject: Subject, plan: Plan = PLAN, *, timeout_s: float = 30.0
) -> History:
    """The smallest failing history found by leaving things out: transactions, then operations.

    Each try runs a history from the start; delta debugging (Zeller and Hildebrandt 2002).
    """
    end_s = time.monotonic() + timeout_s

    def fails(transactions: Sequence[Step]) -> bool:
        if time.monotonic() > end_s:
            return False
        try:
            run(replace(history, transactions=tuple(transactions)), subject, plan)
        except MismatchError:
            return True
        return False

    kept = _minimal(list(history.transactions), fails)
    for i, transaction in enumerate(kept):
        if isinstance(transaction, Change):
            continue

        def fails_with(operations: Sequence[Operation], i: int = i) -> bool:
            changed = replace(kept[i], operations=tuple(operations))
            return fails([*kept[:i], changed, *kept[i + 1 :]])

        operations = _minimal(list(transaction.operations), fails_with)
        for j, operation in enumerate(operations):
            if operation.method.endswith("_many"):
                operations[j] = _fewer_rows(operations, j, fails_with)
        kept[i] = replace(transaction, operations=tuple(operations))
    return replace(history, transactions=tuple(kept))


def _fewer_rows(
    operations: Sequence[Operation], j: int, fails: Callable[[Sequence[Operation]], bool]
) -> Operation:
    operation = operations[j]

    def with_rows(rows: Sequence[Any]) -> Operation:
        return replace(operation, arguments=(list(rows),))

    def fails_with(rows: Sequence[Any]) -> bool:
        if not rows:
            return False
        return fails([*operations[:j], with_rows(rows), *operations[j + 1 :]])

    return with_rows(_minimal(list(operation.arguments[0]), fails_with))


def _minimal(items: list[Any], fails: Callable[[Sequence[Any]], bool]) -> list[Any]:
    """Items without those that a failure does not need: halves first, then ever smaller parts."""
    size = len(items)
    while size >= 1:
        start, dropped = 0, False
        while start < len(items):
            fewer = items[:start] + items[start + size :]
            if fails(fewer):
                items, dropped = fewer, True
            else:
                start += size
        if size > 1 or not dropped:
            size //= 2
    return items
