"""Damaged binaries, from a seed: bits flipped, bytes cut out, sections moved, operators exchanged.

Most must be refused; those that are still valid do something that nobody meant, and are run.
"""

from __future__ import annotations

import functools
import random
from collections.abc import Callable

from reifydb.errors import ModuleError
from reifydb.sandbox.binary import assemble
from reifydb.sandbox.reader import CODE, Section, read_sections
from tests.guests import wat
from tests.guests.databases import zig_guest
from tests.hostile.generator import generate

_OPERATORS = [range(0x45, 0x4F), range(0x50, 0x5A), range(0x6A, 0x79), range(0x7C, 0x8B)]
"""Opcodes with the same type: comparisons and arithmetic of i32, of i64."""

_BYTES = [0, 1, 0x0B, 0x0F, 0x10, 0x40, 0x7F, 0x80, 0xFC, 0xFD, 0xFF]


@functools.cache
def _sound() -> tuple[bytes, ...]:
    texts = (wat.START, wat.GLOBALS, wat.TABLE, wat.PASSIVE)
    zig = (zig_guest("misbehave"), zig_guest("every_type"), zig_guest("narrow"))
    return (*zig, *map(wat.guest, texts))


def mutate(seed: int) -> bytes:
    """The damaged module of this seed."""
    dice = random.Random(f"mutation {seed}")
    wasm = generate(seed).wasm if dice.random() < 0.6 else dice.choice(_sound())
    kinds: list[Callable[[random.Random, bytes], bytes]] = [
        _operators,
        _operators,
        _bits,
        _bytes,
        _cut,
        _splice,
        _sections,
    ]
    kind = dice.choice(kinds)
    try:
        return kind(dice, wasm)
    except ModuleError:
        return wasm


def _operators(dice: random.Random, wasm: bytes) -> bytes:
    """In function bodies, bytes that look like operators become others of their type."""
    sections = read_sections(wasm)
    i = next(i for i, section in enumerate(sections) if section.number == CODE)
    body = bytearray(sections[i].body)
    for at in dice.sample(range(len(body)), min(len(body), dice.randrange(1, 60))):
        for alike in _OPERATORS:
            if body[at] in alike:
                body[at] = dice.choice(alike)
    sections[i] = Section(CODE, bytes(body))
    return assemble(sections)


def _bits(dice: random.Random, wasm: bytes) -> bytes:
    data = bytearray(wasm)
    for _ in range(dice.randrange(1, 6)):
        data[dice.randrange(len(data))] ^= 1 << dice.randrange(8)
    return bytes(data)


def _bytes(dice: random.Random, wasm: bytes) -> bytes:
    data = bytearray(wasm)
    for _ in range(dice.randrange(1, 6)):
        data[dice.randrange(8, len(data))] = dice.choice(_BYTES)
    return bytes(data)


def _cut(dice: random.Random, wasm: bytes) -> bytes:
    start = dice.randrange(len(wasm))
    end = len(wasm) if dice.random() < 0.5 else start + dice.randrange(1, 40)
    return wasm[:start] + wasm[end:]


def _splice(dice: random.Random, wasm: bytes) -> bytes:
    """A piece of one module in the middle of another."""
    other = dice.choice(_sound())
    start = dice.randrange(len(other))
    at = dice.randrange(8, len(wasm))
    return wasm[:at] + other[start : start + dice.randrange(1, 200)] + wasm[at:]


def _sections(dice: random.Random, wasm: bytes) -> bytes:
    """Sections shuffled, repeated, left out, or another module's."""
    sections = read_sections(wasm)
    i, j = dice.randrange(len(sections)), dice.randrange(len(sections))
    kind = dice.randrange(4)
    if kind == 0:
        sections[i], sections[j] = sections[j], sections[i]
    elif kind == 1:
        sections.insert(i, sections[j])
    elif kind == 2:
        del sections[i]
    else:
        other = read_sections(dice.choice(_sound()))
        alike = [section for section in other if section.number == sections[i].number]
        if alike:
            sections[i] = dice.choice(alike)
    return assemble(sections)
