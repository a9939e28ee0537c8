"""Who listens to which table, and how the kernel's chunks reach them. Everything in a turn.

A table is watched from the first subscription on. Its last deltas are kept for subscribers that
come back; when nobody listens any more and these would have to be dropped, it is not watched any
longer.
"""

from __future__ import annotations

import struct
from collections import deque
from collections.abc import Iterable

from reifydb.config import Options
from reifydb.database.outbox import Chunk, ChunkKind, Outbox, Phase
from reifydb.database.positions import Position
from reifydb.database.tables import Catalog, TableHandle
from reifydb.durability.log import CommitLog
from reifydb.engine.kernel import Kernel
from reifydb.errors import KernelError, ReifyDBError, RequestError, SchemaError

_HEAD = struct.Struct("<IIQQII")
_WALKS = 1 << 31
"""The stream of a walk is this and its number, that of a table the table's number."""

STEP_BYTES = 64 << 10
"""So much of a table is read at a time: less than a millisecond."""


class Relation:
    """A table that is watched: who follows it, and its last deltas.

    Attributes:
        lsn: Of the last delta.
        since: All deltas after this lsn are kept.
    """

    def __init__(self, handle: TableHandle, lsn: int, options: Options) -> None:
        self.handle, self.lsn, self.since = handle, lsn, lsn
        self.outboxes: list[Outbox] = []
        self._options = options
        self._kept: deque[Chunk] = deque()
        self._bytes = 0

    def push(self, chunk: Chunk) -> bool:
        """Passes a delta on and keeps it. False: nobody follows, and one had to be dropped."""
        if chunk.lsn <= self.lsn:
            return True
        self.lsn = chunk.lsn
        self.outboxes = [outbox for outbox in self.outboxes if outbox.put(chunk)]
        if chunk.kind is ChunkKind.TOO_LARGE:
            self.forget(chunk.lsn)
            return bool(self.outboxes)
        self._kept.append(chunk)
        self._bytes += len(chunk.body)
        dropped = False
        while (
            len(self._kept) > self._options.delta_retention_commits_max
            or self._bytes > self._options.delta_retention_bytes_max
        ):
            oldest = self._kept.popleft()
            self._bytes -= len(oldest.body)
            self.since = oldest.lsn
            dropped = True
        return bool(self.outboxes) or not dropped

    def after(self, lsn: int) -> list[Chunk]:
        """The deltas kept after this lsn."""
        return [chunk for chunk in self._kept if chunk.lsn > lsn]

    def forget(self, lsn: int) -> None:
        """Drops the deltas kept: whoever knows the table as of before this lsn reads it anew."""
        self._kept.clear()
        self.lsn = self.since = max(self.lsn, lsn)
        self._bytes = 0

    def restart(self) -> None:
        """Whoever follows reads anew."""
        for outbox in self.outboxes:
            outbox.restart()
        self.outboxes = []


class Subscriptions:
    """All subscriptions of one database."""

    def __init__(self, kernel: Kernel, log: CommitLog, options: Options) -> None:
        self._kernel, self._log, self._options = kernel, log, options
        self._relations: dict[int, Relation] = {}
        self._walks: dict[int, tuple[Outbox, TableHandle]] = {}

    # ------------------------------------------------------------------ coming and going

    def resume(self, outbox: Outbox, handle: TableHandle, since: Position) -> None:
        """Lets a subscriber go on from a position, if what has changed since is known; else it
        needs a snapshot.

        Raises:
            RequestError: There is no such position yet.
        """
        self.take()
        incarnation, lsn = since
        known = self._kernel.lsn_cell.value
        if incarnation > self._log.incarnation or (
            incarnation == self._log.incarnation and lsn > known
        ):
            here = Position(self._log.incarnation, known)
            raise RequestError(f"there is no {since} yet; the last is {here}")
        if incarnation < self._log.incarnation:
            ended_at = self._log.ended_at(incarnation)
            if ended_at is None or lsn > ended_at:
                return  # that commit was lost, or nobody knows
        relation = self._watch(handle)
        if self._kernel.call["last_lsn"](handle.number) > lsn and relation.since > lsn:
            return
        outbox.begin_following(lsn)
        if all(outbox.put(chunk) for chunk in relation.after(lsn)):
            relation.outboxes.append(outbox)

    def begin_reading(self, outbox: Outbox, handle: TableHandle) -> bool:
        """Begins a snapshot. False: too many are being read, try again."""
        self._end_walk(outbox)
        walk = self._kernel.call["walk_open"](handle.number)
        if walk < 0:
            return False
        self._walks[walk] = (outbox, handle)
        outbox.begin_reading(walk)
        return True

    def read_on(self, outbox: Outbox) -> None:
        """Reads a page for a snapshot. After the last one the outbox follows the table."""
        walk = outbox.walk
        if outbox.phase is not Phase.READING or walk is None:
            return
        _, handle = self._walks[walk]
        end = self._kernel.call["walk_step"](walk, STEP_BYTES)
        if end < 0:
            raise KernelError(f"a snapshot could not be read on: the kernel answered {end}")
        self.take()
        if end and outbox.phase is Phase.READING:
            relation = self._watch(handle)
            self._kernel.call["walk_close"](walk)
            del self._walks[walk]
            outbox.begin_following(self._kernel.lsn_cell.value)
            relation.outboxes.append(outbox)

    def give_up(self, outbox: Outbox) -> None:
        """Ends the snapshot that is read for a subscriber, which begins anew."""
        self._end_walk(outbox)
        outbox.restart()

    def leave(self, outbox: Outbox) -> None:
        """Ends a subscription."""
        self._end_walk(outbox)
        for relation in self._relations.values():
            if outbox in relation.outboxes:
                relation.outboxes.remove(outbox)
        outbox.end(None)

    def _watch(self, handle: TableHandle) -> Relation:
        relation = self._relations.get(handle.number)
        if relation is None:
            lsn = self._kernel.call["last_lsn"](handle.number)
            relation = self._relations[handle.number] = Relation(handle, lsn, self._options)
            self._kernel.call["watch"](handle.number, 1)
        return relation

    def _end_walk(self, outbox: Outbox) -> None:
        walk, outbox.walk = outbox.walk, None
        if walk is not None and self._walks.pop(walk, None) is not None:
            self._kernel.call["walk_close"](walk)

    # ------------------------------------------------------------------ what has changed

    def take(self) -> None:
        """Passes on what the kernel has. Interrupted, it passes all of it on again, and whoever
        got a commit already does not take it twice.
        """
        kernel = self._kernel
        length = kernel.delta_len.value
        if length:
            data = bytes(kernel.delta[:length])
            at = 0
            while at < length:
                at = self._pass_on(data, at)
            kernel.delta_len.value = 0
        if kernel.delta_lost.value:
            self._restart_all()
            kernel.delta_lost.value = 0

    def _pass_on(self, data: bytes, at: int) -> int:
        kind, stream, lsn, previous, changes, length = _HEAD.unpack_from(data, at)
        start = at + _HEAD.size
        chunk = Chunk(ChunkKind(kind), lsn, previous, changes, data[start : start + length])
        if stream >= _WALKS:
            found = self._walks.get(stream - _WALKS)
            if found is not None and not found[0].put(chunk):
                self._end_walk(found[0])
        elif stream in self._relations and not self._relations[stream].push(chunk):
            del self._relations[stream]
            self._kernel.call["watch"](stream, 0)
        following: int = start + (length + 7) // 8 * 8
        return following

    def _restart_all(self) -> None:
        for relation in self._relations.values():
            relation.restart()
            relation.forget(self._kernel.lsn_cell.value)
        for outbox, _ in list(self._walks.values()):
            self._end_walk(outbox)
            outbox.restart()

    def follow_schema(self, catalog: Catalog) -> None:
        """After the schema has changed: whoever listens to a table that is gone is told, and to one
        with other columns reads it anew.
        """
        self.take()
        for number, relation in list(self._relations.items()):
            handle = catalog.by_number.get(number)
            if handle is None:
                del self._relations[number]
                self._end_all(relation.outboxes, _gone(relation.handle))
            elif _has_other_columns(handle, relation.handle):
                relation.restart()
                relation.forget(self._kernel.lsn_cell.value)
            if handle is not None:
                relation.handle = handle
        for outbox, handle in list(self._walks.values()):
            now = catalog.by_number.get(handle.number)
            if now is None or _has_other_columns(now, handle):
                self._end_walk(outbox)
                outbox.restart()

    def close(self, error: ReifyDBError) -> None:
        """The database closes: nothing comes any more."""
        for relation in self._relations.values():
            self._end_all(relation.outboxes, error)
        self._end_all([outbox for outbox, _ in self._walks.values()], error)
        self._relations.clear()
        self._walks.clear()

    @staticmethod
    def _end_all(outboxes: Iterable[Outbox], error: ReifyDBError) -> None:
        for outbox in outboxes:
            outbox.end(error)


def _has_other_columns(now: TableHandle, before: TableHandle) -> bool:
    """Also when a script dropped a column and added another one that looks the same."""
    return (now.table.columns, now.table.dropped) != (before.table.columns, before.table.dropped)


def _gone(handle: TableHandle) -> ReifyDBError:
    return SchemaError(f"table {handle.name} was dropped")
