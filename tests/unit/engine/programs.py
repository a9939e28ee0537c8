"""Programs written by hand, and the kernel's `evaluate` for them (docs/formats.md, "Program").

    run = Evaluator(db)
    run(Program([("add", 2, 0, 1)], constants=[(INT, 1), (INT, 2)], outputs=[(2, INT)]))  # (3,)

An instruction is `(name, dst, a, b, imm)`; what it leaves out is 0.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import reifydb
from reifydb.engine.catalog import Column, Type
from reifydb.engine.kernel import Kernel
from reifydb.engine.rows import RowCodec

BOOL, INT, FLOAT = Column("x", Type.BOOL), Column("x", Type.INT), Column("x", Type.FLOAT)
TEXT, BYTES, JSON = Column("x", Type.TEXT), Column("x", Type.BYTES), Column("x", Type.JSON)
TIMESTAMP, UUID = Column("x", Type.TIMESTAMP), Column("x", Type.UUID)

NONE = 0xFFFF
"""In place of a register that an operation can do without."""

FAILURES = {
    1: "DivisionByZero",
    2: "OutOfRange",
    3: "InvalidText",
    4: "TextTooLong",
    5: "NotFinite",
}

_SOURCE = Path(__file__).resolve().parents[3] / "kernel" / "program.zig"
_HEAD = struct.Struct("<IHHHHHH")
_OUTPUT = struct.Struct("<HBB")
_INSTRUCTION = struct.Struct("<HHHHq")


def decimal(precision: int, scale: int = 0) -> Column:
    """The kind of a decimal."""
    return Column("x", Type.DECIMAL, precision=precision, scale=scale)


def _read_ops() -> dict[str, int]:
    body = _SOURCE.read_text(encoding="utf-8").split("pub const Op = enum(u16) {")[1].split("};")[0]
    return {
        name: int(n) for name, n in re.findall(r'^ *(?:@")?(\w+)"? = (\d+),', body, re.MULTILINE)
    }


OPS = _read_ops()
"""Every operation's number, as the kernel's source has them."""


class FailedError(Exception):
    """A program failed: how, and at which instruction."""

    def __init__(self, name: str, at: int) -> None:
        super().__init__(name, at)
        self.name, self.at = name, at


class RefusedError(Exception):
    """The kernel refused to run it: one of the codes of kernel/layout.zig."""

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


Instruction = tuple[Any, ...]
Value = tuple[Column, object]


@dataclass
class Program:
    """A program before it is bytes, with the rows that it runs on.

    Attributes:
        instructions: `(name or number, dst, a, b, imm)`.
        constants, parameters: Kinds and values: the first registers.
        outputs: Registers and kinds; all may be null unless they are in `required`.
        inputs: For each row that it looks at the kinds and values of its columns.
        registers: How many; None: as many as are named.
        needed: Columns that the inputs must have; None: as many as their rows have.
    """

    instructions: Sequence[Instruction]
    constants: Sequence[Value] = ()
    parameters: Sequence[Value] = ()
    outputs: Sequence[tuple[int, Column]] = ()
    inputs: Sequence[Sequence[Value]] = ()
    required: Sequence[int] = ()
    registers: int | None = None
    needed: Sequence[int] | None = None
    reserved: int = field(default=0)

    def encode(self) -> bytes:
        """The program's bytes."""
        lines = [(*i, 0, 0, 0, 0)[:5] for i in self.instructions]
        made = [(OPS[op] if isinstance(op, str) else op, d, a, b, m) for op, d, a, b, m in lines]
        least = len(self.constants) + len(self.parameters)
        registers = self.registers
        if registers is None:
            named = [d for _, d, _, _, _ in made] + [register for register, _ in self.outputs]
            registers = max([least, *(n + 1 for n in named)])
        needed = self.needed if self.needed is not None else [len(row) for row in self.inputs]
        parts = [
            _HEAD.pack(
                len(made),
                registers,
                len(self.constants),
                len(self.parameters),
                len(self.outputs),
                len(needed),
                self.reserved,
            ),
            *(struct.pack("<H", columns) for columns in needed),
            *(
                _OUTPUT.pack(register, kind.code, i not in self.required)
                for i, (register, kind) in enumerate(self.outputs)
            ),
            bytes(kind.code for kind, _ in (*self.constants, *self.parameters)),
        ]
        front = b"".join(parts)
        front += bytes(-len(front) % 8)
        return (
            front + b"".join(_INSTRUCTION.pack(*one) for one in made) + encode_row(self.constants)
        )


def encode_row(values: Sequence[Value]) -> bytes:
    """A row of the values."""
    columns = [
        Column(f"c{i}", k.type, True, precision=k.precision, scale=k.scale)
        for i, (k, _) in enumerate(values)
    ]
    return RowCodec(columns, what="a test's row").encode([value for _, value in values])


class Evaluator:
    """Runs programs in the kernel of a database."""

    def __init__(self, db: reifydb.Database) -> None:
        self.kernel: Kernel = db._kernel

    def __call__(self, program: Program) -> tuple[object, ...]:
        """The values of the outputs.

        Raises:
            FailedError: The program failed.
            RefusedError: The program is malformed, or its rows are.
        """
        rows = encode_row(program.parameters) + b"".join(encode_row(row) for row in program.inputs)
        made = self.run_bytes(program.encode(), rows)
        kinds = [
            Column(f"c{i}", k.type, True, precision=k.precision, scale=k.scale)
            for i, (_, k) in enumerate(program.outputs)
        ]
        return RowCodec(kinds, what="a test's row").decode(made)

    def run_bytes(self, program: bytes, rows: bytes) -> bytes:
        """The row of outputs."""
        kernel = self.kernel
        kernel.input[: len(program)] = program
        kernel.input[len(program) : len(program) + len(rows)] = rows
        length = kernel.call["evaluate"](len(program), len(rows))
        if length < -100:
            raise FailedError(FAILURES[-100 - length], kernel.control.fault_row)
        if length < 0:
            raise RefusedError(length)
        return bytes(kernel.output[:length])

    def op(self, name: str, result: Column, *operands: Value | None, imm: int = 0) -> object:
        """One operation on parameters; None: an operand that is left out."""
        given = [operand for operand in operands if operand is not None]
        places = iter(range(len(given)))
        registers = [NONE if operand is None else next(places) for operand in operands]
        a, b = (*registers, 0, 0)[:2]
        if len(registers) > 2:
            imm = registers[2]
        program = Program(
            [(name, len(given), a, b, imm)], parameters=given, outputs=[(len(given), result)]
        )
        return self(program)[0]
