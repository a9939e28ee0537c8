"""Read the frames of one segment, in order, each checked before anything of it is believed.

The reader tells three things apart: a frame that joins the chain, the clean end of the file, and
anything else, a `BadFrame`. Whether a bad frame is a torn tail or damage is `recovery.py`'s
judgement; `frame_behind` gathers the evidence. Holds one frame and a buffer of 1 MiB in memory.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass

from reifydb.config import MIB, frame_bytes_max
from reifydb.durability.frame import (
    CHECKSUM,
    HEADER_BYTES,
    MAGIC,
    OVERHEAD_BYTES,
    SEAL_BODY,
    Frame,
    Kind,
    decode,
    seed_of,
)
from reifydb.durability.identity import PLATE_BYTES
from reifydb.durability.segment import Segment
from reifydb.durability.storage import File

_READ_BYTES = MIB


@dataclass(frozen=True, slots=True)
class BadFrame:
    """What is at `offset` is no frame that belongs there.

    Attributes:
        offset: Where it starts.
        reason: Why it was refused.
        may_be_torn: A write that a crash interrupted could have left this. False where the bytes
            are sound and contradict the log: no interrupted write does that.
    """

    offset: int
    reason: str
    may_be_torn: bool


class FrameReader:
    """Frames of one segment from its first on. Not for several threads."""

    def __init__(self, file: File, segment: Segment, uuid: bytes, chain: int) -> None:
        self.offset = PLATE_BYTES
        self.size = file.size()
        self.chain = chain
        self.next_lsn = segment.first_lsn
        self.sealed = False
        self.state_hash = bytes(16)
        self.commits = self.frames = 0
        self._file = file
        self._incarnation = segment.incarnation
        self._seed = seed_of(uuid)
        self._buffer, self._buffer_offset = b"", 0

    def next(self) -> tuple[Frame, bytes] | BadFrame | None:
        """The next frame and its body, or what is wrong with it, or None at the end.

        Raises:
            OSError: The system could not read.
        """
        left = self.size - self.offset
        if not left:
            return None
        if self.sealed:
            return BadFrame(self.offset, "there are bytes after the seal", False)
        if left < OVERHEAD_BYTES:
            return BadFrame(self.offset, "a frame is cut short", True)
        header = self._take(0, HEADER_BYTES)
        frame = decode(header, self._seed)
        if frame is None:
            return BadFrame(self.offset, "there is no frame", True)
        if problem := self._contradiction(frame):
            return BadFrame(self.offset, problem, False)
        # Checked before anything of that size is read: a length is only a claim.
        if left < OVERHEAD_BYTES + frame.body_bytes:
            return BadFrame(self.offset, "a frame is cut short", True)
        return self._body(frame, header)

    def _body(self, frame: Frame, header: bytes) -> tuple[Frame, bytes] | BadFrame:
        body = self._take(HEADER_BYTES, frame.body_bytes)
        checksum = zlib.crc32(body, zlib.crc32(header, self.chain))
        if CHECKSUM.pack(checksum) != self._take(HEADER_BYTES + frame.body_bytes, 4):
            return BadFrame(self.offset, "a frame's checksum is wrong", True)
        if frame.kind is Kind.SEAL:
            if SEAL_BODY.unpack(body) != (self.commits, self.frames, self.chain):
                return BadFrame(self.offset, "the seal counts other commits", False)
            self.sealed = True
        elif frame.kind is Kind.COMMITS:
            self.commits += frame.commits
            self.frames += 1
            self.state_hash = frame.state_hash
        self.chain = checksum
        self.next_lsn = frame.next_lsn
        self.offset += OVERHEAD_BYTES + frame.body_bytes
        return frame, body

    def _contradiction(self, frame: Frame) -> str:
        """Why this sound header cannot stand here; empty when it can."""
        if frame.incarnation != self._incarnation:
            return f"a frame of incarnation {frame.incarnation}"
        if frame.first_lsn != self.next_lsn:
            return f"a frame that starts with lsn {frame.first_lsn}"
        if frame.chain != self.chain:
            return "a frame that does not follow from the one before it"
        if frame.durable_lsn >= frame.first_lsn:
            return f"a frame that knows of lsn {frame.durable_lsn}"
        if frame.body_bytes > frame_bytes_max:
            return "a frame longer than the limit"
        if (frame.commits > 0) != (frame.kind is Kind.COMMITS):
            return f"a frame with {frame.commits} commits"
        wanted = {Kind.SEAL: SEAL_BODY.size, Kind.MARK: 0}.get(frame.kind, frame.body_bytes)
        return "" if frame.body_bytes == wanted else "a frame of a wrong length"

    def _take(self, start: int, length: int) -> bytes:
        """`length` bytes that start `start` after the current frame's first."""
        begin = self.offset + start - self._buffer_offset
        if begin + length > len(self._buffer):
            self._buffer_offset = self.offset + start
            self._buffer = self._file.read(self._buffer_offset, max(length, _READ_BYTES))
            begin = 0
        return self._buffer[begin : begin + length]


def frame_behind(
    file: File, segment: Segment, uuid: bytes, *, start: int, next_lsn: int
) -> int | None:
    """Where the first frame after `start` is that was written after a frame with `next_lsn`.

    Looks at every byte. A sound header is evidence enough, even if the body is not: only one frame
    is ever on its way to the disk, so the header of a later one says that the earlier was there.

    Args:
        file: The segment's file.
        segment: Its header.
        uuid: The database's.
        start: The first offset to look at.
        next_lsn: The lsn that the bad frame should have started with.
    """
    seed = seed_of(uuid)
    overlap = HEADER_BYTES - 1
    for offset in range(start, file.size(), _READ_BYTES):
        window = file.read(offset, _READ_BYTES + overlap)
        at = window.find(MAGIC)
        while at >= 0:
            frame = decode(window[at : at + HEADER_BYTES], seed)
            if frame and frame.incarnation == segment.incarnation and frame.first_lsn >= next_lsn:
                return offset + at
            at = window.find(MAGIC, at + 1)
    return None
