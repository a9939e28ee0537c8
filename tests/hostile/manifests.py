"""Manifests that must be refused, and where each is wrong."""

from __future__ import annotations

import json
from typing import Any

from reifydb.sandbox.binary import MANIFEST_SECTION, name_bytes, set_custom_section
from tests.hostile.entry import Hostile
from tests.unit.sandbox.samples import section, wat


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


def _with(content: object) -> bytes:
    data = content if isinstance(content, bytes) else json.dumps(content).encode()
    exported = '(func (export "t") (result i32) (i32.const 0))'
    return set_custom_section(wat(f"(module (memory 1) {exported})"), MANIFEST_SECTION, data)


MANIFESTS = [
    Hostile(f"manifest {i}: {problem}", lambda c=content: _with(c), problem)
    for i, (content, problem) in enumerate(WRONG)
]
"""A module with each of them."""


def _module_that(**keys: object) -> bytes:
    return _with({"abi": 1, "name": "m", **keys})


def _binds(table: str, *columns: tuple[str, str]) -> bytes:
    bound = [{"name": name, "type": kind} for name, kind in columns]
    return _module_that(relations=[{"name": table, "columns": bound}])


def _twice() -> bytes:
    return _module_that() + section(0, name_bytes(MANIFEST_SECTION) + b"{}")


MISFITS = [
    Hostile("no manifest", lambda: wat("(module (memory 1))"), "`reifydb pack` adds one"),
    Hostile("two manifests", _twice, "it has 2 custom sections 'reifydb.manifest'"),
    Hostile("a module cut off in its manifest", lambda: _module_that()[:-9], "are there"),
    Hostile(
        "a transition that is not exported",
        lambda: _module_that(transitions=[{"name": "nowhere"}]),
        "'nowhere' is in the manifest, but not exported",
    ),
    Hostile(
        "a schema that is no SQL",
        lambda: _module_that(schema="create tabel x (id int primary key)"),
        "the module's schema cannot be applied",
    ),
    Hostile(
        "a schema that does more than create tables",
        lambda: _module_that(schema="create table x (id int primary key); drop table victim"),
        "the module's schema cannot be applied",
    ),
    Hostile(
        "a schema with another table of a name that is taken",
        lambda: _module_that(schema="create table victim (id text primary key)"),
        "with other columns than the module's schema",
    ),
    Hostile(
        "a table of the system's",
        lambda: _binds("reifydb_modules", ("name", "text")),
        "which does not exist",
    ),
    Hostile("a table that is not there", lambda: _binds("gold", ("id", "int")), "does not exist"),
    Hostile(
        "a column of another type",
        lambda: _binds("victim", ("id", "int"), ("n", "float")),
        "victim.n as float; it is int",
    ),
    Hostile("a table without its key", lambda: _binds("victim", ("n", "int")), "primary key"),
]
"""Modules whose manifest is well-formed, or nearly, and does not fit."""
