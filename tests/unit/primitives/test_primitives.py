"""What all primitives have in common: declared, called, refused, kept, dropped."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import reifydb
from reifydb.generate import generate_zig
from reifydb.sql import parse_schema, render_create_table
from tests.guests import wat

DECLARED = [
    "create counter page_views (page text)",
    "create counter stock (item int, place uuid) min 0 max 10",
    "create counter visits",
    'create counter "select" ("from" text) max -1',
    "create sequence ticket start 1000",
    "create sequence down start -1 step -3",
    "create histogram latency_us (endpoint text) error 1%",
    "create histogram one error 0.25%",
    "create ring trade (price decimal(18,4), qty int not null) per (symbol text) capacity 1000",
    "create ring line (t text) capacity 1",
    "create limiter api (client text, kind int) rate 100 per '1 minute' burst 20",
    "create limiter slow rate 1 per '36 hour' burst 1",
    "create limiter odd rate 3 per '1500 microsecond' burst 1",
]


@pytest.fixture
def db() -> reifydb.Database:
    return reifydb.open(":memory:")


@pytest.mark.parametrize("sql", DECLARED)
def test_a_declaration_is_rendered_as_it_was_read(sql: str) -> None:
    [statement] = parse_schema(sql)
    assert render_create_table(statement.table) == sql
    assert parse_schema(sql + ";")[0].table == statement.table


@pytest.mark.parametrize(
    ("sql", "column", "message"),
    [
        ("create counter", 15, "ends too early"),
        ("create counter c ()", 18, "no columns"),
        ("create counter c (x int primary key)", 19, "a name and a type"),
        ("create counter c (x int default 1)", 19, "a name and a type"),
        ("create counter c (x int null)", 19, "cannot be null"),
        ("create counter c (value int)", 19, "of its own"),
        ("create counter c (x int, x int)", 26, "twice"),
        ("create counter c (x nothing)", 21, "no type"),
        ("create counter c (primary key (x))", 32, "columns here"),
        ("create counter c min", 21, "ends too early"),
        ("create counter c min 1 min 2", 24, "has no 'min'"),
        ("create counter c min 5 max 4", 1, "above max"),
        ("create counter c min 9223372036854775808", 22, "64 bits"),
        ("create counter c min 1.5", 22, "whole number"),
        ("create counter c min 'a'", 22, "whole number"),
        ("create counter reifydb_c", 16, "reserved"),
        ("create counter 'c'", 16, "cannot be a counter's name"),
        ("create counter c; drop counter c d", 34, "has no 'd'"),
        ("create sequence s step 0", 24, "not 0"),
        ("create histogram h error 0.05%", 26, "0.1% to 10%"),
        ("create histogram h error 11%", 26, "0.1% to 10%"),
        ("create histogram h error 1", 27, "% is missing"),
        ("create histogram h error x%", 26, "number of percent"),
        ("create histogram h (count int)", 21, "of its own"),
        ("create ring r capacity 1", 15, "a ring has columns"),
        ("create ring r (seq int) capacity 1", 16, "of its own"),
        ("create ring r (a int) per (a int) capacity 1", 28, "of its own"),
        ("create ring r (a int) per capacity 1", 27, "columns are missing"),
        ("create ring r (a int)", 22, "capacity is missing"),
        ("create ring r (a int) capacity 0", 32, "1 to 1,000,000"),
        ("create ring r (a int) capacity 1000001", 32, "ring_capacity_max"),
        ("create ring r (a int primary key) capacity 1", 16, "a name and a type"),
        ("create limiter l rate 0 per '1 s'", 23, "rate is 1 to"),
        ("create limiter l rate 1", 24, "per is missing"),
        ("create limiter l rate 1 per 5", 29, "a length of time"),
        ("create limiter l rate 1 per '1 month'", 29, "no months"),
        ("create limiter l rate 1 per '-1 s'", 29, "above zero"),
        ("create limiter l rate 1 per '400 days'", 29, "366 days"),
        ("create limiter l rate 1 per '1 s' burst 0", 41, "burst is 1 to"),
        ("create limiter l rate 1 per '1 day' burst 999999999", 1, "too large"),
        ("create limiter l (level int) rate 1 per '1 s'", 19, "of its own"),
        ("create sequence s (x int)", 19, "a sequence has no"),
    ],
)
def test_a_bad_declaration_is_refused_where_it_is(sql: str, column: int, message: str) -> None:
    with pytest.raises(reifydb.SqlError, match=message) as caught:
        parse_schema(sql)
    assert (caught.value.line, caught.value.column) == (1, column)


def test_only_its_operations_write_it(db: reifydb.Database) -> None:
    db.execute("create counter c (k int)")
    with db.transaction() as tx:
        with pytest.raises(reifydb.RequestError, match=r"call c\.add, c\.get, c\.set, c\.reset"):
            tx.insert("c", {"k": 1, "value": 1})
        with pytest.raises(reifydb.RequestError):
            tx.delete("c", 1)
    for sql in ("insert into c values (1, 1)", "delete from c", "alter table c add column x int"):
        with pytest.raises(reifydb.RequestError, match="c is a counter"):
            db.execute(sql)
    with pytest.raises(reifydb.SchemaError, match="drop counter c"):
        db.execute("drop table c")
    db.verify()


def test_what_would_leave_the_bounds_is_refused_by_name(db: reifydb.Database) -> None:
    db.execute("create counter c (k text) min 0 max 3")
    assert db.counter("c").add("a", 3) == 3
    for amount, name in ((1, "c_max"), (-4, "c_min")):
        with pytest.raises(reifydb.CheckError) as caught:
            db.call("c.add", "a", amount)
        assert caught.value.constraint == name
    with db.transaction() as tx:
        with pytest.raises(reifydb.CheckError):
            tx.counter("c").add("a")
        assert tx.counter("c").add("b") == 1
    assert db.query("select k, value from c").tuples == [("a", 3), ("b", 1)]
    found = db.call_many("c.add", [("a", 1), ("b", 1)])
    assert [type(one.error).__name__ for one in found] == ["CheckError", "NoneType"]
    db.verify()


def test_wrong_arguments_are_refused(db: reifydb.Database) -> None:
    db.execute("create counter c (k text)")
    for args in ((), ("a",), ("a", 1, 2), (1, 1), ("a", "b"), (None, 1)):
        with pytest.raises((reifydb.WrongTypeError, reifydb.RequestError)):
            db.call("c.add", *args)
    with pytest.raises(reifydb.UnknownNameError, match=r"c\.add"):
        db.call("c.ad", "a", 1)
    assert db.query("select count(*) from c").tuples == [(0,)]


def test_a_long_key_is_refused(db: reifydb.Database) -> None:
    db.execute("create counter c (k text)")
    with pytest.raises(reifydb.TransactionLimitError, match="key_bytes_max"):
        db.call("c.add", "x" * 2000, 1)
    db.verify()


def test_names_are_one_space(db: reifydb.Database) -> None:
    db.execute("create table t (id int primary key); create counter c")
    for sql in ("create counter t", "create counter c", "create table c (id int primary key)"):
        with pytest.raises(reifydb.SchemaError, match="already"):
            db.execute(sql)
    db.execute("create counter if not exists c")
    db.execute("drop counter if exists nothing, c")
    db.execute("drop counter if exists c")
    with pytest.raises(reifydb.UnknownNameError):
        db.execute("drop counter c")


def test_a_module_and_a_primitive_cannot_have_one_name(db: reifydb.Database) -> None:
    db.execute("create counter start")
    module = wat.guest(wat.START)
    with pytest.raises(reifydb.ModuleError, match="there is a counter of its name"):
        db.install(module, name="start", apply_schema=True)
    assert "victim" not in db.tables
    assert db.call("start.add", 1) == 1
    db.install(module, name="other", apply_schema=True)
    with pytest.raises(reifydb.SchemaError, match="the name of a module"):
        db.execute("create counter other")
    assert db.call("other.look") == 17
    db.verify()


def test_a_schema_change_that_fails_leaves_no_operation(db: reifydb.Database) -> None:
    with pytest.raises(reifydb.SchemaError):
        db.execute("create counter c; create table t (id int primary key); create counter t")
    with pytest.raises(reifydb.UnknownNameError):
        db.call("c.add", 1)
    db.execute("create counter c")
    assert db.call("c.add", 1) == 1
    with pytest.raises(reifydb.UnknownNameError):
        db.execute("drop counter c; drop counter nothing")
    assert db.call("c.add", 1) == 2
    db.verify()


def test_it_is_kept(tmp_path: Path) -> None:
    with reifydb.open(tmp_path / "db") as db:
        db.execute(
            "create counter c (k int) max 5; create sequence s start 7 step 2; create counter v"
        )
        db.call("c.add", 1, 5)
        db.call("s.next")
        number = db._registry.find_wasm("c.add").number
        db.execute("create view big as select k from c where value > 1")
    with reifydb.open(tmp_path / "db") as db:
        assert db._registry.find_wasm("c.add").number == number
        assert (db.call("c.get", 1), db.call("s.next"), db.call("v.add", 2)) == (5, 9, 2)
        assert db.query("select k from big").tuples == [(1,)]
        with pytest.raises(reifydb.CheckError):
            db.call("c.add", 1, 1)
        with pytest.raises(reifydb.SchemaError, match="view big is made of it"):
            db.execute("drop counter c")
        db.verify()


def test_views_and_subscribers_see_it(db: reifydb.Database) -> None:
    db.execute("create counter c (k int)")
    db.execute("create view total as select sum(value) as s from c")
    with db.subscribe("c") as changes, db.subscribe("total") as totals:
        assert changes.get(0).rows == []
        totals.get(0)
        with db.transaction() as tx:
            tx.call("c.add", 1, 2)
            tx.call("c.add", 1, 3)
            tx.call("c.add", 2, 1)
        delta = changes.get(0)
        assert [(one.op, one.row) for one in delta.changes] == [
            ("insert", {"k": 1, "value": 5}),
            ("insert", {"k": 2, "value": 1}),
        ]
        assert [one.row for one in totals.get(0).changes if one.row] == [{"s": 6}]
        db.call("c.reset", 1)
        assert [(one.op, one.key) for one in changes.get(0).changes] == [("delete", 1)]
    db.verify()


def test_a_sequence_gives_out_again_what_was_undone(db: reifydb.Database) -> None:
    db.execute("create sequence s start 5")
    assert db.sequence("s").current() is None
    with pytest.raises(ZeroDivisionError):
        _take_two_and_fail(db)
    assert db.sequence("s").next() == 5
    db.execute(f"create sequence e start {2**63 - 1}")
    assert db.call("e.next") == 2**63 - 1
    with pytest.raises(reifydb.TransactionLimitError, match="64 bits"):
        db.call("e.next")
    assert db.call("e.current") == 2**63 - 1
    db.verify()


def _take_two_and_fail(db: reifydb.Database) -> None:
    with db.transaction() as tx:
        assert (tx.sequence("s").next(), tx.sequence("s").next()) == (5, 6)
        raise ZeroDivisionError


def test_an_object_is_of_its_kind(db: reifydb.Database) -> None:
    db.execute("create sequence s; create table t (id int primary key)")
    for name in ("s", "t"):
        with pytest.raises(reifydb.RequestError, match="not a counter"):
            db.counter(name)
    with pytest.raises(reifydb.UnknownNameError):
        db.sequence("nothing")


def test_a_query_transaction_may_get_and_not_add(db: reifydb.Database) -> None:
    db.execute("create counter c")
    with db.transaction(query=True) as tx:
        assert tx.call("c.get") == 0
        with pytest.raises(reifydb.ReadOnlyError):
            tx.call("c.add", 1)


def test_zig_gets_an_operation_for_each(tmp_path: Path) -> None:
    tables = [one.table for one in parse_schema("create counter n (k text, p decimal(5,2))")]
    text = generate_zig(tables)
    wanted = (
        "/// Adds to the value: the value now.\n"
        'pub const n_add = reifydb.Operation("n", "add", struct { k: []const u8, '
        "p: reifydb.Decimal(5, 2), amount: i64 }, i64);\n"
    )
    assert wanted in text
    listed = "    n_add,\n    n_get,\n    n_set,\n    n_reset,\n"
    assert f"pub const operations = .{{\n{listed}}};\n" in text
    file = tmp_path / "schema.zig"
    file.write_text(text)
    command = [sys.executable, "-m", "ziglang", "fmt", "--check", str(file)]
    assert subprocess.run(command, check=False).returncode == 0
