"""Two machines that run programs: the kernel, and its twin in Python. Tests ask both."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import reifydb
from reifydb.engine.rows import RowCodec
from reifydb.engine.values import FROM_TAIL, slot_reader
from reifydb.sql.expressions import Kind
from reifydb.sql.programs import Program
from tests.unit.engine.programs import Evaluator, FailedError
from tests.unit.sql.interpreter import Cell, FailureError, cell, evaluate

Row = Sequence[tuple[Kind, Cell]]


class Machine(Protocol):
    """Runs a program on a row of each input, and parameters; all as cells with their kinds."""

    def __call__(self, program: Program, rows: Sequence[Row] = (), given: Row = ()) -> list[Cell]:
        """The cells of the outputs.

        Raises:
            FailureError: The program failed.
        """


def twin(program: Program, rows: Sequence[Row] = (), given: Row = ()) -> list[Cell]:
    """The twin as a `Machine`."""
    return evaluate(program, [[one for _, one in row] for row in rows], [one for _, one in given])


class KernelMachine:
    """The kernel of a database as a `Machine`."""

    def __init__(self, db: reifydb.Database) -> None:
        self.evaluator = Evaluator(db)

    def __call__(self, program: Program, rows: Sequence[Row] = (), given: Row = ()) -> list[Cell]:
        """See `Machine`."""
        data = b"".join(_encoded(row) for row in (given, *rows))
        try:
            made = self.evaluator.run_bytes(program.encoded, data)
        except FailedError as error:
            raise FailureError(error.name, error.at) from None
        columns = [kind.column(f"c{i}") for i, kind in enumerate(program.outputs)]
        values = RowCodec(columns, what="outputs").decode(made)
        return [cell(value, kind) for value, kind in zip(values, program.outputs, strict=True)]


def _encoded(row: Row) -> bytes:
    codec = RowCodec([kind.column(f"c{i}") for i, (kind, _) in enumerate(row)], what="a row")
    return codec.encode([_value(one, kind) for kind, one in row])


def _value(one: Cell, kind: Kind) -> object:
    if one is None:
        return None
    if kind.type in FROM_TAIL:
        assert isinstance(one, bytes)
        return FROM_TAIL[kind.type](one)
    reader = slot_reader(kind.column("c"))
    return one if reader is None else reader(one)  # type: ignore[arg-type]
