"""Compiled code on disk, so that opening a database does not wait for a compiler.

To load compiled code is to run it, so only what this user alone can have written is believed: the
folder must be theirs and closed to writers, each entry as well. Every entry carries a checksum of
itself and its key: a damaged, cut or renamed one is removed and counts as absent.

Nothing here ever fails: a cache that is refused, full or read-only is a cache without entries.
Processes share it without a lock, because entries are complete before they get their name. Windows
has none of what it takes to check a folder, and so no cache.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import secrets
import stat
import struct
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from reifydb.config import compile_cache_bytes_max

ENVIRONMENT = "REIFYDB_CACHE"
"""Names the folder. Empty: no cache."""

SUFFIX, UNFINISHED = ".code", ".new"
UNFINISHED_S_MAX = 3600
"""A file that never got its name is left over from a process that died, and removed after this."""

UNSEEN_SHARE = 64
"""So large a part of `bytes_max` one process may write before it looks at all entries again."""

_HEADER = struct.Struct("<8s32sQ")
_MAGIC = b"reifycc1"
_OTHERS_WRITE = stat.S_IWGRP | stat.S_IWOTH
_DIRECTORY = getattr(os, "O_DIRECTORY", 0)
_NO_LINK = getattr(os, "O_NOFOLLOW", 0)
_SUPPORTED = os.open in os.supports_dir_fd and hasattr(os, "geteuid")


class Cache:
    """Entries by key in one folder.

    Args:
        folder: Where; it is made when the first entry is put. None: no cache.
        bytes_max: When all entries together are larger, those unused for longest are removed. To
            look costs O(entries), so it is done with the first that is put, and then after each
            64th of this that was written.
    """

    def __init__(self, folder: Path | None, *, bytes_max: int = compile_cache_bytes_max) -> None:
        self.folder, self.bytes_max = folder, bytes_max
        self._unseen_bytes = bytes_max  # written since it was pruned; other processes prune as well

    def get(self, key: str) -> bytes | None:
        """The bytes that were put under `key`, None when there are none to be trusted."""
        with contextlib.suppress(OSError), self._opened() as folder:
            return self._read(folder, key)
        return None

    def put(self, key: str, content: bytes) -> None:
        """Keeps `content` under `key`, if it can."""
        if len(content) + _HEADER.size > self.bytes_max:
            return
        with contextlib.suppress(OSError):
            self._make()
            with self._opened() as folder:
                self._write(folder, key, content)
                self._unseen_bytes += len(content) + _HEADER.size
                if self._unseen_bytes >= self.bytes_max // UNSEEN_SHARE:
                    self._unseen_bytes = 0
                    self._prune(folder)

    def cached(self, key: str, make: Callable[[], bytes]) -> bytes:
        """What is kept under `key`; else what `make` returns, kept from now on."""
        content = self.get(key)
        if content is None:
            content = make()
            self.put(key, content)
        return content

    def remove(self, key: str) -> None:
        """Forgets an entry, for instance one that the engine refused."""
        with contextlib.suppress(OSError), self._opened() as folder:
            os.unlink(_entry(key), dir_fd=folder)

    def refused(self) -> str | None:
        """Why the folder is not used; None when it is, or will be made."""
        try:
            with self._opened():
                return None
        except FileNotFoundError:
            return None if self.folder is not None and _SUPPORTED else "there is no folder for it"
        except OSError as error:
            return error.strerror or str(error)

    # -------------------------------------------------------------- the folder

    def _make(self) -> None:
        """Makes the folder, for this user alone whatever the umask is."""
        if self.folder is not None and _SUPPORTED:
            self.folder.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            with contextlib.suppress(FileExistsError):
                os.mkdir(self.folder, 0o700)

    @contextlib.contextmanager
    def _opened(self) -> Iterator[int]:
        """The folder as a descriptor: what was checked is what is used, whoever renames what."""
        if self.folder is None or not _SUPPORTED:
            raise FileNotFoundError
        descriptor = os.open(self.folder, os.O_RDONLY | _DIRECTORY)
        try:
            _check_private(os.fstat(descriptor), f"{self.folder}")
            yield descriptor
        finally:
            os.close(descriptor)

    # -------------------------------------------------------------- entries

    def _read(self, folder: int, key: str) -> bytes | None:
        name = _entry(key)
        descriptor = os.open(name, os.O_RDONLY | _NO_LINK, dir_fd=folder)
        with open(descriptor, "rb") as file:
            found = os.fstat(descriptor)
            try:
                _check_private(found, name)
                whole = stat.S_ISREG(found.st_mode) and found.st_size <= self.bytes_max
                content = _unpacked(key, file.read(self.bytes_max + 1)) if whole else None
            except PermissionError:
                content = None
            with contextlib.suppress(OSError):  # a read-only folder is one to read from
                if content is None:
                    os.unlink(name, dir_fd=folder)
                else:
                    os.utime(descriptor)
        return content

    def _write(self, folder: int, key: str, content: bytes) -> None:
        unfinished = f"{secrets.token_hex(16)}{UNFINISHED}"
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | _NO_LINK
        descriptor = os.open(unfinished, flags, 0o600, dir_fd=folder)
        try:
            with open(descriptor, "wb") as file:
                file.write(_packed(key, content))
            os.replace(unfinished, _entry(key), src_dir_fd=folder, dst_dir_fd=folder)
        except OSError:
            with contextlib.suppress(OSError):
                os.unlink(unfinished, dir_fd=folder)
            raise

    def _prune(self, folder: int) -> None:
        """Removes the entries unused for longest; O(entries)."""
        entries, total, now = [], 0, time.time()
        for name in os.listdir(folder):
            try:
                found = os.stat(name, dir_fd=folder, follow_symlinks=False)
                if name.endswith(UNFINISHED) and now - found.st_mtime > UNFINISHED_S_MAX:
                    os.unlink(name, dir_fd=folder)
            except FileNotFoundError:
                continue
            if name.endswith(SUFFIX):
                entries.append((found.st_mtime_ns, name, found.st_size))
                total += found.st_size
        for _, name, size in sorted(entries):
            if total <= self.bytes_max:
                break
            with contextlib.suppress(FileNotFoundError):
                os.unlink(name, dir_fd=folder)
            total -= size


def default_folder() -> Path | None:
    """`$REIFYDB_CACHE`, else `reifydb` in the user's cache folder; None when there is neither."""
    named = os.environ.get(ENVIRONMENT)
    if named is not None:
        return Path(named).absolute() if named else None
    home = os.path.expanduser("~")
    standard = "Library/Caches" if sys.platform == "darwin" else ".cache"
    named = os.environ.get("XDG_CACHE_HOME", "")
    base = Path(named) if os.path.isabs(named) else Path(home, standard)
    return base / "reifydb" if base.is_absolute() else None


def default_cache() -> Cache:
    """The cache in the default folder."""
    return Cache(default_folder())


def content_key(configuration: str, *parts: str | bytes) -> str:
    """The key of what is made from `parts` under a configuration.

    Args:
        configuration: From `configuration.configuration_key()`.
        parts: The source, and whatever else decides what is made of it.
    """
    digest = hashlib.sha256()
    for part in (configuration, *parts):
        data = part.encode() if isinstance(part, str) else part
        digest.update(struct.pack("<Q", len(data)) + data)
    return digest.hexdigest()


def _entry(key: str) -> str:
    """The file's name: a digest, so that a key may have any characters."""
    return hashlib.sha256(key.encode()).hexdigest() + SUFFIX


def _packed(key: str, content: bytes) -> bytes:
    return _HEADER.pack(_MAGIC, _checksum(key, content), len(content)) + content


def _unpacked(key: str, data: bytes) -> bytes | None:
    if len(data) < _HEADER.size:
        return None
    magic, checksum, length = _HEADER.unpack_from(data)
    content = data[_HEADER.size :]
    intact = magic == _MAGIC and length == len(content) and checksum == _checksum(key, content)
    return content if intact else None


def _checksum(key: str, content: bytes) -> bytes:
    return hashlib.sha256(hashlib.sha256(key.encode()).digest() + content).digest()


def _check_private(found: os.stat_result, what: str) -> None:
    """Raises PermissionError unless this user owns it and nobody else can write to it."""
    if found.st_uid != os.geteuid():
        raise PermissionError(1, f"{what} belongs to another user")
    if found.st_mode & _OTHERS_WRITE:
        raise PermissionError(1, f"{what} can be written to by others")
