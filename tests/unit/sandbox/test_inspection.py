"""What is refused, and that the reason is said. Accepted modules are in test_compiler.py too."""

from __future__ import annotations

import json
import re
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reifydb.config import ModuleLimits
from reifydb.errors import ModuleError
from reifydb.sandbox.binary import name_bytes, set_custom_section, uint
from reifydb.sandbox.host_functions import SIGNATURES
from reifydb.sandbox.inspection import inspect_guest
from reifydb.sandbox.reader import MAGIC
from tests.unit.sandbox.samples import (
    EMPTY,
    MANIFEST,
    MEMORY,
    NO_PARAMS,
    bank,
    body,
    functions,
    guest,
    module,
    section,
    vector,
    wat,
    with_manifest,
)

LIMITS = ModuleLimits()
ONE_TRANSITION = {"abi": 1, "name": "m", "transitions": [{"name": "t"}]}


def problems(wasm: bytes, limits: ModuleLimits = LIMITS, name: str | None = None) -> str:
    with pytest.raises(ModuleError) as caught:
        inspect_guest(wasm, limits, name)
    assert caught.value.problems
    return "\n".join(caught.value.problems)


def test_a_sound_module_is_accepted() -> None:
    inspected = inspect_guest(bank(), LIMITS)
    assert inspected.name == "bank"
    assert inspected.imports == ("args", "now")
    assert inspected.exports == ("transfer",)
    assert [one.name for one in inspected.manifest.transitions] == ["transfer"]


def test_the_table_of_host_functions_is_that_of_the_page() -> None:
    page = Path("docs/abi.md").read_text()
    documented = re.findall(r"^\| `(\w+)\([^)]*\)` \| `(\([^|]*)` \|", page, re.MULTILINE)
    assert dict(documented) == {name: str(one) for name, one in SIGNATURES.items()}
    assert len(documented) == len(SIGNATURES)


@pytest.mark.parametrize("name", SIGNATURES)
def test_every_host_function_can_be_imported(name: str) -> None:
    one = SIGNATURES[name]
    text = f"(func (param {' '.join(one.params)}) (result {' '.join(one.results)}))"
    wasm = with_manifest(wat(f'(module (import "reifydb.v1" "{name}" {text}) (memory 1))'))
    assert inspect_guest(wasm, LIMITS).imports == (name,)


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


@pytest.mark.parametrize("case", FROM_TEXT)
def test_is_refused(case: str) -> None:
    fields, expected = FROM_TEXT[case]
    limits = ModuleLimits(functions_max=70) if case == "too many types" else LIMITS
    imports = "".join(re.findall(r"\(import .*\)\)\)?", fields)) if "import" in fields else ""
    text = f"(module {fields} (memory 1))" if imports else f"(module (memory 1) {fields})"
    assert expected in problems(with_manifest(wat(text)), limits)


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


@pytest.mark.parametrize("case", MEMORIES)
def test_memory_is_refused(case: str) -> None:
    memory, expected = MEMORIES[case]
    assert expected in problems(guest("", memory=memory))


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


@pytest.mark.parametrize("case", FROM_BYTES)
def test_bytes_are_refused(case: str) -> None:
    wasm, expected = FROM_BYTES[case]
    assert expected in problems(wasm)


def test_a_module_that_is_too_long_is_not_even_read() -> None:
    assert "module_bytes_max is 10" in problems(bank(), ModuleLimits(module_bytes_max=10))


def test_parameters_count_as_locals() -> None:
    wasm = guest(f"(func (param {'i32 ' * 900}) (local {'i32 ' * 101}))")
    assert "function 0 has 1,001 locals" in problems(wasm)


def test_all_problems_are_listed_at_once() -> None:
    text = """(module (import "env" "x" (func)) (memory 300) (table 20000 funcref)
      (func (export "state:x") (param funcref)) (func (drop (v128.const i32x4 0 0 0 0)))
      (func (export "t") (result i64) (i64.const 0)))"""
    found = problems(with_manifest(wat(text), {"abi": 2, "transitions": [{"name": "T"}]}))
    for expected in ("'env' 'x'", "memory_pages_max", "table_elements_max", "'state:' is reserved"):
        assert expected in found
    for expected in ("can cross", "function 2, byte 1: instruction 0xfd", "manifest, $.abi"):
        assert expected in found
    assert "$.transitions[0].name" in found


def test_a_list_of_problems_has_an_end() -> None:
    exports = "".join(f'(export "state:{i}" (func $f))' for i in range(250))
    found = problems(guest("(func $f)" + exports)).splitlines()
    assert len(found) == 101
    assert found[-1] == "and 150 more"


def test_hostile_names_are_shown_harmlessly() -> None:
    name = "\x1b[2J" + "x" * 500
    wasm = module(section(2, vector(name_bytes(name) + b"\1a\0\0")), MEMORY)
    found = problems(wasm)
    assert "\x1b" not in found
    assert len(found) < 300


# ------------------------------------------------------------------ transitions and manifest


TRANSITIONS = {
    '(func (export "u") (result i32) (i32.const 0))': "not exported; there are: u",
    '(export "t" (memory 0))': "is exported as a memory",
    '(func (export "t"))': "with type () -> (); it must be () -> i32",
    '(func (export "t") (result i64) (i64.const 0))': "with type () -> i64",
    '(func (export "t") (param i32) (result i32) (i32.const 0))': "with type (i32) -> i32",
    '(func (export "t") (result i32 i32) (unreachable))': "with type () -> (i32 i32)",
}


@pytest.mark.parametrize("fields", TRANSITIONS)
def test_a_transition_must_be_exported_with_its_type(fields: str) -> None:
    assert TRANSITIONS[fields] in problems(guest(fields, ONE_TRANSITION))


def test_an_imported_function_is_no_transition_unless_its_type_fits() -> None:
    text = '(module (import "reifydb.v1" "now" (func (result i64))) (memory 1)'
    wasm = with_manifest(wat(text + '(export "t" (func 0)))'), ONE_TRANSITION)
    assert "with type () -> i64" in problems(wasm)


def test_a_manifest_is_needed() -> None:
    assert "`reifydb pack` adds one" in problems(wat("(module (memory 1))"))


def test_two_manifests_are_refused() -> None:
    wasm = guest("") + section(0, name_bytes("reifydb.manifest") + b"{}")
    assert "it has 2 custom sections 'reifydb.manifest'" in problems(wasm)


def test_problems_of_the_manifest_are_listed() -> None:
    wasm = set_custom_section(wat("(module (memory 1))"), "reifydb.manifest", b"{")
    assert "manifest, not JSON" in problems(wasm)


def test_the_name_that_was_asked_for_comes_first() -> None:
    assert inspect_guest(guest(""), LIMITS, "other").name == "other"
    assert inspect_guest(guest("", {"abi": 1}), LIMITS, "other").name == "other"
    assert "gives no name" in problems(guest("", {"abi": 1}))
    assert "is no name" in problems(guest(""), name="Not a name")


# ------------------------------------------------------------------ damage


def test_every_prefix_of_a_module_is_refused_or_whole() -> None:
    wasm = with_manifest(bank(), MANIFEST)
    for length in range(len(wasm)):
        problems(wasm[:length])


def test_every_flipped_byte_is_read_to_the_end() -> None:
    wasm = bank()
    for at in range(len(wasm)):
        for flip in (0x01, 0x40, 0x80, 0xFF):
            damaged = bytearray(wasm)
            damaged[at] ^= flip
            with suppress(ModuleError):
                inspect_guest(bytes(damaged), LIMITS)


@given(st.binary(max_size=300))
def test_random_bytes_are_refused(data: bytes) -> None:
    problems(data)


@given(st.lists(st.tuples(st.integers(0, 14), st.binary(max_size=60)), max_size=8))
def test_random_sections_are_read_to_the_end(sections: list[tuple[int, bytes]]) -> None:
    wasm = MAGIC + b"".join(section(number, content) for number, content in sections)
    problems(wasm)


@given(st.binary(max_size=200))
def test_random_bodies_are_walked_to_the_end(code: bytes) -> None:
    with suppress(ModuleError):
        inspect_guest(module(*functions(b"\0" + code)), LIMITS)


@given(st.integers(1, 12), st.integers(0, 2**32 - 1), st.binary(max_size=20))
def test_counts_that_lie_cost_nothing(number: int, count: int, rest: bytes) -> None:
    if number != 8:
        problems(module(section(number, uint(count) + rest), manifest=json.loads("{}")))


def test_the_empty_manifest_of_the_samples_is_valid() -> None:
    assert inspect_guest(guest("", EMPTY), LIMITS).manifest.transitions == ()
