"""The seam to the disk: every file operation of the commit log goes through a `Storage`.

`FileStorage` is the operating system; `simulated.py` is its twin that forgets what was not synced.
The seam is as thin as POSIX, so that what POSIX leaves open (short writes, names that vanish) can
be simulated; the careful sequences (`write_all`, `create`) are built on it and shared by both.

What is assumed of a disk: a write destroys no byte outside of its own range ("powersafe
overwrite"). Within its range anything may be found after a crash, until it was synced.
"""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Callable, Sequence
from typing import Protocol

from reifydb.durability.lock import FileLock, Lock
from reifydb.errors import StorageError

NO_SPACE = frozenset({errno.ENOSPC, errno.EDQUOT})
"""Errors of a write that pass when somebody makes room. From a sync they mean data was lost."""

TEMPORARY = ".tmp"
"""Ends the names of files that are being created. Found at the next opening, they are removed."""


class SyncFailedError(OSError):
    """A sync failed. What it should have kept may be lost, and a second sync would not say so."""


class File(Protocol):
    """An open file. Errors are `OSError`."""

    def size(self) -> int:
        """Length in bytes."""

    def read(self, offset: int, length: int) -> bytes:
        """At most `length` bytes from `offset`; fewer at the end of the file only."""

    def write(self, offset: int, buffers: Sequence[memoryview]) -> int:
        """Write the buffers one after the other; the number of bytes that were written."""

    def truncate(self, length: int) -> None:
        """Cut the file to `length` bytes."""

    def allocate(self, length: int) -> None:
        """Claim space on the disk for `length` bytes."""

    def sync(self) -> None:
        """Return when everything written is on the disk, with what it takes to read it back."""

    def close(self) -> None:
        """Close, without a sync."""


class Storage(Protocol):
    """Files and folders. Paths are strings; errors are `OSError`."""

    def names(self, path: str) -> list[str]:
        """What is in a folder, in no order."""

    def make_folder(self, path: str) -> None:
        """Make one folder."""

    def open_file(self, path: str, *, create: bool = False) -> File:
        """Open for reading and writing; `create` makes an empty one where there is none."""

    def rename(self, old: str, new: str) -> None:
        """Give a file another name in the same folder, in place of a file that has it."""

    def remove(self, path: str) -> None:
        """Remove a file's name."""

    def sync_folder(self, path: str) -> None:
        """Return when the names in a folder are on the disk."""

    def lock(self, path: str) -> Lock:
        """Take the lock file at `path`, making it if need be. `LockedError` when it is taken."""


# ------------------------------------------------------------------ sequences


def write_all(file: File, offset: int, *buffers: bytes) -> None:
    """Write all of the buffers: a short write raises nothing, so what is left is written again.

    Raises:
        OSError: What the system said; part of the data may have been written.
    """
    views = [memoryview(buffer) for buffer in buffers if buffer]
    while views:
        written = file.write(offset, views)
        if written <= 0:
            raise OSError(errno.EIO, "the disk accepts no data and does not say why")
        offset += written
        while views and written >= len(views[0]):
            written -= len(views.pop(0))
        if written:
            views[0] = views[0][written:]


def sync(file: File) -> None:
    """Sync a file. An error is final: the file must not be synced again.

    Raises:
        SyncFailedError: The sync failed.
    """
    _final(file.sync)


def sync_folder(storage: Storage, path: str) -> None:
    """Sync a folder's names; the same rule as for files.

    Raises:
        SyncFailedError: The sync failed.
    """
    _final(lambda: storage.sync_folder(path))


def _final(action: Callable[[], None]) -> None:
    try:
        action()
    except OSError as error:
        raise SyncFailedError(error.errno, error.strerror) from error


def create(storage: Storage, path: str, *buffers: bytes) -> None:
    """Make a file that is there with all of its bytes, or not at all, whenever a crash comes.

    A file that had the name is replaced. Two syncs.

    Raises:
        SyncFailedError: A sync failed.
        OSError: Something else failed; the name is as it was.
    """
    unfinished = path + TEMPORARY
    file = storage.open_file(unfinished, create=True)
    try:
        file.truncate(0)
        write_all(file, 0, *buffers)
        sync(file)
    finally:
        file.close()
    storage.rename(unfinished, path)
    sync_folder(storage, os.path.dirname(path))


def make_folder(storage: Storage, path: str) -> None:
    """Make a folder if it is missing, and sync its name.

    Synced although it is there: a process that was killed may have made it and got no further.
    """
    with contextlib.suppress(FileExistsError):
        storage.make_folder(path)
    sync_folder(storage, os.path.dirname(path))


def make_folders(storage: Storage, path: str) -> None:
    """Make a folder and those above it that are missing, and sync their names.

    Folders that were there and that we may not open are left to those who may.
    """
    parent = os.path.dirname(path)
    if parent == path:
        return
    try:
        storage.make_folder(path)
    except FileNotFoundError:
        make_folders(storage, parent)
        make_folder(storage, path)
        return
    except FileExistsError:
        with contextlib.suppress(OSError):
            storage.sync_folder(parent)
    else:
        sync_folder(storage, parent)
    make_folders(storage, parent)


# ------------------------------------------------------------------ the operating system


class FileStorage:
    """The files of the operating system: Linux and macOS.

    Files are readable by their owner only, and are not inherited by programs that are started.
    """

    def __init__(self) -> None:
        if os.name != "posix":
            raise StorageError(
                "databases in files need Linux or macOS", hint='":memory:" works everywhere'
            )

    def names(self, path: str) -> list[str]:
        """See `Storage`."""
        return os.listdir(path)

    def make_folder(self, path: str) -> None:
        """See `Storage`."""
        os.mkdir(path, 0o700)

    def open_file(self, path: str, *, create: bool = False) -> SystemFile:
        """See `Storage`."""
        flags = os.O_RDWR | os.O_CLOEXEC | (os.O_CREAT if create else 0)
        return SystemFile(os.open(path, flags, 0o600))

    def rename(self, old: str, new: str) -> None:
        """See `Storage`."""
        os.rename(old, new)

    def remove(self, path: str) -> None:
        """See `Storage`."""
        os.unlink(path)

    def sync_folder(self, path: str) -> None:
        """See `Storage`."""
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def lock(self, path: str) -> Lock:
        """See `Storage`."""
        return FileLock(path)


class SystemFile:
    """A file descriptor."""

    __slots__ = ("_descriptor",)

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def size(self) -> int:
        """See `File`."""
        return os.fstat(self._descriptor).st_size

    def read(self, offset: int, length: int) -> bytes:
        """See `File`."""
        data = os.pread(self._descriptor, length, offset)
        if len(data) == length or not data:
            return data
        parts, got = [data], len(data)
        while got < length and (data := os.pread(self._descriptor, length - got, offset + got)):
            parts.append(data)
            got += len(data)
        return b"".join(parts)

    def write(self, offset: int, buffers: Sequence[memoryview]) -> int:
        """See `File`. Releases the GIL."""
        return os.pwritev(self._descriptor, buffers, offset)

    def truncate(self, length: int) -> None:
        """See `File`."""
        os.ftruncate(self._descriptor, length)

    def allocate(self, length: int) -> None:
        """See `File`. Where the system cannot claim space (macOS), zeros are written."""
        if hasattr(os, "posix_fallocate"):
            os.posix_fallocate(self._descriptor, 0, length)
            return
        zeros = bytes(1 << 20)
        for offset in range(0, length, len(zeros)):
            write_all(self, offset, zeros[: length - offset])

    def sync(self) -> None:
        """See `File`. Releases the GIL."""
        _sync_descriptor(self._descriptor)

    def close(self) -> None:
        """See `File`. Twice is fine."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


def _choose_sync() -> Callable[[int], None]:
    # On macOS fsync leaves the data in the disk's cache; F_FULLFSYNC empties that one too.
    import fcntl

    full_sync = getattr(fcntl, "F_FULLFSYNC", None)
    if full_sync is not None:

        def sync_fully(descriptor: int) -> None:
            fcntl.fcntl(descriptor, full_sync)

        return sync_fully
    # fdatasync keeps the length too; it leaves out the times, which costs a journal entry.
    return getattr(os, "fdatasync", os.fsync)


_sync_descriptor: Callable[[int], None] = _choose_sync() if os.name == "posix" else os.fsync
