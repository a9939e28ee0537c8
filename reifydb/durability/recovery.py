"""What to believe of the files found at opening, and what to do about a torn tail.

The rule: what is recovered is a prefix of the commits that includes everything acknowledged as
durable; where that cannot be said, opening is refused with file, offset and lsn. Nothing is changed
before the whole log was read and believed.

A bad frame is a *torn tail* only if all of this holds: it is in the newest segment; no interrupted
write is needed to explain more than one frame (it is not longer than a frame may be); its bytes do
not contradict the log; no frame, mark or seal was written after it; no good frame states that it
was durable. Only one frame is ever on its way to the disk, so everything else is damage.
"""

from __future__ import annotations

import os
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from itertools import count

from reifydb.config import frame_bytes_max
from reifydb.durability import segment as segments
from reifydb.durability.appender import Appender, seal
from reifydb.durability.frame import OVERHEAD_BYTES, Kind, seed_of
from reifydb.durability.group import Group
from reifydb.durability.identity import PLATE_BYTES, Folder, Head, read_head
from reifydb.durability.reader import BadFrame, FrameReader, frame_behind
from reifydb.durability.segment import Segment
from reifydb.durability.storage import (
    TEMPORARY,
    File,
    Storage,
    create,
    make_folder,
    sync,
    write_all,
)
from reifydb.errors import LogDamagedError, StorageError


@dataclass(frozen=True, slots=True)
class Found:
    """A segment that was found."""

    path: str
    segment: Segment
    chain: int
    size: int


@dataclass(frozen=True, slots=True)
class Tail:
    """Where the newest segment that has commits ends, after it was read to its end.

    Attributes:
        found: The segment.
        offset: The end of its last good frame.
        size: The end of the file; beyond `offset` when the tail is torn.
        sealed: Its last frame is a seal.
    """

    found: Found
    offset: int
    size: int
    sealed: bool


class Recovery:
    """The log of one folder as it was found. One pass over the frames, then `repair`."""

    def __init__(self, storage: Storage, folder: Folder, uuid: bytes) -> None:
        """Survey the segments: their names, headers, and which is the newest.

        Raises:
            LogDamagedError: A segment is missing, foreign, swapped, or its header damaged.
            FormatVersionError: A file is of a newer version.
            OSError: The system could not read.
        """
        self._storage, self._folder, self._uuid = storage, folder, uuid
        self._found = self._survey()
        self._check_newest(read_head(storage, folder, uuid))
        self.incarnation = self._found[-1].segment.incarnation + 1 if self._found else 1
        self.last_lsn = 0
        self.quarantined: str | None = None
        self._chain = seed_of(uuid)
        self._state_hash = bytes(16)
        self._commits = self._frames = 0
        self._tail: Tail | None = None
        self._complete = False

    @property
    def starts(self) -> tuple[tuple[int, int], ...]:
        """Of each segment found, the incarnation that wrote it and its first lsn, in order."""
        return tuple((one.segment.incarnation, one.segment.first_lsn) for one in self._found)

    @property
    def torn_bytes(self) -> int:
        """Of the torn tail, known after `groups` was read to its end; 0 when there is none."""
        return self._tail.size - self._tail.offset if self._tail else 0

    def groups(self) -> Generator[Group, None, None]:
        """Every recovered group in order; one for each frame. Holds one frame in memory.

        Raises:
            LogDamagedError: The log cannot be believed.
            OSError: The system could not read.
        """
        for found in self._found:
            yield from self._read(found, newest=found is self._found[-1])
        self._complete = True

    def repair(self, segment_bytes_max: int) -> Appender:
        """Cut off a torn tail and seal what was found, so that a new segment can follow.

        After `groups` was read to its end. Safe to be interrupted at any point and done again.
        Returns an appender that goes on after the last recovered commit, not yet begun.

        Raises:
            SyncFailedError: A sync failed.
            OSError: The system refused.
        """
        if not self._complete:
            raise StorageError("the commit log was not read to its end")
        storage, folder = self._storage, self._folder
        if self._tail:
            self._mend(self._tail)
        make_folder(storage, folder.log)
        for name in storage.names(folder.log):
            if name.endswith(TEMPORARY):
                storage.remove(os.path.join(folder.log, name))
        return Appender(
            storage,
            folder,
            self._uuid,
            incarnation=self.incarnation,
            last_lsn=self.last_lsn,
            chain=self._chain,
            state_hash=self._state_hash,
            segment_bytes_max=segment_bytes_max,
        )

    # -------------------------------------------------------------- survey

    def _survey(self) -> list[Found]:
        try:
            names = self._storage.names(self._folder.log)
        except FileNotFoundError:
            return []
        found: list[Found] = []
        lsn = 0
        for name in sorted(name for name in names if name.endswith(segments.SUFFIX)):
            path = os.path.join(self._folder.log, name)
            if segments.first_lsn_of(name) is None:
                raise LogDamagedError("no segment has such a name", file=path, offset=0, lsn=lsn)
            file = self._storage.open_file(path)
            try:
                header, size = file.read(0, PLATE_BYTES), file.size()
            finally:
                file.close()
            segment = segments.decode(header, self._uuid, file=path, lsn=lsn)
            found.append(Found(path, segment, segments.start_of_chain(header), size))
            lsn = segment.first_lsn - 1
        return found

    def _check_newest(self, head: Head | None) -> None:
        """HEAD names the newest segment, but for a crash between making the segment and HEAD."""
        newest = self._found[-1] if self._found else None
        named = None
        if newest:
            named = Head(newest.segment.incarnation, newest.segment.first_lsn)
        if named == head:
            return
        if newest and named and newest.size == PLATE_BYTES:
            # Just made, no frame in it. It stands for HEAD's own, or follows it.
            before = self._found[-2].segment if len(self._found) > 1 else None
            known = {Head(before.incarnation, before.first_lsn) if before else None}
            if head and head.first_lsn == named.first_lsn and head.incarnation < named.incarnation:
                return
            if head in known:
                return
        wanted = f"the newest segment should start with lsn {head.first_lsn}" if head else "missing"
        last = newest.segment.first_lsn - 1 if newest else 0
        raise LogDamagedError(
            f"{wanted}, what was found does not fit it", file=self._folder.head, offset=0, lsn=last
        )

    # -------------------------------------------------------------- read

    def _read(self, found: Found, *, newest: bool) -> Iterator[Group]:
        segment = found.segment
        if segment.first_lsn != self.last_lsn + 1 or segment.chain != self._chain:
            raise LogDamagedError(
                "a segment before this one is missing",
                file=found.path,
                offset=32,
                lsn=self.last_lsn,
            )
        file = self._storage.open_file(found.path)
        try:
            reader = FrameReader(file, segment, self._uuid, found.chain)
            bad = None
            while item := reader.next():
                if isinstance(item, BadFrame):
                    bad = item
                    break
                frame, body = item
                if frame.kind is Kind.COMMITS:
                    yield Group(frame.first_lsn, frame.commits, body, frame.state_hash)
                self.last_lsn = frame.next_lsn - 1
            if bad and not (newest and self._is_torn(file, segment, bad)):
                raise self._damaged(found, bad.reason, bad.offset)
        finally:
            file.close()
        if not (newest or reader.sealed):
            raise self._damaged(found, "the segment has no seal", reader.offset)
        self._note_end(found, reader)

    def _is_torn(self, file: File, segment: Segment, bad: BadFrame) -> bool:
        size = file.size()
        if not bad.may_be_torn or size - bad.offset > OVERHEAD_BYTES + frame_bytes_max:
            return False
        behind = frame_behind(
            file, segment, self._uuid, start=bad.offset + 1, next_lsn=self.last_lsn + 1
        )
        # What good frames state as durable is before them, so before the bad one: the reader
        # refuses a frame that states more.
        return behind is None

    def _damaged(self, found: Found, reason: str, offset: int) -> LogDamagedError:
        return LogDamagedError(reason, file=found.path, offset=offset, lsn=self.last_lsn)

    def _note_end(self, found: Found, reader: FrameReader) -> None:
        if not reader.commits and reader.offset == PLATE_BYTES == reader.size:
            return  # An empty one: the next incarnation replaces it, the chain stays.
        self._tail = Tail(found, reader.offset, reader.size, reader.sealed)
        if reader.commits:
            self._chain, self._state_hash = reader.chain, reader.state_hash
            self._commits, self._frames = reader.commits, reader.frames

    # -------------------------------------------------------------- repair

    def _mend(self, tail: Tail) -> None:
        file = self._storage.open_file(tail.found.path)
        try:
            if tail.size > tail.offset:
                self._cut(file, tail)
            if not tail.sealed and tail.offset > PLATE_BYTES:
                self._seal(file, tail)
            # Whole frames may be in the system's cache only, when the process was killed.
            sync(file)
        finally:
            file.close()

    def _cut(self, file: File, tail: Tail) -> None:
        """Copy the torn tail to quarantine, then cut it off."""
        folder, segment = self._folder, tail.found.segment
        make_folder(self._storage, folder.quarantine)
        # A crash while the seal was written leaves a second tail at the same place.
        taken = set(self._storage.names(folder.quarantine))
        name = f"{segment.first_lsn:016x}-{segment.incarnation}-{tail.offset}"
        free = next(free for n in count(1) if (free := f"{name}-{n}.tail") not in taken)
        self.quarantined = os.path.join(folder.quarantine, free)
        create(self._storage, self.quarantined, file.read(tail.offset, tail.size - tail.offset))
        file.truncate(tail.offset)
        sync(file)

    def _seal(self, file: File, tail: Tail) -> None:
        data, self._chain = seal(
            tail.found.segment,
            self._uuid,
            next_lsn=self.last_lsn + 1,
            chain=self._chain,
            state_hash=self._state_hash,
            commits=self._commits,
            frames=self._frames,
        )
        write_all(file, tail.offset, data)
