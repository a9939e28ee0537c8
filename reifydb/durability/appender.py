"""Write frames at the end of the log: one at a time, each synced before the next is begun.

No thread, no queue, no clock: `writer.py` brings those. All the rules of writing are here:

- A frame is written, then synced; only then are its commits durable.
- A segment that has grown to its limit is sealed and synced before the next one is made; the next
  one is there with its header and named by HEAD before its first frame is written.
- A write that fails for want of space is taken back (`NoSpaceError`) and may be tried again. After
  a failed sync (`SyncFailedError`) nothing may: the appender is to be thrown away.
- A mark is written after a pause and need not be synced. As long as it is not, the next frame is
  written over it: so never two frames are on their way to the disk.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from reifydb.durability import segment as segments
from reifydb.durability.frame import (
    OVERHEAD_BYTES,
    SEAL_BODY,
    Frame,
    Kind,
    body_of,
    encode,
    seed_of,
)
from reifydb.durability.group import Group
from reifydb.durability.identity import PLATE_BYTES, Folder, Head, write_head
from reifydb.durability.segment import Segment
from reifydb.durability.storage import (
    NO_SPACE,
    File,
    Storage,
    SyncFailedError,
    create,
    sync,
    write_all,
)


class NoSpaceError(OSError):
    """There was no space, and everything is as before. Worth another try."""


class Appender:
    """The end of the log. Not for several threads.

    Attributes:
        last_lsn: Of the last durable commit.
        marked: "no" since the last commits, "written" or "synced": the state of the mark.
    """

    def __init__(
        self,
        storage: Storage,
        folder: Folder,
        uuid: bytes,
        *,
        incarnation: int,
        last_lsn: int,
        chain: int,
        state_hash: bytes,
        segment_bytes_max: int,
    ) -> None:
        self.last_lsn = last_lsn
        self.marked = "synced"
        self._segment_bytes_max = segment_bytes_max
        self._storage, self._folder, self._uuid = storage, folder, uuid
        self._seed = seed_of(uuid)
        self._incarnation = incarnation
        self._chain = chain
        self._state_hash = state_hash
        self._segment: Segment | None = None
        self._file: File | None = None
        self._offset = self._commits = self._frames = self._mark_chain = 0

    def begin(self) -> None:
        """Make the next segment and name it in HEAD. Four syncs.

        Runs before the first commit of an incarnation becomes visible: an incarnation that left no
        trace on the disk would be given out twice, and its positions with it.

        Raises:
            NoSpaceError: There is no space; may be called again.
            SyncFailedError: A sync failed.
            OSError: The system refused.
        """
        segment = Segment(self._incarnation, self.last_lsn + 1, self._chain)
        header, chain = segments.encode(segment, self._uuid)
        path = f"{self._folder.log}/{segment.name}"
        head = Head(self._incarnation, segment.first_lsn)

        def make() -> File:
            create(self._storage, path, header)
            write_head(self._storage, self._folder, self._uuid, head)
            return self._storage.open_file(path)

        self._file = _for_want_of_space(make)
        self._segment, self._chain, self._offset = segment, chain, PLATE_BYTES
        self._commits = self._frames = 0

    def append(self, groups: Sequence[Group]) -> None:
        """Write groups as one frame and sync. They are durable when this returns.

        O(bytes) and one sync; a rotation adds five.

        Raises:
            NoSpaceError: There is no space; nothing was appended, may be called again.
            SyncFailedError: A sync failed.
            OSError: The system refused.
        """
        if self._segment is None or (self._commits and self._offset >= self._segment_bytes_max):
            self.seal()
            self.begin()
        body = body_of([group.records for group in groups])
        last = groups[-1]
        commits = last.last_lsn - self.last_lsn
        frame = self._frame(Kind.COMMITS, len(body), commits, last.state_hash)
        self._chain = self._put(frame, body)
        self._offset += OVERHEAD_BYTES + len(body)
        self._state_hash = last.state_hash
        self.last_lsn = last.last_lsn
        self._commits += commits
        self._frames += 1
        self.marked = "no"

    def mark(self) -> None:
        """Write a mark, unsynced. For want of space, none is written."""
        assert self._file is not None
        frame = self._frame(Kind.MARK, 0, 0, self._state_hash)
        header, trailer, self._mark_chain = encode(frame, b"", self._seed)
        try:
            write_all(self._file, self._offset, header, trailer)
        except OSError as error:
            if error.errno not in NO_SPACE:
                raise
            self._take_back()
            self.marked = "synced"
        else:
            self.marked = "written"

    def sync_mark(self) -> None:
        """Sync the mark that was written: it stays for good."""
        assert self._file is not None
        sync(self._file)
        self.marked = "synced"
        self._chain = self._mark_chain
        self._offset += OVERHEAD_BYTES

    def seal(self) -> None:
        """Seal the segment and sync. One without commits is left as it is: the next replaces it.

        Raises:
            NoSpaceError: There is no space; may be called again.
            SyncFailedError: The sync failed.
            OSError: The system refused.
        """
        if self._segment is None or self._file is None:
            return
        if self._commits:
            frame = self._frame(Kind.SEAL, SEAL_BODY.size, 0, self._state_hash)
            body = SEAL_BODY.pack(self._commits, self._frames, self._chain)
            self._chain = self._put(frame, body)
        self.close()

    def close(self) -> None:
        """Close the file, without a sync."""
        if self._file is not None:
            self._file.close()
        self._file = self._segment = None

    def _frame(self, kind: Kind, body_bytes: int, commits: int, state_hash: bytes) -> Frame:
        return Frame(
            kind,
            body_bytes,
            commits,
            self.last_lsn + 1,
            self.last_lsn,
            self._incarnation,
            self._chain,
            state_hash,
        )

    def _put(self, frame: Frame, body: bytes) -> int:
        """Write a frame at the end and sync; its checksum."""
        assert self._file is not None
        header, trailer, checksum = encode(frame, body, self._seed)
        try:
            write_all(self._file, self._offset, header, body, trailer)
        except OSError as error:
            if error.errno not in NO_SPACE:
                raise
            self._take_back()
            raise NoSpaceError(error.errno, error.strerror) from error
        sync(self._file)
        return checksum

    def _take_back(self) -> None:
        """Cut off what a failed write left. Not synced: the next try writes the same bytes."""
        assert self._file is not None
        self._file.truncate(self._offset)
        if self.marked == "written":
            self.marked = "no"


def seal(
    segment: Segment,
    uuid: bytes,
    *,
    next_lsn: int,
    chain: int,
    state_hash: bytes,
    commits: int,
    frames: int,
) -> tuple[bytes, int]:
    """The seal of a segment that another incarnation left open, and its checksum."""
    body = SEAL_BODY.pack(commits, frames, chain)
    frame = Frame(
        Kind.SEAL, len(body), 0, next_lsn, next_lsn - 1, segment.incarnation, chain, state_hash
    )
    header, trailer, checksum = encode(frame, body, seed_of(uuid))
    return header + body + trailer, checksum


def _for_want_of_space(make: Callable[[], File]) -> File:
    try:
        return make()
    except SyncFailedError:
        raise
    except OSError as error:
        if error.errno not in NO_SPACE:
            raise
        raise NoSpaceError(error.errno, error.strerror) from error
