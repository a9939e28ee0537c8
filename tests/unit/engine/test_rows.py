"""Rows, keys and table descriptors: docs/formats.md in Python."""

from __future__ import annotations

import json
import struct
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reifydb import config
from reifydb.engine.catalog import Column, Table, Type
from reifydb.engine.descriptors import table_descriptor
from reifydb.engine.json_values import JSON_NULL
from reifydb.engine.keys import KeyCodec
from reifydb.engine.rows import RowCodec
from reifydb.engine.values import INT_MAX, INT_MIN
from reifydb.errors import (
    KernelError,
    LimitError,
    RequestError,
    UnknownNameError,
    WrongTypeError,
)
from tests.histories.key_order import order_key

INT, TEXT, BOOL, FLOAT = Type.INT, Type.TEXT, Type.BOOL, Type.FLOAT
ACCOUNT = RowCodec(
    [Column("id", INT), Column("owner", TEXT), Column("balance", INT)], what="table account"
)
ACCOUNT_ROW = bytes.fromhex(
    "28000000 0300 0000 0700000000000000 2100000003000000 ffffffffffffffff 00 616461 00000000"
)
TRANSFER = RowCodec(
    [Column(name, INT, nullable=False) for name in ("source", "target", "amount")],
    what="transition bank.transfer",
    arguments=True,
)

datetimes = st.datetimes(timezones=st.just(UTC)) | st.datetimes(
    min_value=datetime(1, 1, 3),
    max_value=datetime(9999, 12, 29),
    timezones=st.timezones() | st.just(timezone(timedelta(hours=-5, seconds=7))),
)
texts = st.text(st.characters(exclude_categories=["Cs"]))
floats = st.floats(allow_nan=False, allow_infinity=False)
VALUES: dict[Type, st.SearchStrategy[object]] = {
    Type.BOOL: st.booleans(),
    Type.INT: st.integers(INT_MIN, INT_MAX),
    Type.FLOAT: floats,
    Type.TEXT: texts,
    Type.BYTES: st.binary(),
    Type.TIMESTAMP: datetimes,
    Type.DECIMAL: st.decimals(-(10**14) + 1, 10**14 - 1, places=4),
    Type.UUID: st.uuids(),
    Type.JSON: st.recursive(
        st.booleans() | st.integers(-(10**40), 10**40) | texts | st.none() | floats,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
        max_leaves=6,
    ).map(lambda value: JSON_NULL if value is None else value),
}


def column(name: str, kind: Type) -> Column:
    """Decimals are decimal(18,4) here."""
    precision, scale = (18, 4) if kind is Type.DECIMAL else (0, 0)
    return Column(name, kind, precision=precision, scale=scale)


def of(*types: Type, what: str = "table t") -> RowCodec:
    return RowCodec([column(f"c{i}", kind) for i, kind in enumerate(types)], what=what)


def json_text(value: object) -> bytes:
    kept = None if value is JSON_NULL else value
    return json.dumps(kept, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


TAILED: dict[Type, Any] = {
    Type.TEXT: str.encode,
    Type.BYTES: bytes,
    Type.UUID: lambda value: value.bytes,
    Type.JSON: json_text,
}


def canonical(types: list[Type], values: list[object]) -> bytes:
    """A row written byte by byte, as the page says it."""
    n = len(types)
    at = 8 + 8 * n + (n + 7) // 8
    slots, tail = b"", b""
    nulls = bytearray((n + 7) // 8)
    for i, (kind, value) in enumerate(zip(types, values, strict=True)):
        if value is None:
            nulls[i // 8] |= 1 << i % 8
            slots += bytes(8)
        elif kind in TAILED:
            data = TAILED[kind](value)
            slots += struct.pack("<II", at + len(tail), len(data))
            tail += data
        elif kind is Type.FLOAT:
            slots += struct.pack("<d", 0.0 if value == 0 else value)
        elif isinstance(value, Decimal):
            slots += struct.pack("<q", int(value * 10**4))
        elif isinstance(value, datetime):
            micros = (value - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)
            slots += struct.pack("<q", micros)
        else:
            slots += struct.pack("<q", value)
    body = slots + bytes(nulls) + tail
    body += bytes(-len(body) % 8)
    return struct.pack("<IHH", len(body) + 8, n, 0) + body


@st.composite
def typed_rows(draw: st.DrawFn) -> tuple[list[Type], list[list[object]]]:
    types = draw(st.lists(st.sampled_from(list(Type)), min_size=1, max_size=12))
    nulls = draw(st.booleans())
    row = st.tuples(*[(st.none() | VALUES[t]) if nulls else VALUES[t] for t in types])
    return types, [list(r) for r in draw(st.lists(row, max_size=4))]


# ------------------------------------------------------------------ the bytes


def test_the_example_of_the_page() -> None:
    assert ACCOUNT.encode((7, "ada", -1)) == ACCOUNT_ROW
    assert ACCOUNT.decode(ACCOUNT_ROW) == (7, "ada", -1)
    assert ACCOUNT.decode_mapping(ACCOUNT_ROW) == {"id": 7, "owner": "ada", "balance": -1}


def in_utc(value: object) -> object:
    """A moment that a change of clocks skips or repeats equals no other, so compare in UTC."""
    return value.astimezone(UTC) if isinstance(value, datetime) else value


@given(typed_rows())
def test_rows_are_canonical_and_come_back(case: tuple[list[Type], list[list[object]]]) -> None:
    types, rows = case
    codec = of(*types)
    encoded = [codec.encode(row) for row in rows]
    assert encoded == [canonical(types, row) for row in rows]
    back = [tuple(in_utc(value) for value in row) for row in rows]
    assert [codec.decode(row) for row in encoded] == back
    together = codec.encode_many(rows)
    assert together == b"".join(encoded)
    for buffer in (together, bytearray(together), memoryview(together)):
        assert codec.decode_many(buffer) == back
    named = [dict(zip(codec.names, row, strict=True)) for row in back]
    assert codec.decode_many_mappings(together) == named
    assert [codec.encode_mapping(row) for row in named] == encoded
    offset = 0
    for row in back:
        assert codec.decode(together, offset) == row
        offset += int.from_bytes(together[offset : offset + 4], "little")


@given(typed_rows())
def test_types_come_back_as_they_are_said_to(case: tuple[list[Type], list[list[object]]]) -> None:
    types, rows = case
    python = {BOOL: bool, INT: int, FLOAT: float, TEXT: str, Type.BYTES: bytes}
    python |= {Type.TIMESTAMP: datetime, Type.DECIMAL: Decimal, Type.UUID: UUID}
    for row in of(*types).decode_many(of(*types).encode_many(rows)):
        for kind, value in zip(types, row, strict=True):
            assert value is None or kind is Type.JSON or type(value) is python[kind]


@pytest.mark.parametrize("n", [0, 1, 7, 8, 9, 63, 64, 65, 256])
def test_any_number_of_columns(n: int) -> None:
    codec = of(*[INT] * n)
    values = tuple(range(n))
    assert codec.encode(values) == canonical([INT] * n, list(values))
    assert codec.decode(codec.encode(values)) == values
    assert codec.decode_many(codec.encode_many([values] * 3)) == [values] * 3
    holes = tuple(None if i % 3 == 0 else i for i in range(n))
    assert codec.decode_many(codec.encode_many([holes, values])) == [holes, values]


def test_negative_zero_becomes_zero_on_every_way() -> None:
    zero = struct.pack("<d", 0.0)
    for types, row in (((FLOAT,), (-0.0,)), ((FLOAT, TEXT), (-0.0, "")), ((FLOAT, INT), (-0.0, 1))):
        assert of(*types).encode(row)[8:16] == zero
        assert of(*types).encode_many([row])[8:16] == zero


def test_what_is_accepted_is_the_same_for_one_and_for_many() -> None:
    class Seven:
        def __index__(self) -> int:
            return 7

    cases: list[tuple[Type, object, object]] = [
        (INT, True, 1),
        (INT, Seven(), 7),
        (FLOAT, 3, 3.0),
        (FLOAT, True, 1.0),
        (Type.BYTES, bytearray(b"ab"), b"ab"),
        (Type.BYTES, memoryview(b"abcd")[::2], b"ac"),
        (Type.TIMESTAMP, 1_000_000, datetime(1970, 1, 1, 0, 0, 1, tzinfo=UTC)),
    ]
    for kind, given_value, stored in cases:
        for codec, row, back in (
            (of(kind), (given_value,), (stored,)),
            (of(kind, TEXT), (given_value, "x"), (stored, "x")),
            (of(kind, INT), (given_value, None), (stored, None)),
        ):
            assert codec.decode(codec.encode(row)) == back
            assert codec.decode_many(codec.encode_many([row, row])) == [back, back]


def test_timestamps_are_read_in_utc() -> None:
    codec = of(Type.TIMESTAMP)
    local = datetime(2024, 5, 1, 12, 0, 0, 7, tzinfo=timezone(timedelta(hours=2)))
    (back,) = codec.decode(codec.encode((local,)))
    assert isinstance(back, datetime)
    assert back == local
    assert back.utcoffset() == timedelta(0)


@pytest.mark.parametrize("micros", [INT_MIN, INT_MAX])
def test_a_timestamp_that_datetime_cannot_hold_is_read_as_microseconds(micros: int) -> None:
    codec = of(Type.TIMESTAMP)
    assert codec.decode(codec.encode((micros,))) == (micros,)


def test_a_shorter_row_has_the_defaults_of_the_columns_it_lacks() -> None:
    added = [
        Column("active", BOOL, default=True),
        Column("note", TEXT),
        Column("since", Type.TIMESTAMP, default=0),
    ]
    codec = RowCodec([*ACCOUNT.columns, *added], what="table account")
    since = datetime(1970, 1, 1, tzinfo=UTC)
    whole = (8, None, None, False, "x", since)
    assert codec.decode(ACCOUNT_ROW) == (7, "ada", -1, True, None, since)
    both = ACCOUNT_ROW + codec.encode(whole)
    assert codec.decode_many(both) == [(7, "ada", -1, True, None, since), whole]


def test_a_mapping_may_leave_columns_out() -> None:
    columns = [Column("id", INT), Column("owner", TEXT, default="nobody"), Column("n", INT)]
    codec = RowCodec(columns, what="table account")
    assert codec.decode(codec.encode_mapping({"id": 1})) == (1, None, None)
    filled = codec.encode_mapping({"id": 1}, defaults=True)
    assert codec.decode(filled) == (1, "nobody", None)
    null = codec.encode_mapping({"id": 1, "owner": None}, defaults=True)
    assert codec.decode(null) == (1, None, None)


# ------------------------------------------------------------------ the errors

WRONG: list[tuple[Type, object, str]] = [
    (BOOL, 1, "expected bool, got int 1"),
    (BOOL, "true", "expected bool, got str 'true'"),
    (INT, "x", "expected int, got str 'x'"),
    (INT, 1.0, "expected int, got float 1.0"),
    (
        INT,
        1 << 63,
        (
            "expected int from -9223372036854775808 to 9223372036854775807,"
            " got int 9223372036854775808"
        ),
    ),
    (
        INT,
        -(1 << 63) - 1,
        (
            "expected int from -9223372036854775808 to 9223372036854775807,"
            " got int -9223372036854775809"
        ),
    ),
    (
        INT,
        1 << 40_000,
        "expected int from -9223372036854775808 to 9223372036854775807, got int of 40,001 bits",
    ),
    (FLOAT, float("nan"), "expected finite float (no NaN, no infinity), got float nan"),
    (FLOAT, float("-inf"), "expected finite float (no NaN, no infinity), got float -inf"),
    (FLOAT, 10**400, "expected finite float (no NaN, no infinity), got int of 1,329 bits"),
    (FLOAT, "1.5", "expected float, got str '1.5'"),
    (TEXT, 7, "expected text, got int 7"),
    (TEXT, b"x", "expected text, got bytes b'x'"),
    (TEXT, "ab\ud800", "expected text, got str with the lone surrogate U+D800 at position 2"),
    (Type.BYTES, "x", "expected bytes, got str 'x' (encode it first)"),
    (Type.BYTES, 3, "expected bytes, got int 3"),
    (
        Type.TIMESTAMP,
        datetime(2024, 5, 1),
        (
            "expected timestamp with a time zone, got datetime datetime.datetime(2024, 5, 1, 0, 0)"
            " (give it a time zone, for example value.replace(tzinfo=datetime.UTC))"
        ),
    ),
    (
        Type.TIMESTAMP,
        "now",
        (
            "expected timestamp, got str 'now'"
            " (a datetime with a time zone, or microseconds since 1970 UTC)"
        ),
    ),
    (Type.TIMESTAMP, True, "expected timestamp, got bool True"),
    (
        Type.TIMESTAMP,
        1 << 63,
        "expected timestamp in 64 bits of microseconds, got int 9223372036854775808",
    ),
]


@pytest.mark.parametrize(("kind", "value", "message"), WRONG, ids=[case[2] for case in WRONG])
def test_a_wrong_value_is_named_with_its_place(kind: Type, value: object, message: str) -> None:
    for types, row in (
        ((kind,), (value,)),
        ((kind, TEXT), (value, "x")),
        ((kind, INT), (value, None)),
    ):
        codec = of(*types)
        with pytest.raises(WrongTypeError) as caught:
            codec.encode(row)
        assert str(caught.value) == f"table t, column c0: {message}"
        arguments = RowCodec(codec.columns, what="transition bank.transfer", arguments=True)
        good = arguments.decode(arguments.encode([None] * len(types)))
        with pytest.raises(WrongTypeError) as caught:
            arguments.encode_many([good] * 17 + [row])
        assert str(caught.value) == f"transition bank.transfer, call 17, parameter c0: {message}"


def test_a_long_value_is_shortened_in_the_message() -> None:
    with pytest.raises(WrongTypeError) as caught:
        ACCOUNT.encode(("x" * 10_000_000, "", 0))
    assert len(str(caught.value)) < 120
    assert "..." in str(caught.value)


def test_a_secret_value_is_not_in_the_message() -> None:
    codec = RowCodec([Column("pin", INT, secret=True)], what="transition t", arguments=True)
    with pytest.raises(WrongTypeError) as caught:
        codec.encode(("1234",))
    assert str(caught.value) == "transition t, parameter pin: expected int, got str (secret)"


def test_null_is_refused_for_a_parameter_that_does_not_allow_it() -> None:
    with pytest.raises(WrongTypeError) as caught:
        TRANSFER.encode_many([(1, 2, 3), (1, None, 3)])
    assert str(caught.value) == (
        "transition bank.transfer, call 1, parameter target: expected int, got null"
    )


def test_a_wrong_number_of_arguments_lists_the_signature() -> None:
    with pytest.raises(RequestError) as caught:
        TRANSFER.encode((1, 2))
    assert str(caught.value) == (
        "transition bank.transfer: expected 3 arguments, got 2"
        " (expected bank.transfer(source int, target int, amount int))"
    )
    with pytest.raises(RequestError, match=r"call 1: expected 3 arguments, got 4"):
        TRANSFER.encode_many([(1, 2, 3), (1, 2, 3, 4)])
    with pytest.raises(RequestError, match=r"table account: expected 3 values, got 0"):
        ACCOUNT.encode(())


def test_missing_and_surplus_arguments_are_named() -> None:
    with pytest.raises(RequestError) as caught:
        TRANSFER.encode_mapping({"source": 1, "target": 2, "amout": 3})
    assert str(caught.value) == (
        "transition bank.transfer: missing amount and unexpected amout (did you mean 'amount'?)"
        " (expected bank.transfer(source int, target int, amount int))"
    )
    with pytest.raises(RequestError, match="missing source, target, amount"):
        TRANSFER.encode_mapping({})


def test_an_unknown_column_is_named_with_the_nearest() -> None:
    with pytest.raises(UnknownNameError) as caught:
        ACCOUNT.encode_mapping({"id": 1, "ownr": "ada"})
    assert "'ownr'" in str(caught.value)
    assert "did you mean 'owner'?" in str(caught.value)


@pytest.mark.parametrize("row", ["abc", b"abc", {"id": 1}])
def test_what_is_no_sequence_of_values_is_refused(row: object) -> None:
    for codec in (of(TEXT, TEXT, TEXT), of(TEXT)):
        with pytest.raises(RequestError):
            codec.encode(row)  # type: ignore[arg-type]
        with pytest.raises(RequestError, match="row 0"):
            codec.encode_many([row])  # type: ignore[list-item]
    with pytest.raises(RequestError, match="expected a sequence of 1 values, got: int"):
        of(TEXT).encode(5)  # type: ignore[arg-type]


def test_an_iterator_of_rows_is_read_once() -> None:
    rows = [(1, 2, 3), (4, 5, 6)]
    assert TRANSFER.decode_many(TRANSFER.encode_many(iter(rows))) == rows
    with pytest.raises(WrongTypeError, match="call 1, parameter amount"):
        TRANSFER.encode_many(iter([(1, 2, 3), (1, 2, "x")]))


def test_a_row_longer_than_the_limit_is_refused() -> None:
    codec = of(INT, Type.BYTES)
    most = config.row_bytes_max - 8 - 16 - 8
    assert len(codec.encode((1, bytes(most)))) == config.row_bytes_max
    for row in ((1, bytes(most + 8)), (None, bytes(most + 8))):
        with pytest.raises(LimitError, match="row_bytes_max is 8,388,608"):
            codec.encode(row)


def test_a_malformed_row_is_a_kernel_error() -> None:
    cut = [ACCOUNT_ROW[:n] for n in range(len(ACCOUNT_ROW))]
    wider = of(INT, INT, INT, INT).encode((1, 2, 3, 4))
    far = bytearray(ACCOUNT_ROW)
    far[16] = 0x60
    not_utf8 = ACCOUNT_ROW.replace(b"ada", b"a\xffa")
    for bad in [*cut, wider, bytes(far), not_utf8]:
        with pytest.raises(KernelError):
            ACCOUNT.decode(bad)
    for bad in [cut[-1], ACCOUNT_ROW + b"\0" * 8]:
        with pytest.raises(KernelError):
            ACCOUNT.decode_many(bad)
    with pytest.raises(KernelError):
        TRANSFER.decode_many(TRANSFER.encode((1, 2, 3)) + bytes(40))


# ------------------------------------------------------------------ keys


def test_a_key_is_a_row_of_the_key_columns() -> None:
    one = KeyCodec([Column("id", INT)], what="table account")
    assert one.encode(7) == one.encode((7,)) == one.encode([7]) == of(INT).encode((7,))
    assert one.encode(True) == one.encode(1)
    assert one.encode_many([1, 2]) == one.encode(1) + one.encode(2)
    two = KeyCodec([Column("a", INT), Column("b", TEXT)], what="table t")
    assert two.encode((1, "x")) == of(INT, TEXT).encode((1, "x"))
    assert two.encode_prefix(1) == two.encode_prefix((1,)) == of(INT).encode((1,))
    assert two.encode_prefix((1, "x")) == two.encode((1, "x"))
    assert two.encode_many([(1, "x"), (2, "")]) == two.encode((1, "x")) + two.encode((2, ""))
    assert one.of((7, 8), (0,)) == 7
    assert two.of((7, 8, 9), (2, 0)) == (9, 7)


def test_wrong_keys_are_named() -> None:
    two = KeyCodec([Column("a", INT), Column("b", TEXT)], what="table t")
    with pytest.raises(WrongTypeError) as caught:
        two.encode((1, 2))
    assert str(caught.value) == "table t, key, column b: expected text, got int 2"
    with pytest.raises(RequestError) as wrong:
        two.encode(1)
    assert str(wrong.value) == (
        "table t, key: expected 2 values, got 1 (the key is (a int, b text))"
    )
    with pytest.raises(RequestError, match="expected 1 to 2 values, got 3"):
        two.encode_prefix((1, "x", 2))
    with pytest.raises(RequestError, match="expected 1 to 2 values, got 0"):
        two.encode_prefix(())
    with pytest.raises(WrongTypeError, match="column b: expected text, got null"):
        two.encode((1, None))
    with pytest.raises(WrongTypeError, match="a key is never null"):
        two.encode_prefix(None)


@st.composite
def two_keys(draw: st.DrawFn) -> tuple[list[Type], tuple[object, ...], tuple[object, ...]]:
    values = {**VALUES, Type.TIMESTAMP: datetimes.map(in_utc)}
    comparable = [kind for kind in Type if kind is not Type.JSON]  # Python orders no JSON
    types = draw(st.lists(st.sampled_from(comparable), min_size=1, max_size=4))
    tight: dict[Type, st.SearchStrategy[object]] = {
        TEXT: st.text("\0\x01aé\uffff\U00010000", max_size=3),
        Type.BYTES: st.binary(max_size=3).map(lambda b: bytes(x % 2 * 255 for x in b)),
        INT: st.sampled_from([INT_MIN, -1, 0, 1, INT_MAX]),
        FLOAT: st.sampled_from([-1.7e308, -5e-324, -0.0, 0.0, 5e-324, 1.0]),
    }
    row = st.tuples(*[values[t] | tight.get(t, values[t]) for t in types])
    return types, draw(row), draw(row)


@given(two_keys())
def test_encoded_keys_compare_as_python_compares(
    case: tuple[list[Type], tuple[object, ...], tuple[object, ...]],
) -> None:
    types, left, right = case
    columns = of(*types).columns
    a, b = order_key(columns, left), order_key(columns, right)
    # Python compares text by code point, which is the order of its UTF-8 bytes.
    assert (a < b) == (left < right)
    assert (a == b) == (left == right)
    for n in range(1, len(types)):
        assert a.startswith(order_key(columns, left[:n]))
        assert b.startswith(order_key(columns, left[:n])) == (left[:n] == right[:n])


# ------------------------------------------------------------------ descriptors


def test_a_table_descriptor_byte_by_byte() -> None:
    table = Table(
        "account",
        (Column("id", INT), Column("owner", TEXT, False, "x"), Column("n", INT)),
        key=(2, 0),
        auto=0,
        number=16,
    )
    assert table_descriptor(table) == bytes.fromhex(
        "10000000 0300 0200 0000 0000 00000000"  # table, columns, key, auto, reserved
        "020402 000000 0200 0000 000000000000"  # types, flags, key columns, padding
    ) + of(INT, TEXT, INT).encode((None, "x", None))


def test_a_table_descriptor_says_what_may_be_null() -> None:
    columns = (Column("id", INT), Column("b", BOOL), Column("c", BOOL, False), Column("d", BOOL))
    encoded = table_descriptor(Table("t", columns, key=(0,), number=17))
    assert encoded[8:10] == b"\xff\xff"
    assert encoded[16:24] == bytes([2, 1, 1, 1, 0, 1, 0, 1])
    assert encoded[24:26] == b"\0\0"
    assert encoded[26:32] == bytes(6)
    assert len(encoded) % 8 == 0


def test_none_is_null_in_every_column() -> None:
    for kind in Type:
        for beside in (TEXT, INT):
            codec = of(kind, beside)
            row = codec.encode((None, "x" if beside is TEXT else 1))
            assert codec.decode(row)[0] is None, kind
