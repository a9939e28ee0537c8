"""Which schema there is: a number that grows with every change of it, and the right to rely on it.

A thread that needs the schema to stay as it is for more than one turn keeps it, as the gateway does
from when it reads a row until it has said by which columns; changes wait meanwhile.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from reifydb.errors import BusyError


class SchemaTurn:
    """The schema's lock, which is taken before a turn, never within one.

    Attributes:
        number: Of the schema; another one may be the same schema again.
    """

    def __init__(self, wait_ms_max: float) -> None:
        self.number = 0
        self._wait_s_max = wait_ms_max / 1000
        self._lock = threading.Lock()

    def is_still(self, number: int) -> bool:
        """Whether the schema has this number. In a turn, and until that ends: whoever is about to
        change it has the lock already and waits for a turn.
        """
        return self.number == number and not self._lock.locked()

    @contextmanager
    def changing(self) -> Iterator[None]:
        """The schema changes in the block, or not. Waits without end, for Ctrl-C must not come
        between taking the lock and knowing so.
        """
        with self._lock:
            try:
                yield
            finally:
                self.number += 1

    @contextmanager
    def kept(self) -> Iterator[None]:
        """The schema does not change in the block. 0.5 µs.

        Raises:
            BusyError: Another thread kept it, or changed it, for longer than `engine_wait_ms_max`.
        """
        if not self._lock.acquire(timeout=self._wait_s_max):
            raise BusyError(
                f"the schema was being changed for {self._wait_s_max:g} s (engine_wait_ms_max)",
                hint="an index over many rows is being built",
            )
        try:
            yield
        finally:
            self._lock.release()
