"""Histograms: `create histogram latency_us (endpoint text) error 1%`.

A row for each bucket of a key that has values; buckets grow by a constant factor, so that every
quantile is at most `error` away from the right value, relatively (kernel/histogram.zig).
"""

from __future__ import annotations

from dataclasses import replace

from reifydb.engine.catalog import Column, Primitive, Table, Type
from reifydb.primitives.kind import Kind, declared_key, key_columns
from reifydb.primitives.operation import Operation

OWN = (
    Column("bucket", Type.INT, nullable=False),
    Column("count", Type.INT, nullable=False),
    Column("sum", Type.FLOAT, nullable=False),
    Column("min", Type.FLOAT, nullable=False),
    Column("max", Type.FLOAT, nullable=False),
)
ERROR_PPM_DEFAULT = 10_000
_RECORD, _QUANTILE, _SUMMARY, _RESET, _MERGE = range(13, 18)


def histogram_table(name: str, key: tuple[Column, ...], error_ppm: int) -> Table:
    """The table of a histogram, without a number.

    Args:
        key: Its columns; none: there is one histogram.
        error_ppm: The relative error of its quantiles, in millionths.
    """
    columns = key_columns(name, key)
    return Table(
        name,
        (*columns, *OWN),
        tuple(range(len(columns) + 1)),
        primitive=Primitive("histogram", (("error_ppm", error_ppm),)),
    )


def _operations(table: Table) -> tuple[Operation, ...]:
    key, settings = _declared(table), (_error_ppm(table),)
    value = Column("value", Type.FLOAT, nullable=False)
    count = (Column("count", Type.INT, nullable=False),)
    q = Column("q", Type.FLOAT, nullable=False)
    facts = (count[0], *(Column(name, Type.FLOAT) for name in ("sum", "min", "max")))
    recorded = "adds a value so many times: how many its bucket has"
    found = (replace(value, nullable=True),)
    operations = [
        Operation(
            "record", _RECORD, (*key, value, *count), count, settings=settings, about=recorded
        ),
        Operation("quantile", _QUANTILE, (*key, q), found, False, True, settings, "the quantile"),
        Operation("summary", _SUMMARY, key, facts, True, True, settings, "what there is"),
        Operation("reset", _RESET, key, count, settings=settings, about="how many there were"),
    ]
    if key:
        other = tuple(replace(column, name=f"from_{column.name}"[:63]) for column in key)
        added = "adds another key's values: how many there are"
        operations.append(
            Operation("merge", _MERGE, (*key, *other), count, settings=settings, about=added)
        )
    return tuple(operations)


def _declared(table: Table) -> tuple[Column, ...]:
    key = declared_key(table)
    return key[:-1]


def _error_ppm(table: Table) -> int:
    assert table.primitive is not None
    error = table.primitive.setting("error_ppm")
    assert isinstance(error, int)
    return error


def _clauses(table: Table) -> str:
    return f"error {_error_ppm(table) / 10_000:g}%"


KIND = Kind("histogram", _operations, _clauses, _declared)
