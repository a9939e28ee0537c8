"""Admission: new requests are refused before any work is done for them, rather than served late.

What is looked at is how much waits, and how long it has waited lately. One late tick says nothing:
a schema was changed. Late ticks for a second say that more arrives than can be served, and then
everybody would wait ever longer (the idea is CoDel's, https://queue.acm.org/detail.cfm?id=2209336).
"""

from __future__ import annotations

from reifydb.config import queue_delay_ms_max, waiting_peers_max, waiting_requests_max
from reifydb.errors import OverloadedError, UnavailableError

LATE_S = 1.0
"""So long all ticks must have been late. One that was seen longer ago says nothing of now: who was
refused may try again."""


class Admission:
    """Whether one server can take on more.

    Attributes:
        refused: How often it could not.
    """

    def __init__(self) -> None:
        self.refused = 0
        self._late_since_s: float | None = None
        self._seen_s = 0.0

    def saw(self, now_s: float, delay_s: float) -> None:
        """A tick has ended so long after it was asked for."""
        self._seen_s = now_s
        if delay_s * 1000 <= queue_delay_ms_max:
            self._late_since_s = None
        elif self._late_since_s is None:
            self._late_since_s = now_s

    def may_refuse(self, requests: int, peers: int) -> bool:
        """Whether `check` has anything to look at. 0.1 µs."""
        return (
            self._late_since_s is not None
            or requests >= waiting_requests_max
            or peers >= waiting_peers_max
        )

    def check(self, now_s: float, requests: int, peers: int) -> None:
        """Refuses one more.

        Args:
            now_s: The event loop's time.
            requests: How many have arrived and not yet run.
            peers: How many wait for the disk.

        Raises:
            OverloadedError: Too many wait.
            UnavailableError: Those that were served last had waited too long.
        """
        if requests >= waiting_requests_max:
            self.refused += 1
            raise OverloadedError(f"{requests:,} requests wait already (waiting_requests_max)")
        if peers >= waiting_peers_max:
            self.refused += 1
            raise OverloadedError(f"{peers:,} wait for the disk already (waiting_peers_max)")
        late = self._late_since_s
        if late is not None and now_s - late >= LATE_S > now_s - self._seen_s:
            self.refused += 1
            raise UnavailableError(
                f"requests wait for more than {queue_delay_ms_max} ms (queue_delay_ms_max)",
                hint="try again in a second",
            )
