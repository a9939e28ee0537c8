"""How far durability lags behind, as the server counts it (`reifydb_durable_after_seconds`)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from urllib.request import urlopen

from bench.measure import Result

NAMES = {"lag": "reifydb_durable_after_seconds", "flush": "reifydb_flush_seconds"}
"""The histograms that are looked at."""

Buckets = Mapping[float, float]
"""How many were seen below each bound, in seconds."""


def counted(address: str) -> dict[str, Buckets]:
    """What the server has counted since it was started."""
    with urlopen(f"http://{address}/metrics") as answer:
        text = answer.read().decode()
    return {
        short: {
            float(bound): float(count)
            for bound, count in re.findall(rf'{name}_bucket\{{le="([^"]+)"\}} (\S+)', text)
        }
        for short, name in NAMES.items()
    }


def between(before: Mapping[str, Buckets], after: Mapping[str, Buckets]) -> Result:
    """Median and 99th percentile in ms of what was counted in between, and how much that was."""
    found: Result = {}
    for short in NAMES:
        own = {bound: count - before[short][bound] for bound, count in after[short].items()}
        found[f"{short}_count"] = round(max(own.values()))
        for share in (50, 99):
            found[f"{short}_p{share}_ms"] = quantile(own, share / 100)
    return found


def quantile(own: Buckets, share: float) -> float | None:
    """In ms: within its bucket as if all were spread evenly there; None where that has no end, or
    nothing was counted.

    >>> quantile({0.001: 5, 0.002: 10, float("inf"): 10}, 0.75)
    1.5
    """
    wanted = share * max(own.values())
    low = below = 0.0
    for bound, count in sorted(own.items()):
        if count >= wanted and count > below:
            if bound == float("inf"):
                return None
            return round((low + (bound - low) * (wanted - below) / (count - below)) * 1000, 2)
        low, below = bound, count
    return None
