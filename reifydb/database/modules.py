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
from functools import lru_cache, partial
from typing import TYPE_CHECKING

from reifydb.config import ModuleLimits, bindings_max, operations_max
from reifydb.database.faults import commit_refusal
from reifydb.database.schema import Bound, SchemaChange, create_table
from reifydb.database.state import State
from reifydb.database.tables import MODULES, Catalog, TableHandle
from reifydb.database.transitions import WasmTransition
from reifydb.database.views import Views
from reifydb.engine.catalog import Column, Relation, Table, Transition
from reifydb.engine.descriptors import transition_descriptor
from reifydb.engine.ffi import CallEnded
from reifydb.errors import (
    LimitError,
    ModuleError,
    ReifyDBError,
    RequestError,
    SchemaError,
    TransactionError,
    UnknownNameError,
    did_you_mean,
)
from reifydb.primitives import operations_of
from reifydb.sandbox.bridge import Addresses, Bindings
from reifydb.sandbox.guest import Guest
from reifydb.sandbox.manifest import Manifest
from reifydb.sandbox.replies import CompiledGuest
from reifydb.sql.statements import CreateIndex

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
    bound: tuple[Binding, ...]
    primitives: frozenset[int]  # the tables of those whose operations it calls

    def uses(self) -> Iterable[Bound]:
        """What it binds, for those who would drop it."""
        for one in self.bound:
            places, indexes = frozenset(one.places), frozenset(one.indexes)
            yield Bound(self.module.name, one.table, places, indexes)
        for number in self.primitives:
            yield Bound(self.module.name, number, frozenset(), frozenset())


@dataclass(frozen=True, slots=True)
class Binding:
    """A relation of a module as it was found when the module was installed: by number and place, so
    that it stays bound to them, whatever they are called later.

    Attributes:
        table: The table's number.
        places: Where in stored rows the columns are, in the relation's order.
        indexes: Numbers of the indexes, in the relation's order.
    """

    table: int
    places: tuple[int, ...]
    indexes: tuple[int, ...]


def bindings_json(bound: Iterable[Binding]) -> str:
    """Bindings as they are kept with the module."""
    return json.dumps(
        [{"table": b.table, "places": b.places, "indexes": b.indexes} for b in bound],
        separators=(",", ":"),
    )


def bindings_from_json(text: str) -> tuple[Binding, ...]:
    """The way back."""
    return tuple(
        Binding(one["table"], tuple(one["places"]), tuple(one["indexes"]))
        for one in json.loads(text)
    )


@lru_cache(maxsize=16)
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
        except RequestError as error:
            problems.append(f"it binds {relation.name!r}: {error}")
            continue
        problems.extend(_relation_problems(relation, handle))
    for operation in manifest.operations:
        problems.extend(_operation_problems(operation, catalog))
    return problems


def _operation_problems(wanted: Transition, catalog: Catalog) -> Iterable[str]:
    what = f"it calls {wanted.module}.{wanted.name}"
    handle = catalog.handles.get(wanted.module)
    if handle is None:
        hint = did_you_mean(wanted.module, catalog.user_names)
        yield f"{what}, and there is no {wanted.module!r} ({hint}); install with apply_schema=True"
        return
    known = {operation.name: operation for operation in operations_of(handle.table)}
    found = known.get(wanted.name)
    if found is None:
        hint = did_you_mean(wanted.name, known) if known else f"it is a {handle.table.word}"
        yield f"{what}, which is no operation ({hint})"
    elif _types_of(found.params) != _types_of(wanted.params):
        yield f"{what} ({_shown(wanted.params)}); it takes ({_shown(found.params)})"
    elif _types_of(found.result) != _types_of(wanted.result):
        yield f"{what}, which gives ({_shown(found.result)}), not ({_shown(wanted.result)})"


def _types_of(columns: Iterable[Column]) -> list[tuple[str, bool]]:
    return [(column.sql_type, column.nullable) for column in columns]


def _shown(columns: Iterable[Column]) -> str:
    return ", ".join(f"{c.sql_type}{' null' if c.nullable else ''}" for c in columns)


def _relation_problems(relation: Relation, handle: TableHandle) -> Iterable[str]:
    table = handle.table
    for column in relation.columns:
        place = f"it binds column {relation.name}.{column.name}"
        position = table.position(column.name)
        if position is None:
            yield f"{place}, which does not exist ({did_you_mean(column.name, handle.names)})"
            continue
        there = table.columns[position]
        if not there.same_type(column):
            yield f"{place} as {column.sql_type}; it is {there.sql_type}"
        elif there.nullable and position not in table.key and not column.nullable:
            yield f"{place} as not null; it can be null"
    bound = {column.name for column in relation.columns}
    for name in handle.key_names:
        if name not in bound:
            yield f"it binds table {relation.name} without its primary key column {name}"
    for index in relation.indexes:
        found = table.index(index.name)
        if found is None:
            hint = did_you_mean(index.name, [i.name for i in table.indexes])
            yield (
                f"it binds index {index.name!r} of table {relation.name}, which does not exist "
                f"({hint}); create it, or install with apply_schema=True"
            )
        elif (names := tuple(table.columns[i].name for i in found.columns)) != index.columns:
            yield (
                f"it binds index {index.name} of columns {', '.join(index.columns)}; "
                f"it is of {', '.join(names)}"
            )


def apply_schema(manifest: Manifest, state: State) -> None:
    """Makes what a module's own schema has and the database has not: tables, and indexes of tables
    that are there. Inside the open transaction.

    Raises:
        ModuleError: Its schema is not valid, or a table or index that is there is another one.
    """
    from reifydb.sql import parse_schema

    if not manifest.schema:
        return
    refused = "the module's schema cannot be applied"
    try:
        wanted = [create.table for create in parse_schema(manifest.schema)]
    except ReifyDBError as error:
        raise ModuleError(refused, [str(error)]) from None
    problems = [problem for table in wanted for problem in conflicts(table, state.catalog)]
    if problems:
        raise ModuleError(refused, problems)
    try:
        for table in wanted:
            _complete(table, state)
    except (SchemaError, TransactionError, LimitError) as error:
        raise ModuleError(refused, [str(error)]) from None


def conflicts(wanted: Table, catalog: Catalog) -> Iterable[str]:
    """What is there and is not what a module's schema wants under the same name."""
    if wanted.name in catalog.parameterised:
        yield f"table {wanted.name} cannot be made: a view has its name"
    there = catalog.handles.get(wanted.name)
    for index in wanted.indexes:
        other = catalog.table_of_index(index.name)
        if other is not None and other.name != wanted.name:
            yield f"index {index.name} is there already, of table {other.name}"
    if there is None:
        return
    if _columns_of(there.table) != _columns_of(wanted):
        yield (f"table {wanted.name} is there already, with other columns than the module's schema")
        return
    for index in wanted.indexes:
        own = there.table.index(index.name)
        if own is not None and (own.columns, own.unique) != (index.columns, index.unique):
            yield f"index {index.name} is there already, another one than the module's schema has"


def _columns_of(table: Table) -> object:
    return table.columns, table.key, table.auto, table.primitive


def _complete(wanted: Table, state: State) -> None:
    there = state.catalog.handles.get(wanted.name)
    if there is None:
        create_table(state, wanted)
        return
    change = SchemaChange(state, Views(state), lambda: ())
    for index in wanted.indexes:
        names = tuple(wanted.columns[i].name for i in index.columns)
        change.apply(CreateIndex(index.name, wanted.name, names, index.unique, if_not_exists=True))


# ------------------------------------------------------------------ numbers


def free_bindings(installed: Iterable[Installed], count: int, operations: int) -> Bindings:
    """Room for the relations and the operations of a module.

    Raises:
        LimitError: There is none.
    """
    taken = [one.bindings for one in installed]
    first = _free([(one.first, one.count) for one in taken], count)
    if first + count > bindings_max:
        raise LimitError("too many bound relations", limit="bindings_max", value=bindings_max)
    first_operation = _free([(one.first_operation, one.operations) for one in taken], operations)
    if first_operation + operations > operations_max:
        raise LimitError("too many bound operations", limit="operations_max", value=operations_max)
    return Bindings(first, count, first_operation, operations)


def _free(taken: Iterable[tuple[int, int]], count: int) -> int:
    """The first of so many numbers that nobody has."""
    first = 0
    for start, length in sorted(taken):
        if start - first >= count:
            break
        first = max(first, start + length)
    return first


# ------------------------------------------------------------------ linking


def link(
    registry: Registry,
    compiled: CompiledGuest,
    limits: ModuleLimits,
    numbers: Mapping[str, int],
    bound: tuple[Binding, ...],
) -> Installed:
    """Tells the kernel about a module and links its instances; the reverse is `forget`.

    Raises:
        ModuleError: Its start function failed, or an instance could not be made.
    """
    manifest = compiled.manifest
    bindings = free_bindings(
        registry.installed.values(), len(manifest.relations), len(manifest.operations)
    )
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
        for i, one in enumerate(bound):
            define_binding(registry, bindings.first + i, one)
        for i, operation in enumerate(manifest.operations):
            found = registry.find(f"{operation.module}.{operation.name}")
            assert isinstance(found, WasmTransition)
            define_operation(registry, bindings.first_operation + i, found.number)
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
    refusal = partial(commit_refusal, registry.state)
    handles = tuple(WasmTransition(t, deadline_ms, refusal) for t in transitions.values())
    handles_of = registry.state.catalog.handles
    primitives = frozenset(handles_of[one.module].number for one in manifest.operations)
    return Installed(module, guest, bindings, handles, bound, primitives)


def resolve(manifest: Manifest, catalog: Catalog) -> tuple[Binding, ...]:
    """What the names of a manifest mean now; `problems_of` has found nothing wrong with them.

    Raises:
        UnknownNameError: A table, column or index is not there (opening a database only).
    """
    found = []
    for relation in manifest.relations:
        handle = catalog.get(relation.name)
        place_of = {name: place for place, name in handle.by_place.items()}
        for name in (c.name for c in relation.columns):
            if name not in place_of:
                raise UnknownNameError(f"column in table {handle.name}:", name, handle.names)
        places = tuple(place_of[c.name] for c in relation.columns)
        indexes = tuple(handle.index(index.name)[0] for index in relation.indexes)
        found.append(Binding(handle.number, places, indexes))
    return tuple(found)


def define_binding(registry: Registry, number: int, bound: Binding) -> None:
    """Tells the kernel what a module's relation is."""
    columns, indexes = len(bound.places), len(bound.indexes)
    head = struct.pack(f"<IHH{columns}H", bound.table, columns, indexes, *bound.places)
    head += bytes(-len(head) % 4)
    _define(registry, "define_binding", number, head + struct.pack(f"<{indexes}I", *bound.indexes))


def define_operation(registry: Registry, number: int, transition: int) -> None:
    """Tells the kernel which native transition a module's operation is."""
    code = registry.kernel.call["define_operation"](number, transition)
    if code < 0:
        raise ModuleError(f"the kernel refused the module: define_operation answered {code}")


def define_transition(registry: Registry, transition: Transition, limits: ModuleLimits) -> None:
    """Tells the kernel a transition's types and limits."""
    source = transition_descriptor(transition, limits)
    _define(registry, "define_transition", transition.number, source)


def _define(registry: Registry, function: str, number: int, source: bytes) -> None:
    registry.state.put(source)
    code = registry.kernel.call[function](number, len(source))
    if code < 0:
        raise ModuleError(f"the kernel refused the module: {function} answered {code}")


def undefine(registry: Registry, bindings: Bindings, transitions: Iterable[int]) -> None:
    """Makes the kernel forget bindings and transitions."""
    for number in range(bindings.first, bindings.first + bindings.count):
        _define(registry, "define_binding", number, b"")
    for number in range(bindings.operations):
        define_operation(registry, bindings.first_operation + number, 0)
    for number in transitions:
        _define(registry, "define_transition", number, b"")


def forget(registry: Registry, installed: Installed, *, keep: Iterable[int] = ()) -> None:
    """Takes a module out of the kernel, but for transitions whose numbers are `keep`."""
    kept = set(keep)
    gone = [handle.number for handle in installed.handles if handle.number not in kept]
    undefine(registry, installed.bindings, gone)
    if installed.guest in registry.kernel.linked:
        registry.kernel.unlink(installed.guest)


def write_module(
    registry: Registry,
    compiled: CompiledGuest,
    wasm: bytes,
    limits: ModuleLimits,
    bound: Iterable[Binding],
) -> None:
    """Keeps a module in the system's table; inside the open transaction."""
    registry.state.write_system(
        MODULES,
        {
            "name": compiled.name,
            "sha256": compiled.sha256,
            "limits": limits_json(limits),
            "wasm": wasm,
            "bindings": bindings_json(bound),
        },
    )
