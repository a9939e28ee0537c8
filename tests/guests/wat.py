"""Guests in WebAssembly text: what Zig cannot express, and modules that must be refused.

Each is the body of a module. `guest` makes bytes of one, with a manifest that names its
transitions; all of them bind the table `victim (id int primary key, n int not null)` as relation 0.
Transitions with the result `int` answer through `$answer`.
"""

from __future__ import annotations

import json
from dataclasses import dataclass

import wasmtime

SCHEMA = "create table victim (id int primary key, n int not null);"


@dataclass(frozen=True)
class Guest:
    """A module in text.

    Attributes:
        body: What stands between the module's parentheses, behind `PRELUDE`.
        transitions: Exported transitions without parameters and result.
        queries: Exported queries without parameters, whose result is an `int`.
        prelude: Imports, memory and functions that most share.
    """

    body: str
    transitions: tuple[str, ...] = ()
    queries: tuple[str, ...] = ()
    prelude: str | None = None


PRELUDE = r"""
(import "reifydb.v1" "upsert" (func $upsert (param i32 i32 i32) (result i32)))
(import "reifydb.v1" "result" (func $result (param i32 i32) (result i32)))
(memory (export "memory") 1)
(data (i32.const 0) "\20\00\00\00\02\00\00\00"
  "\01\00\00\00\00\00\00\00" "\02\00\00\00\00\00\00\00")
;; puts the row (1, 2) into victim
(func $write (drop (call $upsert (i32.const 0) (i32.const 0) (i32.const 32))))
;; sets the result to an int and succeeds; uses the bytes 64 to 87
(func $answer (param i64) (result i32)
  (i64.store (i32.const 64) (i64.const 0x100000018))
  (i64.store (i32.const 72) (local.get 0))
  (i64.store (i32.const 80) (i64.const 0))
  (call $result (i32.const 64) (i32.const 24)))
"""

START = Guest(
    """
    (global $g (mut i32) (i32.const 1))
    (start $begin)
    (func $begin
      (global.set $g (i32.mul (global.get $g) (i32.const 10)))
      (i32.store (i32.const 128) (i32.add (i32.load (i32.const 128)) (i32.const 7))))
    (func (export "dirty_then_trap") (result i32)
      (call $write)
      (global.set $g (i32.const 99))
      (i32.store (i32.const 128) (i32.const 99))
      unreachable)
    (func (export "look") (result i32)
      (call $answer (i64.extend_i32_u (i32.add (global.get $g) (i32.load (i32.const 128))))))
    """,
    ("dirty_then_trap",),
    ("look",),
)
"""A start function that changes a global and memory: `look` answers 17 in every fresh instance."""

GLOBALS = Guest(
    """
    (global $a (mut i32) (i32.const 1))
    (global $b (mut i64) (i64.const 2))
    (global $c (mut f32) (f32.const 3))
    (global $d (mut f64) (f64.const 4))
    (global $e (mut funcref) (ref.func $one))
    (elem declare func $one)
    (func $one)
    (func (export "dirty_then_trap") (result i32)
      (call $write)
      (global.set $a (i32.const 10)) (global.set $b (i64.const 20))
      (global.set $c (f32.const nan:0x200001)) (global.set $d (f64.const 40))
      (global.set $e (ref.null func))
      unreachable)
    (func (export "look") (result i32)
      (call $answer (i64.add
        (i64.add (i64.extend_i32_u (global.get $a)) (global.get $b))
        (i64.add
          (i64.add (i64.trunc_sat_f32_u (global.get $c)) (i64.trunc_sat_f64_u (global.get $d)))
          (i64.extend_i32_u (ref.is_null (global.get $e)))))))
    """,
    ("dirty_then_trap",),
    ("look",),
)
"""Mutable globals of every type, none exported: `look` answers 10 in a fresh instance."""

TABLE = Guest(
    """
    (type $number (func (result i32)))
    (table $t 4 100 funcref)
    (elem (table $t) (i32.const 1) func $five $six)
    (func $five (result i32) (i32.const 5))
    (func $six (result i32) (i32.const 6))
    (func (export "change_then_trap") (result i32)
      (call $write)
      (table.set $t (i32.const 1) (ref.func $six))
      (table.set $t (i32.const 2) (ref.null func))
      unreachable)
    (func (export "grow_then_trap") (result i32)
      (call $write)
      (drop (table.grow $t (ref.func $six) (i32.const 3)))
      unreachable)
    (func (export "grow") (result i32)
      (call $write)
      (drop (table.grow $t (ref.func $six) (i32.const 3)))
      (i32.const 0))
    (func (export "grow_beyond") (result i32)
      (call $write)
      (i32.add (i32.const 1) (table.grow $t (ref.null func) (i32.const 1000000))))
    (func (export "call_null") (result i32)
      (call $write)
      (call_indirect $t (type $number) (i32.const 0)))
    (func (export "size") (result i32) (call $answer (i64.extend_i32_u (table.size $t))))
    (func (export "look") (result i32)
      (call $answer (i64.extend_i32_u (i32.add
        (i32.mul (i32.const 10) (call_indirect $t (type $number) (i32.const 1)))
        (call_indirect $t (type $number) (i32.const 2))))))
    """,
    ("change_then_trap", "grow_then_trap", "grow", "grow_beyond", "call_null"),
    ("size", "look"),
)
"""A table that is changed and grows: a fresh instance answers `size` 4 and `look` 56.

`grow_beyond` succeeds when growing beyond the maximum is refused."""

PASSIVE = Guest(
    r"""
    (type $number (func (result i32)))
    (table $t 2 funcref)
    (data $d "\2a\00\00\00")
    (elem $e func $nine)
    (func $nine (result i32) (i32.const 9))
    (func (export "drop_then_trap") (result i32)
      (call $write)
      (data.drop $d) (elem.drop $e)
      unreachable)
    (func (export "look") (result i32)
      (memory.init $d (i32.const 256) (i32.const 0) (i32.const 4))
      (table.init $t $e (i32.const 0) (i32.const 0) (i32.const 1))
      (call $answer (i64.extend_i32_u (i32.add
        (i32.load (i32.const 256)) (call_indirect $t (type $number) (i32.const 0))))))
    """,
    ("drop_then_trap",),
    ("look",),
)
"""Passive segments: once dropped they are gone for this instance; a fresh one answers `look` 51."""

NAN = Guest(
    """
    (global $zero (mut f64) (f64.const 0))
    (func (export "nan_bits") (result i32)
      (call $answer (i64.reinterpret_f64 (f64.div (global.get $zero) (global.get $zero)))))
    """,
    (),
    ("nan_bits",),
)
"""The bits of a computed NaN: 0x7ff8000000000000 on every machine."""

MULTI_VALUE = Guest(
    """
    (func $two (result i32 i32) (i32.const 3) (i32.const 4))
    (func (export "look") (result i32)
      (memory.fill (i32.const 512) (i32.const 1) (i32.const 8))
      (memory.copy (i32.const 520) (i32.const 512) (i32.const 8))
      (call $answer (i64.add
        (i64.extend_i32_s (i32.extend8_s (i32.const 0xff)))
        (i64.extend_i32_u (i32.add (call $two))))))
    """,
    (),
    ("look",),
)
"""Everything beyond the first version of WebAssembly that a guest may use: `look` answers 6."""

START_TRAPS = Guest("(start $begin) (func $begin unreachable)")
"""Cannot be instantiated: to be refused when it is installed."""

START_LOOPS = Guest("(start $begin) (func $begin (loop $l (br $l)))")
"""Needs a deadline when it is instantiated."""

START_WRITES = Guest(
    '(start $write) (func (export "nothing") (result i32) (i32.const 0))', ("nothing",)
)
"""Calls the host while no transaction is open."""


def guest(text: Guest, name: str = "guest") -> bytes:
    """The module's bytes, with its manifest in the custom section `reifydb.manifest`."""
    body = (PRELUDE if text.prelude is None else text.prelude) + text.body
    columns = [{"name": "id", "type": "int"}, {"name": "n", "type": "int"}]
    transitions = [{"name": t, "params": [], "result": None} for t in text.transitions] + [
        {"name": q, "params": [], "result": {"type": "int"}, "query": True} for q in text.queries
    ]
    manifest = {
        "abi": 1,
        "name": name,
        "schema": SCHEMA,
        "relations": [{"name": "victim", "columns": columns}],
        "transitions": transitions,
    }
    return with_manifest(bytes(wasmtime.wat2wasm(f"(module {body})")), manifest)


def with_manifest(module: bytes, manifest: object) -> bytes:
    """The module with this manifest as its last section."""
    section = b"reifydb.manifest"
    content = _leb(len(section)) + section + json.dumps(manifest).encode()
    return module + b"\0" + _leb(len(content)) + content


def _leb(value: int) -> bytes:
    out = bytearray()
    while value >= 128:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes(out) + bytes([value])
