"""Edits: what a module is afterwards, as wasmtime sees it."""

from __future__ import annotations

from contextlib import suppress

import pytest
import wasmtime
from hypothesis import given
from hypothesis import strategies as st

from reifydb.errors import ModuleError
from reifydb.sandbox.binary import (
    PAGE_BYTES,
    GuestState,
    custom_section,
    export_state,
    name_module,
    set_custom_section,
    set_memory_limits,
    set_table_maximum,
)
from reifydb.sandbox.configuration import KERNEL_PAGES_MAX, KERNEL_PAGES_MIN, new_engine
from reifydb.sandbox.declarations import read_exports, read_memories, read_tables
from reifydb.sandbox.reader import MAGIC, custom_sections, read_sections
from tests.unit.sandbox.samples import bank, wat


def memory_of(wasm: bytes) -> tuple[int, int | None]:
    (limits,) = read_memories(read_sections(wasm))
    return limits.least, limits.most


def valid(wasm: bytes) -> bytes:
    wasmtime.Module.validate(new_engine(), wasm)
    return wasm


# ------------------------------------------------------------------ limits


@pytest.mark.parametrize(
    ("memory", "pages_min", "pages_max", "expected"),
    [
        ("1", 0, 10, (1, 10)),
        ("1 5", 0, 10, (1, 5)),
        ("1 50", 0, 10, (1, 10)),
        ("1", 7, 10, (7, 10)),
        ("10", 0, 10, (10, 10)),
        ("0", 0, 65536, (0, 65536)),
    ],
)
def test_memory_limits_are_narrowed(
    memory: str, pages_min: int, pages_max: int, expected: tuple[int, int]
) -> None:
    wasm = wat(f"(module (memory {memory}))")
    edited = valid(set_memory_limits(wasm, pages_min=pages_min, pages_max=pages_max))
    assert memory_of(edited) == expected


def test_the_kernel_starts_above_the_guests_reservation_and_may_grow_to_its_maximum() -> None:
    wasm = wat('(module (memory (export "memory") i64 3 16))')
    with pytest.raises(ModuleError, match="starts with 65,568 pages; at most 16 are allowed"):
        set_memory_limits(wasm, pages_min=KERNEL_PAGES_MIN, pages_max=16, index_bits=64)
    wasm = wat('(module (memory (export "memory") i64 3))')
    edited = set_memory_limits(
        wasm, pages_min=KERNEL_PAGES_MIN, pages_max=KERNEL_PAGES_MAX, index_bits=64
    )
    assert memory_of(edited) == (KERNEL_PAGES_MIN, KERNEL_PAGES_MAX)
    engine = new_engine()
    store = wasmtime.Store(engine)
    memory = wasmtime.Instance(store, wasmtime.Module(engine, edited), []).exports(store)["memory"]
    assert isinstance(memory, wasmtime.Memory)
    assert memory.size(store) * PAGE_BYTES == (4 << 30) + (2 << 20)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("(module)", "0 of its own and 0 imported memories"),
        ('(module (import "a" "b" (memory 1)))', "0 of its own and 1 imported"),
        ("(module (memory 1) (memory 1))", "2 of its own"),
        ("(module (memory i64 1))", "the memory is 64 bits"),
        ("(module (memory 1 1 shared))", "the memory is shared, 32 bits"),
        ("(module (memory 11))", "starts with 11 pages; at most 10"),
    ],
)
def test_memory_that_does_not_fit_is_refused(text: str, problem: str) -> None:
    with pytest.raises(ModuleError, match=problem):
        set_memory_limits(wat(text), pages_max=10)


def test_every_table_gets_a_maximum() -> None:
    wasm = wat("(module (table 1 funcref) (table 2 9 funcref) (table 3 4 funcref) (memory 1))")
    tables = read_tables(read_sections(valid(set_table_maximum(wasm, 5))))
    assert [(t.limits.least, t.limits.most) for t in tables] == [(1, 5), (2, 5), (3, 4)]
    with pytest.raises(ModuleError) as caught:
        set_table_maximum(wasm, 1)
    assert len(caught.value.problems) == 2
    without = wat("(module (memory 1))")
    assert set_table_maximum(without, 5) == without


# ------------------------------------------------------------------ state


def test_state_is_exported() -> None:
    edited, state = export_state(bank())
    assert state == GuestState(
        globals=(("state:global0", "i32"),),
        tables=(("state:table0", 2),),
        memory_pages=1,
        segments=((8, b"abc"), (20000, b"xyz")),
        start="state:start",
        resettable=True,
    )
    assert state.image_at == 8
    assert state.image == b"abc" + bytes(20000 - 11) + b"xyz"
    names = [export.name for export in read_exports(read_sections(valid(edited)))]
    added = ["state:global0", "state:table0", "state:memory", "state:start"]
    assert names == ["transfer", *added]


def test_the_start_function_is_not_run_at_instantiation() -> None:
    edited, state = export_state(
        wat("(module (memory 1) (func $s (i32.store (i32.const 0) (i32.const 7))) (start $s))")
    )
    engine = wasmtime.Engine()
    store = wasmtime.Store(engine)
    exports = wasmtime.Instance(store, wasmtime.Module(engine, edited), []).exports(store)
    memory, start = exports["state:memory"], exports[state.start or ""]
    assert isinstance(memory, wasmtime.Memory)
    assert isinstance(start, wasmtime.Func)
    assert memory.read(store, 0, 1) == b"\0"
    start(store)
    assert memory.read(store, 0, 1) == b"\7"


def test_a_module_without_exports_and_globals_gets_its_memory_exported() -> None:
    edited, state = export_state(wat("(module (memory 3))"))
    assert state == GuestState((), (), 3, (), None, resettable=True)
    assert (state.image_at, state.image) == (0, b"")
    assert [e.name for e in read_exports(read_sections(valid(edited)))] == ["state:memory"]


@pytest.mark.parametrize(
    ("fields", "resettable"),
    [
        ('(data "passive")', False),
        ("(table 1 funcref) (func $f) (elem func $f)", False),
        ("(table 1 funcref) (func $f) (elem funcref (ref.func $f))", False),
        ("(table 1 funcref) (func $f) (elem declare func $f)", True),
        ("(table 1 funcref) (func $f) (elem (i32.const 0) func $f)", True),
        ("(table 1 funcref) (func $f) (elem (i32.const 0) funcref (ref.func $f))", True),
        ("(table 1 funcref) (table $b 1 funcref) (elem (table $b) (i32.const 0) func)", True),
        ("(global (mut funcref) (ref.null func))", True),
        ("(global (mut f64) (f64.const 1)) (global (mut f32) (f32.const 1))", True),
    ],
)
def test_passive_segments_cannot_be_put_back(fields: str, resettable: bool) -> None:
    edited, state = export_state(wat(f"(module (memory 1) {fields})"))
    valid(edited)
    assert state.resettable is resettable


def test_segments_that_overlap_are_joined_as_instantiation_does() -> None:
    text = '(data (i32.const 4) "abcd") (data (i32.const 6) "XY") (data (i32.const 0) "")'
    _, state = export_state(wat(f"(module (memory 1) {text})"))
    assert state.segments == ((4, b"abXY"),)


def test_long_runs_of_zeroes_are_left_out() -> None:
    zeroes = "\\00" * 5000
    text = f'(data (i32.const 10) "a{zeroes}b") (data (i32.const 60000) "{zeroes}")'
    _, state = export_state(wat(f"(module (memory 1) {text})"))
    assert state.segments == ((10, b"a"), (5011, b"b"))


@given(st.lists(st.tuples(st.integers(0, 60000), st.binary(max_size=300)), max_size=6))
def test_the_image_is_what_instantiation_makes(segments: list[tuple[int, bytes]]) -> None:
    data = "".join(_data(at, content) for at, content in segments)
    wasm, state = export_state(wat(f"(module (memory 1) {data})"))
    engine = wasmtime.Engine()
    store = wasmtime.Store(engine)
    memory = wasmtime.Instance(store, wasmtime.Module(engine, wasm), []).exports(store)[
        "state:memory"
    ]
    assert isinstance(memory, wasmtime.Memory)
    image = bytearray(PAGE_BYTES)
    end = 0
    for at, content in state.segments:
        assert at >= end
        end = at + len(content)
        image[at:end] = content
    assert bytes(memory.read(store, 0, PAGE_BYTES)) == bytes(image)


def _data(at: int, content: bytes) -> str:
    escaped = "".join("\\" + content[i : i + 1].hex() for i in range(len(content)))
    return f'(data (i32.const {at}) "{escaped}")'


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ('(module (import "a" "b" (global i32)) (memory 1))', "only functions may be: global"),
        ('(module (import "a" "b" (table 1 funcref)) (memory 1))', "may be: table"),
        ('(module (memory 1) (data (i32.const 65536) "a"))', "ends beyond"),
        ("(module)", "exactly one of its own is needed"),
    ],
)
def test_state_that_cannot_be_described_is_refused(text: str, problem: str) -> None:
    with pytest.raises(ModuleError, match=problem):
        export_state(wat(text))


# ------------------------------------------------------------------ custom sections


def test_a_custom_section_is_replaced() -> None:
    wasm = set_custom_section(wat("(module (memory 1))"), "x", b"one")
    assert custom_section(wasm, "x") == b"one"
    wasm = valid(set_custom_section(wasm, "x", b"two"))
    assert custom_section(wasm, "x") == b"two"
    assert custom_section(wasm, "y") is None


def test_a_custom_section_that_appears_twice_is_refused() -> None:
    wasm = set_custom_section(wat("(module)"), "x", b"one") + b"\0\3\1xx"
    with pytest.raises(ModuleError, match="2 custom sections 'x'"):
        custom_section(wasm, "x")


def test_a_trace_names_the_module_and_still_its_functions() -> None:
    wasm = wat('(module $old (memory 1) (func $inner unreachable) (func (export "f") call $inner))')
    engine = wasmtime.Engine()
    store = wasmtime.Store(engine)
    module = wasmtime.Module(engine, name_module(wasm, "bank"))
    run = wasmtime.Instance(store, module, []).exports(store)["f"]
    assert isinstance(run, wasmtime.Func)
    with pytest.raises(wasmtime.Trap) as caught:
        run(store)
    frames = caught.value.frames
    assert (frames[0].module_name, frames[0].func_name) == ("bank", "inner")


def test_a_malformed_name_section_is_replaced() -> None:
    wasm = set_custom_section(wat("(module (memory 1))"), "name", b"\1\xff\xff")
    assert custom_sections(read_sections(valid(name_module(wasm, "m"))), "name") == [b"\0\2\1m"]


# ------------------------------------------------------------------ hostile bytes


@given(st.binary(max_size=200))
def test_edits_of_any_bytes_end_in_a_module_error(data: bytes) -> None:
    for wasm in (data, MAGIC + data):
        for edit in (
            lambda w: set_memory_limits(w, pages_max=10),
            lambda w: set_table_maximum(w, 10),
            export_state,
            lambda w: name_module(w, "m"),
            lambda w: custom_section(w, "x"),
        ):
            with suppress(ModuleError):
                edit(wasm)


def test_edits_of_a_cut_or_damaged_module_end_in_a_module_error() -> None:
    wasm = bank()
    damaged = [wasm[:length] for length in range(len(wasm))]
    damaged += [
        wasm[:at] + bytes([wasm[at] ^ flip]) + wasm[at + 1 :]
        for at in range(len(wasm))
        for flip in (1, 0x80, 0xFF)
    ]
    for one in damaged:
        with suppress(ModuleError):
            edited, _ = export_state(one)
            set_table_maximum(set_memory_limits(edited, pages_max=10), 10)
