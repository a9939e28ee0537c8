"""Modules for the sandbox's tests: from text where a text can say it, else byte by byte."""

from __future__ import annotations

import json

import wasmtime

from reifydb.sandbox.binary import MANIFEST_SECTION, name_bytes, set_custom_section, uint
from reifydb.sandbox.reader import MAGIC

BANK = """(module $bank
  (import "reifydb.v1" "args" (func $args (param i32 i32) (result i32)))
  (import "reifydb.v1" "now" (func $now (result i64)))
  (memory 1)
  (table 2 funcref)
  (global $stack (mut i32) (i32.const 65536))
  (global $size i32 (i32.const 7))
  (data (i32.const 8) "abc")
  (data (i32.const 20000) "xyz")
  (elem (i32.const 0) func $first)
  (func $first (i32.store (i32.const 100) (i32.const 1)))
  (start $first)
  (func (export "transfer") (result i32)
    (local i64 f64)
    (block $out (br_if $out (i32.const 0)) (loop $again (br_if $again (i32.const 0))))
    (drop (i64.const -9)) (drop (f32.const 1.5)) (drop (f64.const 2.5))
    (call_indirect (i32.const 0))
    (if (i32.const 1) (then (global.set $stack (i32.const 5))) (else (nop)))
    (memory.fill (i32.const 0) (i32.const 0) (i32.const 1))
    (drop (call $args (i32.const 0) (i32.const 0)))
    (block $a (block $b (br_table $a $b (i32.const 0))))
    (i32.const 0)))"""

MANIFEST = {"abi": 1, "name": "bank", "transitions": [{"name": "transfer"}]}
EMPTY = {"abi": 1, "name": "bank"}


def wat(text: str) -> bytes:
    return bytes(wasmtime.wat2wasm(text))


def with_manifest(wasm: bytes, manifest: object = EMPTY) -> bytes:
    return set_custom_section(wasm, MANIFEST_SECTION, json.dumps(manifest).encode())


def guest(fields: str, manifest: object = EMPTY, memory: str = "(memory 1)") -> bytes:
    """A guest with these fields beside its memory."""
    return with_manifest(wat(f"(module {memory} {fields})"), manifest)


def bank() -> bytes:
    return with_manifest(wat(BANK), MANIFEST)


def section(number: int, body: bytes) -> bytes:
    return bytes([number]) + uint(len(body)) + body


def vector(*items: bytes) -> bytes:
    return uint(len(items)) + b"".join(items)


def module(*sections: bytes, manifest: object = EMPTY) -> bytes:
    """A module of raw sections; the manifest stands in front, where nothing can hide it."""
    custom = name_bytes(MANIFEST_SECTION) + json.dumps(manifest).encode()
    return MAGIC + section(0, custom) + b"".join(sections)


MEMORY = section(5, vector(b"\0\1"))
NO_PARAMS = section(1, vector(b"\x60\0\0"))


def functions(*bodies: bytes) -> tuple[bytes, bytes, bytes, bytes]:
    """Sections of functions of type () -> () and a memory."""
    code = [uint(len(body)) + body for body in bodies]
    return (
        NO_PARAMS,
        section(3, vector(*[b"\0"] * len(bodies))),
        MEMORY,
        section(10, vector(*code)),
    )


def body(code: bytes, *, i64_locals: int = 0) -> bytes:
    declared = vector(uint(i64_locals) + b"\x7e") if i64_locals else b"\0"
    return declared + code + b"\x0b"


def bomb(count: int = 16, locals_: int = 900, bytes_: int = 100_000) -> bytes:
    """Within all limits of its shape, and far too hard to compile: locals times loops."""
    step = b"\x03\x40\x20\0\x50\x0d\0\x42\1\x20\0\x7c\x21\0\x0b"  # loop … local 0 changes … end
    return module(*functions(*[body(step * (bytes_ // len(step)), i64_locals=locals_)] * count))
