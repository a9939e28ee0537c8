"""The guests that misbehave, on the second host: do they do what they say they do?"""

from __future__ import annotations

from typing import Any

import pytest
import wasmtime

from tests.guests import wat
from tests.guests.databases import guest
from tests.unit.sdk.fake_host import AbortedError, Column, FakeHost, Table

VALUES = {"phase": 3, "kind": 0, "bytes": 4096, "operation": 0, "code": 5}


def tables() -> dict[str, Table]:
    kinds = {"id": "int", "t": "text", "d": "bytes", "x": "float", "flag": "bool", "n": "int"}
    picky = [Column(name, kind, name in "t d x flag") for name, kind in kinds.items()]
    victim = [Column("id", "int"), Column("n", "int")]
    return {"victim": Table(victim, [0]), "picky": Table(picky, [0])}


@pytest.fixture(scope="module")
def misbehave_module() -> bytes:
    return guest("misbehave", "zig")


@pytest.fixture
def host(misbehave_module: bytes) -> FakeHost:
    return FakeHost(misbehave_module, tables())


def outcome(host: FakeHost, name: str, *arguments: int) -> Any:
    """What a call of (id, n, …) = (1, 2, …) ended with: a result, a code, or `trap`."""
    try:
        return host.call(name, 1, 2, *arguments)
    except AbortedError as error:
        return error.args[0], error.args[1]
    except wasmtime.Trap:
        return "trap"


@pytest.mark.parametrize(
    ("call", "ending"),
    [
        (("honest",), None),
        (("trap",), "trap"),
        (("out_of_bounds",), "trap"),
        (("divide_by_zero",), "trap"),
        (("call_nothing",), "trap"),
        (("abort_then_write",), (7, "aborted")),
        (("abort_twice",), (7, "first")),
        (("abort_then_trap",), "trap"),
        (("abort_bad_message", 0, 2000), (1, "")),
        (("swallow_errors",), None),
        (("return_code", 5), (5, "")),
        (("return_code", -3), (-3, "")),
        (("return_code", 0), None),
        (("write_in_query",), (-7, "")),
        (("write_in_query_anyway",), None),
        (("huge_result", 1 << 16), "\0" * (65536 - 24)),
        (("huge_result", (1 << 20) + 8), (-11, "")),
        (("huge_row", 100_001), None),
        (("many_rows", 100), None),
        (("leak_cursors", 64), None),
        (("leak_cursors", 65), (-11, "")),
        (("grow_memory", 1), None),
        (("grow_memory_then_trap", 1), "trap"),
        (("dirty_then_trap",), "trap"),
        (("leak_stack_then_trap",), "trap"),
    ],
)
def test_how_a_guest_ends(host: FakeHost, call: tuple[Any, ...], ending: Any) -> None:
    assert outcome(host, *call) == ending
    committed = ending is None or (isinstance(ending, str) and ending != "trap")
    is_query = host.transitions[call[0]].get("query", False)
    assert ((1,) in host.tables["victim"].rows) == (committed and not is_query)


DIVES = ["nothing", "get", "insert", "update", "upsert", "delete", "result", "scan", "log"]
STRAYS = ["args", "result", "abort", "get_key", "get_row", "insert", "update", "upsert", "delete"]
STRAYS += ["scan", "next", "log"]


@pytest.mark.parametrize("what", ["nothing", "upsert"])
def test_endless_recursion_traps(host: FakeHost, what: str) -> None:
    assert outcome(host, f"dive_{what}", 3) == "trap"
    assert host.tables["victim"].rows == {}


@pytest.mark.parametrize("what", STRAYS)
@pytest.mark.parametrize("kind", [0, 1, 2, 4])
def test_stray_pointers_trap(host: FakeHost, what: str, kind: int) -> None:
    assert outcome(host, f"stray_{what}", kind) == "trap"


@pytest.mark.parametrize("kind", range(15))
def test_malformed_rows_are_refused(host: FakeHost, kind: int) -> None:
    for operation in range(6):
        code = outcome(host, "malformed_row", operation, kind)
        if kind == 13:
            assert code in [(-4, ""), (-5, "")], operation
        elif (operation, kind) != (5, 5):
            assert code == (-5, ""), operation


@pytest.mark.parametrize("kind", range(26))
def test_malformed_values_are_refused(host: FakeHost, kind: int) -> None:
    code = -6 if 13 <= kind <= 18 else -4 if kind in (19, 20) else -5
    fine = kind in (21, 22, 23, 24, 25)
    assert outcome(host, "malformed_value", kind) == (None if fine else (code, ""))


@pytest.mark.parametrize("kind", range(15))
def test_what_is_not_there(host: FakeHost, kind: int) -> None:
    assert outcome(host, "no_such_thing", kind) == (-10, "")


@pytest.mark.parametrize(
    ("text", "answers"),
    [
        (wat.START, {"look": 17}),
        (wat.GLOBALS, {"look": 10}),
        (wat.TABLE, {"size": 4, "look": 56}),
        (wat.PASSIVE, {"look": 51}),
        (wat.NAN, {}),
        (wat.MULTI_VALUE, {"look": 6}),
    ],
)
def test_fresh_instances_answer_what_the_text_says(
    text: wat.Guest, answers: dict[str, int]
) -> None:
    for transition in text.transitions or ("",):
        host = FakeHost(wat.guest(text), tables())
        assert {name: host.call(name) for name in answers} == answers
        if transition.endswith(("trap", "null")):
            with pytest.raises(wasmtime.Trap):
                host.call(transition)
            assert host.tables["victim"].rows == {}
        elif transition:
            host.call(transition)
            assert host.tables["victim"].rows == {(1,): [1, 2]}
