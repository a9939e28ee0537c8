"""Random schemas: tables of all types, keys of one to four columns, defaults, auto-increment."""

from __future__ import annotations

import random
from datetime import datetime

from reifydb.engine.catalog import Column, Table, Type
from tests.histories.drawing import EPOCH, INT_MAX, INT_MIN, MICROSECOND, draw


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
        Column(f"k{i}", Type.INT if i == auto_part else kind, nullable=False)
        for i, kind in enumerate(types)
    ]
    rest = [_column(rng, f"c{i}") for i in range(rng.choice((0, 1, 2, 3, 4, 5, 9, 20)))]
    order = [*key, *rest]
    if rng.random() < 0.4:
        rng.shuffle(order)
    positions = tuple(order.index(column) for column in key)
    return Table(name, tuple(order), positions, positions[auto_part] if auto else None)


def _column(rng: random.Random, name: str) -> Column:
    kind = rng.choice(list(Type))
    default = _inside(draw(rng, kind)) if rng.random() < 0.4 else None
    if kind is Type.FLOAT and default is not None:
        default = float(default) + 0.0  # type: ignore[arg-type]
    if kind is Type.TIMESTAMP and default in (INT_MIN, INT_MAX):
        default = 0  # SQL has no literal for what no calendar has
    return Column(name, kind, nullable=rng.random() < 0.7, default=default)


def _inside(value: object) -> object:
    """As a catalog has it: timestamps in microseconds."""
    return (value - EPOCH) // MICROSECOND if isinstance(value, datetime) else value
