"""The kernel and its twin compute the same, or fail in the same way, whatever the expression."""

from __future__ import annotations

from typing import Any

from hypothesis import given, note, settings
from hypothesis import strategies as st

from reifydb.engine.values import INT_MAX, INT_MIN
from reifydb.sql.checks import canonical, read_check
from reifydb.sql.create_table import parse_schema
from reifydb.sql.expressions import column_kind
from reifydb.sql.programs import compile_program
from reifydb.sql.query import Select
from reifydb.sql.query_reader import read_query
from tests.unit.sql.interpreter import Cell, FailureError, cell
from tests.unit.sql.machines import KernelMachine, Machine, twin

[MADE] = parse_schema(
    "create table t (k int primary key, i int, j int not null, d decimal(10,2), e decimal(18,6),"
    " f float, s text, u text not null, b bool, at timestamp, til timestamp not null, doc json)"
)
TABLE = MADE.table
KINDS = [column_kind(column) for column in TABLE.columns]

YEARS = st.integers(-2_000_000_000_000_000, 8_000_000_000_000_000)
ints = st.integers(-9, 9) | st.integers(INT_MIN, INT_MAX) | st.sampled_from([INT_MIN, INT_MAX, 0])
floats = st.floats(allow_nan=False, allow_infinity=False) | st.sampled_from([0.0, 0.5, 1.5, -2.5])
texts = st.text("abAB%_\\é€ 01.-:t", max_size=8) | st.sampled_from(["12", "-1.5", "true", "1e3"])
json_values: st.SearchStrategy[Any] = st.recursive(
    st.booleans() | st.integers(-99, 99) | st.text("ab", max_size=2) | floats,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("ab", max_size=1), inner),
    max_leaves=5,
)


def units(digits: int) -> st.SearchStrategy[int]:
    bound: int = 10**digits - 1
    return st.integers(-bound, bound) | st.integers(-999, 999)


def maybe(values: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.none() | values


ROWS = st.tuples(
    *(ints, maybe(ints), ints, maybe(units(10)), maybe(units(18)), maybe(floats), maybe(texts)),
    *(texts, maybe(st.booleans()), maybe(YEARS), YEARS, maybe(json_values)),
)


def one_of(kind: str, depth: int) -> st.SearchStrategy[str]:
    """Expressions of a kind, as SQL; `{i}` and so on are made of these in turn."""
    found = LEAVES[kind] if depth == 0 else LEAVES[kind] + BRANCHES[kind]

    def filled(template: str) -> st.SearchStrategy[str]:
        parts = template.split("«")
        names = [part.split("»")[0] for part in parts[1:]]
        rests = [part.split("»")[1] for part in parts[1:]]
        inner = st.tuples(*(one_of(name, depth - 1) for name in names))
        return inner.map(
            lambda made: parts[0] + "".join(a + b for a, b in zip(made, rests, strict=True))
        )

    return st.sampled_from(found).flatmap(filled)


LEAVES = {
    "i": "i|j|0|3|(-1)|null::int".split("|"),
    "d": "d|e|1.5|0.000001|(-20.00)|null::decimal(5,1)".split("|"),
    "f": "f|1.5e0|(-2.5e0)|1e300".split("|"),
    "s": ["s", "u", "('' || '')", "('a%' || '')", "(' 12 ' || '')", "null"],
    "b": "b|true|false|null::bool".split("|"),
    "t": "at|til|timestamp '2024-02-29 12:34:56.789'".split("|"),
    "v": "interval '1 day'|interval '90 minutes'|(at - til)".split("|"),
    "y": "doc|'{\"a\": [1, \"x\", null]}'::json|'[]'::json".split("|"),
}
COMMON = [
    "coalesce(«{0}», «{0}»)",
    "nullif(«{0}», «{0}»)",
    "case when «b» then «{0}» when «b» then «{0}» else «{0}» end",
    "case «{0}» when «{0}» then «{0}» end",
]
BRANCHES = {
    "i": [
        *("(«i» + «i»)", "(«i» - «i»)", "(«i» * «i»)", "(«i» / «i»)", "(«i» % «i»)", "(- «i»)"),
        *("abs(«i»)", "sign(«i»)", "sign(«d»)", "«d»::int", "«f»::int", "«s»::int", "«b»::int"),
        *("length(«s»)", "octet_length(«s»)", "strpos(«s», «s»)", "json_array_length(«y»)"),
        *(f"extract({field} from «t»)" for field in ("year", "quarter", "month", "week", "day")),
        *(f"extract({field} from «t»)" for field in ("dow", "isodow", "doy", "hour", "minute")),
        *("extract(isoyear from «t»)", "extract(microseconds from «t»)"),
    ],
    "d": [
        *("(«d» + «d»)", "(«d» - «i»)", "(«d» * «d»)", "(«i» * «d»)", "(«d» / «d»)", "(«i» / «d»)"),
        *("(«d» % «d»)", "(- «d»)", "abs(«d»)", "round(«d», 1)", "round(«d»)", "trunc(«d», 1)"),
        *(
            "floor(«d»)",
            "ceil(«d»)",
            "«i»::decimal(12,3)",
            "«d»::decimal(8,1)",
            "«d»::decimal(18,9)",
        ),
        *("«f»::decimal(12,4)", "«s»::decimal(9,2)", "extract(second from «t»)"),
        *("extract(epoch from «t»)", "extract(milliseconds from «t»)", "extract(epoch from «v»)"),
        "greatest(«d», «i», «d»)",
    ],
    "f": [
        *("(«f» + «f»)", "(«f» - «i»)", "(«f» * «d»)", "(«f» / «f»)", "(«f» % «f»)", "(- «f»)"),
        *("abs(«f»)", "sign(«f»)", "floor(«f»)", "ceil(«f»)", "round(«f»)", "trunc(«f»)"),
        *("sqrt(«f»)", "«i»::float", "«d»::float", "«s»::float", "least(«f», «i»)"),
    ],
    "s": [
        *("(«s» || «s»)", "lower(«s»)", "upper(«s»)", "reverse(«s»)", "«i»::text", "«d»::text"),
        *("«f»::text", "«b»::text", "«t»::text", "«y»::text", "substr(«s», «i»)", "left(«s», «i»)"),
        *("right(«s», «i»)", "substr(«s», 2, 3)", "substr(«s», -1, 3)", "replace(«s», «s», «s»)"),
        *("btrim(«s»)", "ltrim(«s», «s»)", "rtrim(«s», «s»)", "lpad(«s», 5, «s»)", "rpad(«s», 3)"),
        *(
            "repeat(«s», 2)",
            "concat(«s», «i», «b»)",
            "(«y» ->> 'a')",
            "(«y» ->> -1)",
            "json_typeof(«y»)",
        ),
    ],
    "b": [
        *(f"(«{kind}» {sign} «{kind}»)" for kind in "idfstvy" for sign in ("=", "<", ">=")),
        *(f"(«i» {sign} «d»)" for sign in ("=", "<>", "<", "<=", ">", ">=")),
        *(
            "(«d» is distinct from «i»)",
            "(«f» = «d»)",
            "(«i» <> «f»)",
            "(«s» is distinct from «s»)",
        ),
        *("(not «b»)", "(«b» and «b» and «b»)", "(«b» or «b» or «b»)", "(«s» is null)"),
        *("(«b» is not true)", "(«i» between «i» and «d»)", "(«d» in («i», «d», 1.5))"),
        *("(«s» like «s»)", "(«s» ilike «s» escape 'a')", "(«s» like '%a_' escape '')"),
        *("starts_with(«s», «s»)", "«s»::bool", "«i»::bool"),
    ],
    "t": [
        *(
            "(«t» + «v»)",
            "(«t» - «v»)",
            "(«t» + interval '1 month')",
            "(«t» - interval '14 months')",
        ),
        *(f"date_trunc('{unit}', «t»)" for unit in ("hour", "day", "week", "month", "quarter")),
    ],
    "v": ["(«v» + «v»)", "(«v» - «v»)", "(- «v»)"],
    "y": ["(«y» -> 'a')", "(«y» -> 0)", "(«y» -> -1)", "(«y» -> «s»)"],
}
for _kind, _branches in BRANCHES.items():
    if _kind != "v":
        _branches += [template.replace("{0}", _kind) for template in COMMON]


def run(machine: Machine, sql: str, row: list[tuple[Any, Cell]]) -> object:
    query = read_query(sql, lambda _: TABLE)
    assert isinstance(query, Select)
    program = compile_program([output.value for output in query.outputs], [0])
    try:
        return machine(program, [row])
    except FailureError as error:
        return error.name, error.at, program.places[error.at]


@settings(max_examples=400, deadline=None)
@given(st.data(), st.sampled_from(sorted(BRANCHES)), st.integers(1, 3), ROWS)
def test_the_kernel_computes_what_its_twin_computes(
    kernel_machine: KernelMachine, data: st.DataObject, kind: str, depth: int, row: tuple[Any, ...]
) -> None:
    expression = data.draw(one_of(kind, depth))
    sql = f"select {expression} as x from t"
    note(sql)
    cells = [
        (one, cell(value, one) if one.precision == 0 else value)
        for value, one in zip(row, KINDS, strict=True)
    ]
    try:
        expected = run(twin, sql, cells)
    except (OverflowError, ValueError):
        return  # a year that Python's datetime does not have
    assert run(kernel_machine, sql, cells) == expected


@settings(max_examples=200, deadline=None)
@given(st.data(), st.integers(1, 3))
def test_any_condition_is_kept_as_text(data: st.DataObject, depth: int) -> None:
    condition = read_check(data.draw(one_of("b", depth)), TABLE)
    text = canonical(condition, TABLE)
    note(text)
    assert read_check(text, TABLE) == condition
