"""Files that forget what was not synced: the simulated twin of `FileStorage`.

Everything is in memory. What was written is volatile until its file is synced, a name is volatile
until its folder is; `after_crash` draws what a power cut leaves: of each unsynced write any of its
sectors, whole, in part or as garbage, and of the unsynced names any subset, renames being atomic.
`after_kill` is the death of the process alone: the system still has everything, and still
volatile. Deterministic: the same calls and seeds give the same bytes.

Every operation that changes something is a *step*, counted from 1. A crash can be planned for a
step, an error for the nth operation of a kind, and a sync can be left out, which is how the tests
are tested.
"""

from __future__ import annotations

import errno
import os
import random
import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from reifydb.errors import LockedError

SECTOR_BYTES = 512


class SimulatedCrash(BaseException):
    """The power is gone. Not an `Exception`: nobody handles it."""


@dataclass(slots=True)
class _Inode:
    durable: bytes = b""
    volatile: bytearray = field(default_factory=bytearray)
    pending: list[tuple[int, bytes | None]] = field(default_factory=list)
    claimed: int = 0

    def power_cut(self, dice: random.Random) -> _Inode:
        disk = bytearray(self.durable)
        mood = dice.random()
        for offset, data in self.pending:
            if data is None:
                if mood < 0.8 and (mood < 0.2 or dice.random() < 0.5):
                    del disk[offset:]
            elif mood < 0.2:
                _put(disk, offset, data)
            elif mood < 0.8:
                _tear(disk, offset, data, dice)
        if mood < 0.8 and len(disk) < len(self.volatile) and dice.random() < 0.3:
            disk.extend(bytes(len(self.volatile) - len(disk)))
        return _Inode(bytes(disk), disk)


def _put(disk: bytearray, offset: int, data: bytes) -> None:
    if len(disk) < offset:
        disk.extend(bytes(offset - len(disk)))
    disk[offset : offset + len(data)] = data


def _tear(disk: bytearray, offset: int, data: bytes, dice: random.Random) -> None:
    """Write a random part of the sectors that `data` touches; no byte outside of its range."""
    at = 0
    while at < len(data):
        end = min(len(data), at + SECTOR_BYTES - (offset + at) % SECTOR_BYTES)
        piece, fate = data[at:end], dice.randrange(8)
        if fate < 4:
            _put(disk, offset + at, piece)
        elif fate == 4:
            _put(disk, offset + at, dice.randbytes(len(piece)))
        elif fate == 5:
            cut = dice.randrange(len(piece))
            _put(disk, offset + at, piece[:cut] + dice.randbytes(len(piece) - cut))
        elif fate == 6 and offset + at >= len(disk):
            _put(disk, offset + at, bytes(len(piece)))
        at = end


_Entries = dict[str, "_Inode | _Folder"]
_Change = tuple[str, str, "_Inode | _Folder | None"]


@dataclass(slots=True)
class _Folder:
    durable: _Entries = field(default_factory=dict)
    volatile: _Entries = field(default_factory=dict)
    pending: list[_Change] = field(default_factory=list)

    def apply(self, change: _Change) -> None:
        _apply(self.volatile, change)
        self.pending.append(change)

    def power_cut(self, dice: random.Random) -> _Folder:
        entries = dict(self.durable)
        mood = dice.random()
        for change in self.pending:
            if mood < 0.3 or (mood < 0.7 and dice.random() < 0.5):
                _apply(entries, change)
        kept: _Entries = {name: entry.power_cut(dice) for name, entry in sorted(entries.items())}
        return _Folder(dict(kept), kept)


def _apply(entries: _Entries, change: _Change) -> None:
    old, new, entry = change
    if entry is not None:
        if old:
            entries.pop(old, None)
        entries[new] = entry
    else:
        entries.pop(old, None)


class SimulatedStorage:
    """A disk in memory. Safe from several threads.

    Args:
        crash_at: The power goes before this step; 0: never.
        leave_out: Syncs, counted from 1, that do nothing although they say so.
        faults: (kind, n) → errno: the nth operation of this kind fails. Kinds are write, sync,
            read, open, rename, remove, truncate, folder, allocate. Only half of a failing write,
            or of one whose fault is 0, is written: 0 is a short write and no error.
        space_bytes: How large the disk is; None: large enough.
    """

    def __init__(
        self,
        *,
        crash_at: int = 0,
        leave_out: Iterable[int] = (),
        faults: dict[tuple[str, int], int] | None = None,
        space_bytes: int | None = None,
    ) -> None:
        self.crash_at = crash_at
        self.leave_out = frozenset(leave_out)
        self.faults = faults or {}
        self.space_bytes = space_bytes
        self.before: Callable[[str, str], None] | None = None
        self.steps = 0
        self.syncs: list[str] = []
        self.counts: dict[str, int] = {}
        self._root = _Folder()
        self._locked: set[str] = set()
        self._dead = False
        self._mutex = threading.RLock()

    # -------------------------------------------------------------- what a crash leaves

    def after_crash(self, seed: int) -> SimulatedStorage:
        """The disk as the next process finds it when the power went now."""
        storage = SimulatedStorage()
        storage._root = self._root.power_cut(random.Random(seed))
        return storage

    def after_kill(self) -> SimulatedStorage:
        """The disk as the next process finds it when this one was killed now."""
        storage = SimulatedStorage()
        storage._root = _copy(self._root)
        return storage

    def read_image(self, path: str) -> bytes:
        """A file's bytes, as a process sees them."""
        return bytes(self._file(path).volatile)

    def write_image(self, path: str, data: bytes | None) -> None:
        """Put a durable file in place, or take it away: for tests that damage things."""
        folder, name = self._folder(os.path.dirname(path)), os.path.basename(path)
        for entries in (folder.volatile, folder.durable):
            if data is None:
                entries.pop(name, None)
            else:
                entries[name] = _Inode(data, bytearray(data))

    # -------------------------------------------------------------- Storage

    def names(self, path: str) -> list[str]:
        """See `Storage`."""
        with self._mutex:
            self._check_power()
            return list(self._folder(path).volatile)

    def make_folder(self, path: str) -> None:
        """See `Storage`."""
        with self.step("folder", path):
            folder, name = self._folder(os.path.dirname(path)), os.path.basename(path)
            if name in folder.volatile:
                raise FileExistsError(errno.EEXIST, path)
            folder.apply(("", name, _Folder()))

    def open_file(self, path: str, *, create: bool = False) -> SimulatedFile:
        """See `Storage`."""
        with self._mutex:
            self._check_power()
            folder, name = self._folder(os.path.dirname(path)), os.path.basename(path)
            inode = folder.volatile.get(name)
            if inode is None:
                if not create:
                    raise FileNotFoundError(errno.ENOENT, path)
                with self.step("open", path):
                    inode = _Inode()
                    folder.apply(("", name, inode))
            assert isinstance(inode, _Inode)
            return SimulatedFile(self, inode, path)

    def rename(self, old: str, new: str) -> None:
        """See `Storage`."""
        with self.step("rename", new):
            folder = self._folder(os.path.dirname(old))
            old, new = os.path.basename(old), os.path.basename(new)
            folder.apply((old, new, folder.volatile[old]))

    def remove(self, path: str) -> None:
        """See `Storage`."""
        with self.step("remove", path):
            folder, name = self._folder(os.path.dirname(path)), os.path.basename(path)
            if name not in folder.volatile:
                raise FileNotFoundError(errno.ENOENT, path)
            folder.apply((name, "", None))

    def sync_folder(self, path: str) -> None:
        """See `Storage`."""
        with self.step("sync", path):
            folder = self._folder(path)
            if self.keeps():
                folder.durable, folder.pending = dict(folder.volatile), []

    def lock(self, path: str) -> SimulatedLock:
        """See `Storage`. The number of the holder is not known."""
        self.open_file(path, create=True)
        with self._mutex:
            if path in self._locked:
                raise LockedError(path, 0)
            self._locked.add(path)
            return SimulatedLock(self._locked, path)

    # -------------------------------------------------------------- steps

    def step(self, kind: str, path: str) -> _Step:
        """One operation that changes something: `with` runs it, unless the power goes first."""
        if self.before:
            self.before(kind, path)
        return _Step(self, kind, path)

    def enter(self, kind: str, path: str) -> None:
        """Count a step; fail it if that is planned."""
        self._mutex.acquire()
        try:
            self._check_power()
            self.steps += 1
            count = self.counts[kind] = self.counts.get(kind, 0) + 1
            if kind == "sync":
                self.syncs.append(path)
            if self.steps == self.crash_at:
                self._dead = True
                raise SimulatedCrash
            code = self.faults.get((kind, count))
            if code and kind != "write":
                raise OSError(code, os.strerror(code), path)
        except BaseException:
            self._mutex.release()
            raise

    def leave(self) -> None:
        """The step is done."""
        self._mutex.release()

    def room(self, wanted: int) -> int:
        """How many of the bytes that a write or a claim wants the disk still has."""
        if self.space_bytes is None:
            return wanted
        return max(0, min(wanted, self.space_bytes - self.used_bytes))

    @property
    def used_bytes(self) -> int:
        """The bytes that files have or claim."""
        return _size(self._root)

    def keeps(self) -> bool:
        """Whether the sync that is under way is not left out."""
        return len(self.syncs) not in self.leave_out

    def _check_power(self) -> None:
        if self._dead:
            raise SimulatedCrash

    def _folder(self, path: str) -> _Folder:
        entry: _Inode | _Folder = self._root
        for name in path.strip("/").split("/") if path.strip("/") else []:
            if not isinstance(entry, _Folder):
                raise NotADirectoryError(errno.ENOTDIR, path)
            if name not in entry.volatile:
                raise FileNotFoundError(errno.ENOENT, path)
            entry = entry.volatile[name]
        if not isinstance(entry, _Folder):
            raise NotADirectoryError(errno.ENOTDIR, path)
        return entry

    def _file(self, path: str) -> _Inode:
        entry = self._folder(os.path.dirname(path)).volatile[os.path.basename(path)]
        assert isinstance(entry, _Inode)
        return entry


@dataclass(frozen=True, slots=True)
class _Step:
    storage: SimulatedStorage
    kind: str
    path: str

    def __enter__(self) -> None:
        self.storage.enter(self.kind, self.path)

    def __exit__(self, *_: object) -> None:
        self.storage.leave()


@dataclass(frozen=True, slots=True)
class SimulatedLock:
    """A lock that is gone with its process."""

    held: set[str]
    path: str

    def release(self) -> None:
        """See `Lock`."""
        self.held.discard(self.path)

    def abandon(self) -> None:
        """See `Lock`."""


@dataclass(frozen=True, slots=True)
class SimulatedFile:
    """An open file of a `SimulatedStorage`."""

    storage: SimulatedStorage
    inode: _Inode
    path: str

    def size(self) -> int:
        """See `File`."""
        return len(self.inode.volatile)

    def read(self, offset: int, length: int) -> bytes:
        """See `File`."""
        return bytes(memoryview(self.inode.volatile)[offset : offset + length])

    def write(self, offset: int, buffers: Sequence[memoryview]) -> int:
        """See `File`."""
        with self.storage.step("write", self.path):
            data = b"".join(buffers)
            code = self.storage.faults.get(("write", self.storage.counts["write"]))
            grows = max(0, offset + len(data) - max(len(self.inode.volatile), self.inode.claimed))
            missing = grows - self.storage.room(grows)
            kept = data[: len(data) // 2] if code is not None else data[: len(data) - missing]
            if kept:
                _put(self.inode.volatile, offset, kept)
                self.inode.pending.append((offset, kept))
            if code or (missing and not kept):
                raise OSError(code or errno.ENOSPC, os.strerror(code or errno.ENOSPC), self.path)
            return len(kept)

    def truncate(self, length: int) -> None:
        """See `File`."""
        with self.storage.step("truncate", self.path):
            del self.inode.volatile[length:]
            self.inode.pending.append((length, None))

    def allocate(self, length: int) -> None:
        """See `File`."""
        with self.storage.step("allocate", self.path):
            missing = length - max(len(self.inode.volatile), self.inode.claimed)
            if self.storage.room(missing) < missing:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), self.path)
            self.inode.claimed = length

    def sync(self) -> None:
        """See `File`."""
        with self.storage.step("sync", self.path):
            if self.storage.keeps():
                self.inode.durable, self.inode.pending = bytes(self.inode.volatile), []

    def close(self) -> None:
        """See `File`."""


def _size(folder: _Folder) -> int:
    return sum(
        _size(entry) if isinstance(entry, _Folder) else max(len(entry.volatile), entry.claimed)
        for entry in folder.volatile.values()
    )


def _copy(folder: _Folder) -> _Folder:
    """A copy with its pending changes, which share inodes with the folders as before."""
    import copy

    return copy.deepcopy(folder)
