"""Who listens to what, and how the kernel's chunks reach them. Everything in a turn.

A table is watched from the first subscription on. Its last deltas are kept for subscribers that
come back; when nobody listens any more and these would have to be dropped, it is not watched any
longer. A select is there as long as somebody subscribes to it (followed.py).
"""

from __future__ import annotations

import struct
from collections import deque
from collections.abc import Iterable

from reifydb.config import Options
from reifydb.database.expressions import LIMIT_REACHED
from reifydb.database.followed import PRIVATE_TABLES, SELECTIONS, Followed, Selects
from reifydb.database.outbox import Chunk, ChunkKind, Outbox, Phase
from reifydb.database.positions import Position
from reifydb.database.sources import Source
from reifydb.database.tables import Catalog, TableHandle
from reifydb.durability.log import CommitLog
from reifydb.engine.kernel import Kernel
from reifydb.errors import KernelError, ReifyDBError, RequestError, SchemaError

_HEAD = struct.Struct("<IIQQII")
_WALKS = 1 << 31
"""The stream of a walk is this and its number, that of a table the table's number."""

_NO_RELATION = -10

STEP_BYTES = 64 << 10
"""So much of a table is read at a time: less than a millisecond."""


class Relation:
    """A table or a select that is watched: who follows it, and its last deltas.

    Attributes:
        lsn: Of the last delta.
        since: All deltas after this lsn are kept.
    """

    def __init__(self, source: Source, lsn: int, options: Options) -> None:
        self.handle, self.lsn, self.since = source.handle, lsn, lsn
        # There may be thousands of selections, each followed by one or two.
        self._keeps = source.stream < SELECTIONS
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
        if chunk.kind is ChunkKind.TOO_LARGE or not self._keeps:
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
    """All subscriptions of one database.

    Attributes:
        selects: The selects that are followed.
    """

    def __init__(self, kernel: Kernel, log: CommitLog, options: Options, selects: Selects) -> None:
        self._kernel, self._log, self._options, self.selects = kernel, log, options, selects
        self._relations: dict[int, Relation] = {}  # by stream
        self._following: dict[Outbox, Relation] = {}
        self._walks: dict[int, tuple[Outbox, Source]] = {}

    # ------------------------------------------------------------------ coming and going

    def resume(self, outbox: Outbox, source: Source, since: Position) -> None:
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
        relation = self._watch(source)
        if self._last_lsn(source) > lsn and relation.since > lsn:
            return
        outbox.begin_following(lsn)
        if all(outbox.put(chunk) for chunk in relation.after(lsn)):
            self._follow(outbox, relation)

    def begin_reading(self, outbox: Outbox, source: Source) -> bool:
        """Begins a snapshot. False: too many are being read, try again.

        Raises:
            ReifyDBError: Where a select's rows are cannot be computed.
        """
        self._end_walk(outbox)
        followed = source.followed
        if followed is None or followed.selection is None:
            walk = self._kernel.call["walk_open"](source.stream)
        else:
            walk = self._kernel.call["walk_selection"](followed.selection)
        if walk < 0:
            if followed is not None and walk != LIMIT_REACHED:
                if walk != _NO_RELATION:
                    raise followed.error(self.selects.present_fault(followed, walk))
                self._give_up(followed)  # it failed, and nobody was told: it is made anew
            return False
        self._walks[walk] = (outbox, source)
        outbox.begin_reading(walk)
        return True

    def read_on(self, outbox: Outbox) -> None:
        """Reads a page for a snapshot. After the last one the outbox follows the table."""
        walk = outbox.walk
        if outbox.phase is not Phase.READING or walk is None:
            return
        _, source = self._walks[walk]
        end = self._kernel.call["walk_step"](walk, STEP_BYTES)
        if end < 0:
            if source.followed is not None:
                raise source.followed.error(self.selects.present_fault(source.followed, end))
            raise KernelError(f"a snapshot could not be read on: the kernel answered {end}")
        self.take()
        if end and outbox.phase is Phase.READING:
            relation = self._watch(source)
            self._kernel.call["walk_close"](walk)
            del self._walks[walk]
            outbox.begin_following(self._kernel.lsn_cell.value)
            self._follow(outbox, relation)

    def give_up(self, outbox: Outbox) -> None:
        """Ends the snapshot that is read for a subscriber, which begins anew."""
        self._end_walk(outbox)
        outbox.restart()

    def leave(self, outbox: Outbox) -> None:
        """Ends a subscription."""
        self._end_walk(outbox)
        relation = self._following.pop(outbox, None)
        if relation is not None and outbox in relation.outboxes:
            relation.outboxes.remove(outbox)
        outbox.end(None)

    def _follow(self, outbox: Outbox, relation: Relation) -> None:
        relation.outboxes.append(outbox)
        self._following[outbox] = relation

    def _watch(self, source: Source) -> Relation:
        relation = self._relations.get(source.stream)
        if relation is None:
            lsn = self._last_lsn(source)
            relation = self._relations[source.stream] = Relation(source, lsn, self._options)
            if source.stream < SELECTIONS:  # else it is for what it is there
                self._kernel.call["watch"](source.stream, 1)
        return relation

    def _last_lsn(self, source: Source) -> int:
        """Of the last commit that can have changed something there."""
        base = source.handle.number if source.followed is None else source.followed.base
        lsn: int = self._kernel.call["last_lsn"](base)
        return lsn

    def forget_select(self, followed: Followed) -> None:
        """One of those who subscribe to a select has left."""
        if self.selects.leave(followed):  # else its stream may be another one's by now
            self._relations.pop(followed.stream, None)

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
        self.selects.sweep()
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
        if chunk.kind is ChunkKind.FAILED:
            self._fail(stream, chunk.body)
        elif stream >= _WALKS:
            found = self._walks.get(stream - _WALKS)
            if found is not None and not found[0].put(chunk):
                self._end_walk(found[0])
        else:
            self._push(stream, chunk)
        following: int = start + (length + 7) // 8 * 8
        return following

    def _push(self, stream: int, chunk: Chunk) -> None:
        relation = self._relations.get(stream)
        if relation is None or relation.push(chunk) or stream >= PRIVATE_TABLES:
            return
        del self._relations[stream]
        self._kernel.call["watch"](stream, 0)

    # ------------------------------------------------------------------ selects

    def _fail(self, stream: int, body: bytes) -> None:
        """The kernel has given a select up: whoever follows it is told why."""
        followed = self.selects.by_stream(stream)
        if followed is None:
            return
        error = followed.error(self.selects.fault_of(body))
        for outbox in self._detach(followed):
            outbox.end(error)
        self.selects.give_up(followed)

    def _give_up(self, followed: Followed) -> None:
        """A select is no longer there: whoever follows it begins anew."""
        for outbox in self._detach(followed):
            outbox.restart()
        self.selects.give_up(followed)

    def _detach(self, followed: Followed) -> list[Outbox]:
        """Those who follow a select or read its snapshot, who do not any more."""
        relation = self._relations.pop(followed.stream, None)
        found = [] if relation is None else list(relation.outboxes)
        for outbox, source in list(self._walks.values()):
            if source.followed is followed:
                self._end_walk(outbox)
                found.append(outbox)
        return found

    def before_schema(self, names: Iterable[str]) -> None:
        """Tables and views of these names are about to change: selects of them are read anew."""
        self.take()
        for followed in self.selects.touching(names):
            self._give_up(followed)

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
            if number >= PRIVATE_TABLES:
                continue
            handle = catalog.by_number.get(number)
            if handle is None:
                del self._relations[number]
                self._end_all(relation.outboxes, _gone(relation.handle))
            elif _has_other_columns(handle, relation.handle):
                relation.restart()
                relation.forget(self._kernel.lsn_cell.value)
            if handle is not None:
                relation.handle = handle
        for outbox, source in list(self._walks.values()):
            if source.followed is not None:
                continue
            now = catalog.by_number.get(source.stream)
            if now is None or _has_other_columns(now, source.handle):
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
