"""Calls of aggregates: from their nodes to `query.Aggregate`, by the catalogue."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlglot import exp

from reifydb.engine.catalog import Type
from reifydb.sql.aggregates import (
    AGGREGATES,
    FRACTION_SCALE,
    WITHIN_GROUP,
    aggregate_kind,
    counts_once,
)
from reifydb.sql.expressions import (
    BOOL,
    INT,
    TEXT,
    AggregateRef,
    Constant,
    Expression,
    Kind,
    Parameter,
)
from reifydb.sql.query import Aggregate, OrderBy

if TYPE_CHECKING:
    from reifydb.sql.expression_reader import ExpressionReader

_HALF = 10**FRACTION_SCALE // 2
_ORDERED = ("array_agg", "string_agg")
_PICKED = ("arg_min", "arg_max")
_KIND_HINTS = {
    "array_agg": "an array is JSON, which has no {kind}: cast it first",
    "string_agg": "cast it first: string_agg(x::text, ', ')",
    "percentile_cont": "percentile_disc(…) takes any type: it is one of the values",
}


@dataclass(frozen=True, slots=True)
class _Call:
    """A call, taken apart.

    Attributes:
        order: What stands behind `order by`.
        within: The same of `within group`; None: there is none.
    """

    name: str
    arguments: list[Any]
    distinct: bool
    order: Sequence[exp.Ordered]
    within: Sequence[exp.Ordered] | None
    at: int


def filtered(reader: ExpressionReader, node: exp.Filter, _: Kind | None) -> Expression:
    """`aggregate(…) filter (where …)`."""
    inner, where = node.this, node.args.get("expression")
    called = inner.this if isinstance(inner, exp.WithinGroup) else inner
    name = str(called.this).lower() if isinstance(called, exp.Anonymous) else ""
    if name not in AGGREGATES or not isinstance(where, exp.Where):
        reader.refuse("filter stands behind an aggregate", reader.source.start(node, reader.at))
    return aggregate(reader, inner, where.this)


def within_group(reader: ExpressionReader, node: exp.WithinGroup, _: Kind | None) -> Expression:
    """`percentile_cont(0.5) within group (order by x)`."""
    called = node.this
    name = str(called.this).lower() if isinstance(called, exp.Anonymous) else ""
    if name not in WITHIN_GROUP:
        at = reader.source.start(node, reader.at)
        reader.refuse("within group stands behind a percentile", at, hint=_WITHIN_HINT)
    return aggregate(reader, node, None)


_WITHIN_HINT = "percentile_cont(0.5) within group (order by x)"


def aggregate(
    reader: ExpressionReader, node: exp.Anonymous | exp.WithinGroup, where: Any
) -> Expression:
    """`count(*)`, `sum(distinct x)`: goes to the aggregates of the select."""
    call = _taken_apart(reader, node)
    collected = reader.aggregates
    if collected is None:
        message = f"{call.name} cannot stand in {reader.clause}"
        reader.refuse(message, call.at, hint=reader.aggregate_hint)
    reader.aggregates = None
    clause, reader.clause = reader.clause, f"{call.name}(…)"
    hint, reader.aggregate_hint = reader.aggregate_hint, "aggregate in a query in from first"
    try:
        filter_ = None if where is None else reader.condition(where, "filter")
        found = _aggregate(reader, call, filter_)
    finally:
        reader.aggregates, reader.clause, reader.aggregate_hint = collected, clause, hint
    if found not in collected:
        collected.append(found)
    return AggregateRef(collected.index(found), found.kind, found.nullable, call.at)


def _taken_apart(reader: ExpressionReader, node: exp.Anonymous | exp.WithinGroup) -> _Call:
    at = reader.source.start(node, reader.at)
    within = None
    if isinstance(node, exp.WithinGroup):
        reader.only(node, "within group", "this", "expression")
        order = node.args["expression"]
        reader.only(order, "within group", "expressions")
        node, within = node.this, order.expressions
    name = str(node.this).lower()
    reader.only(node, name, "this", "expressions")
    nodes, order, distinct = list(node.expressions), (), False
    if nodes and isinstance(nodes[-1], exp.Order):
        reader.only(nodes[-1], "order by", "this", "expressions")
        order = nodes[-1].expressions
        nodes[-1] = nodes[-1].this
    if nodes and isinstance(nodes[0], exp.Distinct):
        reader.only(nodes[0], "distinct", "expressions")
        distinct, nodes = True, [*nodes[0].expressions, *nodes[1:]]
    return _Call(name, nodes, distinct, order, within, at)


def _aggregate(reader: ExpressionReader, call: _Call, filter_: Expression | None) -> Aggregate:
    name, nodes, function = call.name, call.arguments, AGGREGATES[call.name]
    if call.order and function not in _ORDERED:
        reader.refuse(f"the order does not matter to {name}", call.at, hint="leave it out")
    if name in WITHIN_GROUP:
        return _percentile(reader, call, filter_)
    wanted = 2 if function in ("string_agg", *_PICKED) else 1
    if len(nodes) != wanted:
        reader.refuse(f"{name} takes {'two arguments' if wanted == 2 else 'one argument'}", call.at)
    if isinstance(nodes[0], exp.Star):
        reader.only(nodes[0], "*")
        if function != "count" or call.distinct:
            reader.refuse("only count takes *", call.at)
        return Aggregate("count", (), INT, False, False, filter_)
    if call.distinct and function in _PICKED:
        reader.refuse(f"{name} is one value: there is nothing to be distinct", call.at)
    arg = reader.read(nodes[0], {"string_agg": TEXT}.get(function, _wanted(function)))
    kind = _kind(reader, name, arg)
    args: tuple[Expression, ...] = (arg,)
    order = tuple(_ordered(reader, one) for one in call.order)
    if function == "string_agg":
        args = (arg, _separator(reader, nodes[1]))
    elif function in _PICKED:
        order = (OrderBy(reader.read(nodes[1]), function == "arg_max"),)
    distinct = call.distinct and not counts_once(function)
    if distinct and any(one.value != arg for one in order):
        reader.refuse("with distinct, order by takes the value alone", order[0].value.at)
    fraction = _HALF if name == "median" else 0
    nullable = function != "count"
    return Aggregate(function, args, kind, nullable, distinct, filter_, order, fraction)


def _wanted(function: str) -> Kind | None:
    return BOOL if function.startswith("bool") else None


def _kind(reader: ExpressionReader, name: str, arg: Expression) -> Kind:
    function = AGGREGATES[name]
    kind = aggregate_kind(function, arg.kind)
    if kind is None:
        hint = _KIND_HINTS.get(function, "").replace("{kind}", arg.kind.sql)
        reader.refuse(f"there is no {name} of {arg.kind.sql}", arg.at, hint=hint)
    return kind


def _ordered(reader: ExpressionReader, node: exp.Ordered) -> OrderBy:
    reader.only(node, "order by", "this", "desc", "nulls_first")
    value = reader.read(node.this)
    return OrderBy(value, bool(node.args.get("desc")), bool(node.args.get("nulls_first")))


def _separator(reader: ExpressionReader, node: Any) -> Expression:
    """What stands between texts: the same everywhere."""
    found = reader.read(node, TEXT)
    if found.kind != TEXT or not isinstance(found, Constant | Parameter):
        reader.refuse("what stands between is a text that is the same for all rows", found.at)
    return found


def _percentile(reader: ExpressionReader, call: _Call, filter_: Expression | None) -> Aggregate:
    """One of the values of a group, or what lies between two."""
    if call.within is None or call.distinct or len(call.arguments) != 1:
        hint = _WITHIN_HINT.replace("percentile_cont", call.name)
        reader.refuse(
            f"{call.name} takes a fraction, and within group the values", call.at, hint=hint
        )
    fraction = _fraction(reader, call.arguments[0])
    if len(call.within) != 1:
        reader.refuse("within group takes one order", call.at, hint=_WITHIN_HINT)
    order = _ordered(reader, call.within[0])
    if order.descending:
        hint = f"{call.name}(0.9) … instead of {call.name}(0.1) … desc"
        reader.refuse("the order within a group is ascending", order.value.at, hint=hint)
    kind = _kind(reader, call.name, order.value)
    function = AGGREGATES[call.name]
    return Aggregate(function, (order.value,), kind, True, False, filter_, (), fraction)


def _fraction(reader: ExpressionReader, node: Any) -> int:
    """A number from 0 to 1, in units of 10^-18."""
    found = reader.read(node)
    if (
        not isinstance(found, Constant)
        or not isinstance(found.value, int)
        or found.kind.interval
        or found.kind.type not in (Type.INT, Type.DECIMAL)
        or not 0 <= found.value <= 10**found.kind.scale
    ):
        reader.refuse("a percentile's fraction is a number from 0 to 1", found.at, hint="0.95")
    return int(found.value * 10 ** (FRACTION_SCALE - found.kind.scale))
