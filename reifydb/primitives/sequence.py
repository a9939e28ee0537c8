"""Sequences: `create sequence ticket start 1000 step 1`.

A value given out by a transaction that is undone is given out again: there are no gaps.
"""

from __future__ import annotations

from dataclasses import replace

from reifydb.engine.catalog import Column, Primitive, Table, Type
from reifydb.primitives.kind import Kind, key_columns
from reifydb.primitives.operation import Operation

_NEXT, _CURRENT = 5, 6
_VALUE = Column("value", Type.INT, nullable=False)


def sequence_table(name: str, start: int, step: int) -> Table:
    """The table of a sequence, without a number: one row, from the first value on."""
    settings = (("start", start), ("step", step))
    return Table(
        name, (*key_columns(name, ()), _VALUE), (0,), primitive=Primitive("sequence", settings)
    )


def _operations(table: Table) -> tuple[Operation, ...]:
    assert table.primitive is not None
    start, step = table.primitive.setting("start"), table.primitive.setting("step")
    assert isinstance(start, int)
    assert isinstance(step, int)
    last = replace(_VALUE, nullable=True)
    return (
        Operation("next", _NEXT, (), (_VALUE,), settings=(start, step), about="the next value"),
        Operation("current", _CURRENT, (), (last,), query=True, about="the last value given out"),
    )


def _clauses(table: Table) -> str:
    assert table.primitive is not None
    return " ".join(
        f"{word} {value}"
        for word, value in table.primitive.settings
        if (word, value) != ("step", 1)
    )


def _declared(table: Table) -> tuple[Column, ...]:
    del table
    return ()


KIND = Kind("sequence", _operations, _clauses, _declared)
