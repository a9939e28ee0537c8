"""Broken in what they do to rows. See `broken_twins.py`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from reifydb.engine.catalog import Column
from reifydb.engine.values import default_value
from reifydb.errors import DuplicateKeyError
from tests.histories.twin import Twin
from tests.histories.twin_relation import Relation, Row


class LostUpdate(Twin):
    """Every seventh update is not done."""

    updates = 0

    def _update(self, relation: Relation, row: Row) -> None:
        self.updates += 1
        if self.updates % 7:
            super()._update(relation, row)


class UpdateForgetsOtherColumns(Twin):
    """Columns that an update does not mention become their defaults."""

    def _update(self, relation: Relation, row: Row) -> None:
        at = relation.encoded(relation.key_of(row))
        if at in relation.rows:
            columns = relation.table.columns
            row = {**{c.name: default_value(c) for c in columns if c.default is not None}, **row}
        super()._update(relation, row)


class UpdateInserts(Twin):
    """An update of a missing row inserts it."""

    def _update(self, relation: Relation, row: Row) -> None:
        self._upsert(relation, row) if relation.auto is None else super()._update(relation, row)

    def _upsert(self, relation: Relation, row: Row) -> None:
        if relation.encoded(relation.key_of(row)) in relation.rows:
            super()._update(relation, row)
        else:
            self._insert(relation, row)


class InsertReplaces(Twin):
    """An insert over a row that is there replaces it."""

    def _insert(self, relation: Relation, row: Row) -> object:
        try:
            return super()._insert(relation, row)
        except DuplicateKeyError:
            super()._update(relation, row)
            return relation.key_of(relation.full(row))


class _OtherEdge(Twin):
    wrong: str

    def scan(self, name: str, **options: Any) -> Iterator[Row]:
        if self.wrong in options:
            options[f"{self.wrong}_exclusive"] = not options.get(f"{self.wrong}_exclusive", False)
        return super().scan(name, **options)


class LowerBoundOffByOne(_OtherEdge):
    """Inclusive and exclusive are mixed up at the lower bound."""

    wrong = "lower"


class UpperBoundOffByOne(_OtherEdge):
    """Inclusive and exclusive are mixed up at the upper bound."""

    wrong = "upper"


class PrefixIsAWholeKey(Twin):
    """A prefix as upper bound ends before the keys with it instead of after them."""

    def _edge(self, relation: Relation, bound: object, *, after: bool) -> int:
        parts = bound if isinstance(bound, tuple) else (bound,)
        return super()._edge(relation, bound, after=after and len(parts) == len(relation.table.key))


class WrongDirection(Twin):
    """`reverse` is ignored."""

    def scan(self, name: str, **options: Any) -> Iterator[Row]:
        options.pop("reverse", None)
        return super().scan(name, **options)


class LimitBeforeReverse(Twin):
    """A limited scan in reverse takes the first rows instead of the last."""

    def _between(self, relation: Relation, **options: Any) -> list[bytes]:
        limit = options.get("limit")
        if limit and options.pop("reverse", False):
            return super()._between(relation, **options)[:limit][::-1]
        return super()._between(relation, **options)


class NullBecomesDefault(Twin):
    """A null that was given is taken for a value that was not."""

    def _insert(self, relation: Relation, row: Row) -> object:
        given = {name: value for name, value in row.items() if value is not None}
        return super()._insert(relation, given)


class NullAllowed(Twin):
    """Columns that must not be null may be."""

    def _check_nulls(self, relation: Relation, row: Row) -> None:
        pass


class NoDefault(Twin):
    """A column that was left out is null although it has a default."""

    def _default(self, column: Column) -> object:
        return None if column.nullable else default_value(column)


class AbortLeavesATrace(Twin):
    """The first change of an aborted transaction stays."""

    def _undo_to(self, length: int) -> None:
        super()._undo_to(1 if length == 0 and len(self.undo) > 3 else length)


class AbortKeepsTheMark(Twin):
    """Auto-increment marks are not undone."""

    def _undo_to(self, length: int) -> None:
        marks = {id(relation): (relation, relation.mark) for relation in self.relations.values()}
        super()._undo_to(length)
        for relation, mark in marks.values():
            relation.mark = mark


class PartialManyRows(Twin):
    """An operation on many rows keeps what it did before it failed."""

    def _whole(self, items: Sequence[Any], change: Callable[[Any], Any]) -> list[Any]:
        return [change(item) for item in items]


class AutoIncrementReused(Twin):
    """A number is given out again after the row with the highest one was deleted."""

    def _delete(self, relation: Relation, key: object) -> int:
        count = super()._delete(relation, key)
        if relation.auto is not None:
            numbers = [row[relation.auto] for row in relation.rows.values()]
            relation.mark = max([0, *numbers])
        return count


class AutoIncrementIgnoresGivenValues(Twin):
    """A value given for the auto-increment column does not move the mark."""

    def _insert(self, relation: Relation, row: Row) -> object:
        mark = relation.mark
        key = super()._insert(relation, row)
        if relation.auto is not None and row.get(relation.auto) is not None:
            relation.mark = mark
        return key


class TextCutAtNul(Twin):
    """Text ends at its first NUL character."""

    def _put(self, relation: Relation, at: bytes, row: Row | None) -> None:
        if row is not None:
            row = {k: v.split("\0")[0] if isinstance(v, str) else v for k, v in row.items()}
        super()._put(relation, at, row)


class NegativeZero(Twin):
    """−0.0 is kept."""

    def _insert(self, relation: Relation, row: Row) -> object:
        key = super()._insert(relation, row)
        kept = relation.rows[relation.encoded(key)]
        for name, value in row.items():
            if isinstance(value, float) and value == 0:
                kept[name] = value
        return key


class BoolsBecomeInts(Twin):
    """Bools are read as 0 and 1."""

    def get(self, name: str, key: object) -> Row | None:
        row = super().get(name, key)
        return row and {k: int(v) if isinstance(v, bool) else v for k, v in row.items()}


class FailureEndsTheTransaction(Twin):
    """After an operation that failed, the ones before it are gone."""

    def _whole(self, items: Sequence[Any], change: Callable[[Any], Any]) -> list[Any]:
        try:
            return super()._whole(items, change)
        except Exception:
            self._undo_to(0)
            raise


class LsnForNothing(Twin):
    """An update that changes nothing takes an lsn."""

    def _update(self, relation: Relation, row: Row) -> None:
        at = relation.encoded(relation.key_of(row))
        super()._update(relation, row)
        self._put(relation, at, relation.rows[at])


class HashOfCounts(Twin):
    """The state hash does not see what is in the rows."""

    @property
    def state_hash(self) -> bytes:
        return bytes([len(relation.rows) % 256 for relation in self.relations.values()])
