"""Counters: `create counter stock (item text) min 0 max 100`.

A key that was never counted has no row and counts 0. The bounds are checks of the table, so what
would break one is refused with its name.
"""

from __future__ import annotations

from reifydb.engine.catalog import Check, Column, Primitive, Table, Type
from reifydb.primitives.kind import Kind, declared_key, key_columns
from reifydb.primitives.operation import Operation

VALUE = Column("value", Type.INT, nullable=False)
_ADD, _GET, _SET, _RESET = range(1, 5)


def counter_table(name: str, key: tuple[Column, ...], least: int | None, most: int | None) -> Table:
    """The table of a counter, without a number.

    Args:
        key: Its columns; none: it counts one thing.
        least, most: Its bounds.
    """
    columns = key_columns(name, key)
    bounds = ("min", least, ">="), ("max", most, "<=")
    return Table(
        name,
        (*columns, VALUE),
        tuple(range(len(columns))),
        checks=tuple(
            Check(f"{name[:50]}_{word}", f"{VALUE.name} {sign} {bound}")
            for word, bound, sign in bounds
            if bound is not None
        ),
        primitive=Primitive(
            "counter", tuple((word, bound) for word, bound, _ in bounds if bound is not None)
        ),
    )


def _operations(table: Table) -> tuple[Operation, ...]:
    key, value = declared_key(table), (VALUE,)
    amount = Column("amount", Type.INT, nullable=False)
    return (
        Operation("add", _ADD, (*key, amount), value, about="adds to the value: the value now"),
        Operation("get", _GET, key, value, query=True, about="the value, 0 of an unknown key"),
        Operation("set", _SET, (*key, VALUE), value, about="sets the value: what it was"),
        Operation("reset", _RESET, key, value, about="forgets the key: what its value was"),
    )


def _clauses(table: Table) -> str:
    assert table.primitive is not None
    return " ".join(f"{word} {bound}" for word, bound in table.primitive.settings)


KIND = Kind("counter", _operations, _clauses, declared_key)
