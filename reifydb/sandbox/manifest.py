"""What a module says it offers: the JSON of its custom section `reifydb.manifest`.

docs/abi.md, "Manifest", is the definition. Parsing is strict, because a misspelt key that is
ignored is a mistake found in production: whatever the page does not name is a problem, and all
problems are listed, each with its JSON path.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from reifydb.config import columns_max, indexes_max, manifest_bytes_max, tables_max, transitions_max
from reifydb.engine.catalog import (
    NAME,
    TYPE_NAMES,
    Column,
    Relation,
    RelationIndex,
    Transition,
    Type,
    named_type,
)
from reifydb.errors import ModuleError, did_you_mean

ABI = 1
PROBLEMS_MAX = 100
"""Problems that are listed; nobody reads more, and hostile input could make millions."""

_Entry = TypeVar("_Entry")


@dataclass(frozen=True, slots=True)
class Manifest:
    """A checked manifest.

    Attributes:
        name: The name the module gives itself.
        schema: SQL of the tables it needs; empty when it needs none or leaves that to others.
        relations: What it binds, in the order of the numbers it uses.
        transitions: What it exports. A result that is one value is a column named `result`.
        operations: What it calls of primitives, in the order of the numbers it uses: each with the
            primitive's name as its `module`.
    """

    name: str | None = None
    schema: str = ""
    relations: tuple[Relation, ...] = ()
    transitions: tuple[Transition, ...] = ()
    operations: tuple[Transition, ...] = ()


def parse_manifest(content: bytes) -> Manifest:
    """Reads and checks a manifest; O(size).

    Raises:
        ModuleError: With every problem and its JSON path.
    """
    if len(content) > manifest_bytes_max:
        problem = f"it is {len(content):,} bytes long; manifest_bytes_max is {manifest_bytes_max:,}"
        raise _refused([problem])
    checker = _Checker()
    manifest = checker.manifest(_load(content))
    if checker.problems:
        raise _refused(checker.problems)
    return manifest


def manifest_json(manifest: Manifest) -> bytes:
    """The JSON of a manifest, for a tool that adds the section; `parse_manifest` reads it back."""
    document: dict[str, Any] = {"abi": ABI}
    if manifest.name is not None:
        document["name"] = manifest.name
    document["schema"] = manifest.schema
    document["relations"] = [_relation_json(relation) for relation in manifest.relations]
    document["transitions"] = [
        {
            "name": transition.name,
            "params": [_column_json(c) for c in transition.params],
            "result": _result_json(transition),
            "query": transition.query,
        }
        for transition in manifest.transitions
    ]
    if manifest.operations:
        document["operations"] = [
            {
                "primitive": operation.module,
                "name": operation.name,
                "params": [_column_json(c) for c in operation.params],
                "result": _result_json(operation),
            }
            for operation in manifest.operations
        ]
    return json.dumps(document, ensure_ascii=False, indent=1).encode()


def _relation_json(relation: Relation) -> dict[str, Any]:
    found: dict[str, Any] = {
        "name": relation.name,
        "columns": [_column_json(c) for c in relation.columns],
    }
    if relation.indexes:
        found["indexes"] = [
            {"name": index.name, "columns": list(index.columns)} for index in relation.indexes
        ]
    return found


def _column_json(column: Column, *, named: bool = True) -> dict[str, Any]:
    found: dict[str, Any] = {"name": column.name} if named else {}
    found |= {"type": column.sql_type, "nullable": column.nullable}
    return found | ({"secret": True} if column.secret else {})


def _result_json(transition: Transition) -> dict[str, Any] | None:
    if transition.result_is_row:
        return {"columns": [_column_json(c) for c in transition.result]}
    return _column_json(transition.result[0], named=False) if transition.result else None


def _refused(problems: list[str]) -> ModuleError:
    if len(problems) > PROBLEMS_MAX:
        more = len(problems) - PROBLEMS_MAX
        problems = [*problems[:PROBLEMS_MAX], f"and {more:,} more"]
    return ModuleError("the manifest is not valid", problems)


# ------------------------------------------------------------------ JSON


class _RepeatedKeyError(ValueError):
    """An object has the same key twice; Python's own reader would keep the last."""


def _load(content: bytes) -> object:
    try:
        return json.loads(
            content.decode(), object_pairs_hook=_object, parse_constant=_refuse_constant
        )
    except UnicodeDecodeError as error:
        raise _refused([f"byte {error.start} is not UTF-8"]) from None
    except RecursionError:
        raise _refused(["it is nested too deeply"]) from None
    except ValueError as error:
        raise _refused([f"not JSON: {error}"]) from None


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise _RepeatedKeyError(f"the key {_shown(key)} appears twice in one object")
        found[key] = value
    return found


def _refuse_constant(text: str) -> object:
    raise ValueError(f"{text} is no JSON value")


# ------------------------------------------------------------------ checks


class _Checker:
    """Reads values of the document; what is wrong is noted and replaced by something harmless."""

    def __init__(self) -> None:
        self.problems: list[str] = []

    def note(self, path: str, problem: str) -> None:
        self.problems.append(f"{path}: {problem}")

    # -------------------------------------------------------------- the document

    def manifest(self, document: object) -> Manifest:
        found = self.keys(
            document, "$", {"abi"}, {"name", "schema", "relations", "transitions", "operations"}
        )
        abi = found.get("abi", ABI)
        if abi != ABI or type(abi) is not int:
            self.note("$.abi", f"{_shown(abi)} is not supported; it must be {ABI}")
        name = self.name(found["name"], "$.name") if found.get("name") is not None else None
        relations = self.entries(
            found.get("relations", []), "$.relations", tables_max, self.relation
        )
        self.distinct([relation.name for relation in relations], "$.relations", "relation")
        transitions = self.entries(
            found.get("transitions", []), "$.transitions", transitions_max, self.transition
        )
        self.distinct([one.name for one in transitions], "$.transitions", "transition")
        operations = self.entries(
            found.get("operations", []), "$.operations", transitions_max, self.operation
        )
        schema = self.text(found.get("schema", ""), "$.schema")
        return Manifest(name, schema, relations, transitions, operations)

    def relation(self, value: object, path: str) -> Relation:
        found = self.keys(value, path, {"name", "columns"}, {"indexes"})
        columns = self.columns(found.get("columns", []), f"{path}.columns", self.column)
        if not columns and found.get("columns") == []:
            self.note(f"{path}.columns", "a relation binds at least one column")
        bound = {column.name for column in columns}
        indexes = self.entries(
            found.get("indexes", []),
            f"{path}.indexes",
            indexes_max,
            lambda entry, place: self.index(entry, place, bound),
        )
        self.distinct([index.name for index in indexes], f"{path}.indexes", "index")
        return Relation(self.name(found.get("name"), f"{path}.name"), columns, indexes)

    def index(self, value: object, path: str, bound: set[str]) -> RelationIndex:
        found = self.keys(value, path, {"name", "columns"}, set())
        names = self.entries(found.get("columns", []), f"{path}.columns", columns_max, self.name)
        if not names and found.get("columns") == []:
            self.note(f"{path}.columns", "an index has at least one column")
        for i, name in enumerate(names):
            if name and name not in bound:
                self.note(f"{path}.columns[{i}]", f"the relation does not bind column {name!r}")
        return RelationIndex(self.name(found.get("name"), f"{path}.name"), names)

    def transition(self, value: object, path: str) -> Transition:
        found = self.keys(value, path, {"name"}, {"params", "result", "query"})
        result, result_is_row = self.result(found.get("result"), f"{path}.result")
        return Transition(
            name=self.name(found.get("name"), f"{path}.name"),
            params=self.columns(found.get("params", []), f"{path}.params", self.param),
            result=result,
            result_is_row=result_is_row,
            query=self.flag(found, "query", path),
        )

    def operation(self, value: object, path: str) -> Transition:
        found = self.keys(value, path, {"primitive", "name"}, {"params", "result"})
        result, result_is_row = self.result(found.get("result"), f"{path}.result")
        return Transition(
            name=self.name(found.get("name"), f"{path}.name"),
            params=self.columns(found.get("params", []), f"{path}.params", self.param),
            result=result,
            result_is_row=result_is_row,
            module=self.name(found.get("primitive"), f"{path}.primitive"),
        )

    def result(self, value: object, path: str) -> tuple[tuple[Column, ...], bool]:
        """A result's columns and whether they are a row."""
        if value is None:
            return (), False
        if isinstance(value, dict) and "columns" in value:
            found = self.keys(value, path, {"columns"}, set())
            columns = self.columns(found["columns"], f"{path}.columns", self.column)
            if found["columns"] == []:
                self.note(f"{path}.columns", "a row has at least one column; no result is null")
            return columns, True
        found = self.keys(value, path, {"type"}, {"nullable"})
        return (self.column_of("result", found, path),), False

    # -------------------------------------------------------------- columns

    def columns(
        self, value: object, path: str, read: Callable[[object, str], Column]
    ) -> tuple[Column, ...]:
        columns = self.entries(value, path, columns_max, read)
        self.distinct([column.name for column in columns], path, "column")
        return columns

    def column(self, value: object, path: str) -> Column:
        found = self.keys(value, path, {"name", "type"}, {"nullable"})
        return self.column_of(self.name(found.get("name"), f"{path}.name"), found, path)

    def param(self, value: object, path: str) -> Column:
        found = self.keys(value, path, {"name", "type"}, {"nullable", "secret"})
        return self.column_of(self.name(found.get("name"), f"{path}.name"), found, path)

    def column_of(self, name: str, found: dict[str, Any], path: str) -> Column:
        kind, precision, scale = self.type_named(found.get("type"), f"{path}.type")
        return Column(
            name,
            kind,
            nullable=self.flag(found, "nullable", path),
            secret=self.flag(found, "secret", path),
            precision=precision,
            scale=scale,
        )

    # -------------------------------------------------------------- values

    def keys(
        self, value: object, path: str, needed: set[str], possible: set[str]
    ) -> dict[str, Any]:
        """The keys of an object that may be there. A missing one is noted here, once."""
        if not isinstance(value, dict):
            self.note(path, f"{_shown(value)} where an object must stand")
            return {}
        known = needed | possible
        for key in value:
            if key not in known and len(self.problems) <= PROBLEMS_MAX:
                self.note(path, f"unknown key {_shown(key)}; {did_you_mean(key[:100], known)}")
        for key in sorted(needed - value.keys()):
            self.note(path, f"{key!r} is missing")
        return {key: value[key] for key in known if key in value}

    def entries(
        self, value: object, path: str, count_max: int, read: Callable[[object, str], _Entry]
    ) -> tuple[_Entry, ...]:
        if not isinstance(value, list):
            self.note(path, f"{_shown(value)} where a list must stand")
            return ()
        if len(value) > count_max:
            self.note(path, f"{len(value):,} entries; at most {count_max:,} are possible")
            return ()
        return tuple([read(entry, f"{path}[{i}]") for i, entry in enumerate(value)])

    def text(self, value: object, path: str) -> str:
        if not isinstance(value, str):
            self.note(path, f"{_shown(value)} where a string must stand")
            return ""
        try:
            value.encode()
        except UnicodeEncodeError:
            self.note(path, "half a surrogate pair is not text")
            return ""
        return value

    def name(self, value: object, path: str) -> str:
        """A name; "" for a missing key, which `keys` has noted."""
        if value is None:
            return ""
        if not isinstance(value, str) or not NAME.fullmatch(value):
            self.note(path, f"{_shown(value)} is no name; names match {NAME.pattern}")
            return ""
        return value

    def type_named(self, value: object, path: str) -> tuple[Type, int, int]:
        found = named_type(value) if isinstance(value, str) else None
        if found is not None:
            return found
        if isinstance(value, str):
            hint = did_you_mean(value[:100], TYPE_NAMES)
            self.note(path, f"there is no type {_shown(value)}; {hint}")
        elif value is not None:
            self.note(path, f"{_shown(value)} where the name of a type must stand")
        return Type.INT, 0, 0

    def flag(self, found: dict[str, Any], key: str, path: str) -> bool:
        value = found.get(key, False)
        if not isinstance(value, bool):
            self.note(f"{path}.{key}", f"{_shown(value)} where true or false must stand")
            return False
        return value

    def distinct(self, names: list[str], path: str, what: str) -> None:
        seen: set[str] = set()
        for i, name in enumerate(names):
            if name in seen:
                self.note(f"{path}[{i}].name", f"there is a {what} {name!r} already")
            if name:
                seen.add(name)


def _shown(value: object) -> str:
    """A value for a message, cut to a length a line can hold."""
    if isinstance(value, dict):
        return "an object"
    if isinstance(value, list):
        return "a list"
    text = "null" if value is None else ascii(value) if isinstance(value, str) else str(value)
    return text if len(text) <= 60 else text[:60] + "…"
