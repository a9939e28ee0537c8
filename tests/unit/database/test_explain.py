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
        assert [line[:4] for line in found.tuples] == [
            (i, *step) for i, step in enumerate(steps, 1)
        ]
        assert found.names == ("step", "does", "relation", "by", "cost")


def test_what_is_wrong_with_the_query_is_said_where_it_stands(shop: reifydb.Database) -> None:
    for text, place in (("explain select frob from item", (1, 16)), ("explain\nselect x", (2, 8))):
        with pytest.raises(reifydb.SqlError) as error:
            shop.query(text)
        assert (error.value.line, error.value.column) == place
    with pytest.raises(reifydb.SqlError):
        shop.query("explains select id from item")


@pytest.mark.parametrize(
    ("sql", "costs"),
    [
        ("select * from item", ["O(rows)"]),
        ("select * from item where id = 1", ["O(log rows)"]),
        ("select * from item where id > 1", ["O(log rows + rows found)"]),
        ("select * from sale where item = 1", ["O(log rows + rows found)"]),
        ("select * from sale where item = 1 and at = 2", ["O(log rows)"]),
        ("select * from item where kind = 'a'", ["O(log rows + rows found)"]),
        (
            "select n from item join sale on item = id where id = 7",
            ["O(log rows)", "O(log rows + rows found) for each row"],
        ),
        (
            "select n from sale join item on item = id",
            ["O(rows)", "O(log rows) for each row"],
        ),
        (
            "select a.id from item a join item b on a.price = b.price order by a.kind, b.kind",
            ["O(rows)", "O(rows) for each row", "O(log rows found) for each row"],
        ),
        ("select kind, count(*) as n from item group by kind", ["O(rows)", "O(1) for each row"]),
    ],
)
def test_an_explanation_says_what_each_step_costs(
    shop: reifydb.Database, sql: str, costs: list[str]
) -> None:
    found = shop.query(f"explain {sql}")
    assert [row["cost"] for row in found] == costs


KINDS = """
create view kinds as
    select kind, count(*) as sales, max(n) as best from item join sale on item = id
    group by kind having count(*) > 1
"""


def test_a_view_is_explained_part_by_part(shop: reifydb.Database) -> None:
    shop.execute(KINDS)
    assert shop.query("explain view kinds").tuples == [
        (1, "groups", "kinds, part 2", "key (g0)", None),
        (2, "a row changes", "item", None, "O(1)"),
        (3, "join", "sale", "primary key (item)", "O(log rows + rows found) for each row"),
        (4, "a row changes", "sale", None, "O(1)"),
        (5, "join", "item", "primary key (id)", "O(log rows) for each row"),
        (6, "group", None, "1 value", "O(log groups) for each row"),
        (7, "count values", None, "for 1 aggregate", "O(log values) for each row"),
        (8, "write", "kinds, part 2", "primary key", "O(log rows) for each row or group"),
        (9, "rows", "kinds", "key (kind)", None),
        (10, "a row changes", "kinds, part 2", None, "O(1)"),
        (11, "write", "kinds", "primary key", "O(log rows) for each row or group"),
    ]


def test_a_view_is_explained_before_it_is_made(shop: reifydb.Database) -> None:
    before = shop.query(f"explain {KINDS}")
    assert "kinds" not in shop.tables
    shop.execute(KINDS)
    assert shop.query(" Explain  VIEW\nKinds ; ") == before
    shop.execute('create view "view" as select id from item order by price limit 3 offset 2')
    assert shop.query('explain view "view"').tuples[-1] == (
        4,
        "first rows",
        "view",
        "3 behind the first 2 of view, part 1",
        "O(log rows), and 5 rows when it changes them",
    )
    shop.execute("create assertion free as select id from item where price = 0")
    assert len(shop.query("explain assertion free")) == 3
    with shop.transaction() as tx:
        assert tx.query("explain view kinds") == before


def test_a_join_that_goes_through_all_rows_shows(shop: reifydb.Database) -> None:
    said = shop.query(
        "explain create view pairs as select a.id from item a join item b on a.price = b.price"
    )
    assert [row["cost"] for row in said if row["does"] == "join"] == ["O(rows) for each row"] * 2


@pytest.mark.parametrize(
    ("sql", "error", "words"),
    [
        ("explain view nix", reifydb.UnknownNameError, "no table 'nix'"),
        ("explain view item", reifydb.RequestError, "item is a table"),
        ("explain create table t (id int primary key)", reifydb.SqlError, "one create view"),
        (
            "explain create view v as select id, nix from item",
            reifydb.SqlError,
            "line 1, column 37",
        ),
        ("explain create view v as select id from item limit 3", reifydb.SqlError, "order by"),
        ("explain drop view item", reifydb.SqlError, "line 1"),
    ],
)
def test_what_cannot_be_explained(
    shop: reifydb.Database, sql: str, error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        shop.query(sql)
