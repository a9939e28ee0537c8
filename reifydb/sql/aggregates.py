"""The catalogue of aggregate functions: what they take, and what they give.

All but `count` are null for a group in which no row has a value. docs/sql.md, "Aggregates", has a
row for each; a test compares, and runs its example.
"""

from __future__ import annotations

from reifydb.engine.catalog import DECIMAL_PRECISION_MAX, Type
from reifydb.sql.expressions import BOOL, FLOAT, INT, JSON, TEXT, Kind
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
    "var_samp": "var_samp",
    "variance": "var_samp",
    "var_pop": "var_pop",
    "stddev_samp": "stddev_samp",
    "stddev": "stddev_samp",
    "stddev_pop": "stddev_pop",
    "median": "percentile_cont",
    "percentile_cont": "percentile_cont",
    "percentile_disc": "percentile_disc",
    "arg_min": "arg_min",
    "arg_max": "arg_max",
    "array_agg": "array_agg",
    "string_agg": "string_agg",
}
"""The names in SQL, and what each is called in `query.Aggregate`."""

WITHIN_GROUP = frozenset({"percentile_cont", "percentile_disc"})
"""Names whose values stand behind `within group (order by …)`."""

FRACTION_SCALE = 18
"""Digits behind the point of a percentile's fraction, as in kernel/percentile.zig."""

SPREADS = {"var_samp": 0, "var_pop": 1, "stddev_samp": 2, "stddev_pop": 3}
"""Variances, and which one the kernel is asked for: 1 of the population, 2 its square root."""

_ONCE = frozenset({"min", "max", "bool_and", "bool_or"})


def aggregate_kind(function: str, argument: Kind) -> Kind | None:
    """The kind of an aggregate of values of this kind; None when there is none."""
    match function:
        case "count":
            return INT
        case "min" | "max" | "percentile_disc" | "arg_min" | "arg_max":
            return argument
        case "bool_and" | "bool_or":
            return BOOL if argument == BOOL else None
        case "array_agg":
            return None if argument.interval or argument.type is Type.BYTES else JSON
        case "string_agg":
            return TEXT if argument == TEXT else None
        case "sum" if argument.interval:
            return argument
    if not is_number(argument):
        return None
    if function in SPREADS:
        return FLOAT
    if argument.type is Type.DECIMAL:
        scale = argument.scale
        if function in ("avg", "percentile_cont"):
            scale = min(DECIMAL_PRECISION_MAX, max(scale, QUOTIENT_SCALE_MIN))
        return Kind(Type.DECIMAL, DECIMAL_PRECISION_MAX, scale)
    return FLOAT if function in ("avg", "percentile_cont") else argument


def counts_once(function: str) -> bool:
    """Whether a value that comes again changes nothing, so that `distinct` says nothing."""
    return function in _ONCE
