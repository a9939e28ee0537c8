"""Subscriptions of the twin."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reifydb import Delta, Position, Snapshot
from reifydb.errors import ReifyDBError
from tests.histories.twin_relation import Relation

if TYPE_CHECKING:
    from tests.histories.twin import Twin

OUTBOX_MAX = 8
"""Deltas that wait for a subscriber of the twin."""


class TwinChanges:
    """A subscription of the twin's."""

    def __init__(self, twin: Twin, relation: Relation, since: Position | None) -> None:
        self.twin, self.relation = twin, relation
        self.waiting: list[Delta] = []
        self.error: ReifyDBError | None = None
        self.needs_snapshot = since is None or since.lsn < relation.kept_after
        twin.subscriptions.append(self)
        if since is not None and not self.needs_snapshot:
            for delta in relation.kept:
                if delta.position.lsn > since.lsn:
                    self.put(delta)

    def put(self, delta: Delta) -> None:
        if self.needs_snapshot:
            return
        self.waiting.append(delta)
        if len(self.waiting) > OUTBOX_MAX:
            self.restart()

    def restart(self) -> None:
        self.waiting.clear()
        self.needs_snapshot = True

    def get(self, timeout_s: float | None = None) -> Snapshot | Delta | None:
        del timeout_s
        if self.error is not None:
            raise self.error
        if self.needs_snapshot:
            self.needs_snapshot = False
            rows = [dict(self.relation.rows[at]) for at in self.relation.order]
            return Snapshot(self.twin.position, rows)
        return self.waiting.pop(0) if self.waiting else None

    def close(self) -> None:
        if self in self.twin.subscriptions:
            self.twin.subscriptions.remove(self)
