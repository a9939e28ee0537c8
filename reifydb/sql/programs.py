"""Programs: typed expressions as the bytes that the kernel runs for each row.

The format is docs/formats.md, "Program". Nothing here knows SQL or the kernel: a program can be
made, kept and compared without either.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass

from reifydb import config
from reifydb.engine.rows import RowCodec
from reifydb.engine.values import default_value
from reifydb.errors import SqlError
from reifydb.sql.emitter import PARAMETERS, TEMPORARIES, Emitter, Instruction
from reifydb.sql.expressions import Expression, Kind

_HEADER = struct.Struct("<IHHHHHH")
_OUTPUT = struct.Struct("<HBB")
_INSTRUCTION = struct.Struct("<HHHHq")


@dataclass(frozen=True, slots=True)
class Program:
    """What computes some values of one row of each input.

    Attributes:
        encoded: The bytes.
        places: For each instruction where what it computes stands in the SQL, from 0.
        outputs: The kinds of the values.
        columns_needed: For each input so many columns its rows must have.
    """

    encoded: bytes
    places: tuple[int, ...]
    outputs: tuple[Kind, ...]
    columns_needed: tuple[int, ...]


def compile_program(
    outputs: Sequence[Expression], inputs: Sequence[int], parameters: Sequence[Kind] = ()
) -> Program:
    """The program that computes `outputs`. O(nodes).

    Args:
        outputs: Expressions over rows: no `AggregateRef`, no `GroupRef`.
        inputs: Which inputs (`ColumnRef.source`) the rows are of that it is given, in this order.
        parameters: The kinds of all parameters of the query.

    Raises:
        SqlError: It needs more registers, constants or instructions than a program has.
    """
    emitter = Emitter(inputs)
    try:
        registers = [emitter.emit(output) for output in outputs]
    except RecursionError:
        raise SqlError("the expressions are nested too deep for the stack that is left") from None
    constants = emitter.constants
    _check(emitter, len(parameters))
    numbers = _Numbers(len(constants), len(parameters))
    head = _HEADER.pack(
        len(emitter.code),
        numbers.temporaries + emitter.temporaries,
        len(constants),
        len(parameters),
        len(outputs),
        len(inputs),
        0,
    )
    head += struct.pack(f"<{len(inputs)}H", *emitter.columns_needed)
    head += b"".join(
        _OUTPUT.pack(numbers.final(register), output.kind.code, output.nullable)
        for output, register in zip(outputs, registers, strict=True)
    )
    head += bytes(kind.code for kind, _, _ in constants)
    head += bytes(kind.code for kind in parameters)
    head += bytes(-len(head) % 8)
    code = b"".join(map(numbers.encoded, emitter.code))
    return Program(
        head + code + _constants(emitter),
        tuple(made.at for made in emitter.code),
        tuple(output.kind for output in outputs),
        tuple(emitter.columns_needed),
    )


def _check(emitter: Emitter, parameters: int) -> None:
    """A program has its limits; who meets them has generated SQL."""
    registers = len(emitter.constants) + parameters + emitter.temporaries
    for what, count, limit in (
        ("registers", registers, config.program_registers_max),
        ("different constants", len(emitter.constants), config.columns_max),
        ("instructions", len(emitter.code), config.program_instructions_max),
    ):
        if count > limit:
            message = f"the expressions are too large: {count:,} {what} of at most {limit:,}"
            raise SqlError(message, hint="a long list belongs into a table that is joined")


def _constants(emitter: Emitter) -> bytes:
    columns = [
        kind.column(f"c{i}", default=value) for i, (kind, _, value) in enumerate(emitter.constants)
    ]
    values = [default_value(column) for column in columns]
    return RowCodec(columns, what="constants").encode(values)


@dataclass(frozen=True, slots=True)
class _Numbers:
    """The final numbers of registers."""

    constants: int
    parameters: int

    @property
    def temporaries(self) -> int:
        return self.constants + self.parameters

    def final(self, register: int) -> int:
        if register >= TEMPORARIES:
            return self.temporaries + register - TEMPORARIES
        if register >= PARAMETERS:
            return self.constants + register - PARAMETERS
        return register

    def encoded(self, made: Instruction) -> bytes:
        registers = [self.final(register) for register in (made.dst, made.a, made.b)]
        imm = made.imm if made.c is None else self.final(made.c)
        return _INSTRUCTION.pack(made.op, *registers, imm)
