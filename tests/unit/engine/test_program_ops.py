"""What each operation of a program gives, case by case."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

import reifydb
from tests.unit.engine.programs import (
    BOOL,
    BYTES,
    FLOAT,
    INT,
    JSON,
    NONE,
    OPS,
    TEXT,
    TIMESTAMP,
    UUID,
    Evaluator,
    FailedError,
    Program,
    RefusedError,
    decimal,
)

D = decimal(18)
ESCAPE = ord("\\") << 8
LONG = "x" * (1 << 20)
ID = "00112233-4455-6677-8899-aabbccddeeff"


@pytest.fixture(scope="module")
def run() -> Iterator[Evaluator]:
    with reifydb.open(":memory:") as db:
        yield Evaluator(db)
        assert db._kernel.verify() is None


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


CASES = [
    ("sign", INT, 0, [(INT, -9)], -1),
    ("fit", D, 3, [(D, 999)], 999),
    ("fit", D, 3, [(D, -1000)], "OutOfRange"),
    ("scale_up", D, 2, [(D, -5)], -500),
    ("scale_up", D, 18, [(D, 10)], "OutOfRange"),
    ("mod_float", FLOAT, 0, [(FLOAT, -7.5), (FLOAT, 2.0)], -1.5),
    ("div_float", FLOAT, 0, [(FLOAT, 1.0), (FLOAT, 0.0)], "DivisionByZero"),
    ("mul_float", FLOAT, 0, [(FLOAT, 1e200), (FLOAT, 1e200)], "NotFinite"),
    ("mul_float", FLOAT, 0, [(FLOAT, -1.0), (FLOAT, 0.0)], 0.0),
    ("sqrt", FLOAT, 0, [(FLOAT, 2.25)], 1.5),
    ("ln", FLOAT, 0, [(FLOAT, 0.0)], "OutOfRange"),
    ("power", FLOAT, 0, [(FLOAT, 2.0), (FLOAT, -1.0)], 0.5),
    ("int_to_bool", BOOL, 0, [(INT, -3)], True),
    ("bool_to_int", INT, 0, [(BOOL, True)], 1),
    ("bool_to_text", TEXT, 0, [(BOOL, False)], "false"),
    ("uuid_to_text", TEXT, 0, [(UUID, uuid.UUID(ID))], ID),
    ("timestamp_to_text", TEXT, 0, [(TIMESTAMP, at("2024-01-31 12:00"))], "2024-01-31 12:00:00+00"),
    ("float_to_text", TEXT, 0, [(FLOAT, 1.0)], "1"),
    ("decimal_to_text", TEXT, 2, [(D, -5)], "-0.05"),
    ("text_to_bool", BOOL, 0, [(TEXT, " Yes ")], True),
    ("text_to_uuid", UUID, 0, [(TEXT, ID.upper())], uuid.UUID(ID)),
    ("text_to_json", JSON, 0, [(TEXT, '{"b": 1, "a": [ ]}')], {"a": [], "b": 1}),
    ("text_to_json", JSON, 0, [(TEXT, "{")], "InvalidText"),
    ("text_to_json", JSON, 0, [(TEXT, f'"{LONG}"')], "TextTooLong"),
    ("concat", BYTES, 0, [(BYTES, b"\xff"), (BYTES, b"\x00")], b"\xff\x00"),
    ("lower", TEXT, 0, [(TEXT, "AbZ[É")], "abz[É"),
    ("upper", TEXT, 0, [(TEXT, "abz{é")], "ABZ{é"),
    ("octet_length", INT, 0, [(BYTES, b"\xff\x00")], 2),
    ("octet_length", INT, 0, [(TEXT, "é")], 2),
    ("substr", TEXT, 0, [(TEXT, "hello"), (INT, 2), None], "ello"),
    ("substr", TEXT, 0, [(TEXT, "hello"), (INT, 2), (INT, -1)], "OutOfRange"),
    ("trim", TEXT, 3, [(TEXT, "  a b  "), None], "a b"),
    ("trim", TEXT, 1, [(TEXT, "xyxa"), (TEXT, "yx")], "a"),
    ("trim", TEXT, 2, [(TEXT, "aéé"), (TEXT, "é")], "a"),
    ("like", BOOL, ESCAPE, [(TEXT, "50%"), (TEXT, "%\\%")], True),
    ("like", BOOL, ESCAPE, [(TEXT, "50"), (TEXT, "50\\")], "InvalidText"),
    ("like", BOOL, ESCAPE | 1, [(TEXT, "ABC"), (TEXT, "_b%")], True),
    ("repeat", TEXT, 0, [(TEXT, "ab"), (INT, 3)], "ababab"),
    ("repeat", TEXT, 0, [(TEXT, "ab"), (INT, -1)], ""),
    ("repeat", TEXT, 0, [(TEXT, "ab"), (INT, (1 << 23) + 1)], "TextTooLong"),
    ("lpad", TEXT, 0, [(TEXT, "7"), (INT, 3), (TEXT, "0")], "007"),
    ("rpad", TEXT, 0, [(TEXT, "abc"), (INT, 2), (TEXT, "0")], "ab"),
    ("date_trunc", TIMESTAMP, 6, [(TIMESTAMP, at("2024-03-03 10:00"))], at("2024-02-26")),
    ("extract", INT, 6, [(TIMESTAMP, at("2024-03-03"))], 0),
    ("extract", INT, 7, [(TIMESTAMP, at("2024-03-03"))], 7),
    ("add_months", TIMESTAMP, 0, [(TIMESTAMP, at("2024-01-31")), (INT, 1)], at("2024-02-29")),
    ("json_get", JSON, 0, [(JSON, {"a": {"b": 1}}), (TEXT, "a")], {"b": 1}),
    ("json_get", JSON, 0, [(JSON, [1]), (TEXT, "a")], None),
    ("json_at", JSON, 0, [(JSON, [1, "x"]), (INT, -1)], "x"),
    ("json_at", JSON, 0, [(JSON, {"0": 1}), (INT, 0)], None),
    ("json_text", TEXT, 0, [(JSON, "a\n")], "a\n"),
    ("json_text", TEXT, 0, [(JSON, reifydb.JSON_NULL)], None),
    ("json_text", TEXT, 0, [(JSON, [1, True])], "[1,true]"),
    ("json_length", INT, 0, [(JSON, {"a": 1, "b": 2})], 2),
    ("json_length", INT, 0, [(JSON, "ab")], None),
    ("json_type", TEXT, 0, [(JSON, 1.5)], "number"),
]


@pytest.mark.parametrize(("op", "kind", "imm", "operands", "expected"), CASES)
def test_an_operation(
    run: Evaluator, op: str, kind: object, imm: int, operands: list[object], expected: object
) -> None:
    failures = ("DivisionByZero", "OutOfRange", "InvalidText", "TextTooLong", "NotFinite")
    if expected in failures:
        with pytest.raises(FailedError) as caught:
            run.op(op, kind, *operands, imm=imm)  # type: ignore[arg-type]
        assert caught.value.name == expected
    else:
        assert run.op(op, kind, *operands, imm=imm) == expected  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("op", "imm"),
    [
        ("decimal_to_text", 19),
        ("text_to_decimal", -1),
        ("trim", 0),
        ("trim", 4),
        ("like", -1),
        ("like", 0x110000 << 8),
        ("date_trunc", 0),
        ("date_trunc", 10),
        ("extract", 0),
        ("extract", 16),
        ("substr", 3),
        ("replace", NONE),
        ("lpad", 2),
    ],
)
def test_an_immediate_that_means_nothing(run: Evaluator, op: str, imm: int) -> None:
    program = Program([(op, 1, 0, 0, imm)], parameters=[(TEXT, "x")], outputs=[(1, TEXT)])
    with pytest.raises(RefusedError):
        run(program)


# ---------------------------------------------------------------- null

FLOW = {"move", "set_null", "is_null", "is_value", "and", "or", "not"}
TERNARY = {"substr", "replace", "lpad", "rpad"}
BINARY = TERNARY.union(
    "add sub mul div mod mul_decimal div_decimal power concat trim position like".split(),
    "add_float sub_float mul_float div_float mod_float starts_with left right repeat".split(),
    "add_months json_get json_at".split(),
    (f"{op}_{kind}" for op in "eq ne lt le gt ge".split() for kind in ("word", "float", "tail")),
)
PROPAGATING = [op for op in OPS if op not in FLOW and not op.startswith(("jump", "load", "same"))]


@pytest.mark.parametrize("op", PROPAGATING)
def test_null_makes_null(run: Evaluator, op: str) -> None:
    """Whichever operand it is. What kind the others have plays no role then."""
    assert set(PROPAGATING) > BINARY
    arity = 3 if op in TERNARY else 2 if op in BINARY else 1
    for null_at in range(arity):
        registers = [1, 1, 1]
        registers[null_at] = 0
        program = Program(
            [(op, 2, registers[0], registers[1], registers[2] if op in TERNARY else 1)],
            parameters=[(INT, None), (INT, 1)],
            outputs=[(2, INT)],
        )
        assert run(program) == (None,)
