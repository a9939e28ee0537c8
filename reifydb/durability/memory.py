"""The log of a database that keeps nothing: what is committed counts as durable at once."""

from __future__ import annotations

import uuid as uuids
from collections.abc import Callable, Iterator

from reifydb.durability.ages import Pace
from reifydb.durability.group import Group, Lag
from reifydb.errors import ClosedError, WaitTimeoutError


class MemoryLog:
    """A `CommitLog` without a disk. Costs nothing, never lags."""

    def __init__(self) -> None:
        self.incarnation = 1
        self.uuid = uuids.uuid4().bytes
        self.lsn = 0
        self.pace = Pace()  # nothing ever waits
        self._open = False

    @property
    def durable_lsn(self) -> int:
        """See `CommitLog`: always that of the last commit."""
        return self.lsn

    def ended_at(self, incarnation: int) -> int | None:
        """See `CommitLog`: there is one incarnation only."""
        del incarnation
        return None

    def replay(self) -> Iterator[Group]:
        """See `CommitLog`: nothing."""
        return iter(())

    def start(self) -> None:
        """See `CommitLog`."""
        self._open = True

    def append(self, group: Group) -> None:
        """See `CommitLog`."""
        self._check()
        assert group.first_lsn == self.lsn + 1, "lsns are dense"
        self.lsn = group.last_lsn

    def fetch_from(self, source: Callable[[], None]) -> None:
        """See `CommitLog`: there is no thread that would fetch."""

    def expect(self) -> None:
        """See `CommitLog`."""

    def admit(self) -> None:
        """See `CommitLog`."""
        self._check()

    def check(self) -> None:
        """See `CommitLog`."""
        self._check()

    def listen(self, listener: Callable[[], None] | None) -> None:
        """See `CommitLog`: everything is durable at once, and nobody has to be told."""

    def behind(self) -> bool:
        """See `CommitLog`: never."""
        return False

    def wait_durable(self, lsn: int, timeout_s: float | None) -> None:
        """See `CommitLog`. A commit that is not there is not waited for."""
        del timeout_s
        if lsn > self.lsn:
            self._check()
            raise WaitTimeoutError(f"there is no lsn {lsn}, the last is {self.lsn}")

    def flush(self) -> None:
        """See `CommitLog`."""
        self._check()

    def lag(self) -> Lag:
        """See `CommitLog`."""
        return Lag(0, 0, 0.0)

    def close(self) -> None:
        """See `CommitLog`."""
        self._open = False

    def _check(self) -> None:
        if not self._open:
            raise ClosedError("the database is closed")
