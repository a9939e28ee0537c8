"""Counting, and the text that Prometheus reads."""

from __future__ import annotations

from typing import Any

import pytest

from reifydb.database.batches import Call, Outcome
from reifydb.engine.kernel import ABORTED, COMMITTED, TRAPPED
from reifydb.gateway.metrics import FEW, SIZES, Histogram, Metrics, gauge, sample


class Handle:
    def __init__(self, name: str) -> None:
        self.name = name


def outcomes(*pairs: tuple[Any, int]) -> list[Outcome]:
    return [Outcome(Call(handle, b"", None), status, 0, 1, 0, 0) for handle, status in pairs]


@pytest.mark.parametrize("times", [1, FEW, 1000])
def test_a_batch_is_counted_by_transition_and_outcome_whatever_it_mixes(times: int) -> None:
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
        metrics.ran(batch * times, 0.002)
    assert metrics.calls == {
        ("bank.a", "committed"): 4 * times,
        ("bank.a", "aborted"): 2 * times,
        ("bank.b", "committed"): 3 * times,
        ("bank.b", "trapped"): times,
    }
    assert sum(metrics.seconds["bank.a"].counts) == 6 * times
    assert sum(metrics.seconds["bank.b"].counts) == 4 * times
    assert metrics.batches.sum == 10 * times


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
