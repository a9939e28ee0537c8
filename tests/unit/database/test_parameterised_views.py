"""Views with parameters, as a script for each promise. tests/property compares them with the same
select written out; tests/views has views of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

import reifydb
from reifydb import Delta, RequestError, SchemaError, Snapshot, SqlError, WrongTypeError, config
from reifydb.engine.catalog import Column, ParameterisedView, Type
from reifydb.engine.table_json import table_from_json, view_to_json
from reifydb.errors import FormatVersionError, LimitError, UnknownNameError

SCHEMA = """
create table orders (
    id int primary key, customer int not null, price decimal(8,2), status text, made timestamp
);
create table customer (id int primary key, name text not null);
create index by_customer on orders (customer);
create view orders_of as select id, price from orders where customer = :customer;
create view newest as select id from orders order by id desc limit :n;
create view spent as
    select customer, sum(price) as money from orders where price >= :least group by customer;
create view named as
    select o.id, c.name from orders_of(:customer) as o
    join orders as whole on whole.id = o.id
    join customer as c on c.id = whole.customer and c.name <> :but
"""


def fill(db: reifydb.Database) -> None:
    with db.transaction() as tx:
        for i in range(1, 4):
            tx.insert("customer", {"id": i, "name": f"c{i}"})
        for i in range(12):
            row = {"id": i, "customer": i % 3 + 1, "price": Decimal(f"{i}.50"), "status": "open"}
            tx.insert("orders", row)


@pytest.fixture
def db() -> Iterator[reifydb.Database]:
    with reifydb.open(":memory:") as db:
        db.execute(SCHEMA)
        fill(db)
        yield db
        db.verify()


def ids(db: reifydb.Database, source: str, params: Any = None) -> list[int]:
    return sorted(row["id"] for row in db.query(f"select * from {source}", params))


# ------------------------------------------------------------------ reading


@pytest.mark.parametrize(
    ("source", "params"),
    [
        ("orders_of(2)", None),
        ("orders_of(customer => 2)", None),
        ("Orders_Of(Customer => 2)", None),
        ('"orders_of"("customer" => 2)', None),
        ("orders_of(:c)", {"c": 2}),
        ("orders_of(customer => :customer)", {"customer": 2}),
        ("orders_of(?)", [2]),
        ("orders_of($1)", [2]),
        ("orders_of(2.0) as o", None),
        ("orders_of('2') o (id)", None),
    ],
)
def test_values_are_given_in_order_or_by_name(
    db: reifydb.Database, source: str, params: Any
) -> None:
    assert ids(db, source, params) == [1, 4, 7, 10]


def test_a_use_is_an_input_like_others(db: reifydb.Database) -> None:
    assert ids(db, "orders_of(1) union select * from orders_of(2)") == [0, 1, 3, 4, 6, 7, 9, 10]
    joined = "select c.name, o.id from customer c left join orders_of(3) o on o.id = c.id * 2 + 1"
    assert {(row["name"], row["id"]) for row in db.query(joined)} == {
        ("c1", None),
        ("c2", 5),
        ("c3", None),
    }
    inside = "select id from customer where id in (select id from orders_of(:c))"
    assert [row["id"] for row in db.query(inside, {"c": 2})] == [1]
    one = "with orders_of as (select id from customer where id = 1)"  # is another thing
    hidden = f"{one} select o.id from orders_of(2) o join orders_of q on true"
    assert len(db.query(hidden)) == 4
    assert ids(db, "orders_of(null)") == []


def test_what_is_beside_a_filter_takes_parameters_as_well(db: reifydb.Database) -> None:
    assert ids(db, "newest(3)") == [9, 10, 11]
    assert ids(db, "newest(:n)", {"n": 2}) == [10, 11]
    assert ids(db, "newest(:n) as n where id < :n + 9", {"n": 2}) == [10]
    found = {row["customer"]: str(row["money"]) for row in db.query("select * from spent(9)")}
    assert found == {1: "9.50", 2: "10.50", 3: "11.50"}
    assert ids(db, "named('c2', customer => 2)".replace("'c2', customer => 2", "2, 'c2'")) == []
    assert ids(db, "named(but => 'c1', customer => 2)") == [1, 4, 7, 10]


def test_a_transaction_reads_what_it_has_written(db: reifydb.Database) -> None:
    with db.transaction() as tx:
        tx.insert("orders", {"id": 99, "customer": 2})
        found = [row["id"] for row in tx.query("select id from orders_of(:c)", {"c": 2})]
        assert sorted(found) == [1, 4, 7, 10, 99]
        written = "insert into customer select id, 'new' from orders_of(:c) where id > 50"
        assert tx.execute(written, {"c": 2}) == 1
    row = db.get("customer", 99)
    assert row is not None
    assert row["name"] == "new"


def test_a_view_is_made_of_one_with_constants_and_kept(db: reifydb.Database) -> None:
    db.execute("""
        create view of_two as select * from orders_of(2);
        create view rich as select customer, money from spent(least => 5) where money > 20;
        create view last as select * from newest(2);
        create assertion no_order_of_nobody as select id from orders_of(0)
    """)
    with db.transaction() as tx:
        tx.update("orders", {"id": 1, "customer": 3})
        tx.insert("orders", {"id": 20, "customer": 2})
    assert [row["id"] for row in db.scan("of_two")] == [4, 7, 10, 20]
    assert [row["id"] for row in db.scan("last")] == [11, 20]
    assert db.count("rich") == 1
    with pytest.raises(reifydb.AssertionViolatedError):
        db.execute("insert into orders (id, customer) values (30, 0)")


def test_select_star_is_of_the_columns_that_were_there(db: reifydb.Database) -> None:
    db.execute("create view whole as select * from orders where customer = :c")
    db.execute("alter table orders add column note text")
    names = ["id", "customer", "price", "status", "made"]
    assert list(db.query("select * from whole(2)")[0]) == names
    db.execute("create view of_two as select * from whole(2)")
    assert list(db.tables["of_two"].columns) == [*db.parameterised_views["whole"].columns]
    db.execute("alter table orders drop column note")


def test_an_error_of_a_row_points_at_the_use(db: reifydb.Database) -> None:
    db.execute("create view part as\n\n   select id from orders where 10 / (id - :by) > 0")
    with pytest.raises(reifydb.ExpressionError, match="line 2, column 9") as refused:
        db.query("select id\n   from part(3)")
    assert refused.value.line == 2


# ------------------------------------------------------------------ what is refused


@pytest.mark.parametrize(
    ("source", "at", "message"),
    [
        ("orders_of", 15, r"view orders_of has parameters \(.*orders_of\(customer int\)\)"),
        ("orders_of()", 15, "parameter customer of view orders_of has no value"),
        ("named(2)", 15, "parameter but of view named has no value"),
        ("orders_of(1, 2)", 28, "2 values are too many for view orders_of"),
        ("orders_of(custmer => 2)", 25, "no parameter custmer .*did you mean 'customer'"),
        ("orders_of(2, customer => 2)", 28, "customer of view orders_of is given twice"),
        ("named(but => 'x', 2)", 33, "values without a name stand first"),
        ("orders_of('x')", 25, "parameter customer of view orders_of: 'x' is not a number"),
        ("orders_of(1.5)", 25, r"customer of view orders_of is int, not decimal\(2,1\)"),
        ("orders_of(true)", 25, "customer of view orders_of is int, not bool"),
        ("named(1, but => 2)", 31, "parameter but of view named is text, not int"),
        ("orders_of(1 + 1)", 25, "is given an expression .*a literal or a parameter"),
        ("orders_of((select 1))", 33, "a subquery cannot stand in"),
        ("orders o join orders_of(o.id) q on true", 39, "is given o.id .*not a column"),
        ("orders(1)", 15, r"orders has no parameters \(from orders\)"),
        ("nobody(1)", 15, "there is no view nobody"),
        ("orders_of(1) with ordinality", 15, "ordinality is not supported"),
        ("x.orders_of(1)", 15, "a table's name has no dot"),
        ("reifydb_x(1)", 15, "reserved"),
        ("orders_of(:c) where id > :c::int and :c = 'x'", None, "'x' is not a number"),
    ],
)
def test_a_wrong_use_is_refused_where_it_stands(
    db: reifydb.Database, source: str, at: int | None, message: str
) -> None:
    with pytest.raises(SqlError, match=message) as refused:
        db.query(f"select * from {source}")
    if at is not None:
        assert (refused.value.line, refused.value.column) == (1, at)


def test_a_parameter_of_the_query_has_the_kind_of_the_views(db: reifydb.Database) -> None:
    with pytest.raises(WrongTypeError, match="parameter c: expected int, got str"):
        db.query("select * from orders_of(:c)", {"c": "x"})
    with pytest.raises(SqlError, match="parameter but of view named is text, not int"):
        db.query("select * from named(:c, :c)", {"c": 1})
    with pytest.raises(RequestError, match="the query's parameter c has no value"):
        db.query("select * from orders_of(:c)", {})


@pytest.mark.parametrize(
    ("sql", "at", "message"),
    [
        ("create assertion x as\n select id from orders where id = :c", (2, 35), "no parameters"),
        (
            (
                "create view x with (maintenance = 'recompute', max_rows = 5) as "
                "select id from orders where id = :c"
            ),
            (1, 98),
            r"not kept, and so not made anew \(leave with",
        ),
        ("create view x as select id from orders where id = ?", (1, 51), "have names"),
        ("create view x as select id from orders where id = $1", (1, 52), "have names"),
        ("create view x as select id from orders where id = :C", (1, 51), "have names"),
        ("create view x as select :c from orders", (1, 25), "nothing says what type"),
        ("create view x as select id, id from orders_of(:c)", (1, 29), "id"),
        ("create view x as select nope from orders where id = :c", (1, 25), "no column nope"),
    ],
)
def test_a_wrong_definition_is_refused_where_it_stands(
    db: reifydb.Database, sql: str, at: tuple[int, int], message: str
) -> None:
    with pytest.raises(SqlError, match=message) as refused:
        db.execute(sql)
    assert (refused.value.line, refused.value.column) == at
    assert set(db.parameterised_views) == {"orders_of", "newest", "spent", "named"}


def test_a_definition_that_no_values_make_a_plan_of_is_refused(db: reifydb.Database) -> None:
    with pytest.raises(SqlError, match="a view with limit needs order by"):
        db.execute("create view x as select id from orders where id > :a limit 3")
    with pytest.raises(SqlError, match="made of tables: it needs from"):
        db.execute("create view x as select :a::int + 1 as more")


@pytest.mark.parametrize(
    "use",
    [
        lambda db: db.scan("orders_of"),
        lambda db: db.get("orders_of", 1),
        lambda db: db.count("orders_of"),
        lambda db: db.subscribe("orders_of"),
        lambda db: db.subscribe("orders_of", {"customer": 2}),
        lambda db: db.upkeep("orders_of"),
        lambda db: db.memory("orders_of"),
        lambda db: db.execute("drop table orders_of"),
        lambda db: db.execute("create index x on orders_of (id)"),
        lambda db: db.execute("drop assertion orders_of"),
    ],
)
def test_what_needs_rows_is_refused_with_the_way_to_ask(
    db: reifydb.Database, use: Callable[[reifydb.Database], object]
) -> None:
    with pytest.raises(RequestError, match=r"has parameters.*from orders_of\(customer int\)"):
        use(db)


def test_it_cannot_be_written(db: reifydb.Database) -> None:
    for change in ("insert into orders_of values (1)", "delete from orders_of"):
        with pytest.raises(SqlError, match="orders_of is a view"):
            db.execute(change)
    with pytest.raises(RequestError, match="has parameters"), db.transaction() as tx:
        tx.insert("orders_of", {"id": 1})


def test_views_in_views_are_bounded_together(
    db: reifydb.Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(config, "expanded_views_max", 4)
    assert len(ids(db, "orders_of(1) union select * from orders_of(2)")) == 8
    db.execute("create view both as select * from orders_of(:a) union select * from orders_of(:b)")
    assert len(ids(db, "both(1, 2)")) == 8
    with pytest.raises(SqlError, match="expanded_views_max is 4"):
        db.query("select * from both(1, 2) union select * from both(2, 3)")
    deep = "create view deep as select * from both(:a, 1) union select * from both(:a, 2)"
    with pytest.raises(SqlError, match="expanded_views_max is 4"):
        db.execute(deep)
    db.execute("create view one as select * from both(:a, 2)")
    assert len(ids(db, "one(1)")) == 8
    with pytest.raises(SqlError, match="column 34: view one: too many views") as refused:
        db.execute("create view two as select * from one(:a)")
    assert refused.value.said.count("view ") == 1


def test_they_are_nested_only_so_deep(db: reifydb.Database) -> None:
    before, depth = "orders_of", config.expanded_depth_max
    for level in range(2, depth + 1):
        db.execute(f"create view level_{level} as select * from {before}(:x)")
        before = f"level_{level}"
    assert ids(db, f"{before}(2)") == [1, 4, 7, 10]
    db.execute(f"create view kept as select * from {before}(2)")
    assert db.count("kept") == 4
    with pytest.raises(SqlError, match=f"column 37: view {before}: .*is {depth}"):
        db.execute(f"create view beyond as select * from {before}(:x)")


def test_there_are_at_most_so_many(db: reifydb.Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(config, "parameterised_views_max", 4)
    with pytest.raises(LimitError) as refused:
        db.execute("create view fifth as select id from orders where id = :a")
    assert (refused.value.limit, refused.value.value) == ("parameterised_views_max", 4)
    db.execute("drop view newest; create view fifth as select id from orders where id = :a")


# ------------------------------------------------------------------ the schema


def test_names_are_shared_with_tables_and_views(db: reifydb.Database) -> None:
    db.execute("create view kept as select id from orders")
    for statement in (
        "create table orders_of (id int primary key)",
        "create view orders_of as select id from orders",
        "create view kept as select id from orders where id = :x",
        "create view orders as select id from customer where id = :x",
        "create assertion orders_of as select id from orders where id < 0",
        "alter table customer rename to orders_of",
    ):
        with pytest.raises(SchemaError, match="already"):
            db.execute(statement)
    db.execute("create view if not exists orders_of as select id from orders where id = :x")
    assert db.parameterised_views["orders_of"].signature == "orders_of(customer int)"


def test_what_it_reads_stays(db: reifydb.Database) -> None:
    for statement, message in (
        ("drop table orders", "view orders_of is made of it"),
        ("alter table orders rename to o", "view orders_of is made of it"),
        ("alter table orders rename column price to p", "view spent is made of it"),
        ("alter table orders drop column price", "view spent is made of it"),
        ("drop view orders_of", "view named is made of it"),
    ):
        with pytest.raises(SchemaError, match=message):
            db.execute(statement)
    db.execute("create view kept as select * from spent(1)")
    with pytest.raises(SchemaError, match="view kept is made of it"):
        db.execute("drop view spent")
    with pytest.raises(SchemaError, match="view kept is made of it"):
        db.execute("drop view spent; drop view kept")
    db.execute("drop view kept; drop view spent; drop view named; drop view orders_of")
    db.execute("drop view newest; drop view if exists newest; drop table orders")
    assert db.parameterised_views == {}
    with pytest.raises(UnknownNameError):
        db.execute("drop view newest")


def test_a_change_that_fails_leaves_nothing(db: reifydb.Database) -> None:
    with pytest.raises(SchemaError):
        db.execute("create view x as select id from orders where id = :a; drop table orders")
    assert "x" not in db.parameterised_views
    with pytest.raises(SqlError, match="there is no view x"):
        db.query("select * from x(1)")


def test_an_index_that_it_uses_may_go(db: reifydb.Database) -> None:
    def steps() -> Any:
        found = db.query("explain select id from orders_of(:c)")
        assert [tuple(row.values()) for row in found] == [
            tuple(row.values()) for row in db.query("explain view orders_of")
        ]
        return [row["by"] for row in found]

    assert steps() == ["index by_customer (customer)"]
    db.execute("drop index by_customer")
    assert steps() != ["index by_customer (customer)"]
    assert ids(db, "orders_of(2)") == [1, 4, 7, 10]
    told = db.query("explain create view x as select id from orders where id = :a")
    assert [row["does"] for row in told] == ["scan"]


def test_a_plan_of_the_schema_says_what_would_be(db: reifydb.Database) -> None:
    plan = db.plan_schema("""
        create view x as select * from orders_of(:c);
        create view y as select * from x(2);
        drop view y;
        drop view x;
        drop view orders_of
    """)
    assert [(c.does, c.name, c.rows_read, c.rows_lost) for c in plan.changes] == [
        ("create view", "x", 0, 0),
        ("create view", "y", 12, 0),
        ("drop view", "y", 0, 4),
        ("drop view", "x", 0, 0),
    ]
    assert "view named is made of it" in plan.problems[0]
    assert set(db.parameterised_views) == {"orders_of", "newest", "spent", "named"}


def test_it_is_there_when_the_database_is_opened_again(tmp_path: Path) -> None:
    with reifydb.open(tmp_path / "db") as db:
        db.execute(SCHEMA)
        db.execute("create view gone as select id from orders where id = :a")
        db.execute("create view kept as select * from named(2, but => 'nobody')")
        db.execute("drop view gone; create table later (id int primary key)")
        fill(db)
        views, kept = db.parameterised_views, [*db.scan("kept")]
        assert len(kept) == 4
    for _ in range(2):
        with reifydb.open(tmp_path / "db") as db:
            db.verify()
            assert db.parameterised_views == views
            assert [*db.scan("kept")] == kept
            assert ids(db, "orders_of(2)") == [1, 4, 7, 10]
            db.execute("create table again (id int primary key); drop table again")
            number = db.tables["later"].number
            assert all(view.number != number for view in views.values())


def test_it_is_described_in_the_schema(db: reifydb.Database) -> None:
    view = db.parameterised_views["spent"]
    assert view.parameters == (Column("least", Type.DECIMAL, precision=8, scale=2),)
    assert [column.name for column in view.columns] == ["customer", "money"]
    assert view.reads == (("orders", ("id", "customer", "price", "status", "made")),)
    assert "spent" not in db.tables
    assert table_from_json(view_to_json(view)) == view
    for old, new in (('"parameters":[{', '"parameters":[1,{'), ('"sql":"', '"sql":0,"x":"')):
        with pytest.raises(FormatVersionError):
            table_from_json(view_to_json(view).replace(old, new))
    with pytest.raises(FormatVersionError, match="no parameters"):
        table_from_json(view_to_json(ParameterisedView("v", "select", (), view.columns, ())))


# ------------------------------------------------------------------ following


def test_ten_thousand_follow_one_by_different_values(db: reifydb.Database) -> None:
    selects = db._subscriptions.selects
    sql = "select * from orders_of(:c)"
    with db.subscribe(sql, {"c": 2}) as two, db.subscribe(sql, {"c": 3}) as three:
        others = [db.subscribe(sql, {"c": 100 + i}) for i in range(10_000)]
        snapshot = two.get()
        assert isinstance(snapshot, Snapshot)
        assert [row["id"] for row in snapshot.rows] == [1, 4, 7, 10]
        assert isinstance(three.get(), Snapshot)
        assert (len(selects._shapes), len(selects._followed)) == (1, 10_002)
        assert all(one.selection is not None for one in selects._followed.values())
        with db.transaction() as tx:
            tx.update("orders", {"id": 1, "customer": 3})
        for changes, op in ((two, "delete"), (three, "insert")):
            delta = changes.get()
            assert isinstance(delta, Delta)
            assert [(change.op, change.key) for change in delta.changes] == [(op, 1)]
        for other in others:
            other.close()


def test_one_that_groups_is_followed_as_a_view(db: reifydb.Database) -> None:
    with db.subscribe("select * from spent(:least)", {"least": 5}) as changes:
        assert isinstance(changes.get(), Snapshot)
        with db.transaction() as tx:
            tx.update("orders", {"id": 0, "price": Decimal(100)})
        delta = changes.get()
        assert isinstance(delta, Delta)
        [change] = delta.changes
        assert change.row is not None
        assert (change.op, change.key, str(change.row["money"])) == ("update", 1, "116.00")


def test_a_subscription_begins_anew_when_what_the_view_reads_changes(db: reifydb.Database) -> None:
    with db.subscribe("select * from orders_of(2)") as changes:
        assert isinstance(changes.get(), Snapshot)
        db.execute("alter table orders add column note text")
        assert isinstance(changes.get(), Snapshot)
        db.execute("drop view named; drop view orders_of")
        with pytest.raises(SqlError, match="there is no view orders_of"):
            changes.get()


def test_too_many_values_name_their_limit(db: reifydb.Database) -> None:
    db.execute("create view of_status as select id from orders where status = :status")
    with pytest.raises(LimitError, match="subscribed_parameters_bytes_max") as refused:
        db.subscribe("select * from of_status(:s)", {"s": "x" * 5000})
    assert refused.value.limit == "subscribed_parameters_bytes_max"
