"""What a server counts, and how Prometheus reads it (text format 0.0.4).

Calls are counted once per batch, whatever they are: some 0.1 µs a call. All else is read when it is
asked for (`exposition.py`).
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from operator import itemgetter

from reifydb.database.batches import Outcome
from reifydb.engine.kernel import ABORTED, COMMITTED, NOT_RUN, REFUSED, TRAPPED

SECONDS = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0)
"""Bounds of histograms of time."""

SIZES = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000)
"""Bounds of histograms of batch sizes."""

SERIES_MAX = 20_000
"""Transitions, or routes, that are told apart; all further ones are counted together."""

FEW = 4
"""Outcomes that are counted one by one; to count more together takes 3 µs and 0.1 µs each."""

OUTCOMES = {
    COMMITTED: "committed",
    ABORTED: "aborted",
    TRAPPED: "trapped",
    REFUSED: "refused",
    NOT_RUN: "not_run",
}

Labels = Mapping[str, str]

NONE: Mapping[str, int] = {}

_call, _status, _handle = itemgetter(0), itemgetter(1), itemgetter(0)


class Histogram:
    """How often what was seen lay below each of some bounds."""

    __slots__ = ("bounds", "counts", "sum")

    def __init__(self, bounds: Sequence[float]) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.sum = 0.0

    def observe(self, value: float, times: int = 1) -> None:
        """Counts a value, which was seen so many times. 0.3 µs."""
        self.counts[bisect_left(self.bounds, value)] += times
        self.sum += value * times

    def lines(self, name: str, labels: Labels) -> Iterator[str]:
        """Its samples."""
        below = 0
        for bound, count in zip((*self.bounds, "+Inf"), self.counts, strict=True):
            below += count
            yield sample(f"{name}_bucket", below, {**labels, "le": f"{bound}"})
        yield sample(f"{name}_sum", self.sum, labels)
        yield sample(f"{name}_count", below, labels)


class Metrics:
    """The counters of one server.

    Attributes:
        calls: How many ended how: by transition and outcome.
        seconds: From when a batch entered the engine until its outcomes were there: by transition.
        batches: How many calls a batch had.
        requests: HTTP requests by method, route and status; `request_seconds` by route.
    """

    def __init__(self) -> None:
        self.calls: Counter[tuple[str, str]] = Counter()
        self.seconds: dict[str, Histogram] = {}
        self.batches = Histogram(SIZES)
        self.requests: Counter[tuple[str, str, int]] = Counter()
        self.request_seconds: dict[str, Histogram] = {}

    def ran(
        self, outcomes: Sequence[Outcome], seconds: float, committed: Mapping[str, int] = NONE
    ) -> None:
        """A batch has run, in so many seconds. O(calls), in C.

        Args:
            outcomes: Of single calls.
            seconds: From when it entered the engine until its outcomes were there.
            committed: How many of each transition have committed beside those.
        """
        self.batches.observe(len(outcomes) + sum(committed.values()))
        for name, count in committed.items():
            if not count:
                continue
            histogram(self.seconds, name).observe(seconds, count)
            self.calls[name, OUTCOMES[COMMITTED]] += count
        if len(outcomes) <= FEW:
            for outcome in outcomes:
                name = outcome.call.handle.name
                histogram(self.seconds, name).observe(seconds)
                self.calls[name, OUTCOMES[outcome.status]] += 1
            return
        statuses = Counter(map(_status, outcomes))
        handles = Counter(map(_handle, map(_call, outcomes)))
        for handle, count in handles.items():
            histogram(self.seconds, handle.name).observe(seconds, count)
        if len(handles) == 1:
            name = next(iter(handles)).name
            for status, count in statuses.items():
                self.calls[name, OUTCOMES[status]] += count
        elif len(statuses) == 1:
            said = OUTCOMES[next(iter(statuses))]
            for handle, count in handles.items():
                self.calls[handle.name, said] += count
        else:
            self.calls.update((o.call.handle.name, OUTCOMES[o.status]) for o in outcomes)

    def ran_one(self, name: str, seconds: float) -> None:
        """The same for a batch of one call that has committed."""
        batches = self.batches
        batches.counts[0] += 1
        batches.sum += 1
        histogram(self.seconds, name).observe(seconds)
        self.calls[name, "committed"] += 1

    def answered(self, method: str, route: str, status: int, seconds: float) -> None:
        """An HTTP request was answered."""
        self.requests[method, route, status] += 1
        histogram(self.request_seconds, route).observe(seconds)


def histogram(kept: dict[str, Histogram], name: str) -> Histogram:
    """The histogram of this name, made when it is new."""
    found = kept.get(name)
    if found is None:
        if len(kept) >= SERIES_MAX:
            name = "other"
        found = kept.setdefault(name, Histogram(SECONDS))
    return found


# ------------------------------------------------------------------ Prometheus's text


def sample(name: str, value: float, labels: Labels) -> str:
    """One line."""
    shown = ",".join(f'{key}="{_escaped(text)}"' for key, text in labels.items())
    return f"{name}{{{shown}}} {value}" if shown else f"{name} {value}"


def family(name: str, kind: str, about: str, lines: Iterable[str]) -> Iterator[str]:
    """A metric with what it says about itself."""
    yield f"# HELP {name} {about}"
    yield f"# TYPE {name} {kind}"
    yield from lines


def gauge(name: str, about: str, value: float) -> Iterator[str]:
    """A metric that is one number."""
    return family(name, "gauge", about, [sample(name, value, {})])


def counter(name: str, about: str, value: float) -> Iterator[str]:
    """A metric that is one number and only grows."""
    return family(name, "counter", about, [sample(name, value, {})])


def _escaped(text: str) -> str:
    return text.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
