"""Decides from a guest's binary alone whether it may be compiled and installed.

This is the first thing that happens to an upload, in the compiling process, before wasmtime sees a
byte of it: a valid module with the wrong types in a signature ends the whole process when
wasmtime's Python package is only asked for its exports. All problems are collected, each with what
would be right, so that one attempt shows them all.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from reifydb.config import ModuleLimits
from reifydb.engine.catalog import NAME
from reifydb.errors import ModuleError, did_you_mean
from reifydb.sandbox import bodies
from reifydb.sandbox import declarations as d
from reifydb.sandbox import reader as r
from reifydb.sandbox.binary import MANIFEST_SECTION, PAGE_BYTES, STATE_PREFIX
from reifydb.sandbox.host_functions import IMPORT_MODULE, SIGNATURES, TRANSITION, Signature
from reifydb.sandbox.manifest import PROBLEMS_MAX, Manifest, parse_manifest
from reifydb.sandbox.reader import Section

_Item = TypeVar("_Item")

_COUNTED = (
    # All bounded by `functions_max`: a type or a segment costs as much as a small function.
    (r.TYPE, "types", "functions_max"),
    (r.IMPORT, "imports", "imports_max"),
    (r.FUNCTION, "functions", "functions_max"),
    (r.TABLE, "tables", "tables_max"),
    (r.GLOBAL, "globals", "globals_max"),
    (r.EXPORT, "exports", "exports_max"),
    (r.ELEMENTS, "element segments", "functions_max"),
    (r.DATA, "data segments", "functions_max"),
)


@dataclass(frozen=True, slots=True)
class Inspected:
    """What an accepted module is.

    Attributes:
        name: Its name: as asked for, else the manifest's.
        imports: Names of the host functions it imports, in order.
        exports: Names of the functions it exports, in order.
        manifest: Its manifest.
    """

    name: str
    imports: tuple[str, ...]
    exports: tuple[str, ...]
    manifest: Manifest


def inspect_guest(wasm: bytes, limits: ModuleLimits, name: str | None = None) -> Inspected:
    """Inspects a guest; O(size), about 0.1 s per MiB of code.

    It says nothing about types inside function bodies: wasmtime's validation comes after it.

    Raises:
        ModuleError: The module is refused; `problems` lists every reason found.
    """
    inspector = _Inspector(wasm, limits)
    inspected = inspector.inspect(name)
    if inspector.problems or inspected is None:
        problems = inspector.problems
        if len(problems) > PROBLEMS_MAX:
            more = len(problems) - PROBLEMS_MAX
            problems = [*problems[:PROBLEMS_MAX], f"and {more:,} more"]
        raise ModuleError("the module cannot be installed", problems)
    return inspected


class _Inspector:
    """One inspection. What cannot be read is noted, is None, and is not looked at any further."""

    def __init__(self, wasm: bytes, limits: ModuleLimits) -> None:
        self.wasm, self.limits = wasm, limits
        self.problems: list[str] = []
        self.sections: list[Section] = []
        self.too_long: set[int] = set()

    def inspect(self, name: str | None) -> Inspected | None:
        if not self.within("bytes", len(self.wasm), "module_bytes_max"):
            return None
        try:
            self.sections = r.read_sections(self.wasm)
        except ModuleError as error:
            self.problems += error.problems
            return None
        self.check_counts()
        types = self.read(d.read_types, r.TYPE)
        imports = self.read(d.read_imports, r.IMPORT)
        functions = self.read(d.read_functions, r.FUNCTION)
        tables = self.read(d.read_tables, r.TABLE)
        exports = self.read(d.read_exports, r.EXPORT)
        self.read(d.read_globals, r.GLOBAL)
        signatures = _signatures(types, imports, functions)
        if imports is not None:
            self.check_imports(imports, types)
        memory_bytes = self.check_memory()
        self.check_tables(tables)
        self.check_segments(memory_bytes, tables)
        if exports is not None:
            self.check_exports(exports, signatures)
        self.check_bodies(imports, functions, signatures)
        if r.find_section(self.sections, r.TAG) is not None:
            self.problems.append("it has exception tags; use the host function abort instead")
        manifest = self.manifest()
        if manifest is not None and exports is not None:
            self.check_transitions(manifest, exports, signatures)
        chosen = self.chosen_name(name, manifest)
        if manifest is None or imports is None or exports is None or chosen is None:
            return None
        return Inspected(
            name=chosen,
            imports=tuple([one.name for one in imports]),
            exports=tuple([one.name for one in exports if one.kind == r.FUNCTION_KIND]),
            manifest=manifest,
        )

    # -------------------------------------------------------------- reading

    def within(self, what: str, found: int, limit: str) -> bool:
        """Notes what is above its limit."""
        most: int = getattr(self.limits, limit)
        if found > most:
            self.problems.append(f"it has {found:,} {what}; {limit} is {most:,}")
        return found <= most

    def check_counts(self) -> None:
        """Notes sections with too many entries, so that none of their entries is read."""
        for number, what, limit in _COUNTED:
            count = 0
            try:
                _, count = r.counted(self.sections, number)
            except ModuleError:
                continue  # noted when the section is read
            if not self.within(what, count, limit):
                self.too_long.add(number)

    def read(self, read: Callable[[list[Section]], list[_Item]], number: int) -> list[_Item] | None:
        """What a section declares; None, with a problem noted, when it cannot be read."""
        if number in self.too_long:
            return None
        try:
            return read(self.sections)
        except ModuleError as error:
            self.problems += error.problems
            return None

    # -------------------------------------------------------------- checks

    def check_imports(self, imports: list[d.Import], types: list[Signature] | None) -> None:
        seen: set[tuple[str, str]] = set()
        for one in imports:
            shown = f"import {_shown(one.module)} {_shown(one.name)}"
            problem = None
            if one.kind != r.FUNCTION_KIND:
                problem = f"is a {r.KINDS[one.kind]}; only functions can be imported"
            elif one.module != IMPORT_MODULE:
                problem = f"is not offered; host functions are in module {IMPORT_MODULE!r}"
            elif one.name not in SIGNATURES:
                problem = f"is not offered; {did_you_mean(one.name[:100], SIGNATURES)}"
            elif (one.module, one.name) in seen:
                problem = "appears twice"
            elif types is not None:
                problem = self.import_type_problem(one, types)
            if problem:
                self.problems.append(f"{shown} {problem}")
            seen.add((one.module, one.name))

    def import_type_problem(self, one: d.Import, types: list[Signature]) -> str | None:
        wanted = SIGNATURES[one.name]
        if one.type_index >= len(types):
            return f"has type {one.type_index}, which does not exist"
        found = types[one.type_index]
        return None if found == wanted else f"has type {_cut(found)}; its type is {wanted}"

    def check_memory(self) -> int | None:
        """Its first size in bytes."""
        memories = self.read(d.read_memories, r.MEMORY)
        if memories is None:
            return None
        if len(memories) != 1:
            self.problems.append(f"it has {len(memories)} memories; exactly one is needed")
            return None
        memory = memories[0]
        if memory.shared:
            self.problems.append("its memory is shared; threads are not supported")
        if memory.index_bits != 32:
            self.problems.append("its memory has 64-bit addresses; build it for wasm32")
        if not self.within("pages of memory at first", memory.least, "memory_pages_max"):
            return None
        if memory.most is not None and memory.most < memory.least:
            self.problems.append("its memory's maximum is below its minimum")
        return memory.least * PAGE_BYTES

    def check_tables(self, tables: list[d.Table] | None) -> None:
        for i, table in enumerate(tables or ()):
            self.within(f"elements in table {i} at first", table.limits.least, "table_elements_max")
            if table.limits.index_bits != 32 or table.limits.shared:
                self.problems.append(f"table {i} is shared or indexed by 64 bits")

    def check_segments(self, memory_bytes: int | None, tables: list[d.Table] | None) -> None:
        """Active segments must fit the first sizes, else instantiation traps."""
        for i, data in enumerate(self.read(d.read_data, r.DATA) or ()):
            if data.memory is None or memory_bytes is None:
                continue
            if data.memory != 0 or data.offset is None:
                self.problems.append(f"data segment {i} needs memory 0 and a constant offset")
            elif (data.offset & 0xFFFFFFFF) + len(data.content) > memory_bytes:
                self.problems.append(f"data segment {i} ends beyond the memory's first size")
        for i, elements in enumerate(self.read(d.read_elements, r.ELEMENTS) or ()):
            if elements.table is None or tables is None:
                continue
            if elements.table >= len(tables) or elements.offset is None:
                self.problems.append(f"element segment {i} needs a table and a constant offset")
                continue
            end = (elements.offset & 0xFFFFFFFF) + elements.count
            if end > tables[elements.table].limits.least:
                self.problems.append(f"element segment {i} ends beyond its table's first size")

    def check_exports(
        self, exports: list[d.Export], signatures: Sequence[Signature | None] | None
    ) -> None:
        for one in exports:
            if one.name.startswith(STATE_PREFIX):
                self.problems.append(f"export {_shown(one.name)}: {STATE_PREFIX!r} is reserved")
            if one.kind != r.FUNCTION_KIND or signatures is None:
                continue
            if one.index >= len(signatures):
                self.problems.append(f"export {_shown(one.name)} is a function that does not exist")
                continue
            signature = signatures[one.index]
            if signature is not None and not _is_numeric(signature):
                self.problems.append(
                    f"export {_shown(one.name)} has type {_cut(signature)}; "
                    f"only {', '.join(r.NUMERIC)} can cross"
                )

    def check_transitions(
        self,
        manifest: Manifest,
        exports: list[d.Export],
        signatures: Sequence[Signature | None] | None,
    ) -> None:
        by_name = {one.name: one for one in exports}
        callable_names = [one.name for one in exports if one.kind == r.FUNCTION_KIND]
        for transition in manifest.transitions:
            shown = f"transition {transition.name!r}"
            export = by_name.get(transition.name)
            if export is None:
                hint = did_you_mean(transition.name, callable_names)
                self.problems.append(f"{shown} is in the manifest, but not exported; {hint}")
            elif export.kind != r.FUNCTION_KIND:
                self.problems.append(f"{shown} is exported as a {r.KINDS[export.kind]}")
            elif signatures is not None and export.index < len(signatures):
                found = signatures[export.index]
                if found is not None and found != TRANSITION:
                    self.problems.append(
                        f"{shown} is exported with type {_cut(found)}; it must be {TRANSITION}"
                    )

    def check_bodies(
        self,
        imports: list[d.Import] | None,
        functions: list[int] | None,
        signatures: Sequence[Signature | None] | None,
    ) -> None:
        if imports is None or functions is None:
            return
        imported = sum(one.kind == r.FUNCTION_KIND for one in imports)
        try:
            reader, count = r.counted(self.sections, r.CODE)
            if count != len(functions):
                raise reader.malformed(f"{count:,} bodies for {len(functions):,} functions")
            for i in range(imported, imported + count):
                body = reader.take(reader.uint())
                signature = signatures[i] if signatures is not None else None
                self.check_body(f"function {i}", body, len(signature.params) if signature else 0)
            reader.end()
        except ModuleError as error:
            self.problems += error.problems

    def check_body(self, what: str, body: bytes, params: int) -> None:
        limits = self.limits
        if len(body) > limits.function_bytes_max:
            self.problems.append(
                f"{what} has {len(body):,} bytes; "
                f"function_bytes_max is {limits.function_bytes_max:,}"
            )
            return
        try:
            shape = bodies.walk(body, what)
        except ModuleError as error:
            self.problems += error.problems
            return
        if shape.locals + params > limits.locals_max:
            found = f"{shape.locals + params:,} locals"
            self.problems.append(f"{what} has {found}; locals_max is {limits.locals_max:,}")
        if shape.nesting > limits.nesting_max:
            found = f"blocks {shape.nesting:,} deep"
            self.problems.append(f"{what} has {found}; nesting_max is {limits.nesting_max:,}")

    # -------------------------------------------------------------- manifest

    def manifest(self) -> Manifest | None:
        found = r.custom_sections(self.sections, MANIFEST_SECTION)
        if len(found) != 1:
            hint = "" if found else "; `reifydb pack` adds one"
            self.problems.append(
                f"it has {len(found)} custom sections {MANIFEST_SECTION!r}; one is needed{hint}"
            )
            return None
        try:
            return parse_manifest(found[0])
        except ModuleError as error:
            self.problems += [f"manifest, {problem}" for problem in error.problems]
            return None

    def chosen_name(self, name: str | None, manifest: Manifest | None) -> str | None:
        chosen = name if name is not None else manifest.name if manifest is not None else ""
        if chosen is None:
            self.problems.append("its manifest gives no name, and none was given when installing")
        elif manifest is not None and not NAME.fullmatch(chosen):
            self.problems.append(f"{_shown(chosen)} is no name; names match {NAME.pattern}")
        return chosen


def _signatures(
    types: list[Signature] | None, imports: list[d.Import] | None, functions: list[int] | None
) -> list[Signature | None] | None:
    """The type of each function by index; None for one whose type does not exist."""
    if types is None or imports is None or functions is None:
        return None
    indices = [one.type_index for one in imports if one.kind == r.FUNCTION_KIND] + functions
    return [types[index] if index < len(types) else None for index in indices]


def _is_numeric(signature: Signature) -> bool:
    return all(kind in r.NUMERIC for kind in signature.params + signature.results)


def _shown(name: str) -> str:
    """A name from the binary for a message: no control characters, not too long."""
    text = ascii(name)
    return text if len(text) <= 80 else text[:80] + "…"


def _cut(signature: Signature) -> str:
    text = str(signature)
    return text if len(text) <= 120 else text[:120] + "…"
