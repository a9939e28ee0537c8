"""Manifests: the page's example, round trips, and every way to be wrong."""

from __future__ import annotations

import json
import re
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reifydb.engine.catalog import Column, Relation, RelationIndex, Transition, Type
from reifydb.errors import ModuleError
from reifydb.sandbox.manifest import Manifest, manifest_json, parse_manifest
from tests.hostile.manifests import WRONG


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
