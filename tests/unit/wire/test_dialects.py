"""Values survive the wire, in both dialects and at the extremes of all types."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any
from uuid import UUID

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reifydb.engine.catalog import Column, Type
from reifydb.engine.json_values import JSON_NULL, json_bytes
from reifydb.engine.values import INT_MAX, INT_MIN, timestamp_slot, timestamp_value
from reifydb.errors import RequestError, WrongTypeError
from reifydb.wire.codecs import CODECS, Codec
from reifydb.wire.dialects import JSON_SAFE_INT, PLAIN, RAW, Converter

CODEC = pytest.mark.parametrize("codec", CODECS.values(), ids=lambda codec: codec.subprotocol)


def column(kind: Type, **options: Any) -> Column:
    return Column("c", kind, **options)


MONEY = column(Type.DECIMAL, precision=18, scale=4)
WHOLE = column(Type.DECIMAL, precision=18, scale=0)
TINY = column(Type.DECIMAL, precision=18, scale=18)
BOOL, INT, FLOAT, TEXT, BYTES, TIMESTAMP, UUIDS, JSON = (
    column(kind) for kind in Type if kind is not Type.DECIMAL
)


def money(units: int) -> Decimal:
    return Decimal(units).scaleb(-4)


EXTREMES: list[tuple[Column, Any]] = [
    (BOOL, True),
    (BOOL, False),
    *[
        (INT, sign * (n + d))
        for n in (JSON_SAFE_INT, 1 << 62, 0)
        for d in (-1, 0, 1)
        for sign in (1, -1)
    ],
    (INT, INT_MIN),
    (INT, INT_MAX),
    *[(FLOAT, x) for x in (0.0, 1.7976931348623157e308, -5e-324, 2.0**53 + 2, 0.1, 1e23)],
    *[
        (TEXT, text)
        for text in ("", "\0", "ä𝄞\u2028\U0010ffff", '"\\/\b\n', "\ud7ff\ue000", "x" * 70_000)
    ],
    *[(BYTES, data) for data in (b"", b"\0", bytes(range(256)), b"\xff" * 70_000)],
    (TIMESTAMP, datetime(1970, 1, 1, tzinfo=UTC)),
    (TIMESTAMP, datetime(1, 1, 1, tzinfo=UTC)),
    (TIMESTAMP, datetime(9999, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC)),
    (TIMESTAMP, datetime(1969, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC)),
    (TIMESTAMP, INT_MIN),
    (TIMESTAMP, INT_MAX),
    *[(MONEY, money(n)) for n in (0, 1, -1, 10**18 - 1, 1 - 10**18)],
    *[(WHOLE, Decimal(n)) for n in (0, 10**18 - 1, 1 - 10**18)],
    *[(TINY, Decimal(n).scaleb(-18)) for n in (0, 1, 10**18 - 1, 1 - 10**18)],
    (UUIDS, UUID(int=0)),
    (UUIDS, UUID(int=(1 << 128) - 1)),
    (JSON, JSON_NULL),
    *[
        (JSON, value)
        for value in ({}, [], "", 0, True, False, [None], {"$json": 5}, {"a": {"b": [1.5]}})
    ],
]

values = st.one_of(
    st.tuples(st.just(BOOL), st.booleans()),
    st.tuples(st.just(INT), st.integers(INT_MIN, INT_MAX)),
    st.tuples(st.just(FLOAT), st.floats(allow_nan=False, allow_infinity=False)),
    st.tuples(st.just(TEXT), st.text()),
    st.tuples(st.just(BYTES), st.binary()),
    st.tuples(st.just(TIMESTAMP), st.integers(INT_MIN, INT_MAX).map(timestamp_value)),
    st.tuples(st.just(TIMESTAMP), st.datetimes(timezones=st.just(UTC))),
    st.tuples(st.just(MONEY), st.integers(1 - 10**18, 10**18 - 1).map(money)),
    st.tuples(st.just(UUIDS), st.uuids()),
    st.tuples(
        st.just(JSON),
        st.recursive(
            st.booleans() | st.integers(INT_MIN, INT_MAX) | st.text(max_size=4),
            lambda inner: (
                st.lists(inner | st.none(), max_size=3)
                | st.dictionaries(st.text(max_size=3), inner | st.none(), max_size=3)
            ),
            max_leaves=5,
        ).filter(lambda value: value != {"$json": None}),
    ),
)


def over(codec: Codec, of: Column, value: Any) -> Any:
    """A value written, sent, and read."""
    written = Converter([of], codec.dialect.writer)([value])
    [received] = codec.decode(codec.encode([["x"], list(written)]))[1]
    return Converter([of], codec.dialect.reader)([received])[0]


def same(of: Column, one: Any, other: Any) -> bool:
    if of.type is Type.TIMESTAMP:
        return timestamp_slot(one) == timestamp_slot(other)
    return type(one) is type(other) and bool(one == other)


def stored(of: Column, value: Any) -> Any:
    """A value as the kernel's chunks have it."""
    match of.type:
        case Type.TIMESTAMP:
            return timestamp_slot(value)
        case Type.DECIMAL:
            return int(value.scaleb(of.scale))
        case Type.UUID:
            return value.bytes
        case Type.JSON:
            return json_bytes(value).decode()
    return value


@CODEC
@pytest.mark.parametrize("case", EXTREMES, ids=lambda case: f"{case[0].type.sql}-{case[1]!r:.30}")
def test_extremes_survive(case: tuple[Column, Any], codec: Codec) -> None:
    of, value = case
    assert same(of, over(codec, of, value), value)
    assert over(codec, of, None) is None


@CODEC
@given(values)
def test_values_survive(codec: Codec, case: tuple[Column, Any]) -> None:
    of, value = case
    assert same(of, over(codec, of, value), value)


@given(values)
def test_what_comes_from_the_kernel_is_written_as_what_comes_from_python(
    case: tuple[Column, Any],
) -> None:
    of, value = case
    for dialect in (RAW, PLAIN):
        from_python = Converter([of], dialect.writer)([value])
        from_kernel = Converter([of], dialect.raw_writer)([stored(of, value)])
        assert list(from_kernel) == list(from_python)


@pytest.mark.parametrize(
    ("of", "value", "written"),
    [
        (INT, JSON_SAFE_INT, JSON_SAFE_INT),
        (INT, JSON_SAFE_INT + 1, "9007199254740993"),
        (INT, INT_MIN, "-9223372036854775808"),
        (BYTES, b"\x00\xff", "AP8="),
        (TIMESTAMP, datetime(2024, 1, 31, 12, tzinfo=UTC), "2024-01-31T12:00:00.000000Z"),
        (TIMESTAMP, datetime(1, 1, 1, tzinfo=UTC), "0001-01-01T00:00:00.000000Z"),
        (TIMESTAMP, INT_MAX, str(INT_MAX)),
        (MONEY, Decimal("12.5000"), "12.5000"),
        (TINY, Decimal(1).scaleb(-18), "0.000000000000000001"),
        (UUIDS, UUID(int=1), "00000000-0000-0000-0000-000000000001"),
        (JSON, JSON_NULL, {"$json": None}),
    ],
)
def test_json_looks_so(of: Column, value: Any, written: Any) -> None:
    assert Converter([of], PLAIN.writer)([value]) == [written]


def read(of: Column, value: Any) -> Any:
    return Converter([of], PLAIN.reader)([value])[0]


def test_json_is_read_in_other_forms_too() -> None:
    assert read(INT, "-5") == -5
    assert read(MONEY, 12) == Decimal(12)
    assert read(TIMESTAMP, "-1") == read(TIMESTAMP, -1) == -1
    zoned = datetime(2024, 1, 31, 14, tzinfo=timezone(timedelta(hours=2)))
    assert read(TIMESTAMP, "2024-01-31T14:00:00+02:00") == zoned
    assert read(UUIDS, "0" * 31 + "1") == UUID(int=1)


@pytest.mark.parametrize(
    ("of", "value"),
    [
        *[(INT, value) for value in ("", "-", "1.5", "0x1", "1_0", " 1", "٣", "9" * 21)],
        *[(BYTES, value) for value in (5, "x", "AP8", "AP8=!", "Ä", [1])],
        *[
            (TIMESTAMP, value)
            for value in ("", "-", "now", "2024-01-31T12:00:00", True, 1.5, "²", "--1")
        ],
        *[(MONEY, value) for value in ("", "x", True, 1.5, [], {})],
        *[(UUIDS, value) for value in ("", 5, "0" * 31, "g" * 32)],
    ],
    ids=repr,
)
def test_json_of_another_type_is_refused(of: Column, value: Any) -> None:
    with pytest.raises(WrongTypeError, match="expected"):
        read(of, value)


@pytest.mark.parametrize(
    ("of", "value"),
    [
        *[(MONEY, value) for value in (True, 1.5, b"1", [], "x")],
        *[(UUIDS, value) for value in (b"", b"x" * 15, b"x" * 17, 5, [])],
        *[(JSON, value) for value in (b"{}", 5, "{", "[" * 100_000, "\ud800")],
    ],
    ids=lambda value: f"{value!r:.30}",
)
def test_msgpack_of_another_type_is_refused(of: Column, value: Any) -> None:
    with pytest.raises(WrongTypeError, match="expected"):
        Converter([of], RAW.reader)([value])


def test_a_secret_value_is_not_shown() -> None:
    with pytest.raises(WrongTypeError, match="a secret value") as caught:
        read(column(Type.INT, secret=True), "hunter2")
    assert "hunter2" not in str(caught.value)


def test_rows_of_a_wrong_length_are_left_for_others_to_refuse() -> None:
    convert = Converter([INT, BYTES], PLAIN.reader)
    assert list(convert([])) == []
    assert list(convert(["5"])) == [5]
    assert list(convert(["5", "", "more"])) == [5, b"", "more"]


# ------------------------------------------------------------------ frames


MALFORMED_JSON = [
    "",
    "[",
    "[1,]",
    "[NaN]",
    "[Infinity]",
    "nul",
    "[" * 100_000,
    '["\\ud800"]',
    "9" * 5000,
]
MALFORMED_MSGPACK = [
    b"",
    b"\xc1",
    b"\x93\x01",
    b"\x01\x02",
    b"\xdd\xff\xff\xff\xff",
    b"\xdb\xff\xff\xff\xffx",
    b"\x91" * 100_000 + b"\xc0",
    b"\xa1\xff",
    b"\x81\x90\x01",
    msgpack.packb([msgpack.ExtType(5, b"x")]),
]


@pytest.mark.parametrize("data", MALFORMED_JSON, ids=lambda data: f"{data!r:.20}")
def test_malformed_json_is_refused(data: str) -> None:
    with pytest.raises(RequestError):
        CODECS["reifydb.v1.json"].decode(data)


@pytest.mark.parametrize("data", MALFORMED_MSGPACK, ids=lambda data: f"{data!r:.20}")
def test_malformed_msgpack_is_refused(data: bytes) -> None:
    with pytest.raises(RequestError):
        CODECS["reifydb.v1.msgpack"].decode(data)


@given(st.binary())
def test_whatever_bytes_come_they_are_read_or_refused(data: bytes) -> None:
    for codec, given_data in (("msgpack", data), ("json", data.decode("utf-8", "replace"))):
        try:
            CODECS[f"reifydb.v1.{codec}"].decode(given_data)
        except RequestError:
            continue


@CODEC
def test_one_message_stands_alone_and_several_in_an_array(codec: Codec) -> None:
    assert codec.decode(codec.encode([["a", 1]])) == ["a", 1]
    many = [["a", n] for n in range(70_000)]
    for count in (2, 15, 16, 65_535, 65_536):
        assert codec.decode(codec.encode(many[:count])) == many[:count]


class _Chunk:
    changes = 2
    body = msgpack.packb([1, [5], [5, b"x"]]) + msgpack.packb([0, [6], None])


@CODEC
def test_entries_can_stand_among_other_messages(codec: Codec) -> None:
    def as_text(op: int, key: list[Any], row: list[Any] | None) -> Any:
        return [op, key, row and [row[0], row[1].decode()]]

    message = codec.join(codec.begin("page", 1, 1), codec.end([], codec.entries(_Chunk, as_text)))
    row = [5, "x"] if codec.dialect is PLAIN else [5, b"x"]
    expected = ["page", 1, [[1, [5], row], [0, [6], None]]]
    assert codec.decode(codec.encode([message])) == expected
    assert codec.decode(codec.encode([["ok"], message])) == [["ok"], expected]


def test_json_frames_are_short_and_not_escaped() -> None:
    assert CODECS["reifydb.v1.json"].encode([["ok", "ä", {"a": 1}]]) == '["ok","ä",{"a":1}]'
    assert json.loads('["ok","ä",{"a":1}]') == ["ok", "ä", {"a": 1}]
