"""What queries mean, and which are refused, where, and why."""

from collections.abc import Callable

import pytest

from reifydb.engine.catalog import Table
from reifydb.errors import SqlError
from reifydb.sql.expressions import (
    INT,
    AggregateRef,
    ColumnRef,
    Constant,
    GroupRef,
    Operation,
    Parameter,
    conjuncts,
    sources,
)
from reifydb.sql.query import Query, Select, SetQuery
from reifydb.sql.query_reader import read_query

Read = Callable[[str], Query]


@pytest.fixture
def read(tables: dict[str, Table]) -> Read:
    return lambda sql: read_query(sql, tables.get)


@pytest.fixture
def select(read: Read) -> Callable[[str], Select]:
    def found(sql: str) -> Select:
        query = read(sql)
        assert isinstance(query, Select)
        return query

    return found


def names(query: Query) -> list[str]:
    return [column.name for column in query.columns]


def types(query: Query) -> list[str]:
    return [kind.sql for kind in query.kinds]


Selecting = Callable[[str], Select]


# ------------------------------------------------------------------ outputs, inputs


def test_outputs_have_names(select: Selecting) -> None:
    query = select(
        "select id, name as label, price + 1, lower(name), n::text, case when ok then 1 end, -n,"
        ' id, n "x", count from (select id, name, price, n, ok, 1 as count from item) as item'
    )
    assert names(query) == [
        *["id", "label", "column3", "lower", "n", "case", "column7", "id_2", "x", "count"]
    ]


def test_names_that_are_there_twice_may_be_refused(tables: dict[str, Table]) -> None:
    with pytest.raises(SqlError, match="line 1, column 12: two columns are called id"):
        read_query("select id, id from item", tables.get, unique_names=True)


def test_a_star_is_all_columns(select: Selecting) -> None:
    assert names(select("select * from part")) == ["id", "item_id", "n", "label"]
    query = select("select p.*, item.id from item left join part as p on p.item_id = item.id")
    assert names(query) == ["id", "item_id", "n", "label", "id_2"]
    assert [column.nullable for column in query.columns] == [True, True, True, True, False]


def test_places_are_those_of_stored_rows(tables: dict[str, Table]) -> None:
    dropped = Table("t", tables["part"].columns[1:3], (0,), number=7, dropped=((0, 2), (2, 4)))
    query = read_query("select n from t", lambda name: dropped)
    assert isinstance(query, Select)
    [output] = query.outputs
    assert isinstance(output.value, ColumnRef)
    assert output.value.place == 3


def test_joins_keep_their_order_and_condition(select: Selecting) -> None:
    query = select(
        "select i.id from item i join part p on p.item_id = i.id and p.n > 1"
        " left join part q on q.id = p.n"
    )
    assert [(one.alias, one.join, one.name) for one in query.inputs] == [
        ("i", "first", "item"),
        ("p", "inner", "part"),
        ("q", "left", "part"),
    ]
    assert query.inputs[0].on is None
    assert [sorted(sources(part)) for part in conjuncts(query.inputs[1].on)] == [[0, 1], [1]]


def test_without_from_there_is_one_row(select: Selecting) -> None:
    assert select("select 1 as one").inputs == ()


def test_a_query_in_from_is_an_input(select: Selecting) -> None:
    query = select("select q.twice from (select n * 2 as twice, id from item where ok) as q")
    [inner] = query.inputs
    assert isinstance(inner.relation, Select)
    assert inner.relation.where is not None
    assert query.outputs[0].value == ColumnRef(0, 0, "twice", INT, True)


def test_with_names_queries_that_hide_tables(select: Selecting) -> None:
    query = select(
        "with part (a) as (select id from item), q as (select a + 1 as b from part)"
        " select b, a from q join part on a = b"
    )
    assert names(query) == ["b", "a"]
    assert [one.name for one in query.inputs] == ["q", "part"]
    assert isinstance(query.inputs[1].relation, Select)


def test_an_alias_renames_columns(select: Selecting) -> None:
    assert names(select("select * from part as p (a, b)")) == ["a", "b", "n", "label"]


# ------------------------------------------------------------------ groups


def test_a_grouped_query_looks_at_groups_and_aggregates(select: Selecting) -> None:
    query = select(
        "select name, count(*) as n, sum(price) + count(*) from item where ok group by name"
        " having count(*) > 1 and name like 'a%' order by n desc, sum(price)"
    )
    assert query.grouped
    assert [(a.function, len(a.args)) for a in query.aggregates] == [("count", 0), ("sum", 1)]
    assert query.outputs[0].value == GroupRef(0, query.groups[0].kind, True)
    assert query.outputs[1].value == AggregateRef(0, INT, False)
    assert [one.descending for one in query.order] == [True, False]
    assert types(query) == ["text", "int", "decimal(18,2)"]


def test_groups_may_be_expressions_numbers_and_names(select: Selecting) -> None:
    for group in ("date_trunc('day', made)", "1", "day"):
        query = select(
            f"select date_trunc('day', made) as day, count(*) from item group by {group}"
        )
        assert isinstance(query.groups[0], Operation), group
        assert isinstance(query.outputs[0].value, GroupRef), group


def test_a_column_comes_before_an_output_in_group_by(select: Selecting) -> None:
    query = select("select max(id) as n, n + 1 from item group by n")
    assert query.groups[0] == ColumnRef(0, 9, "n", INT, True)


def test_an_aggregate_alone_makes_one_group(select: Selecting) -> None:
    query = select("select max(id) from item")
    assert query.grouped
    assert query.groups == ()
    assert query.columns[0].nullable


def test_aggregates_have_filters_and_distinct(select: Selecting) -> None:
    query = select(
        "select count(distinct name), sum(n) filter (where ok), min(distinct n), every(ok),"
        " avg(price), avg(n), sum(weight) from item"
    )
    first, second, third, fourth, *_ = query.aggregates
    assert first.distinct
    assert second.filter is not None
    assert (third.function, third.distinct, fourth.function) == ("min", False, "bool_and")
    assert types(query)[3:] == ["bool", "decimal(18,6)", "float", "float"]


# ------------------------------------------------------------------ order, limit, sets


def test_an_order_is_of_outputs_numbers_and_expressions(select: Selecting) -> None:
    query = select("select n as id, name from item order by id, 2 desc, price nulls first")
    found = [one.value for one in query.order]
    assert [v.name for v in found if isinstance(v, ColumnRef)] == ["n", "name", "price"]
    assert [one.nulls_first for one in query.order] == [False, True, True]


def test_a_limit_is_a_number_or_a_parameter(select: Selecting) -> None:
    query = select("select id from item limit :most offset 3")
    assert query.limit == Parameter(0, INT)
    assert query.offset == Constant(3, INT)


def test_sides_of_a_set_query_get_the_same_kinds(read: Read) -> None:
    query = read(
        "select id, price from item union all select n, 1 from part order by 2, id limit 2"
    )
    assert isinstance(query, SetQuery)
    assert (query.operation, query.all) == ("union", True)
    assert query.left.kinds == query.right.kinds
    assert [v.value.place for v in query.order if isinstance(v.value, ColumnRef)] == [1, 0]
    assert [column.nullable for column in query.columns] == [True, False]


@pytest.mark.parametrize("operation", ["union", "except", "intersect"])
def test_set_operations(read: Read, operation: str) -> None:
    query = read(f"select id from item {operation} (select n from part {operation} all select 1)")
    assert isinstance(query, SetQuery)
    assert isinstance(query.right, SetQuery)
    assert (query.operation, query.all, query.right.all) == (operation, False, True)


# ------------------------------------------------------------------ parameters


@pytest.mark.parametrize(
    ("sql", "kinds"),
    [
        ("select id from item where price > :x and made < :y", "decimal(10,2) timestamp"),
        ("select id from item where ? = code and id in (?, ?)", "uuid int int"),
        ("select id from item where name like $2 and n = $1", "int text"),
        ("select :x::float + 1 from item where n between :y and :y + 1", "float int"),
        ("select coalesce(name, :x), case when :b then n else :n end from item", "text bool int"),
        ("select :x + 1", "int"),
        ("select lower(:x), made + :y::int * interval '1 hour' from item", "text int"),
        ("select id from item where id = :x union select :x", "int"),
        ("select made - :x from item where made = :x", "timestamp"),
    ],
)
def test_parameters_have_the_kind_of_what_they_stand_beside(
    read: Read, sql: str, kinds: str
) -> None:
    assert " ".join(kind.sql for kind in read(sql).parameters) == kinds


def test_kinds_may_be_given(tables: dict[str, Table]) -> None:
    query = read_query("select :x, :y, :x", tables.get, [INT, INT])
    assert query.parameter_names == ("x", "y")
    with pytest.raises(SqlError, match="2 parameters stand here, 1 are given"):
        read_query("select :x, :y", tables.get, [INT])


# ------------------------------------------------------------------ refused


@pytest.mark.parametrize(
    ("sql", "column", "said"),
    [
        ("", None, "one query is expected, not 0"),
        ("select 1; select 2", 11, "one query is expected"),
        ("insert into item values (1)", None, "not a query"),
        ("values (1)", None, "not a query"),
        ("select", None, ""),
        ("select from item", None, "at least one column"),
        ("select nam from item", 8, "did you mean 'name'"),
        ("select x.id from item", 8, "no table x in from"),
        ("select id from itm", 16, "there is no table itm"),
        ("select id from item join part on true", 8, "id is ambiguous"),
        ("select 1 from item join item on true", 25, "item is in from twice"),
        ("select 1 from item, part", 21, "a join without a condition"),
        ("select 1 from item cross join part", 31, "a join without a condition"),
        ("select 1 from item natural join part", 33, "natural join"),
        ("select 1 from item right join part on true", 31, "turn it around"),
        ("select 1 from item full join part on true", 30, "full join"),
        ("select 1 from item join part using (id)", 25, "using"),
        ("select 1 from item join part on 1", 33, "on takes a condition, not int"),
        ("select 1 from a.item", 15, "no dot"),
        ("select 1 from reifydb_tables", 15, "reserved"),
        ("select 1 from (select 1)", None, "has a name"),
        ("select 1 from f(1)", None, "tables and queries"),
        ("select 1 from item where n", 26, "where takes a condition, not int"),
        ("select 1 from item where sum(n) > 1", 26, "having"),
        ("select 1 from item join part on count(*) > 1", 33, "cannot stand in on"),
        ("select name, count(*) from item", 8, "column name is not in group by"),
        ("select * from item group by id", 8, "not in group by"),
        ("select id from item group by id having n > 1", 40, "column n is not in group by"),
        ("select id from item group by id order by n", 42, "column n is not in group by"),
        ("select count(*) as c from item group by c", 41, "no aggregate"),
        ("select sum(count(*)) from item", 12, "cannot stand in sum"),
        ("select sum(name) from item", 12, "no sum of text"),
        ("select sum(*) from item", 8, "only count takes *"),
        ("select id from item group by rollup (id)", None, "rollup"),
        ("select sum(n) over () from item", 8, "window"),
        ("select distinct id from item order by n", 39, "with distinct"),
        ("select distinct on (id) id from item", 21, "distinct on"),
        ("select id from item order by 2", 30, "there is no output 2"),
        ("select id from item limit n", 27, "whole number or a parameter"),
        ("select id from item limit -1", None, "whole number or a parameter"),
        ("select id from item fetch first 1 rows only", None, "fetch"),
        ("select id from item for update", None, "locks"),
        ("with recursive q as (select 1) select * from q", None, "recursive"),
        ("with q as (select 1), q as (select 2) select * from q", 23, "twice"),
        ("select 1 union select 1, 2", None, "1 and 2 columns"),
        ("select 1 union select 'x'", 23, "column 1 of union is int and text"),
        ("select id from item union select 1 order by n", 45, "order by takes an output"),
        ("select :a, ?", 8, ":name and ?: take one"),
        ("select $2::int", None, "$1 is used nowhere"),
        ("select :a", 8, "what type"),
        ("select :a = :b", 8, "what type"),
        ("select (select 1)", 16, "a subquery without from"),
        ("select exists (select 1)", 23, "a subquery without from"),
        ("select id in (select 1) from item", 8, "a subquery without from"),
        ("select exists (values (1))", 8, "exists (select …)"),
        ("select (select n from item)", 16, "may give several rows here (an aggregate"),
        ("select (select n from item where id > 1)", 16, "may give several rows here"),
        ("select (select n, id from item where id = 1)", 16, "has one column, not 2"),
        ("select (select max(n) from item offset 1)", None, "may give several rows here"),
        ("select id in (select id, n from item) from item", 8, "has one column, not 2"),
        ("select id in (select name from item) from item", 8, "there is no int in text"),
        ("select id in (select price from item) from item", 8, "its own type here, not int and"),
        ("select (id, n) in (select id, n from item) from item", 9, "has one column, not 2"),
        ("select id in (select n from nope) from item", 29, "there is no table nope"),
        ("select id from item where id > any (select n from item)", 44, "in (select …)"),
        ("select id from item where id > all (select n from item)", 44, "select max(…)"),
        ("select 1 from item join part on exists (select 1 from part)", 48, "put it into where"),
        ("select id from item limit (select 1)", None, "whole number or a parameter"),
        (
            "select id from item where exists (select 1 from part where part.id = item.nope)",
            70,
            "there is no table item in from",
        ),
        (
            "select id from item where exists (select 1 from part where part.id = item.id or true)",
            70,
            "id is of the select around this subquery (a column around a subquery is compared in",
        ),
        (
            "select id from item where (select max(id) from part where id > item.id) > 1",
            64,
            "id is of the select around",
        ),
        ("select (select sum(item.n) from part) from item", 20, "n is of the select around"),
        (
            "select id in (select item.id from part where part.id = item.n) from item",
            22,
            "id is of the select around",
        ),
        (
            "select 1 from item where exists (select 1 from part join item as i on i.n = item.n)",
            77,
            "n is of the select around",
        ),
        (
            "select n from item where n in (select id from part where id = item.n limit 2)",
            26,
            "limit and offset are not for each row around",
        ),
        (
            (
                "select 1 from item where exists (select 1 from part where exists"
                " (select 1 from item as i where i.id = part.id and i.n = item.n))"
            ),
            122,
            "item.n is of a select that cannot be seen here (a subquery sees the select it",
        ),
        (
            "select 1 from item where exists (select 1 from (select n from part where ok) as q)",
            74,
            "ok is of a select that cannot be seen here",
        ),
        (
            "select name, (select max(id) from part where id = item.id) from item group by name",
            51,
            "column id is not in group by",
        ),
        ("select now()", 8, "pass the moment as a parameter"),
        ("select current_date", None, "pass the moment as a parameter"),
        ("select lowr('a')", 8, "did you mean 'lower'"),
        ("select lower('a', 'b')", 8, "lower(text)"),
        ("select lower(1)", 14, "lower takes text here, not int"),
        ("select name + 1 from item", 8, "no text + int"),
        ("select name || 1 from item", 16, "|| takes text, not int"),
        ("select name = 1 from item", 8, "no text = int"),
        ("select 1 = 2 = true", 8, "put parentheses around it"),
        ("select made + 1 from item", 8, "no timestamp + int"),
        ("select made + made from item", 8, "no timestamp + timestamp"),
        ("select interval '1 month'", 8, "no fixed length"),
        ("select interval 'x'", 8, "number and a unit"),
        ("select made + interval '1 fortnight' from item", 15, "no unit 'fortnight'"),
        ("select n = 'x' from item", 12, "not a number"),
        ("select n = '1.5' from item", 12, "not a whole number"),
        ("select made > 'x' from item", 15, "timestamp"),
        ("select code = 'x' from item", 15, "uuid"),
        ("select 9223372036854775808", 8, "64 bits"),
        ("select 1234567890123456789.5", 8, "at most 18 digits"),
        ("select doc::int from item", 8, "->>"),
        ("select raw::text from item", 8, "bytes cannot be cast to text"),
        ("select n::smallint from item", 11, "int has 64 bits"),
        ("select n::numeric from item", 11, "decimal(p,s)"),
        ("select timestamp made::text from item", None, ""),
        ("select timestamp '2024-01-01'::uuid", 18, "timestamp cannot be cast to uuid"),
        ("select extract(century from made) from item", None, "no field 'century'"),
        ("select date_trunc('eon', made) from item", 19, "takes a unit"),
        ("select case when 1 then 2 end", 18, "when takes a condition"),
        ("select case when true then 1 else 'x' end", 35, "not a number"),
        ("select coalesce(n, name) from item", 20, "types int and text"),
        ("select name ~ 'x' from item", 8, "like"),
        ("select name like 'a' escape 'ab' from item", None, "one character"),
        ("select round(weight, 2) from item", 14, "cast it first"),
        ("select not n from item", 12, "not takes a condition"),
        ("select * from (select 1 as a, 2 as b) as q (x, y, z)", None, "columns, named are 3"),
        ("select 1_000", 8, "1_000 is neither number nor name"),
        ("select 1x", 8, "1x is neither number nor name"),
        ("select id, from item", 10, "nothing after it"),
        ("select , id from item", 8, "nothing before it"),
        ("select id,, n from item", 10, "nothing after it"),
        ("select id from item group by id, having true", 32, "nothing after it"),
        ("select id from item order by id,", 32, "nothing after it"),
        ("select id from item limit 1, 2", None, "expected offset"),
        ("select lower(a => 'x')", None, ""),
        ("select id in () from item", 8, "at least one value"),
        ("select " + "1 || " * 200 + "1", None, "sql_depth_max is 100"),
    ],
)
def test_what_is_refused(read: Read, sql: str, column: int | None, said: str) -> None:
    with pytest.raises(SqlError) as caught:
        read(sql)
    assert said in str(caught.value)
    if column is not None:
        assert (caught.value.line, caught.value.column) == (1, column)


def test_long_chains_of_conditions_are_not_deep(select: Selecting) -> None:
    query = select("select id from item where " + " or ".join(["n = 1"] * 1000))
    assert isinstance(query.where, Operation)
    assert len(query.where.args) == 1000
