"""Draws operations on one table."""

from __future__ import annotations

import random
from typing import Any

from reifydb.engine.catalog import Column, Index, Table, Type
from tests.histories.drawing import INT_MAX, INT_MIN, draw, draw_wrong, too_long
from tests.histories.history import MANY, Operation


class TableWriter:
    """Draws operations on one table. Keys come from a small pool, so that they meet again."""

    def __init__(self, rng: random.Random, table: Table) -> None:
        self.rng = rng
        self.adapt(table)
        self.given_out = 0
        self.exhausts = rng.random() < 0.1
        self.likely: dict[str, tuple[object, ...]] = {}
        self.given: dict[str, list[object]] = {}
        self.pool = [self._fresh() for _ in range(rng.choice((3, 12, 60, 250)))]
        self.calls = {
            self._write: 40,
            self._write_many: 8,
            self._delete: 12,
            self._delete_many: 3,
            self._get: 18,
            self._scan: 14,
            self._count: 5,
        }
        self.reads = {self._get: 5, self._scan: 4, self._count: 1}

    def adapt(self, table: Table) -> None:
        """The table has other columns or indexes, or another name. Its keys are what they were."""
        self.table = table
        self.others = [c for i, c in enumerate(table.columns) if i not in table.key]
        self.indexed = {table.columns[i].name for index in table.indexes for i in index.columns}
        self.unique = {
            table.columns[i].name for index in table.indexes if index.unique for i in index.columns
        }

    def operation(self) -> Operation:
        return self._draw(self.calls)

    def read(self) -> Operation:
        return self._draw(self.reads)

    def _draw(self, calls: dict[Any, int]) -> Operation:
        if self.rng.random() < 0.003:
            return Operation("count", self.table.name + "x", flaw="unknown_name")
        operation: Operation = self.rng.choices(list(calls), list(calls.values()))[0]()
        return operation

    # ------------------------------------------------------------------ keys

    def _fresh(self) -> tuple[object, ...]:
        return tuple(
            self._auto_value()
            if position == self.table.auto
            else draw(self.rng, self.table.columns[position], for_key=True)
            for position in self.table.key
        )

    def _auto_value(self) -> int:
        chance = self.rng.random()
        if chance < 0.02:
            return INT_MAX if self.exhausts else INT_MIN
        if chance < 0.1:
            return self.rng.randint(-3, 3)
        return self.rng.randint(max(1, self.given_out - 60), self.given_out + 3)

    def _key(self, *, there: bool = False) -> tuple[object, ...]:
        if there and self.likely and self.rng.random() < 0.8:
            return self.rng.choice(list(self.likely.values()))
        if self.table.auto is not None and self.rng.random() < 0.5:
            return self._fresh()
        if self.rng.random() < 0.06:
            self.pool[self.rng.randrange(len(self.pool))] = self._fresh()
        return self.rng.choice(self.pool)

    @staticmethod
    def _bare(key: tuple[object, ...]) -> object:
        return key[0] if len(key) == 1 else key

    # ------------------------------------------------------------------ writing

    def _row(self, method: str) -> dict[str, object]:
        rng, table = self.rng, self.table
        row: dict[str, object] = {}
        key = self._key(there=method == "update")
        if method == "insert" and repr(key) in self.likely and rng.random() < 0.7:
            key = self._fresh()
        for position, value in zip(table.key, key, strict=True):
            row[table.columns[position].name] = value
        if method != "update":
            self.likely[repr(key)] = key
        if table.auto is not None and method != "update" and rng.random() < 0.7:
            name = table.columns[table.auto].name
            self.given_out += 1
            if rng.random() < 0.5:
                row[name] = None
            else:
                del row[name]
        left_out = rng.choice((0.0, 0.2, 0.7))
        for column in self.others:
            # A column that must have a value is left out or null rarely: one such row fails all.
            needed = not column.nullable and column.default is None
            if rng.random() < (left_out if method == "update" or not needed else 0.01):
                continue
            if rng.random() < (0.2 if column.nullable else 0.01):
                row[column.name] = None
            else:
                row[column.name] = self._value(column, again=0.5 if method == "update" else 0.15)
        if rng.random() < 0.2:
            items = list(row.items())
            rng.shuffle(items)
            row = dict(items)
        return row

    def _value(self, column: Column, *, again: float) -> object:
        """A value; in an indexed column often one of few, so that they meet.

        Args:
            again: How often in a unique index one that was given before.
        """
        rng = self.rng
        if column.name not in self.indexed:
            return draw(rng, column)
        given = self.given.setdefault(column.name, [])
        if given and column.name in self.unique and rng.random() < again:
            return rng.choice(given)
        if column.type in _TAILED and rng.random() < 0.01:
            return too_long(rng, column.type)
        value = draw(rng, column, for_key=rng.random() < 0.9)
        given.append(value)
        del given[:-12]
        return value

    def _write(self) -> Operation:
        method = self.rng.choices(("insert", "update", "upsert"), (4, 4, 2))[0]
        row = self._row(method)
        row, flaw = self._spoil(row, 0.03)
        return Operation(method, self.table.name, (row,), flaw=flaw)

    def _write_many(self) -> Operation:
        many = self.rng.choices(list(MANY), (4, 3, 3))[0]
        count = self.rng.randint(1, 8) if self.rng.random() < 0.95 else self.rng.randint(50, 200)
        rows = [self._row(MANY[many]) for _ in range(count)]
        flaw = ""
        if self.rng.random() < 0.05:
            i = self.rng.randrange(count)
            rows[i], flaw = self._spoil(rows[i], 1.0, many=True)
        return Operation(many, self.table.name, (rows,), flaw=flaw)

    def _spoil(
        self, row: dict[str, object], chance: float, *, many: bool = False
    ) -> tuple[dict[str, object], str]:
        """With some chance a row that is wrong in itself, and the error it must get."""
        rng, table = self.rng, self.table
        if rng.random() >= chance:
            return row, ""
        if rng.random() < 0.2:
            return {**row, "nosuch": 1}, "unknown_name"
        long = [table.columns[i] for i in table.key if table.columns[i].type in _TAILED]
        whole = all(c.nullable or row.get(c.name) is not None for c in self.others)
        if long and whole and not many and rng.random() < 0.5:
            column = rng.choice(long)
            return {**row, column.name: too_long(rng, column.type)}, "limit"
        column = rng.choice(table.columns)
        return {**row, column.name: draw_wrong(rng, column)}, "wrong_type"

    def _delete(self) -> Operation:
        if self.rng.random() < 0.02:
            return Operation("delete", self.table.name, (self._wrong_key(),), flaw="wrong_type")
        key = self._key(there=True)
        self.likely.pop(repr(key), None)
        return Operation("delete", self.table.name, (self._bare(key),))

    def _delete_many(self) -> Operation:
        keys = [self._bare(self._key()) for _ in range(self.rng.choice((1, 3, 8, 40)))]
        flaw = ""
        if self.rng.random() < 0.05:
            keys[self.rng.randrange(len(keys))] = self._wrong_key()
            flaw = "wrong_type"
        return Operation("delete_many", self.table.name, (keys,), flaw=flaw)

    def _wrong_key(self) -> object:
        key = list(self._key())
        i = self.rng.randrange(len(key))
        column = self.table.key_columns[i]
        key[i] = None if self.rng.random() < 0.2 else draw_wrong(self.rng, column)
        return self._bare(tuple(key))

    # ------------------------------------------------------------------ reading

    def _get(self) -> Operation:
        if self.rng.random() < 0.02:
            return Operation("get", self.table.name, (self._wrong_key(),), flaw="wrong_type")
        return Operation("get", self.table.name, (self._bare(self._key(there=True)),))

    def _count(self) -> Operation:
        return Operation("count", self.table.name)

    def _scan(self) -> Operation:
        rng = self.rng
        options: dict[str, object] = {}
        index = None
        if self.table.indexes and rng.random() < 0.6:
            index = rng.choice(self.table.indexes)
            options["index"] = index.name
        elif rng.random() < 0.01:
            options["index"] = "nosuch"
        for bound in ("lower", "upper"):
            if rng.random() < 0.6:
                if index is not None:
                    key = self._index_values(index)
                else:
                    key = self._key() if rng.random() < 0.7 else self._fresh()
                prefix = key[: rng.randint(1, len(key))]
                options[bound] = prefix if index is not None else self._bare(prefix)
                if rng.random() < 0.4:
                    options[f"{bound}_exclusive"] = True
        if "lower" in options and "upper" in options and rng.random() < 0.15:
            options["upper"] = options["lower"]
        if rng.random() < 0.4:
            options["limit"] = rng.choice((1, 2, 3, 10, 1000))
        if rng.random() < 0.5:
            options["reverse"] = rng.random() < 0.8
        flaw = ""
        if rng.random() < 0.03:
            bound = rng.choice(("lower", "upper"))
            options[bound], flaw = self._wrong_bound(index)
        return Operation("scan", self.table.name, options=tuple(options.items()), flaw=flaw)

    def _wrong_bound(self, index: Index | None) -> tuple[object, str]:
        """A bound that is wrong whatever the rows are, and its error."""
        rng = self.rng
        key = list(self._fresh() if index is None else self._index_values(index))
        if rng.random() < 0.3:
            return ((*key, 1) if rng.random() < 0.7 else ()), "bad_request"
        i = rng.randrange(len(key))
        position = (self.table.key if index is None else index.columns)[i]
        key[i] = draw_wrong(rng, self.table.columns[position])
        flaw = "wrong_type"
        if not self._may_be_null(position) and rng.random() < 0.3:
            key[i], flaw = None, "wrong_type" if index is None else "not_null"
        return tuple(key[: rng.randint(i + 1, len(key))]), flaw

    def _may_be_null(self, position: int) -> bool:
        return self.table.columns[position].nullable and position not in self.table.key

    def _index_values(self, index: Index) -> tuple[object, ...]:
        """A whole key of a secondary index; null where it may be."""
        found: list[object] = []
        for position in index.columns:
            column = self.table.columns[position]
            if position == self.table.auto:
                found.append(self._auto_value())
                continue
            null = self._may_be_null(position) and self.rng.random() < 0.2
            found.append(None if null else draw(self.rng, column, for_key=True))
        return tuple(found)


_TAILED = (Type.TEXT, Type.BYTES, Type.JSON)
