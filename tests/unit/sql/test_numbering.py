"""Numbered rows: which are read, and what is refused, where and why."""

import pytest

import reifydb
from reifydb.engine.catalog import Table
from reifydb.sql.numbering import bounds
from reifydb.sql.query import Select
from reifydb.sql.query_reader import read_query

Tables = dict[str, Table]
INNER = "(select id, row_number() over (partition by ok order by n desc) as place from item) as q"


def said(tables: Tables, sql: str) -> list[tuple[str, object]]:
    query = read_query(sql, tables.get)
    assert isinstance(query, Select)
    at = next(i for i, one in enumerate(query.inputs) if isinstance(one.relation, Select))
    return [(op, getattr(value, "value", "parameter")) for op, value in bounds(query, at)]


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        (f"select * from {INNER} where place <= 3", [("le", 3)]),
        (f"select * from {INNER} where 3 > place and id > 2", [("lt", 3)]),
        (f"select * from {INNER} where place between 2 and 4", [("le", 4)]),
        (f"select * from {INNER} where place = 1", [("eq", 1)]),
        (f"select * from {INNER} where place <= :most", [("le", "parameter")]),
        (f"select * from part join {INNER} on q.id = part.id and place < 9", [("lt", 9)]),
        (f"select * from part left join {INNER} on q.id = part.id and place < 9", [("lt", 9)]),
    ],
)
def test_a_bound_is_found(tables: Tables, sql: str, expected: list[tuple[str, object]]) -> None:
    assert said(tables, sql) == expected


ONE = "row_number() over (order by n)"
REFUSED = [
    (f"select {ONE} from item", "stands in a query in from", 8),
    (f"select n from item union select {ONE} from item", "stands in a query in from", 33),
    (f"select * from (select {ONE} as p from item) q", "q.p needs a bound", 23),
    (f"select * from (select {ONE} as p from item) q where p > 3", "q.p needs a bound", 23),
    (f"select * from (select {ONE} as p from item) q where p <= 3 or p = 5", "needs a bound", 23),
    (f"select * from (select n, {ONE} as p from item) q where p <= n", "needs a bound", 26),
    (f"select * from (select {ONE} as p from item) q where p <= 2.5", "needs a bound", 23),
    (f"select * from (select {ONE} as p from item) q where p <= null", "needs a bound", 23),
    (
        f"select * from (select {ONE} as p from item) q left join part on part.id = p and p < 3",
        "needs a bound",
        23,
    ),
    (f"select * from (select {ONE} as p from item order by n) q where p < 3", "only filtered", 23),
    (f"select * from (select distinct {ONE} as p from item) q where p < 3", "only filtered", 32),
    (f"select * from (select {ONE} as p from item limit 3) q where p < 3", "only filtered", 23),
    (f"select * from (select n, {ONE} p from item group by n) q where p < 3", "only filtered", 26),
    (f"select * from (select {ONE} as p, {ONE} as o from item) q where p < 3", "once", 60),
    (f"select * from (select {ONE} + 1 as p from item) q where p < 3", "nothing is computed", 23),
    (f"select id from item where {ONE} < 3", "nothing is computed", 27),
    ("select * from (select row_number() over () p from item) q where p < 3", "order by", 23),
    ("select * from (select row_number(1) over (order by n) p from item) q", "no arguments", 23),
    ("select lag(n) over (order by n) from item", "window function lag", 8),
    ("select * from (select sum(n) over (order by n) s from item) q", "window function sum", 23),
    (
        "select * from (select row_number() over (order by n rows current row) p from item) q",
        "rows between … is not supported",
        23,
    ),
    (
        "select * from (select row_number() over (order by count(*)) p from item) q where p < 3",
        "count cannot stand in over",
        51,
    ),
]


@pytest.mark.parametrize(("sql", "message", "column"), REFUSED)
def test_what_is_refused_is_shown(tables: Tables, sql: str, message: str, column: int) -> None:
    with pytest.raises(reifydb.ReifyDBError, match=message) as caught:
        read_query(sql, tables.get)
    assert isinstance(caught.value, reifydb.SqlError)
    assert (caught.value.line, caught.value.column) == (1, column)
    assert caught.value.hint
