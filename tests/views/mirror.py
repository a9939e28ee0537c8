"""The same tables and views in stdlib sqlite3, where a view is evaluated from scratch each time."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from tests.views import aggregates, kinds
from tests.views.kinds import Kind
from tests.views.shapes import Spec
from tests.views.tables import Base

HOUR_US, DAY_US = 3_600_000_000, 86_400_000_000


class Refused(Exception):
    """An operation must fail, with this code."""


class Mirror:
    """Tables and views in memory."""

    def __init__(self, bases: Sequence[Base]) -> None:
        self.db = sqlite3.connect(":memory:", isolation_level=None, cached_statements=2000)
        self.db.execute("pragma case_sensitive_like = on")
        _functions(self.db)
        self.bases = {base.name: base for base in bases}
        for base in bases:
            self.db.execute(base.mirror_sql)

    def close(self) -> None:
        self.db.close()

    def execute(self, sql: str) -> None:
        self.db.execute(sql)

    # ------------------------------------------------------------ rows

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
        self.db.execute(f'delete from "{table}" where {self._where(base)}', shown)

    def all_or_nothing(self, work: Callable[[], None]) -> None:
        """Undoes what a piece of work did when it is refused."""
        self.db.execute("savepoint work")
        try:
            work()
        except BaseException:
            self.db.execute("rollback to work")
            raise
        finally:
            self.db.execute("release work")

    # ------------------------------------------------------------ views

    def create(self, spec: Spec) -> None:
        self.db.execute(f'create view "{spec.name}" as {spec.theirs}')

    def drop(self, name: str) -> None:
        self.db.execute(f'drop view "{name}"')

    def rows(self, spec: Spec) -> Counter[tuple[object, ...]]:
        """A view's rows, as they are compared."""
        return Counter(self.sequence(spec))

    def sequence(self, spec: Spec) -> list[tuple[object, ...]]:
        """The same in their order. Raises `Refused` when it cannot be computed."""
        try:
            found = self.db.execute(f'select * from "{spec.name}"').fetchall()
        except sqlite3.OperationalError as error:
            if "user-defined" not in str(error):
                raise
            raise Refused("expression") from None
        of = [kind for _, kind in spec.columns]
        return [tuple(map(kinds.theirs, row, of)) for row in found]

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
