"""Arithmetic of programs against Python's whole numbers, fractions, decimals and floats."""

from __future__ import annotations

import decimal as decimals
import math
import operator
import re
from collections.abc import Callable, Iterator
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

import reifydb
from tests.unit.engine.programs import BOOL, FLOAT, INT, TEXT, Evaluator, FailedError, Value

MIN, MAX = -(1 << 63), (1 << 63) - 1
EDGES = [0, 1, 2, 3, 5, 9, 10, 1 << 31, 1 << 32, 10**9, 10**17, 10**18 - 1, 10**18, MAX - 1, MAX]
ints = st.one_of(
    st.sampled_from([sign * edge for edge in EDGES for sign in (1, -1)] + [MIN]),
    st.integers(MIN, MAX),
    st.integers(-1000, 1000),
)
floats = st.floats(allow_nan=False, allow_infinity=False)
scales = st.integers(0, 18)

FAILED = "FAILED: "


@pytest.fixture(scope="module")
def run() -> Iterator[Evaluator]:
    with reifydb.open(":memory:") as db:
        yield Evaluator(db)
        assert db._kernel.verify() is None


def outcome(run: Evaluator, op: str, kind: object, *operands: Value, imm: int = 0) -> object:
    """The result, or how it failed."""
    try:
        return run.op(op, kind, *operands, imm=imm)  # type: ignore[arg-type]
    except FailedError as error:
        return FAILED + error.name


def whole(value: int) -> object:
    """What becomes of a whole number."""
    return value if MIN <= value <= MAX else FAILED + "OutOfRange"


def half_away(value: Fraction) -> int:
    down = math.floor(abs(value) + Fraction(1, 2))
    return down if value >= 0 else -down


def finite(compute: Callable[[], float]) -> object:
    try:
        value = compute()
    except OverflowError:
        return FAILED + "NotFinite"
    return value if math.isfinite(value) else FAILED + "NotFinite"


# ---------------------------------------------------------------- integers


@given(ints, ints)
@example(MIN, -1)
def test_integers(run: Evaluator, a: int, b: int) -> None:
    def got(op: str) -> object:
        return outcome(run, op, INT, (INT, a), (INT, b))

    assert got("add") == whole(a + b)
    assert got("sub") == whole(a - b)
    assert got("mul") == whole(a * b)
    assert got("neg") == whole(-a)
    assert got("abs") == whole(abs(a))
    assert got("sign") == (a > 0) - (a < 0)
    if b == 0:
        assert got("div") == got("mod") == FAILED + "DivisionByZero"
    else:
        quotient = abs(a) // abs(b) * (1 if (a < 0) == (b < 0) else -1)
        assert got("div") == whole(quotient)
        assert got("mod") == a - b * quotient


@given(st.data())
def test_comparisons(run: Evaluator, data: st.DataObject) -> None:
    kind, values, suffix = data.draw(
        st.sampled_from(
            [(INT, ints, "word"), (FLOAT, floats, "float"), (TEXT, st.text("ab\0é"), "tail")]
        )
    )
    a = data.draw(st.none() | values)
    b = data.draw(st.none() | st.just(a) | values)
    for op in ("eq", "ne", "lt", "le", "gt", "ge"):
        expected = None
        if a is not None and b is not None:
            x, y = (a.encode(), b.encode()) if kind is TEXT else (a, b)
            expected = getattr(operator, op)(x, y)
        assert outcome(run, f"{op}_{suffix}", BOOL, (kind, a), (kind, b)) is expected
    assert outcome(run, f"same_{suffix}", BOOL, (kind, a), (kind, b)) is (a == b)


# ---------------------------------------------------------------- decimals


@given(ints, scales)
def test_scales(run: Evaluator, a: int, k: int) -> None:
    def got(op: str) -> object:
        return outcome(run, op, INT, (INT, a), imm=k)

    exact = Fraction(a, 10**k)
    assert got("scale_up") == whole(a * 10**k)
    assert got("scale_down") == half_away(exact)
    assert got("scale_trunc") == math.trunc(exact)
    assert got("scale_floor") == math.floor(exact)
    assert got("scale_ceil") == math.ceil(exact)
    if k > 0:
        assert got("fit") == (a if abs(a) < 10**k else FAILED + "OutOfRange")


@given(ints, ints, st.integers(0, 36))
def test_products_of_decimals(run: Evaluator, a: int, b: int, k: int) -> None:
    expected = whole(half_away(Fraction(a * b, 10**k)))
    assert outcome(run, "mul_decimal", INT, (INT, a), (INT, b), imm=k) == expected


@given(ints, ints, st.integers(-18, 36))
@example(1, 2, 0)
@example(MIN, -1, 0)
@example(1, 10**18, 18)
def test_quotients_of_decimals(run: Evaluator, a: int, b: int, k: int) -> None:
    expected = (
        FAILED + "DivisionByZero"
        if b == 0
        else whole(half_away(Fraction(a, b) * Fraction(10) ** k))
    )
    assert outcome(run, "div_decimal", INT, (INT, a), (INT, b), imm=k) == expected


@given(ints, scales)
def test_decimals_as_texts(run: Evaluator, a: int, scale: int) -> None:
    text = outcome(run, "decimal_to_text", TEXT, (INT, a), imm=scale)
    assert text == format(Decimal(a).scaleb(-scale, decimals.Context(prec=40)), "f")
    assert outcome(run, "text_to_decimal", INT, (TEXT, text), imm=scale) == a
    assert outcome(run, "int_to_text", TEXT, (INT, a)) == str(a)
    assert outcome(run, "text_to_int", INT, (TEXT, f" {a}\t")) == a
    assert outcome(run, "decimal_to_float", FLOAT, (INT, a), imm=scale) == float(
        Fraction(a, 10**scale)
    )
    assert outcome(run, "int_to_float", FLOAT, (INT, a)) == float(a)


NUMBER = re.compile(
    r"[ \t\n\v\f\r]*([+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?)[ \t\n\v\f\r]*", re.ASCII | re.IGNORECASE
)
WHOLE = re.compile(r"[ \t\n\v\f\r]*([+-]?\d+)[ \t\n\v\f\r]*", re.ASCII)
numbers = st.one_of(
    st.from_regex(NUMBER, fullmatch=True),
    st.decimals(allow_nan=False, allow_infinity=False).map(str),
    floats.map(repr),
    ints.map(str),
    st.text("0123456789+-.eE _x", max_size=12),
    st.sampled_from(["inf", "nan", "Infinity", "1e308", "1e309", "-1e-400", "0x10", "1_0", ""]),
)


@given(numbers, scales)
@example("9.5", 0)
@example("0." + "0" * 30 + "5", 18)
@example("-0.04999", 1)
def test_texts_as_numbers(run: Evaluator, text: str, scale: int) -> None:
    as_int = outcome(run, "text_to_int", INT, (TEXT, text))
    as_decimal = outcome(run, "text_to_decimal", INT, (TEXT, text), imm=scale)
    as_float = outcome(run, "text_to_float", FLOAT, (TEXT, text))
    found = WHOLE.fullmatch(text)
    assert as_int == (whole(int(found[1])) if found else FAILED + "InvalidText")
    found = NUMBER.fullmatch(text)
    if not found:
        assert as_decimal == as_float == FAILED + "InvalidText"
        return
    number = float(found[1])
    assert as_float == (number if math.isfinite(number) else FAILED + "OutOfRange")
    exponent = int(found[3][1:]) if found[3] else 0
    if abs(exponent) < 400:
        assert as_decimal == whole(half_away(Fraction(found[1]) * 10**scale))
    else:
        assert as_decimal in {0, FAILED + "OutOfRange"}


# ---------------------------------------------------------------- floats


@given(floats, floats)
def test_floats(run: Evaluator, a: float, b: float) -> None:
    def got(op: str) -> object:
        value = outcome(run, op, FLOAT, (FLOAT, a), (FLOAT, b))
        assert not isinstance(value, float) or value != 0 or math.copysign(1, value) == 1
        return value

    assert got("add_float") == finite(lambda: a + b)
    assert got("sub_float") == finite(lambda: a - b)
    assert got("mul_float") == finite(lambda: a * b)
    assert got("neg_float") == -a
    assert got("abs_float") == abs(a)
    assert got("sign_float") == (a > 0) - (a < 0)
    assert got("floor") == (math.floor(a) if abs(a) < 1e300 else a)
    assert got("ceil") == (math.ceil(a) if abs(a) < 1e300 else a)
    assert got("trunc") == (math.trunc(a) if abs(a) < 1e300 else a)
    assert got("round") == (round(a) if abs(a) < 1e300 else a)
    assert got("sqrt") == (math.sqrt(a) if a >= 0 else FAILED + "OutOfRange")
    if b == 0:
        assert got("div_float") == got("mod_float") == FAILED + "DivisionByZero"
    else:
        assert got("div_float") == finite(lambda: a / b)
        assert got("mod_float") == math.fmod(a, b)


@given(st.floats(-800, 800), st.floats(-40, 40))
def test_functions_of_floats(run: Evaluator, a: float, b: float) -> None:
    def near(got: object, compute: Callable[[], float]) -> bool:
        expected = finite(compute)
        if isinstance(got, float) and isinstance(expected, float):
            return math.isclose(got, expected, rel_tol=1e-14, abs_tol=1e-300)
        return got == expected

    assert near(outcome(run, "exp", FLOAT, (FLOAT, a)), lambda: math.exp(a))
    logarithm = outcome(run, "ln", FLOAT, (FLOAT, a))
    assert near(logarithm, lambda: math.log(a)) if a > 0 else logarithm == FAILED + "OutOfRange"
    power = outcome(run, "power", FLOAT, (FLOAT, a), (FLOAT, b))
    if (a < 0 and not b.is_integer()) or (a == 0 and b < 0):
        assert power == FAILED + "OutOfRange"
    else:
        assert near(power, lambda: math.pow(a, b))


@given(floats, scales)
@example(0.5, 0)
@example(-2.5, 0)
@example(5e-324, 18)
@example(9223372036854775807.0, 0)
def test_floats_as_others(run: Evaluator, a: float, scale: int) -> None:
    written = "0" if a == 0 else repr(a).removesuffix(".0")
    assert outcome(run, "float_to_text", TEXT, (FLOAT, a)) == written
    assert outcome(run, "text_to_float", FLOAT, (TEXT, written)) == a
    assert outcome(run, "float_to_int", INT, (FLOAT, a)) == whole(round(a))
    expected = whole(half_away(Fraction(a) * 10**scale))
    assert outcome(run, "float_to_decimal", INT, (FLOAT, a), imm=scale) == expected


@given(st.floats(-1e6, 1e6), scales)
def test_floats_of_a_usual_size_as_decimals(run: Evaluator, a: float, scale: int) -> None:
    expected = whole(half_away(Fraction(a) * 10**scale))
    assert outcome(run, "float_to_decimal", INT, (FLOAT, a), imm=scale) == expected
