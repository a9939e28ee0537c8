"""Variances and percentiles against Python's fractions: as a query, and as a view that is kept."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

import reifydb
from tests.views.aggregates import between, rounded, spread

MIN, MAX = -(1 << 63), (1 << 63) - 1
LARGEST = 1.7976931348623157e308
SCALE, DIGITS = 4, 18
SPREADS = ("var_samp", "var_pop", "stddev_samp", "stddev_pop")
FAILED = "failed"

ints = st.one_of(st.integers(MIN, MAX), st.integers(-5, 5), st.sampled_from([MIN, MAX, MAX - 1]))
floats = st.one_of(
    st.floats(allow_nan=False, allow_infinity=False),
    st.floats(-10, 10),
    st.sampled_from([0.1, 0.2, 1e16, 1.0, -1.0, 5e-324, LARGEST]),
)
decimals = st.one_of(st.integers(1 - 10**DIGITS, 10**DIGITS - 1), st.integers(-9, 9)).map(
    lambda units: Decimal(units).scaleb(-SCALE)
)
names = st.sampled_from(SPREADS)
parts = st.one_of(
    st.sampled_from(["0", "1", "0.5", "0.000000000000000001", "0.999999999999999999"]),
    st.integers(0, 1000).map(lambda thousandth: f"{thousandth / 1000:.3f}"),
)


@pytest.fixture(scope="module")
def db() -> Iterator[reifydb.Database]:
    with reifydb.open(":memory:") as made:
        made.execute(f"""
            create table item (id int primary key auto_increment,
                               i int, f float, d decimal({DIGITS},{SCALE}))
        """)
        yield made


def outcome(db: reifydb.Database, column: str, values: Sequence[Any], asked: str) -> object:
    """What a query says of the values, and a view that has seen each come twice and go once."""
    rows = [{column: value} for value in values]
    db.execute(f"create view kept as select {asked} as x from item")
    try:
        with db.transaction() as tx:
            tx.insert_many("item", rows)
        for row in db.scan("item"):
            with db.transaction() as tx:
                tx.insert("item", {column: row[column]})
                assert tx.query("select x from kept").value() is not None or len(values) < 2
                tx.delete("item", row["id"])
        answer = db.query(f"select {asked} as x from item").value()
        assert answer == next(iter(db.scan("kept")))["x"]
        db.verify()
    except reifydb.ExpressionError as error:
        if "out of range" not in str(error):
            raise
        answer = FAILED
    finally:
        db.execute("drop view kept")
        db.execute("delete from item")
    return answer


def expected_spread(name: str, values: Sequence[Any]) -> object:
    try:
        found = spread(name, [Fraction(value) for value in values])
    except OverflowError:
        return FAILED
    return FAILED if found is not None and math.isinf(found) else found


@given(values=st.lists(ints, max_size=6), name=names)
@example(values=[MIN, MAX, MIN, MAX], name="var_pop")
@example(values=[MAX - 1, MAX, MAX], name="stddev_samp")
@settings(max_examples=200, deadline=None)
def test_variances_of_ints_are_exact(db: reifydb.Database, values: list[int], name: str) -> None:
    assert outcome(db, "i", values, f"{name}(i)") == expected_spread(name, values)


@given(values=st.lists(decimals, max_size=6), name=names)
@example(values=[Decimal(10**DIGITS - 1).scaleb(-SCALE)] * 3, name="var_samp")
@settings(max_examples=200, deadline=None)
def test_variances_of_decimals_are_exact(
    db: reifydb.Database, values: list[Decimal], name: str
) -> None:
    assert outcome(db, "d", values, f"{name}(d)") == expected_spread(name, values)


@given(values=st.lists(floats, max_size=6), name=names)
@example(values=[1e15, 1e15 + 1, 1e15 + 2], name="var_samp")
@example(values=[LARGEST, -LARGEST], name="stddev_pop")
@example(values=[5e-324, 0.0], name="stddev_pop")
@settings(max_examples=300, deadline=None)
def test_variances_of_floats_are_exact(
    db: reifydb.Database, values: list[float], name: str
) -> None:
    expected, found = expected_spread(name, values), outcome(db, "f", values, f"{name}(f)")
    if found == FAILED and expected != FAILED:
        # On its way the view had other values: of them the variance was beyond all floats.
        assert max(map(abs, values)) > 1e150
        return
    assert found == expected


def expected_percentile(values: Sequence[Any], part: str, scale: int | None) -> object:
    if not values:
        return None
    found = between(sorted(map(Fraction, values)), Fraction(part))
    if scale is None:
        return float(found)
    units = rounded(found * 10**scale)
    return Decimal(units).scaleb(-scale) if abs(units) < 10**DIGITS else FAILED


@given(values=st.lists(ints, max_size=7), part=parts)
@settings(max_examples=200, deadline=None)
def test_percentiles_of_ints_are_exact(db: reifydb.Database, values: list[int], part: str) -> None:
    asked = f"percentile_cont({part}) within group (order by i)"
    assert outcome(db, "i", values, asked) == expected_percentile(values, part, None)


@given(values=st.lists(floats, max_size=7), part=parts)
@example(values=[LARGEST, -LARGEST], part="0.5")
@settings(max_examples=200, deadline=None)
def test_percentiles_of_floats_are_exact(
    db: reifydb.Database, values: list[float], part: str
) -> None:
    asked = f"percentile_cont({part}) within group (order by f)"
    assert outcome(db, "f", values, asked) == expected_percentile(values, part, None)


@given(values=st.lists(decimals, max_size=7), part=parts)
@example(values=[Decimal(10**16).scaleb(-SCALE)], part="0.5")
@example(values=[Decimal(10**16 - 1).scaleb(-SCALE)], part="0.5")
@settings(max_examples=200, deadline=None)
def test_percentiles_of_decimals_are_rounded_once(
    db: reifydb.Database, values: list[Decimal], part: str
) -> None:
    asked = f"percentile_cont({part}) within group (order by d)"
    expected, found = expected_percentile(values, part, 6), outcome(db, "d", values, asked)
    assert found == expected or (found == FAILED and max(map(abs, values)) * 10**6 >= 10**DIGITS)


@given(values=st.lists(ints, max_size=7), part=parts)
@settings(max_examples=200, deadline=None)
def test_a_discrete_percentile_is_the_first_that_is_not_behind(
    db: reifydb.Database, values: list[int], part: str
) -> None:
    asked = f"percentile_disc({part}) within group (order by i)"
    found = outcome(db, "i", values, asked)
    if not values:
        assert found is None
        return
    wanted = Fraction(part) * len(values)
    behind = [v for v in sorted(values) if sum(one <= v for one in values) >= wanted]
    assert found == behind[0]
