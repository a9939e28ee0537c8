"""What the sections of a wasm binary declare: types, imports, memories, globals, segments, exports.

Each function reads one section and returns plain data, empty when the section is absent. What is
well-formed but not allowed for guests is read all the same where that is possible, so that
inspection.py can list it beside everything else.
"""

from __future__ import annotations

from dataclasses import dataclass

from reifydb.sandbox import reader as r
from reifydb.sandbox.host_functions import Signature
from reifydb.sandbox.reader import Reader, Section, counted

FUNCTION_FORM = 0x60
REFUSED_FORMS = {
    0x4E: "a recursive group (GC)",
    0x4F: "a final subtype (GC)",
    0x50: "a subtype (GC)",
    0x5D: "a continuation (stack switching)",
    0x5E: "an array (GC)",
    0x5F: "a struct (GC)",
}
HAS_MAXIMUM, SHARED, INDEX_64, CUSTOM_PAGE_SIZE = 1, 2, 4, 8
TABLE_WITH_INITIALIZER = 0x40


@dataclass(frozen=True, slots=True)
class Limits:
    """Size of a memory in pages or of a table in elements; `flags` as in the binary."""

    flags: int
    least: int
    most: int | None

    @property
    def index_bits(self) -> int:
        """32 or 64."""
        return 64 if self.flags & INDEX_64 else 32

    @property
    def shared(self) -> bool:
        """Whether threads may share it."""
        return bool(self.flags & SHARED)


@dataclass(frozen=True, slots=True)
class Import:
    """An import; `type_index` is a function's type, 0 for other kinds."""

    module: str
    name: str
    kind: int
    type_index: int = 0


@dataclass(frozen=True, slots=True)
class Export:
    """An export."""

    name: str
    kind: int
    index: int


@dataclass(frozen=True, slots=True)
class Global:
    """A module's own global."""

    type: str
    mutable: bool


@dataclass(frozen=True, slots=True)
class Table:
    """A module's own table."""

    type: str
    limits: Limits


@dataclass(frozen=True, slots=True)
class Segment:
    """A data segment. `memory` is None for a passive one, `offset` also when it is computed."""

    memory: int | None
    offset: int | None
    content: bytes


@dataclass(frozen=True, slots=True)
class Elements:
    """An element segment; `table` is None for a passive or declared one."""

    table: int | None
    offset: int | None
    count: int
    passive: bool


def read_types(sections: list[Section]) -> list[Signature]:
    """The function types."""
    reader, count = counted(sections, r.TYPE)
    found = []
    for _ in range(count):
        start, form = reader.at, reader.byte()
        if form != FUNCTION_FORM:
            named = REFUSED_FORMS.get(form)
            problem = f"{named} is not allowed" if named else f"0x{form:02x} is no type"
            raise reader.malformed(problem, start)
        params = tuple([reader.value_type() for _ in range(reader.uint())])
        results = tuple([reader.value_type() for _ in range(reader.uint())])
        found.append(Signature(params, results))
    reader.end()
    return found


def read_imports(sections: list[Section]) -> list[Import]:
    """The imports, in order."""
    reader, count = counted(sections, r.IMPORT)
    found = []
    for _ in range(count):
        module, name = reader.name(), reader.name()
        start, kind, type_index = reader.at, reader.byte(), 0
        match kind:
            case r.FUNCTION_KIND:
                type_index = reader.uint()
            case r.TABLE_KIND:
                _reference_type(reader)
                read_limits(reader)
            case r.MEMORY_KIND:
                read_limits(reader)
            case r.GLOBAL_KIND:
                _any_value_type(reader)
                reader.byte()
            case r.TAG_KIND:
                reader.byte()
                reader.uint()
            case _:
                raise reader.malformed(f"there is no kind {kind} of import", start)
        found.append(Import(module, name, kind, type_index))
    reader.end()
    return found


def read_functions(sections: list[Section]) -> list[int]:
    """The type index of each of the module's own functions."""
    reader, count = counted(sections, r.FUNCTION)
    found = [reader.uint() for _ in range(count)]
    reader.end()
    return found


def read_tables(sections: list[Section]) -> list[Table]:
    """The module's own tables."""
    reader, count = counted(sections, r.TABLE)
    found = []
    for _ in range(count):
        if reader.data[reader.at : reader.at + 1] == bytes([TABLE_WITH_INITIALIZER]):
            raise reader.malformed("a table with an initial value is not allowed")
        found.append(Table(_reference_type(reader), read_limits(reader)))
    reader.end()
    return found


def read_memories(sections: list[Section]) -> list[Limits]:
    """The module's own memories."""
    reader, count = counted(sections, r.MEMORY)
    found = [read_limits(reader) for _ in range(count)]
    reader.end()
    return found


def read_globals(sections: list[Section]) -> list[Global]:
    """The module's own globals."""
    reader, count = counted(sections, r.GLOBAL)
    found = []
    for _ in range(count):
        kind, mutability = reader.value_type(), reader.byte()
        if mutability > 1:
            raise reader.malformed(f"0x{mutability:02x} where a global says whether it can change")
        reader.constant()
        found.append(Global(kind, bool(mutability)))
    reader.end()
    return found


def read_exports(sections: list[Section]) -> list[Export]:
    """The exports, in order."""
    reader, count = counted(sections, r.EXPORT)
    found = []
    for _ in range(count):
        name, start, kind = reader.name(), reader.at, reader.byte()
        if kind >= len(r.KINDS):
            raise reader.malformed(f"there is no kind {kind} of export", start)
        found.append(Export(name, kind, reader.uint()))
    reader.end()
    return found


def read_start(sections: list[Section]) -> int | None:
    """The start function's index."""
    section = r.find_section(sections, r.START)
    if section is None:
        return None
    reader = section.reader()
    index = reader.uint()
    reader.end()
    return index


def read_data(sections: list[Section]) -> list[Segment]:
    """The data segments."""
    reader, count = counted(sections, r.DATA)
    found = []
    for _ in range(count):
        start, flag = reader.at, reader.uint()
        if flag > 2:
            raise reader.malformed(f"there is no kind {flag} of data segment", start)
        memory = (None, 0)[flag == 0] if flag < 2 else reader.uint()
        offset = None if memory is None else reader.constant()
        found.append(Segment(memory, offset, reader.take(reader.uint())))
    reader.end()
    return found


def read_elements(sections: list[Section]) -> list[Elements]:
    """The element segments.

    Bit 0 of a segment's flag says passive or declared, bit 1 with a table's index or declared, bit
    2 of constant expressions instead of function indices.
    """
    reader, count = counted(sections, r.ELEMENTS)
    found = []
    for _ in range(count):
        start, flag = reader.at, reader.uint()
        if flag > 7:
            raise reader.malformed(f"there is no kind {flag} of element segment", start)
        table = offset = None
        if not flag & 1:
            table = reader.uint() if flag & 2 else 0
            offset = reader.constant()
        if flag & 3 and flag & 4:
            _reference_type(reader)
        elif flag & 3 and reader.byte() != 0:
            raise reader.malformed("elements are functions or expressions")
        size = reader.uint()
        for _ in range(size):
            if flag & 4:
                reader.constant()
            else:
                reader.uint()
        found.append(Elements(table, offset, size, passive=flag & 3 == 1))
    reader.end()
    return found


def read_limits(reader: Reader) -> Limits:
    """A memory's or table's limits.

    Raises:
        ModuleError: They ask for a feature that changes their form: custom page sizes.
    """
    start, flags = reader.at, reader.byte()
    if flags & CUSTOM_PAGE_SIZE:
        raise reader.malformed("custom page sizes are not allowed", start)
    if flags > 7:
        raise reader.malformed(f"0x{flags:02x} where limits begin", start)
    bits = 64 if flags & INDEX_64 else 32
    least = reader.uint(bits)
    return Limits(flags, least, reader.uint(bits) if flags & HAS_MAXIMUM else None)


def _reference_type(reader: Reader) -> str:
    start, kind = reader.at, reader.value_type()
    if kind != "funcref":
        raise reader.malformed(f"{kind} where a reference type must stand", start)
    return kind


def _any_value_type(reader: Reader) -> None:
    """Skips the type of an imported global, which is refused whatever its type."""
    if reader.byte() in (0x63, 0x64):
        reader.sint(33)
