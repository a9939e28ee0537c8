"""Broken in what subscribers are told. See `broken_twins.py`."""

from __future__ import annotations

from reifydb import Change, Delta, Position
from tests.histories.twin import Twin
from tests.histories.twin_changes import OUTBOX_MAX, TwinChanges
from tests.histories.twin_relation import Relation, Row


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
    def put(self, delta: Delta) -> None:
        super().put(delta)
        if len(self.waiting) == OUTBOX_MAX:
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


class DroppedTablesAreSilent(Twin):
    """A subscriber is not told that its table was dropped."""

    def _end(self, relation: Relation) -> None:
        pass
