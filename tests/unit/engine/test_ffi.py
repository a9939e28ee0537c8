"""The raw calls and wasmtime's public API agree."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Any

import pytest
import wasmtime

from reifydb.engine import ffi
from reifydb.engine.ffi import CallEnded, Code, Exports, Store
from reifydb.sandbox.configuration import new_engine

MODULE = """(module
  (memory (export "memory") 1)
  (table 2 funcref) (elem (i32.const 0) $wrong)
  (type $none (func))
  (func $wrong (param i64))
  (func (export "add") (param i64 i64) (result i64) (i64.add (local.get 0) (local.get 1)))
  (func (export "low") (param i64) (result i32) (i32.wrap_i64 (local.get 0)))
  (func (export "widen") (param i32) (result i64) (i64.extend_i32_s (local.get 0)))
  (func (export "widen_unsigned") (param i32) (result i64) (i64.extend_i32_u (local.get 0)))
  (func (export "mixed") (param i32 i64 i32 i64 i32) (result i64)
    (i64.add
      (i64.add (i64.extend_i32_s (local.get 0)) (local.get 1))
      (i64.add
        (i64.add (i64.extend_i32_s (local.get 2)) (local.get 3))
        (i64.extend_i32_s (local.get 4)))))
  (func (export "nothing"))
  (func (export "answer") (result i32) (i32.const 42))
  (func (export "divide") (param i64 i64) (result i64)
    (i64.div_s (local.get 0) (local.get 1)))
  (func (export "load") (param i32) (result i64) (i64.load (local.get 0)))
  (func (export "store") (param i32 i64) (i64.store (local.get 0) (local.get 1)))
  (func (export "unreachable") unreachable)
  (func (export "truncate") (param i32) (result i32)
    (i32.trunc_f64_s (f64.div (f64.const 0) (f64.convert_i32_s (local.get 0)))))
  (func (export "indirect") (param i32) (call_indirect (type $none) (local.get 0)))
  (func $deep (export "deep") (param i64) (result i64)
    (i64.add (i64.const 1) (call $deep (i64.add (local.get 0) (i64.const 1)))))
  (func (export "loop") (loop $l (br $l))))"""

CALLS: list[tuple[str, tuple[int, ...]]] = [
    ("add", (1, 2)),
    ("add", (2**63 - 1, 1)),
    ("add", (-(2**63), -1)),
    ("low", (-1,)),
    ("low", (2**32 + 5,)),
    ("low", (2**31,)),
    ("widen", (-1,)),
    ("widen_unsigned", (-1,)),
    ("widen", (2**31 - 1,)),
    ("mixed", (-1, 2**62, 2, -(2**62), -3)),
    ("nothing", ()),
    ("answer", ()),
    ("divide", (7, -2)),
    ("divide", (1, 0)),
    ("divide", (-(2**63), -1)),
    ("load", (0,)),
    ("load", (65528,)),
    ("load", (65529,)),
    ("load", (-1,)),
    ("store", (65528, 5)),
    ("store", (65529, 5)),
    ("unreachable", ()),
    ("truncate", (0,)),
    ("truncate", (1,)),
    ("indirect", (0,)),
    ("indirect", (1,)),
    ("indirect", (2,)),
    ("deep", (0,)),
]


@pytest.fixture(scope="module")
def engine() -> wasmtime.Engine:
    return new_engine()


@pytest.fixture
def store(engine: wasmtime.Engine) -> Iterator[Store]:
    store = Store(engine)
    yield store
    store.close()


@pytest.fixture
def exports(engine: wasmtime.Engine, store: Store) -> Exports:
    return store.instantiate(Code(engine, bytes(wasmtime.Module(engine, MODULE).serialize())))


def public(store: Store, function: wasmtime.Func, arguments: tuple[int, ...]) -> Any:
    """What the public API says: a value, or the kind of a trap."""
    try:
        return function(store.store, *arguments)
    except wasmtime.Trap as trap:
        return trap.trap_code


def raw(function: ffi.RawFunction, arguments: tuple[int, ...]) -> Any:
    try:
        return function(*arguments)
    except CallEnded as ended:
        return ended.code


@pytest.mark.parametrize("keep_gil", [False, True])
def test_results_and_traps_are_the_same(store: Store, exports: Exports, keep_gil: bool) -> None:
    functions = {name: exports.function(name, keep_gil=keep_gil) for name in {c[0] for c in CALLS}}
    for _ in range(3):  # a call leaves nothing behind that the next one would find
        for name, arguments in CALLS:
            expected = public(store, exports[name], arguments)
            found = raw(functions[name], arguments)
            if name not in ("nothing", "store", "indirect", "unreachable") or isinstance(
                expected, wasmtime.TrapCode
            ):
                assert found == expected, (name, arguments)


def test_a_trap_says_what_it_was(store: Store, exports: Exports) -> None:
    expected = {
        ("divide", (1, 0)): "integer division by zero",
        ("load", (-1,)): "memory access out of bounds",
        ("unreachable", ()): "unreachable code was reached",
        ("indirect", (0,)): "call through a table with another type",
        ("indirect", (1,)): "call of an empty table element",
        ("indirect", (2,)): "table access out of bounds",
        ("deep", (0,)): "the call stack is exhausted",
    }
    for (name, arguments), reason in expected.items():
        with pytest.raises(CallEnded) as caught:
            exports.function(name)(*arguments)
        assert caught.value.reason == reason
        assert caught.value.overflow == (name == "deep")
        assert not caught.value.interrupted


def test_an_epoch_interrupts(store: Store, exports: Exports, engine: Any) -> None:
    loop = exports.function("loop")
    for _ in range(2):
        store.set_deadline(1)
        engine.increment_epoch()
        with pytest.raises(CallEnded) as caught:
            loop()
        assert caught.value.interrupted
        store.set_deadline(ffi.NEVER_TICKS)
        assert exports.function("answer")() == 42


@pytest.mark.parametrize("arguments", [(), (1,), (1, 2, 3)])
def test_a_wrong_number_of_arguments_is_refused(
    store: Store, exports: Exports, arguments: tuple[int, ...]
) -> None:
    add = exports.function("add")
    with pytest.raises(struct.error):
        add(*arguments)
    assert add(1, 2) == 3


def test_memory_is_where_the_base_says(store: Store, exports: Exports) -> None:
    import ctypes

    base = store.memory_base(exports["memory"])
    exports.function("store")(4096, 0x1122334455667788)
    assert ctypes.string_at(base + 4096, 8) == (0x1122334455667788).to_bytes(8, "little")
    assert store.memory_bytes(exports["memory"]) == 65536
    store.grow(exports["memory"], 3)
    assert store.memory_bytes(exports["memory"]) == 4 * 65536
    assert store.memory_base(exports["memory"]) == base


def test_what_is_imported_must_be_there(
    store: Store, exports: Exports, engine: wasmtime.Engine
) -> None:
    wanting = wasmtime.Module(engine, '(module (import "a" "f" (func)))')
    code = Code(engine, bytes(wanting.serialize()))
    assert code.imports == [("a", "f")]
    with pytest.raises(KeyError):
        store.instantiate(code, a=exports)
    with pytest.raises(KeyError):
        store.instantiate(code)


def test_a_start_function_that_traps_is_a_call_that_ended(
    store: Store, engine: wasmtime.Engine
) -> None:
    module = wasmtime.Module(engine, "(module (start $f) (func $f unreachable))")
    with pytest.raises(CallEnded) as caught:
        store.instantiate(Code(engine, bytes(module.serialize())))
    assert caught.value.reason == "unreachable code was reached"


def test_no_python_function_can_be_called_from_wasm() -> None:
    # An exception that leaves a ctypes callback would hand wasmtime an uninitialised pointer.
    import ast
    import pathlib

    import reifydb

    names = {"wasmtime_func_new", "wasmtime_func_new_unchecked", "func_new", "FuncType"}
    names |= {"epoch_deadline_callback", "set_epoch_deadline_callback", "define_func"}
    for path in pathlib.Path(reifydb.__file__).parent.rglob("*.py"):
        tree = ast.parse(path.read_text())
        for node in ast.walk(tree):
            found = getattr(node, "attr", None) or getattr(node, "id", None)
            text = node.value if isinstance(node, ast.Constant) else None
            assert found not in names, f"{path}: {found}"
            assert text not in names, f"{path}: {text}"
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                assert not (node.func.attr == "Func" and "wasmtime" in ast.dump(node.func)), path
