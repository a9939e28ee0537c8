"""Calls of aggregates: what is made of them, and what is refused, where and why."""

import pytest

import reifydb
from reifydb.engine.catalog import Table
from reifydb.sql.expressions import ColumnRef
from reifydb.sql.query import Select
from reifydb.sql.query_reader import read_query

Tables = dict[str, Table]


def test_an_order_and_a_fraction_are_kept(tables: Tables) -> None:
    query = read_query(
        "select percentile_cont(0.25) within group (order by n), median(n),"
        " array_agg(name order by n desc, id), string_agg(distinct name, ', ' order by name),"
        " arg_max(name, price) filter (where ok) from item",
        tables.get,
    )
    assert isinstance(query, Select)
    quarter, median, array, text, most = query.aggregates
    assert (quarter.function, quarter.fraction) == ("percentile_cont", 10**18 // 4)
    assert (median.function, median.fraction) == ("percentile_cont", 10**18 // 2)
    assert [one.descending for one in array.order] == [True, False]
    assert text.distinct
    assert len(text.args) == 2
    assert most.filter is not None
    [by] = most.order
    assert by.descending
    assert isinstance(by.value, ColumnRef)
    assert by.value.name == "price"
    assert [kind.sql for kind in query.kinds] == ["float", "float", "json", "text", "text"]


REFUSED = [
    ("select sum(n order by id) from item", "the order does not matter to sum", 8),
    ("select percentile_cont(0.5) from item", "takes a fraction, and within group", 8),
    ("select percentile_cont(1.5) within group (order by n) from item", "from 0 to 1", 24),
    ("select percentile_cont(n) within group (order by n) from item", "from 0 to 1", 24),
    ("select percentile_cont(0.5e0) within group (order by n) from item", "from 0 to 1", 24),
    ("select percentile_cont(0.5) within group (order by n desc) from item", "ascending", 52),
    ("select percentile_cont(0.5) within group (order by n, id) from item", "one order", 8),
    ("select percentile_cont(0.5) within group (order by name) from item", "of text", 52),
    ("select sum(n) within group (order by n) from item", "behind a percentile", 8),
    ("select median(name) from item", "there is no median of text", 15),
    ("select stddev(name) from item", "there is no stddev of text", 15),
    ("select string_agg(n, ',') from item", "there is no string_agg of int", 19),
    ("select string_agg(name) from item", "takes two arguments", 8),
    ("select string_agg(name, name) from item", "the same for all rows", 25),
    ("select arg_min(name) from item", "takes two arguments", 8),
    ("select arg_min(distinct name, n) from item", "nothing to be distinct", 8),
    ("select array_agg(distinct name order by n) from item", "takes the value alone", 41),
    ("select array_agg(*) from item", "only count takes *", 8),
    ("select id from item where median(n) > 1", "median cannot stand in where", 27),
    ("select lower(name) filter (where ok) from item", "behind an aggregate", 8),
]


@pytest.mark.parametrize(("sql", "said", "column"), REFUSED)
def test_what_is_refused_is_shown(tables: Tables, sql: str, said: str, column: int) -> None:
    with pytest.raises(reifydb.SqlError, match=said) as caught:
        read_query(sql, tables.get)
    assert (caught.value.line, caught.value.column) == (1, column)
