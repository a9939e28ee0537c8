"""Types of values: how they are drawn, and how they look alike in ReifyDB and in sqlite3.

SQLite has bools as 0 and 1, decimals as whole numbers of their last digit, timestamps as
microseconds, uuids as bytes, JSON as its canonical text.
"""

from __future__ import annotations

import datetime
import json
import random
import uuid
from decimal import Decimal
from typing import NamedTuple

EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
TEXTS = (
    "",
    "a",
    "b",
    "A",
    "ab",
    "aB",
    "ä",
    "b_",
    "a%",
    "€uro",
    "x y",
    " x ",
    "null",
    "Ω\U0001f600",
)
BIG = (2**63 - 1, -(2**63), 2**62, 0, 1, -1)


class Kind(NamedTuple):
    """A type; the scale is that of a decimal."""

    name: str
    scale: int = 0

    @property
    def sql(self) -> str:
        """As a column has it."""
        return f"decimal(12,{self.scale})" if self.name == "decimal" else self.name


INT, BIGINT, BOOL, FLOAT, TEXT = (
    Kind("int"),
    Kind("bigint"),
    Kind("bool"),
    Kind("float"),
    Kind("text"),
)
TIMESTAMP, UUID, BYTES, JSON = Kind("timestamp"), Kind("uuid"), Kind("bytes"), Kind("json")
DECIMAL2, DECIMAL3 = Kind("decimal", 2), Kind("decimal", 3)
"""`bigint` is an int of any size, which nothing is computed of."""


def draw(rng: random.Random, kind: Kind) -> object:
    """A value, in Python's type; the same few come again and again."""
    match kind.name:
        case "int":
            return rng.randrange(-3, 8)
        case "bigint":
            return rng.choice(BIG)
        case "bool":
            return rng.random() < 0.5
        case "float":
            return rng.choice((0.0, -0.0, 0.5, 1.0, -1.5, 2.25, 1024.0, 0.0625, rng.randrange(9)))
        case "text":
            return rng.choice(TEXTS)
        case "decimal":
            units = rng.choice((0, 1, 5, -25, 100, 250, -1000, rng.randrange(-300, 300)))
            return Decimal(units).scaleb(-kind.scale)
        case "timestamp":
            return EPOCH + datetime.timedelta(
                days=rng.randrange(-2, 3), minutes=30 * rng.randrange(4)
            )
        case "uuid":
            return uuid.UUID(int=rng.randrange(4) << 64 | rng.randrange(2))
        case "bytes":
            return rng.choice((b"", b"\0", b"\0\1", b"\xff", b"ab"))
    return rng.choice(({"a": 1}, [1, None], "x", 3, 1.5, True, {"b": [], "a": "ä"}))


def mirrored(value: object, kind: Kind) -> object:
    """A value as sqlite3 has it."""
    if value is None:
        return None
    match kind.name:
        case "bool":
            return int(bool(value))
        case "float":
            return float(value) + 0.0  # type: ignore[arg-type]
        case "decimal":
            assert isinstance(value, Decimal)
            return int(value.scaleb(kind.scale))
        case "timestamp":
            assert isinstance(value, datetime.datetime)
            return (value - EPOCH) // datetime.timedelta(microseconds=1)
        case "uuid":
            assert isinstance(value, uuid.UUID)
            return value.bytes
        case "json":
            return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return value


def ours(value: object, kind: Kind) -> object:
    """A value of ReifyDB's as it is compared."""
    if value is None:
        return None
    match kind.name:
        case "decimal":
            assert isinstance(value, Decimal), value
            return str(value.normalize() + 0)
        case "float":
            assert isinstance(value, float), value
            return repr(value)
        case "int" | "bigint":
            assert type(value) is int, value
            return value
        case "bool":
            assert type(value) is bool, value
    return mirrored(value, kind)


def theirs(value: object, kind: Kind) -> object:
    """A value of sqlite3's as it is compared."""
    if value is None:
        return None
    match kind.name:
        case "decimal":
            assert isinstance(value, int), value
            return str(Decimal(value).scaleb(-kind.scale).normalize() + 0)
        case "float":
            assert isinstance(value, float), value
            return repr(value + 0.0)
    return value


def literal(value: object, kind: Kind) -> tuple[str, str]:
    """A value in ReifyDB's SQL and in SQLite's."""
    if value is None:
        return "null", "null"
    other = mirrored(value, kind)
    match kind.name:
        case "int" | "bigint":
            return (f"({value})",) * 2 if value != BIG[1] else ("(-9223372036854775807 - 1)",) * 2
        case "bool":
            return str(value).lower(), str(other)
        case "float":
            return f"cast({float(value)!r} as float)", f"({float(value) + 0.0!r})"  # type: ignore[arg-type]
        case "text":
            quoted = "'" + str(value).replace("'", "''") + "'"
            return quoted, quoted
        case "decimal":
            return f"cast({value} as decimal(12,{kind.scale}))", f"({other})"
        case "timestamp":
            return f"timestamp '{value:%Y-%m-%d %H:%M:%S+00}'", f"({other})"
        case "uuid":
            assert isinstance(other, bytes)
            return f"uuid '{value}'", f"x'{other.hex()}'"
    assert kind.name == "json", kind
    quoted = "'" + str(other).replace("'", "''") + "'"
    return f"cast({quoted} as json)", quoted
