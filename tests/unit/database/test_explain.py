"""`explain select …`: the steps of a query, and the indexes that they use."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

import reifydb


@pytest.fixture
def shop() -> Iterator[reifydb.Database]:
    with reifydb.open(":memory:") as db:
        db.execute(
            "create table item (id int primary key, kind text, price int);"
            "create index item_kind on item (kind);"
            "create table sale (item int, at int, n int, primary key (item, at));"
        )
        yield db


@pytest.mark.parametrize(
    ("sql", "steps"),
    [
        ("select 1 as n", []),
        ("select * from item", [("scan", "item", "all rows, in the order of primary key")]),
        ("select * from item where id = ?", [("scan", "item", "primary key (id)")]),
        ("select * from item where id > 3", [("scan", "item", "a range of primary key (id)")]),
        (
            "select n from item as i join sale on item = id where kind = :kind limit 3",
            [
                ("scan", "item as i", "index item_kind (kind)"),
                ("join", "sale", "primary key (item)"),
                ("limit", None, None),
            ],
        ),
        (
            "select kind, count(n) as n from item left join sale on item = id group by kind",
            [
                ("scan", "item", "all rows, in the order of primary key"),
                ("left join", "sale", "primary key (item)"),
                ("group", None, "1 value"),
            ],
        ),
        (
            "select distinct price from item order by price",
            [
                ("scan", "item", "all rows, in the order of primary key"),
                ("distinct", None, None),
                ("sort", None, None),
            ],
        ),
        (
            "select id from item order by id desc",
            [("scan", "item", "all rows, in the order of primary key, from the end")],
        ),
        (
            "select id from item union select item from sale",
            [("make", None, "tables of its own, O(rows), for each time it is asked")],
        ),
    ],
)
def test_an_explanation_has_the_steps(
    shop: reifydb.Database, sql: str, steps: list[tuple[str, str | None, str | None]]
) -> None:
    for text in (f"explain {sql}", f"\n  EXPLAIN\n{sql}"):
        found = shop.query(text)
        assert found.tuples == [(i, *step) for i, step in enumerate(steps, 1)]
        assert found.names == ("step", "does", "relation", "by")


def test_what_is_wrong_with_the_query_is_said_where_it_stands(shop: reifydb.Database) -> None:
    for text, place in (("explain select frob from item", (1, 16)), ("explain\nselect x", (2, 8))):
        with pytest.raises(reifydb.SqlError) as error:
            shop.query(text)
        assert (error.value.line, error.value.column) == place
    with pytest.raises(reifydb.SqlError):
        shop.query("explains select id from item")
