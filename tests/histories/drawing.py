"""Values as histories like them: extremes and neighbours far more often than chance would."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from uuid import UUID

from reifydb.config import json_nesting_max
from reifydb.engine.catalog import Column, Type
from reifydb.engine.json_values import JSON_NULL

INT_MIN, INT_MAX = -(1 << 63), (1 << 63) - 1
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)

INTS = (0, 1, -1, 2, 255, 256, -256, 1 << 31, 1 << 32, 1 << 53, INT_MIN, INT_MIN + 1, INT_MAX)
FLOATS = (
    *(0.0, -0.0, 1.0, -1.0, 0.1, 1e300, -1e300, 5e-324, -5e-324, 2.2250738585072014e-308),
    *(2.225073858507201e-308, 1.7976931348623157e308, -1.7976931348623157e308, 2.0**53),
)
TEXTS = (
    *("", "a", "b", "ab", "a\0", "a\0b", "\0", "\0\0", "a\0\x01", "\x01", "\x7f", "\x80", "ä", "ß"),
    *("\u07ff", "\ud7ff", "\ue000", "\uffff", "\U00010000", "\U0010ffff", "e\u0301", "é", "🦊"),
)
BINARIES = (b"", b"\0", b"\0\0", b"\xff", b"\xff\xff", b"\0\xff", b"\xff\0", b"a", b"a\0", b"a\xff")
TIMESTAMPS: tuple[object, ...] = (
    EPOCH,
    EPOCH - MICROSECOND,
    EPOCH + MICROSECOND,
    datetime(2024, 2, 29, 23, 59, 59, 999_999, tzinfo=UTC),
    datetime.min.replace(tzinfo=UTC),
    datetime.max.replace(tzinfo=UTC),
    *(0, -1, 1, INT_MIN, INT_MAX),
)

UUIDS = (
    UUID(int=0),
    UUID(int=1),
    UUID(int=(1 << 128) - 1),
    UUID(int=1 << 127),
    UUID(int=0x61 << 64),
)
JSONS: tuple[object, ...] = (
    *(JSON_NULL, True, False, 0, 1, -1, 1.0, -0.0, 0.1, 1e16, 1e-5, 5e-324, 1.7976931348623157e308),
    *(
        10**40,
        -(10**300),
        2**53 + 1,
        "",
        "a",
        "null",
        '"\\\0\x1f\x7f/',
        "é\U0001f98a\u2028",
        "\uffff",
    ),
    *(
        [],
        {},
        [None],
        [[], {}],
        {"": {}},
        {"b": 1, "a": 2, "ä": 3, "\U00010000": 4, "\0": 5, '"': 6},
    ),
    *({"a": [1, {"b": [None, True, 1.5, "x"]}]}, {"10": 1, "9": 2, "A": [1.0, 1]}, ("a", (1, 2))),
    [0, [0, [0, [0]]]],
    *(1e-4, 9.999e-5, 1e15, 9999999999999998.0, 1.2345678901234568e17, -1.5e-7, 2.0**63),
    *(INT_MAX, INT_MIN, 10**308, -(10**308), "".join(map(chr, range(0x21))), "\ud7ff\ue000"),
    *({"a": {"b": {}}, "a\0": [], "a/b": ""}, {"\ue000": 1, "\U00010000": 2, "~": 3}),
)


def _nested(depth: int) -> object:
    value: object = 1
    for i in range(depth):
        value = [value] if i % 2 else {"k": value}
    return value


WRONG: dict[Type, tuple[object, ...]] = {
    Type.BOOL: (0, 1, "true", 1.0),
    Type.INT: (1.5, "1", b"1", INT_MAX + 1, INT_MIN - 1, 1 << 200),
    Type.FLOAT: ("1", float("nan"), float("inf"), float("-inf"), 10**400),
    Type.TEXT: (1, b"a", "\ud800", True),
    Type.BYTES: ("a", 1, 1.0),
    Type.TIMESTAMP: (datetime(2024, 1, 1), "2024-01-01", 1.0, True, INT_MAX + 1),
    Type.DECIMAL: (
        *(1.5, "1", True, 10**18, -(10**18), Decimal("NaN"), Decimal("Infinity")),
        *(Decimal("1e-19"), Decimal("1e1000000")),
    ),
    Type.UUID: ("00000000-0000-0000-0000-000000000000", b"0" * 16, 1, b""),
    Type.JSON: (
        *({1: 2}, b"a", float("nan"), float("inf"), "\ud800", {"\udfff": 1}, 10**310, object),
        *([JSON_NULL], {"a": [-(10**400)]}, {1.5}, [[[float("-inf")]]]),
        *(datetime(2024, 1, 1), {"a": {None: 1}}, _nested(json_nesting_max + 1), Decimal(1)),
    ),
}
"""Values that a column of this type refuses."""


def draw_wrong(rng: random.Random, column: Column) -> object:
    """A value that this column refuses; of a decimal often one that only just does not fit."""
    if column.type is Type.DECIMAL and rng.random() < 0.5:
        past = Decimal(10**column.precision).scaleb(-column.scale)
        between = Decimal(5).scaleb(-column.scale - 1)
        return rng.choice((past, -past, between, -between, past + between))
    return rng.choice(WRONG[column.type])


def draw(rng: random.Random, column: Column, *, for_key: bool = False) -> object:
    """A value of this column's type. For keys mostly near others, and never too long."""
    kind, special = column.type, rng.random() < 0.4
    if kind is Type.DECIMAL:
        return _decimal(rng, column, special, for_key)
    if kind is Type.UUID:
        if special:
            return rng.choice(UUIDS)
        return UUID(int=rng.randint(0, 40) << rng.choice((0, 64, 120)))
    if kind is Type.JSON:
        return _json(rng, special, for_key)
    if kind is Type.BOOL:
        return rng.random() < 0.5
    if kind is Type.INT:
        return rng.choice(INTS) if special else _number(rng, for_key)
    if kind is Type.FLOAT:
        if special:
            return rng.choice(FLOATS)
        number = _number(rng, for_key)
        return number / 4 if rng.random() < 0.8 else number
    if kind is Type.TEXT:
        if special:
            return rng.choice(TEXTS)
        many = _length(rng, for_key)
        return "".join(rng.choices("ab\0ä\U0001f98a" if for_key else "abcd\0äß🦊", k=many))
    if kind is Type.BYTES:
        if special:
            return rng.choice(BINARIES)
        return bytes(rng.choices(b"\0\x01a\xfe\xff", k=_length(rng, for_key)))
    if special:
        return rng.choice(TIMESTAMPS)
    if rng.random() < 0.3:
        return rng.randint(-1000, 1000)
    return EPOCH + rng.randint(-60, 60) * timedelta(days=rng.choice((0, 1, 400))) + MICROSECOND


def _decimal(rng: random.Random, column: Column, special: bool, for_key: bool) -> object:
    most = 10**column.precision - 1
    if special:
        units = rng.choice((0, 1, -1, most, -most, most - 1, 1 - most, most // 2))
    elif for_key or rng.random() < 0.7:
        units = max(-most, min(most, rng.randint(-20, 40)))
    else:
        units = rng.randint(-most, most)
    value = Decimal(units).scaleb(-column.scale)
    if column.scale == 0 and rng.random() < 0.5:
        return units
    return value.normalize() if rng.random() < 0.3 else value


def _json(rng: random.Random, special: bool, for_key: bool) -> object:
    if for_key:
        return rng.choice(JSONS[:20]) if special else {"k": rng.randint(-20, 40)}
    if special:
        return rng.choice(JSONS)
    if rng.random() < 0.02:
        return _nested(json_nesting_max)
    names = ["a", "b", "é", "\0", "z" * 30, ""]
    rng.shuffle(names)
    inner = [rng.choice(JSONS) if rng.random() < 0.5 else rng.randint(-99, 99) for _ in range(4)]
    inner = [None if value is JSON_NULL else value for value in inner]
    return dict(zip(names, inner, strict=False)) if rng.random() < 0.6 else inner


def too_long(rng: random.Random, kind: Type) -> object:
    """A text, bytes or JSON text that no key can hold."""
    return (b"\0" if kind is Type.BYTES else "ä") * rng.randint(512, 2000) * 2


def _number(rng: random.Random, for_key: bool) -> int:
    if for_key or rng.random() < 0.7:
        return rng.randint(-20, 40)
    return rng.randint(INT_MIN, INT_MAX) >> rng.randint(0, 63)


def _length(rng: random.Random, for_key: bool) -> int:
    if for_key:
        return rng.randint(0, 3)
    return rng.randint(0, 12) if rng.random() < 0.97 else rng.choice((63, 255, 1000, 5000))
