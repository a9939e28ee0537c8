"""Changes of the schema, one after the other: what rows look like then, and what is refused."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from uuid import UUID

import pytest

import reifydb
from reifydb.config import columns_max
from reifydb.errors import (
    LimitError,
    NotNullError,
    ReentrantError,
    ReifyDBError,
    SchemaError,
    SqlError,
    UnknownNameError,
)
from tests.unit.database.conftest import SMALL

Again = Callable[[reifydb.Database], reifydb.Database]


@pytest.fixture
def db(tmp_path: Path) -> Iterator[reifydb.Database]:
    """Two tables; `t` has three rows."""
    with reifydb.open(tmp_path / "changing", options=SMALL) as db:
        db.execute("""
            create table t (id int primary key auto_increment, a text, b int not null default 7);
            create table other (x text, y text, primary key (y, x));
        """)
        with db.transaction() as tx:
            tx.insert_many("t", [{"a": "one"}, {"a": None}, {"a": "three", "b": 3}])
        yield db
        if not repr(db).endswith("closed>"):
            db.verify()


def again(db: reifydb.Database) -> reifydb.Database:
    """The database opened anew; all of it must be as it was."""
    path, state, lsn, tables = db.path, db.state_hash, db.lsn, dict(db.tables)
    db.close()
    opened = reifydb.open(path, options=SMALL)
    assert (opened.state_hash, opened.lsn, dict(opened.tables)) == (state, lsn, tables)
    opened.verify()
    return opened


def columns(db: reifydb.Database, table: str) -> list[str]:
    return [column.name for column in db.tables[table].columns]


# ------------------------------------------------------------------ columns


def test_a_column_added_is_its_default_in_rows_that_are_there(db: reifydb.Database) -> None:
    lsn = db.lsn
    db.execute("alter table t add column c text")
    db.execute("alter table t add d int not null default -1")
    assert db.lsn == lsn + 2
    assert db.get("t", 3) == {"id": 3, "a": "three", "b": 3, "c": None, "d": -1}
    with db.transaction() as tx:
        tx.insert("t", {"a": "new"})
        tx.insert("t", {"c": "c", "d": 0})
        tx.update("t", {"id": 1, "a": "still short?"})
        tx.update("t", {"id": 2, "c": "long now"})
        with pytest.raises(NotNullError, match="column d"):
            tx.update("t", {"id": 1, "d": None})
    expected = [(None, -1), ("long now", -1), (None, -1), (None, -1), ("c", 0)]
    assert [(row["c"], row["d"]) for row in db.scan("t")] == expected
    with again(db) as opened:
        assert [(row["c"], row["d"]) for row in opened.scan("t")] == expected


def test_every_type_can_be_added_with_a_default(db: reifydb.Database) -> None:
    wanted = {
        "c_bool": ("bool default true", True),
        "c_int": ("int default -9223372036854775808", -(2**63)),
        "c_float": ("float default 1e300", 1e300),
        "c_text": ("text default 'it''s'", "it's"),
        "c_bytes": (r"bytes default '\x00ff'", b"\0\xff"),
        "c_timestamp": ("timestamp default '1970-01-02'", datetime(1970, 1, 2, tzinfo=UTC)),
        "c_decimal": ("decimal(5,2) default -1.5", Decimal("-1.50")),
        "c_uuid": ("uuid default '00000000-0000-0000-0000-000000000001'", UUID(int=1)),
        "c_json": ('json default \'{"b": [1.0], "a": null}\'', {"a": None, "b": [1.0]}),
        "c_null": ("json default 'null'", reifydb.JSON_NULL),
    }
    for name, (sql, _) in wanted.items():
        db.execute(f"alter table t add column {name} {sql}")

    def added(db: reifydb.Database) -> list[object]:
        return [{name: row[name] for name in wanted} for row in db.scan("t")]

    values = {name: value for name, (_, value) in wanted.items()}
    assert repr(added(db)) == repr([values] * 3)
    with again(db) as opened:
        assert repr(added(opened)) == repr([values] * 3)
        opened.execute("create index all_defaults on t (c_text, c_json, c_decimal)")
        lower = ("it's", values["c_json"], Decimal("-1.5"))
        found = opened.scan("t", index="all_defaults", lower=lower, upper=lower)
        assert [row["id"] for row in found] == [1, 2, 3]


def test_a_column_without_null_and_default_is_added_only_to_an_empty_table(
    db: reifydb.Database,
) -> None:
    with pytest.raises(SchemaError, match="default"):
        db.execute("alter table t add column c int not null")
    assert columns(db, "t") == ["id", "a", "b"]
    with db.transaction() as tx:
        tx.delete_many("t", [1, 2, 3])
    db.execute("alter table t add column c int not null")
    with db.transaction() as tx, pytest.raises(NotNullError, match="column c"):
        tx.insert("t", {})


def test_a_dropped_column_is_gone_for_good(db: reifydb.Database) -> None:
    db.execute("alter table t drop column a")
    assert db.get("t", 1) == {"id": 1, "b": 7}
    with db.transaction() as tx, pytest.raises(UnknownNameError, match="'a'"):
        tx.update("t", {"id": 1, "a": "x"})
    db.execute("alter table t add column a text default 'fresh'")
    assert [list(row.items()) for row in db.scan("t")] == [
        [("id", 1), ("b", 7), ("a", "fresh")],
        [("id", 2), ("b", 7), ("a", "fresh")],
        [("id", 3), ("b", 3), ("a", "fresh")],
    ]
    with db.transaction() as tx:
        tx.update("t", {"id": 3, "b": 4})
    with again(db) as opened:
        assert [row["a"] for row in opened.scan("t")] == ["fresh"] * 3
        opened.execute("alter table t drop column b; alter table t drop column a")
        assert list(opened.scan("t")) == [{"id": 1}, {"id": 2}, {"id": 3}]


def test_a_not_null_column_that_was_dropped_is_not_asked_for(db: reifydb.Database) -> None:
    db.execute("alter table t add column c int not null default 1; alter table t drop column c")
    with db.transaction() as tx:
        tx.insert("t", {"a": "x"})
    assert db.get("t", 4) == {"id": 4, "a": "x", "b": 7}


def test_renaming_touches_neither_rows_nor_indexes(db: reifydb.Database) -> None:
    db.execute("create index by_b on t (b, a)")
    db.execute("""
        alter table t rename column b to bee;
        alter table t rename column id to nr;
        alter table t rename to tee
    """)
    assert sorted(db.tables) == ["other", "tee"]
    with pytest.raises(UnknownNameError, match="tee"):
        db.count("t")
    assert [row["nr"] for row in db.scan("tee", index="by_b")] == [3, 1, 2]
    with db.transaction() as tx:
        assert tx.insert("tee", {"bee": 0}) == 4
        with pytest.raises(UnknownNameError):
            tx.update("tee", {"nr": 1, "b": 0})
    with again(db) as opened:
        assert [row["nr"] for row in opened.scan("tee", index="by_b")] == [4, 3, 1, 2]


def test_names_may_be_swapped_in_one_transaction(db: reifydb.Database) -> None:
    lsn = db.lsn
    db.execute("""
        alter table t rename to passing; alter table other rename to t;
        alter table passing rename to other;
        alter table other rename column a to x; alter table other rename column b to a;
        alter table other rename column x to b
    """)
    assert db.lsn == lsn + 1
    assert db.get("other", 3) == {"id": 3, "b": "three", "a": 3}
    assert columns(db, "t") == ["x", "y"]


# ------------------------------------------------------------------ tables


def test_a_dropped_table_takes_its_rows_and_indexes_along(db: reifydb.Database) -> None:
    db.execute("create index by_a on t (a)")
    db.execute("drop table t")
    assert list(db.tables) == ["other"]
    with pytest.raises(UnknownNameError):
        db.get("t", 1)
    db.execute("""
        create table t (a int primary key auto_increment, id text);
        create unique index by_a on t (id)
    """)
    assert db.count("t") == 0
    with db.transaction() as tx:
        assert tx.insert("t", {"id": "first"}) == 1
    with again(db) as opened:
        assert list(opened.scan("t", index="by_a")) == [{"a": 1, "id": "first"}]


def test_if_exists_forgives_what_is_not_there(db: reifydb.Database) -> None:
    db.execute("drop table if exists nosuch; drop index if exists nosuch")
    for sql in ("drop table nosuch", "drop index nosuch"):
        with pytest.raises(UnknownNameError, match="nosuch"):
            db.execute(sql)
    db.execute("drop table if exists t, other")
    assert db.tables == {}


# ------------------------------------------------------------------ checks


def checks(db: reifydb.Database, table: str) -> list[tuple[str, str]]:
    return [(check.name, check.sql) for check in db.tables[table].checks]


def test_checks_follow_their_columns(db: reifydb.Database) -> None:
    db.execute("create table c (id int primary key check (id > 0), n int, check (n < id))")
    db.execute("alter table c rename column id to nr; alter table c rename to d")
    kept = [("c_id_check", "nr > 0"), ("c_check", "n < nr")]
    assert checks(db, "d") == kept
    with pytest.raises(SchemaError, match="check c_check has it"):
        db.execute("alter table d drop column n")
    opened = again(db)
    assert checks(opened, "d") == kept
    opened.close()


# ------------------------------------------------------------------ refusals


@pytest.mark.parametrize(
    ("sql", "error", "said"),
    [
        ("alter table t drop column id", SchemaError, "primary key"),
        ("alter table other drop column x", SchemaError, "primary key"),
        ("alter table t drop column b", SchemaError, "by_b"),
        ("alter table t drop column nosuch", UnknownNameError, "nosuch"),
        ("alter table t rename column nosuch to c", UnknownNameError, "nosuch"),
        ("alter table t rename column a to b", SchemaError, "already"),
        ("alter table t add column a int", SchemaError, "already"),
        ("alter table t rename to other", SchemaError, "already"),
        ("alter table nosuch add column a int", UnknownNameError, "nosuch"),
        ("alter table nosuch rename to t2", UnknownNameError, "nosuch"),
        ("create table t (id int primary key)", SchemaError, "already"),
        ("alter table t add column c decimal(3,1) default 1.25", SqlError, "1.25|decimal"),
        ("alter table t add column c int primary key", SqlError, "key"),
        ("alter table t add column c int auto_increment", SqlError, "auto-increment"),
        ("alter table t alter column a type int", SqlError, "not supported"),
        ("alter table reifydb_table add column c int", ReifyDBError, "reifydb_"),
        ("drop table reifydb_table", ReifyDBError, "reifydb_"),
    ],
)
def test_what_does_not_fit_is_refused_and_nothing_changes(
    db: reifydb.Database, sql: str, error: type[ReifyDBError], said: str
) -> None:
    db.execute("create index by_b on t (b)")
    lsn, state, tables = db.lsn, db.state_hash, dict(db.tables)
    with pytest.raises(error, match=said):
        db.execute(sql)
    # Nor does what stands before it in the same script.
    with pytest.raises(error, match=said):
        db.execute(f"""
            create table fine (id int primary key); create index fine_i on fine (id);
            alter table t add column fine int default 1; drop index by_b;
            create index by_b on t (a, b); {sql}
        """)
    assert (db.lsn, db.state_hash, dict(db.tables)) == (lsn, state, tables)
    assert [row["id"] for row in db.scan("t", index="by_b")] == [3, 1, 2]
    with db.transaction() as tx:
        assert tx.insert("t", {"a": "goes on"}) == 4


def test_a_schema_is_not_changed_inside_a_transaction(db: reifydb.Database) -> None:
    with db.transaction() as tx:
        tx.insert("t", {})
        with pytest.raises(ReentrantError):
            db.execute("alter table t add column c int")
    assert db.count("t") == 4


def test_dropped_columns_count_towards_the_most_there_may_be(db: reifydb.Database) -> None:
    adds = (f"alter table other add column c{i} int default {i};" for i in range(columns_max - 2))
    db.execute("".join(adds))
    with pytest.raises(LimitError, match="columns_max"):
        db.execute("alter table other add column more int")
    db.execute("alter table other drop column c0")
    with pytest.raises(LimitError, match="columns_max"):
        db.execute("alter table other add column more int")
    with db.transaction() as tx:
        tx.insert("other", {"x": "x", "y": "y"})
    row = db.get("other", ("y", "x"))
    assert row is not None
    assert (len(row), row["c253"]) == (columns_max - 1, 253)


@pytest.mark.parametrize(
    "script",
    [
        "alter table t add column x int default 7; drop index i; alter table t drop column c",
        "alter table t add column x int; create index j on t (x); alter table t drop column b",
        (
            "drop index i; alter table t drop column c; "
            "alter table t add column c text default 'c'; create index i on t (c); "
            "alter table t drop column b; alter table t rename column c to d"
        ),
        (
            "create table u (id int primary key, a int); alter table u add column b text; "
            "create index k on u (b); alter table u drop column a; alter table u add column c int"
        ),
        (
            "create table u (id int primary key, a int); create index k on u (a); "
            "alter table u add column b text; drop index k; alter table u drop column a; "
            "drop table u"
        ),
        (
            "alter table t drop column b; drop index i; alter table t drop column c; drop table t; "
            "create table t (id int primary key, z int)"
        ),
    ],
)
def test_steps_of_one_transaction_are_replayed_one_by_one(script: str, tmp_path: Path) -> None:
    """Each alteration is in the log as it was, not as the table ended: an index that went in
    between fits the one only.
    """
    folder = tmp_path / "db"
    with reifydb.open(folder) as db:
        db.execute("create table t (id int primary key, b int, c int); create index i on t (c)")
        with db.transaction() as tx:
            tx.insert_many("t", ({"id": n, "b": n, "c": n % 3} for n in range(10)))
        db.execute(script)
        tables, rows, hashed = db.tables, list(db.scan("t")), db.state_hash
    with reifydb.open(folder) as db:
        db.verify()
        assert (db.tables, list(db.scan("t")), db.state_hash) == (tables, rows, hashed)
