"""How far long work has come: a view that is filled, an index that is built.

The kernel counts rows in a cell of its memory and knows no clock; while somebody wants to be told,
a thread looks at it now and then. Without a listener nothing of this runs.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

from reifydb.engine.kernel import Kernel

INTERVAL_S = 0.1
"""How often a listener is told."""


class Progress(NamedTuple):
    """How far it has come.

    Attributes:
        what: `view total`, `index by_name`, `foreign keys of table post`.
        rows: Rows that have been gone through.
        of: How many there are; of a view of several parts those of the part that is being filled.
    """

    what: str
    rows: int
    of: int


Listener = Callable[[Progress], object]


class Reporter:
    """Tells one listener. In a turn, but for its thread.

    Attributes:
        listener: Whom; None: nobody. It is called in a thread of its own while work goes on, and at
            the end of each part of it. What it raises is raised when that ends, and undoes it.
    """

    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel
        self.listener: Listener | None = None

    @contextmanager
    def told(self, listener: Listener | None) -> Iterator[None]:
        """Has a listener told in the block."""
        before, self.listener = self.listener, listener
        try:
            yield
        finally:
            self.listener = before

    @contextmanager
    def doing(self, what: str) -> Iterator[None]:
        """Tells of the work in the block, and at its end that it is done."""
        listener = self.listener
        if listener is None:
            yield
            return
        rows, of = self._kernel.progress_rows, self._kernel.progress_of
        rows.value = of.value = 0
        failed: list[BaseException] = []
        done = threading.Event()

        def watch() -> None:
            while not done.wait(INTERVAL_S):
                try:
                    listener(Progress(what, rows.value, of.value))
                except BaseException as error:
                    failed.append(error)
                    return

        thread = threading.Thread(target=watch, name="reifydb progress", daemon=True)
        thread.start()
        try:
            yield
        finally:
            done.set()
            thread.join()
        if failed:
            raise failed[0]
        listener(Progress(what, of.value, of.value))
