"""Any instructions on any values: a program ends, with a row or a failure, and no harm is done.

The kernel does not know kinds: a program may take a word for a text. Nothing that is not there is
read then, and nothing traps.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import reifydb
from tests.unit.engine.programs import (
    BOOL,
    FLOAT,
    INT,
    JSON,
    NONE,
    OPS,
    TEXT,
    Evaluator,
    FailedError,
    Program,
    RefusedError,
    encode_row,
)

MIN, MAX = -(1 << 63), (1 << 63) - 1
INVALID_ROW = -5
VALUES = [
    (INT, None),
    (INT, 0),
    (INT, 3),
    (INT, -2),
    (INT, MIN),
    (INT, MAX),
    (INT, -1),
    (FLOAT, -1.5e300),
    (FLOAT, 0.25),
    (BOOL, True),
    (TEXT, ""),
    (TEXT, "2024-01-31 é🦊"),
    (TEXT, "12.5"),
    (JSON, {"a": [1, "x\n", {}], "é🦊": None}),
    (JSON, ["12.5"]),
]
FIRST, LAST = len(VALUES), len(VALUES) + 8
registers = st.integers(0, LAST - 1)
words = st.one_of(registers, st.integers(0, 36), st.just(NONE), st.integers(-18, 1 << 20))
instructions = st.lists(
    st.tuples(
        st.sampled_from(sorted(OPS)),
        st.integers(FIRST, LAST - 1),
        registers | st.sampled_from([0, 1]),
        registers | st.just(NONE),
        words,
    ),
    max_size=12,
)


@pytest.fixture(scope="module")
def run() -> Iterator[Evaluator]:
    with reifydb.open(":memory:") as db:
        yield Evaluator(db)
        assert db._kernel.verify() is None


def sound(at: int, instruction: tuple[str, int, int, int, int]) -> tuple[str, int, int, int, int]:
    """With an immediate that is more often one that the kernel takes."""
    op, dst, a, b, imm = instruction
    if op.startswith("jump"):
        return op, dst, a, b, at + 1
    if op.startswith("load"):
        return op, dst, a % 2, b, imm % 4
    return instruction


@settings(max_examples=300)
@given(instructions, st.lists(st.integers(0, len(VALUES) - 1), min_size=4, max_size=4))
def test_any_program_ends(
    run: Evaluator, made: list[tuple[str, int, int, int, int]], chosen: list[int]
) -> None:
    row = [VALUES[i] for i in chosen]
    program = Program(
        [sound(at, one) for at, one in enumerate(made)],
        parameters=VALUES,
        inputs=[row, row],
        outputs=[(register, INT) for register in range(FIRST, LAST)],
        registers=LAST,
    )
    rows = encode_row(VALUES) + 2 * encode_row(row)
    lines = program.instructions
    taken = []
    for line in lines:  # one by one, so that one that is refused does not hide the others
        program.instructions = [line] if not str(line[0]).startswith("jump") else [(*line[:4], 1)]
        if ended(run, program, rows) != INVALID_ROW:
            taken.append(line)
    program.instructions = [sound(at, line) for at, line in enumerate(taken)]  # type: ignore[arg-type]
    assert ended(run, program, rows) != INVALID_ROW


def ended(run: Evaluator, program: Program, rows: bytes) -> int:
    """0: with a row; else the kernel's code, or 1 for a failure."""
    try:
        run.run_bytes(program.encode(), rows)
    except RefusedError as error:
        return error.code
    except FailedError as error:
        return int(error.at < len(program.instructions))
    return 0
