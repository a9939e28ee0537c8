"""Reads wasm binaries: integers, sections, and what the sections declare.

Nothing here trusts its input. Whatever the bytes are, reading ends with what they say or with a
ModuleError that says where they are wrong, in time and memory proportional to their length.
The format: https://webassembly.github.io/spec/core/binary/
"""

from __future__ import annotations

from dataclasses import dataclass

from reifydb.errors import ModuleError

CUSTOM, TYPE, IMPORT, FUNCTION, TABLE, MEMORY, GLOBAL, EXPORT = range(8)
START, ELEMENTS, CODE, DATA, DATA_COUNT, TAG = range(8, 14)
SECTION_NAMES = (
    "custom",
    "type",
    "import",
    "function",
    "table",
    "memory",
    "global",
    "export",
    "start",
    "element",
    "code",
    "data",
    "data count",
    "tag",
)
SECTION_ORDER = (
    TYPE,
    IMPORT,
    FUNCTION,
    TABLE,
    MEMORY,
    TAG,
    GLOBAL,
    EXPORT,
    START,
    ELEMENTS,
    DATA_COUNT,
    CODE,
    DATA,
)
"""The order in which sections must appear; each at most once, custom ones anywhere."""

KINDS = ("function", "table", "memory", "global", "tag")
FUNCTION_KIND, TABLE_KIND, MEMORY_KIND, GLOBAL_KIND, TAG_KIND = range(5)

MAGIC = b"\0asm\1\0\0\0"
NUMERIC = ("i32", "i64", "f32", "f64")
VALUE_TYPES = {0x7F: "i32", 0x7E: "i64", 0x7D: "f32", 0x7C: "f64", 0x70: "funcref"}
"""The value types that guests may use at all. References never cross into or out of a guest."""

REFUSED_TYPES = {
    0x7B: "v128 (SIMD)",
    0x6F: "externref",
    0x69: "exnref (exceptions)",
    0x68: "contref (stack switching)",
    **dict.fromkeys((0x63, 0x64), "a typed reference"),
    **dict.fromkeys((*range(0x6A, 0x6F), *range(0x71, 0x75)), "a reference of the GC proposal"),
    **dict.fromkeys((0x77, 0x78), "a packed type (GC)"),
}
"""Value types that exist and are refused, so that a message can name them."""


class Reader:
    """A cursor over bytes that never reads beyond their end.

    Args:
        data: The bytes.
        what: What they are, for messages: "code section".
    """

    __slots__ = ("at", "data", "what")

    def __init__(self, data: bytes, what: str) -> None:
        self.data, self.what, self.at = data, what, 0

    def malformed(self, problem: str, at: int | None = None) -> ModuleError:
        """The error for what was found at `at`, or here."""
        return malformed(f"{self.what}, byte {self.at if at is None else at}: {problem}")

    def byte(self) -> int:
        """One byte."""
        if self.at >= len(self.data):
            raise self.malformed("ends too early")
        self.at += 1
        return self.data[self.at - 1]

    def take(self, count: int) -> bytes:
        """The next `count` bytes."""
        if count > len(self.data) - self.at:
            raise self.malformed(f"{count} bytes announced, {len(self.data) - self.at} are there")
        self.at += count
        return self.data[self.at - count : self.at]

    def uint(self, bits: int = 32) -> int:
        """An unsigned LEB128 integer of at most `bits` bits."""
        value = self._leb(bits)
        if value >> bits:
            raise self.malformed(f"an integer has more than {bits} bits")
        return value

    def sint(self, bits: int) -> int:
        """A signed LEB128 integer of at most `bits` bits."""
        start = self.at
        value = self._leb(bits)
        width = 7 * (self.at - start)
        if value >> (width - 1):
            value -= 1 << width
        if not -(1 << (bits - 1)) <= value < 1 << (bits - 1):
            raise self.malformed(f"an integer has more than {bits} bits", start)
        return value

    def _leb(self, bits: int) -> int:
        value = 0
        for shift in range(0, bits, 7):
            byte = self.byte()
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                return value
        raise self.malformed(f"an integer is longer than {bits} bits need")

    def name(self) -> str:
        """A length and so many bytes of UTF-8."""
        start = self.at
        try:
            return self.take(self.uint()).decode()
        except UnicodeDecodeError:
            raise self.malformed("a name is not valid UTF-8", start) from None

    def value_type(self) -> str:
        """One of VALUE_TYPES."""
        return self._value_type(self.byte())

    def _value_type(self, byte: int) -> str:
        known = VALUE_TYPES.get(byte)
        if known is None:
            named = REFUSED_TYPES.get(byte)
            problem = f"{named} is not allowed" if named else f"0x{byte:02x} is no value type"
            raise self.malformed(problem, self.at - 1)
        return known

    def constant(self) -> int | None:
        """A constant expression: the value of an i32.const or i64.const, None for anything else.

        Only one instruction is allowed: extended constants would make state that cannot be read
        from the binary, and nothing in an ABI without imported globals needs them.
        """
        start, opcode = self.at, self.byte()
        value = None
        match opcode:
            case 0x41:
                value = self.sint(32)
            case 0x42:
                value = self.sint(64)
            case 0x43:
                self.take(4)
            case 0x44:
                self.take(8)
            case 0x23 | 0xD2:  # global.get, ref.func
                self.uint()
            case 0xD0:  # ref.null
                self.value_type()
            case _:
                raise self.malformed(f"opcode 0x{opcode:02x} in a constant expression", start)
        if self.byte() != 0x0B:
            raise self.malformed("a constant expression has more than one instruction", start)
        return value

    def end(self) -> None:
        """Makes sure that nothing is left over."""
        if self.at != len(self.data):
            raise self.malformed(f"{len(self.data) - self.at} bytes are left over")


def malformed(problem: str) -> ModuleError:
    """The error for bytes that are not what they should be."""
    return ModuleError("this is not a WebAssembly module that can be installed", [problem])


@dataclass(frozen=True, slots=True)
class Section:
    """A section: its number and its body, for a custom one with the name in front."""

    number: int
    body: bytes

    def reader(self) -> Reader:
        """A cursor at the body's start."""
        return Reader(self.body, f"{SECTION_NAMES[self.number]} section")


def read_sections(wasm: bytes) -> list[Section]:
    """Splits a core module into sections; O(size).

    Raises:
        ModuleError: The bytes are not a core module, or its sections are not well-formed, unknown,
            repeated or out of order.
    """
    if wasm[:8] != MAGIC:
        raise malformed(_not_a_module(wasm))
    reader, found, last = Reader(wasm, "module"), [], -1
    reader.at = len(MAGIC)
    while reader.at < len(wasm):
        start, number = reader.at, reader.byte()
        if number >= len(SECTION_NAMES):
            raise reader.malformed(f"there is no section {number}", start)
        section = Section(number, reader.take(reader.uint()))
        if number == CUSTOM:
            section.reader().name()
        else:
            position = SECTION_ORDER.index(number)
            if position <= last:
                problem = f"the {SECTION_NAMES[number]} section is repeated or out of order"
                raise reader.malformed(problem, start)
            last = position
        found.append(section)
    return found


def _not_a_module(wasm: bytes) -> str:
    if wasm[:4] == MAGIC[:4] and wasm[6:7] == b"\1":
        return "this is a component; a core module is needed"
    if wasm[:4] == MAGIC[:4]:
        return f"version {wasm[4:8].hex(' ')} of the binary format; 01 00 00 00 is needed"
    if wasm.lstrip()[:1] == b"(":
        return "this is the text format; the binary format is needed: convert it with wat2wasm"
    return "it does not start with the bytes of a WebAssembly module, 00 61 73 6d 01 00 00 00"


def find_section(sections: list[Section], number: int) -> Section | None:
    """The section with this number, None when there is none. Not for custom sections."""
    return next((section for section in sections if section.number == number), None)


def counted(sections: list[Section], number: int) -> tuple[Reader, int]:
    """A cursor behind the count of a section's entries, and the count; an empty one when absent."""
    section = find_section(sections, number) or Section(number, b"\0")
    reader = section.reader()
    return reader, reader.uint()


def custom_sections(sections: list[Section], name: str) -> list[bytes]:
    """The contents of all custom sections with this name."""
    found = []
    for section in sections:
        if section.number == CUSTOM:
            reader = section.reader()
            if reader.name() == name:
                found.append(section.body[reader.at :])
    return found
