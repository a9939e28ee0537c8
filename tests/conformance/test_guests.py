"""What docs/conformance.md asks, of the guests of each SDK.

Each runs on the database, beside a second host that was written from the pages alone: whatever is
called, both must answer the same and hold the same rows afterwards. The last part compares the
guests of the SDKs with each other, byte by byte.
"""

from __future__ import annotations

import json
import logging
import random
import struct
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
import wasmtime

import reifydb
from reifydb import errors
from tests.conformance import transitions
from tests.guests.databases import LANGUAGES, NOW_NS, guest, no_trace, open_with, run_batch
from tests.unit.sdk import fake_host
from tests.unit.sdk.fake_host import Column, FakeHost, Index, Table

INT_MAX, INT_MIN = 2**63 - 1, -(2**63)
ORE, EMPTY = UUID("00000000-0000-0000-0000-00000000000a"), UUID(int=0)
KINDS = "bool int float text bytes timestamp decimal uuid json".split()
EXTREMES: dict[str, list[Any]] = {
    "bool": [False, True],
    "int": [0, -1, 1, INT_MAX, INT_MIN],
    "float": [0.0, -0.0, 0.1, -1.5, 5e-324, 1.7976931348623157e308, -1.7976931348623157e308],
    "text": ["", "a", "1234567", "12345678", "zoë ✓ 💰", "\0", "x" * 5000, "x" * 64, "\U0010ffff"],
    "bytes": [b"", b"\0", b"\xff\xfe", bytes(range(256)) * 20],
    "timestamp": [0, -1, 1_700_000_000_123_456, INT_MAX, INT_MIN],
    "decimal": [
        Decimal(text) for text in ("0.00", "-0.01", "12.50", "99999999.99", "-99999999.99")
    ],
    "uuid": [EMPTY, ORE, UUID(int=2**128 - 1)],
    "json": [reifydb.JSON_NULL, True, 0, -1.5, "zoë ✓ 💰\n", [], {}, [1, [2, {"a": [None]}]]],
}
EXTREMES["json"] += [{"b": 1, "a": {"ü": 1e300, "u": 10**30}}, list(range(300))]
NULLS: tuple[Any, ...] = (None,) * len(KINDS)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
ARENA = 32 * 1024


def plain(value: Any, kind: str) -> Any:
    """A value as the second host has it."""
    if value is None:
        return None
    if kind == "timestamp" and isinstance(value, datetime):
        return (value - EPOCH) // timedelta(microseconds=1)
    if kind.startswith("decimal"):
        return int(value.scaleb(2))
    if kind == "uuid":
        return value.bytes
    if kind == "json":
        value = None if value is reifydb.JSON_NULL else value
        return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return value


def plain_row(row: dict[str, Any], columns: Iterable[Column | transitions.Column]) -> Any:
    return {column.name: plain(row[column.name], column.type) for column in columns}


def tables() -> dict[str, Table]:
    """The tables of schema.sql, as the second host has them."""
    every, item = (
        [Column(c.name, c.type, c.nullable) for c in transitions.row(name)]
        for name in ("every_type", "item")
    )
    note = [Column("id", "int"), Column("body", "text"), Column("mark", "int", True)]
    pair = [Column("low", "int"), Column("high", "timestamp"), Column("value", "float")]
    indexes = [
        Index("item_by_colour", [1, 2]),
        Index("item_by_code", [4], unique=True),
        Index("item_by_price", [3]),
    ]
    return {
        "every_type": Table(every, [0, 1]),
        "note": Table(note, [0], auto=0),
        "pair": Table(pair, [0, 1]),
        "item": Table(item, [0], indexes=indexes),
    }


class Both:
    """The database and the second host with the same modules."""

    def __init__(self, db: reifydb.Database, language: str) -> None:
        self.db = db
        self.language = language
        self.tables = tables()
        self.hosts = {
            name: FakeHost(guest(name, language), self.tables) for name in ("every_type", "narrow")
        }
        for host in self.hosts.values():
            host.now = NOW_NS // 1000

    def call(self, name: str, *arguments: Any) -> Any:
        """What both answer: a result, the code and message of an abort, or "trap"."""
        module, _, transition = f"every_type.{name}".rpartition(".")
        module = module.rpartition(".")[2]
        declared = transitions.BY_NAME[f"{module}.{transition}"]
        given = [plain(v, c.type) for v, c in zip(arguments, declared.params, strict=True)]
        try:
            expected = self.hosts[module].call(transition, *given)
        except fake_host.AbortedError as error:
            expected = error.args
        except wasmtime.Trap:
            expected = "trap"
        found = ending(self.db, f"{module}.{transition}", *arguments)
        assert found == expected, (name, arguments)
        assert repr(found) == repr(expected) or isinstance(found, float | dict)
        return found

    def compare(self) -> None:
        """Both hold the same rows, in the same order."""
        for name, table in self.tables.items():
            found = [list(plain_row(row, table.columns).values()) for row in self.db.scan(name)]
            assert found == [table.rows[key] for key in sorted(table.rows)]
        self.db.verify()


def ending(db: reifydb.Database, name: str, *arguments: Any) -> Any:
    """What a call ends with: a result, the code and message of an abort, or "trap"."""
    try:
        found = db.call(name, *arguments)
    except errors.AbortedError as error:
        return error.abort_code, error.abort_message
    except errors.TrappedError:
        return "trap"
    result = transitions.BY_NAME[name].result
    if isinstance(result, tuple):
        return plain_row(found, result)
    return plain(found, result.type) if result else found


@pytest.fixture(params=LANGUAGES)
def language(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def both(language: str) -> Iterator[Both]:
    with open_with(guest("every_type", language), guest("narrow", language)) as db:
        yield Both(db, language)


def row_of(a: str, b: int, n: int = 0, nulls: tuple[Any, ...] = NULLS) -> tuple[Any, ...]:
    price, doc = Decimal("0.01") * (n % 1000), {"of": [a]}
    fixed = (True, n, 0.5, f"text of {a}", b"\0" + a.encode(), b // 2, price, ORE, doc)
    return (a, b, *fixed, *nulls)


def as_given(row: Iterable[Any], name: str = "every_type") -> tuple[Any, ...]:
    """A row in the values of the second host."""
    columns = transitions.row(name)
    return tuple(plain(v, c.type) for v, c in zip(row, columns, strict=True))


# ------------------------------------------------------------------ the list


def declared(module: bytes) -> dict[str, Any]:
    """A guest's manifest, with everything that may be left out."""
    manifest = json.loads(fake_host.custom_section(module, "reifydb.manifest"))

    def column(given: dict[str, Any]) -> transitions.Column:
        marks = given.get("nullable", False), given.get("secret", False)
        return transitions.Column(given.get("name", "value"), given["type"], *marks)

    def result(given: dict[str, Any] | None) -> Any:
        if given is None:
            return None
        return tuple(map(column, given["columns"])) if "columns" in given else column(given)

    return {
        "name": manifest["name"],
        "schema": manifest.get("schema", ""),
        "relations": {r["name"]: tuple(map(column, r["columns"])) for r in manifest["relations"]},
        "indexes": {
            r["name"]: [(i["name"], i["columns"]) for i in r.get("indexes", [])]
            for r in manifest["relations"]
        },
        "transitions": {
            t["name"]: (
                tuple(map(column, t.get("params", []))),
                result(t.get("result")),
                t.get("query", False),
            )
            for t in manifest["transitions"]
        },
    }


@pytest.mark.parametrize("name", transitions.MODULES)
def test_the_manifest_is_that_of_the_list(language: str, name: str) -> None:
    found = declared(guest(name, language))
    assert found["name"] == name
    assert found["transitions"] == {
        t.name: (t.params, t.result, t.query) for t in transitions.TRANSITIONS if t.module == name
    }
    assert list(found["relations"]) == transitions.MODULES[name]["relations"]
    assert found["relations"]["every_type"] == transitions.row(name)
    items = [("item_by_colour", ["colour", "size"]), ("item_by_code", ["code"])]
    indexes = {"item": [*items, ("item_by_price", ["price"])]}
    assert found["indexes"] == {table: indexes.get(table, []) for table in found["relations"]}
    schema = (transitions.FOLDER / "schema.sql").read_text()
    assert found["schema"] == (schema if name == "every_type" else "")


def test_every_transition_of_the_list_is_called() -> None:
    source = (transitions.FOLDER / "test_guests.py").read_text()
    names = [entry["name"] for entry in transitions.ENTRIES]
    missing = [n for n in names if not all(part in source for part in n.split("{each}"))]
    assert missing == []


def test_the_page_shows_the_list() -> None:
    page = transitions.FOLDER.parents[1] / "docs/conformance.md"
    assert page.read_text(encoding="utf-8").endswith(transitions.page())


# ------------------------------------------------------------------ arguments and results


@pytest.mark.parametrize("kind", KINDS)
def test_every_type_passes_in_and_out(both: Both, kind: str) -> None:
    for value in EXTREMES[kind]:
        assert both.call(f"echo_{kind}", value) == plain(value, kind)
        assert both.call(f"echo_{kind}_null", value) == plain(value, kind)
    assert both.call(f"echo_{kind}_null", None) is None


def test_nothing_passes_in_and_out(both: Both) -> None:
    with no_trace(both.db):
        assert both.call("nothing") is None


def test_rows_of_extremes_pass_in_and_out_and_are_kept(both: Both) -> None:
    longest = max(len(values) for values in EXTREMES.values())
    for i in range(longest):
        values = [EXTREMES[kind][i % len(EXTREMES[kind])] for kind in KINDS]
        for nulls in (values, NULLS, [v if j % 2 else None for j, v in enumerate(values)]):
            row = (f"key {i}", i, *values, *nulls)
            assert tuple(both.call("echo_row", *row).values()) == as_given(row)
            both.call("upsert", *row)
            assert tuple(both.call("get", f"key {i}", i).values()) == as_given(row)
    both.compare()


def test_minus_zero_is_kept_as_zero(both: Both) -> None:
    both.db.call("every_type.put_pair", 1, 2, -0.0)
    (row,) = both.db.scan("pair")
    assert str(row["value"]) == "0.0"


def test_what_a_transition_can_ask(both: Both) -> None:
    host = both.hosts["every_type"]
    host.caller, host.random = "zoë", INT_MIN
    assert host.call("facts") == {"now": host.now, "random": INT_MIN, "caller": "zoë"}
    facts = ending(both.db, "every_type.facts")
    assert (facts["now"], facts["caller"]) == (NOW_NS // 1000, "")
    draws = both.db.call("every_type.dice")
    assert len({facts["random"], draws["first"], draws["second"]}) == 3


def test_lines_are_logged_at_their_level(both: Both, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG, "reifydb.guest"):
        both.call("log_line", "heard ✓")
        both.call("log_levels", "")
    levels = [logging.WARNING, logging.DEBUG, logging.INFO, logging.WARNING, logging.ERROR]
    assert [r.levelno for r in caplog.records] == levels
    assert both.hosts["every_type"].log == [
        (level, "" if i else "heard ✓") for i, level in enumerate(levels)
    ]


def test_secrets_are_arguments_like_others(both: Both) -> None:
    assert both.call("login", "zoë", "secret") is True
    assert both.call("login", "zoë", "zoë") is False


# ------------------------------------------------------------------ operations


def test_rows_are_written_read_and_deleted(both: Both) -> None:
    both.call("insert", *row_of("a", 1))
    both.call(
        "upsert", *row_of("a", 2, 7, (True, 1, 2.0, "three", b"4", 5, Decimal("6.7"), ORE, [8]))
    )
    assert both.call("count") == 2
    both.call("update", *row_of("a", 1, 9))
    both.compare()
    assert both.call("find", "a", 1) == 9
    assert both.call("find", "b", 1) is None
    assert both.call("delete", "a", 1) is True
    assert both.call("delete", "a", 1) is False
    both.compare()


def test_many_rows_in_one_crossing_are_all_or_nothing(both: Both) -> None:
    both.call("insert_many", "m", 0, 20, "x" * 50)
    with no_trace(both.db):
        assert both.call("insert_many", "m", 15, 25, "") == (-3, "duplicate_key")
        assert both.call("update_many", "m", 15, 25, "new") == (-2, "not_found")
        assert both.call("insert_many", "m", 0, 33, "") == (1, "too_many")
        for operation in ("insert", "update", "upsert"):
            assert both.call(f"{operation}_many", "m", 0, 0, "") is None
        assert both.call("delete_many", "m", 0, 0) == 0
        assert both.call("delete_many", "m", 1, 0) == (1, "too_many")
    both.call("update_many", "m", 0, 5, "new")
    both.call("upsert_many", "m", 15, 25, "")
    both.compare()
    assert both.call("delete_many", "m", 20, 40) == 5
    both.compare()


def test_numbers_are_given_out(both: Both) -> None:
    assert both.call("create_note", "one", None) == 1
    assert both.call("create_note", "two", 7) == 2
    assert both.call("insert_note", 10, "ten") == 0
    both.call("abort_after_write", 50, 1, "")
    assert both.call("create_note", "eleven", None) == 11
    assert both.call("note_body", 2) == "two"
    assert both.call("note_body", 3) is None
    both.call("insert_note", INT_MAX, "last")
    with no_trace(both.db):
        assert both.call("create_note", "none left", None) == (-14, "exhausted")
    both.compare()


def test_tables_of_fixed_width(both: Both) -> None:
    assert both.call("put_pair", 1, 2, 0.5) == 0
    assert both.call("put_pair", 1, 2, -3.0) == 0.5
    both.compare()


# ------------------------------------------------------------------ memory


def test_arguments_fit_to_the_last_byte(both: Both) -> None:
    fits = ARENA - 8 - 8 - 1  # head, slot, null bits
    assert both.call("text_length", "x" * fits) == fits
    assert both.call("text_length", "x" * (fits + 1)) == (-100, "arena_full")
    assert both.call("echo_text", "x" * 16_000) == "x" * 16_000
    assert both.call("echo_text", "x" * 20_000) == (-100, "arena_full")


def test_a_row_that_does_not_fit_is_an_error_and_one_that_does_is_read(both: Both) -> None:
    for i in range(1, 4):
        both.call("write_note", i, 10_000 + i)
    assert len(both.call("note_body", 1)) == 10_001
    assert both.call("two_bodies", 1, 2) == (-100, "arena_full")
    assert both.call("write_note", 4, 20_000) == (-100, "arena_full")
    both.db.call_many("every_type.insert_note", [(9, "y" * 16_000)])
    with both.db.transaction() as tx:
        tx.insert("note", {"id": 10, "body": "z" * 40_000, "mark": None})
    assert ending(both.db, "every_type.note_body", 10) == (-100, "arena_full")
    assert ending(both.db, "every_type.scan_bodies", 4096) == (-100, "arena_full")
    both.db.verify()


def test_texts_stay_while_others_are_read(both: Both) -> None:
    for i, size in enumerate((0, 1, 7, 8, 9, 63, 64, 65, 300), 1):
        both.call("create_note", chr(ord("a") + i) * size, None if i % 3 == 0 else 10 - i)
    assert both.call("two_bodies", 9, 5) == "j" * 300 + "f" * 9
    assert both.call("two_bodies", 2, 2) == "cc"
    assert both.call("two_bodies", 2, 99) == (-2, "not_found")
    found = both.call("bodies_by_mark")
    assert found == "".join(both.call("note_body", 10 - i) for i in range(1, 10) if i % 3)


@pytest.mark.parametrize("rows", [1, 2, 3])
def test_rows_at_the_edge_of_a_cursors_buffer(both: Both, rows: int) -> None:
    """A row of a note has 33 bytes and its body: 96 with 63 of it, 104 with one more."""
    for i in range(rows):
        both.call("write_note", 10 + i, 63)
    both.call("write_note", 20, 64)
    both.call("write_note", 21, 0)
    expected = " ".join([*(f"{10 + i}:63" for i in range(rows)), "20:64", "21:0"])
    for buffer in (8, 40, 88, 96, 97, 104, 192, 200, 288, 296, 4096):
        assert both.call("scan_bodies", buffer) == expected
    both.call("write_note", 22, 9_000)  # larger than any page
    for buffer in (96, 4096):
        assert both.call("scan_bodies", buffer) == f"{expected} 22:9000"


def test_cursors_are_counted(both: Both) -> None:
    both.call("insert_many", "m", 0, 3, "")
    both.call("create_note", "one", None)
    assert both.call("open_cursors", 64) == 64
    assert both.call("open_cursors", 65) == (-11, "limit_reached")
    assert both.call("cursors_in_turn", 300) == 300


# ------------------------------------------------------------------ scans


def scans() -> Iterator[tuple[Any, ...]]:
    """Scans with every bound, and what each is called with."""
    for descending in (False, True):
        for limit, buffer in ((0, 4096), (0, 300), (0, 8), (0, 0), (4, 300), (1, 8)):
            yield "scan_all", descending, limit, buffer
        for a in ("", "a", "b", "z"):
            for limit in (0, 2):
                yield "scan_prefix", a, descending, limit
        for scan in ("range", "between", "half_open"):
            for a1, b1 in (("a", 1), ("b", -3), ("c", 2)):
                for a2, b2 in (("a", 1), ("b", 1), ("c", INT_MAX)):
                    yield f"scan_{scan}", a1, b1, a2, b2, descending
        for scan in ("from", "up_to", "after_prefix", "before_prefix"):
            for a in "0abcd":
                yield f"scan_{scan}", a, descending


def test_scans_with_every_bound(both: Both) -> None:
    for a in ("a", "b", "c", "aa", "a\0"):
        for b in (1, 2, -3, INT_MIN, INT_MAX):
            both.call("insert", *row_of(a, b))
    found = {scan: both.call(*scan) for scan in scans()}
    assert found["scan_between", "b", -3, "b", 1, False] == ""
    assert found["scan_range", "b", -3, "b", 1, True] == "b1 b-3"
    assert found["scan_half_open", "b", -3, "b", 1, True] == "b-3"
    assert found["scan_all", True, 4, 300] == f"c{INT_MAX} c2 c1 c-3"
    assert both.call("same_pairs") == 25 * 25
    assert both.call("clear") == 25
    both.compare()


def test_a_cursor_finds_what_is_written_ahead_of_it(both: Both) -> None:
    both.call("insert_note", 1, "first")
    assert both.call("chase", 20) == 20
    assert both.call("chase", 25) == 25  # from the last row of a page on
    both.compare()


# ------------------------------------------------------------------ indexes

COLOURS = ["red", None, "green", "", "red", None, "redder", "green"]
PRICES = [Decimal("1.50"), None, Decimal("-2.00"), Decimal("1.50"), Decimal("99999999.99"), None]


@pytest.fixture
def items(both: Both) -> Both:
    for i in range(24):
        code = None if i % 4 == 3 else UUID(int=i * 2**96 + 5)
        tags = [None, {"i": i}, reifydb.JSON_NULL][i % 3]
        both.call("put_item", 100 - i, COLOURS[i % 8], i % 5 - 2, PRICES[i % 6], code, tags)
    both.compare()
    return both


def test_indexes_give_their_order(items: Both) -> None:
    for order in range(4):
        for descending in (False, True):
            found = items.call("items_by", order, descending, 0)
            assert len(found.split()) == 24
            assert items.call("items_by", order, descending, 5) == " ".join(found.split()[:5])
    unpriced = [str(100 - i) for i in range(24) if PRICES[i % 6] is None]
    assert items.call("items_by", 3, False, 0).split()[-8:] == sorted(unpriced, key=int)


def test_bounds_of_an_index(items: Both) -> None:
    for descending in (False, True):
        for colour in ("red", "green", "", None, "blue", "re"):
            for limit in (0, 2):
                items.call("items_of_colour", colour, descending, limit)
        for one in ("red", "", None, "green"):
            for other in ("red", "", None, "green"):
                items.call("items_between", one, -1, other, 1, descending)
        for price in (Decimal(-2), Decimal("1.5"), Decimal("1.51"), Decimal("99999999.99")):
            items.call("items_dearer", price, descending)
    for size in range(-3, 4):
        items.call("items_of_size", "red", size)
        items.call("items_of_size", None, size)
    assert len(items.call("items_of_colour", None, False, 0).split()) == 6


def test_a_unique_index(items: Both) -> None:
    code = UUID(int=5)
    assert items.call("item_of_code", code)["id"] == 100
    assert items.call("item_of_code", UUID(int=6)) == (-2, "not_found")
    with no_trace(items.db):
        taken = items.call("put_item", 200, "red", 0, None, code, None)
        assert taken == (-3, "duplicate_key")
    items.call("put_item", 100, "red", 0, None, code, None)
    items.call("put_item", 200, "red", 0, None, None, None)
    items.compare()


def test_rows_move_in_an_index_while_it_is_read(items: Both) -> None:
    for colour, other in (("red", "green"), ("green", "blue"), (None, "red"), ("blue", None)):
        items.call("recolour", colour, other)
        items.compare()
        items.call("items_by", 1, False, 0)


# ------------------------------------------------------------------ what goes wrong


def test_refusals_have_their_codes(both: Both) -> None:
    both.call("insert", *row_of("a", 1))
    with no_trace(both.db):
        for call, expected in [
            (("insert", *row_of("a", 1, 5)), (-3, "duplicate_key")),
            (("update", *row_of("a", 2)), (-2, "not_found")),
            (("get", "z", 1), (-2, "not_found")),
            (("delete_in_query", "a", 1), (-7, "read_only")),
            (("insert", *row_of("k" * 2000, 1)), (-8, "key_too_long")),
            (("get", "k" * 2000, 1), (-8, "key_too_long")),
            (("own_error",), (-100, "something_unforeseen")),
            (("put_text", 1, b"\xff"), (-5, "invalid_row")),
        ]:
            assert both.call(*call) == expected
    both.compare()


def test_text_is_utf8_whatever_it_is_made_from(both: Both) -> None:
    both.call("put_text", 1, "grün".encode())
    assert both.call("note_body", 1) == "grün"


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_floats_are_finite(both: Both, value: float) -> None:
    (bits,) = struct.unpack("<q", struct.pack("<d", value))
    with no_trace(both.db):
        assert both.call("put_float", bits) == (-6, "invalid_number")
        with pytest.raises(errors.WrongTypeError):
            both.db.call("every_type.echo_float", value)
    both.call("put_float", struct.unpack("<q", struct.pack("<d", 1.5))[0])
    both.compare()


def test_a_decimal_has_no_more_digits_than_its_type(both: Both) -> None:
    for units in (10**10 - 1, 1 - 10**10, 0):
        both.call("put_units", 1, units)
        assert both.call("get_item", 1)["price"] == units
    with no_trace(both.db):
        for units in (10**10, -(10**10), INT_MAX, INT_MIN):
            assert both.call("put_units", 1, units) == (-6, "invalid_number")


def test_json_is_stored_in_its_canonical_form(both: Both) -> None:
    for text, stored in [
        (' { "b" : [ 1 , 2.50 ] ,\n"a":null } ', '{"a":null,"b":[1,2.5]}'),
        ('"\\u00fc\\/\\t\\u0001"', '"ü/\\t\\u0001"'),
        ("[-0, -0.0, 1E2, 1e-7]", "[0,0.0,100.0,1e-07]"),
        ("[1234567890123456789012]", "[1234567890123456789012]"),
        ("null", "null"),
    ]:
        both.call("put_tags", 1, text)
        assert both.call("get_item", 1)["tags"] == stored
    with no_trace(both.db):
        for text in ["", "{", "[1,]", '{"a":1,"a":2}', "NaN", '"\\ud800"', "nul", "1 2", "'a'"]:
            assert both.call("put_tags", 1, text) == (-5, "invalid_row"), text
        assert both.call("put_tags", 1, "1e999") == (-6, "invalid_number")
    both.compare()


def test_a_null_argument_is_refused_where_none_may_be(both: Both) -> None:
    for kind in KINDS:
        with no_trace(both.db), pytest.raises(errors.RequestError):
            both.db.call(f"every_type.echo_{kind}", None)


NAMES_OF_CODES = """not_found duplicate_key not_null invalid_row invalid_number read_only
    key_too_long row_too_long no_relation limit_reached out_of_memory transaction_too_large
    exhausted check_failed expression_failed""".split()


def test_an_error_that_is_passed_on_aborts_with_its_code_and_name(both: Both) -> None:
    assert both.call("fail", -1) == (-1, "")
    for code, name in enumerate(NAMES_OF_CODES, 2):
        assert both.call("fail", -code) == (-code, name)


def test_arithmetic_is_checked(both: Both) -> None:
    for a in EXTREMES["int"]:
        for b in EXTREMES["int"]:
            sums = {"add_or_abort": a + b, "sub_or_abort": a - b, "mul_or_abort": a * b}
            for name, exact in sums.items():
                fits = INT_MIN <= exact <= INT_MAX
                assert both.call(name, a, b) == (exact if fits else (-100, "overflow"))
            fits = INT_MIN <= a + b <= INT_MAX
            assert both.call("add_or_trap", a, b) == (a + b if fits else "trap")


def test_an_abort_is_final(both: Both) -> None:
    with no_trace(both.db):
        for arguments, expected in [
            ((5, 42, "grün"), (42, "grün")),
            ((5, 0, ""), (1, "")),
            ((5, -200, "own"), (-200, "own")),
            ((5, 2**31 - 1, ""), (2**31 - 1, "")),
            ((5, -(2**31), "\0"), (-(2**31), "\0")),
        ]:
            assert both.call("abort_after_write", *arguments) == expected
        assert both.call("abort_after_write", 5, 1, "ü" * 600) == (1, "ü" * 512)
        assert both.call("abort_is_final", 5) == (9, "final")


@pytest.mark.parametrize("depth", [0, 1, 2, 10, 40])
def test_an_abort_at_any_depth_undoes_what_was_written_above(both: Both, depth: int) -> None:
    with no_trace(both.db):
        assert both.call("abort_at_depth", 1, depth) == (101 + depth, "deep")
    both.compare()


def test_after_an_abort_nothing_is_done(both: Both) -> None:
    with no_trace(both.db):
        for what in range(12):
            assert both.call("go_on_after_abort", 5, what) == (8, "gone"), what
    assert both.hosts["every_type"].log == []
    both.compare()


def test_after_an_abort_questions_are_answered(both: Both) -> None:
    with no_trace(both.db):
        assert both.call("ask_after_abort") == (8, "gone")


def test_limits_of_a_transaction(language: str) -> None:
    limits = reifydb.ModuleLimits(rows_written_max=10, rows_scanned_max=20)
    with open_with(guest("every_type", language), limits=limits) as db:
        db.call("every_type.fill", 10, 1)
        db.call("every_type.fill", 10, 1)
        with no_trace(db):
            assert ending(db, "every_type.fill", 11, 1) == (-11, "limit_reached")
        db.call("every_type.fill", 1, 1)
        assert ending(db, "every_type.scan_bodies", 4096) == (-11, "limit_reached")


def test_limits_of_the_database(language: str) -> None:
    options: dict[str, Any] = {"memory_bytes_max": 24 << 20}
    with open_with(guest("every_type", language), **options) as db, no_trace(db):
        assert ending(db, "every_type.fill", 3000, 15_000) == (-12, "out_of_memory")
    with open_with(guest("every_type", language)) as db, no_trace(db):
        assert ending(db, "every_type.fill", 4600, 15_000) == (-13, "transaction_too_large")


# ------------------------------------------------------------------ projections


def test_a_narrow_binding_leaves_the_other_columns(both: Both) -> None:
    nulls = (None, 1, None, "keep", None, 2, None, ORE, {"keep": True})
    both.call("insert", *row_of("a", 1, 5, nulls))
    both.call("insert", *row_of("a", 2, 6))
    assert both.call("narrow.add", "a", 1, 4) == 9
    assert both.call("narrow.add_to_all", 10) == 2
    both.call("narrow.upsert", 20, 2, "a")
    assert both.call("narrow.get", "a", 1) == {"n": 19, "b": 1, "a": "a"}
    with no_trace(both.db):
        assert both.call("narrow.upsert", 20, 3, "a") == (-4, "not_null")
        assert both.call("narrow.add", "a", 1, INT_MAX) == (-100, "overflow")
    expected = list(as_given(row_of("a", 1, 5, nulls)))
    expected[3] = 19
    assert list(both.call("get", "a", 1).values()) == expected
    both.compare()


def test_a_narrow_insert_gives_columns_their_defaults(language: str) -> None:
    with reifydb.open(":memory:") as db:
        db.execute(
            "create table every_type (flag bool not null default true, a text, b int, "
            "t text not null default 'as ever', n int not null, x float, primary key (a, b))"
        )
        db.install(guest("narrow", language))
        db.call("narrow.upsert", 20, 3, "a")
        expected = {"flag": True, "a": "a", "b": 3, "t": "as ever", "n": 20, "x": None}
        assert db.get("every_type", ("a", 3)) == expected
        with db.transaction() as tx:
            tx.update("every_type", {"a": "a", "b": 3, "t": "other", "x": 0.5})
        assert db.call("narrow.add", "a", 3, 1) == 21
        assert db.get("every_type", ("a", 3)) == {**expected, "t": "other", "x": 0.5, "n": 21}
        db.verify()


# ------------------------------------------------------------------ histories


def drawn(dice: random.Random) -> tuple[str, tuple[Any, ...]]:
    """A call of any transition that a history may have."""

    def key() -> tuple[str, int]:
        return dice.choice(["", "a", "ab", "b\0", "ü"]), dice.randrange(-4, 8)

    def value(kind: str) -> Any:
        found = dice.choice(EXTREMES[kind])
        return found[:50] if kind in ("text", "bytes") else found

    def row() -> tuple[Any, ...]:
        fixed = [value(kind) for kind in KINDS]
        return (*key(), *fixed, *[value(k) if dice.random() < 0.5 else None for k in KINDS])

    def span() -> tuple[str, int, int]:
        a, first = key()
        return a, first, first + dice.randrange(6)

    def down() -> bool:
        return dice.random() < 0.5

    def item() -> tuple[Any, ...]:
        code = dice.choice([None, UUID(int=dice.randrange(30))])
        price, tags = dice.choice(PRICES), dice.choice([None, *EXTREMES["json"]])
        return dice.randrange(40), dice.choice(COLOURS), dice.randrange(3), price, code, tags

    calls: list[tuple[str, Any]] = [
        *[("every_type.put_item", item)] * 3,
        ("every_type.items_by", lambda: (dice.randrange(4), down(), dice.randrange(6))),
        ("every_type.items_of_colour", lambda: (dice.choice(COLOURS), down(), 0)),
        ("every_type.items_dearer", lambda: (dice.choice(PRICES) or Decimal(0), down())),
        ("every_type.recolour", lambda: (dice.choice(COLOURS), dice.choice(COLOURS))),
        *[(f"every_type.{name}", row) for name in ("insert", "update", "upsert", "upsert")],
        ("every_type.echo_row", row),
        ("every_type.get", key),
        ("every_type.find", key),
        ("every_type.delete", key),
        *[
            (f"every_type.{name}_many", lambda: (*span(), dice.choice(["", "tt", "x" * 40])))
            for name in ("insert", "update", "upsert")
        ],
        ("every_type.delete_many", span),
        ("every_type.scan_all", lambda: (down(), dice.randrange(9), 512)),
        ("every_type.scan_prefix", lambda: (key()[0], down(), dice.randrange(5))),
        *[
            (f"every_type.scan_{name}", lambda: (*key(), *key(), down()))
            for name in ("range", "between", "half_open")
        ],
        ("every_type.count", tuple),
        ("every_type.create_note", lambda: ("note", dice.choice([None, 1]))),
        ("every_type.insert_note", lambda: (dice.randrange(-5, 60), "note")),
        ("every_type.abort_after_write", lambda: (dice.randrange(60), 3, "no")),
        ("narrow.add", lambda: (*key(), dice.choice([1, INT_MAX]))),
        ("narrow.add_to_all", lambda: (dice.choice([0, 1]),)),
        ("narrow.upsert", lambda: (1, *key()[::-1])),
    ]
    name, arguments = dice.choice(calls)
    return name, arguments()


@pytest.mark.parametrize("seed", range(2))
def test_random_calls_have_the_same_answers(both: Both, seed: int) -> None:
    dice = random.Random(seed)
    for i in range(400):
        name, arguments = drawn(dice)
        both.call(name, *arguments)
        if i % 50 == 49:
            both.compare()


@pytest.mark.parametrize("seed", range(2, 4))
def test_guests_of_all_languages_leave_the_same_bytes(seed: int) -> None:
    """Of each call: status, code, lsn and the bytes of its result, and all rows in the end."""
    found = []
    for language in LANGUAGES:
        dice = random.Random(seed)
        with open_with(guest("every_type", language), guest("narrow", language)) as db:
            outcomes = run_batch(db, [drawn(dice) for _ in range(2000)])
            rows = [list(db.scan(name)) for name in tables()]
            found.append((outcomes, rows))
    assert all(other == found[0] for other in found)


def test_results_are_the_bytes_of_the_pages(language: str) -> None:
    columns = tables()["every_type"].columns
    with open_with(guest("every_type", language)) as db:
        for nulls in (NULLS, (False, INT_MIN, -0.25, "", b"\xff", 0, Decimal(-1), EMPTY, "ü")):
            row = row_of("zoë", 1, nulls=nulls)
            (outcome,) = run_batch(db, [("every_type.echo_row", row)])
            assert outcome.payload == fake_host.encode(columns, as_given(row))
