"""Programs in the kernel: what each operation gives, and that none harms the kernel."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from itertools import product

import pytest

import reifydb
from reifydb.config import program_instructions_max, program_registers_max
from tests.unit.engine.programs import (
    BOOL,
    FLOAT,
    INT,
    OPS,
    TEXT,
    Evaluator,
    FailedError,
    Program,
    RefusedError,
    decimal,
)


@pytest.fixture(scope="module")
def run() -> Iterator[Evaluator]:
    with reifydb.open(":memory:") as db:
        yield Evaluator(db)
        assert db._kernel.verify() is None


INVALID_ROW = -5
COUNT = OPS["add"]


# ---------------------------------------------------------------- the machine


def test_a_program_reads_rows_constants_and_parameters(run: Evaluator) -> None:
    program = Program(
        [
            ("load_word", 3, 0, 0, 1),
            ("add", 3, 3, 0),
            ("load_tail", 4, 1, 0, 0),
            ("add", 5, 3, 1),
        ],
        constants=[(INT, 10)],
        parameters=[(INT, 100), (TEXT, "as given")],
        inputs=[[(TEXT, "skipped"), (INT, 1)], [(TEXT, "a text"), (INT, None)]],
        outputs=[(3, INT), (4, TEXT), (2, TEXT), (5, INT), (0, INT)],
    )
    assert run(program) == (11, "a text", "as given", 111, 10)


def test_a_row_may_have_more_columns_than_the_program_needs(run: Evaluator) -> None:
    row = [(INT, i if i % 3 else None) for i in range(40)]
    loads = [("load_word", i, 0, 0, i) for i in range(20)]
    program = Program(loads, outputs=[(i, INT) for i in range(20)], inputs=[row], needed=[20])
    assert run(program) == tuple(value for _, value in row[:20])


def test_a_filter(run: Evaluator) -> None:
    def kept(a: int | None, b: int | None) -> object:
        program = Program(
            [
                ("load_word", 2, 0, 0, 0),
                ("eq_word", 2, 2, 0),
                ("load_word", 3, 0, 0, 1),
                ("gt_word", 3, 3, 1),
                ("and", 2, 2, 3),
            ],
            constants=[(INT, 5), (INT, 10)],
            inputs=[[(INT, a), (INT, b)]],
            outputs=[(2, BOOL)],
        )
        return run(program)[0]

    assert kept(5, 11) is True
    assert kept(5, 10) is False
    assert kept(4, None) is False
    assert kept(5, None) is None
    assert kept(None, 10) is False


@pytest.mark.parametrize("value", [None, False, True])
@pytest.mark.parametrize(
    ("op", "taken"),
    [
        ("jump", {None, False, True}),
        ("jump_if_false", {False}),
        ("jump_if_true", {True}),
        ("jump_unless", {None, False}),
        ("jump_if_null", {None}),
        ("jump_if_value", {False, True}),
    ],
)
def test_a_jump_is_taken(
    run: Evaluator, op: str, taken: set[bool | None], value: bool | None
) -> None:
    program = Program(
        [("move", 3, 1), (op, 0, 0, 0, 3), ("move", 3, 2)],
        parameters=[(BOOL, value), (TEXT, "taken"), (TEXT, "not taken")],
        outputs=[(3, TEXT)],
    )
    assert run(program) == ("taken" if value in taken else "not taken",)


def test_and_or_not_have_three_values(run: Evaluator) -> None:
    truth = (False, None, True)
    for a, b in product(truth, truth):
        both = run.op("and", BOOL, (BOOL, a), (BOOL, b))
        either = run.op("or", BOOL, (BOOL, a), (BOOL, b))
        assert both == truth[min(truth.index(a), truth.index(b))]
        assert either == truth[max(truth.index(a), truth.index(b))]
    assert [run.op("not", BOOL, (BOOL, a)) for a in truth] == [True, None, False]


def test_null_is_a_value_to_those_that_ask(run: Evaluator) -> None:
    for value in (None, 0, 1):
        assert run.op("is_null", BOOL, (INT, value)) is (value is None)
        assert run.op("is_value", BOOL, (INT, value)) is (value is not None)
    for kind, a, b in ((INT, 0, 1), (FLOAT, 0.0, 1.5), (TEXT, "", "x")):
        op = {INT: "same_word", FLOAT: "same_float", TEXT: "same_tail"}[kind]
        for x, y in product((None, a, b), repeat=2):
            assert run.op(op, BOOL, (kind, x), (kind, y)) is (x == y)
    cleared = Program([("set_null", 1)], parameters=[(INT, 5)], outputs=[(1, INT)])
    assert run(cleared) == (None,)


def test_a_failure_tells_where(run: Evaluator) -> None:
    program = Program(
        [("move", 2, 0), ("div", 3, 0, 1)], parameters=[(INT, 1), (INT, 0)], outputs=[(3, INT)]
    )
    with pytest.raises(FailedError) as caught:
        run(program)
    assert (caught.value.name, caught.value.at) == ("DivisionByZero", 1)


def test_an_output_that_may_not_be_null(run: Evaluator) -> None:
    program = Program([], parameters=[(INT, None)], outputs=[(0, INT)], required=[0])
    with pytest.raises(RefusedError) as caught:
        run(program)
    assert caught.value.code == -4
    assert run.kernel.control.fault_column == 0


# ---------------------------------------------------------------- malformed programs


def refused(run: Evaluator, program: Program) -> None:
    with pytest.raises(RefusedError) as caught:
        run(program)
    assert caught.value.code == INVALID_ROW


@pytest.mark.parametrize(
    "instruction",
    [
        ("add", 3, 0, 4),
        ("add", 3, 4, 0),
        ("add", 4, 0, 0),
        ("add", 0, 1, 1),  # a constant stays
        ("add", 1, 0, 0),  # and so does a parameter
        ("jump", 0, 0, 0, 0),
        ("jump", 0, 0, 0, -1),
        ("jump", 0, 0, 0, 2),
        ("jump_if_true", 0, 9, 0, 1),
        ("load_word", 3, 1, 0, 0),
        ("load_word", 3, 0, 0, 2),
        ("load_word", 3, 0, 0, -1),
        ("load_tail", 3, 0, 0, 1 << 40),
        ("fit", 3, 0, 0, 0),
        ("fit", 3, 0, 0, 19),
        ("scale_up", 3, 0, 0, 19),
        ("scale_down", 3, 0, 0, -1),
        ("mul_decimal", 3, 0, 0, 37),
        ("div_decimal", 3, 0, 0, -19),
        ("float_to_decimal", 3, 0, 0, 19),
        *((n, 3, 0, 0, 1) for n in (15, 19, 41, 49, 58, 68, 86, 99, 255, 256, 65535)),
    ],
    ids=str,
)
def test_a_number_that_is_out_of_its_range(run: Evaluator, instruction: tuple[object, ...]) -> None:
    refused(
        run,
        Program(
            [instruction],
            constants=[(INT, 1)],
            parameters=[(INT, 1)],
            inputs=[[(INT, 1), (INT, 2)]],
            outputs=[(2, INT)],
            registers=4,
        ),
    )


def test_a_head_that_is_wrong(run: Evaluator) -> None:
    refused(run, Program([], outputs=[(0, INT)], registers=0))
    refused(run, Program([], outputs=[(0, INT)], registers=1025))
    refused(run, Program([], constants=[(INT, 1)], registers=0))
    refused(run, Program([], reserved=1))
    refused(run, Program([], outputs=[(0, INT)] * 257))
    good = Program([], constants=[(INT, 1)], outputs=[(0, INT)])
    assert run(good) == (1,)
    encoded = bytearray(good.encode())
    for wrong in (0, 7, 64, 83, 255):
        for place in (18, 20):  # the output's type, the constant's
            broken = bytearray(encoded)
            broken[place] = wrong
            with pytest.raises(RefusedError):
                run.run_bytes(bytes(broken), bytes([8, *bytes(7)]))


def test_the_longest_program(run: Evaluator) -> None:
    steps = [("add", 1, 1, 0)] * program_instructions_max
    registers = program_registers_max
    program = Program(
        [("move", 1, 0), *steps[1:]], [(INT, 1)], outputs=[(1, INT)], registers=registers
    )
    assert run(program) == (program_instructions_max,)
    program.instructions = [*program.instructions, ("move", 1, 0)]
    refused(run, program)


def test_a_program_that_is_cut_or_too_long(run: Evaluator) -> None:
    program = Program(
        [("load_tail", 2, 0, 0, 0), ("eq_tail", 3, 2, 0)],
        constants=[(TEXT, "wanted"), (decimal(5), 7)],
        inputs=[[(TEXT, "wanted")]],
        outputs=[(3, BOOL)],
    )
    assert run(program) == (True,)
    encoded = program.encode()
    rows = bytes([8, *bytes(7)])
    for length in range(len(encoded)):
        with pytest.raises(RefusedError):
            run.run_bytes(encoded[:length], rows)
    with pytest.raises(RefusedError):
        run.run_bytes(encoded + bytes(8), rows)
    with pytest.raises(RefusedError):
        run.run_bytes(encoded, rows)  # without its input


def test_an_input_that_is_too_short(run: Evaluator) -> None:
    load = [("load_tail", 0, 0, 0, 0)]
    refused(run, Program(load, inputs=[[(TEXT, "x")]], needed=[2], outputs=[(0, TEXT)]))
    program = Program(load, inputs=[[(TEXT, "x")]], outputs=[(0, TEXT)])
    parameters = struct.pack("<IHH", 8, 0, 0)
    for offset, length in ((17, 8), (0xFFFFFFFF, 1), (17, 0xFFFFFFFF)):
        row = struct.pack("<IHHIIQ", 24, 1, 0, offset, length, 0)
        with pytest.raises(RefusedError):
            run.run_bytes(program.encode(), parameters + row)


def test_broken_bytes_do_no_harm(run: Evaluator) -> None:
    program = Program(
        [
            ("load_tail", 3, 0, 0, 0),
            ("eq_tail", 4, 3, 0),
            ("jump_unless", 0, 4, 0, 5),
            ("load_word", 5, 0, 0, 1),
            ("mul_decimal", 5, 5, 1, 2),
            ("fit", 5, 5, 0, 9),
        ],
        constants=[(TEXT, "wanted"), (decimal(5, 2), 7)],
        parameters=[(INT, 3)],
        inputs=[[(TEXT, "wanted"), (INT, 40)]],
        outputs=[(5, decimal(9, 2))],
    )
    assert run(program) is not None
    encoded = program.encode()
    rows = struct.pack("<IHHQQ", 24, 1, 0, 3, 0)
    rows += struct.pack("<IHHIIqQ", 32, 2, 0, 25, 6, 40, 0)[:25] + b"wanted\0"
    run.run_bytes(encoded, rows)
    ended = 0
    for at in range(len(encoded)):
        for wrong in (0, 1, 0x7F, 0x80, 0xFF):
            broken = bytearray(encoded)
            broken[at] = wrong
            try:
                run.run_bytes(bytes(broken), rows)
            except (RefusedError, FailedError):
                ended += 1
    assert ended > 100
    assert run.kernel.verify() is None
