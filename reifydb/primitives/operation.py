"""One operation of a primitive."""

from __future__ import annotations

import struct
from dataclasses import dataclass

from reifydb.engine.catalog import Column, Table, Transition


@dataclass(frozen=True, slots=True)
class Operation:
    """What a primitive can do, as a transition that the kernel runs itself.

    Attributes:
        name: Without the primitive's.
        code: What it is to the kernel (kernel/native.zig, `Operation`).
        params, result, result_is_row, query: As of a `Transition`.
        settings: What it needs to know of the declaration, at most 8 whole numbers of 64 bits.
        about: What it does and gives, for people.
    """

    name: str
    code: int
    params: tuple[Column, ...]
    result: tuple[Column, ...] = ()
    result_is_row: bool = False
    query: bool = False
    settings: tuple[int, ...] = ()
    about: str = ""

    def transition(self, primitive: str, number: int) -> Transition:
        """The transition that it is, of the primitive of this name."""
        return Transition(
            self.name,
            self.params,
            self.result,
            self.result_is_row,
            self.query,
            primitive,
            number,
        )

    def descriptor(self, table: Table) -> bytes:
        """How the kernel is told of it (docs/formats.md, "Native transition")."""
        return struct.pack(f"<II{len(self.settings)}q", self.code, table.number, *self.settings)
