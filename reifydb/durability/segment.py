"""A segment: a file of the log, its name and its header.

A segment is named after its first lsn. Its header repeats the name, says whose it is, which
incarnation wrote it, and holds the checksum of the seal before it: that joins the segments to one
chain, in which none can be missing, swapped or foreign. The header's own checksum is the chain's
value for the segment's first frame.
"""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass

from reifydb.durability.frame import CHECKSUM, seed_of
from reifydb.durability.identity import PLATE_BYTES, VERSION, check_plate, seal_plate
from reifydb.errors import LogDamagedError

MAGIC = b"REIFYLOG"
SUFFIX = ".seg"

_NAME = re.compile(r"([0-9a-f]{16})\.seg")
_HEADER = struct.Struct("<8sII16sQI16x")


@dataclass(frozen=True, slots=True)
class Segment:
    """The header of a segment. `chain` is the checksum of the seal before it, the seed at first."""

    incarnation: int
    first_lsn: int
    chain: int

    @property
    def name(self) -> str:
        """The name of its file."""
        return f"{self.first_lsn:016x}{SUFFIX}"


def encode(segment: Segment, uuid: bytes) -> tuple[bytes, int]:
    """The header's 64 bytes, and the chain's value for the first frame."""
    fields = _HEADER.pack(
        MAGIC, VERSION, segment.incarnation, uuid, segment.first_lsn, segment.chain
    )
    header = seal_plate(fields, seed_of(uuid))
    return header, start_of_chain(header)


def start_of_chain(header: bytes) -> int:
    """The chain's value for the first frame after this header."""
    chain: int = CHECKSUM.unpack_from(header, PLATE_BYTES - 4)[0]
    return chain


def decode(header: bytes, uuid: bytes, *, file: str, lsn: int) -> Segment:
    """Read and check a header. `lsn` is the last good one before it, for the message.

    Raises:
        LogDamagedError: It is damaged, of another database, or in a file of another name.
        FormatVersionError: It is of a newer version.
    """
    if header[:8] == MAGIC and len(header) >= PLATE_BYTES and header[16:32] != uuid:
        raise LogDamagedError("a segment of another database", file=file, offset=16, lsn=lsn)
    check_plate(header, MAGIC, seed_of(uuid), file=file, lsn=lsn)
    _, _, incarnation, _, first_lsn, chain = _HEADER.unpack_from(header)
    segment = Segment(incarnation, first_lsn, chain)
    if not file.endswith(segment.name):
        raise LogDamagedError(f"this is segment {segment.name}", file=file, offset=32, lsn=lsn)
    return segment


def first_lsn_of(name: str) -> int | None:
    """The first lsn that a file's name states; None when it is not a segment's name."""
    match = _NAME.fullmatch(name)
    return int(match[1], 16) if match else None
