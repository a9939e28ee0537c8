"""`plan_schema`: what a script would change, what stands in its way, and that nothing is left."""

from __future__ import annotations

import time
from typing import Any

import pytest

import reifydb
from reifydb.database import schema_changes
from reifydb.database.schema_plan import Planned, planned
from tests.guests.databases import no_trace

SCRIPT = """
    alter table note add column author int default 3;
    create table person (id int primary key, mail text);
    create unique index by_mail on person (mail);
    alter table note add foreign key (author) references account;
    create index by_balance on account (balance);
    create view rich as select id from account where balance >= 100;
    create view richer as select a.id from rich a join note n on n.id = a.id;
    create assertion none_negative as select id from account where balance < 0;
    alter table place drop column people;
    alter table place rename column town to city;
    alter table place rename to address;
    drop table address;
"""


def test_a_plan_lists_every_change(db: reifydb.Database) -> None:
    with db.transaction() as tx:
        tx.insert("place", {"town": "a", "street": "b", "number": 1})
        tx.insert_many("note", [{}, {}])
    tables = db.tables
    with no_trace(db):
        plan = db.plan_schema(SCRIPT)
    assert plan.problems == ()
    assert plan.changes == (
        Planned("add column", "author", "note"),
        Planned("create table", "person"),
        Planned("create unique index", "by_mail", "person"),
        Planned("create index", "note_author_fkey_index", "note", rows_read=2),
        Planned("add foreign key", "note_author_fkey", "note", rows_read=2),
        Planned("create index", "by_balance", "account", rows_read=10),
        Planned("create view", "rich", rows_read=10),
        Planned("create view", "richer", rows_read=12),
        Planned("create assertion", "none_negative", rows_read=10),
        Planned("drop column", "people", "place"),
        Planned("rename column", "town to city", "place"),
        Planned("rename table", "place to address"),
        Planned("drop table", "address", rows_lost=1),
    )
    assert db.tables == tables
    db.execute(SCRIPT)  # and so it is
    assert set(db.tables) == {"account", "note", "none_negative", "person", "rich", "richer"}
    with no_trace(db):
        plan = db.plan_schema("""
            drop view richer; drop assertion none_negative; drop index by_balance;
            alter table note drop constraint note_author_fkey; drop table if exists nothing
        """)
    assert [(one.does, one.name) for one in plan.changes] == [
        ("drop view", "richer"),
        ("drop assertion", "none_negative"),
        ("drop index", "by_balance"),
        ("drop index", "note_author_fkey_index"),
        ("drop constraint", "note_author_fkey"),
    ]


def test_every_problem_is_listed_and_what_fits_beside_them(db: reifydb.Database) -> None:
    db.execute("create view v as select id, owner from account")
    with no_trace(db):
        plan = db.plan_schema("""
            drop table account;
            create unique index by_balance on account (balance);
            create assertion poor as select id, balance from account where balance >= 100;
            alter table account add foreign key (id) references note;
            create view broken as select 1 / (balance - 100) as x from account;
            create view fine as select id from v;
            create table t (id int primary key);
            create view fine as select id from account;
            alter table account rename column owner to holder;
            drop view v
        """)
    assert [problem.split(":")[0] for problem in plan.problems] == [
        f"statement {n}" for n in (1, 2, 3, 4, 5, 8, 9, 10)
    ]
    assert plan.problems[0].endswith("dropped: module bank binds it; view v is made of it")
    assert "assertion poor is violated: id = 0, balance = 100" in plan.problems[2]
    assert "account_id_fkey" in plan.problems[3]
    assert "division by zero" in plan.problems[4]
    assert [one.name for one in plan.changes] == ["fine", "t"]
    assert set(db.tables) == {"account", "note", "place", "v"}
    assert db.call("bank.transfer", 1, 2, 5) == 95


def test_what_is_no_script_is_refused(db: reifydb.Database) -> None:
    with pytest.raises(reifydb.SqlError, match="line 1, column 24"):
        db.plan_schema("create table t (id int primary kye)")
    with pytest.raises(reifydb.SqlError):
        db.plan_schema("insert into account values (1, 'x', 2)")
    with db.transaction(), pytest.raises(reifydb.ReentrantError):
        db.plan_schema("drop table note")
    assert db.plan_schema("").changes == ()


def test_a_plan_may_take_longer_than_a_transaction(monkeypatch: pytest.MonkeyPatch) -> None:
    def slowly(*given: Any) -> Any:
        time.sleep(0.3)
        return planned(*given)

    monkeypatch.setattr(schema_changes, "planned", slowly)
    with reifydb.open(":memory:", options=reifydb.Options(transaction_ms_max=200)) as db:
        plan = db.plan_schema("create table t (id int primary key)")
        assert [one.name for one in plan.changes] == ["t"]
        assert db.tables == {}
        db.execute("create table t (id int primary key)")
        db.verify()


def test_subscribers_and_queries_go_on(db: reifydb.Database) -> None:
    asked = "select count(*) as n from account"
    assert db.query(asked).value() == 10
    with db.subscribe("account") as changes:
        next(iter(changes))
        db.plan_schema(
            "alter table account add column x int; create view n as select id from account"
        )
        assert db.query(asked).value() == 10
        db.call("bank.deposit", 1, 1)
        change = next(iter(changes))
        assert type(change).__name__ != "Snapshot"
    with pytest.raises(reifydb.UnknownNameError):
        db.scan("n")
    db.verify()
