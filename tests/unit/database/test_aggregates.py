"""Aggregates whose values are known one by one: limits, and what is kept of them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

import reifydb
from reifydb import config


@pytest.fixture
def db() -> Iterator[reifydb.Database]:
    with reifydb.open(":memory:") as made:
        made.execute("create table item (id int primary key, g int, x int, s text)")
        yield made


def fill(db: reifydb.Database, count: int, group: int = 0) -> None:
    with db.transaction() as tx:
        rows = ({"id": i, "g": group, "x": i, "s": "a"} for i in range(count))
        tx.insert_many("item", rows)


def test_an_array_has_a_limit(db: reifydb.Database) -> None:
    most = config.aggregate_items_max
    db.execute("create view kept as select g, array_agg(x) as xs from item group by g")
    fill(db, most)
    assert len(db.query("select xs from kept").value()) == most
    assert len(db.query("select array_agg(x) from item").value()) == most
    with pytest.raises(reifydb.LimitError, match="view kept has a group with more than") as caught:
        fill_one(db, most)
    assert (caught.value.limit, caught.value.value) == ("aggregate_items_max", most)
    assert db.count("item") == most
    db.verify()
    db.execute("drop view kept")
    fill_one(db, most)
    with pytest.raises(reifydb.LimitError, match="the query has a group") as caught:
        db.query("select string_agg(s, ',') from item")
    assert caught.value.limit == "aggregate_items_max"
    with pytest.raises(reifydb.LimitError) as caught:
        db.execute("create view kept as select array_agg(s) as xs from item")
    assert caught.value.limit == "aggregate_items_max"
    assert db.query("select array_agg(distinct s) from item").value() == ["a"]


def fill_one(db: reifydb.Database, key: int) -> None:
    with db.transaction() as tx:
        tx.insert("item", {"id": key, "g": 0, "x": 1, "s": "a"})


def test_a_read_inside_a_transaction_meets_the_limit_too(db: reifydb.Database) -> None:
    db.execute("create view kept as select array_agg(x) as xs from item")
    with db.transaction() as tx:
        rows = ({"id": i, "g": 0, "x": i} for i in range(config.aggregate_items_max + 1))
        tx.insert_many("item", rows)
        with pytest.raises(reifydb.LimitError) as caught:
            tx.query("select * from kept")
        tx.delete("item", 0)
        assert len(tx.query("select * from kept").value()) == config.aggregate_items_max
    assert caught.value.limit == "aggregate_items_max"


def test_a_text_too_long_to_be_a_key_is_refused(db: reifydb.Database) -> None:
    long = "a" * config.key_bytes_max
    with db.transaction() as tx:
        tx.insert("item", {"id": 1, "g": 0, "x": 1, "s": long})
    with pytest.raises(reifydb.LimitError) as caught:
        db.query("select array_agg(s) from item")
    assert caught.value.limit == "key_bytes_max"


def test_an_array_that_is_too_long_is_refused(db: reifydb.Database) -> None:
    text = "x" * 900
    with db.transaction() as tx:
        tx.insert_many("item", ({"id": i, "g": 0, "x": i, "s": text} for i in range(2000)))
    with pytest.raises(reifydb.ExpressionError, match="texts are too long"):
        db.query("select array_agg(s) from item")
    assert len(db.query("select string_agg(s, '') from item").value()) == 1_800_000


def test_json_in_arrays_has_its_depth(db: reifydb.Database) -> None:
    db.execute("create table deep (id int primary key, j json)")
    deep: list[object] = []
    for _ in range(63):
        deep = [deep]
    with db.transaction() as tx:
        tx.insert("deep", {"id": 1, "j": deep})
    with pytest.raises(reifydb.ExpressionError, match="cannot be read"):
        db.query("select array_agg(j) from deep")
    assert db.query("select array_agg(j -> 0) from deep").value() == [deep[0]]


def test_what_stands_between_may_be_a_parameter(db: reifydb.Database) -> None:
    with db.transaction() as tx:
        for i, s in enumerate("ab"):
            tx.insert("item", {"id": i, "g": 0, "x": i, "s": s})
    asked = "select string_agg(s, :separator order by x desc) from item"
    assert db.query(asked, {"separator": " - "}).value() == "b - a"
    assert db.query(asked, {"separator": None}).value() == "ba"


def test_nothing_is_left_when_all_rows_are_gone(db: reifydb.Database) -> None:
    db.execute("""
        create view kept as
        select g, variance(x) as v, median(x) as m, array_agg(s order by x) as a,
               arg_min(s, x) as b from item group by g
    """)
    empty = db.upkeep("kept").beside_bytes
    fill(db, 100)
    assert db.upkeep("kept").beside_bytes > empty
    db.execute("delete from item")
    assert db.count("kept") == 0
    assert db.upkeep("kept").beside_bytes == empty
    db.verify()
