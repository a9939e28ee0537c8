"""Manifests: the page's example, round trips, and every way to be wrong."""

from __future__ import annotations

import json
import re
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reifydb.engine.catalog import Column, Relation, RelationIndex, Transition, Type
from reifydb.errors import ModuleError
from reifydb.sandbox.manifest import Manifest, manifest_json, parse_manifest


def parse(document: object) -> Manifest:
    return parse_manifest(json.dumps(document).encode())


def problems(content: object) -> tuple[str, ...]:
    data = content if isinstance(content, bytes) else json.dumps(content).encode()
    with pytest.raises(ModuleError) as caught:
        parse_manifest(data)
    return caught.value.problems


def test_the_example_of_the_page() -> None:
    page = Path("docs/abi.md").read_text()
    found = re.search(r"```json\n(.*?)```", page, re.DOTALL)
    assert found is not None
    manifest = parse_manifest(found.group(1).encode())
    assert manifest.name == "bank"
    assert manifest.schema.startswith("create table account")
    assert manifest.relations == (
        Relation(
            "account",
            (
                Column("id", Type.INT, nullable=False),
                Column("owner", Type.TEXT, nullable=False),
                Column("balance", Type.INT, nullable=False),
            ),
        ),
    )
    params = tuple(Column(n, Type.INT, nullable=False) for n in ("source", "target", "amount"))
    result = (Column("result", Type.INT, nullable=False),)
    assert manifest.transitions == (Transition("transfer", params, result),)
    assert parse_manifest(manifest_json(manifest)) == manifest


def test_the_smallest_manifest() -> None:
    assert parse({"abi": 1}) == Manifest()
    assert parse({"abi": 1, "name": None}) == Manifest()


def test_a_result_is_nothing_a_value_or_a_row() -> None:
    value = {"type": "text", "nullable": True}
    row = {"columns": [{"name": "a", "type": "int"}]}
    document = {
        "abi": 1,
        "transitions": [
            {"name": "none", "result": None, "query": True},
            {"name": "value", "result": value},
            {"name": "row", "result": row},
        ],
    }
    none, one, many = parse(document).transitions
    assert (none.result, none.query) == ((), True)
    assert (one.result, one.result_is_row) == ((Column("result", Type.TEXT),), False)
    assert (many.result, many.result_is_row) == ((Column("a", Type.INT, nullable=False),), True)


def test_parameters_may_be_secret() -> None:
    param = {"name": "pin", "type": "text", "secret": True}
    manifest = parse({"abi": 1, "transitions": [{"name": "t", "params": [param]}]})
    assert manifest.transitions[0].params == (
        Column("pin", Type.TEXT, nullable=False, secret=True),
    )


def transition(**keys: Any) -> dict[str, Any]:
    return {"abi": 1, "transitions": [{"name": "t", **keys}]}


def relation(**keys: Any) -> dict[str, Any]:
    columns = [{"name": "id", "type": "int"}]
    return {"abi": 1, "relations": [{"name": "r", "columns": columns, **keys}]}


INT = {"type": "int"}
WRONG: list[tuple[object, str]] = [
    (b"", "not JSON"),
    (b"{", "not JSON"),
    (b"\xff{}", "byte 0 is not UTF-8"),
    ('{"abi": 1}'.encode("utf-16"), "byte 0 is not UTF-8"),
    (b"\xef\xbb\xbf{}", "not JSON"),
    (b"[" * 100_000, "nested too deeply"),
    (b'{"abi": NaN}', "NaN is no JSON value"),
    (b'{"abi": -Infinity}', "-Infinity is no JSON value"),
    (b'{"abi": 1, "abi": 1}', "the key 'abi' appears twice"),
    (b'{"abi": ' + b"1" * 5000 + b"}", "not JSON"),
    (b" " * 300_000, "manifest_bytes_max is 262,144"),
    ([], "$: a list where an object must stand"),
    (None, "$: null where an object must stand"),
    ({}, "$: 'abi' is missing"),
    ({"abi": 2}, "$.abi: 2 is not supported; it must be 1"),
    ({"abi": "1"}, "$.abi: '1' is not supported"),
    ({"abi": True}, "$.abi: True is not supported"),
    ({"abi": 1.0}, "$.abi: 1.0 is not supported"),
    ({"abi": 1, "relation": []}, "unknown key 'relation'; did you mean 'relations'?"),
    ({"abi": 1, "name": "Bank"}, "$.name: 'Bank' is no name"),
    ({"abi": 1, "name": "a" * 64}, "is no name"),
    ({"abi": 1, "name": "bank\n"}, "is no name"),
    ({"abi": 1, "name": 5}, "$.name: 5 is no name"),
    ({"abi": 1, "schema": 5}, "$.schema: 5 where a string must stand"),
    (b'{"abi": 1, "schema": "\\ud800"}', "$.schema: half a surrogate pair"),
    ({"abi": 1, "relations": {}}, "$.relations: an object where a list must stand"),
    ({"abi": 1, "relations": ["r"]}, "$.relations[0]: 'r' where an object must stand"),
    (relation(name="É"), "$.relations[0].name: '\\xc9' is no name"),
    (relation(columns=[]), "$.relations[0].columns: a relation binds at least one column"),
    (relation(key=1), "$.relations[0]: unknown key 'key'"),
    (
        relation(columns=[{"name": "a", **INT}] * 2),
        "$.relations[0].columns[1].name: there is a column 'a' already",
    ),
    (
        relation(columns=[{"name": f"c{i}", **INT} for i in range(257)]),
        "257 entries; at most 256 are possible",
    ),
    (
        relation(columns=[{"name": "a", **INT, "secret": True}]),
        "$.relations[0].columns[0]: unknown key 'secret'",
    ),
    (
        relation(columns=[{"name": "a", "type": "integer"}]),
        "$.relations[0].columns[0].type: there is no type 'integer'; did you mean 'int'?",
    ),
    (relation(columns=[{"name": "a", "type": 2}]), "2 where the name of a type must stand"),
    (relation(columns=[{"name": "a"}]), "$.relations[0].columns[0]: 'type' is missing"),
    (relation(columns=[INT]), "$.relations[0].columns[0]: 'name' is missing"),
    (
        relation(columns=[{"name": "a", **INT, "nullable": 1}]),
        "$.relations[0].columns[0].nullable: 1 where true or false must stand",
    ),
    ({"abi": 1, "relations": [{"name": "r"}]}, "$.relations[0]: 'columns' is missing"),
    (
        {"abi": 1, "relations": relation()["relations"] * 2},
        "$.relations[1].name: there is a relation 'r' already",
    ),
    (
        {"abi": 1, "transitions": [{"name": "t"}, {"name": "t"}]},
        "$.transitions[1].name: there is a transition 't' already",
    ),
    ({"abi": 1, "transitions": [{}] * 20_000}, "20,000 entries; at most 16,384"),
    (transition(param=[]), "unknown key 'param'; did you mean 'params'?"),
    (transition(query="no"), "$.transitions[0].query: 'no' where true or false must stand"),
    (transition(params=[{"name": "a", **INT}] * 2), "params[1].name: there is a column 'a'"),
    (transition(result="int"), "$.transitions[0].result: 'int' where an object must stand"),
    (transition(result={}), "$.transitions[0].result: 'type' is missing"),
    (transition(result={"type": "int", "name": "x"}), "result: unknown key 'name'"),
    (transition(result={"columns": []}), "a row has at least one column"),
    (transition(result={"columns": [{"name": "a", **INT}], **INT}), "result: unknown key 'type'"),
]


@pytest.mark.parametrize(("content", "expected"), WRONG, ids=[e for _, e in WRONG])
def test_a_problem_is_named_with_its_path(content: object, expected: str) -> None:
    found = problems(content)
    assert any(expected in problem for problem in found), found
    assert len(found) == 1, found


def test_all_problems_are_listed() -> None:
    found = problems({"abi": 3, "name": 1, "transitions": [{"name": "T"}, {"query": 1}], "x": 0})
    assert len(found) == 6


def test_a_list_of_problems_has_an_end() -> None:
    found = problems({"abi": 1, "relations": [0] * 4000})
    assert len(found) == 101
    assert found[-1] == "and 3,900 more"
    assert len(problems({"abi": 1, **{f"key{i}": 0 for i in range(10_000)}})) <= 102


def test_long_values_are_cut_in_messages() -> None:
    (found,) = problems({"abi": 1, "name": "x\x1b" * 1000})
    assert len(found) < 200
    assert "\x1b" not in found


names = st.from_regex(r"[a-z_][a-z0-9_]{0,8}", fullmatch=True)


PLAIN = st.sampled_from([kind for kind in Type if kind is not Type.DECIMAL])


@st.composite
def relations(draw: st.DrawFn) -> Relation:
    bound = draw(columns(least=1))
    used = st.lists(st.sampled_from([c.name for c in bound]), min_size=1, unique=True).map(tuple)
    indexes = [RelationIndex(name, draw(used)) for name in draw(st.sets(names, max_size=2))]
    return Relation(draw(names), bound, tuple(indexes))


def columns(*, secret: bool = False, least: int = 0) -> st.SearchStrategy[tuple[Column, ...]]:
    secrets = st.booleans() if secret else st.just(False)
    plain = st.builds(Column, names, PLAIN, nullable=st.booleans(), secret=secrets)
    decimals = st.builds(
        Column,
        names,
        st.just(Type.DECIMAL),
        nullable=st.booleans(),
        secret=secrets,
        precision=st.integers(9, 18),
        scale=st.integers(0, 9),
    )
    one = plain | decimals
    many = st.lists(one, min_size=least, max_size=4, unique_by=lambda c: c.name)
    return many.map(tuple)


@st.composite
def transitions(draw: st.DrawFn) -> Transition:
    result_is_row = draw(st.booleans())
    result = draw(columns(least=1)) if result_is_row else ()
    if not result_is_row and draw(st.booleans()):
        result = (Column("result", draw(PLAIN), nullable=draw(st.booleans())),)
    return Transition(
        draw(names),
        draw(columns(secret=True)),
        result,
        result_is_row=result_is_row,
        query=draw(st.booleans()),
    )


manifests = st.builds(
    Manifest,
    name=st.none() | names,
    schema=st.text(st.characters(exclude_categories=["Cs"]), max_size=50),
    relations=st.lists(relations(), max_size=3, unique_by=lambda r: r.name).map(tuple),
    transitions=st.lists(transitions(), max_size=3, unique_by=lambda t: t.name).map(tuple),
)


@given(manifests)
def test_what_is_written_is_read_back(manifest: Manifest) -> None:
    assert parse_manifest(manifest_json(manifest)) == manifest


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(
                ["abi", "name", "relations", "transitions", "columns", "params", "type"]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=20,
)


@given(json_values | st.binary(max_size=60))
def test_anything_else_ends_in_a_module_error(value: object) -> None:
    content = value if isinstance(value, bytes) else json.dumps(value).encode()
    with suppress(ModuleError):
        assert isinstance(parse_manifest(content), Manifest)
