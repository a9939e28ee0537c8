"""Edits wasm binaries before they are compiled: limits, exported state, names, custom sections.

Works on sections and never on function bodies. Guests are edited once, when they are compiled; the
kernel, a wasm64 module of ours, when its code is not cached. Every function takes and returns the
bytes of a module; wasmtime validates the result, so a mistake here is an error, not a hole.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from reifydb.errors import ModuleError
from reifydb.sandbox import reader as r
from reifydb.sandbox.declarations import (
    HAS_MAXIMUM,
    Limits,
    read_data,
    read_elements,
    read_exports,
    read_globals,
    read_imports,
    read_memories,
    read_start,
    read_tables,
)
from reifydb.sandbox.reader import Section, read_sections

PAGE_BYTES = 65536
STATE_PREFIX = "state:"
"""Exports that `export_state` adds begin with this; a guest's own must not."""

STATE_MEMORY = "state:memory"
STATE_START = "state:start"
MANIFEST_SECTION = "reifydb.manifest"
NAME_SECTION = "name"

_ZEROES = re.compile(rb"\0{4096,}")
"""Runs of zeroes that an image leaves out: memory is zeroed before it is put back."""

_VALUE_BYTES = {name: byte for byte, name in r.VALUE_TYPES.items()}


@dataclass(frozen=True, slots=True)
class GuestState:
    """What an instance of a module can change, by the names under which it is now exported.

    Attributes:
        globals: Export name and value type of each mutable global.
        tables: Export name and first size of each table, all of funcref.
        memory_pages: First size of the memory, exported as `state:memory`.
        segments: What the active data segments make of zeroed memory: address and bytes of pieces
            that are sorted and do not overlap, long runs of zeroes left out.
        start: `state:start` when there is a start function: it is exported instead of run at
            instantiation, to be called then and after each reset.
        resettable: False when there are passive segments: dropping one cannot be undone, so such an
            instance is replaced.
    """

    globals: tuple[tuple[str, str], ...]
    tables: tuple[tuple[str, int], ...]
    memory_pages: int
    segments: tuple[tuple[int, bytes], ...]
    start: str | None
    resettable: bool

    @property
    def image_at(self) -> int:
        """Where the first segment begins, 0 without any."""
        return self.segments[0][0] if self.segments else 0

    @property
    def image(self) -> bytes:
        """All segments as one piece from `image_at` on, zeroes between them."""
        if not self.segments:
            return b""
        last_at, last = self.segments[-1]
        image = bytearray(last_at + len(last) - self.image_at)
        for at, content in self.segments:
            image[at - self.image_at : at - self.image_at + len(content)] = content
        return bytes(image)


# ------------------------------------------------------------------ writing


def uint(value: int) -> bytes:
    """Unsigned LEB128.

    >>> uint(300).hex()
    'ac02'
    """
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def name_bytes(text: str) -> bytes:
    """A name: length and UTF-8."""
    encoded = text.encode()
    return uint(len(encoded)) + encoded


def limits_bytes(limits: Limits) -> bytes:
    """A memory's or table's limits."""
    most = uint(limits.most) if limits.most is not None else b""
    return bytes([limits.flags]) + uint(limits.least) + most


def assemble(sections: list[Section]) -> bytes:
    """A module of these sections."""
    parts = [r.MAGIC]
    for section in sections:
        parts += bytes([section.number]), uint(len(section.body)), section.body
    return b"".join(parts)


def put_section(sections: list[Section], number: int, body: bytes) -> list[Section]:
    """The sections with one replaced, or added where it belongs. Not for custom sections."""
    position = r.SECTION_ORDER.index(number)
    without = [section for section in sections if section.number != number]
    at = 0
    for i, section in enumerate(without):
        if section.number != r.CUSTOM and r.SECTION_ORDER.index(section.number) < position:
            at = i + 1
    return [*without[:at], Section(number, body), *without[at:]]


# ------------------------------------------------------------------ limits


def set_memory_limits(
    wasm: bytes, *, pages_min: int = 0, pages_max: int, index_bits: int = 32
) -> bytes:
    """The one memory gets at least `pages_min` pages and at most `pages_max`.

    Args:
        wasm: The module. A smaller maximum of its own stays.
        pages_min: What its minimum is raised to.
        pages_max: What its maximum is lowered to.
        index_bits: What its memory must be indexed with: 32 for guests, 64 for the kernel.

    Raises:
        ModuleError: It does not have exactly one own memory, not shared, with this index type; or
            the memory starts larger than `pages_max`.
    """
    sections = read_sections(wasm)
    limits = _the_memory(sections)
    if limits.shared or limits.index_bits != index_bits:
        found = f"{'shared, ' if limits.shared else ''}{limits.index_bits} bits"
        raise _refused(
            f"the memory is {found}; it must be unshared and indexed by {index_bits} bits"
        )
    least = max(limits.least, pages_min)
    most = pages_max if limits.most is None else min(pages_max, limits.most)
    if least > most:
        raise _refused(f"the memory starts with {least:,} pages; at most {most:,} are allowed")
    edited = Limits(limits.flags | HAS_MAXIMUM, least, most)
    return assemble(put_section(sections, r.MEMORY, uint(1) + limits_bytes(edited)))


def set_table_maximum(wasm: bytes, elements_max: int) -> bytes:
    """Every own table gets at most `elements_max` elements; a smaller maximum of its own stays.

    Raises:
        ModuleError: A table starts larger than that.
    """
    sections = read_sections(wasm)
    tables = read_tables(sections)
    if not tables:
        return wasm
    body, problems = [uint(len(tables))], []
    for i, table in enumerate(tables):
        limits = table.limits
        most = elements_max if limits.most is None else min(elements_max, limits.most)
        if limits.least > most:
            problems.append(
                f"table {i} starts with {limits.least:,} elements; the limit is {most:,}"
            )
        edited = replace(limits, flags=limits.flags | HAS_MAXIMUM, most=most)
        body.append(bytes([_VALUE_BYTES[table.type]]) + limits_bytes(edited))
    if problems:
        raise _refused(*problems)
    return assemble(put_section(sections, r.TABLE, b"".join(body)))


def _the_memory(sections: list[Section]) -> Limits:
    imported = sum(i.kind == r.MEMORY_KIND for i in read_imports(sections))
    memories = read_memories(sections)
    if imported or len(memories) != 1:
        found = f"{len(memories)} of its own and {imported} imported"
        raise _refused(f"it has {found} memories; exactly one of its own is needed")
    return memories[0]


# ------------------------------------------------------------------ state


def export_state(wasm: bytes) -> tuple[bytes, GuestState]:
    """Exports mutable globals, tables and memory, so that an instance can be put back.

    A start function becomes an export as well and is no longer run at instantiation.

    Raises:
        ModuleError: The module has state that cannot be described: imported memories, tables or
            globals, or a data segment at a computed offset.
    """
    sections = read_sections(wasm)
    imported = {i.kind for i in read_imports(sections)} - {r.FUNCTION_KIND}
    if imported:
        kinds = ", ".join(r.KINDS[kind] for kind in sorted(imported))
        raise _refused(f"it imports what only functions may be: {kinds}")
    pages = _the_memory(sections).least
    variables = [
        (f"{STATE_PREFIX}global{i}", g.type, i)
        for i, g in enumerate(read_globals(sections))
        if g.mutable
    ]
    tables = [
        (f"{STATE_PREFIX}table{i}", table.limits.least, i)
        for i, table in enumerate(read_tables(sections))
    ]
    start = read_start(sections)
    added = [(name, r.GLOBAL_KIND, i) for name, _, i in variables]
    added += [(name, r.TABLE_KIND, i) for name, _, i in tables]
    added.append((STATE_MEMORY, r.MEMORY_KIND, 0))
    if start is not None:
        added.append((STATE_START, r.FUNCTION_KIND, start))
    state = GuestState(
        globals=tuple((name, kind) for name, kind, _ in variables),
        tables=tuple((name, size) for name, size, _ in tables),
        memory_pages=pages,
        segments=tuple(_image(sections, pages * PAGE_BYTES)),
        start=None if start is None else STATE_START,
        resettable=not _has_passive(sections),
    )
    kept = [section for section in sections if section.number != r.START]
    return assemble(put_section(kept, r.EXPORT, _exports(kept, added))), state


def _exports(sections: list[Section], added: list[tuple[str, int, int]]) -> bytes:
    own = [(export.name, export.kind, export.index) for export in read_exports(sections)]
    entries = [name_bytes(n) + bytes([kind]) + uint(index) for n, kind, index in own + added]
    return uint(len(entries)) + b"".join(entries)


def _image(sections: list[Section], memory_bytes: int) -> list[tuple[int, bytes]]:
    """Active segments as sorted pieces; later ones overwrite earlier ones, as instantiation does.

    Takes memory in proportion to the distance of the first from the last one.
    """
    active = []
    for i, segment in enumerate(read_data(sections)):
        if segment.memory is None:
            continue
        if segment.offset is None:
            raise _refused(f"data segment {i} has a computed offset; a constant one is needed")
        at = segment.offset & 0xFFFFFFFF
        if at + len(segment.content) > memory_bytes:
            raise _refused(f"data segment {i} ends beyond the memory's first size")
        if segment.content:
            active.append((at, segment.content))
    if not active:
        return []
    first = min(at for at, _ in active)
    image = bytearray(max(at + len(content) for at, content in active) - first)
    for at, content in active:
        image[at - first : at - first + len(content)] = content
    pieces, begin = [], 0
    for zeroes in _ZEROES.finditer(image):
        pieces.append((first + begin, bytes(image[begin : zeroes.start()])))
        begin = zeroes.end()
    pieces.append((first + begin, bytes(image[begin:])))
    return [(at, content) for at, content in pieces if content]


def _has_passive(sections: list[Section]) -> bool:
    data = any(segment.memory is None for segment in read_data(sections))
    return data or any(elements.passive for elements in read_elements(sections))


# ------------------------------------------------------------------ custom sections


def set_custom_section(wasm: bytes, name: str, content: bytes) -> bytes:
    """The module with exactly one custom section of this name, at its end."""
    kept = [
        section
        for section in read_sections(wasm)
        if section.number != r.CUSTOM or section.reader().name() != name
    ]
    return assemble([*kept, Section(r.CUSTOM, name_bytes(name) + content)])


def custom_section(wasm: bytes, name: str) -> bytes | None:
    """The content of the custom section with this name, None when there is none.

    Raises:
        ModuleError: There are several, or the module is malformed.
    """
    found = r.custom_sections(read_sections(wasm), name)
    if len(found) > 1:
        raise _refused(f"it has {len(found)} custom sections {name!r}; one is needed")
    return found[0] if found else None


def name_module(wasm: bytes, module: str) -> bytes:
    """Gives the module a name: traces then say which module a frame is in, even of a stripped one.

    Names of functions are kept; a malformed name section is dropped, as wasmtime does.
    """
    kept = b""
    for content in r.custom_sections(read_sections(wasm), NAME_SECTION)[:1]:
        try:
            kept = _subsections_but_the_first_kind(content)
        except ModuleError:
            kept = b""
    named = name_bytes(module)
    return set_custom_section(wasm, NAME_SECTION, b"\0" + uint(len(named)) + named + kept)


def _subsections_but_the_first_kind(content: bytes) -> bytes:
    """A name section without its module name (kind 0)."""
    reader, kept = r.Reader(content, "name section"), []
    while reader.at < len(content):
        start, kind = reader.at, reader.byte()
        reader.take(reader.uint())
        if kind != 0:
            kept.append(content[start : reader.at])
    return b"".join(kept)


def _refused(*problems: str) -> ModuleError:
    return ModuleError("this module cannot be prepared for compiling", problems)
