"""Texts, timestamps and JSON in programs against Python's str, re, datetime and json."""

from __future__ import annotations

import calendar
import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

import reifydb
from reifydb import JSON_NULL
from tests.unit.engine.programs import (
    BOOL,
    INT,
    JSON,
    TEXT,
    TIMESTAMP,
    UUID,
    Evaluator,
    FailedError,
    Value,
)

FAILED = "FAILED: "
MIN, MAX = -(1 << 63), (1 << 63) - 1
texts = st.one_of(st.text("ab é🦊", max_size=12), st.text(max_size=30))
counts = st.one_of(st.integers(-15, 40), st.sampled_from([MIN, MIN + 1, MAX - 1, MAX]))


@pytest.fixture(scope="module")
def run() -> Iterator[Evaluator]:
    with reifydb.open(":memory:") as db:
        yield Evaluator(db)
        assert db._kernel.verify() is None


def outcome(run: Evaluator, op: str, kind: object, *operands: Value | None, imm: int = 0) -> Any:
    """The result, or how it failed."""
    try:
        return run.op(op, kind, *operands, imm=imm)  # type: ignore[arg-type]
    except FailedError as error:
        return FAILED + error.name


# ---------------------------------------------------------------- texts


@given(texts, counts, counts)
@example("hello", MIN, MAX)
@example("hello", 1, 0)
@example("hello", -2, 4)
def test_parts_of_texts(run: Evaluator, text: str, start: int, count: int) -> None:
    def got(op: str, *more: int | None) -> object:
        operands = [None if one is None else (INT, one) for one in more]
        return outcome(run, op, TEXT, (TEXT, text), *operands)

    wanted = [c for at, c in enumerate(text, 1) if at >= start]
    assert got("substr", start, None) == "".join(wanted)
    wanted = [c for at, c in enumerate(text, 1) if start <= at < start + count]
    assert got("substr", start, count) == ("".join(wanted) if count >= 0 else FAILED + "OutOfRange")
    assert got("left", count) == text[:count]
    assert got("right", count) == (text[-count:] if count else "")
    assert outcome(run, "reverse", TEXT, (TEXT, text)) == text[::-1]
    assert outcome(run, "length", INT, (TEXT, text)) == len(text)
    assert outcome(run, "octet_length", INT, (TEXT, text)) == len(text.encode())


def ascii_case(text: str, change: Any) -> str:
    return "".join(change(c) if c.isascii() else c for c in text)


@given(texts, texts, st.text("ab é🦊", max_size=3))
@example("aaa", "aa", "")
def test_two_texts(run: Evaluator, text: str, other: str, third: str) -> None:
    def got(op: str, *more: str | None, kind: object = TEXT, imm: int = 0) -> object:
        operands = [None if one is None else (TEXT, one) for one in more]
        return outcome(run, op, kind, (TEXT, text), *operands, imm=imm)

    assert got("concat", other) == text + other
    for wanted in (other, third):
        assert got("position", wanted, kind=INT) == text.find(wanted) + 1
        assert got("starts_with", wanted, kind=BOOL) is text.startswith(wanted)
        assert got("replace", wanted, third) == (text.replace(wanted, third) if wanted else text)
    for characters in (other, third, None):
        stripped = " " if characters is None else characters
        assert got("trim", characters, imm=1) == (text.lstrip(stripped) if stripped else text)
        assert got("trim", characters, imm=2) == (text.rstrip(stripped) if stripped else text)
        assert got("trim", characters, imm=3) == (text.strip(stripped) if stripped else text)
    assert got("lower") == ascii_case(text, str.lower)
    assert got("upper") == ascii_case(text, str.upper)


@given(texts, st.integers(-3, 60), texts)
def test_texts_that_grow(run: Evaluator, text: str, count: int, fill: str) -> None:
    assert outcome(run, "repeat", TEXT, (TEXT, text), (INT, count)) == text * count
    padding = (fill * max(0, count))[: max(0, count - len(text))]
    kept = text[: max(0, count)]
    assert outcome(run, "lpad", TEXT, (TEXT, text), (INT, count), (TEXT, fill)) == padding + kept
    assert outcome(run, "rpad", TEXT, (TEXT, text), (INT, count), (TEXT, fill)) == kept + padding


def translated(pattern: str, escape: str) -> str | None:
    """A pattern of `like` as a regular expression; None: it ends in its escape character."""
    made, characters = [], iter(pattern)
    for character in characters:
        if character == escape:
            literal = next(characters, None)
            if literal is None:
                return None
            made.append(re.escape(literal))
        else:
            made.append({"%": ".*", "_": "."}.get(character) or re.escape(character))
    return "".join(made)


@given(
    st.text("abAé\\%_\n", max_size=14),
    st.text("abAé\\%%__", max_size=8),
    st.sampled_from(["\\", "", "a", "é", "%", "_", "🦊"]),
    st.booleans(),
)
def test_like(run: Evaluator, text: str, pattern: str, escape: str, ignore: bool) -> None:
    imm = (ord(escape) << 8 if escape else 0) | ignore
    got = outcome(run, "like", BOOL, (TEXT, text), (TEXT, pattern), imm=imm)
    expression = translated(pattern, escape)
    if expression is None:
        assert got == FAILED + "InvalidText"
        return
    if ignore:
        text, expression = ascii_case(text, str.lower), ascii_case(expression, str.lower)
    assert got is (re.fullmatch(expression, text, re.DOTALL) is not None)


@given(st.uuids())
def test_uuids(run: Evaluator, value: Any) -> None:
    assert outcome(run, "uuid_to_text", TEXT, (UUID, value)) == str(value)
    for text in (str(value), value.hex, f" {{{value}}}", str(value).upper()):
        assert outcome(run, "text_to_uuid", UUID, (TEXT, text)) == value


# ---------------------------------------------------------------- timestamps

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
FIELDS = (
    "year quarter month week day dow isodow doy hour minute second epoch milliseconds microseconds"
    " isoyear"
).split()
UNITS = "millisecond second minute hour day week month quarter year".split()
timestamps = st.datetimes(timezones=st.just(UTC))
SPAN = 146_097 * 86_400 * 10**6
"""400 years, after which the calendar repeats."""


def micros(at: datetime) -> int:
    return (at - EPOCH) // timedelta(microseconds=1)


def parts(at: datetime) -> dict[str, int]:
    second = at.second * 10**6 + at.microsecond
    iso = at.isocalendar()
    return {
        "year": at.year,
        "quarter": (at.month + 2) // 3,
        "month": at.month,
        "week": iso.week,
        "day": at.day,
        "dow": at.isoweekday() % 7,
        "isodow": at.isoweekday(),
        "doy": at.timetuple().tm_yday,
        "hour": at.hour,
        "minute": at.minute,
        "second": second,
        "epoch": micros(at),
        "milliseconds": second,
        "microseconds": second,
        "isoyear": iso.year,
    }


def start_of(at: datetime, unit: str) -> datetime:
    midnight = at.replace(hour=0, minute=0, second=0, microsecond=0)
    match unit:
        case "millisecond":
            return at.replace(microsecond=at.microsecond // 1000 * 1000)
        case "second":
            return at.replace(microsecond=0)
        case "minute":
            return at.replace(second=0, microsecond=0)
        case "hour":
            return midnight.replace(hour=at.hour)
        case "day":
            return midnight
        case "week":
            return midnight - timedelta(days=at.weekday())
        case "month":
            return midnight.replace(day=1)
        case "quarter":
            return midnight.replace(day=1, month=(at.month - 1) // 3 * 3 + 1)
        case _:
            return midnight.replace(day=1, month=1)


@given(timestamps)
@example(datetime(1, 1, 1, tzinfo=UTC))
@example(datetime(9999, 12, 31, 23, 59, 59, 999999, tzinfo=UTC))
def test_parts_of_timestamps(run: Evaluator, at: datetime) -> None:
    for number, name in enumerate(FIELDS, 1):
        expected = parts(at)[name]
        assert outcome(run, "extract", INT, (TIMESTAMP, at), imm=number) == expected, name
    for number, name in enumerate(UNITS, 1):
        expected = micros(start_of(at, name))
        assert outcome(run, "date_trunc", INT, (TIMESTAMP, at), imm=number) == expected, name


@given(timestamps, st.integers(-700, 700))
@example(datetime(2000, 6, 1, tzinfo=UTC), -700)
def test_timestamps_beyond_what_datetime_holds(run: Evaluator, at: datetime, spans: int) -> None:
    """The same date, 400 years later or earlier, has the same weekday and all."""
    moved = micros(at) + spans * SPAN
    assume(MIN + SPAN < moved < MAX)
    expected = parts(at)
    for field in ("year", "isoyear"):
        year = expected[field] + 400 * spans
        expected[field] = year if year > 0 else year - 1
    expected["epoch"] = moved
    for number, name in enumerate(FIELDS, 1):
        assert outcome(run, "extract", INT, (INT, moved), imm=number) == expected[name], name
    for number, name in enumerate(UNITS, 1):
        start = micros(start_of(at, name)) + spans * SPAN
        assert outcome(run, "date_trunc", INT, (INT, moved), imm=number) == start, name


@given(st.integers(MIN, MAX))
def test_any_timestamp_reads_back(run: Evaluator, at: int) -> None:
    text = outcome(run, "timestamp_to_text", TEXT, (INT, at))
    assert outcome(run, "text_to_timestamp", INT, (TEXT, text)) == at


@given(timestamps, st.integers(-24 * 60 + 481, 24 * 60 - 481))
def test_timestamps_as_texts(run: Evaluator, at: datetime, minutes: int) -> None:
    written = at.strftime("-%m-%d %H:%M:%S.%f").rstrip("0").removesuffix(".")
    assert outcome(run, "timestamp_to_text", TEXT, (TIMESTAMP, at)) == f"{at.year:04}{written}+00"
    zone = timezone(timedelta(minutes=minutes))
    local = at.replace(tzinfo=zone)
    for text in (local.isoformat(), local.isoformat(" ")):
        assert outcome(run, "text_to_timestamp", INT, (TEXT, text)) == micros(local)


@given(st.text("0123456789-: TZ.+BC", max_size=24))
@example("2024-02-30")
@example("2024-01-31T")
def test_texts_that_may_be_timestamps(run: Evaluator, text: str) -> None:
    got = outcome(run, "text_to_timestamp", INT, (TEXT, text))
    assert isinstance(got, int) or got in {FAILED + "InvalidText", FAILED + "OutOfRange"}


@given(timestamps, st.integers(-130_000, 130_000))
@example(datetime(2024, 1, 31, tzinfo=UTC), 1)
@example(datetime(2024, 3, 31, tzinfo=UTC), -1)
def test_months_later(run: Evaluator, at: datetime, months: int) -> None:
    year, month = divmod(at.year * 12 + at.month - 1 + months, 12)
    month += 1
    assume(1 <= year <= 9999)
    last = calendar.monthrange(year, month)[1]
    expected = at.replace(year=year, month=month, day=min(at.day, last))
    got = outcome(run, "add_months", TIMESTAMP, (TIMESTAMP, at), (INT, months))
    assert got == expected


@given(st.integers(MIN, MAX), st.integers(MIN, MAX))
def test_months_that_are_too_many(run: Evaluator, at: int, months: int) -> None:
    got = outcome(run, "add_months", INT, (INT, at), (INT, months))
    assert got == (FAILED + "OutOfRange" if abs(months) > 7_200_000 else got)


# ---------------------------------------------------------------- JSON

names = st.text('ab"\\\n\x01é🦊', max_size=4)
leaves = st.one_of(
    st.booleans(), st.integers(), st.floats(allow_nan=False, allow_infinity=False), names
)
values = st.recursive(
    leaves | st.none(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(names, inner, max_size=4),
    max_leaves=20,
)


def kind_of(value: object) -> str:
    if value is None:
        return "null"
    kinds = {dict: "object", list: "array", str: "string", bool: "boolean"}
    return kinds.get(type(value), "number")


def plain(value: Any) -> Any:
    """A value without what only its outermost level has."""
    return None if value is JSON_NULL else value


def check(run: Evaluator, value: Any) -> None:
    """What the operations say of a value, then of all in it."""
    operand = (JSON, JSON_NULL if value is None else value)
    is_list, is_dict = isinstance(value, list), isinstance(value, dict)
    assert outcome(run, "json_type", TEXT, operand) == kind_of(value)
    length = len(value) if is_list or is_dict else None
    assert outcome(run, "json_length", INT, operand) == length
    text = outcome(run, "json_text", TEXT, operand)
    if value is None:
        assert text is None
    elif isinstance(value, str):
        assert text == value
    elif is_list or is_dict:
        assert json.loads(text) == value
    assert outcome(run, "json_get", JSON, operand, (TEXT, "no")) is None
    if is_list:
        for index in range(-len(value) - 1, len(value) + 1):
            inside = -len(value) <= index < len(value)
            got = outcome(run, "json_at", JSON, operand, (INT, index))
            assert (got is not None) is inside
            if inside:
                assert plain(got) == value[index]
    else:
        assert outcome(run, "json_at", JSON, operand, (INT, 0)) is None
    for name, member in value.items() if is_dict else ():
        got = outcome(run, "json_get", JSON, operand, (TEXT, name))
        assert plain(got) == member
        check(run, member)


@given(values)
def test_json(run: Evaluator, value: Any) -> None:
    check(run, value)
    got = outcome(run, "text_to_json", JSON, (TEXT, json.dumps(value, indent=1)))
    assert plain(got) == value
