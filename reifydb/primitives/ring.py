"""Ring buffers: `create ring trade (price decimal(18,4), qty int) per (symbol text) capacity 1000`.

Each part keeps its last rows, numbered from 1 on without a gap. What is too old is deleted by the
push that makes it so, in the same transaction.
"""

from __future__ import annotations

from dataclasses import replace

from reifydb.engine.catalog import Column, Primitive, Table, Type
from reifydb.primitives.kind import Kind
from reifydb.primitives.operation import Operation

SEQ = Column("seq", Type.INT, nullable=False)
_PUSH, _LENGTH, _CLEAR = 7, 8, 9


def ring_table(
    name: str, columns: tuple[Column, ...], per: tuple[Column, ...], capacity: int
) -> Table:
    """The table of a ring, without a number.

    Args:
        columns: Of what is pushed.
        per: What tells the parts apart; none: there is one part.
        capacity: Rows of a part.
    """
    keys = (*(replace(column, nullable=False) for column in per), SEQ)
    settings = (("capacity", capacity),)
    key = tuple(range(len(keys)))
    return Table(name, (*keys, *columns), key, primitive=Primitive("ring", settings))


def _operations(table: Table) -> tuple[Operation, ...]:
    part, columns = table.key_columns[:-1], _declared(table)
    settings = (_capacity(table),)
    count = (Column("count", Type.INT, nullable=False),)
    return (
        Operation("push", _PUSH, (*part, *columns), (SEQ,), settings=settings, about="its seq"),
        Operation("length", _LENGTH, part, count, query=True, settings=settings, about="its rows"),
        Operation("clear", _CLEAR, part, count, settings=settings, about="how many rows it had"),
    )


def _capacity(table: Table) -> int:
    assert table.primitive is not None
    capacity = table.primitive.setting("capacity")
    assert isinstance(capacity, int)
    return capacity


def _declared(table: Table) -> tuple[Column, ...]:
    return table.columns[len(table.key) :]


def _per(table: Table) -> tuple[Column, ...]:
    return table.key_columns[:-1]


def _clauses(table: Table) -> str:
    return f"capacity {_capacity(table)}"


KIND = Kind("ring", _operations, _clauses, _declared, _per)
