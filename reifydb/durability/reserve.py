"""RESERVE: ballast on the disk, freed when the disk is full so that what waits can be written."""

from __future__ import annotations

from reifydb.durability.identity import Folder
from reifydb.durability.storage import NO_SPACE, Storage


class Reserve:
    """The ballast file of one folder."""

    def __init__(self, storage: Storage, folder: Folder, reserve_bytes: int) -> None:
        self._storage, self._path, self._bytes = storage, folder.reserve, reserve_bytes

    def make(self) -> bool:
        """Make it if it is not there. False when there is no space for it.

        Not synced: it need not survive.

        Raises:
            OSError: The system refused for another reason.
        """
        if not self._bytes:
            return True
        try:
            file = self._storage.open_file(self._path, create=True)
            try:
                if file.size() < self._bytes:
                    file.allocate(self._bytes)
            finally:
                file.close()
        except OSError as error:
            if error.errno not in NO_SPACE:
                raise
            return False
        return True

    def free(self) -> None:
        """Give its space to the disk."""
        try:
            self._storage.remove(self._path)
        except FileNotFoundError:
            return
