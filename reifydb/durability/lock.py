"""The lock file: one process has a database open.

The lock is `flock`'s, which the system gives up when its holder dies, so a stale one cannot be left
behind. The number in the file is for people and for the message of who came second; nothing depends
on it. The file is never removed: two processes could then hold locks on two files of one name.
"""

from __future__ import annotations

import errno
import os
from typing import Protocol

from reifydb.errors import LockedError


class Lock(Protocol):
    """A lock that is held."""

    def release(self) -> None:
        """Give it up. Twice is fine."""

    def abandon(self) -> None:
        """Forget it in a forked child: the parent keeps it."""


class FileLock:
    """`flock` on a file that holds the process number of its holder.

    Raises:
        LockedError: Another process (or another handle in this one) holds it.
    """

    __slots__ = ("_descriptor",)

    def __init__(self, path: str) -> None:
        import fcntl

        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                if error.errno not in (errno.EAGAIN, errno.EACCES):
                    raise
                raise LockedError(path, _holder(descriptor)) from None
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, b"%d\n" % os.getpid(), 0)
        except BaseException:
            os.close(descriptor)
            raise
        self._descriptor = descriptor

    def release(self) -> None:
        """See `Lock`. Unlocks even if a forked child still has the descriptor."""
        import fcntl

        if self._descriptor >= 0:
            os.ftruncate(self._descriptor, 0)
            fcntl.flock(self._descriptor, fcntl.LOCK_UN)
            self.abandon()

    def abandon(self) -> None:
        """See `Lock`. The lock goes when the last descriptor of it is closed."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


def _holder(descriptor: int) -> int:
    """The number in the file, 0 while there is none: its holder is just about to write it."""
    digits = os.pread(descriptor, 32, 0).strip()
    return int(digits) if digits.isdigit() else 0
