"""Counting, and the text that Prometheus reads."""

from __future__ import annotations

from typing import Any

from reifydb.database.batches import Call, Outcome
from reifydb.engine.kernel import ABORTED, COMMITTED, TRAPPED
from reifydb.gateway.metrics import SIZES, Histogram, Metrics, gauge, sample


class Handle:
    def __init__(self, name: str) -> None:
        self.name = name


def outcomes(*pairs: tuple[Any, int]) -> list[Outcome]:
    return [Outcome(Call(handle, b"", None), status, 0, 1, 0, 0) for handle, status in pairs]


def test_a_batch_is_counted_by_transition_and_outcome_whatever_it_mixes() -> None:
    a: Any = Handle("bank.a")
    b: Any = Handle("bank.b")
    batches = [
        outcomes((a, COMMITTED), (a, COMMITTED)),
        outcomes((a, COMMITTED), (a, ABORTED)),
        outcomes((a, COMMITTED), (b, COMMITTED)),
        outcomes((a, ABORTED), (b, COMMITTED), (b, TRAPPED), (b, COMMITTED)),
        [],
    ]
    metrics = Metrics()
    for batch in batches:
        metrics.ran(batch, 0.002)
    assert metrics.calls == {
        ("bank.a", "committed"): 4,
        ("bank.a", "aborted"): 2,
        ("bank.b", "committed"): 3,
        ("bank.b", "trapped"): 1,
    }
    assert sum(metrics.seconds["bank.a"].counts) == 6
    assert sum(metrics.seconds["bank.b"].counts) == 4
    assert metrics.batches.sum == 10


def test_a_histogram_says_how_many_were_below_each_bound() -> None:
    found = Histogram(SIZES[:3])
    for value, times in ((1, 1), (2, 2), (3, 1), (5, 1), (6, 4)):
        found.observe(value, times)
    assert list(found.lines("n", {"x": "y"})) == [
        'n_bucket{x="y",le="1"} 1',
        'n_bucket{x="y",le="2"} 3',
        'n_bucket{x="y",le="5"} 5',
        'n_bucket{x="y",le="+Inf"} 9',
        'n_sum{x="y"} 37.0',
        'n_count{x="y"} 9',
    ]


def test_labels_are_escaped() -> None:
    assert sample("n", 1, {"path": 'a"b\\c\nd'}) == r'n{path="a\"b\\c\nd"} 1'
    assert list(gauge("g", "About.", 2)) == ["# HELP g About.", "# TYPE g gauge", "g 2"]
