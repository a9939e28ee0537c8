"""Twins that are broken on purpose, each in one way that a real database might be.

What the comparer does not notice here it would not notice there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from reifydb import Change, Delta, Position
from reifydb.engine.catalog import Column, Index, Table
from reifydb.engine.values import default_value
from reifydb.errors import DuplicateKeyError
from reifydb.sql import parse_statements
from reifydb.sql.statements import CreateTable, DropTable, Statement
from tests.histories.twin import OUTBOX_MAX, Relation, Row, Twin, TwinChanges


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


# ------------------------------------------------------------------ indexes


class NullsFirst(Twin):
    """Nulls come first in an index."""

    def _entries(self, relation: Relation, index: Index) -> list[tuple[bytes, bytes]]:
        found = super()._entries(relation, index)
        return [(b"\0" + k[1:] if k[:1] == b"\x02" else k, at) for k, at in found]


class IndexForgetsMovedRows(Twin):
    """A row that an update moved in an index is not found there any more."""

    def _update(self, relation: Relation, row: Row) -> None:
        super()._update(relation, row)
        self.__dict__.setdefault("moved", set()).add(relation.encoded(relation.key_of(row)))

    def _entries(self, relation: Relation, index: Index) -> list[tuple[bytes, bytes]]:
        moved = self.__dict__.get("moved", set())
        found = super()._entries(relation, index)
        return [(key, at) for key, at in found if at not in moved or len(found) < 3]


class EqualKeysInAnyOrder(Twin):
    """Rows with equal columns of an index are in no order of their primary key."""

    def _between_in_index(self, relation: Relation, name: str, **options: Any) -> list[bytes]:
        index = relation.table.index(name)
        order = super()._between_in_index(relation, name, **options)
        assert index is not None
        keys = {at: relation.index_key(index, relation.rows[at]) for at in order}
        other_way = list(reversed(order))
        return sorted(other_way, key=keys.__getitem__, reverse=options.get("reverse", False))


class IndexBoundOffByOne(Twin):
    """Inclusive and exclusive are mixed up at the lower bound of an index."""

    def _between_in_index(self, relation: Relation, name: str, **options: Any) -> list[bytes]:
        if "lower" in options:
            options["lower_exclusive"] = not options.get("lower_exclusive", False)
        return super()._between_in_index(relation, name, **options)


class IndexPrefixIsAWholeKey(Twin):
    """A bound of an index's first columns is compared as if it were all of them."""

    @staticmethod
    def _cut(key: bytes, edge: bytes) -> bytes:
        return key


class NullBoundIsNone(Twin):
    """A bound that is null is taken for no bound."""

    def _between_in_index(self, relation: Relation, name: str, **options: Any) -> list[bytes]:
        sound = {k: v for k, v in options.items() if not isinstance(v, tuple) or v != (None,)}
        return super()._between_in_index(relation, name, **sound)


class IndexNotUndone(Twin):
    """After an abort an index has rows where the transaction had moved them."""

    def _undo_to(self, length: int) -> None:
        left = self.__dict__.setdefault("left", {})
        if length == 0:
            for relation, at, row, _ in self.undo:
                if row is not None and at in relation.rows:
                    left[id(relation), at] = relation.rows[at]
        super()._undo_to(length)

    def _put(self, relation: Relation, at: bytes, row: Row | None) -> None:
        self.__dict__.setdefault("left", {}).pop((id(relation), at), None)
        super()._put(relation, at, row)

    def _entries(self, relation: Relation, index: Index) -> list[tuple[bytes, bytes]]:
        left = self.__dict__.get("left", {})
        names = relation.columns.keys()
        rows = {at: left.get((id(relation), at), row) for at, row in relation.rows.items()}
        sound = {at: r if r.keys() == names else relation.rows[at] for at, r in rows.items()}
        return [(relation.index_key(index, row), at) for at, row in sound.items()]


class UniqueIgnoredOnUpdate(Twin):
    """An update may break a unique index."""

    def _check_indexes(self, relation: Relation, row: Row, old: Row | None) -> None:
        if old is None:
            super()._check_indexes(relation, row, old)


class UniqueIgnoredWithinManyRows(Twin):
    """Rows of one operation may collide with each other in a unique index."""

    def _whole(self, items: Sequence[Any], change: Callable[[Any], Any]) -> list[Any]:
        self.many = len(items) > 1
        return super()._whole(items, change)

    def _check_indexes(self, relation: Relation, row: Row, old: Row | None) -> None:
        try:
            super()._check_indexes(relation, row, old)
        except DuplicateKeyError:
            if not self.many:
                raise


class UniqueBeforePrimaryKey(Twin):
    """A row that violates both is told of the unique index."""

    def _insert(self, relation: Relation, row: Row) -> object:
        try:
            return super()._insert(relation, row)
        except DuplicateKeyError:
            given = {n: row.get(n, self._default(c)) for n, c in relation.columns.items()}
            if relation.auto is None:
                self._check_indexes(relation, relation.full(given), None)
            raise


class UniqueNulls(Twin):
    """Two nulls are equal in a unique index."""

    def _check_indexes(self, relation: Relation, row: Row, old: Row | None) -> None:
        super()._check_indexes(relation, row, old)
        for index in relation.table.indexes:
            key = relation.index_key(index, row)
            others = [r for r in relation.rows.values() if r is not old]
            if index.unique and any(relation.index_key(index, r) == key for r in others):
                raise DuplicateKeyError("twice")


class UniqueIndexOfAnything(Twin):
    """A unique index can be made of rows that are not."""

    def _check_new_index(self, table: Table, relation: Relation) -> None:
        pass


# ------------------------------------------------------------------ changes of the schema


class AddedColumnIsNull(Twin):
    """Rows that are there have null in a column that is added, whatever its default."""

    def _carried(self, row: Row, table: Table, *, renamed: bool) -> Row:
        if renamed:
            return super()._carried(row, table, renamed=renamed)
        return {column.name: row.get(column.name) for column in table.columns}


class DroppedColumnComesBack(Twin):
    """A column that is added shows what was in the one dropped last."""

    last: dict[int, object]

    def _carried(self, row: Row, table: Table, *, renamed: bool) -> Row:
        made = super()._carried(row, table, renamed=renamed)
        self.__dict__.setdefault("last", {})
        for name, value in row.items():
            if name not in made and not renamed:
                self.last[id(table)] = value
        for name in made:
            if name not in row and not renamed and self.last:
                made[name] = next(iter(self.last.values()))
        return made


class ColumnsForgottenOnReopening(Twin):
    """Opened again, rows that an added column never touched have null in it."""

    def _carried(self, row: Row, table: Table, *, renamed: bool) -> Row:
        made = super()._carried(row, table, renamed=renamed)
        if not renamed:
            short = {c.name for c in table.columns if c.name not in row and c.nullable}
            self.__dict__.setdefault("short", []).append((made, short))
        return made

    def reopened(self) -> None:
        super().reopened()
        for row, names in self.__dict__.pop("short", []):
            row.update({name: None for name in names if name in row})


class DroppedTableComesBack(Twin):
    """A table made under the name of one that was dropped has the rows of that."""

    def _execute(self, statement: Statement) -> None:
        gone = self.__dict__.setdefault("gone", {})
        if isinstance(statement, DropTable) and statement.table in self.relations:
            gone[statement.table] = self.relations[statement.table]
        super()._execute(statement)
        if isinstance(statement, CreateTable) and statement.table.name in gone:
            old, new = gone[statement.table.name], self.relations[statement.table.name]
            if old.table.columns == new.table.columns:
                new.rows, new.order = dict(old.rows), list(old.order)


class DroppedIndexStaysUnique(Twin):
    """A unique index that was dropped binds writers all the same."""

    def _altered(self, relation: Relation, table: Table) -> Relation:
        left = {index.name for index in table.indexes}
        names = [column.name for column in relation.table.columns]
        gone = self.__dict__.setdefault("gone", [])
        for index in relation.table.indexes:
            if index.name not in left and index.unique:
                gone.append((relation, [names[i] for i in index.columns]))
        return super()._altered(relation, table)

    def _check_indexes(self, relation: Relation, row: Row, old: Row | None) -> None:
        super()._check_indexes(relation, row, old)
        for of, names in self.__dict__.get("gone", []):
            given = [row.get(name) for name in names]
            if of is relation and None not in given:
                others = (r for r in relation.rows.values() if r is not old)
                if any([r.get(name) for name in names] == given for r in others):
                    raise DuplicateKeyError("an index that is not there")


class RefusedScriptLeavesItsBeginning(Twin):
    """A script whose second statement is refused has done the first."""

    def execute(self, sql: str) -> None:
        for statement in parse_statements(sql):
            self._execute(statement)
        self.lsn += 1


class RenamedColumnKeepsItsName(Twin):
    """Rows that are there have a renamed column under its old name."""

    def _carried(self, row: Row, table: Table, *, renamed: bool) -> Row:
        return dict(row) if renamed else super()._carried(row, table, renamed=renamed)


# ------------------------------------------------------------------ subscriptions


class LostDelta(Twin):
    """Every fifth delta does not arrive."""

    told = 0

    def _tell(self, relation: Relation, changes: list[Change]) -> None:
        self.told += 1
        if self.told % 5:
            super()._tell(relation, changes)


class UpdatesAreInserts(Twin):
    """A delta says insert of a row that was there."""

    def _change(self, relation: Relation, at: bytes, old: Row | None) -> Change:
        change = super()._change(relation, at, old)
        return Change("insert", change.key, change.row) if change.op == "update" else change


class DeletesAreForgotten(Twin):
    """A delta has no deletes."""

    def _tell(self, relation: Relation, changes: list[Change]) -> None:
        super()._tell(relation, [change for change in changes if change.op != "delete"])


class KeyTwiceInADelta(Twin):
    """A delta has a change twice."""

    def _tell(self, relation: Relation, changes: list[Change]) -> None:
        super()._tell(relation, [*changes, changes[-1]] if changes else changes)


class GapBetweenDeltas(Twin):
    """A delta's previous lsn is one too high."""

    def _tell(self, relation: Relation, changes: list[Change]) -> None:
        relation.told_lsn += 1
        super()._tell(relation, changes)


class PreviousLsnTooLow(Twin):
    """A delta's previous lsn is one too low: it would hide that another one is missing."""

    def _tell(self, relation: Relation, changes: list[Change]) -> None:
        relation.told_lsn -= 1
        super()._tell(relation, changes)


class OldRowsInDeltas(Twin):
    """A delta has the row before the change."""

    def _change(self, relation: Relation, at: bytes, old: Row | None) -> Change:
        change = super()._change(relation, at, old)
        return Change(change.op, change.key, dict(old)) if old and change.row else change


class RowsThatNeverWereInDeltas(Twin):
    """A row that a transaction inserted and deleted again is in its delta."""

    def _delete(self, relation: Relation, key: object) -> int:
        self.__dict__.setdefault("deleted", []).append((relation, key))
        return super()._delete(relation, key)

    def _tell(self, relation: Relation, changes: list[Change]) -> None:
        told = [repr(change.key) for change in changes]
        deleted = [key for one, key in self.__dict__.pop("deleted", []) if one is relation]
        missing = [Change("delete", key, None) for key in deleted if repr(key) not in told]
        super()._tell(relation, [*missing[:1], *changes])


class AbortsArePublished(Twin):
    """Subscribers are told what a transaction did that is then undone."""

    def _undo_to(self, length: int) -> None:
        if length == 0 and self.undo:
            super()._publish()
        super()._undo_to(length)


class _ForgetsToRestart(TwinChanges):
    def restart(self) -> None:
        self.waiting.clear()


class LostResync(Twin):
    """A subscriber whose outbox was dropped is not sent a snapshot."""

    _changes = _ForgetsToRestart


class _DropsOldest(TwinChanges):
    def put(self, delta: Delta) -> None:
        if len(self.waiting) == OUTBOX_MAX:
            del self.waiting[0]
        super().put(delta)


class OldestDeltaDropped(Twin):
    """An outbox that is full loses its oldest delta."""

    _changes = _DropsOldest


class _SinceNow(TwinChanges):
    def __init__(self, twin: Twin, relation: Relation, since: Position | None) -> None:
        super().__init__(twin, relation, since)
        if since is not None:
            self.needs_snapshot = False
            self.waiting.clear()


class SinceMeansNow(Twin):
    """Who comes back with a position is told only what changes from now on."""

    _changes = _SinceNow


class _SinceInclusive(TwinChanges):
    def __init__(self, twin: Twin, relation: Relation, since: Position | None) -> None:
        if since is not None:
            since = Position(since.incarnation, since.lsn - 1)
        super().__init__(twin, relation, since)


class SinceIsInclusive(Twin):
    """Who comes back is told the delta of its own position once more."""

    _changes = _SinceInclusive


class OtherColumnsWithoutASnapshot(Twin):
    """A subscriber goes on with deltas when its table gets other columns."""

    def _restart(self, relation: Relation) -> None:
        pass


class ReopeningForgetsChanges(Twin):
    """Opened again, the database takes every position for up to date."""

    def reopened(self) -> None:
        super().reopened()
        for relation in self.relations.values():
            relation.kept_after = 0


BROKEN = [
    *(NullsFirst, IndexForgetsMovedRows, EqualKeysInAnyOrder, IndexBoundOffByOne),
    *(IndexPrefixIsAWholeKey, NullBoundIsNone, IndexNotUndone, UniqueIgnoredOnUpdate),
    *(UniqueIgnoredWithinManyRows, UniqueBeforePrimaryKey, UniqueNulls, UniqueIndexOfAnything),
    *(AddedColumnIsNull, DroppedColumnComesBack, ColumnsForgottenOnReopening),
    *(DroppedTableComesBack, DroppedIndexStaysUnique, RefusedScriptLeavesItsBeginning),
    *(RenamedColumnKeepsItsName, LostDelta, UpdatesAreInserts, DeletesAreForgotten),
    *(
        KeyTwiceInADelta,
        GapBetweenDeltas,
        PreviousLsnTooLow,
        OldRowsInDeltas,
        RowsThatNeverWereInDeltas,
    ),
    *(AbortsArePublished, LostResync, OldestDeltaDropped, SinceMeansNow, SinceIsInclusive),
    *(OtherColumnsWithoutASnapshot, ReopeningForgetsChanges),
    *(LostUpdate, UpdateForgetsOtherColumns, UpdateInserts, InsertReplaces),
    *(LowerBoundOffByOne, UpperBoundOffByOne, PrefixIsAWholeKey, WrongDirection),
    *(LimitBeforeReverse, NullBecomesDefault, NullAllowed, NoDefault),
    *(AbortLeavesATrace, AbortKeepsTheMark, PartialManyRows, AutoIncrementReused),
    *(AutoIncrementIgnoresGivenValues, TextCutAtNul, NegativeZero, BoolsBecomeInts),
    *(FailureEndsTheTransaction, LsnForNothing, HashOfCounts),
]
