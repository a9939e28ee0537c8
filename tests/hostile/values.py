"""Values that a guest hands over and no reader must meet: JSON, uuids and decimals that are none.

The guest puts whatever bytes or number it is given into one column of `rich`, without looking.
"""

from __future__ import annotations

import wasmtime

from tests.guests.wat import with_manifest
from tests.hostile.entry import Hostile, call
from tests.hostile.host_calls import imports

NESTING_MAX = 64
ROW_AT, ARGS_AT = 0x200000, 1024
TYPES = {"d": "decimal(5,2)", "u": "uuid", "j": "json"}

INVALID = "aborted: -5"
TOO_LONG = "aborted: -9"
NO_NUMBER = "aborted: -6"

JSON: dict[str, tuple[bytes, str]] = {
    "nothing": (b"", INVALID),
    "white space": (b"  \n", INVALID),
    "a word": (b"nul", INVALID),
    "two values": (b"1 2", INVALID),
    "a comma too many": (b"[1,]", INVALID),
    "no end": (b'{"a": [1', INVALID),
    "no end of a string": (b'"abc', INVALID),
    "an escape cut off": (b'"\\u12', INVALID),
    "an unknown escape": (b'"\\x41"', INVALID),
    "a raw newline in a string": (b'"a\nb"', INVALID),
    "bytes that are no UTF-8": (b'"\xff"', INVALID),
    "overlong UTF-8": (b'"\xc0\x80"', INVALID),
    "half a surrogate pair in UTF-8": (b'"\xed\xa0\x80"', INVALID),
    "half a surrogate pair in escapes": (b'"\\ud800"', INVALID),
    "the other half alone": (b'"\\udc00\\ud800"', INVALID),
    "a key twice": (b'{"a": 1, "b": 2, "a": 3}', INVALID),
    "a key twice, in other escapes": (b'{"a": 1, "\\u0061": 2}', INVALID),
    "10,000 keys, the first once more": (
        b"{" + b",".join(b'"k%d":1' % i for i in range(10_000)) + b',"k0":2}',
        INVALID,
    ),
    "a key that is no string": (b"{1: 2}", INVALID),
    "NaN": (b"NaN", INVALID),
    "infinity": (b"-Infinity", INVALID),
    "beyond a double": (b"1e999", NO_NUMBER),
    "a leading zero": (b"01", INVALID),
    "a bare minus": (b"-", INVALID),
    "more digits than there may be": (b"1" * 1001, NO_NUMBER),
    "an exponent without end": (b"1e" + b"9" * 500_000, NO_NUMBER),
    "nested one level too deep": (b"[" * 65 + b"]" * 65, INVALID),
    "nested half a million deep": (b"[" * 500_000, INVALID),
    "objects nested 100,000 deep": (b'{"a":' * 100_000, INVALID),
    "more than a mebibyte": (b'"' + b"x" * (1 << 20) + b'"', TOO_LONG),
    "a mebibyte that grows by escaping": (b'"' + b"\\u0001" * 170_000 + b"\x01" + b'"', INVALID),
}
"""What is no JSON, or more than there may be, and the code that it is refused with."""


def putter(column: str) -> bytes:
    """The guest that writes one column."""
    value = f"""(local.set $length (i32.load (i32.const {ARGS_AT + 12})))
      (i32.store (i32.const {ROW_AT}) (i32.and (i32.add (local.get $length) (i32.const 32))
        (i32.const -8)))
      (i64.store (i32.const {ROW_AT + 16}) (i64.or (i64.const 25)
        (i64.shl (i64.extend_i32_u (local.get $length)) (i64.const 32))))
      (memory.copy (i32.const {ROW_AT + 25})
        (i32.add (i32.const {ARGS_AT}) (i32.load (i32.const {ARGS_AT + 8}))) (local.get $length))"""
    kind = "bytes"
    if column == "d":
        kind = "int"
        value = f"""(i32.store (i32.const {ROW_AT}) (i32.const 32))
          (i64.store (i32.const {ROW_AT + 16}) (i64.load (i32.const {ARGS_AT + 8})))"""
    text = f"""(module {imports("args", "upsert")} (memory 64)
      (func (export "put") (result i32) (local $length i32)
        (drop (call $args (i32.const {ARGS_AT}) (i32.const 2000000)))
        (memory.fill (i32.const {ROW_AT}) (i32.const 0) (i32.const 2000000))
        {value}
        (i32.store (i32.const {ROW_AT + 4}) (i32.const 2))
        (i64.store (i32.const {ROW_AT + 8}) (i64.const 5))
        (call $upsert (i32.const 0) (i32.const {ROW_AT}) (i32.load (i32.const {ROW_AT})))))"""
    transition = {"name": "put", "params": [{"name": "value", "type": kind}]}
    return _module("putter", text, column, transition)


def json_diver() -> bytes:
    """Recurses until the stack ends; at every depth it writes JSON that is nested to the limit."""
    value = "[" * NESTING_MAX + "]" * NESTING_MAX
    length = 25 + len(value) + 7 & ~7
    text = f"""(module {imports("args", "upsert")} (memory 1)
      (data (i32.const {2048 + 25}) "{value}")
      (func $down (param $depth i64) (result i64)
        (i64.store (i32.const 2048) (i64.const {2 << 32 | length}))
        (i64.store (i32.const 2056) (local.get $depth))
        (i64.store (i32.const 2064) (i64.const {len(value) << 32 | 25}))
        (drop (call $upsert (i32.const 0) (i32.const 2048) (i32.const {length})))
        (i64.add (call $down (i64.add (local.get $depth) (i64.const 1))) (local.get $depth)))
      (func $padding (param $left i64) (result i64) (local $kept i64)
        (local.set $kept (i64.load (i32.const {ARGS_AT})))
        (if (result i64) (i64.eqz (local.get $left))
          (then (i64.add (call $down (i64.const 1000000)) (local.get $kept)))
          (else (i64.add (call $padding (i64.sub (local.get $left) (i64.const 1)))
            (i64.add (local.get $left) (local.get $kept))))))
      (func (export "dive") (result i32)
        (drop (call $args (i32.const {ARGS_AT}) (i32.const 256)))
        (drop (call $padding (i64.load (i32.const {ARGS_AT + 8}))))
        (i32.const 0)))"""
    transition = {"name": "dive", "params": [{"name": "phase", "type": "int"}]}
    return _module("diver", text, "j", transition)


def _module(name: str, text: str, column: str, transition: dict[str, object]) -> bytes:
    columns = [
        {"name": "id", "type": "int"},
        {"name": column, "type": TYPES[column], "nullable": True},
    ]
    manifest = {
        "abi": 1,
        "name": name,
        "relations": [{"name": "rich", "columns": columns}],
        "transitions": [transition],
    }
    return with_manifest(bytes(wasmtime.wat2wasm(text)), manifest)


def _entry(does: str, column: str, value: object, ends: str) -> Hostile:
    return Hostile(does, lambda: putter(column), calls=(call("put", value, ends=ends),))


VALUES = [
    *(_entry(f"JSON: {what}", "j", value, ends) for what, (value, ends) in JSON.items()),
    *(
        _entry(f"a uuid of {length} bytes", "u", bytes(length), INVALID)
        for length in (0, 1, 15, 17, 32, 1_000_000)
    ),
    *(
        _entry(f"a decimal of {value:,} hundredths", "d", value, NO_NUMBER)
        for value in (100_000, -100_000, 2**63 - 1, -(2**63))
    ),
]
"""All of them."""
