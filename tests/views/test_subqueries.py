"""Subqueries: queries and views say what sqlite3 says, and a view costs what its change costs."""

from __future__ import annotations

import random
import sqlite3
from collections.abc import Iterable, Iterator

import pytest

import reifydb
from reifydb import Database, ExpressionError, SqlError
from reifydb.errors import SchemaError

TABLES = """
create table a (id int primary key, x int, t text, bid int);
create table b (id int primary key, aid int, y int);
create table e (id int primary key, y int);
"""

QUERIES = """
select id from a where x in (select y from b)
select id from a where x not in (select y from b)
select id from a where x not in (select y from b where y is not null)
select id from a where x in (select y from b where b.aid = a.id)
select id from a where x not in (select y from b where b.aid = a.id)
select id, x in (select y from b) as i, x not in (select y from b where aid = a.id) as n from a
select id, x in (select y from e) as i, x not in (select y from e) as n from a
select id, null in (select y from b) as i, 2 in (select y from b) as j from a
select id from a where exists (select 1 from b where b.aid = a.id)
select id from a where not exists (select * from b where b.aid = a.id and b.y > 1)
select id from a where exists (select 1 from b) and not exists (select 1 from e)
select id from a where exists (select 1 from b where b.id = a.bid)
select id from a where bid in (select id from b where y > 0) or x = 1
select id from a where not (bid in (select id from b where y > 0) and x = 1)
select id, (select sum(y) from b where b.aid = a.id) as s from a
select id, (select count(*) from b where b.aid = a.id) as c from a
select id, (select max(y) from b) as m, (select count(*) from e) as c from a
select id, (select coalesce(sum(y), 0) + a.x from b where b.aid = a.x) as s from a
select id, (select count(y) from b where aid = a.id having count(*) > 1) as s from a
select id, (select y from b where b.id = a.bid) as y from a
select id, (select coalesce(y, 7) + a.x from b where id = a.bid) as z from a
select id, (select y from b where id = 3) as y from a
select id from a where (select y from b where b.id = a.bid) is not null
select id from a where (select y from b order by id limit 1) is not null
select id, (select y from b where id = a.bid and y > 1) as y from a
select id, (select y from b order by id desc limit 1) as y from a
select id, (select max(y) from b where aid = a.id group by aid) as y from a
select id from a where x > (select avg(y) from b)
select x, (select count(*) from b where b.y = a.x) as c from a group by x
select x from a group by x having count(*) > (select min(y) from b where y > 0)
select (select count(*) from b) as n, exists (select 1 from e) as e
select id from a where exists (select count(*) from b where b.aid = a.id)
select id from a where exists (select 1 from b where aid = a.id group by y having count(*) > 0)
select id from a where exists (select 1 from b group by y order by y limit 1 offset 2)
select id from a where exists (select count(*) from b where b.aid = a.id having count(*) > 1)
select id from a where x in (select max(y) from b where b.aid = a.id group by b.y)
select id from a where x in (select max(y) from b where b.aid = a.id)
select id from a where x not in (select max(y) from b where b.aid = a.id)
select id from a where x in (select max(y) from b where aid = a.id having count(*) > 1)
select id from a where x not in (select y from b union select y from e)
select id from a where x in (select y from b order by id limit 2)
select id from a where exists (select 1 from b where b.aid = a.id and a.x > 1)
select id from a where x in (select c.x from b join a as c on c.id = b.aid where b.y = a.bid)
select id from a where exists (select 1 from b where aid = a.id and y in (select y from e))
select id from a where exists (select 1 from b where aid = a.id limit 1)
select id from a where exists (select 1 from b where aid = a.id and y > a.x)
select id from a where not exists (select 1 from b where aid = a.id and a.x >= y)
select id from a where not exists (select 1 from b where y <> a.x)
select id, exists (select 1 from b where y < a.x group by y) as e from a
select id, x in (select y from b where aid <> a.id) as e from a
select id from a where x not in (select y from b where aid = a.id and b.id <= a.bid)
select a.id, b.id as j from a left join b on aid = a.id where y in (select y from e) or y is null
select a.id, b.id as j from a left join b on b.aid = a.id where b.y in (select x from a)
select a.id, (select count(*) from e where e.y = b.y) as n from a left join b on b.aid = a.id
with q as (select y from b where y > 0) select id from a where x in (select y from q)
select id from a where x in (with q as (select y from b) select y from q where y > 1)
select count(*) as n, sum(x) as s from a where exists (select 1 from b where b.aid = a.id)
select distinct x in (select y from b) as f from a
select id, case when x in (select y from b) then (select max(y) from b) else -1 end as v from a
select id from a order by (select count(*) from b where aid = a.id) desc, id limit 4
select sum((select count(*) from b where b.aid = a.id)) as s, (select max(y) from b) as m from a
select x in (select y from b) as k, count(*) as n from a group by x in (select y from b)
select id from a where (select count(y) from b where aid = a.id) > 1 and id in (select y from e)
select id from a where x in (select y from e) union select id from b where id in (select y from e)
select q.id from (select id, x from a where x in (select y from b)) as q where q.id > 2
select a.id, q.y from a left join (select aid, y from b where y > 0) as q on q.aid = a.id
select a.id, c.id as cid from a left join b on b.aid = a.id left join a as c on c.id = b.y
select a.id, c.id as cid from a left join b on b.aid = a.id join a as c on c.id = b.y
select c.id from a left join b on aid = a.id join a as c on c.x = b.y left join e on e.id = c.x
""".strip().splitlines()


@pytest.fixture
def db() -> Iterator[Database]:
    with reifydb.open(":memory:") as db:
        db.execute(TABLES)
        yield db
        db.verify()


def _plain(rows: Iterable[Iterable[object]]) -> list[tuple[object, ...]]:
    """Rows in one order, with bools as sqlite3 has them."""
    found = [tuple(int(v) if isinstance(v, bool) else v for v in row) for row in rows]
    return sorted(found, key=repr)


@pytest.mark.parametrize("early", [True, False])
def test_queries_and_views_are_what_sqlite_says(db: Database, early: bool) -> None:
    """Views from the beginning, or of the rows that are there in the middle."""
    rng, lite = random.Random(early), sqlite3.connect(":memory:")
    lite.executescript(TABLES)
    views = [f"create view v{n} as {sql}" for n, sql in enumerate(QUERIES)]
    for n in range(60):
        for sql in views if n == (0 if early else 20) else ():
            db.execute(sql)
        with db.transaction() as tx:
            for _ in range(rng.randrange(1, 5)):
                table, key = rng.choice("aabbe"), rng.randrange(8)
                if rng.random() < 0.3:
                    tx.delete(table, key)
                    lite.execute(f"delete from {table} where id = ?", (key,))
                    continue
                row: dict[str, object] = {"id": key}
                for column in {"a": ("x", "bid"), "b": ("aid", "y"), "e": ("y",)}[table]:
                    row[column] = rng.choice((None, 0, 1, 2, 3))
                tx.upsert(table, row)
                names, marks = ", ".join(row), ", ".join("?" * len(row))
                sql = f"insert or replace into {table} ({names}) values ({marks})"
                lite.execute(sql, tuple(row.values()))
        db.verify()
        for number, sql in enumerate(QUERIES):
            expected = _plain(lite.execute(sql).fetchall())
            if n % 4 == 0:
                assert _plain(db.query(sql).tuples) == expected, sql
            if n >= 20 or early:
                rows = [list(row.values()) for row in db.scan(f"v{number}")]
                assert _plain(rows) == expected, sql


def _fill(db: Database) -> None:
    with db.transaction() as tx:
        tx.insert_many("a", [{"id": i, "x": i % 7, "bid": i} for i in range(500)])
        tx.insert_many("b", [{"id": i, "aid": i % 100, "y": i % 5} for i in range(300)])


@pytest.mark.parametrize(
    ("sql", "rows_in"),
    [
        ("select id from a where exists (select 1 from b)", 1),
        ("select id from a where x in (select y from b)", 1),
        ("select id from a where x not in (select y from b)", 3),
        ("select id from a where not exists (select 1 from b where aid = a.id)", 1),
        ("select id, (select max(y) from b) as m from a", 1),
        ("select id, (select min(y) from b where aid = a.id) as m from a", 1),
        ("select id, (select y from b where id = a.bid) as m from a", 1),
    ],
)
def test_what_changes_nothing_of_a_subquery_goes_no_further(
    db: Database, sql: str, rows_in: int
) -> None:
    """One more row of a group that is there, and is what it was: the rows around are not asked."""
    _fill(db)
    db.execute(f"create view v as {sql}")
    before = db.upkeep("v")
    with db.transaction() as tx:
        tx.insert("b", {"id": 1000, "aid": 3, "y": 4 if "max" in sql else 3})
    after = db.upkeep("v")
    assert after.rows_in - before.rows_in == rows_in
    assert after.rows_out == before.rows_out


def test_a_subquery_by_a_primary_key_needs_no_table_of_its_own(db: Database) -> None:
    db.execute("""
        create view found as select id from a where exists (select 1 from b where b.id = a.bid);
        create view taken as select id from a where bid in (select id from b where y > 1);
        create view value as select id, (select y from b where b.id = a.bid) as y from a;
        create view set as select id, (select y from b where id = 1) as y from a;
    """)
    tables = db._state.catalog.handles
    for name in ("found", "taken", "value", "set"):
        view = tables[name].table.view
        assert view is not None
        assert view.parts == 1
    steps = db.query("explain select id from a where bid in (select id from b where y > 1)")
    assert [(row["does"], row["by"]) for row in steps][1] == ("join", "primary key (id)")


def test_half_a_primary_key_tells_no_row(db: Database) -> None:
    db.execute("create table k (p int, q int, v int, primary key (p, q))")
    db.query("select id, (select v from k where p = a.x and q = 1) as v from a")
    with pytest.raises(SqlError, match="line 1, column 20: a subquery may give several rows here"):
        db.query("select id, (select v from k where p = a.x) as v from a")


def test_the_key_of_a_view_is_that_of_the_rows_around(db: Database) -> None:
    db.execute("""
        create view v as
            select id, x in (select y from b) as i, (select count(*) from b where aid = a.id) as n,
                (select y from b where b.id = a.bid) as y, exists (select 1 from e) as e
            from a where x not in (select y from e)
    """)
    with db.transaction() as tx:
        tx.insert("a", {"id": 1, "x": 2, "bid": 5})
        tx.insert("b", {"id": 5, "aid": 1, "y": 2})
        assert tx.get("v", 1) == {"id": 1, "i": True, "n": 1, "y": 2, "e": False}


def test_a_subquery_that_cannot_be_computed_refuses_the_transaction(db: Database) -> None:
    db.execute(
        "create view v as select id, (select max(10 / y) from b where aid = a.id) as m from a"
    )
    said = "view v: line 1, column 41: division by zero"
    with pytest.raises(ExpressionError, match=said), db.transaction() as tx:
        tx.insert("b", {"id": 1, "aid": 1, "y": 0})
    assert db.count("b") == 0


def test_parameters_in_subqueries(db: Database) -> None:
    _fill(db)
    sql = "select id from a where id < :most and x in (select y from b where y > :least)"
    assert [row["id"] for row in db.query(sql, {"most": 6, "least": 2})] == [3, 4]
    assert db.query("select :x in (select y from b) as i", {"x": 3}).value() is True
    assert db.query("select (select count(*) from b where y = ?) as n", [2]).value() == 60


def test_changes_with_subqueries(db: Database) -> None:
    _fill(db)
    assert db.execute("delete from a where id not in (select aid from b where aid < 10)") == 490
    assert db.execute("update a set x = (select count(*) from b where aid = a.id)") == 10
    assert {row["x"] for row in db.scan("a")} == {3}
    assert (
        db.execute("update a set bid = null where exists (select 1 from b where b.id = a.id)") == 10
    )
    assert db.execute("insert into e values (1, (select max(y) from b)), (2, 7)") == 2
    assert list(db.scan("e")) == [{"id": 1, "y": 4}, {"id": 2, "y": 7}]
    assert db.execute("insert into e select id + 10, x from a where id in (select y from e)") == 2


def test_views_and_with_in_subqueries(db: Database) -> None:
    _fill(db)
    db.execute("""
        create view busy as select aid, count(*) as n from b group by aid having count(*) > 2;
        create view v as select id from a where id in (select aid from busy);
        create view w as select id, (select n from busy where busy.aid = a.id) as n from a;
    """)
    assert db.count("v") == 100
    with db.transaction() as tx:
        tx.delete("b", 7)
        assert tx.get("v", 7) is None
        assert tx.get("w", 7) == {"id": 7, "n": None}
        assert tx.get("w", 8) == {"id": 8, "n": 3}
    with pytest.raises(SchemaError, match="view w is made of it"):
        db.execute("drop view busy")


def test_a_view_with_subqueries_is_made_anew(tmp_path: object) -> None:
    path = f"{tmp_path}/db"
    with reifydb.open(path) as db:
        db.execute(TABLES)
        _fill(db)
        for n, sql in enumerate(QUERIES):
            db.execute(f"create view v{n} as {sql}")
        before = [list(db.scan(f"v{n}")) for n in range(len(QUERIES))]
    with reifydb.open(path) as db:
        assert [list(db.scan(f"v{n}")) for n in range(len(QUERIES))] == before
        db.execute("drop view " + ", ".join(f"v{n}" for n in range(len(QUERIES))))
        assert sorted(db.tables) == ["a", "b", "e"]
