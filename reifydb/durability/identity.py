"""IDENTITY and HEAD, the two small files beside the log, and where everything lies in the folder.

IDENTITY is written once, when the database is made: its uuid, so that segments of other databases
are told apart. HEAD names the newest segment and is replaced with each new one: without it, a
newest segment that went missing would look like a log that was closed before it.

Both are 64 bytes with a checksum of their own and are replaced by rename, so a crash leaves the old
or the new one. In all of our files the magic, the version and the checksum of the first 64 bytes
stay where they are, whatever later versions change: that is how a newer one is told from damage.
"""

from __future__ import annotations

import os
import struct
import uuid as uuids
import zlib
from dataclasses import dataclass

from reifydb.durability.storage import TEMPORARY, Storage, create
from reifydb.errors import FormatVersionError, LogDamagedError

VERSION = 1
"""Of the whole folder: IDENTITY, HEAD, segments."""

PLATE_BYTES = 64
"""IDENTITY, HEAD and the header of a segment have this size."""

_IDENTITY = struct.Struct("<8sII16s28x")
_HEAD = struct.Struct("<8sII16sQ20x")
_CHECKSUM = struct.Struct("<I")
_IDENTITY_MAGIC, _HEAD_MAGIC = b"REIFYDB\n", b"REIFYHED"


@dataclass(frozen=True, slots=True)
class Folder:
    """Where things lie in a database's folder."""

    root: str

    def _at(self, name: str) -> str:
        return os.path.join(self.root, name)

    @property
    def lock(self) -> str:
        """The lock file."""
        return self._at("LOCK")

    @property
    def identity(self) -> str:
        """Who this database is."""
        return self._at("IDENTITY")

    @property
    def head(self) -> str:
        """Which segment is the newest."""
        return self._at("HEAD")

    @property
    def log(self) -> str:
        """The folder of segments."""
        return self._at("log")

    @property
    def quarantine(self) -> str:
        """The folder of torn tails that were cut off."""
        return self._at("quarantine")

    @property
    def reserve(self) -> str:
        """Ballast, freed when the disk is full."""
        return self._at("RESERVE")


@dataclass(frozen=True, slots=True)
class Head:
    """The newest segment, by its first lsn and its incarnation."""

    incarnation: int
    first_lsn: int


def check_plate(data: bytes, magic: bytes, seed: int, *, file: str, lsn: int = 0) -> None:
    """Check the first 64 bytes of a file: length, checksum, magic, version.

    Raises:
        LogDamagedError: They are damaged, or of another kind of file.
        FormatVersionError: They are sound, and of a newer version.
    """
    if len(data) < PLATE_BYTES:
        raise LogDamagedError("the header is cut short", file=file, offset=len(data), lsn=lsn)
    if zlib.crc32(data[: PLATE_BYTES - 4], seed) != _CHECKSUM.unpack_from(data, PLATE_BYTES - 4)[0]:
        raise LogDamagedError("the header's checksum is wrong", file=file, offset=0, lsn=lsn)
    if data[:8] != magic:
        raise LogDamagedError("this is another kind of file", file=file, offset=0, lsn=lsn)
    check_version(data, file)


def check_version(data: bytes, file: str) -> None:
    """Refuse a file of a newer version.

    Raises:
        FormatVersionError: It is one.
    """
    version = int.from_bytes(data[8:12], "little")
    if version != VERSION:
        raise FormatVersionError(
            f"{file} has format version {version}, this ReifyDB reads {VERSION}",
            hint="open it with the ReifyDB that wrote it, or a newer one",
        )


def seal_plate(fields: bytes, seed: int = 0) -> bytes:
    """Append the checksum to the first 60 bytes of a plate."""
    return fields + _CHECKSUM.pack(zlib.crc32(fields, seed))


def read_identity(storage: Storage, folder: Folder) -> bytes | None:
    """The uuid of the database in a folder, None when there is no database in it yet.

    Raises:
        FormatVersionError: The folder belongs to something else, or to a newer ReifyDB.
        LogDamagedError: IDENTITY is damaged.
    """
    try:
        names = storage.names(folder.root)
    except FileNotFoundError:
        return None
    if "IDENTITY" not in names:
        # What a crash leaves of a database that was just being made.
        ours = {"LOCK", "IDENTITY" + TEMPORARY}
        if foreign := sorted(set(names) - ours):
            raise FormatVersionError(
                f"{folder.root} is not empty and not a ReifyDB database: it has {foreign[0]!r}",
                hint="open an empty or a new folder",
            )
        return None
    data = read_plate(storage, folder.identity)
    if data[:8] != _IDENTITY_MAGIC:
        raise FormatVersionError(f"{folder.identity} was not written by ReifyDB")
    check_plate(data, _IDENTITY_MAGIC, 0, file=folder.identity)
    uuid: bytes = _IDENTITY.unpack_from(data)[3]
    return uuid


def make_identity(storage: Storage, folder: Folder) -> bytes:
    """Write IDENTITY with a new uuid, the first file of a database; the uuid."""
    uuid = uuids.uuid4().bytes
    create(storage, folder.identity, seal_plate(_IDENTITY.pack(_IDENTITY_MAGIC, VERSION, 0, uuid)))
    return uuid


def read_head(storage: Storage, folder: Folder, uuid: bytes) -> Head | None:
    """HEAD, None when there is none.

    Raises:
        LogDamagedError: It is damaged, or of another database.
        FormatVersionError: It is of a newer version.
    """
    try:
        data = read_plate(storage, folder.head)
    except FileNotFoundError:
        return None
    check_plate(data, _HEAD_MAGIC, 0, file=folder.head)
    _, _, incarnation, owner, first_lsn = _HEAD.unpack_from(data)
    if owner != uuid:
        raise LogDamagedError("it belongs to another database", file=folder.head, offset=16, lsn=0)
    return Head(incarnation, first_lsn)


def write_head(storage: Storage, folder: Folder, uuid: bytes, head: Head) -> None:
    """Replace HEAD. Two syncs."""
    fields = _HEAD.pack(_HEAD_MAGIC, VERSION, head.incarnation, uuid, head.first_lsn)
    create(storage, folder.head, seal_plate(fields))


def read_plate(storage: Storage, path: str) -> bytes:
    """The first 64 bytes of a file."""
    file = storage.open_file(path)
    try:
        return file.read(0, PLATE_BYTES)
    finally:
        file.close()
