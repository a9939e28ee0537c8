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
from tests.hostile.binaries import BINARIES, ONE_TRANSITION
from tests.hostile.entry import Hostile
from tests.hostile.manifests import MANIFESTS
from tests.unit.sandbox.samples import (
    EMPTY,
    MANIFEST,
    MEMORY,
    bank,
    functions,
    guest,
    module,
    section,
    vector,
    wat,
    with_manifest,
)

LIMITS = ModuleLimits()


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


@pytest.mark.parametrize("entry", [*BINARIES, *MANIFESTS], ids=lambda entry: entry.does)
def test_what_is_hostile_is_refused(entry: Hostile) -> None:
    assert entry.refused is not None
    assert entry.refused in problems(entry.wasm(), entry.limits)


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
