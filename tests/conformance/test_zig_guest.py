"""Guests of the Zig SDK on the database, beside the second host that was written from the pages.

Whatever is called, both must answer the same and hold the same rows afterwards.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import wasmtime

import reifydb
from reifydb import errors
from tests.guests.databases import no_trace, open_with, zig_guest
from tests.unit.sdk import fake_host
from tests.unit.sdk.fake_host import Column, FakeHost, Table

INT_MAX, INT_MIN = 2**63 - 1, -(2**63)
KINDS = ["bool", "int", "float", "text", "bytes", "timestamp"]
NAMES = ["flag", "n", "x", "t", "d", "at"]
EXTREMES: dict[str, list[Any]] = {
    "bool": [False, True],
    "int": [0, -1, 1, INT_MAX, INT_MIN],
    "float": [0.0, -0.0, 0.1, -1.5, 5e-324, 1.7976931348623157e308, -1.7976931348623157e308],
    "text": ["", "a", "zoë ✓ 💰", "\0", "x" * 5000, "\U0010ffff"],
    "bytes": [b"", b"\0", b"\xff\xfe", bytes(range(256)) * 20],
    "timestamp": [0, -1, 1_700_000_000_123_456, INT_MAX, INT_MIN],
}
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def plain(value: Any) -> Any:
    """A value as the second host has it: timestamps in microseconds."""
    if isinstance(value, datetime):
        return (value - EPOCH) // timedelta(microseconds=1)
    if isinstance(value, dict):
        return {name: plain(each) for name, each in value.items()}
    return value


class Both:
    """The database and the second host with the same modules."""

    def __init__(self, db: reifydb.Database) -> None:
        columns = [Column("a", "text"), Column("b", "int")]
        columns += [Column(name, kind) for name, kind in zip(NAMES, KINDS, strict=True)]
        columns += [Column(f"{n}_null", k, True) for n, k in zip(NAMES, KINDS, strict=True)]
        note = [Column("id", "int"), Column("body", "text"), Column("mark", "int", True)]
        pair = [Column("low", "int"), Column("high", "timestamp"), Column("value", "float")]
        self.db = db
        self.tables = {
            "every_type": Table(columns, [0, 1]),
            "note": Table(note, [0], auto=0),
            "pair": Table(pair, [0, 1]),
        }
        self.hosts = {
            name: FakeHost(zig_guest(name), self.tables) for name in ("every_type", "narrow")
        }

    def call(self, name: str, *arguments: Any) -> Any:
        """What both answer: a result, the code and message of an abort, or "trap"."""
        module, transition = name.split(".")
        try:
            expected = self.hosts[module].call(transition, *arguments)
        except fake_host.AbortedError as error:
            expected = error.args
        except wasmtime.Trap:
            expected = "trap"
        try:
            found = plain(self.db.call(name, *arguments))
        except errors.AbortedError as error:
            found = (error.abort_code, error.abort_message)
        except errors.TrappedError:
            found = "trap"
        assert found == expected, (name, arguments)
        assert repr(found) == repr(expected) or isinstance(found, float | dict)
        return found

    def compare(self) -> None:
        """Both hold the same rows, in the same order."""
        for name, table in self.tables.items():
            found = [list(plain(row).values()) for row in self.db.scan(name)]
            assert found == [table.rows[key] for key in sorted(table.rows)]
        self.db.verify()


@pytest.fixture
def both() -> Iterator[Both]:
    with open_with(zig_guest("every_type"), zig_guest("narrow")) as db:
        yield Both(db)


def row_of(a: str, b: int, n: int = 0, nulls: tuple[Any, ...] = (None,) * 6) -> tuple[Any, ...]:
    return (a, b, True, n, 0.5, "text of " + a, b"\0" + a.encode(), b // 2, *nulls)


# ------------------------------------------------------------------ values


@pytest.mark.parametrize("kind", KINDS)
def test_every_type_passes_in_and_out(both: Both, kind: str) -> None:
    for value in EXTREMES[kind]:
        assert both.call(f"every_type.echo_{kind}", value) == value
        assert both.call(f"every_type.echo_{kind}_null", value) == value
    assert both.call(f"every_type.echo_{kind}_null", None) is None


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_floats_are_finite(both: Both, value: float) -> None:
    with no_trace(both.db), pytest.raises(errors.WrongTypeError):
        both.db.call("every_type.echo_float", value)


def test_a_null_argument_is_refused_where_none_may_be(both: Both) -> None:
    for kind in KINDS:
        with no_trace(both.db), pytest.raises(errors.RequestError):
            both.db.call(f"every_type.echo_{kind}", None)


def test_rows_of_extremes_pass_in_and_out_and_are_kept(both: Both) -> None:
    longest = max(len(values) for values in EXTREMES.values())
    for i in range(longest):
        values = [EXTREMES[kind][i % len(EXTREMES[kind])] for kind in KINDS]
        for nulls in (values, [None] * 6, [v if j % 2 else None for j, v in enumerate(values)]):
            row = (f"key {i}", i, *values, *nulls)
            assert tuple(both.call("every_type.echo_row", *row).values()) == row
            both.call("every_type.upsert", *row)
            assert tuple(both.call("every_type.get", f"key {i}", i).values()) == row
    both.compare()


def test_minus_zero_is_kept_as_zero(both: Both) -> None:
    both.db.call("every_type.put_pair", 1, 2, -0.0)
    (row,) = both.db.scan("pair")
    assert str(row["value"]) == "0.0"


# ------------------------------------------------------------------ operations


def test_rows_are_written_read_and_deleted(both: Both) -> None:
    both.call("every_type.insert", *row_of("a", 1))
    both.call("every_type.upsert", *row_of("a", 2, 7, (True, 1, 2.0, "three", b"4", 5)))
    assert both.call("every_type.count") == 2
    both.call("every_type.update", *row_of("a", 1, 9))
    both.compare()
    assert both.call("every_type.find", "a", 1) == 9
    assert both.call("every_type.find", "b", 1) is None
    assert both.call("every_type.delete", "a", 1) is True
    assert both.call("every_type.delete", "a", 1) is False
    both.compare()


def test_refusals_have_their_codes(both: Both) -> None:
    both.call("every_type.insert", *row_of("a", 1))
    with no_trace(both.db):
        for call, ending in [
            (("insert", *row_of("a", 1, 5)), (-3, "duplicate_key")),
            (("update", *row_of("a", 2)), (-2, "not_found")),
            (("get", "z", 1), (-2, "not_found")),
            (("delete_in_query", "a", 1), (-7, "read_only")),
            (("insert", *row_of("k" * 2000, 1)), (-8, "key_too_long")),
            (("own_error",), (-100, "something_unforeseen")),
            (("add_or_abort", INT_MAX, 1), (-100, "overflow")),
            (("add_or_trap", INT_MAX, 1), "trap"),
            (("abort_after_write", 5, 42, "grün"), (42, "grün")),
            (("abort_after_write", 5, 0, ""), (1, "")),
            (("abort_is_final", 5), (9, "final")),
            (("echo_text", "x" * 40_000), (-100, "arena_full")),
        ]:
            assert both.call(f"every_type.{call[0]}", *call[1:]) == ending
    both.compare()


def test_many_rows_in_one_crossing_are_all_or_nothing(both: Both) -> None:
    both.call("every_type.insert_many", "m", 0, 20, "x" * 50)
    with no_trace(both.db):
        both.call("every_type.insert_many", "m", 15, 25, "")
        both.call("every_type.update_many", "m", 15, 25, "new")
        both.call("every_type.insert_many", "m", 0, 33, "")
        assert both.call("every_type.delete_many", "m", 0, 0) == 0
    both.call("every_type.update_many", "m", 0, 5, "new")
    both.call("every_type.upsert_many", "m", 15, 25, "")
    both.compare()
    assert both.call("every_type.delete_many", "m", 20, 40) == 5
    both.compare()


SCANS: list[tuple[Any, ...]] = [
    ("all", False, 0, 4096),
    ("all", True, 0, 4096),
    ("all", False, 0, 300),
    ("all", False, 0, 8),
    ("all", False, 0, 0),
    ("all", True, 4, 300),
    *[
        ("prefix", a, down, limit)
        for a in ("", "a", "b", "z")
        for down in (0, 1)
        for limit in (0, 2)
    ],
    *[
        (scan, a1, b1, a2, b2, down)
        for scan in ("range", "between")
        for a1, b1 in (("a", 1), ("b", -3), ("c", 2))
        for a2, b2 in (("a", 1), ("b", 1), ("c", INT_MAX))
        for down in (False, True)
    ],
    *[(s, a, down) for s in ("after_prefix", "before_prefix") for a in "0abcd" for down in (0, 1)],
]


def test_scans_with_every_bound(both: Both) -> None:
    for a in ("a", "b", "c", "aa", "a\0"):
        for b in (1, 2, -3, INT_MIN, INT_MAX):
            both.call("every_type.insert", *row_of(a, b))
    for name, *arguments in SCANS:
        given = [
            bool(v) if i == (1 if name == "prefix" else 9) else v for i, v in enumerate(arguments)
        ]
        if name in ("after_prefix", "before_prefix"):
            given[-1] = bool(given[-1])
        both.call(f"every_type.scan_{name}", *given)
    assert both.call("every_type.same_pairs") == 25 * 25
    assert both.call("every_type.clear") == 25
    both.compare()


def test_numbers_are_given_out(both: Both) -> None:
    assert both.call("every_type.create_note", "one", None) == 1
    assert both.call("every_type.create_note", "two", 7) == 2
    assert both.call("every_type.insert_note", 10, "ten") == 0
    both.call("every_type.abort_after_write", 50, 1, "")
    assert both.call("every_type.create_note", "eleven", None) == 11
    both.call("every_type.insert_note", INT_MAX, "last")
    with no_trace(both.db):
        assert both.call("every_type.create_note", "none left", None)[0] == -14
    both.compare()


def test_tables_of_fixed_width(both: Both) -> None:
    assert both.call("every_type.put_pair", 1, 2, 0.5) == 0
    assert both.call("every_type.put_pair", 1, 2, -3.0) == 0.5
    both.compare()


# ------------------------------------------------------------------ projections


def test_a_narrow_binding_leaves_the_other_columns(both: Both) -> None:
    both.call("every_type.insert", *row_of("a", 1, 5, (None, 1, None, "keep", None, 2)))
    both.call("every_type.insert", *row_of("a", 2, 6))
    assert both.call("narrow.add", "a", 1, 4) == 9
    assert both.call("narrow.add_to_all", 10) == 2
    both.call("narrow.upsert", 20, 2, "a")
    assert both.call("narrow.get", "a", 1) == {"n": 19, "b": 1, "a": "a"}
    with no_trace(both.db):
        assert both.call("narrow.upsert", 20, 3, "a") == (-4, "not_null")
    expected = row_of("a", 1, 19, (None, 1, None, "keep", None, 2))
    assert tuple(both.call("every_type.get", "a", 1).values()) == expected
    both.compare()


def test_a_narrow_insert_gives_columns_their_defaults() -> None:
    with reifydb.open(":memory:") as db:
        db.execute(
            "create table every_type (flag bool not null default true, a text, b int, "
            "t text not null default 'as ever', n int not null, x float, primary key (a, b))"
        )
        db.install(zig_guest("narrow"))
        db.call("narrow.upsert", 20, 3, "a")
        expected = {"flag": True, "a": "a", "b": 3, "t": "as ever", "n": 20, "x": None}
        assert db.get("every_type", ("a", 3)) == expected
        with db.transaction() as tx:
            tx.update("every_type", {"a": "a", "b": 3, "t": "other", "x": 0.5})
        assert db.call("narrow.add", "a", 3, 1) == 21
        assert db.get("every_type", ("a", 3)) == {**expected, "t": "other", "x": 0.5, "n": 21}
        db.verify()


# ------------------------------------------------------------------ histories


@pytest.mark.parametrize("seed", range(4))
def test_random_calls_have_the_same_answers(both: Both, seed: int) -> None:
    dice = random.Random(seed)

    def key() -> tuple[str, int]:
        return dice.choice(["", "a", "ab", "b\0", "ü"]), dice.randrange(-4, 8)

    def value(kind: str) -> Any:
        found = dice.choice(EXTREMES[kind])
        return found[:50] if isinstance(found, str | bytes) else found

    def row() -> tuple[Any, ...]:
        fixed = [value(kind) for kind in KINDS]
        return (*key(), *fixed, *[value(k) if dice.random() < 0.5 else None for k in KINDS])

    def span() -> tuple[str, int, int]:
        a, first = key()
        return a, first, first + dice.randrange(6)

    calls: list[tuple[str, Any]] = [
        *[(f"every_type.{name}", row) for name in ("insert", "update", "upsert", "upsert")],
        ("every_type.get", key),
        ("every_type.find", key),
        ("every_type.delete", key),
        *[
            (f"every_type.{name}_many", lambda: (*span(), dice.choice(["", "tt", "x" * 40])))
            for name in ("insert", "update", "upsert")
        ],
        ("every_type.delete_many", span),
        ("every_type.scan_all", lambda: (dice.random() < 0.5, dice.randrange(9), 512)),
        ("every_type.scan_prefix", lambda: (key()[0], dice.random() < 0.5, dice.randrange(5))),
        ("every_type.scan_range", lambda: (*key(), *key(), dice.random() < 0.5)),
        ("every_type.scan_between", lambda: (*key(), *key(), dice.random() < 0.5)),
        ("every_type.count", tuple),
        ("every_type.create_note", lambda: ("note", dice.choice([None, 1]))),
        ("every_type.insert_note", lambda: (dice.randrange(-5, 60), "note")),
        ("every_type.abort_after_write", lambda: (dice.randrange(60), 3, "no")),
        ("narrow.add", lambda: (*key(), dice.choice([1, INT_MAX]))),
        ("narrow.add_to_all", lambda: (dice.choice([0, 1]),)),
        ("narrow.upsert", lambda: (1, *key()[::-1])),
    ]
    for i in range(500):
        name, arguments = dice.choice(calls)
        both.call(name, *arguments())
        if i % 50 == 49:
            both.compare()
