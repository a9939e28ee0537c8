"""Secondary indexes: their order, their bounds, what is unique, and what aborts leave of them."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

import reifydb
from reifydb.errors import (
    DuplicateKeyError,
    LimitError,
    NotNullError,
    RequestError,
    SchemaError,
    UnknownNameError,
    WrongTypeError,
)
from tests.unit.database.conftest import SMALL


@pytest.fixture
def db() -> Iterator[reifydb.Database]:
    """Ten rows; `a` and `b` go together as below, `code` is unique."""
    with reifydb.open(":memory:") as db:
        db.execute("""
            create table t (id int primary key, a int, b text, code text, body text);
            create index ab on t (a, b);
            create unique index codes on t (code);
        """)
        with db.transaction() as tx:
            tx.insert_many(
                "t",
                [
                    {"id": i, "a": a, "b": b, "code": code}
                    for i, a, b, code in [
                        (0, 2, "x", "k"),
                        (1, 1, "y", "j"),
                        (2, 1, "x", "i"),
                        (3, None, "x", "h"),
                        (4, 1, None, "g"),
                        (5, None, None, "f"),
                        (6, 2, "x", "e"),
                        (7, 1, "x", None),
                        (8, None, "w", None),
                        (9, 3, "", None),
                    ]
                ],
            )
        yield db
        db.verify()


def ids(rows: Iterator[dict[str, object]]) -> list[object]:
    return [row["id"] for row in rows]


AB = [2, 7, 1, 4, 0, 6, 9, 8, 3, 5]
"""By (a, b), nulls last, then by primary key."""


# ------------------------------------------------------------------ order and bounds


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, AB),
        ({"lower": 1, "upper": 1}, [2, 7, 1, 4]),
        ({"lower": (1,), "upper": (1,)}, [2, 7, 1, 4]),
        ({"lower": 1, "lower_exclusive": True}, [0, 6, 9, 8, 3, 5]),
        ({"upper": 2, "upper_exclusive": True}, [2, 7, 1, 4]),
        ({"lower": (1, "x"), "upper": (1, "x")}, [2, 7]),
        ({"lower": (1, "x"), "lower_exclusive": True, "upper": 1}, [1, 4]),
        ({"lower": (1, "x"), "upper": (2, "x"), "upper_exclusive": True}, [2, 7, 1, 4]),
        ({"lower": (None,)}, [8, 3, 5]),
        ({"lower": (None,), "upper": (None,)}, [8, 3, 5]),
        ({"upper": (None,), "upper_exclusive": True}, [2, 7, 1, 4, 0, 6, 9]),
        ({"lower": (None,), "lower_exclusive": True}, []),
        ({"lower": (1, None)}, [4, 0, 6, 9, 8, 3, 5]),
        ({"lower": (1, None), "upper": (1, None)}, [4]),
        ({"lower": (1,), "upper": (1, None), "upper_exclusive": True}, [2, 7, 1]),
        ({"lower": (None, "x"), "upper": (None, None)}, [3, 5]),
        ({"lower": (None, None), "lower_exclusive": True}, []),
        ({"lower": None, "upper": None}, AB),
        ({"lower": 5}, [8, 3, 5]),
        ({"lower": 3, "upper": 1}, []),
        ({"limit": 3}, AB[:3]),
        ({"limit": 0}, []),
        ({"lower": 1, "upper": 1, "limit": 3}, [2, 7, 1]),
    ],
)
def test_bounds_are_columns_of_the_index_and_nulls_come_last(
    db: reifydb.Database, options: dict[str, Any], expected: list[int]
) -> None:
    assert ids(db.scan("t", index="ab", **options)) == expected
    with db.transaction() as tx:
        assert ids(tx.scan("t", index="ab", **options)) == expected
    if "limit" not in options:
        backwards = list(reversed(expected))
        assert ids(db.scan("t", index="ab", reverse=True, **options)) == backwards
        assert ids(db.scan("t", index="ab", reverse=True, limit=2, **options)) == backwards[:2]


def test_rows_of_a_scan_are_whole(db: reifydb.Database) -> None:
    [row] = db.scan("t", index="codes", lower="i", upper="i")
    assert row == {"id": 2, "a": 1, "b": "x", "code": "i", "body": None}
    assert row == db.get("t", 2)


def test_nulls_of_a_unique_index_are_in_it_by_primary_key(db: reifydb.Database) -> None:
    assert ids(db.scan("t", index="codes")) == [6, 5, 4, 3, 2, 1, 0, 7, 8, 9]
    assert ids(db.scan("t", index="codes", lower=(None,), reverse=True)) == [9, 8, 7]


def test_bounds_of_a_wrong_type_or_number_are_refused(db: reifydb.Database) -> None:
    with pytest.raises(WrongTypeError):
        db.scan("t", index="ab", lower="x")
    with pytest.raises(WrongTypeError):
        db.scan("t", index="ab", upper=(1, 2))
    with pytest.raises(RequestError):
        db.scan("t", index="ab", upper=(1, "x", 0))
    with pytest.raises(RequestError):
        db.scan("t", index="ab", lower=())
    with pytest.raises(UnknownNameError, match=r"'cods'.*codes"):
        db.scan("t", index="cods")
    db.execute("create table other (id int primary key)")
    with pytest.raises(UnknownNameError):
        db.scan("other", index="codes")


def test_any_type_can_be_indexed() -> None:
    types: dict[str, list[object]] = {
        "bool": [False, True],
        "int": [-(2**63), -1, 0, 2**63 - 1],
        "float": [-1.5, 0.0, 5e-324, 1e300],
        "text": ["", "\0", "a", "a\0", "ab", "\U0010ffff"],
        "bytes": [b"", b"\0", b"\0\0", b"\0\xff", b"\xff"],
        "timestamp": [datetime(1, 1, 1, tzinfo=UTC), datetime(2024, 1, 1, tzinfo=UTC)],
        "decimal(18,18)": [Decimal("-0." + "9" * 18), Decimal(0), Decimal("0." + "9" * 18)],
        "uuid": [UUID(int=0), UUID(int=1), UUID(int=(1 << 128) - 1)],
        "json": ["", "a", 1, [], reifydb.JSON_NULL, {}],
    }
    with reifydb.open(":memory:") as db:
        for kind, values in types.items():
            db.execute("drop table if exists t")
            db.execute(f"create table t (id int primary key, v {kind})")
            db.execute("create unique index i on t (v)")
            count = len(values)
            with db.transaction() as tx:
                tx.insert_many("t", [{"id": -i, "v": v} for i, v in enumerate([*values, None])])
            assert ids(db.scan("t", index="i")) == [-i for i in range(count + 1)], kind
            for i, value in enumerate(values):
                bounds: dict[str, Any] = {"lower": (value,), "upper": (value,)}
                assert ids(db.scan("t", index="i", **bounds)) == [-i], kind
            db.verify()


# ------------------------------------------------------------------ writes keep it right


def test_an_index_follows_every_write_and_its_undoing(db: reifydb.Database) -> None:
    with db.transaction() as tx:
        tx.update("t", {"id": 2, "a": 5})
        assert ids(tx.scan("t", index="ab", lower=1, upper=1)) == [7, 1, 4]
        assert ids(tx.scan("t", index="ab", lower=5, upper=5)) == [2]
        tx.upsert("t", {"id": 1, "b": None})
        assert ids(tx.scan("t", index="ab", lower=1, upper=1)) == [7, 1, 4]
        tx.delete("t", 7)
        tx.insert("t", {"id": 7, "a": 1, "b": "zz"})
        tx.update("t", {"id": 1, "body": "not in the index"})
        assert ids(tx.scan("t", index="ab", lower=1, upper=1)) == [7, 1, 4]
        assert ids(tx.scan("t", index="codes", lower=(None,))) == [7, 8, 9]
        tx.rollback()
    assert ids(db.scan("t", index="ab")) == AB
    db.verify()


def test_a_row_goes_there_and_back_within_one_transaction(db: reifydb.Database) -> None:
    state = db.state_hash
    with db.transaction() as tx:
        for code in ("new", "other", "k"):
            tx.update("t", {"id": 0, "code": code})
        tx.delete("t", 9)
        tx.insert("t", {"id": 9, "a": 3, "b": ""})
    assert db.state_hash == state
    assert ids(db.scan("t", index="codes", lower="k", upper="k")) == [0]


# ------------------------------------------------------------------ unique


def test_a_unique_violation_names_the_index_and_changes_nothing(db: reifydb.Database) -> None:
    before = db.state_hash
    with db.transaction() as tx:
        with pytest.raises(DuplicateKeyError, match="codes"):
            tx.insert("t", {"id": 50, "code": "k"})
        with pytest.raises(DuplicateKeyError, match="codes"):
            tx.update("t", {"id": 1, "code": "k"})
        with pytest.raises(DuplicateKeyError, match="codes"):
            tx.upsert("t", {"id": 1, "code": "k"})
        with pytest.raises(DuplicateKeyError, match="codes"):
            tx.upsert("t", {"id": 50, "code": "k"})
        with pytest.raises(DuplicateKeyError, match="codes"):
            tx.insert_many("t", [{"id": 50, "code": "new"}, {"id": 51, "code": "new"}])
        with pytest.raises(DuplicateKeyError, match="codes"):
            tx.update_many("t", [{"id": 0, "code": "new"}, {"id": 1, "code": "new"}])
    assert db.state_hash == before
    assert ids(db.scan("t", index="ab")) == AB


def test_a_row_may_keep_its_own_unique_value(db: reifydb.Database) -> None:
    with db.transaction() as tx:
        tx.update("t", {"id": 0, "code": "k", "a": 9})
        tx.upsert("t", {"id": 0, "code": "k", "a": 8})
    assert ids(db.scan("t", index="codes", lower="k", upper="k")) == [0]


def test_nulls_never_collide(db: reifydb.Database) -> None:
    db.execute("create unique index pairs on t (code, a)")
    with db.transaction() as tx:
        tx.insert_many("t", [{"id": 50 + i, "code": None, "a": 1} for i in range(3)])
        tx.insert("t", {"id": 60, "code": None, "a": None})
        tx.update("t", {"id": 0, "code": None})
        tx.insert("t", {"id": 61, "code": "k"})
        with pytest.raises(DuplicateKeyError):
            tx.update("t", {"id": 0, "code": "k"})


def test_a_value_is_free_again_once_its_row_has_left_it(db: reifydb.Database) -> None:
    with db.transaction() as tx:
        tx.update("t", {"id": 0, "code": "moved"})
        tx.insert("t", {"id": 50, "code": "k"})
        tx.delete("t", 1)
        tx.update("t", {"id": 0, "code": "j"})
        with pytest.raises(DuplicateKeyError):
            tx.insert("t", {"id": 1, "code": "j"})
        tx.rollback()
    with db.transaction() as tx, pytest.raises(DuplicateKeyError):
        tx.insert("t", {"id": 50, "code": "k"})


def test_a_swap_of_unique_values_goes_through_a_third(db: reifydb.Database) -> None:
    swap = [{"id": 0, "code": "j"}, {"id": 1, "code": "k"}]
    with db.transaction() as tx:
        with pytest.raises(DuplicateKeyError):
            tx.update_many("t", swap)
        tx.update_many("t", [{"id": 0, "code": None}, swap[1], swap[0]])
    assert ids(db.scan("t", index="codes", lower="j", upper="k")) == [0, 1]


def test_what_is_wrong_is_said_in_order(db: reifydb.Database) -> None:
    """Type, null, the primary key, then each index in the order of its creation."""
    db.execute("""
        create table u (id text primary key, a int not null, b text, c int);
        create unique index zz on u (a);
        create index mm on u (b);
        create unique index aa on u (c);
    """)
    row = {"id": "x", "a": 1, "b": "1", "c": 1}
    long, longer = "x" * 2000, "x" * 3000
    with db.transaction() as tx:
        tx.insert("u", row)
        for wrong, error, said in (
            ({"id": long, "a": None, "b": 7}, WrongTypeError, "column b"),
            ({"id": long, "a": None, "b": longer}, NotNullError, "column a"),
            ({"id": long, "b": longer}, LimitError, "key is too long"),
            ({"b": longer}, DuplicateKeyError, "primary key 'x'"),
            ({"id": "y", "b": longer}, DuplicateKeyError, "zz"),
            ({"id": "y", "a": 2, "b": longer}, LimitError, "index mm"),
            ({"id": "y", "a": 2}, DuplicateKeyError, "aa"),
        ):
            with pytest.raises(error, match=said):
                tx.insert("u", {**row, **wrong})
        tx.insert("u", {**row, "id": "y", "a": 2, "c": 2})


def test_indexed_columns_have_room_for_a_key(db: reifydb.Database) -> None:
    with db.transaction() as tx:
        longest = "x" * 1022  # and two bytes that end it
        with pytest.raises(LimitError, match="key_bytes_max"):
            tx.update("t", {"id": 0, "code": longest + "x" * 3})
        tx.update("t", {"id": 0, "body": longest * 3})
        tx.update("t", {"id": 0, "code": longest[:1000]})
    db.execute("create table long (id int primary key, s text)")
    with db.transaction() as tx:
        tx.insert("long", {"id": 1, "s": "x" * 5000})
    with pytest.raises(LimitError, match="key_bytes_max"):
        db.execute("create index i on long (s)")
    assert db.tables["long"].indexes == ()


# ------------------------------------------------------------------ create and drop


def test_an_index_is_made_of_rows_that_are_there(db: reifydb.Database) -> None:
    db.execute("create index ba on t (b, a)")
    assert ids(db.scan("t", index="ba")) == [9, 8, 2, 7, 0, 6, 3, 1, 4, 5]
    db.execute("create unique index once on t (id, b)")
    assert ids(db.scan("t", index="once")) == list(range(10))


def test_a_unique_index_is_refused_when_rows_collide(db: reifydb.Database) -> None:
    state, lsn = db.state_hash, db.lsn
    with pytest.raises(DuplicateKeyError, match="once"):
        db.execute("create unique index once on t (a, b)")
    with pytest.raises(DuplicateKeyError):
        db.execute("create index fine on t (body); create unique index once on t (a)")
    assert [index.name for index in db.tables["t"].indexes] == ["ab", "codes"]
    assert (db.state_hash, db.lsn) == (state, lsn)
    with db.transaction() as tx:
        tx.delete("t", 7)
        tx.delete("t", 6)
    db.execute("create unique index once on t (a, b)")
    with db.transaction() as tx, pytest.raises(DuplicateKeyError, match="once"):
        tx.insert("t", {"id": 50, "a": 1, "b": "x"})


def test_dropped_it_is_gone_and_binds_nobody(db: reifydb.Database) -> None:
    db.execute("drop index codes")
    with pytest.raises(UnknownNameError):
        db.scan("t", index="codes")
    with db.transaction() as tx:
        tx.update("t", {"id": 0, "code": "j"})
    with pytest.raises(DuplicateKeyError):
        db.execute("create unique index codes on t (code)")
    db.execute("drop index if exists codes; create index codes on t (code)")
    assert ids(db.scan("t", index="codes", lower="j", upper="j")) == [0, 1]


def test_names_of_indexes_are_of_the_whole_database(db: reifydb.Database) -> None:
    db.execute("create table other (id int primary key)")
    with pytest.raises(SchemaError, match="ab"):
        db.execute("create index ab on other (id)")
    db.execute("create index if not exists ab on other (id)")
    with pytest.raises(UnknownNameError):
        db.execute("drop index nosuch")
    with pytest.raises(UnknownNameError):
        db.execute("create index i on t (nosuch)")
    with pytest.raises(UnknownNameError):
        db.execute("create index i on nosuch (a)")


def test_the_catalog_lists_indexes(db: reifydb.Database) -> None:
    shown = [(index.name, index.columns, index.unique) for index in db.tables["t"].indexes]
    assert shown == [("ab", (1, 2), False), ("codes", (3,), True)]


def test_indexes_are_there_after_opening_again(tmp_path: Path) -> None:
    path = tmp_path / "indexed"
    with reifydb.open(path, options=SMALL) as db:
        db.execute("create table t (id int primary key, a int, b text)")
        with db.transaction() as tx:
            tx.insert_many("t", [{"id": i, "a": i % 3, "b": str(i)} for i in range(9)])
        db.execute("create index by_a on t (a); create unique index by_b on t (b)")
        with db.transaction() as tx:
            # Within one record two rows have had the same unique value.
            tx.update_many("t", [{"id": 1, "b": None}, {"id": 2, "b": "1"}, {"id": 1, "b": "2"}])
    with reifydb.open(path, options=SMALL) as db:
        assert ids(db.scan("t", index="by_a", lower=1, upper=1)) == [1, 4, 7]
        assert ids(db.scan("t", index="by_b", upper="2")) == [0, 2, 1]
        with db.transaction() as tx, pytest.raises(DuplicateKeyError, match="by_b"):
            tx.insert("t", {"id": 50, "b": "1"})
        db.verify()
