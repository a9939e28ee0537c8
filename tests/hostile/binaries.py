"""Binaries that must be refused when they are installed, and why: the sandbox's first line.

Most are valid WebAssembly that guests may not use; the others are not even that. Each has its one
mistake, and every one of them is found by the inspection, before wasmtime sees a byte.
"""

from __future__ import annotations

import re

from reifydb.config import ModuleLimits
from reifydb.sandbox.binary import name_bytes
from reifydb.sandbox.reader import MAGIC
from tests.hostile.entry import Hostile
from tests.unit.sandbox.samples import (
    MEMORY,
    NO_PARAMS,
    body,
    functions,
    guest,
    module,
    section,
    vector,
    wat,
    with_manifest,
)

ONE_TRANSITION = {"abi": 1, "name": "m", "transitions": [{"name": "t"}]}

FROM_TEXT = {
    "an import from elsewhere": (
        '(import "env" "args" (func (param i32 i32) (result i32)))',
        "host functions are in module 'reifydb.v1'",
    ),
    "WASI": (
        '(import "wasi_snapshot_preview1" "fd_write" (func))',
        "'wasi_snapshot_preview1' 'fd_write' is not offered",
    ),
    "an unknown host function": (
        '(import "reifydb.v1" "insrt" (func (param i32 i32 i32) (result i32)))',
        "did you mean 'insert'?",
    ),
    "a host function of another type": (
        '(import "reifydb.v1" "now" (func (result i32)))',
        "has type () -> i32; its type is () -> i64",
    ),
    "an import that appears twice": (
        '(import "reifydb.v1" "now" (func (result i64)))' * 2,
        "appears twice",
    ),
    "an imported memory": ('(import "reifydb.v1" "m" (memory 1))', "is a memory; only functions"),
    "an imported table": ('(import "reifydb.v1" "t" (table 1 funcref))', "is a table"),
    "an imported global": ('(import "reifydb.v1" "g" (global i32))', "is a global"),
    "an imported mutable global": ('(import "reifydb.v1" "g" (global (mut i64)))', "is a global"),
    "an imported global of a reference": (
        '(import "reifydb.v1" "g" (global externref))',
        "is a global",
    ),
    "an imported tag": ('(import "reifydb.v1" "g" (tag (param i32)))', "is a tag"),
    "v128 in an exported signature": (
        '(func (export "f") (param v128))',
        "v128 (SIMD) is not allowed",
    ),
    "v128 in an imported signature": (
        '(import "reifydb.v1" "now" (func (result v128)))',
        "v128 (SIMD) is not allowed",
    ),
    "a typed reference in a signature": (
        '(type $f (func)) (func (export "f") (param (ref null $f)))',
        "a typed reference is not allowed",
    ),
    "a non-null function reference": (
        '(func (export "f") (param (ref func)))',
        "a typed reference is not allowed",
    ),
    "externref in a signature": ('(func (export "f") (param externref))', "externref is not"),
    "anyref in a signature": ('(func (export "f") (param anyref))', "of the GC proposal"),
    "exnref in a signature": ('(func (export "f") (param exnref))', "exnref (exceptions)"),
    "funcref in an exported signature": (
        '(func (export "f") (param funcref))',
        "only i32, i64, f32, f64 can cross",
    ),
    "a funcref result": (
        '(func (export "f") (result funcref) (ref.null func))',
        "has type () -> funcref",
    ),
    "a struct": ("(type (struct (field i32)))", "a struct (GC) is not allowed"),
    "an array": ("(type (array i32))", "an array (GC) is not allowed"),
    "a recursive group": ("(rec (type (func)) (type (func)))", "a recursive group (GC)"),
    "SIMD in a body": ("(func (drop (v128.const i32x4 0 0 0 0)))", "belongs to SIMD"),
    "threads in a body": ("(func (atomic.fence))", "belongs to threads"),
    "GC in a body": ("(func (drop (ref.i31 (i32.const 1))))", "belongs to GC"),
    "a tail call": ("(func $f (return_call $f))", "belongs to tail calls"),
    "an indirect tail call": (
        "(table 1 funcref) (func (return_call_indirect (i32.const 0)))",
        "belongs to tail calls",
    ),
    "exceptions": ("(tag $t) (func (throw $t))", "belongs to exceptions"),
    "a tag": ('(tag (export "t"))', "exception tags; use the host function abort"),
    "try_table": ("(func (try_table))", "belongs to exceptions"),
    "wide arithmetic": (
        "(func (param i64) (result i64 i64) (i64.mul_wide_s (local.get 0) (local.get 0)))",
        "0xfc 0x15 is unknown or not allowed",
    ),
    "a v128 local": ("(func (local v128))", "v128 (SIMD) is not allowed"),
    "a v128 block": ("(func (drop (block (result v128) (unreachable))))", "v128 (SIMD)"),
    "a second memory": ("(memory 1)", "it has 2 memories; exactly one is needed"),
    "a reserved export": ('(func (export "state:x"))', "'state:' is reserved"),
    "a reserved export of the memory": ('(export "state:memory" (memory 0))', "is reserved"),
    "a table of externref": ("(table 1 externref)", "externref is not allowed"),
    "a table with an initial value": (
        "(table 1 funcref (ref.null func))",
        "table with an initial value",
    ),
    "a table that is too large": (
        "(table 10001 funcref)",
        "10,001 elements in table 0 at first; table_elements_max is 10,000",
    ),
    "a table of 64 bits": ("(table i64 1 funcref)", "indexed by 64 bits"),
    "too many tables": ("(table 1 funcref)" * 9, "9 tables; tables_max is 8"),
    "a segment beyond the memory": (
        '(data (i32.const 65535) "ab")',
        "data segment 0 ends beyond the memory's first size",
    ),
    "a segment at a negative offset": ('(data (i32.const -1) "ab")', "ends beyond"),
    "elements beyond the table": (
        "(table 1 funcref) (func $f) (elem (i32.const 1) func $f)",
        "element segment 0 ends beyond its table's first size",
    ),
    "an extended constant": (
        '(data (offset (i32.add (i32.const 1) (i32.const 2))) "a")',
        "a constant expression has more than one instruction",
    ),
    "a global of externref": ("(global externref (ref.null extern))", "externref is not allowed"),
    "too many imports": (
        "".join(f'(import "reifydb.v1" "f{i}" (func))' for i in range(65)),
        "65 imports; imports_max is 64",
    ),
    "too many exports": (
        "(func $f)" + "".join(f'(export "f{i}" (func $f))' for i in range(257)),
        "257 exports; exports_max is 256",
    ),
    "too many globals": ("(global i32 (i32.const 0))" * 1001, "globals_max is 1,000"),
    "too many functions": ("(func)" * 5001, "5,001 functions; functions_max is 5,000"),
    "too many types": (
        "".join(f"(type (func (param {'i32 ' * i})))" for i in range(80)),
        "80 types; functions_max is 70",
    ),
}

MEMORIES = {
    "no memory": ("", "it has 0 memories"),
    "a shared memory": ("(memory 1 1 shared)", "threads are not supported"),
    "a memory of 64 bits": ("(memory i64 1)", "build it for wasm32"),
    "a memory that is too large": (
        "(memory 257)",
        "257 pages of memory at first; memory_pages_max is 256",
    ),
    "the largest memory": ("(memory 65536)", "memory_pages_max"),
    "custom page sizes": ("(memory 1 (pagesize 1))", "custom page sizes are not allowed"),
}

DEEP = 300
FROM_BYTES = {
    "nothing": (b"", "00 61 73 6d 01 00 00 00"),
    "text": (b"(module)", "convert it with wat2wasm"),
    "a component": (b"\0asm\x0d\0\1\0", "a core module is needed"),
    "another version": (b"\0asm\2\0\0\0", "version 02 00 00 00"),
    "an ELF file": (b"\x7fELF" + bytes(60), "does not start with"),
    "an unknown section": (module(section(14, b"")), "there is no section 14"),
    "a repeated section": (module(MEMORY, MEMORY), "repeated or out of order"),
    "sections out of order": (module(MEMORY, NO_PARAMS), "repeated or out of order"),
    "a section longer than the file": (MAGIC + b"\5\x7f\1", "127 bytes announced, 1 are there"),
    "a section of 4 GiB": (MAGIC + b"\5\xff\xff\xff\xff\x0f", "bytes announced, 0 are there"),
    "an integer of 6 bytes": (MAGIC + b"\5\xff\xff\xff\xff\xff\x0f", "longer than 32 bits need"),
    "an integer of 33 bits": (MAGIC + b"\5\xff\xff\xff\xff\x1f", "more than 32 bits"),
    "left over bytes": (module(section(5, b"\1\0\1\0")), "1 bytes are left over"),
    "a count of 4 billion": (module(section(1, b"\xff\xff\xff\xff\x0f\x60")), "4,294,967,295"),
    "a name that is not UTF-8": (module(section(2, b"\1\1\xff\1a\0\0")), "not valid UTF-8"),
    "a custom section without a name": (module(section(0, b"")), "ends too early"),
    "an unknown kind of import": (module(section(2, vector(b"\1a\1b\7\0"))), "kind 7 of import"),
    "an unknown kind of export": (
        module(MEMORY, section(7, vector(b"\1a\7\0"))),
        "kind 7 of export",
    ),
    "an import of a type that is not there": (
        module(section(2, vector(name_bytes("reifydb.v1") + name_bytes("now") + b"\0\5"))),
        "has type 5, which does not exist",
    ),
    "an export of a function that is not there": (
        module(NO_PARAMS, section(7, vector(b"\1a\0\x63"))),
        "is a function that does not exist",
    ),
    "an unknown type form": (module(section(1, vector(b"\x11"))), "0x11 is no type"),
    "an unknown value type": (module(section(1, vector(b"\x60\1\x22\0"))), "0x22 is no value type"),
    "bodies without functions": (
        module(MEMORY, section(10, vector(b"\2\0\x0b"))),
        "1 bodies for 0 functions",
    ),
    "a body that is cut off": (module(*functions(b"\0\x41")), "is cut off by the end of the body"),
    "a body without an end": (module(*functions(b"\0\1\1")), "is cut off by the end of the body"),
    "a body after its end": (module(*functions(b"\0\x0b\1\x0b")), "follows the function's end"),
    "an empty body": (module(*functions(b"")), "ends too early"),
    "a reserved opcode": (module(*functions(body(b"\x27"))), "0x27 is no instruction"),
    "a prefix alone": (module(*functions(b"\0\xfc")), "is cut off"),
    "an unknown prefixed opcode": (module(*functions(body(b"\xfc\x40"))), "0xfc 0x40 is unknown"),
    "stack switching": (module(*functions(body(b"\xe0\0"))), "belongs to stack switching"),
    "a call by reference": (module(*functions(body(b"\x14\0"))), "typed function references"),
    "a load from memory 1": (
        module(*functions(body(b"\x41\0\x28\x42\1\0\x1a"))),
        "multi-memory is not allowed",
    ),
    "br_table of 4 billion": (
        module(*functions(body(b"\x41\0\x0e\xff\xff\xff\xff\x0f\0"))),
        "ends too early",
    ),
    "locals of 4 billion": (
        module(*functions(vector(b"\xff\xff\xff\xff\x0f\x7e") + b"\x0b")),
        "4,294,967,295 locals; locals_max is 1,000",
    ),
    "many groups of locals": (
        module(*functions(vector(*[b"\1\x7e"] * 1001) + b"\x0b")),
        "1,001 locals",
    ),
    "deep nesting": (
        module(*functions(body(b"\x02\x40" * DEEP + b"\x0b" * DEEP))),
        "blocks 300 deep; nesting_max is 256",
    ),
    "a chain of ifs": (
        module(*functions(body(b"\x41\1\x04\x40" * DEEP + b"\x05" + b"\x0b" * DEEP))),
        "blocks 300 deep",
    ),
    "deep nesting without an end": (
        module(*functions(body(b"\x02\x40" * 60_000))),
        "is cut off by the end of the body",
    ),
    "a long body": (
        module(*functions(body(b"\1" * 140_000))),
        "140,002 bytes; function_bytes_max is 131,072",
    ),
    "a kind of data segment": (
        module(MEMORY, section(11, vector(b"\3\0"))),
        "kind 3 of data segment",
    ),
    "a kind of elements": (module(MEMORY, section(9, vector(b"\x09\0"))), "kind 9 of element"),
    "a global neither mutable nor not": (
        module(MEMORY, section(6, vector(b"\x7f\2\x41\0\x0b"))),
        "says whether it can change",
    ),
    "a constant that calls": (
        module(MEMORY, section(6, vector(b"\x7f\0\x10\0\x0b"))),
        "opcode 0x10 in a constant expression",
    ),
    "a maximum below the minimum": (module(section(5, vector(b"\1\5\1"))), "below its minimum"),
}

TRANSITIONS = {
    "a transition under another name": (
        '(func (export "u") (result i32) (i32.const 0))',
        "not exported; there are: u",
    ),
    "a transition that is a memory": ('(export "t" (memory 0))', "is exported as a memory"),
    "a transition without a result": (
        '(func (export "t"))',
        "with type () -> (); it must be () -> i32",
    ),
    "a transition of i64": (
        '(func (export "t") (result i64) (i64.const 0))',
        "with type () -> i64",
    ),
    "a transition with a parameter": (
        '(func (export "t") (param i32) (result i32) (i32.const 0))',
        "with type (i32) -> i32",
    ),
    "a transition with two results": (
        '(func (export "t") (result i32 i32) (unreachable))',
        "with type () -> (i32 i32)",
    ),
}


def _module_of(fields: str) -> bytes:
    """A module with these fields beside its memory; imports must stand before it."""
    imports = re.search(r"\(import ", fields)
    text = f"(module {fields} (memory 1))" if imports else f"(module (memory 1) {fields})"
    return with_manifest(wat(text))


def _entries() -> list[Hostile]:
    found = []
    for does, (fields, problem) in FROM_TEXT.items():
        limits = ModuleLimits(functions_max=70) if does == "too many types" else ModuleLimits()
        found.append(Hostile(does, lambda f=fields: _module_of(f), problem, limits=limits))
    for does, (memory, problem) in MEMORIES.items():
        found.append(Hostile(does, lambda m=memory: guest("", memory=m), problem))
    for does, (wasm, problem) in FROM_BYTES.items():
        found.append(Hostile(does, lambda w=wasm: w, problem))
    for does, (fields, problem) in TRANSITIONS.items():
        found.append(Hostile(does, lambda f=fields: guest(f, ONE_TRANSITION), problem))
    return found


BINARIES = _entries()
"""All of them."""
