"""Installing, replacing and removing modules: one step, or nothing at all."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import wasmtime

import reifydb
from reifydb.errors import AbortedError, ModuleError, RequestError, TrappedError, UnknownNameError
from tests.guests import wat
from tests.guests.databases import no_trace, open_with, zig_guest

MANIFEST: dict[str, Any] = {
    "abi": 1,
    "name": "counter",
    "schema": "create table victim (id int primary key, n int not null);",
    "relations": [
        {
            "name": "victim",
            "columns": [{"name": "id", "type": "int"}, {"name": "n", "type": "int"}],
        }
    ],
    "transitions": [
        {"name": "write", "params": [], "result": None},
        {"name": "look", "params": [], "result": {"type": "int"}, "query": True},
    ],
}


def module(look: int = 5, body: str = "", prelude: str = wat.PRELUDE, **changes: Any) -> bytes:
    """A module of two transitions; `changes` replace parts of its manifest."""
    text = f"""(module {prelude}
      (func (export "write") (result i32) (call $write) (i32.const 0))
      (func (export "look") (result i32) (call $answer (i64.const {look})))
      {body})"""
    return wat.with_manifest(bytes(wasmtime.wat2wasm(text)), {**MANIFEST, **changes})


def numbers(db: reifydb.Database, name: str) -> dict[str, int]:
    return {t.name: t.number for t in db.modules[name].transitions.values()}


@pytest.fixture
def db() -> Iterator[reifydb.Database]:
    with open_with(module()) as opened:
        yield opened


@contextmanager
def refused(db: reifydb.Database, *problems: str) -> Iterator[None]:
    """Asserts that an installation is refused, for all these reasons, and changes nothing."""
    before = dict(db.modules), dict(db.tables), set(db._transitions), len(db._kernel.linked)
    answer = db.call("counter.look") if "counter" in db.modules else None
    with no_trace(db), pytest.raises(ModuleError) as caught:
        yield
    text = "\n".join([str(caught.value), *caught.value.problems])
    for problem in problems:
        assert problem in text
    after = dict(db.modules), dict(db.tables), set(db._transitions), len(db._kernel.linked)
    assert after == before
    if answer is not None:
        assert db.call("counter.look") == answer
        lsn = db.lsn
        with db.transaction() as tx:
            tx.upsert("victim", {"id": 1, "n": 77})
        db.call("counter.write")
        assert db.get("victim", 1) == {"id": 1, "n": 2}
        assert db.lsn == lsn + 2


# ------------------------------------------------------------------ install, replace, remove


def test_a_module_is_installed_from_bytes_or_a_file(tmp_path: Path) -> None:
    (tmp_path / "counter.wasm").write_bytes(module())
    with open_with() as db:
        for source in (module(), tmp_path / "counter.wasm", str(tmp_path / "counter.wasm")):
            installed = db.install(source, apply_schema=True)
            assert installed.name == "counter"
            assert set(installed.transitions) == {"write", "look"}
            assert db.call("counter.look") == 5
        with no_trace(db), pytest.raises(ModuleError, match="cannot be read"):
            db.install(tmp_path / "nowhere.wasm")


def test_apply_schema_creates_in_the_same_transaction() -> None:
    with open_with() as db:
        db.install(module(), apply_schema=True)
        assert db.lsn == 1
        assert set(db.tables) == {"victim"}
        with refused(db, "other"):
            relation = {"name": "other", "columns": [{"name": "id", "type": "int"}]}
            schema = MANIFEST["schema"] + "create table third (id int primary key);"
            relations = [*MANIFEST["relations"], relation]
            db.install(module(relations=relations, schema=schema), apply_schema=True)
        assert set(db.tables) == {"victim"}


def test_a_view_with_parameters_is_no_table_of_a_module() -> None:
    with open_with() as db:
        db.execute("""
            create table base (id int primary key, n int not null);
            create view victim as select id, n from base where id = :id
        """)
        assert "binds 'victim': view victim has parameters" in db.plan(module()).problems[0]
        with refused(db, "view victim has parameters"):
            db.install(module())
        with refused(db, "table victim cannot be made: a view has its name"):
            db.install(module(), apply_schema=True)


def test_a_replacement_is_one_step(db: reifydb.Database) -> None:
    before = numbers(db, "counter")
    db.call("counter.write")
    lsn = db.lsn
    db.install(module(look=6))
    assert db.lsn == lsn + 1
    assert db.call("counter.look") == 6
    assert numbers(db, "counter") == before
    assert db.get("victim", 1) == {"id": 1, "n": 2}
    db.verify()


def test_a_replacement_adds_removes_and_changes_transitions(db: reifydb.Database) -> None:
    before = numbers(db, "counter")
    added = {"name": "again", "params": [], "result": None}
    look = {"name": "look", "params": [{"name": "x", "type": "int"}], "result": {"type": "int"}}
    again = '(func (export "again") (result i32) (i32.const 3))'
    db.install(module(7, again, transitions=[look, added]))
    assert db.call("counter.look", 9) == 7
    with pytest.raises(RequestError):
        db.call("counter.look")
    with pytest.raises(AbortedError):
        db.call("counter.again")
    with pytest.raises(UnknownNameError, match=r"counter\.write"):
        db.call("counter.write")
    after = numbers(db, "counter")
    assert after["look"] == before["look"]
    assert after["again"] not in before.values()
    db.install(module(8))
    assert numbers(db, "counter") == before
    db.call("counter.write")
    assert db.call("counter.look") == 8


def test_handles_of_a_replaced_transition_are_not_used_by_outcomes(db: reifydb.Database) -> None:
    outcomes = db.call_many("counter.look", [()] * 3)
    db.install(module(look=6))
    assert outcomes.results() == [5, 5, 5]
    assert db.call_many("counter.look", [()]).results() == [6]


def test_a_module_is_removed_and_its_tables_stay(db: reifydb.Database) -> None:
    db.call("counter.write")
    db.remove("counter")
    assert db.modules == {}
    for work in (
        lambda: db.call("counter.look"),
        lambda: db.call_many("counter.look", [()]),
        lambda: db.remove("counter"),
    ):
        with no_trace(db), pytest.raises(UnknownNameError):
            work()
    assert db.get("victim", 1) == {"id": 1, "n": 2}
    db.install(module(look=9))
    assert db.call("counter.look") == 9


def test_one_binary_under_two_names_and_two_modules_on_one_table(db: reifydb.Database) -> None:
    before = numbers(db, "counter")
    db.install(module(look=6), name="other")
    assert not set(numbers(db, "other").values()) & set(before.values())
    assert (db.call("counter.look"), db.call("other.look")) == (5, 6)
    db.call("other.write")
    assert db.get("victim", 1) == {"id": 1, "n": 2}
    db.install(zig_guest("misbehave"), apply_schema=True)
    db.call("misbehave.honest", 1, 50)
    assert db.get("victim", 1) == {"id": 1, "n": 50}
    db.remove("counter")
    db.call("other.write")
    assert db.get("victim", 1) == {"id": 1, "n": 2}
    with pytest.raises(TrappedError):
        db.call("misbehave.trap", 1, 3)
    db.verify()


def test_a_python_transition_s_name_is_not_taken(db: reifydb.Database) -> None:
    @db.transition(name="later.look")
    def look(tx: reifydb.Transaction) -> int:
        return 1

    with refused(db, "later.look has the name of a Python transition"):
        db.install(module(), name="later")
    assert db.call("later.look") == 1
    with no_trace(db), pytest.raises(RequestError, match=r"counter\.look"):
        db.transition(name="counter.look")(lambda tx: 2)
    assert db.call("counter.look") == 5


# ------------------------------------------------------------------ refused, with every problem


def test_every_problem_is_listed(db: reifydb.Database) -> None:
    db.execute("create table wide (id int primary key, a text, b int not null, c float)")
    relations = [
        {"name": "victm", "columns": [{"name": "id", "type": "int"}]},
        {
            "name": "wide",
            "columns": [
                {"name": "a", "type": "text"},
                {"name": "b", "type": "float"},
                {"name": "d", "type": "int"},
            ],
        },
        {"name": "victim", "columns": [{"name": "id", "type": "text"}]},
    ]
    with refused(
        db,
        "'victm', which does not exist",
        "did you mean 'victim'?",
        "wide.a as not null; it can be null",
        "wide.b as float; it is int",
        "wide.d, which does not exist",
        "wide without its primary key column id",
        "victim.id as text; it is int",
    ):
        db.install(module(relations=relations))


def test_a_start_function_that_traps_is_refused(db: reifydb.Database) -> None:
    with refused(db, "start function"):
        db.install(wat.guest(wat.START_TRAPS, "counter"))
    with refused(db, "start function"):
        db.install(wat.guest(wat.START_TRAPS))


def test_a_start_function_cannot_write(db: reifydb.Database) -> None:
    before = db.count("victim")
    db.install(wat.guest(wat.START_WRITES))
    assert db.count("victim") == before
    db.call("guest.nothing")
    db.verify()


def test_a_start_function_s_log_line_has_no_other_call_s_name(
    db: reifydb.Database, caplog: pytest.LogCaptureFixture
) -> None:
    imports = '(import "reifydb.v1" "log" (func $log (param i32 i32 i32) (result i32)))'
    body = """(data (i32.const 300) "hello") (start $begin)
      (func $begin (drop (call $log (i32.const 20) (i32.const 300) (i32.const 5))))
      (func (export "nothing") (result i32) (i32.const 0))"""
    db.call("counter.look")
    with caplog.at_level(logging.INFO, logger="reifydb.guest"):
        db.install(wat.guest(wat.Guest(body, ("nothing",), prelude=imports + wat.PRELUDE)))
        db.call("counter.look")
    assert [record.getMessage() for record in caplog.records] == ["a start function: hello"]


def test_another_table_of_the_same_name_is_no_table_of_the_module() -> None:
    with open_with() as db:
        db.execute("create table victim (id int primary key, n int not null, more int)")
        with refused(db, "other columns than the module's schema"):
            db.install(module(), apply_schema=True)
        db.install(module())  # its columns are there: without its schema it fits
        db.call("counter.write")
        assert db.get("victim", 1) == {"id": 1, "n": 2, "more": None}


# ------------------------------------------------------------------ reopened


def test_modules_are_back_after_opening_with_the_same_numbers(tmp_path: Path) -> None:
    path = tmp_path / "db.reify"
    with reifydb.open(path) as db:
        db.install(module(), apply_schema=True)
        db.install(module(look=6), name="other", limits=reifydb.ModuleLimits(deadline_ms=123))
        db.install(module(look=1), name="gone")
        db.install(zig_guest("every_type"), apply_schema=True)
        db.install(module(look=7))
        db.remove("gone")
        db.call("other.write")
        expected = {name: numbers(db, name) for name in db.modules}
        known = dict(db.modules), dict(db.tables), db.state_hash, db.lsn
    with reifydb.open(path) as db:
        assert {name: numbers(db, name) for name in db.modules} == expected
        assert (dict(db.modules), dict(db.tables), db.state_hash, db.lsn) == known
        assert (db.call("counter.look"), db.call("other.look")) == (7, 6)
        assert db.modules["other"].limits.deadline_ms == 123
        db.call("counter.write")
        assert db.call("every_type.create_note", "back", None) == 1
        db.install(module(look=1), name="gone")
        taken = {number for mapping in expected.values() for number in mapping.values()}
        assert not set(numbers(db, "gone").values()) & taken
        db.verify()


def test_a_refused_installation_leaves_nothing_in_the_log(tmp_path: Path) -> None:
    path = tmp_path / "db.reify"
    with reifydb.open(path) as db:
        db.install(module(), apply_schema=True)
        with refused(db):
            db.install(wat.guest(wat.START_TRAPS, "counter"))
        with refused(db):
            relation = {"name": "none", "columns": [{"name": "id", "type": "int"}]}
            schema = MANIFEST["schema"] + "create table fresh (id int primary key);"
            db.install(module(schema=schema, relations=[relation]), apply_schema=True)
        expected = db.state_hash, db.lsn
    with reifydb.open(path) as db:
        assert (db.state_hash, db.lsn) == expected
        assert set(db.tables) == {"victim"}
        assert db.call("counter.look") == 5
