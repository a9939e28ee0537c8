"""What a view must get right as it is brought up to date, case by case."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

import reifydb
from reifydb import Database, ExpressionError, SqlError, config

TABLES = """
create table a (id int primary key, x int not null, t text);
create table b (id int primary key, aid int, y int not null);
"""


@pytest.fixture
def db() -> Iterator[Database]:
    with reifydb.open(":memory:") as db:
        db.execute(TABLES)
        yield db
        db.verify()


def test_nothing_is_computed_of_rows_that_never_were_there_together(db: Database) -> None:
    db.execute("create view v as select a.id, 10 / (a.x - b.y) as q from a join b on b.aid = a.id")
    with db.transaction() as tx:
        tx.insert("a", {"id": 1, "x": 1})
        tx.insert("b", {"id": 1, "aid": 1, "y": 0})
    with db.transaction() as tx:  # the old x with the new y, or the other way round, divides by 0
        tx.update("a", {"id": 1, "x": 2})
        tx.update("b", {"id": 1, "y": 1})
    with db.transaction() as tx:
        tx.update("b", {"id": 1, "y": 0})
        tx.update("a", {"id": 1, "x": 1})
    assert list(db.scan("v")) == [{"id": 1, "q": 10}]


def test_a_read_that_finds_a_view_impossible_says_why(db: Database) -> None:
    db.execute("create view v as select id, 10 / x as q from a")
    with db.transaction() as tx:
        tx.insert("a", {"id": 1, "x": 0})
        with pytest.raises(ExpressionError, match="view v: line 1, column 29: division by zero"):
            list(tx.scan("v"))
        with pytest.raises(ExpressionError, match="view v"):
            tx.count("v")
        with pytest.raises(ExpressionError, match="view v"):
            tx.get("v", 1)
        tx.update("a", {"id": 1, "x": 5})
        assert list(tx.scan("v")) == [{"id": 1, "q": 2}]


def test_a_view_of_several_parts_goes_with_all_of_them(db: Database) -> None:
    before = dict(db._state.catalog.by_number)
    db.execute("""
        create view v as select x, min(t) as low, max(id) as high, count(distinct t) as n
        from a group by x having min(id) > 0 order by count(*) desc limit 3
    """)
    numbers = [handle.number for handle in db._state.catalog.handles.values()]
    assert numbers == sorted(numbers)
    db.execute("drop view v")
    assert dict(db._state.catalog.by_number) == before


@pytest.mark.parametrize(
    "columns",
    [
        ", ".join(f"sum(x + {i}) as s{i}" for i in range(100)),
        ", ".join(f"x + {i} as s{i}" for i in range(256)),
    ],
)
def test_a_view_too_wide_is_refused(db: Database, columns: str) -> None:
    with pytest.raises(SqlError, match="columns_max is 256"):
        db.execute(f"create view v as select {columns} from a")
    db.execute("create view v as select x from a")


def test_many_changes_on_both_sides_of_a_join_take_time_in_proportion(db: Database) -> None:
    db.execute("create index b_aid on b (aid)")
    db.execute("create view v as select b.id, a.x + b.y as n from a join b on b.aid = a.id")
    count = 20_000
    with db.transaction() as tx:
        tx.insert_many("a", [{"id": i, "x": i} for i in range(count)])
        tx.insert_many("b", [{"id": i, "aid": i, "y": 1} for i in range(count)])
    with db.transaction() as tx:
        tx.update_many("a", [{"id": i, "x": -i} for i in range(count)])
        tx.update_many("b", [{"id": i, "y": 2} for i in range(count)])
    assert [row["n"] for row in db.scan("v", limit=3)] == [2, 1, 0]


def test_a_join_without_an_index_is_refused_when_it_takes_too_long(db: Database) -> None:
    count = 20_000
    db.execute("create view v as select b.id from a join b on b.aid = a.id")
    with db.transaction() as tx:
        tx.insert_many("b", [{"id": i, "aid": i, "y": 1} for i in range(count)])
    tx = db.transaction()
    tx.begin()
    tx.insert_many("a", [{"id": i, "x": i} for i in range(count)])
    with pytest.raises(reifydb.LimitError, match="view v: its joins looked at more than"):
        tx.scan("v")
    with pytest.raises(reifydb.LimitError, match="view v: its joins looked at more than"):
        tx.commit()
    assert db.count("a") == db.count("v") == 0


def test_a_snapshot_of_a_view_has_keys_that_are_not_shown_and_null(db: Database) -> None:
    db.execute("create view v as select t, count(*) as n from a group by t")
    db.execute("create view w as select count(*) as n from a group by t, x")
    with db.transaction() as tx:
        tx.insert_many("a", [{"id": i, "x": i % 2, "t": t} for i, t in enumerate("ab")])
        tx.insert_many("a", [{"id": i, "x": i % 2, "t": None} for i in range(5, 8)])
    with db.subscribe("v") as one, db.subscribe("w") as other:
        first, second = one.get(0), other.get(0)
        assert isinstance(first, reifydb.Snapshot)
        assert first.keys == ["a", "b", None]
        assert isinstance(second, reifydb.Snapshot)
        assert second.keys == [("a", 0), ("b", 1), (None, 0), (None, 1)]
        assert [row["n"] for row in second.rows] == [1, 1, 1, 2]


def test_a_transaction_that_comes_to_nothing_is_none_for_subscribers_of_views(db: Database) -> None:
    db.execute("create view v as select count(*) as n from a")
    with db.subscribe("v") as changes:
        changes.get(0)
        with db.transaction() as tx:
            tx.insert("a", {"id": 1, "x": 1})
            assert list(tx.scan("v")) == [{"n": 1}]
            tx.delete("a", 1)
        known = db.position
        with db.transaction() as tx:
            tx.insert("a", {"id": 2, "x": 1})
        delta = changes.get(0)
        assert isinstance(delta, reifydb.Delta)
        assert delta.previous_lsn <= known.lsn


def test_a_view_is_made_anew_beside_an_index_of_a_column_that_came_later(tmp_path: Path) -> None:
    with reifydb.open(str(tmp_path / "db")) as db:
        db.execute(TABLES)
        db.execute("create view v as select a.id, y from a join b on b.aid = a.x")
        db.execute("alter table b add column z int; create index b_z on b (z)")
        db.execute("create index b_aid_z on b (aid, z); create index b_aid on b (aid)")
        with db.transaction() as tx:
            tx.insert("a", {"id": 1, "x": 2})
            tx.insert("b", {"id": 1, "aid": 2, "y": 3, "z": 4})
    with reifydb.open(str(tmp_path / "db")) as db:
        assert list(db.scan("v")) == [{"id": 1, "y": 3}]
        with db.transaction() as tx:
            tx.insert("b", {"id": 2, "aid": 2, "y": 5})
        assert [row["y"] for row in db.scan("v")] == [3, 5]
        db.verify()


def test_too_many_views_are_refused_by_that_name(db: Database) -> None:
    for i in range(config.views_max):
        db.execute(f"create view v{i} as select id from a")
    with pytest.raises(reifydb.LimitError) as refused:
        db.execute("create view one_more as select id from a")
    assert (refused.value.limit, refused.value.value) == ("views_max", config.views_max)
    with pytest.raises(reifydb.LimitError) as refused:
        db.query("select n from (select count(*) as n from a group by x) as g")
    assert refused.value.limit == "views_max"
    db.execute("drop view v0")
    db.execute("create view one_more as select id from a")
    db.verify()
