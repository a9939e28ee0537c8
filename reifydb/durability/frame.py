"""One frame of the commit log: what is written and synced at once.

A frame states where it belongs: its database (the checksum of its header is seeded with the uuid),
its incarnation, its place in the chain (`chain` is the checksum of the frame before it, and the
seed of its own) and its first lsn. So a frame cannot be read in another place than its own, and
rows that happen to hold bytes of a log cannot pass for frames.

`docs/formats.md` draws it byte by byte. Reading and judging is `reader.py`'s job.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum

MAGIC = b"\xf5RF\x9d"
"""Not valid UTF-8 at any place, so a scan over texts finds none."""

HEADER = struct.Struct("<4sIIIQQII16sI")
HEADER_BYTES = 64
OVERHEAD_BYTES = HEADER_BYTES + 4
CHECKSUM = struct.Struct("<I")
SEAL_BODY = struct.Struct("<QII")


class Kind(IntEnum):
    """What a frame is for."""

    COMMITS = 1
    """Consecutive commits: their redo records."""
    MARK = 2
    """Everything before it is durable. Tells rot in the last commits from a torn tail."""
    SEAL = 3
    """The end of a segment. Its body counts the segment's commits and frames."""


@dataclass(frozen=True, slots=True)
class Frame:
    """A frame without its body. `chain` is the checksum of the frame before it."""

    kind: Kind
    body_bytes: int
    commits: int
    first_lsn: int
    durable_lsn: int
    incarnation: int
    chain: int
    state_hash: bytes

    @property
    def next_lsn(self) -> int:
        """The lsn that follows this frame's commits."""
        return self.first_lsn + self.commits


def seed_of(uuid: bytes) -> int:
    """What the headers' checksums of a database are seeded with."""
    return zlib.crc32(uuid)


def encode(frame: Frame, body: bytes, seed: int) -> tuple[bytes, bytes, int]:
    """Header, trailer and the checksum of a frame; the body goes between them uncopied.

    O(body): the checksum runs at some 2.5 GB/s and releases the GIL.
    """
    fields = HEADER.pack(
        MAGIC,
        frame.kind,
        frame.body_bytes,
        frame.commits,
        frame.first_lsn,
        frame.durable_lsn,
        frame.incarnation,
        frame.chain,
        frame.state_hash,
        0,
    )
    header = fields + CHECKSUM.pack(zlib.crc32(fields, seed))
    checksum = zlib.crc32(body, zlib.crc32(header, frame.chain))
    return header, CHECKSUM.pack(checksum), checksum


def decode(header: bytes, seed: int) -> Frame | None:
    """The frame whose header these 64 bytes are; None when they are not one."""
    if header[:4] != MAGIC or len(header) < HEADER_BYTES:
        return None
    if zlib.crc32(header[: HEADER_BYTES - 4], seed) != CHECKSUM.unpack_from(header, 60)[0]:
        return None
    _, kind, length, commits, first, durable, incarnation, chain, state_hash, reserved = (
        HEADER.unpack_from(header)
    )
    if kind not in _KINDS or reserved:
        return None
    return Frame(Kind(kind), length, commits, first, durable, incarnation, chain, state_hash)


def body_of(records: Sequence[bytes]) -> bytes:
    """The body of a frame of several groups: their records one after the other."""
    return records[0] if len(records) == 1 else b"".join(records)


_KINDS = frozenset(int(kind) for kind in Kind)
assert HEADER.size == HEADER_BYTES - 4
