"""What programs compute, and how they fail."""

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reifydb.engine.catalog import Table, Type
from reifydb.errors import SqlError
from reifydb.sql.expressions import (
    INT,
    TEXT,
    ColumnRef,
    Constant,
    Expression,
    Kind,
    Operation,
    walk,
)
from reifydb.sql.kinds import arithmetic_kind
from reifydb.sql.opcodes import OPCODES
from reifydb.sql.programs import Program, compile_program
from reifydb.sql.query import Select
from reifydb.sql.query_reader import read_query
from tests.unit.engine.programs import OPS
from tests.unit.sql.interpreter import Cell, FailureError, cell, half_away, instructions
from tests.unit.sql.machines import KernelMachine, Machine, twin


def compiled(sql: str, tables: dict[str, Table]) -> tuple[Select, Program]:
    query = read_query(sql, tables.get)
    assert isinstance(query, Select)
    outputs = [output.value for output in query.outputs]
    return query, compile_program(outputs, range(len(query.inputs)), query.parameters)


def value_of(expression: str, machine: Machine) -> object:
    """The value of an expression without columns."""
    query, program = compiled(f"select {expression}", {})
    [found], [kind] = machine(program), query.kinds
    if found is None:
        return None
    if kind.type is Type.BOOL:
        return bool(found)
    if kind.type is Type.DECIMAL:
        assert isinstance(found, int)
        return Decimal(found).scaleb(-kind.scale)
    return found.decode() if isinstance(found, bytes) and kind.type is not Type.UUID else found


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("7 / 2", 3),
        ("-7 / 2", -3),
        ("-7 % 3", -1),
        ("7.0 / 2", Decimal("3.500000")),
        ("2.0 / 3", Decimal("0.666667")),
        ("1.25 * 1.5", Decimal("1.875")),
        ("1.5 + 1", Decimal("2.5")),
        ("1.5 + 1e0", 2.5),
        ("1 < 1.5", True),
        ("1.5 = 1.50", True),
        ("9223372036854775807 > 0.000000000000000001", True),
        ("9223372036854775807 = 0.5", False),
        ("9223372036854775807 <> 0.5", True),
        ("-9223372036854775808 < 0.5", True),
        ("9223372036854775807 is not distinct from 0.5", False),
        ("1.5 in (1, 1.5, 1e0)", True),
        ("1 in (2, null)", None),
        ("1 not in (1, null)", False),
        ("null and false", False),
        ("null and 1 / 1 = 2", False),
        ("null and nullif(1, 1) / 1 = 2 and 1 / 1 = 2", False),
        ("null or 1 / 1 = 1", True),
        ("null or false", None),
        ("false and 1 / 0 = 1", False),
        ("true or 1 / 0 = 1", True),
        ("true and (false or (true and false))", False),
        ("case when false then 1 / 0 else 5 end", 5),
        ("coalesce(1, 1 / 0)", 1),
        ("coalesce(null, 2)", 2),
        ("coalesce(null, null)", None),
        ("greatest(1, null, 3.5, 2)", Decimal("3.5")),
        ("least(null, null)", None),
        ("least('b', 'a')", "a"),
        ("nullif(1, 1)", None),
        ("nullif(1, 2)", 1),
        ("cast(2.5 as int)", 3),
        ("cast(-2.5 as int)", -3),
        ("cast(2.5e0 as int)", 2),
        ("1.005::decimal(10,2)", Decimal("1.01")),
        ("'1.005'::decimal(10,2)", Decimal("1.01")),
        ("' 12 '::int", 12),
        ("'yes'::bool", True),
        ("1::bool", True),
        ("true::text", "true"),
        ("1.0e0::text", "1"),
        ("1.50::text", "1.50"),
        ("'{\"a\": 1}'::json::text", '{"a":1}'),
        ("timestamp '2024-01-31 12:00:00'::text::text || ''", "2024-01-31 12:00:00+00"),
        ("(timestamp '2024-01-31 12:00:00')::text", "2024-01-31 12:00:00+00"),
        ("(timestamp '2024-01-31' + interval '1 month')::text", "2024-02-29 00:00:00+00"),
        ("(timestamp '2024-03-31' - interval '1 month 1 hour')::text", "2024-02-28 23:00:00+00"),
        ("timestamp '2024-01-02' - timestamp '2024-01-01' = interval '1 day'", True),
        ("interval '1 minute' * 90 = interval '1:30:00'", True),
        ("extract(epoch from interval '1.5 seconds')", Decimal("1.500000")),
        ("extract(second from timestamp '2024-01-01 00:00:01.5')", Decimal("1.500000")),
        ("'a%b' like 'a!%b' escape '!'", True),
        ("'a%b' like 'a\\%b'", True),
        ("'aXb' ilike 'A_B'", True),
        ("'a\\b' like 'a\\b' escape ''", True),
        ("'{\"a\": [1, \"x\", null]}'::json -> 'a' ->> 1", "x"),
        ("'{\"a\": [1, \"x\", null]}'::json -> 'a' ->> 2", None),
        ("'{\"a\": [1, \"x\", null]}'::json -> 'a' ->> -3", "1"),
        ("coalesce('{}'::json -> 'a', '[7]'::json -> 0)::text", "7"),
        ("round(2.345, 2)", Decimal("2.35")),
        ("trunc(-2.345, 2)", Decimal("-2.34")),
        ("floor(-2.5)", Decimal(-3)),
        ("ceil(2.5)", Decimal(3)),
        ("round(2.5e0)", 2.0),
        ("2 ^ 3", 8.0),
        ("substring('hello' from 2 for 3)", "ell"),
        ("substring('hello' for 2)", "he"),
        ("trim(leading 'x' from 'xxaxx')", "axx"),
        ("position('l' in 'hello')", 3),
        ("concat('a', null, 1, true)", "a1true"),
        ("true is not true", False),
        ("null is true", False),
        ("not null", None),
        ("- (- 5)", 5),
    ],
)
def test_expressions_have_these_values(machine: Machine, expression: str, expected: object) -> None:
    assert value_of(expression, machine) == expected


@pytest.mark.parametrize(
    ("expression", "name", "at"),
    [
        ("1 + 1 / 0", "DivisionByZero", 4),
        ("9223372036854775807 + 1", "OutOfRange", 0),
        ("1.0 / 0", "DivisionByZero", 0),
        ("1e0 / 0", "DivisionByZero", 0),
        ("999999999999999999 * 10.0", "OutOfRange", 0),
        ("length(('x' || 'y')::int::text)", "InvalidText", 8),
        ("1e308 * 10", "NotFinite", 0),
        ("sqrt(-1)", "OutOfRange", 0),
        ("100::decimal(2,0)", "OutOfRange", 0),
    ],
)
def test_what_fails_knows_its_place(machine: Machine, expression: str, name: str, at: int) -> None:
    prefix = "select "
    _, program = compiled(prefix + expression, {})
    with pytest.raises(FailureError) as caught:
        machine(program)
    assert caught.value.name == name
    assert program.places[caught.value.at] == at + len(prefix)


# ------------------------------------------------------------------ decimals


@st.composite
def decimals(draw: st.DrawFn) -> Constant:
    precision = draw(st.integers(1, 18))
    kind = Kind(Type.DECIMAL, precision, draw(st.integers(0, precision)))
    bound = 10**precision - 1
    return Constant(draw(st.integers(-bound, bound)), kind)


def numbers() -> st.SearchStrategy[Constant]:
    ints = st.integers(-(1 << 63), (1 << 63) - 1) | st.integers(-99, 99)
    return decimals() | ints.map(lambda n: Constant(n, Kind(Type.INT)))


def exact(constant: Constant) -> Fraction:
    assert isinstance(constant.value, int)
    return Fraction(constant.value, 10**constant.kind.scale)


def as_columns(*constants: Constant) -> tuple[list[Expression], list[tuple[Kind, Cell]]]:
    """The same as columns, so that nothing is known of their values."""
    columns: list[Expression] = [
        ColumnRef(0, i, "c", constant.kind, False) for i, constant in enumerate(constants)
    ]
    return columns, [(constant.kind, constant.value) for constant in constants]  # type: ignore[misc]


def same(kernel: KernelMachine, program: Program, row: list[tuple[Kind, Cell]]) -> Cell:
    """What both machines compute; None where both fail in the same way."""
    found: list[object] = []
    for machine in (twin, kernel):
        try:
            found.append(machine(program, [row]))
        except FailureError as error:
            found.append((error.name, error.at))
    assert found[0] == found[1], "the kernel and its twin"
    return found[0][0] if isinstance(found[0], list) else None


@settings(max_examples=500, deadline=None)
@given(numbers(), numbers(), st.sampled_from(["eq", "ne", "lt", "le", "gt", "ge", "same"]))
def test_numbers_are_compared_exactly_and_never_fail(
    kernel_machine: KernelMachine, a: Constant, b: Constant, op: str
) -> None:
    args, row = as_columns(a, b)
    program = compile_program([Operation(op, tuple(args), Kind(Type.BOOL), False)], [0])
    x, y = exact(a), exact(b)
    expected = {"eq": x == y, "same": x == y, "ne": x != y, "lt": x < y, "le": x <= y}
    expected |= {"gt": x > y, "ge": x >= y}
    assert same(kernel_machine, program, row) == int(expected[op])


@settings(max_examples=500, deadline=None)
@given(decimals(), numbers(), st.sampled_from(["add", "sub", "mul", "div", "mod"]), st.booleans())
def test_decimals_compute_exactly_or_fail(
    kernel_machine: KernelMachine, a: Constant, b: Constant, op: str, turn: bool
) -> None:
    a, b = (b, a) if turn else (a, b)
    args, row = as_columns(a, b)
    kind = arithmetic_kind(op, args[0], args[1])
    assert kind is not None
    program = compile_program([Operation(op, tuple(args), kind, False)], [0])
    x, y = exact(a), exact(b)
    found = same(kernel_machine, program, row)
    if y == 0 and op in ("div", "mod"):
        assert found is None, "scaling may fail first"
        return
    whole = {"add": x + y, "sub": x - y, "mul": x * y}
    if op == "div":
        wanted = x / y
    elif op == "mod":
        quotient = abs(x) // abs(y)
        wanted = x - y * (quotient if (x < 0) == (y < 0) else -quotient)
    else:
        wanted = whole[op]
    units = half_away(wanted * 10**kind.scale)
    if found is None:
        operands = [abs(value) * 10**kind.scale for value in (x, y)]
        assert max(abs(units), *operands) >= 10**18, "fails only where something does not fit"
    else:
        assert found == units
        assert abs(units) < 10**kind.precision


# ------------------------------------------------------------------ shape


def test_a_column_is_loaded_once(tables: dict[str, Table]) -> None:
    _, program = compiled("select id + id, id * 2, id from item", tables)
    assert [code[0] for code in instructions(program)].count("load_word") == 1


def test_temporaries_are_used_again() -> None:
    long = " + ".join(["1"] * 100)
    _, program = compiled(f"select {long}", {})
    assert int.from_bytes(program.encoded[4:6], "little") < 8


def test_the_columns_that_are_needed_are_counted(tables: dict[str, Table]) -> None:
    sql = "select p.n from item join part as p on p.item_id = item.id where ok"
    _, program = compiled(sql, tables)
    assert program.columns_needed == (0, 3)


def test_inputs_are_those_that_are_given(tables: dict[str, Table]) -> None:
    query, _ = compiled("select p.label from item join part as p on true", tables)
    program = compile_program([query.outputs[0].value], [1])
    assert twin(program, [[(INT, 1), (INT, 2), (INT, 3), (TEXT, b"x")]]) == [b"x"]


def test_parameters_are_registers(machine: Machine, tables: dict[str, Table]) -> None:
    query, program = compiled("select name || :x, price > :y from item", tables)
    assert query.parameter_names == ("x", "y")
    assert [kind.sql for kind in query.parameters] == ["text", "decimal(10,2)"]
    given = [
        (kind, cell(value, kind))
        for kind, value in zip(query.parameters, ["!", Decimal("1.5")], strict=True)
    ]
    row: list[tuple[Kind, Cell]] = [(INT, 1), (TEXT, b"a"), (query.parameters[1], 200)]
    assert machine(program, [row], given) == [b"a!", 1]


def test_what_is_too_large_is_refused() -> None:
    listed = ", ".join(map(str, range(300)))
    with pytest.raises(SqlError, match="300 different constants of at most 256"):
        compiled(f"select 1 in ({listed})", {})


def test_a_tree_can_be_walked() -> None:
    query, _ = compiled("select case when 1 = 1 then 'a' else 'b' end", {})
    assert sum(isinstance(node, Constant) for node in walk(query.outputs[0].value)) == 4


def test_instructions_have_the_kernels_numbers() -> None:
    assert OPCODES == OPS
