"""Aggregate functions: what they take, and what they give.

All but `count` are null for a group in which no row has a value.
"""

from __future__ import annotations

from reifydb.engine.catalog import DECIMAL_PRECISION_MAX, Type
from reifydb.sql.expressions import BOOL, FLOAT, INT, Kind
from reifydb.sql.kinds import QUOTIENT_SCALE_MIN, is_number

AGGREGATES = {
    "count": "count",
    "sum": "sum",
    "avg": "avg",
    "min": "min",
    "max": "max",
    "bool_and": "bool_and",
    "every": "bool_and",
    "bool_or": "bool_or",
}
"""The names in SQL, and what each is called in `query.Aggregate`."""


def aggregate_kind(function: str, argument: Kind) -> Kind | None:
    """The kind of an aggregate of values of this kind; None when there is none."""
    match function:
        case "count":
            return INT
        case "min" | "max":
            return argument
        case "bool_and" | "bool_or":
            return BOOL if argument == BOOL else None
        case "sum" if argument.interval:
            return argument
    if not is_number(argument):
        return None
    if argument.type is Type.DECIMAL:
        scale = argument.scale
        if function == "avg":
            scale = min(DECIMAL_PRECISION_MAX, max(scale, QUOTIENT_SCALE_MIN))
        return Kind(Type.DECIMAL, DECIMAL_PRECISION_MAX, scale)
    return FLOAT if function == "avg" else argument
