"""How long things took: counted by bounds, so that it costs the same however many there were."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence

BOUNDS_S = (
    *(0.001, 0.002, 0.003, 0.004, 0.005, 0.006, 0.008, 0.01, 0.012, 0.014, 0.016, 0.02),
    *(0.025, 0.03, 0.04, 0.05, 0.075, 0.1, 0.25, 0.5, 1.0),
)
"""Close to each other around `durability_lag_ms_max`: the question is on which side of it they
are."""


class Ages:
    """Written by one thread, read by any.

    Attributes:
        bounds: Upper ones, in seconds.
        counts: How often what was seen lay below each bound, and not below the one before it; last,
            above all.
        sum: Of all that was seen, in seconds.
    """

    __slots__ = ("bounds", "counts", "sum")

    def __init__(self, bounds: Sequence[float] = BOUNDS_S) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.sum = 0.0

    def observe(self, seconds: float) -> None:
        """Counts one. 0.3 µs."""
        self.counts[bisect_left(self.bounds, seconds)] += 1
        self.sum += seconds


class Pace:
    """How a log keeps up.

    Attributes:
        lags: How long the oldest commit of each flush was visible before it was durable.
        flushes: How long each flush took: writing, the disk, and the thread's way back.
    """

    __slots__ = ("flushes", "lags")

    def __init__(self) -> None:
        self.lags, self.flushes = Ages(), Ages()
