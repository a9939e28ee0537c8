"""Histograms: every quantile within the declared error, however the values are spread."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

import pytest

import reifydb

COUNT = 4000
SPREADS: dict[str, Callable[[Random, int], float]] = {
    "uniform": lambda random, _: random.uniform(0.001, 1000),
    "log-normal": lambda random, _: random.lognormvariate(3, 3),
    "constant": lambda *_: 42.0,
    "negative": lambda random, _: -random.lognormvariate(0, 2),
    "both sides": lambda random, _: random.gauss(0, 1e6),
    "ascending": lambda _, i: float(i),
    "powers of two": lambda random, _: 2.0 ** random.randrange(-29, 49),
    "at the edges of buckets": lambda random, _: (1.01 / 0.99) ** random.randrange(-900, 1600),
    "tiny and huge": lambda random, _: random.choice([1e-9, 1e15, -1e15, 0.0, 1e-300]),
}
QUANTILES = (0.0, 0.001, 0.25, 0.5, 0.9, 0.99, 0.999, 1.0)


@pytest.mark.parametrize("error", [0.001, 0.01, 0.1])
@pytest.mark.parametrize("spread", SPREADS)
def test_quantiles_are_within_the_error(spread: str, error: float) -> None:
    random = Random(f"{spread} {error}")
    values = [SPREADS[spread](random, i) for i in range(COUNT)]
    with reifydb.open(":memory:") as db:
        db.execute(f"create histogram h error {error * 100:g}%")
        db.call_many("h.record", [(value, 1) for value in values])
        values.sort()
        for q in QUANTILES:
            right = values[int(q * (COUNT - 1))]
            found = db.call("h.quantile", q)
            assert isinstance(found, float)
            assert abs(found - right) <= error * abs(right) * (1 + 1e-9) + 1e-9, (q, right, found)
        said = db.call("h.summary")
        assert isinstance(said, dict)
        assert (said["count"], said["min"], said["max"]) == (COUNT, values[0], values[-1])
        assert said["sum"] == pytest.approx(sum(values), rel=1e-9, abs=1e-6)
        db.verify()


def test_merging_is_associative_and_the_same_as_recording() -> None:
    random = Random(7)
    with reifydb.open(":memory:") as db:
        db.execute("create histogram h (k text)")
        parts = {k: [float(random.randrange(-500, 5000)) for _ in range(300)] for k in "abc"}
        for k, values in parts.items():
            db.call_many("h.record", [(k, value, 1) for value in values])
            db.call_many("h.record", [("all", value, 1) for value in values])
        for first, second in (("ab", "c"), ("bc", "a")):
            for one in first:
                db.call("h.merge", first, one)
            db.call("h.merge", first + second, first)
            assert db.call("h.merge", first + second, second) == 900
        shown = [
            {tuple(row.values())[1:] for row in db.query("select * from h where k = ?", (k,))}
            for k in ("all", "abc", "bca")
        ]
        assert shown[0] == shown[1] == shown[2]
        assert db.call("h.merge", "all", "nothing") == 900
        assert db.call("h.merge", "all", "all") == 1800
        db.verify()


def test_what_is_no_value_is_refused() -> None:
    with reifydb.open(":memory:") as db:
        db.execute("create histogram h")
        for args in ((1.1e15, 1), (1.0, 0), (1.0, -1), (float("nan"), 1), (float("inf"), 1)):
            with pytest.raises(reifydb.WrongTypeError):
                db.call("h.record", *args)
        for q in (-0.1, 1.1, float("nan")):
            with pytest.raises(reifydb.WrongTypeError):
                db.call("h.quantile", q)
        assert db.call("h.record", 1.0, 2**62) == 2**62
        with pytest.raises(reifydb.TransactionLimitError, match="64 bits"):
            db.call("h.record", 1.0, 2**62)
        assert db.query("select count from h").tuples == [(2**62,)]
        db.verify()


def test_a_view_sums_up_buckets() -> None:
    with reifydb.open(":memory:") as db:
        db.execute("create histogram h (endpoint text)")
        db.execute(
            "create view calls as select endpoint, sum(count) as n, max(max) as slowest from h"
            " group by endpoint"
        )
        db.call_many("h.record", [("a", 5.0, 1), ("a", 7.0, 2), ("b", 1.0, 1)])
        assert db.query("select * from calls").tuples == [("a", 3, 7.0), ("b", 1, 1.0)]
        db.call("h.reset", "a")
        assert db.query("select * from calls").tuples == [("b", 1, 1.0)]
        db.verify()


def test_as_many_values_as_there_can_be() -> None:
    with reifydb.open(":memory:") as db:
        db.execute("create histogram h")
        db.call("h.record", 1.0, 2**62)
        db.call("h.record", 2.0, 2**62 - 1)
        for q, right in ((0.0, 1.0), (0.4, 1.0), (0.6, 2.0), (1.0, 2.0)):
            assert db.call("h.quantile", q) == pytest.approx(right, rel=0.01)
        assert db.call("h.summary")["count"] == 2**63 - 1  # type: ignore[index]
        db.call("h.record", 3.0, 1)
        assert db.call("h.quantile", 1.0) == 3.0
        with pytest.raises(reifydb.TransactionLimitError, match="64 bits"):
            db.call("h.summary")
        assert db.call("h.reset") == 2**63 - 1
        assert db.call("h.quantile", 1.0) is None
        db.verify()
