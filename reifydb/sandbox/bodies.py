"""Walks over function bodies: which instructions they use, how deep they nest, how many locals.

Compile bombs are small: what a compiler takes grows faster than the bytes, with locals times
blocks and with depth. So the shape is checked before any compiler sees it. The walk knows just
enough to step over immediates; types, indices and the order of instructions are left to wasmtime's
validation, and what it accepts this steps through in the same way.
https://webassembly.github.io/spec/core/binary/instructions.html
"""

from __future__ import annotations

from dataclasses import dataclass

from reifydb.errors import ModuleError
from reifydb.sandbox import reader as r
from reifydb.sandbox.reader import Reader

(
    NOTHING,  # no immediate
    ONE,  # an integer: an index or an i32.const, i64.const
    TWO,  # two integers
    MEMARG,  # alignment and offset
    OPEN,  # a block type; one level deeper
    CLOSE,
    FOUR,  # f32.const
    EIGHT,  # f64.const
    LABELS,  # br_table
    TYPES,  # select with types
    REFERENCE,  # ref.null
    PREFIX,  # 0xfc: more opcodes
    REFUSED,
) = range(13)

_REFUSED_OPCODES = {
    **dict.fromkeys((0x06, 0x07, 0x08, 0x09, 0x0A, 0x18, 0x19, 0x1F), "exceptions"),
    **dict.fromkeys((0x12, 0x13), "tail calls"),
    **dict.fromkeys((0x14, 0x15, 0xD4, 0xD5, 0xD6), "typed function references"),
    **dict.fromkeys(range(0xE0, 0xE7), "stack switching"),
    0xD3: "GC",
    0xFB: "GC",
    0xFD: "SIMD",
    0xFE: "threads",
}
"""Opcodes and prefixes of proposals that docs/abi.md excludes."""

_PREFIXED = bytes([NOTHING] * 8 + [TWO, ONE, TWO, ONE, TWO, ONE, TWO, ONE, ONE, ONE])
"""What follows 0xfc and its number: saturating conversions, then bulk memory and tables."""


def _kinds() -> bytes:
    kinds = bytearray([REFUSED]) * 256
    for opcodes, kind in (
        ((0x00, 0x01, 0x05, 0x0F, 0x1A, 0x1B, 0xD1, *range(0x45, 0xC5)), NOTHING),
        ((0x02, 0x03, 0x04), OPEN),
        ((0x0B,), CLOSE),
        ((0x0C, 0x0D, 0x10, *range(0x20, 0x27), 0x3F, 0x40, 0x41, 0x42, 0xD2), ONE),
        ((0x11,), TWO),
        ((0x0E,), LABELS),
        ((0x1C,), TYPES),
        (range(0x28, 0x3F), MEMARG),
        ((0x43,), FOUR),
        ((0x44,), EIGHT),
        ((0xD0,), REFERENCE),
        ((0xFC,), PREFIX),
    ):
        for opcode in opcodes:
            kinds[opcode] = kind
    return bytes(kinds)


_KINDS = _kinds()
_MEMORY_INDEX_FOLLOWS = 0x40
_EMPTY_BLOCK = 0x40


@dataclass(frozen=True, slots=True)
class Shape:
    """What decides how hard a body is to compile. `locals` are without parameters."""

    locals: int
    nesting: int


def walk(body: bytes, what: str) -> Shape:
    """Walks over one body, its size not included; O(size), about 0.1 µs per byte.

    Args:
        body: Declarations of locals and the instructions.
        what: Which function, for messages.

    Raises:
        ModuleError: It is malformed, or has an instruction that guests may not use.
    """
    reader = Reader(body, what)
    count = 0
    for _ in range(reader.uint()):
        count += reader.uint()
        reader.value_type()
    try:
        return Shape(count, _walk_code(reader))
    except IndexError:
        raise r.malformed(f"{what}: an instruction is cut off by the end of the body") from None


def _walk_code(reader: Reader) -> int:
    """The deepest nesting of blocks. Its loop is plain because it is most of an inspection."""
    code, at, kinds = reader.data, reader.at, _KINDS
    depth = deepest = 0
    while True:
        start = at
        kind = kinds[code[at]]
        at += 1
        if kind == PREFIX:
            number = code[at]  # below 128 or refused: none of the allowed ones is larger
            if number >= len(_PREFIXED):
                raise _refused(reader, start)
            kind = _PREFIXED[number]
            at += 1
        if kind == NOTHING:
            continue
        if kind == ONE:
            while code[at] >= 0x80:
                at += 1
            at += 1
        elif kind in (TWO, MEMARG):
            if kind == MEMARG and code[at] & _MEMORY_INDEX_FOLLOWS:
                raise reader.malformed("multi-memory is not allowed", start)
            for _ in range(2):
                while code[at] >= 0x80:
                    at += 1
                at += 1
        elif kind == OPEN:
            at = _after_block_type(reader, at)
            depth += 1
            deepest = max(deepest, depth)
        elif kind == CLOSE:
            depth -= 1
            if depth < 0:
                if at != len(code):
                    raise reader.malformed("something follows the function's end", at)
                return deepest
        else:
            at = _after_rare(reader, kind, start, at)


def _after_block_type(reader: Reader, at: int) -> int:
    """The position after a block type: none, one value type, or the index of a type."""
    first = reader.data[at]
    if first == _EMPTY_BLOCK or first in r.VALUE_TYPES:
        return at + 1
    reader.at = at
    if 0x40 <= first < 0x80:
        reader.value_type()
    reader.sint(33)
    return reader.at


def _after_rare(reader: Reader, kind: int, start: int, at: int) -> int:
    """The position after the immediates of the instruction at `start`, which begin at `at`."""
    if kind in (FOUR, EIGHT):
        return at + (4 if kind == FOUR else 8)
    reader.at = at
    if kind == LABELS:
        for _ in range(reader.uint() + 1):
            reader.uint()
    elif kind == TYPES:
        for _ in range(reader.uint()):
            reader.value_type()
    elif kind == REFERENCE:
        reader.value_type()
    else:
        raise _refused(reader, start)
    return reader.at


def _refused(reader: Reader, at: int) -> ModuleError:
    opcode = reader.data[at]
    if opcode == 0xFC:
        number = reader.data[at + 1]
        return reader.malformed(f"instruction 0xfc 0x{number:02x} is unknown or not allowed", at)
    proposal = _REFUSED_OPCODES.get(opcode)
    if proposal:
        return reader.malformed(
            f"instruction 0x{opcode:02x} belongs to {proposal}, which guests may not use", at
        )
    return reader.malformed(f"0x{opcode:02x} is no instruction", at)
