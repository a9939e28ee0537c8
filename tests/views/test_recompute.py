"""Views that are made anew after each change: `with (maintenance = 'recompute', max_rows = N)`.

The machine has them among its views; here is a script for each promise.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import reifydb
from reifydb.errors import LimitError, SqlError
from reifydb.sql.create_table import render_create_table

PAIRS = "select x.id as x, y.id as y, x.n + y.n as s from a x join a y on x.n >= y.n"
ANEW = "with (maintenance = 'recompute', max_rows = 60)"


@pytest.fixture
def db() -> Iterator[reifydb.Database]:
    with reifydb.open(":memory:") as db:
        db.execute("create table a (id int primary key, n int not null)")
        db.execute(f"create view pairs {ANEW} as {PAIRS}")
        db.execute(f"create view kept as {PAIRS}")
        db.execute(
            f"create view most {ANEW} as select n, count(*) as c, max(id) as m from a group by n"
        )
        yield db
        db.verify()


def agree(source: Any) -> None:
    assert list(source.scan("pairs")) == list(source.scan("kept"))
    wanted = source.query("select n, count(*) as c, max(id) as m from a group by n order by n")
    assert list(source.scan("most")) == [dict(row) for row in wanted]


def test_it_is_what_its_query_says_inside_the_transaction_and_after_it(
    db: reifydb.Database,
) -> None:
    with db.transaction() as tx:
        for i in range(5):
            tx.insert("a", {"id": i, "n": i % 3})
            agree(tx)
        tx.update("a", {"id": 1, "n": 2})
        tx.delete("a", 0)
        agree(tx)
    agree(db)
    db.verify()


def test_what_was_undone_is_undone_in_it(db: reifydb.Database) -> None:
    with db.transaction() as tx:
        tx.insert("a", {"id": 1, "n": 1})
    with db.transaction() as tx:
        tx.delete("a", 1)
        tx.insert("a", {"id": 2, "n": 2})
        agree(tx)
        tx.rollback()
    agree(db)
    assert db.count("pairs") == 1


def test_its_changes_are_what_differs(db: reifydb.Database) -> None:
    with db.transaction() as tx:
        tx.insert_many("a", [{"id": i, "n": i} for i in range(3)])
    with db.subscribe("pairs") as changes, db.subscribe("most") as groups:
        changes.get(), groups.get()
        with db.transaction() as tx:
            tx.update("a", {"id": 2, "n": 3})
        delta: Any = changes.get()
        assert sorted((change.op, change.key) for change in delta.changes) == [
            ("update", (2, 0)),
            ("update", (2, 1)),
            ("update", (2, 2)),
        ]
        told: Any = groups.get()
        assert sorted((change.op, change.key) for change in told.changes) == [
            ("delete", 2),
            ("insert", 3),
        ]


def test_more_rows_than_it_may_look_at_refuse_the_transaction(db: reifydb.Database) -> None:
    with db.transaction() as tx:
        tx.insert_many("a", [{"id": i, "n": i} for i in range(6)])
    with pytest.raises(LimitError, match="view pairs") as caught, db.transaction() as tx:
        tx.insert_many("a", [{"id": i, "n": i} for i in range(6, 12)])
    assert (caught.value.limit, caught.value.value) == ("max_rows", 60)
    assert db.count("a") == 6
    agree(db)
    with pytest.raises(LimitError) as caught:
        db.execute(
            "create view v with (maintenance = 'recompute', max_rows = 3) as select n from a"
        )
    assert (caught.value.limit, caught.value.value) == ("max_rows", 3)


def test_it_is_there_when_the_database_is_opened_again(tmp_path: Path) -> None:
    path = tmp_path / "db"
    with reifydb.open(path) as db:
        db.execute("create table a (id int primary key, n int not null)")
        db.execute(f"create view pairs {ANEW} as {PAIRS}; create view kept as select * from pairs")
        with db.transaction() as tx:
            tx.insert_many("a", [{"id": i, "n": i} for i in range(4)])
        rows = list(db.scan("pairs"))
    with reifydb.open(path) as db:
        assert list(db.scan("pairs")) == list(db.scan("kept")) == rows
        view = db.tables["pairs"].view
        assert view is not None
        assert view.max_rows == 60
        with db.transaction() as tx:
            tx.delete("a", 0)
        assert db.count("kept") == 6
        db.verify()


def test_what_only_the_bounds_of_an_index_say_counts(db: reifydb.Database) -> None:
    db.execute("create index a_n on a (n)")
    db.execute(f"create view two {ANEW} as select id from a where n = 2")
    with db.transaction() as tx:
        tx.insert_many("a", [{"id": 1, "n": 2}, {"id": 2, "n": 3}])
    with db.transaction() as tx:
        tx.update("a", {"id": 2, "n": 2})
    assert [row["id"] for row in db.scan("two")] == [1, 2]
    with db.transaction() as tx:
        tx.update("a", {"id": 1, "n": 1})
    assert [row["id"] for row in db.scan("two")] == [2]


def test_its_sql_is_what_makes_it(db: reifydb.Database) -> None:
    sql = render_create_table(db.tables["pairs"])
    assert sql == f"create view pairs {ANEW} as {PAIRS}"
    db.execute("drop view pairs")
    db.execute(sql)
    agree(db)


def test_explain_says_that_it_is_made_anew(db: reifydb.Database) -> None:
    for asked in ("explain view pairs", f"explain create view other {ANEW} as {PAIRS}"):
        [line] = db.query(asked).tuples
        assert line[1:2] == ("made anew",)
        assert "60 rows" in line[3]


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ("maintenance = 'recompute'", "both"),
        ("max_rows = 5", "both"),
        ("maintenance = 'never', max_rows = 5", "no maintenance never"),
        ("maintenance = 'recompute', max_rows = 0", "recompute_rows_max"),
        ("maintenance = 'recompute', max_rows = 10000000", "recompute_rows_max"),
        ("maintenance = 'recompute', max_rows = 'x'", "whole number"),
        ("maintenance = 'recompute', max_rows = 5, fast = 1", "no setting fast"),
        ("maintenance = 'recompute', max_rows = 1.5", "whole number"),
    ],
)
def test_settings_that_are_none_are_refused(db: reifydb.Database, settings: str, said: str) -> None:
    with pytest.raises(SqlError, match=said) as caught:
        db.execute(f"create view v with ({settings}) as select n from a")
    assert "with (maintenance = 'recompute'" in caught.value.hint
