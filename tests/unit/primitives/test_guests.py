"""Operations of primitives from transitions of modules: the host function `operate`."""

from __future__ import annotations

from pathlib import Path

import pytest
import wasmtime

import reifydb
from tests.guests import wat
from tests.guests.databases import no_trace, open_with, zig_guest


@pytest.fixture
def db() -> reifydb.Database:
    db = open_with(zig_guest("counting"))
    db.call("stock.set", 7, 2)
    return db


def test_a_guest_counts_inside_its_transaction(db: reifydb.Database) -> None:
    assert db.call("counting.buy", "home", 7) == 1_001_001
    assert db.call("counting.buy", "home", 7) == 2_000_002
    assert db.call("counting.look", "home") == 2002
    assert (db.call("page_views.get", "home"), db.call("stock.get", 7)) == (2, 0)
    db.verify()


def test_what_is_refused_has_changed_nothing_and_the_guest_decides(db: reifydb.Database) -> None:
    db.call("stock.set", 7, 0)
    with no_trace(db), pytest.raises(reifydb.AbortedError, match="check_failed"):
        db.call("counting.buy", "home", 7)
    assert db.call("counting.try_to_buy", "home", 7) == 0
    assert (db.call("page_views.get", "home"), db.call("stock.get", 7)) == (1, 0)
    db.verify()


@pytest.mark.parametrize("how", ["fail", "trap"])
def test_what_a_failed_transition_counted_is_undone(db: reifydb.Database, how: str) -> None:
    with no_trace(db), pytest.raises((reifydb.AbortedError, reifydb.TrappedError)):
        db.call(f"counting.buy_and_{how}", "home", 7)
    assert db.call("counting.buy", "home", 7) == 1_001_001


def test_a_query_may_look_and_not_count(db: reifydb.Database) -> None:
    with no_trace(db), pytest.raises(reifydb.AbortedError, match="read_only"):
        db.call("counting.sneak", "home")
    assert db.call("counting.look", "home") == 0


def test_rows_of_a_primitive_are_its_own(db: reifydb.Database) -> None:
    with no_trace(db), pytest.raises(reifydb.AbortedError, match="read_only"):
        db.call("counting.write_stock", 7)


def test_a_primitive_that_is_called_cannot_be_dropped(db: reifydb.Database) -> None:
    with pytest.raises(reifydb.SchemaError, match="module counting binds it"):
        db.execute("drop counter page_views")
    db.remove("counting")
    db.execute("drop counter page_views")
    db.verify()


def test_it_is_bound_again_when_the_database_is_opened(tmp_path: Path) -> None:
    for expected in (1_001_001, 2_000_002):
        with reifydb.open(tmp_path / "db") as db:
            if not db.modules:
                db.install(zig_guest("counting"), apply_schema=True)
                db.call("stock.set", 7, 2)
            assert db.call("counting.buy", "home", 7) == expected
            db.verify()


def test_several_modules_have_numbers_of_their_own(db: reifydb.Database) -> None:
    db.install(zig_guest("counting"), name="again")
    db.call("again.buy", "a", 7)
    db.install(zig_guest("counting"))
    db.remove("again")
    assert db.call("counting.buy", "a", 7) == 2_000_002
    db.verify()


_OPERATE = """
    (import "reifydb.v1" "operate" (func $operate (param i32 i32 i32 i32 i32) (result i32)))
    (import "reifydb.v1" "result" (func $result (param i32 i32) (result i32)))
    (memory (export "memory") 1)
    (data (i32.const 0) "\\18\\00\\00\\00\\01\\00\\00\\00" "\\05\\00\\00\\00\\00\\00\\00\\00")
    (func $answer (param i64) (result i32)
      (i64.store (i32.const 64) (i64.const 0x100000018))
      (i64.store (i32.const 72) (local.get 0))
      (i64.store (i32.const 80) (i64.const 0))
      (call $result (i32.const 64) (i32.const 24)))
    (func (export "run") (result i32)
      (call $answer (i64.extend_i32_s (call $operate WHAT))))
    """


def _module(what: str, operations: object = None) -> bytes:
    plain = bytes(wasmtime.wat2wasm(f"(module {_OPERATE.replace('WHAT', what)})"))
    one = {"primitive": "n", "name": "add", "params": [{"name": "a", "type": "int"}]}
    manifest = {
        "abi": 1,
        "name": "raw",
        "schema": "create counter n",
        "operations": [one | {"result": {"type": "int"}}] if operations is None else operations,
        "transitions": [{"name": "run", "result": {"type": "int"}}],
    }
    return wat.with_manifest(plain, manifest)


def _number(name: str) -> str:
    return f"(i32.const {name})"


@pytest.mark.parametrize(
    ("operation", "pointer", "length", "into", "capacity", "answer", "value"),
    [
        (0, 0, 24, 128, 24, 24, 5),
        (0, 0, 24, 128, 8, 24, 5),  # the result does not fit: it has run all the same
        (0, 0, 16, 128, 24, -5, 0),
        (0, 0, 48, 128, 24, -5, 0),
        (0, 0, 0, 128, 24, -5, 0),
        (1, 0, 24, 128, 24, -10, 0),
        (-1, 0, 24, 128, 24, -10, 0),
        (0, 0, 8 * 1024 * 1024 + 8, 128, 24, -9, 0),
    ],
)
def test_operate_answers_as_documented(
    operation: int, pointer: int, length: int, into: int, capacity: int, answer: int, value: int
) -> None:
    numbers = (operation, pointer, length, into, capacity)
    db = open_with(_module(" ".join(_number(str(n)) for n in numbers)))
    assert db.call("raw.run") == answer
    assert db.call("n.get") == value
    db.verify()


@pytest.mark.parametrize(("pointer", "into"), [(65535, 128), (-1, 128), (0, 65530), (0, -8)])
def test_a_pointer_out_of_memory_traps_and_undoes(pointer: int, into: int) -> None:
    numbers = (0, pointer, 24, into, 24)
    db = open_with(_module(" ".join(_number(str(n)) for n in numbers)))
    with no_trace(db), pytest.raises(reifydb.TrappedError):
        db.call("raw.run")
    assert db.call("n.get") == 0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"primitive": "m"}, "there is no 'm'"),
        ({"primitive": "victim"}, "it is a table"),
        ({"name": "ad"}, "did you mean"),
        ({"params": []}, r"calls n\.add \(\); it takes \(int\)"),
        ({"params": [{"name": "a", "type": "text"}]}, r"\(text\); it takes \(int\)"),
        ({"params": [{"name": "a", "type": "int", "nullable": True}]}, "int null"),
        ({"result": None}, r"which gives \(int\), not \(\)"),
        ({"nothing": 1}, "unknown key"),
    ],
)
def test_what_does_not_fit_is_refused_when_it_is_installed(
    change: dict[str, object], message: str
) -> None:
    one: dict[str, object] = {
        "primitive": "n",
        "name": "add",
        "params": [{"name": "a", "type": "int"}],
        "result": {"type": "int"},
    }
    db = reifydb.open(":memory:")
    db.execute("create table victim (id int primary key)")
    with pytest.raises(reifydb.ModuleError, match=message):
        db.install(_module(" ".join([_number("0")] * 5), [one | change]), apply_schema=True)
