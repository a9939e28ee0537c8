"""The same tables and views in stdlib sqlite3, where a view is evaluated from scratch.

Each state of a table has a number of its own, which it gets back when it is rolled back to. What
SQLite said of the same states of the tables beneath a view is what it would say again: its answer
is a function of them, since none of the functions that we lend it depends on anything else.
"""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tests.views import aggregates, kinds
from tests.views.kinds import Kind
from tests.views.shapes import Spec
from tests.views.tables import Base

HOUR_US, DAY_US = 3_600_000_000, 86_400_000_000
ANSWERS_MAX = 4
"""That are remembered of a view: inside a transaction, and of what it began with."""


class Refused(Exception):
    """An operation must fail, with this code."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A view's rows, as they are compared: in their order, and how often each is there.

    Attributes:
        refused: It cannot be computed.
    """

    sequence: list[tuple[object, ...]]
    rows: Counter[tuple[object, ...]]
    refused: bool = False


class Mirror:
    """Tables and views in memory."""

    def __init__(self, bases: Sequence[Base]) -> None:
        self.db = sqlite3.connect(":memory:", isolation_level=None, cached_statements=2000)
        self.db.execute("pragma case_sensitive_like = on")
        _functions(self.db)
        self.bases = {base.name: base for base in bases}
        for base in bases:
            self.db.execute(base.mirror_sql)
        self._states = dict.fromkeys(self.bases, 0)
        self._state = 0  # the last number
        self._begun = self._states
        self._beneath: dict[str, frozenset[str]] = {name: frozenset({name}) for name in self.bases}
        self._answers: dict[str, dict[tuple[int, ...], Answer]] = {}

    def close(self) -> None:
        self.db.close()

    # ------------------------------------------------------------ transactions

    def begin(self) -> None:
        self.db.execute("begin")
        self._begun = dict(self._states)

    def commit(self) -> None:
        self.db.execute("commit")

    def rollback(self) -> None:
        self.db.execute("rollback")
        self._states = self._begun

    def all_or_nothing(self, work: Callable[[], None]) -> None:
        """Undoes what a piece of work did when it is refused."""
        self.db.execute("savepoint work")
        begun = dict(self._states)
        try:
            work()
        except BaseException:
            self.db.execute("rollback to work")
            self._states = begun
            raise
        finally:
            self.db.execute("release work")

    def _changes(self, table: str) -> None:
        self._state += 1
        self._states[table] = self._state

    # ------------------------------------------------------------ rows

    def add_column(self, table: str, column: str, default: str = "") -> None:
        """Rows that are there have the default."""
        self._changes(table)
        self.db.execute(f'alter table "{table}" add column "{column}"{default}')

    def clear(self, table: str) -> None:
        """Deletes all rows."""
        self._changes(table)
        self.db.execute(f'delete from "{table}"')

    def keys(self, table: str) -> list[tuple[Any, ...]]:
        """All keys of a table."""
        base = self.bases[table]
        names = ", ".join(f'"{name}"' for name in base.key)
        return self.db.execute(f'select {names} from "{table}" order by {names}').fetchall()

    def _key(self, base: Base, row: Mapping[str, object]) -> tuple[object, ...]:
        return tuple(kinds.mirrored(row[name], base.columns[name]) for name in base.key)

    def _where(self, base: Base) -> str:
        return " and ".join(f'"{name}" = ?' for name in base.key)

    def has(self, base: Base, key: Sequence[object]) -> bool:
        sql = f'select 1 from "{base.name}" where {self._where(base)}'
        return self.db.execute(sql, tuple(key)).fetchone() is not None

    def insert(self, table: str, row: Mapping[str, object]) -> None:
        """Raises `Refused` when the key is there."""
        base = self.bases[table]
        if self.has(base, self._key(base, row)):
            raise Refused("duplicate_key")
        whole = {**base.defaults, **row}
        names = ", ".join(f'"{name}"' for name in whole)
        values = [kinds.mirrored(value, base.columns[name]) for name, value in whole.items()]
        marks = ", ".join("?" * len(values))
        self._changes(table)
        self.db.execute(f'insert into "{table}" ({names}) values ({marks})', values)

    def update(self, table: str, row: Mapping[str, object]) -> None:
        """Raises `Refused` when there is no such key."""
        base = self.bases[table]
        key = self._key(base, row)
        if not self.has(base, key):
            raise Refused("not_found")
        sets = [name for name in row if name not in base.key]
        if sets:
            assigned = ", ".join(f'"{name}" = ?' for name in sets)
            values = [kinds.mirrored(row[name], base.columns[name]) for name in sets]
            sql = f'update "{table}" set {assigned} where {self._where(base)}'
            self._changes(table)
            self.db.execute(sql, [*values, *key])

    def upsert(self, table: str, row: Mapping[str, object]) -> None:
        base = self.bases[table]
        if self.has(base, self._key(base, row)):
            self.update(table, row)
        else:
            self.insert(table, row)

    def delete(self, table: str, key: Sequence[object]) -> None:
        base = self.bases[table]
        shown = [
            kinds.mirrored(value, base.columns[name])
            for name, value in zip(base.key, key, strict=True)
        ]
        self._changes(table)
        self.db.execute(f'delete from "{table}" where {self._where(base)}', shown)

    # ------------------------------------------------------------ views

    def create(self, spec: Spec) -> None:
        self.db.execute(f'create view "{spec.name}" as {spec.theirs}')
        # Whatever is read is named: what is named besides, as a column, does no harm.
        named = [under for name, under in self._beneath.items() if f'"{name}"' in spec.theirs]
        self._beneath[spec.name] = frozenset[str]().union(*named)

    def drop(self, name: str) -> None:
        self.db.execute(f'drop view "{name}"')
        del self._beneath[name]
        self._answers.pop(name, None)

    def rows(self, spec: Spec) -> Counter[tuple[object, ...]]:
        """A view's rows, as they are compared. Raises `Refused` when it cannot be computed."""
        return self._answer(spec).rows

    def sequence(self, spec: Spec) -> list[tuple[object, ...]]:
        """The same in their order."""
        return self._answer(spec).sequence

    def _answer(self, spec: Spec) -> Answer:
        states = tuple(self._states[name] for name in sorted(self._beneath[spec.name]))
        known = self._answers.setdefault(spec.name, {})
        answer = known.get(states)
        if answer is None:
            if len(known) >= ANSWERS_MAX:
                known.clear()
            answer = known[states] = self._evaluated(spec)
        if answer.refused:
            raise Refused("expression")
        return answer

    def _evaluated(self, spec: Spec) -> Answer:
        try:
            found = self.db.execute(f'select * from "{spec.name}"').fetchall()
        except sqlite3.OperationalError as error:
            if "user-defined" not in str(error):
                raise
            return Answer([], Counter(), refused=True)
        of = [kind for _, kind in spec.columns]
        sequence = [tuple(map(kinds.theirs, row, of)) for row in found]
        return Answer(sequence, Counter(sequence))

    def count(self, name: str) -> int:
        """Rows of a table or view."""
        found: int = self.db.execute(f'select count(*) from "{name}"').fetchone()[0]
        return found


# ------------------------------------------------------------------ functions


def _strict(function: Callable[..., object]) -> Callable[..., object]:
    """Null of null."""

    def called(*args: Any) -> object:
        return None if None in args else function(*args)

    return called


def _functions(db: sqlite3.Connection) -> None:
    def divide(a: int, b: int) -> int:
        quotient = abs(a) // abs(b)
        return quotient if (a < 0) == (b < 0) else -quotient

    one: dict[str, Callable[..., object]] = {
        "half_even_": round,
        "sign_": lambda a: (a > 0) - (a < 0),
        "floor_": lambda a: float(a // 1),
        "reverse_": lambda a: a[::-1],
        "hour_": lambda at: at // HOUR_US % 24,
        "dow_": lambda at: (at // DAY_US + 4) % 7,
        "day_": _day,
        "hour_trunc_": lambda at: at - at % HOUR_US,
        "day_trunc_": lambda at: at - at % DAY_US,
    }
    for name, function in one.items():
        db.create_function(name, 1, _strict(function), deterministic=True)
    db.create_function("divide_", 2, _strict(divide), deterministic=True)
    for name, choose in (("greatest_", max), ("least_", min)):

        def chosen(*args: Any, choose: Any = choose) -> object:
            there = [arg for arg in args if arg is not None]
            return choose(there) if there else None

        db.create_function(name, -1, chosen, deterministic=True)
    aggregates.register(db)


def _day(at: int) -> int:
    import datetime

    return (kinds.EPOCH + datetime.timedelta(microseconds=at)).day


__all__ = ["Kind", "Mirror", "Refused"]
