"""Subscriptions to selects, as a script for each promise. tests/views follows thousands of random
ones beside the views that they describe.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

import reifydb
from reifydb import Change, Delta, Position, config
from reifydb.errors import (
    ExpressionError,
    LimitError,
    RequestError,
    SchemaError,
    SqlError,
    WrongTypeError,
)

OF_BRANCH = "select id, balance from account where branch = :branch"
TOTALS = "select branch, count(*) as accounts, sum(balance) as money from account group by branch"


@pytest.fixture
def db() -> Iterator[reifydb.Database]:
    """Accounts 0 to 9, even ones in the north, odd ones in the south."""
    with reifydb.open(":memory:", options=reifydb.Options(outbox_commits_max=4)) as db:
        db.execute("""
            create table account (id int primary key, branch text, balance int not null);
            create table branch (name text primary key, region text);
            create index account_branch on account (branch)
        """)
        with db.transaction() as tx:
            for i in range(10):
                branch = ("north", "south")[i % 2]
                tx.insert("account", {"id": i, "branch": branch, "balance": 10 * i})
        yield db
        db.verify()


@pytest.fixture
def write(db: reifydb.Database) -> Callable[..., None]:
    def upsert(key: int, **columns: object) -> None:
        with db.transaction() as tx:
            tx.upsert("account", {"id": key, **columns})

    return upsert


def followed(db: reifydb.Database) -> int:
    """How many selects are followed."""
    return len(db._subscriptions.selects._followed)


def news(changes: reifydb.Changes) -> list[list[tuple[str, object]]]:
    """What each delta that has come says."""
    found = []
    while (item := changes.get(timeout_s=0)) is not None:
        assert isinstance(item, Delta)
        found.append([(change.op, change.key) for change in item.changes])
    return found


def test_a_filter_has_a_snapshot_and_the_changes_that_it_shows(
    db: reifydb.Database, write: Callable[..., None]
) -> None:
    with db.subscribe(OF_BRANCH, {"branch": "north"}) as changes:
        first: Any = changes.get()
        assert [row["id"] for row in first.rows] == [0, 2, 4, 6, 8]
        assert first.position == db.position
        write(0, balance=1)
        write(1, balance=1)
        write(2, branch="south")
        write(3, branch="north")
        with db.transaction() as tx:
            tx.delete("account", 4)
            tx.delete("account", 5)
        assert news(changes) == [
            [("update", 0)],
            [("delete", 2)],
            [("insert", 3)],
            [("delete", 4)],
        ]


def test_changes_that_it_does_not_show_are_none(
    db: reifydb.Database, write: Callable[..., None]
) -> None:
    with db.subscribe("select branch from account where balance < 1000") as changes:
        changes.get()
        write(0, balance=5)
        assert news(changes) == []
        write(0, balance=5000)
        assert news(changes) == [[("delete", 0)]]
        with db.transaction() as tx:
            tx.upsert("account", {"id": 0, "balance": 1})
            tx.upsert("account", {"id": 0, "balance": 5000})
            tx.insert("account", {"id": 77, "balance": 1})
            tx.delete("account", 77)
        assert news(changes) == []


def test_a_delta_says_which_change_came_before_it(
    db: reifydb.Database, write: Callable[..., None]
) -> None:
    with db.subscribe(OF_BRANCH, ["north"]) as changes:
        first: Any = changes.get()
        write(1, balance=1)
        write(0, balance=1)
        one: Any = changes.get()
        write(0, balance=2)
        two: Any = changes.get()
        assert one.previous_lsn <= first.position.lsn < one.position.lsn == two.previous_lsn
        assert two.changes == [Change("update", 0, {"id": 0, "balance": 2})]


def test_any_other_select_is_kept_up_to_date_as_a_view_is(
    db: reifydb.Database, write: Callable[..., None]
) -> None:
    before = db.state_hash
    with db.subscribe(TOTALS) as changes:
        first: Any = changes.get()
        assert first.rows == [dict(row) for row in db.query(TOTALS + " order by branch")]
        assert db.state_hash == before
        assert sorted(db.tables) == ["account", "branch"]
        write(0, balance=7)
        assert news(changes) == [[("update", "north")]]
        write(0, branch="west")
        assert sorted(news(changes)[0]) == [("insert", "west"), ("update", "north")]
        db.verify()


def test_the_first_rows_with_a_parameter_for_the_limit(
    db: reifydb.Database, write: Callable[..., None]
) -> None:
    sql = "select id from account order by balance desc limit :most"
    with db.subscribe(sql, {"most": 2}) as changes:
        assert {row["id"] for row in changes.get().rows} == {8, 9}  # type: ignore[union-attr]
        write(0, balance=1000)
        assert sorted(news(changes)[0]) == sorted([("delete", 8), ("insert", 0)])


def test_who_follows_the_same_shares_it_and_the_last_one_takes_it_away(
    db: reifydb.Database,
) -> None:
    used = db._kernel.control.memory_used
    for sql, params in ((OF_BRANCH, ("north",)), (TOTALS, ())):
        one, two = db.subscribe(sql, params), db.subscribe(sql, params)
        assert followed(db) == 1
        one.close()
        assert followed(db) == 1
        two.close()
        two.close()
        assert followed(db) == 0
    for _ in range(20):
        db.subscribe(TOTALS).close()
        db.subscribe(OF_BRANCH, ["x"]).close()
    db.verify()
    assert db._kernel.control.memory_used - used < 1 << 20


def test_a_view_goes_only_when_no_transaction_can_undo_what_it_shows(
    db: reifydb.Database,
) -> None:
    changes = db.subscribe(TOTALS)
    with db.transaction() as tx:
        tx.upsert("account", {"id": 0, "balance": 1})
        assert len(tx.query(TOTALS)) == 2
        changes.close()
        assert followed(db) == 0
    db.verify()
    with db.subscribe(TOTALS) as again:
        assert again.get() is not None


def test_a_slow_reader_gets_a_new_snapshot(
    db: reifydb.Database, write: Callable[..., None]
) -> None:
    with db.subscribe(OF_BRANCH, ["north"]) as one, db.subscribe(TOTALS) as two:
        one.get(), two.get()
        for i in range(9):  # more than outbox_commits_max
            write(0, balance=100 + i)
        for changes in (one, two):
            item: Any = changes.get()
            assert isinstance(item, reifydb.Snapshot)
            assert item.position == db.position
            write(0, balance=0)
            assert news(changes) != []
            write(0, balance=1)


def test_since_goes_on_where_nothing_has_changed(
    db: reifydb.Database, write: Callable[..., None]
) -> None:
    with db.subscribe(OF_BRANCH, ["north"]) as changes:
        seen: Any = changes.get().position  # type: ignore[union-attr]
    with db.transaction() as tx:
        tx.insert("branch", {"name": "x"})
    with db.subscribe(OF_BRANCH, ["north"], since=seen) as changes:
        assert changes.get(timeout_s=0) is None
        write(0, balance=1)
        assert news(changes) == [[("update", 0)]]
    with db.subscribe(OF_BRANCH, ["north"], since=seen) as changes:
        assert isinstance(changes.get(), reifydb.Snapshot)
    with pytest.raises(RequestError, match="there is no"):
        db.subscribe(OF_BRANCH, ["north"], since=Position(1, 10**6))
    assert followed(db) == 0


def test_an_expression_that_fails_ends_the_subscription_and_no_transaction(
    db: reifydb.Database, write: Callable[..., None]
) -> None:
    one = db.subscribe("select 100 / (balance - 7) as x from account where branch = ?", ["north"])
    two = db.subscribe("select branch, sum(100 / (balance - 7)) as x from account group by branch")
    one.get(), two.get()
    write(0, balance=7)
    assert db.get("account", 0) == {"id": 0, "branch": "north", "balance": 7}
    for changes, column in ((one, 8), (two, 20)):
        with pytest.raises(ExpressionError, match="division by zero") as caught:
            changes.get(timeout_s=0)
        assert (caught.value.line, caught.value.column) == (1, column)
        changes.close()
    with pytest.raises(ExpressionError, match="the select"):
        db.subscribe("select sum(1 / (balance - 7)) as x from account").get()
    broken = db.subscribe("select 1 / (balance - 7) as x from account")
    with pytest.raises(ExpressionError, match="the select"):
        broken.get()
    broken.close()
    assert followed(db) == 0


def test_a_transaction_that_fails_for_a_follower_alone_commits(db: reifydb.Database) -> None:
    """… and what it had written of other views is there."""
    db.execute(f"create view kept as {TOTALS}")
    with db.subscribe("select sum(1 / (balance - 7)) as x from account") as changes:
        changes.get()
        with db.transaction() as tx:
            tx.upsert("account", {"id": 0, "balance": 7})
            assert tx.get("kept", "north")["money"] == 207  # type: ignore[index]
        assert db.get("kept", "north")["money"] == 207  # type: ignore[index]
        with pytest.raises(ExpressionError):
            changes.get(timeout_s=0)


def test_other_columns_bring_a_new_snapshot_and_a_dropped_table_ends_it(
    db: reifydb.Database,
) -> None:
    with db.subscribe("select * from account where id < 1") as one, db.subscribe(TOTALS) as two:
        one.get(), two.get()
        db.execute("create index other on account (balance)")
        assert one.get(timeout_s=0) is None
        db.execute("alter table account add column open bool default true")
        assert one.get().rows == [  # type: ignore[union-attr]
            {"id": 0, "branch": "north", "balance": 0, "open": True}
        ]
        assert isinstance(two.get(), reifydb.Snapshot)
        with pytest.raises(SchemaError):
            db.execute("alter table account drop column id")
        for changes in (one, two):  # nothing has changed, but they begin anew
            assert isinstance(changes.get(), reifydb.Snapshot)
        db.execute("alter table account rename to konto")
        for changes in (one, two):
            with pytest.raises(SqlError, match="no table account"):
                changes.get()


def test_an_index_that_it_uses_can_go(db: reifydb.Database, write: Callable[..., None]) -> None:
    with db.subscribe(OF_BRANCH, ["north"]) as changes:
        changes.get()
        db.execute("drop index account_branch")
        assert len(changes.get().rows) == 5  # type: ignore[union-attr]
        write(0, balance=1)
        assert news(changes) == [[("update", 0)]]


def test_nothing_equals_null(db: reifydb.Database, write: Callable[..., None]) -> None:
    with db.subscribe(OF_BRANCH, [None]) as changes:
        assert changes.get().rows == []  # type: ignore[union-attr]
        write(0, branch=None)
        assert news(changes) == []


def test_a_key_that_is_not_selected_is_in_the_changes(
    db: reifydb.Database, write: Callable[..., None]
) -> None:
    with db.subscribe("select balance from account where id < 2") as changes:
        first: Any = changes.get()
        assert first.keys == [0, 1]
        write(1, balance=5)
        assert changes.get() == Delta(
            db.position, first.position.lsn, [Change("update", 1, {"balance": 5})]
        )


@pytest.mark.parametrize(
    ("sql", "params", "error", "said"),
    [
        ("select 1", None, SqlError, "from"),
        ("select * from account where", None, SqlError, ""),
        ("select * from acount", None, SqlError, "no table acount"),
        ("select * from reifydb_table", None, SqlError, "the system's"),
        (OF_BRANCH, None, RequestError, "0 were given"),
        (OF_BRANCH, {"branch": 5}, WrongTypeError, ""),
        (OF_BRANCH, {"branch": "x" * 5000}, LimitError, "subscribed_parameters_bytes_max"),
        ("account", {"x": 1}, RequestError, "has no parameters"),
        ("delete from account", None, SqlError, ""),
        ("select balance from account limit 3", None, SqlError, "order by"),
        ("select * from account order by id limit 200000", None, SqlError, "top_rows_max"),
    ],
)
def test_what_cannot_be_followed_says_why(
    db: reifydb.Database, sql: str, params: Any, error: type[Exception], said: str
) -> None:
    with pytest.raises(error) as caught:
        db.subscribe(sql, params)
    assert said in str(caught.value) + str(getattr(caught.value, "limit", ""))
    assert followed(db) == 0


def limit_of(kept: list[reifydb.Changes], make: Callable[[int], reifydb.Changes]) -> str:
    """The limit that is reached when ever more is followed."""
    for i in range(10_000):
        try:
            kept.append(make(i))
        except LimitError as error:
            return error.limit
    return "none"


def test_ten_thousand_shapes_reach_a_limit_and_harm_nobody(
    db: reifydb.Database, write: Callable[..., None]
) -> None:
    kept: list[reifydb.Changes] = []
    filtered = "select id from account where id > {}"
    assert limit_of(kept, lambda i: db.subscribe(filtered.format(i))) == "subscribed_shapes_max"
    counted = "select count(*) as n{} from account"
    assert limit_of(kept, lambda i: db.subscribe(counted.format(i))) == "subscribed_views_max"
    assert followed(db) == config.subscribed_shapes_max + config.subscribed_views_max
    db.verify()
    write(0, balance=1)
    db.execute("create view v as select count(*) as n from account")
    for changes in kept:
        changes.close()
    assert followed(db) == 0


def test_values_that_are_alike_reach_a_limit(db: reifydb.Database) -> None:
    kept: list[reifydb.Changes] = []
    below = "select id from account where balance < ?"
    assert limit_of(kept, lambda i: db.subscribe(below, [i])) == "subscribed_alike_max"
    assert len(kept) == config.subscribed_alike_max
    equal = "select id from account where balance = ?"
    assert limit_of(kept, lambda i: db.subscribe(equal, [i])) == "none"
    for changes in kept:
        changes.close()


def test_a_view_that_grows_too_large_ends(db: reifydb.Database) -> None:
    every = "account a join account b on true join account c on true"
    sql = f"select a.id as x, b.id as y, c.id as z from {every}"
    with db.subscribe(sql) as changes:
        assert len(changes.get().rows) == 1000  # type: ignore[union-attr]
        with db.transaction() as tx:
            tx.insert_many("account", [{"id": i, "balance": 1} for i in range(100, 200)])
        with pytest.raises(LimitError) as caught:
            changes.get(timeout_s=0)
        assert caught.value.limit.startswith("subscribed_view_")
    assert db.count("account") == 110


def test_a_snapshot_is_whole_whatever_is_written_while_it_is_read() -> None:
    """Also in the order of an index, in which rows move while it is gone through."""
    with reifydb.open(":memory:") as db:
        db.execute("create table t (id int primary key, g int not null, v int not null, s text)")
        db.execute("create index t_g_v on t (g, v)")
        with db.transaction() as tx:
            for i in range(4000):
                tx.insert("t", {"id": i, "g": i % 2, "v": i * 7919 % 4000, "s": "x" * 100})
        changes = db.subscribe("select id, v from t where g = :g and v >= 100", {"g": 1})
        turns = []
        original = changes._turn

        def turn(*, read: bool) -> bool:
            turns.append(read)
            if read:
                with db.transaction() as tx:
                    k = len(turns)
                    for i in range(k, 4000, 97):
                        if tx.get("t", i) is not None:
                            tx.update("t", {"id": i, "v": (i * 31 + k * 1009) % 4000, "g": i % 3})
                    tx.delete("t", k * 3)
            return original(read=read)

        changes._turn = turn  # type: ignore[method-assign]
        first: Any = changes.get()
        assert len(turns) > 3
        wanted = db.query("select id, v from t where g = 1 and v >= 100").tuples
        assert sorted((r["id"], r["v"]) for r in first.rows) == sorted(wanted)
        changes.close()
        db.verify()
