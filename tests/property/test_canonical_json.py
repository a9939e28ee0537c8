"""The kernel's canonical JSON against another implementation, on texts of every kind.

A guest hands its argument back as its result and stores it, so each text goes through the kernel on
all three ways: arguments, results, rows.
"""

from __future__ import annotations

import json
import random
import struct
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest
import wasmtime
from hypothesis import given, settings
from hypothesis import strategies as st

import reifydb
from reifydb import config
from reifydb.database.state import ALL
from tests.guests import wat
from tests.guests.databases import endings

GUEST = r"""(module
  (import "reifydb.v1" "args" (func $args (param i32 i32) (result i32)))
  (import "reifydb.v1" "upsert" (func $upsert (param i32 i32 i32) (result i32)))
  (import "reifydb.v1" "result" (func $result (param i32 i32) (result i32)))
  (memory (export "memory") 64)
  (func (export "echo") (result i32)
    (local $n i32)
    (local.set $n (call $args (i32.const 0) (i32.const 2097152)))
    (call $result (i32.const 0) (local.get $n)))
  ;; Stores what it got, as it got it but for a copy of its bytes made loose: the row's text is
  ;; replaced by the one behind it. Here the argument is bytes, so the kernel has not seen JSON yet.
  (func (export "store") (result i32)
    (drop (call $args (i32.const 0) (i32.const 2097152)))
    (i32.store (i32.const 4) (i32.const 1))
    (call $upsert (i32.const 0) (i32.const 0) (i32.load (i32.const 0)))
    (if (result i32) (i32.eq (i32.const 1)) (then (i32.const 0)) (else (i32.const 7)))))
"""
MANIFEST: dict[str, Any] = {
    "abi": 1,
    "name": "j",
    "schema": "create table t (j json primary key);",
    "relations": [{"name": "t", "columns": [{"name": "j", "type": "json"}]}],
    "transitions": [
        {
            "name": "echo",
            "params": [{"name": "j", "type": "json"}],
            "result": {"type": "json"},
            "query": True,
        },
        {"name": "store", "params": [{"name": "j", "type": "bytes"}]},
    ],
}


@pytest.fixture(scope="module")
def db() -> Iterator[reifydb.Database]:
    with reifydb.open(":memory:") as db:
        module = wat.with_manifest(bytes(wasmtime.wat2wasm(GUEST)), MANIFEST)
        limits = reifydb.ModuleLimits(result_bytes_max=2 * config.json_bytes_max)
        db.install(module, apply_schema=True, limits=limits)
        yield db


def row(text: bytes) -> bytes:
    """A row of one column with a tail."""
    size = (17 + len(text) + 7) & ~7
    head = struct.pack("<IHHIIB", size, 1, 0, 17, len(text), 0)
    return (head + text).ljust(size, b"\0")


def through_the_kernel(db: reifydb.Database, text: bytes) -> bytes | None:
    """The canonical text; None when the kernel refuses it. All ways agree."""
    [echo] = endings(db.call_packed("j.echo", row(text)))
    if len(text) < config.key_bytes_max // 8:
        stored = through_the_table(db, text)
        assert stored == ([echo.payload] if echo.status == 0 else [])
    if echo.status != 0:
        assert echo.status == 3
        return None
    start, length = struct.unpack_from("<II", echo.payload, 8)
    return echo.payload[start : start + length]


def through_the_table(db: reifydb.Database, text: bytes) -> list[bytes]:
    """The row that a guest stored, if it could; the table is empty again afterwards."""
    [store] = endings(db.call_packed("j.store", row(text)))
    table = db._state.catalog.get("t")
    stored = db._state.scan_all(table, ALL)
    assert (store.status, store.code) == ((0, 0) if stored else (1, 7))
    with db.transaction():  # by its bytes: in Python a number may have fewer digits
        for key in stored:
            db._state.put(key)
            assert db._kernel.call["delete"](table.number, len(key)) == 1
    return stored


# ------------------------------------------------------------------ the reference


class Refused(Exception):
    pass


class Number(str):
    """A number that is no integer, as it was written."""


def reference(text: bytes) -> bytes:
    """Canonical JSON by way of Python's parser; docs/formats.md says what it is."""
    if len(text) > config.json_bytes_max:
        raise Refused
    try:
        value = json.loads(
            text.decode(),
            object_pairs_hook=_members,
            parse_float=Number,
            parse_int=lambda digits: Number(digits) if len(digits) > 4000 else int(digits),
            parse_constant=_refuse,
        )
    except (ValueError, RecursionError):
        raise Refused from None
    made = _write(value, 0).encode("utf-8", "surrogatepass")
    try:
        made.decode()
    except UnicodeDecodeError:
        raise Refused from None
    if len(made) > config.json_bytes_max:
        raise Refused
    return made


def _members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len(dict(pairs)) < len(pairs):
        raise Refused
    return dict(pairs)


def _refuse(text: str) -> None:
    raise Refused


def _write(value: Any, depth: int) -> str:
    if isinstance(value, dict | list) and depth == config.json_nesting_max:
        raise Refused
    if isinstance(value, dict):
        members = sorted(value.items(), key=lambda item: item[0].encode("utf-8", "surrogatepass"))
        inner = ",".join(f"{_write(k, 0)}:{_write(v, depth + 1)}" for k, v in members)
        return "{" + inner + "}"
    if isinstance(value, list):
        return "[" + ",".join(_write(v, depth + 1) for v in value) + "]"
    if isinstance(value, Number):
        return _number(Decimal(value))
    if isinstance(value, int) and not isinstance(value, bool):
        _in_range(Decimal(value))
        return str(value)
    return json.dumps(value, ensure_ascii=False)


def _in_range(number: Decimal) -> None:
    if number and not -324 <= number.adjusted() <= 308:
        raise Refused
    if number and abs(number) >= Decimal("1.7976931348623158e308"):
        raise Refused


def _number(number: Decimal) -> str:
    _in_range(number)
    if not number:
        return "0.0"
    sign, digits, exponent = number.as_tuple()
    assert isinstance(exponent, int)
    shown = "".join(map(str, digits)).lstrip("0")
    power = len(shown) + exponent
    shown = shown.rstrip("0")
    if len(shown) > config.json_number_digits_max:
        raise Refused
    if -4 < power <= 0:
        text = "0." + "0" * -power + shown
    elif 0 < power <= 16:
        text = shown[:power].ljust(power, "0") + "." + (shown[power:] or "0")
    else:
        point = "." + shown[1:] if shown[1:] else ""
        text = f"{shown[0]}{point}e{'-' if power < 1 else '+'}{abs(power - 1):02d}"
    return "-" * sign + text


def check(db: reifydb.Database, text: bytes) -> bool:
    """Whether it was accepted; fails when kernel and reference disagree."""
    try:
        expected = reference(text)
    except Refused:
        assert through_the_kernel(db, text) is None, text
        return False
    except UnicodeDecodeError:
        assert through_the_kernel(db, text) is None, text
        return False
    made = through_the_kernel(db, text)
    assert made == expected, text
    assert through_the_kernel(db, expected) == expected
    return True


# ------------------------------------------------------------------ texts

scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"]))
)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=12,
)


@given(values, st.booleans(), st.sampled_from([None, 1]), st.randoms(use_true_random=False))
@settings(max_examples=200)
def test_any_value_however_written(
    db: reifydb.Database, value: object, ascii_only: bool, indent: int | None, rng: random.Random
) -> None:
    def shuffled(one: object) -> object:
        if isinstance(one, dict):
            items = [(k, shuffled(v)) for k, v in one.items()]
            rng.shuffle(items)
            return dict(items)
        return [shuffled(v) for v in one] if isinstance(one, list) else one

    try:
        text = json.dumps(shuffled(value), ensure_ascii=ascii_only, indent=indent).encode()
    except UnicodeEncodeError:
        return
    check(db, text)


PIECES = (
    b'{ } [ ] , : " "a" "b" "\\u0061" "\\ud83e\\udd8a" "\\ud800" "\\n" "\\/" "\xc3\xa9" "\x7f" '
    b"true "
    b"false null 0 -0 1 -1 1.0 -0.0 1e2 1E+2 12.50 1e-5 0.0001 1e16 123456789012345678901 1e308 "
    b"1e309 1.7976931348623157e308 1.7976931348623159e308 4.9e-324 1e-400 0.1000000000000000055 01 "
    b"+1 .5 1. - 1e 1e+ NaN Infinity tru \\ \xff \xc3 \x00 \x1f ' 0x1 // , ,"
).split(b" ")


def test_texts_made_of_pieces(db: reifydb.Database) -> None:
    """Right and wrong in every way: mostly wrong, so a structure is drawn around the pieces."""
    rng = random.Random(5)

    def draw(depth: int) -> bytes:
        space = rng.choice((b"", b"", b"", b" ", b"\n", b"\t \r"))
        kind = rng.random()
        if depth == 0 or kind < 0.4:
            return space + rng.choice(PIECES) + space
        parts = [draw(depth - 1) for _ in range(rng.choice((0, 1, 2, 3)))]
        if kind < 0.7:
            return b"[" + b",".join(parts) + space + b"]"
        keys = [rng.choice((b'"a"', b'"b"', b'"\\u0062"', b'""', b'"z\xc3\xa9"')) for _ in parts]
        return b"{" + b",".join(k + b":" + v for k, v in zip(keys, parts, strict=True)) + b"}"

    accepted = sum(check(db, draw(3)) for _ in range(3000))
    assert 300 < accepted < 2700


def test_damaged_texts(db: reifydb.Database) -> None:
    rng = random.Random(6)
    text = b'{"a": [1, -2.50, 1e5, "x\\u00e9\\n\\ud83e\\udd8a"], "\xc3\xa9": {"b": null, "": true}}'
    for cut in range(len(text)):
        check(db, text[:cut])
        check(db, text[:cut] + text[cut + 1 :])
    for _ in range(1500):
        damaged = bytearray(text)
        for _ in range(rng.choice((1, 1, 2))):
            damaged[rng.randrange(len(damaged))] = rng.choice(b'{}[],:"\\u0019eE+-. \n\x00\x7f\xff')
        check(db, bytes(damaged))


def test_numbers_of_all_sizes(db: reifydb.Database) -> None:
    rng = random.Random(7)
    for _ in range(1500):
        digits = "".join(rng.choices("0123456789", k=rng.choice((1, 2, 5, 17, 25))))
        whole = digits.lstrip("0") or "0"
        fraction = "." + "".join(rng.choices("0059", k=rng.randint(1, 6)))
        power = rng.choice((0, 1, 4, 5, 15, 16, 17, 290, 308, 310, 325))
        exponent = f"{rng.choice('eE')}{rng.choice(('', '+', '-'))}{power}"
        text = (
            rng.choice(("", "-")) + whole + rng.choice(("", fraction)) + rng.choice(("", exponent))
        )
        check(db, text.encode())


def test_limits(db: reifydb.Database) -> None:
    nesting, digits, size = (
        config.json_nesting_max,
        config.json_number_digits_max,
        config.json_bytes_max,
    )
    for depth, fits in ((nesting, True), (nesting + 1, False)):
        for opening, closing in ((b"[", b"]"), (b'{"a":', b"}")):
            assert check(db, opening * depth + b"1" + closing * depth) is fits or opening == b"["
    assert check(db, b"[" * nesting + b"]" * nesting)
    assert not check(db, b"[" * (nesting + 1) + b"]" * (nesting + 1))
    assert check(db, b"0." + b"1" * digits)
    assert not check(db, b"0." + b"1" * (digits + 1))
    assert check(db, b"9" * 308)
    assert not check(db, b"9" * 310)
    assert check(db, b'"' + b"x" * (size - 2) + b'"')
    assert not check(db, b'"' + b"x" * (size - 1) + b'"')
    grows = b"[" + b",".join([b"1E15"] * (size // 6)) + b"]"
    assert not check(db, grows)
    members = b"{" + b",".join(b'"%06d":0' % ((i * 7919) % 60_000) for i in range(60_000)) + b"}"
    assert check(db, members)
