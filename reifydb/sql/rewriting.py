"""Queries with other expressions in them, and selects over groups as selects over rows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from reifydb.engine.catalog import Table
from reifydb.sql.expressions import (
    INT,
    AggregateRef,
    ColumnRef,
    Constant,
    Expression,
    GroupRef,
    Parameter,
    rewrite,
)
from reifydb.sql.query import Aggregate, Numbering, OrderBy, Output, Query, Select, SetQuery

Change = Callable[[Expression], Expression | None]
"""What stands for a node instead; None: nothing else, and the nodes below it are asked."""


def rewrite_select(select: Select, change: Change) -> Select:
    """A select with other expressions, queries in its `from` as they are. O(nodes)."""

    def new(expression: Expression) -> Expression:
        return rewrite(expression, change)

    def maybe(expression: Expression | None) -> Expression | None:
        return None if expression is None else rewrite(expression, change)

    def aggregate(one: Aggregate) -> Aggregate:
        order = _orders(one.order, change)
        return replace(one, args=tuple(map(new, one.args)), filter=maybe(one.filter), order=order)

    return replace(
        select,
        inputs=tuple(replace(one, on=maybe(one.on)) for one in select.inputs),
        outputs=tuple(Output(one.name, new(one.value)) for one in select.outputs),
        where=maybe(select.where),
        groups=tuple(map(new, select.groups)),
        aggregates=tuple(map(aggregate, select.aggregates)),
        having=maybe(select.having),
        order=_orders(select.order, change),
        limit=_count(select.limit, change),
        offset=_count(select.offset, change),
        numbering=select.numbering and _numbering(select.numbering, change),
    )


def _numbering(numbering: Numbering, change: Change) -> Numbering:
    partition = tuple(rewrite(one, change) for one in numbering.partition)
    bounds = tuple((op, rewrite(value, change)) for op, value in numbering.bounds)
    order = _orders(numbering.order, change)
    return replace(numbering, partition=partition, order=order, bounds=bounds)


def rewrite_query(query: Query, change: Change) -> Query:
    """A query with other expressions, in queries in it as well. O(nodes)."""
    if isinstance(query, SetQuery):
        left, right = rewrite_query(query.left, change), rewrite_query(query.right, change)
        return replace(
            query,
            left=left,
            right=right,
            order=_orders(query.order, change),
            limit=_count(query.limit, change),
            offset=_count(query.offset, change),
        )
    inputs = tuple(
        one
        if isinstance(one.relation, Table)
        else replace(one, relation=rewrite_query(one.relation, change))
        for one in query.inputs
    )
    return rewrite_select(replace(query, inputs=inputs), change)


def over_group(expression: Expression, groups: int) -> Expression:
    """An expression over groups and aggregates as one over a group's row."""

    def change(node: Expression) -> Expression | None:
        match node:
            case GroupRef(index=index):
                place = index
            case AggregateRef(index=index):
                place = groups + index
            case _:
                return None
        return ColumnRef(0, place, "", node.kind, node.nullable, node.at)

    return rewrite(expression, change)


def groups_alone(query: Select) -> Select:
    """Groups and aggregates, unfiltered, under names of their own."""
    outputs = [
        Output(f"g{i}", GroupRef(i, group.kind, group.nullable))
        for i, group in enumerate(query.groups)
    ]
    outputs += [
        Output(f"a{i}", AggregateRef(i, one.kind, one.nullable))
        for i, one in enumerate(query.aggregates)
    ]
    if not outputs:
        outputs.append(Output("g", Constant(0, INT)))
    return replace(query, having=None, outputs=tuple(outputs))


def _count(count: Constant | Parameter | None, change: Change) -> Constant | Parameter | None:
    """A limit or an offset."""
    if count is None:
        return None
    changed = rewrite(count, change)
    assert isinstance(changed, Constant | Parameter)
    return changed


def _orders(orders: tuple[OrderBy, ...], change: Change) -> tuple[OrderBy, ...]:
    return tuple(replace(one, value=rewrite(one.value, change)) for one in orders)
