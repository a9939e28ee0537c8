"""Decimals, uuids and JSON in the embedded API: what fits, what comes back, what is refused."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from uuid import UUID

import pytest

import reifydb
from reifydb import JSON_NULL
from reifydb.config import json_bytes_max, json_nesting_max
from reifydb.errors import LimitError, ReifyDBError, SqlError, WrongTypeError
from tests.unit.database.conftest import SMALL

ONES = UUID(int=(1 << 128) - 1)


@pytest.fixture
def db() -> Iterator[reifydb.Database]:
    with reifydb.open(":memory:") as db:
        db.execute("""
            create table price (id int primary key, tight decimal(3,2), whole decimal(18,0),
                part decimal(18,18), bit decimal(1,1));
            create table thing (id uuid primary key, what json);
            create table word (what json primary key, n int);
            create table sum (d decimal(10,2) primary key)
        """)
        yield db
        db.verify()


def stored(db: reifydb.Database, column: str, value: object) -> object:
    with db.transaction() as tx:
        tx.upsert("price", {"id": 1, column: value})
        row = tx.get("price", 1)
        assert row is not None
        return row[column]


def stored_json(db: reifydb.Database, value: object) -> object:
    with db.transaction() as tx:
        tx.upsert("thing", {"id": ONES, "what": value})
        row = tx.get("thing", ONES)
        assert row is not None
        return row["what"]


# ------------------------------------------------------------------ decimals


@pytest.mark.parametrize(
    ("column", "given", "read"),
    [
        ("tight", Decimal("1.5"), "1.50"),
        ("tight", 9, "9.00"),
        ("tight", Decimal("-9.99"), "-9.99"),
        ("tight", Decimal("9.9900000"), "9.99"),
        ("tight", Decimal("1E-2"), "0.01"),
        ("tight", Decimal("-0"), "0.00"),
        ("tight", Decimal("0E+100"), "0.00"),
        ("whole", Decimal("1E+17"), "1" + "0" * 17),
        ("whole", 10**18 - 1, "9" * 18),
        ("whole", 1 - 10**18, "-" + "9" * 18),
        ("part", Decimal("1E-18"), "1E-18"),
        ("part", Decimal("0." + "9" * 18), "0." + "9" * 18),
        ("bit", Decimal("-0.9"), "-0.9"),
    ],
)
def test_a_decimal_comes_back_with_the_digits_of_its_scale(
    db: reifydb.Database, column: str, given: object, read: str
) -> None:
    assert str(stored(db, column, given)) == read


@pytest.mark.parametrize(
    ("column", "given"),
    [
        ("tight", Decimal("1.505")),
        ("tight", 10),
        ("tight", Decimal(-10)),
        ("tight", Decimal("1E+1000000")),
        ("tight", Decimal("1E-1000000")),
        ("tight", Decimal("NaN")),
        ("tight", Decimal("-Infinity")),
        ("tight", 1.5),
        ("tight", "1.5"),
        ("tight", True),
        ("whole", 10**18),
        ("whole", Decimal("0.5")),
        ("part", 1),
        ("bit", 1),
        ("bit", Decimal("0.05")),
    ],
)
def test_nothing_is_rounded_into_a_decimal(
    db: reifydb.Database, column: str, given: object
) -> None:
    with pytest.raises(WrongTypeError, match=column):
        stored(db, column, given)


def test_decimals_are_ordered_as_numbers(db: reifydb.Database) -> None:
    numbers = [Decimal(n) for n in ("-99999999.99", "-1.00", "-0.01", "0.00", "0.10", "9.00")]
    with db.transaction() as tx:
        tx.insert_many("sum", [{"d": d} for d in reversed(numbers)])
    assert [row["d"] for row in db.scan("sum")] == numbers
    assert [row["d"] for row in db.scan("sum", lower=0, upper=Decimal("0.1"))] == numbers[3:5]
    assert db.get("sum", Decimal(9)) == {"d": Decimal("9.00")}


# ------------------------------------------------------------------ uuids


def test_uuids_are_uuids_and_ordered_by_their_bytes(db: reifydb.Database) -> None:
    ids = [UUID(int=n) for n in (0, 1, 255, 1 << 64, (1 << 128) - 2)] + [ONES]
    with db.transaction() as tx:
        tx.insert_many("thing", [{"id": i} for i in reversed(ids)])
    assert [row["id"] for row in db.scan("thing")] == ids
    assert [row["id"] for row in db.scan("thing", lower=ids[2], upper=ids[3])] == ids[2:4]


@pytest.mark.parametrize("given", [str(ONES), ONES.bytes, ONES.int, 0])
def test_only_a_uuid_is_a_uuid(db: reifydb.Database, given: object) -> None:
    with pytest.raises(WrongTypeError, match="uuid"):
        db.get("thing", given)


# ------------------------------------------------------------------ JSON


@pytest.mark.parametrize(
    ("given", "read"),
    [
        ({}, {}),
        ([], []),
        ("", ""),
        ((1, (2,)), [1, [2]]),
        ({"b": 1, "a": [None, True, False]}, {"a": [None, True, False], "b": 1}),
        ({"\U0001f98a": 1, "\uffff": 2, "": 3}, {"": 3, "\uffff": 2, "\U0001f98a": 1}),
        (1, 1),
        (1.0, 1.0),
        (-0.0, 0.0),
        ([-0.0, {"x": -0.0}], [0.0, {"x": 0.0}]),
        (5e-324, 5e-324),
        (1.7976931348623157e308, 1.7976931348623157e308),
        (1e16, 1e16),
        (123456789012345680.0, 1.2345678901234568e17),
        (2**64, 2**64),
        (-(10**300), -(10**300)),
        ('"\\/\b\f\n\r\t\0\x1f\x7f\u2028', '"\\/\b\f\n\r\t\0\x1f\x7f\u2028'),
        (JSON_NULL, JSON_NULL),
        (None, None),
        (True, True),
    ],
)
def test_json_comes_back_canonical(db: reifydb.Database, given: object, read: object) -> None:
    assert repr(stored_json(db, given)) == repr(read)


@pytest.mark.parametrize(
    "given",
    [
        math.nan,
        [math.inf],
        {"a": {1: 2}},
        {None: 1},
        [Decimal(1)],
        {"a": ONES},
        b"{}",
        "\ud800",
        {"\udfff": 1},
        {1, 2},
        [JSON_NULL],
        10**400,
    ],
)
def test_what_is_no_json_is_refused(db: reifydb.Database, given: object) -> None:
    with pytest.raises(WrongTypeError, match="what"):
        stored_json(db, given)


def nested(depth: int) -> object:
    value: object = []
    for i in range(depth - 1):
        value = {"a": value} if i % 2 else [value]
    return value


def test_json_is_nested_as_deep_as_the_limit_says(db: reifydb.Database) -> None:
    assert stored_json(db, nested(json_nesting_max)) == nested(json_nesting_max)
    for depth in (json_nesting_max + 1, 100_000):
        with pytest.raises(WrongTypeError, match="nested"):
            stored_json(db, nested(depth))


def test_json_is_as_long_as_the_limit_says(db: reifydb.Database) -> None:
    longest = "x" * (json_bytes_max - 2)
    assert stored_json(db, longest) == longest
    with pytest.raises(ReifyDBError):
        stored_json(db, longest + "x")


def test_json_null_is_not_null(db: reifydb.Database) -> None:
    with db.transaction() as tx:
        tx.insert("word", {"what": JSON_NULL, "n": 1})
    assert db.get("word", JSON_NULL) == {"what": JSON_NULL, "n": 1}
    with pytest.raises(WrongTypeError, match="null"):
        db.get("word", None)


def test_json_keys_are_ordered_by_their_text(db: reifydb.Database) -> None:
    values: list[object] = [
        *("", "a", "ä", 1, 10, 2, 1.0, -1, [], [1], {}, {"b": 1, "a": 2}, True, JSON_NULL),
    ]
    with db.transaction() as tx:
        tx.insert_many("word", [{"what": value} for value in values])

    def text(value: object) -> bytes:
        given = None if value is JSON_NULL else value
        separators = (",", ":")
        return json.dumps(given, sort_keys=True, separators=separators, ensure_ascii=False).encode()

    assert [repr(row["what"]) for row in db.scan("word")] == [
        repr(dict(sorted(v.items())) if isinstance(v, dict) else v)
        for v in sorted(values, key=text)
    ]
    # Members in another order are the same key.
    assert db.get("word", {"a": 2, "b": 1}) == db.get("word", {"b": 1, "a": 2}) != None  # noqa: E711
    with pytest.raises(LimitError, match="key_bytes_max"), db.transaction() as tx:
        tx.insert("word", {"what": "x" * 1100})


def test_an_update_to_the_same_json_changes_nothing(db: reifydb.Database) -> None:
    stored_json(db, {"a": 1, "b": [0.0]})
    lsn, state = db.lsn, db.state_hash
    stored_json(db, {"b": [-0.0], "a": 1})
    assert (db.lsn, db.state_hash) == (lsn, state)


# ------------------------------------------------------------------ schema and log


def test_types_are_written_in_sql(db: reifydb.Database) -> None:
    db.execute("""create table odd (id int primary key, a numeric(4,1) not null default -12.5,
        b decimal(3), c jsonb default '{"b": [1.0, 2], "a": "it''s"}',
        d uuid default '3b241101-e2bb-4255-8caf-4136c566a962')""")
    types = [column.sql_type for column in db.tables["odd"].columns]
    assert types == ["int", "decimal(4,1)", "decimal(3,0)", "json", "uuid"]
    with db.transaction() as tx:
        tx.insert("odd", {"id": 1})
    assert db.get("odd", 1) == {
        "id": 1,
        "a": Decimal("-12.5"),
        "b": None,
        "c": {"a": "it's", "b": [1.0, 2]},
        "d": UUID("3b241101-e2bb-4255-8caf-4136c566a962"),
    }


@pytest.mark.parametrize(
    "column",
    [
        *("a decimal(0,0)", "a decimal(19,0)", "a decimal(2,3)", "a numeric", "a decimal(2,-1)"),
        *("a decimal(2,1) default 10", "a decimal(2,1) default 0.05", "a uuid default 'x'"),
        *("a json default '{'", 'a json default \'{"a":1,"a":2}\'', "a json default 'nul'"),
    ],
)
def test_a_type_or_default_that_makes_no_sense_is_refused(
    db: reifydb.Database, column: str
) -> None:
    with pytest.raises(SqlError):
        db.execute(f"create table odd (id int primary key, {column})")


def test_all_of_it_is_there_after_opening_again(tmp_path: Path) -> None:
    path = tmp_path / "types"
    row = {
        "d": Decimal("-0.01"),
        "u": ONES,
        "j": {"a": [1, 1.5, "\0\U0001f98a", {}]},
        "n": JSON_NULL,
        "m": None,
    }
    with reifydb.open(path, options=SMALL) as db:
        db.execute("""create table t (d decimal(9,2), u uuid, j json, n json, m json,
            primary key (d, u, j))""")
        with db.transaction() as tx:
            tx.insert("t", row)
        state = db.state_hash
    with reifydb.open(path, options=SMALL) as db:
        assert list(db.scan("t")) == [row]
        assert db.get("t", (row["d"], row["u"], row["j"])) == row
        assert db.state_hash == state
        db.verify()
