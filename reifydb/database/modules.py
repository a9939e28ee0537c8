"""Installing, replacing and removing modules: one step between two batches.

A module is looked at and compiled in a process of its own first, without anybody waiting. Then, in
one transaction: missing tables are made (`apply_schema`), everything it binds is checked against
the schema, its rows go into the system's tables, its instances are linked. Whatever fails undoes
all of it, and the module that was there before goes on.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from reifydb.config import ModuleLimits, bindings_max, transitions_max
from reifydb.database.tables import MODULES, TRANSITIONS, Catalog, TableHandle, numbered
from reifydb.database.transitions import WasmTransition
from reifydb.engine.catalog import Column, Relation, Table, Transition
from reifydb.engine.ffi import CallEnded
from reifydb.errors import LimitError, ModuleError, ReifyDBError, UnknownNameError, did_you_mean
from reifydb.sandbox.bridge import Addresses, Bindings
from reifydb.sandbox.guest import Guest
from reifydb.sandbox.manifest import Manifest
from reifydb.sandbox.replies import CompiledGuest

if TYPE_CHECKING:
    from reifydb.database.registry import Registry


@dataclass(frozen=True, slots=True)
class Module:
    """An installed module.

    Attributes:
        name: What its transitions' names begin with.
        sha256: Of its binary, in hexadecimal.
        transitions: By name, without the module's.
        limits: What it may use.
    """

    name: str
    sha256: str
    transitions: Mapping[str, Transition]
    limits: ModuleLimits

    def __repr__(self) -> str:
        count = len(self.transitions)
        return f"<reifydb.Module {self.name!r}, {count} transitions, sha256 {self.sha256[:12]}…>"


@dataclass(frozen=True, slots=True)
class Installed:
    """A module and what was made for it."""

    module: Module
    guest: Guest
    bindings: Bindings
    handles: tuple[WasmTransition, ...]


def limits_json(limits: ModuleLimits) -> str:
    """Limits as they are kept with the module."""
    return json.dumps(asdict(limits), sort_keys=True)


def limits_from_json(text: str) -> ModuleLimits:
    """The way back; limits that this version does not know are left out."""
    known = ModuleLimits.__dataclass_fields__
    return ModuleLimits(**{k: v for k, v in json.loads(text).items() if k in known})


# ------------------------------------------------------------------ checks


def problems_of(manifest: Manifest, catalog: Catalog) -> list[str]:
    """Everything in which a module does not fit the schema."""
    problems: list[str] = []
    for relation in manifest.relations:
        try:
            handle = catalog.get(relation.name)
        except UnknownNameError:
            hint = did_you_mean(relation.name, catalog.user_names)
            problems.append(
                f"it binds table {relation.name!r}, which does not exist ({hint}); "
                "create it, or install with apply_schema=True"
            )
            continue
        problems.extend(_relation_problems(relation, handle))
    return problems


def _relation_problems(relation: Relation, handle: TableHandle) -> Iterable[str]:
    table = handle.table
    for column in relation.columns:
        place = f"it binds column {relation.name}.{column.name}"
        position = table.position(column.name)
        if position is None:
            yield f"{place}, which does not exist ({did_you_mean(column.name, handle.names)})"
            continue
        there = table.columns[position]
        if there.type is not column.type:
            yield f"{place} as {column.type.sql}; it is {there.type.sql}"
        elif there.nullable and position not in table.key and not column.nullable:
            yield f"{place} as not null; it can be null"
    bound = {column.name for column in relation.columns}
    for name in handle.key_names:
        if name not in bound:
            yield f"it binds table {relation.name} without its primary key column {name}"


def missing_tables(manifest: Manifest, catalog: Catalog) -> list[Table]:
    """The tables of a module's own schema that are not there yet.

    Raises:
        ModuleError: Its schema is not valid, or a table that is there is another one.
    """
    from reifydb.sql import parse_schema

    if not manifest.schema:
        return []
    try:
        wanted = [create.table for create in parse_schema(manifest.schema)]
    except ReifyDBError as error:
        raise ModuleError("the module's schema cannot be applied", [str(error)]) from None
    missing, problems, number = [], [], catalog.next_number
    for table in wanted:
        there = catalog.handles.get(table.name)
        if there is None:
            missing.append(numbered(table, number))
            number += 1
        elif numbered(there.table, 0) != numbered(table, 0):
            problems.append(
                f"table {table.name} is there already, with other columns than the module's schema"
            )
    if problems:
        raise ModuleError("the module's schema cannot be applied", problems)
    return missing


# ------------------------------------------------------------------ numbers


def transition_numbers(registry: Registry, name: str, manifest: Manifest) -> dict[str, int]:
    """A number for each transition: the one it had before, else one that was never used.

    Raises:
        LimitError: There are no more.
    """
    rows = registry.state.rows_of(TRANSITIONS)
    known = {str(row["name"]): _int(row["number"]) for row in rows if row["module"] == name}
    following = max((_int(row["number"]) for row in rows), default=0) + 1
    numbers: dict[str, int] = {}
    for transition in manifest.transitions:
        number = known.get(transition.name)
        if number is None:
            number, following = following, following + 1
        if number >= transitions_max:
            raise LimitError("too many transitions", limit="transitions_max", value=transitions_max)
        numbers[transition.name] = number
    return numbers


def free_bindings(installed: Iterable[Installed], count: int) -> Bindings:
    """Room for the relations of a module.

    Raises:
        LimitError: There is none.
    """
    first = 0
    for taken in sorted((i.bindings for i in installed), key=lambda b: b.first):
        if taken.first - first >= count:
            break
        first = max(first, taken.first + taken.count)
    if first + count > bindings_max:
        raise LimitError("too many bound relations", limit="bindings_max", value=bindings_max)
    return Bindings(first, count)


def _int(value: object) -> int:
    assert isinstance(value, int)
    return value


# ------------------------------------------------------------------ linking


def link(
    registry: Registry, compiled: CompiledGuest, limits: ModuleLimits, numbers: Mapping[str, int]
) -> Installed:
    """Tells the kernel about a module and links its instances; the reverse is `forget`.

    Raises:
        ModuleError: Its start function failed, or an instance could not be made.
    """
    manifest = compiled.manifest
    bindings = free_bindings(registry.installed.values(), len(manifest.relations))
    transitions = {
        t.name: Transition(
            t.name, t.params, t.result, t.result_is_row, t.query, compiled.name, numbers[t.name]
        )
        for t in manifest.transitions
    }
    addresses = Addresses.of(registry.kernel)
    guest = Guest(
        registry.workshop, registry.watchdog, compiled, dict(numbers), bindings, addresses
    )
    try:
        for i, relation in enumerate(manifest.relations):
            define_binding(registry, bindings.first + i, relation)
        for transition in transitions.values():
            define_transition(registry, transition, limits)
        registry.kernel.link(guest)
    except BaseException as error:
        # A binding may be of a table whose creation is about to be undone.
        undefine(registry, bindings, numbers.values())
        if not isinstance(error, CallEnded):
            raise
        registry.kernel.restore_stack()
        raise ModuleError(
            f"module {compiled.name} cannot be started", [f"its start function: {error.reason}"]
        ) from None
    deadline_ms = (
        limits.deadline_ms if limits.deadline_ms is not None else registry.options.deadline_ms
    )
    module = Module(compiled.name, compiled.sha256, transitions, limits)
    handles = tuple(WasmTransition(t, deadline_ms) for t in transitions.values())
    return Installed(module, guest, bindings, handles)


def define_binding(registry: Registry, number: int, relation: Relation) -> None:
    """Binds columns by name to where they are now."""
    handle = registry.state.catalog.get(relation.name)
    positions = [handle.table.position(c.name) for c in relation.columns]
    head = struct.pack(f"<IHH{len(positions)}H", handle.number, len(positions), 0, *positions)
    _define(registry, "define_binding", number, head)


def define_transition(registry: Registry, transition: Transition, limits: ModuleLimits) -> None:
    """Tells the kernel a transition's types and limits."""
    params, result = transition.params, transition.result
    flags = int(transition.query) | (2 if any(c.secret for c in params) else 0)
    head = struct.pack(
        "<IHHQQQ",
        flags,
        len(params),
        len(result),
        limits.rows_written_max,
        limits.rows_scanned_max,
        limits.result_bytes_max,
    )
    source = head + _columns(params) + _columns(result)
    _define(registry, "define_transition", transition.number, source)


def _columns(columns: tuple[Column, ...]) -> bytes:
    return bytes(c.type for c in columns) + bytes(c.nullable for c in columns)


def _define(registry: Registry, function: str, number: int, source: bytes) -> None:
    registry.state.put(source)
    code = registry.kernel.call[function](number, len(source))
    if code < 0:
        raise ModuleError(f"the kernel refused the module: {function} answered {code}")


def undefine(registry: Registry, bindings: Bindings, transitions: Iterable[int]) -> None:
    """Makes the kernel forget bindings and transitions."""
    for number in range(bindings.first, bindings.first + bindings.count):
        _define(registry, "define_binding", number, b"")
    for number in transitions:
        _define(registry, "define_transition", number, b"")


def forget(registry: Registry, installed: Installed, *, keep: Iterable[int] = ()) -> None:
    """Takes a module out of the kernel, but for transitions whose numbers are `keep`."""
    kept = set(keep)
    gone = [handle.number for handle in installed.handles if handle.number not in kept]
    undefine(registry, installed.bindings, gone)
    if installed.guest in registry.kernel.linked:
        registry.kernel.unlink(installed.guest)


def write_rows(
    registry: Registry,
    compiled: CompiledGuest,
    wasm: bytes,
    limits: ModuleLimits,
    numbers: Mapping[str, int],
) -> None:
    """Keeps a module in the system's tables; inside the open transaction."""
    registry.state.write_system(
        MODULES,
        {
            "name": compiled.name,
            "sha256": compiled.sha256,
            "limits": limits_json(limits),
            "wasm": wasm,
        },
    )
    for name, number in numbers.items():
        registry.state.write_system(
            TRANSITIONS, {"number": number, "module": compiled.name, "name": name}
        )
