"""Check constraints: read, kept as text, and read again as the same."""

from dataclasses import replace

import pytest
from hypothesis import given, note, settings
from hypothesis import strategies as st

from reifydb.engine.catalog import NAME, Check, Column, Table, Type
from reifydb.engine.table_json import table_from_json, table_to_json
from reifydb.errors import SqlError
from reifydb.sql.checks import canonical, checks_of_column, make_check, read_check, renamed_checks
from reifydb.sql.create_table import parse_schema, render_create_table
from reifydb.sql.expressions import Operation
from reifydb.sql.query import Select
from reifydb.sql.query_reader import read_query
from tests.unit.sql.test_catalogue import examples
from tests.unit.sql.test_programs_against_sqlite import TABLE, bools
from tests.unit.sql.test_schema_properties import WORDS


def made(sql: str) -> Table:
    [statement] = parse_schema(sql)
    return statement.table


ACCOUNT = """
create table account (
    id int primary key check (id > 0),
    owner text constraint named check (length(owner) between 1 and 9),
    balance decimal(10,2) not null, check (balance >= 0 or owner is null), opened timestamp,
    constraint later check (opened >= '2020-01-01'), check (balance < 1e6)
)
"""


def test_checks_stand_behind_columns_and_between_them() -> None:
    assert made(ACCOUNT).checks == (
        Check("named", "(length(owner) >= 1) and (length(owner) <= 9)"),
        Check("later", "opened >= cast('2020-01-01 00:00:00+00' as timestamp)"),
        Check("account_id_check", "id > 0"),
        Check("account_check", "(balance >= 0.00) or (owner is null)"),
        Check("account_balance_check", "cast(balance as float) < 1000000.0e0"),
    )


def test_a_table_with_checks_is_kept_and_rendered() -> None:
    table = made(ACCOUNT)
    assert table_from_json(table_to_json(table)) == table
    assert '"format":2' in table_to_json(table)
    assert made(render_create_table(table)) == table
    assert '"format":1' in table_to_json(replace(table, checks=()))


def test_names_that_are_taken_get_a_number() -> None:
    table = made("create table t (a int primary key check (a > 1) check (a < 9) check (a <> 5))")
    assert [check.name for check in table.checks] == ["t_a_check", "t_a_check1", "t_a_check2"]
    long = "x" * 63
    table = made(f"create table {long} (a int primary key check (a > 1))")
    assert NAME.fullmatch(table.checks[0].name)


def test_renaming_a_column_renames_it_in_checks() -> None:
    table = made(ACCOUNT)
    columns = tuple(
        replace(column, name="select" if column.name == "balance" else column.name)
        for column in table.columns
    )
    checks = renamed_checks(table, replace(table, columns=columns))
    assert checks[3].sql == '("select" >= 0.00) or (owner is null)'
    assert [check.name for check in checks] == [check.name for check in table.checks]


def test_a_column_that_is_checked_is_known() -> None:
    table = made(ACCOUNT)
    assert checks_of_column(table, "balance") == ["account_check", "account_balance_check"]
    assert checks_of_column(table, "missing") == []


def test_places_are_those_of_the_text() -> None:
    table = made("create table t (a int primary key, b int)")
    found = read_check("a > 1 and b / a > 2", table)
    assert [part.at for part in found.args if isinstance(part, Operation)] == [0, 10]


@pytest.mark.parametrize(
    ("sql", "column", "said"),
    [
        ("create table t (a int primary key check (a))", 42, "check takes a condition, not int"),
        ("create table t (a int primary key check (b > 1))", 42, "there is no column b"),
        ("create table t (a int primary key check (a > :x))", None, "no parameters"),
        ("create table t (a int primary key check (count(*) > 1))", 42, "a check is of one row"),
        ("create table t (a int primary key check (a in (select 1)))", 42, "in (select …)"),
        ("create table t (a int primary key check (exists (select 1 from t)))", 57, "of one row"),
        ("create table t (a int primary key check (a > (select max(a) from t)))", 54, "of one row"),
        ("create table t (a int primary key check (now() > '2020-01-01'))", 42, "parameter"),
        ("create table t (a int primary key, constraint n primary key (a))", None, "only checks"),
        ("create table t (a int constraint n not null primary key)", None, "only checks"),
        (
            (
                "create table t (a int primary key, constraint n check (a > 1),"
                " constraint n check (a > 2))"
            ),
            None,
            "two checks are called n",
        ),
        ("create table t (a int primary key check (a > 1) not enforced)", None, ""),
        (
            "create table t (a int primary key " + "check (a > 1) " * 33 + ")",
            None,
            "checks_max is 32",
        ),
    ],
)
def test_what_is_refused(sql: str, column: int | None, said: str) -> None:
    with pytest.raises(SqlError) as caught:
        parse_schema(sql)
    assert said in str(caught.value)
    if column is not None:
        assert caught.value.column == column


def test_a_column_that_is_added_has_no_check() -> None:
    from reifydb.sql import parse_statements

    with pytest.raises(SqlError, match="a new column cannot have a check"):
        parse_statements("alter table t add column a int check (a > 1)")


# ------------------------------------------------------------------ text and back


@settings(max_examples=300, deadline=None)
@given(bools(3))
def test_what_is_rendered_is_read_as_the_same(sql: str) -> None:
    condition = read_check(sql, TABLE)
    text = canonical(condition, TABLE)
    note(text)
    assert read_check(text, TABLE) == condition
    assert canonical(read_check(text, TABLE), TABLE) == text


@pytest.mark.parametrize("expression", [expression for expression, _ in examples()])
def test_every_function_is_rendered_and_read_as_the_same(expression: str) -> None:
    for sql in (f"({expression}) is null", f"({expression}) is distinct from ({expression})"):
        condition = read_check(sql, TABLE)
        assert read_check(canonical(condition, TABLE), TABLE) == condition


@pytest.mark.parametrize(
    "sql",
    [
        "d + 1 > 2.5",
        "cast(5 as decimal(10,2)) + 1 = d",
        "d in (1, 2.50, null)",
        "coalesce(d, 0) >= 0 and d / 3 < 1",
        "case when d > 0 then 'a' end is null",
        "at - interval '1 month 3 days' > timestamp '2024-01-01' + i * interval '1 hour'",
        "at - at < interval '1:30'",
        "- i < - (- 5) and not (not (i = -9223372036854775808))",
        "u <> '3b241101-e2bb-4255-8caf-4136c566a962' or raw = '\\x00ff'",
        "doc -> 'a' -> -1 ->> 'b' = 'x' or doc = '{\"a\": [1, \"it''s\"]}'",
        "f > 1 and f < 1e300 and i::float > 0.1 and round(d, 1) = floor(d)",
        "extract(epoch from at - at) > 1.5 and extract(dow from at) in (0, 6)",
        "name like 'a\\%' and name not ilike '%''' escape '''' and name like 'x' escape ''",
        "trim(leading from name) = name and position('a' in name) > 0 and b is not true",
        "nullif(i, 0) between 1 and 10 and null is null and i is distinct from null",
    ],
)
def test_other_conditions_are_rendered_and_read_as_the_same(sql: str) -> None:
    table = made(
        "create table t (k int primary key, i int, d decimal(10,2), f float, name text, b bool,"
        " at timestamp, u uuid, raw bytes, doc json)"
    )
    condition = read_check(sql, table)
    text = canonical(condition, table)
    assert read_check(text, table) == condition
    assert canonical(condition, table) == text


@settings(max_examples=200, deadline=None)
@given(st.sampled_from(WORDS) | st.from_regex(NAME, fullmatch=True))
def test_any_name_can_be_checked(name: str) -> None:
    table = Table("t", (Column(name, Type.INT, False),), (0,))
    [column] = [f'"{name}"']
    condition = read_check(f"{column} > 0 and lower({column}::text) = 'x'", table)
    table = replace(table, checks=(make_check(name, condition, table),))
    assert read_check(table.checks[0].sql, table) == condition
    assert made(render_create_table(table)) == table


def test_a_check_is_the_condition_of_a_query() -> None:
    query = read_query("select a from t where a > 1 and s <> ''", lambda _: TABLE)
    assert isinstance(query, Select)
    assert query.where == read_check("a > 1 and s <> ''", TABLE)
