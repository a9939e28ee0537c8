"""Programs compute what sqlite3 computes, as far as both mean the same by the SQL."""

import sqlite3
from typing import Any

from hypothesis import given, note, settings
from hypothesis import strategies as st

from reifydb.sql.create_table import parse_schema
from reifydb.sql.expressions import BOOL, Kind
from reifydb.sql.programs import compile_program
from reifydb.sql.query import Select
from reifydb.sql.query_reader import read_query
from tests.unit.sql.interpreter import cell
from tests.unit.sql.machines import KernelMachine, Machine, twin

[CREATED] = parse_schema(
    "create table t (a int, b int, c int not null, s text, u text not null, p bool,"
    " k int primary key)"
)
TABLE = CREATED.table
KINDS = [Kind(column.type) for column in TABLE.columns]

small = st.integers(-9, 9)
ROWS = st.tuples(
    st.none() | small,
    st.none() | small,
    small,
    st.none() | st.text("abAB%_ ", max_size=4),
    st.text("abAB%_ ", max_size=4),
    st.none() | st.booleans(),
    small,
)


def _join(template: str, *parts: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.tuples(*parts).map(lambda found: template.format(*found))


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def ints(depth: int) -> st.SearchStrategy[str]:
    leaf = st.sampled_from(["a", "b", "c"]) | small.map(lambda n: f"({n})")
    if depth == 0:
        return leaf
    i, b, t = ints(depth - 1), bools(depth - 1), texts(depth - 1)
    return st.one_of(
        leaf,
        _join("({} + {})", i, i),
        _join("({} - {})", i, i),
        _join("({} * {})", i, i),
        _join("({} / nullif({}, 0))", i, i),
        _join("({} % nullif({}, 0))", i, i),
        _join("(- {})", i),
        _join("abs({})", i),
        _join("sign({})", i),
        _join("length({})", t),
        _join("coalesce({}, {}, {})", i, i, i),
        _join("nullif({}, {})", i, i),
        _join("case when {} then {} when {} then {} else {} end", b, i, b, i, i),
        _join("case {} when {} then {} end", i, i, i),
    )


def texts(depth: int) -> st.SearchStrategy[str]:
    leaf = st.sampled_from(["s", "u"]) | st.text("abAB ", max_size=3).map(_quoted)
    if depth == 0:
        return leaf
    i, b, t = ints(depth - 1), bools(depth - 1), texts(depth - 1)
    return st.one_of(
        leaf,
        _join("({} || {})", t, t),
        _join("lower({})", t),
        _join("upper({})", t),
        _join("trim({})", t),
        _join("ltrim({})", t),
        _join("rtrim({}, 'ab')", t),
        _join("replace({}, 'a', {})", t, t),
        _join("coalesce({}, {})", t, t),
        _join("cast({} as text)", i),
        _join("substr({}, {}, 2)", t, st.integers(1, 4).map(str)),
        _join("case when {} then {} else {} end", b, t, t),
    )


def bools(depth: int) -> st.SearchStrategy[str]:
    leaf = st.sampled_from(["p", "true", "false", "a < b", "s = u"])
    if depth == 0:
        return leaf
    i, b, t = ints(depth - 1), bools(depth - 1), texts(depth - 1)
    compare = st.sampled_from(["=", "<>", "<", "<=", ">", ">=", "is distinct from"])
    return st.one_of(
        leaf,
        _join("({} {} {})", i, compare, i),
        _join("({} {} {})", t, compare, t),
        _join("({} and {} and {})", b, b, b),
        _join("({} or {} or {})", b, b, b),
        _join("(not {})", b),
        _join("({} is null)", i),
        _join("({} is not null)", t),
        _join("({} is not distinct from {})", i, i),
        _join("({} between {} and {})", i, i, i),
        _join("({} not between {} and {})", i, i, i),
        _join("({} in ({}, {}, 3))", i, i, i),
        _join("({} not in ({}, {}))", i, i, i),
        _join("({} like {} escape '!')", t, st.text("ab%_", max_size=3).map(_quoted)),
        _join("({} not like 'a%' escape '!')", t),
    )


def theirs(connection: sqlite3.Connection, sql: str, row: tuple[Any, ...]) -> list[Any]:
    names = ", ".join(column.name for column in TABLE.columns)
    marks = ", ".join("?" * len(row))
    query = f"with t({names}) as (values ({marks})) {sql}"
    return list(connection.execute(query, row).fetchone())


def ours(machine: Machine, sql: str, row: tuple[Any, ...]) -> list[Any]:
    query = read_query(sql, lambda name: TABLE if name == "t" else None)
    assert isinstance(query, Select)
    program = compile_program([output.value for output in query.outputs], [0])
    cells = [(kind, cell(value, kind)) for value, kind in zip(row, KINDS, strict=True)]
    found = machine(program, [cells])
    return [value.decode() if isinstance(value, bytes) else value for value in found]


@settings(max_examples=300, deadline=None)
@given(
    st.lists(st.one_of(ints(2), texts(2), bools(2), ints(3), bools(3)), min_size=1, max_size=4),
    ROWS,
)
def test_programs_compute_what_sqlite_computes(
    kernel_machine: KernelMachine, expressions: list[str], row: tuple[Any, ...]
) -> None:
    sql = f"select {', '.join(expressions)} from t"
    note(sql)
    connection = sqlite3.connect(":memory:")
    connection.execute("pragma case_sensitive_like = on")
    try:
        expected = theirs(connection, sql, row)
    finally:
        connection.close()
    assert ours(twin, sql, row) == expected
    assert ours(kernel_machine, sql, row) == expected


def test_the_kinds_of_conditions_are_bool() -> None:
    query = read_query("select a < b as x from t", lambda name: TABLE)
    assert query.kinds == (BOOL,)
