"""Random schemas: tables of all types, keys of one to four columns, defaults, auto-increment."""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import datetime
from typing import Any

from reifydb.engine.catalog import Column, Index, Table, Type
from reifydb.engine.values import decimal_slot
from tests.histories.drawing import EPOCH, INT_MAX, INT_MIN, MICROSECOND, draw
from tests.histories.oracle_values import canonical_json


def random_schema(rng: random.Random) -> tuple[Table, ...]:
    """One to four tables, named t0, t1, …"""
    return tuple(_table(rng, f"t{i}") for i in range(rng.randint(1, 4)))


def _table(rng: random.Random, name: str) -> Table:
    auto = rng.random() < 0.3
    parts = rng.choices((1, 2, 3, 4), (5, 3, 2, 1))[0]
    if auto and rng.random() < 0.7:
        parts = 1
    types = [rng.choice(list(Type)) for _ in range(parts)]
    if parts == 1 and rng.random() < 0.4:
        types = [Type.INT]
    auto_part = rng.randrange(parts) if auto else -1
    key = [
        typed(rng, f"k{i}", Type.INT if i == auto_part else kind, nullable=False)
        for i, kind in enumerate(types)
    ]
    rest = [random_column(rng, f"c{i}") for i in range(rng.choice((0, 1, 2, 3, 4, 5, 9, 20)))]
    order = [*key, *rest]
    if rng.random() < 0.4:
        rng.shuffle(order)
    positions = tuple(order.index(column) for column in key)
    table = Table(name, tuple(order), positions, positions[auto_part] if auto else None)
    for number in range(rng.choice((0, 0, 1, 1, 2, 4))):
        columns = random_index_columns(rng, table)
        index = Index(f"{name}_i{number}", columns, rng.random() < 0.3, number + 1)
        table = replace(table, indexes=(*table.indexes, index))
    return table


def random_index_columns(rng: random.Random, table: Table) -> tuple[int, ...]:
    """Some columns of a table, in any order."""
    return tuple(
        rng.sample(range(len(table.columns)), min(len(table.columns), rng.choice((1, 1, 2, 3))))
    )


def typed(rng: random.Random, name: str, kind: Type, **facts: Any) -> Column:
    """A column of this type; a decimal has some precision and scale."""
    if kind is not Type.DECIMAL:
        return Column(name, kind, **facts)
    precision, scale = rng.choice(
        ((1, 0), (1, 1), (18, 0), (18, 18), (10, 2), (18, 4), (3, 3), (rng.randint(2, 17), 1))
    )
    return Column(name, kind, precision=precision, scale=scale, **facts)


def random_column(rng: random.Random, name: str) -> Column:
    """A column of any type, with a default or without."""
    column = typed(rng, name, rng.choice(list(Type)), nullable=rng.random() < 0.7)
    return replace(column, default=random_default(rng, column))


def random_default(rng: random.Random, column: Column, *, chance: float = 0.4) -> object:
    """With some chance a default for a column, as a catalog has it; else None."""
    return _inside(column, draw(rng, column)) if rng.random() < chance else None


def _inside(column: Column, value: object) -> object:
    """As a catalog has it."""
    match column.type:
        case Type.FLOAT:
            return float(value) + 0.0  # type: ignore[arg-type]
        case Type.TIMESTAMP:
            micros = (value - EPOCH) // MICROSECOND if isinstance(value, datetime) else value
            return 0 if micros in (INT_MIN, INT_MAX) else micros  # SQL has no literal for those
        case Type.DECIMAL:
            return decimal_slot(value, column.precision, column.scale)
        case Type.UUID:
            return value.bytes  # type: ignore[attr-defined]
        case Type.JSON:
            return canonical_json(value)
    return value
