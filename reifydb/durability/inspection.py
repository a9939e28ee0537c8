"""What is in a database's folder: read only, without the lock, whoever has it open meanwhile.

For people and tools that want to know what a log holds before anything is opened: opening begins an
incarnation and cuts off a torn tail. Whether the log can be believed is what recovery.py says, in a
second pass, so that there is one judgement; the counts are of the frames that can be read.

A writer may be at work. What it has just begun looks like a torn tail then: `in_use` says that
somebody is likely to be there. And a segment may come between two looks, which then seem to
contradict each other: what is damaged is still so when one looks again.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Sequence
from dataclasses import dataclass

from reifydb.durability import segment as segments
from reifydb.durability.frame import Kind
from reifydb.durability.identity import (
    PLATE_BYTES,
    VERSION,
    Folder,
    Head,
    read_head,
    read_identity,
)
from reifydb.durability.lock import Lock
from reifydb.durability.reader import BadFrame, FrameReader
from reifydb.durability.recovery import Recovery
from reifydb.durability.storage import FileStorage, SystemFile
from reifydb.errors import FormatVersionError, LogDamagedError, RequestError

LOOKS_MAX = 3
"""How often a log that somebody writes is read before it is called damaged."""

SURVEYS_MAX = 30
"""… and how often its segments are listed: when one is made meanwhile, the list does not fit what
HEAD says."""


@dataclass(frozen=True, slots=True)
class SegmentFacts:
    """What one segment holds.

    Attributes:
        last_lsn: Of its last good frame; `first_lsn` - 1 when it has no commits.
        durable_lsn: The highest that a frame states as durable; of a sealed segment its last lsn.
        marks: Frames that only state that all before them is durable.
        sealed: It ends with a seal.
        unread_bytes: Behind the last good frame.
        problem: Why reading ended before the end of the file; empty when it did not.
    """

    file: str
    bytes: int
    incarnation: int
    first_lsn: int
    last_lsn: int
    commits: int
    frames: int
    marks: int
    durable_lsn: int
    sealed: bool
    unread_bytes: int
    problem: str


@dataclass(frozen=True, slots=True)
class Incarnation:
    """An opening for writing, and its commits; `last_lsn` < `first_lsn`: it made none."""

    number: int
    first_lsn: int
    last_lsn: int


@dataclass(frozen=True, slots=True)
class FolderFacts:
    """What a folder holds.

    Attributes:
        in_use: Number of a process that seems to have it open; None: none does.
        head: What HEAD says is the newest segment.
        torn_bytes: Of a torn tail that the next opening will move to quarantine; 0: there is none.
        damage: Why the log cannot be believed; empty: it can.
        quarantine: Torn tails that were cut off before, by name and size.
    """

    path: str
    uuid: bytes
    version: int
    in_use: int | None
    head: Head | None
    segments: tuple[SegmentFacts, ...]
    incarnations: tuple[Incarnation, ...]
    first_lsn: int
    last_lsn: int
    durable_lsn: int
    torn_bytes: int
    damage: str
    quarantine: tuple[tuple[str, int], ...]
    reserve_bytes: int


def inspect_folder(path: str) -> FolderFacts:
    """Reads a database's folder. O(log), twice; one frame in memory. At most `LOOKS_MAX` times that
    where somebody writes.

    Raises:
        RequestError: There is no database.
        FormatVersionError: It is of a newer version, or the folder something else's.
        LogDamagedError: IDENTITY is damaged: nothing can be read without it.
        OSError: The system could not read.
    """
    storage, folder = _ReadOnly(), Folder(os.path.abspath(path))
    uuid = read_identity(storage, folder)
    if uuid is None:
        raise RequestError(f"there is no database in {path}")
    for _ in range(LOOKS_MAX):
        in_use = _holder(folder)
        found = _segments(storage, folder, uuid)
        surveys = 1 if in_use is None else SURVEYS_MAX
        damage, torn = _judged(storage, folder, uuid, surveys)
        if not damage or in_use is None:
            break
    head = None
    with contextlib.suppress(LogDamagedError, FormatVersionError):  # the judgement names it
        head = read_head(storage, folder, uuid)
    return FolderFacts(
        path=path,
        uuid=uuid,
        version=VERSION,
        in_use=in_use,
        head=head,
        segments=found,
        incarnations=_incarnations(found),
        first_lsn=found[0].first_lsn if found and found[-1].last_lsn else 0,
        last_lsn=max((one.last_lsn for one in found), default=0),
        durable_lsn=max((one.durable_lsn for one in found), default=0),
        torn_bytes=torn,
        damage=damage,
        quarantine=_sizes(storage, folder.quarantine),
        reserve_bytes=_size(folder.reserve),
    )


class _ReadOnly(FileStorage):
    """Files that cannot be changed: what would do so is refused by the system."""

    def open_file(self, path: str, *, create: bool = False) -> SystemFile:
        """See `Storage`."""
        assert not create
        return SystemFile(os.open(path, os.O_RDONLY | os.O_CLOEXEC))

    def lock(self, path: str) -> Lock:
        """See `Storage`; nobody is kept out."""
        del path
        raise AssertionError("who only looks takes no lock")


def _segments(storage: FileStorage, folder: Folder, uuid: bytes) -> tuple[SegmentFacts, ...]:
    names = sorted(
        name for name, _ in _sizes(storage, folder.log) if name.endswith(segments.SUFFIX)
    )
    found = (_segment(storage, os.path.join(folder.log, name), uuid) for name in names)
    return tuple(facts for facts in found if facts is not None)


def _segment(storage: FileStorage, path: str, uuid: bytes) -> SegmentFacts | None:
    """What is in a segment; None when it has gone since, or its header says nothing."""
    try:
        file = storage.open_file(path)
    except FileNotFoundError:
        return None
    try:
        header = file.read(0, PLATE_BYTES)
        try:
            segment = segments.decode(header, uuid, file=path, lsn=0)
        except (LogDamagedError, FormatVersionError):
            return None  # the judgement names it
        reader = FrameReader(file, segment, uuid, segments.start_of_chain(header))
        marks, durable, problem = 0, segment.first_lsn - 1, ""
        while item := reader.next():
            if isinstance(item, BadFrame):
                problem = item.reason
                break
            frame, _ = item
            marks += frame.kind is Kind.MARK
            durable = max(durable, frame.durable_lsn)
    finally:
        file.close()
    return SegmentFacts(
        file=os.path.basename(path),
        bytes=reader.size,
        incarnation=segment.incarnation,
        first_lsn=segment.first_lsn,
        last_lsn=reader.next_lsn - 1,
        commits=reader.commits,
        frames=reader.frames,
        marks=marks,
        durable_lsn=durable,
        sealed=reader.sealed,
        unread_bytes=reader.size - reader.offset,
        problem=problem,
    )


def _judged(storage: FileStorage, folder: Folder, uuid: bytes, surveys: int) -> tuple[str, int]:
    """Why the log cannot be believed, if so, and how many bytes of a torn tail it has."""
    try:
        recovery = _surveyed(storage, folder, uuid, surveys)
        for _ in recovery.groups():
            pass
    except (LogDamagedError, FormatVersionError) as error:
        return str(error), 0
    except FileNotFoundError as error:
        return f"{error.filename} went away while it was read", 0
    return "", recovery.torn_bytes


def _surveyed(storage: FileStorage, folder: Folder, uuid: bytes, surveys: int) -> Recovery:
    for _ in range(surveys - 1):
        with contextlib.suppress(LogDamagedError, FileNotFoundError):
            return Recovery(storage, folder, uuid)
    return Recovery(storage, folder, uuid)


def _incarnations(found: Sequence[SegmentFacts]) -> tuple[Incarnation, ...]:
    made: dict[int, Incarnation] = {}
    for one in found:
        first = made[one.incarnation].first_lsn if one.incarnation in made else one.first_lsn
        made[one.incarnation] = Incarnation(one.incarnation, first, one.last_lsn)
    return tuple(made.values())


def _holder(folder: Folder) -> int | None:
    """Who says in the lock file that it has the folder, if such a process lives. The lock itself is
    not tried: whoever opens the database at that moment would be refused.
    """
    try:
        with open(folder.lock, "rb") as file:
            digits = file.read(32).strip()
    except FileNotFoundError:
        return None
    if not digits.isdigit():
        return None
    try:
        os.kill(int(digits), 0)
    except (ProcessLookupError, OverflowError):
        return None
    except PermissionError:
        pass
    return int(digits)


def _sizes(storage: FileStorage, path: str) -> tuple[tuple[str, int], ...]:
    try:
        names = sorted(storage.names(path))
    except FileNotFoundError:
        return ()
    return tuple((name, _size(os.path.join(path, name))) for name in names)


def _size(path: str) -> int:
    try:
        return os.stat(path).st_size
    except FileNotFoundError:
        return 0
