"""Queries in `from` that only filter and compute, as a part of the query around them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from reifydb.sql.expressions import BOOL, ColumnRef, Expression, Operation, rewrite
from reifydb.sql.query import Aggregate, Input, OrderBy, Output, Query, Select


def flatten(select: Select) -> Select:
    """The same query with fewer queries in `from`. O(nodes)."""
    inputs: list[Input] = []
    where: list[Expression] = []
    outer_join = any(one.join == "left" for one in select.inputs)
    # What a column of an input has become: an expression over the new inputs.
    meanings: list[Select | int] = []
    for one in select.inputs:
        relation = one.relation
        if isinstance(relation, Select):
            relation = flatten(relation)
        if isinstance(relation, Select) and is_plain(relation) and not outer_join:
            start = len(inputs)
            inner = _moved(relation, start)
            for i, part in enumerate(inner.inputs):
                if part.on is not None:
                    where.append(part.on)
                inputs.append(replace(part, on=None, join="inner" if inputs or i else "first"))
            if inner.where is not None:
                where.append(inner.where)
            meanings.append(inner)
        else:
            meanings.append(len(inputs))
            join = one.join if one.join == "left" else ("inner" if inputs else "first")
            inputs.append(replace(one, relation=relation, join=join))
        if one.on is not None and inputs[-1].join != "left":
            where.append(one.on)
            inputs[-1] = replace(inputs[-1], on=None)

    def change(node: Expression) -> Expression | None:
        if not isinstance(node, ColumnRef):
            return None
        meaning = meanings[node.source]
        if isinstance(meaning, int):
            return replace(node, source=meaning)
        return replace(meaning.outputs[node.place].value, at=node.at)

    outer = {id(one.on) for one in select.inputs if one.on is not None}
    own = [c for c in where if id(c) in outer]
    others = [c for c in where if id(c) not in outer]
    changed = [rewrite(c, change) for c in own]
    if select.where is not None:
        changed.append(rewrite(select.where, change))
    return _rewritten(
        replace(
            select,
            inputs=tuple(
                replace(one, on=None if one.on is None else rewrite(one.on, change))
                for one in inputs
            ),
            where=_all((*others, *changed)),
        ),
        change,
    )


def is_plain(query: Query) -> bool:
    """It only joins, filters and computes."""
    return (
        isinstance(query, Select)
        and bool(query.inputs)
        and not (query.grouped or query.distinct or query.order)
        and query.limit is None
        and query.offset is None
        and all(one.join != "left" for one in query.inputs)
    )


def _all(conditions: tuple[Expression, ...]) -> Expression | None:
    if len(conditions) <= 1:
        return conditions[0] if conditions else None
    nullable = any(c.nullable for c in conditions)
    return Operation("and", conditions, BOOL, nullable, at=conditions[0].at)


def _moved(select: Select, start: int) -> Select:
    """With its inputs counted from `start`."""

    def change(node: Expression) -> Expression | None:
        if isinstance(node, ColumnRef):
            return replace(node, source=node.source + start)
        return None

    moved = _rewritten(select, change)
    return replace(
        moved,
        inputs=tuple(
            replace(one, on=None if one.on is None else rewrite(one.on, change))
            for one in select.inputs
        ),
        where=None if select.where is None else rewrite(select.where, change),
    )


def _rewritten(select: Select, change: Callable[[Expression], Expression | None]) -> Select:
    """What is computed of rows, rewritten; `where` and inputs are left."""

    def new(expression: Expression) -> Expression:
        return rewrite(expression, change)

    def aggregate(one: Aggregate) -> Aggregate:
        return replace(
            one,
            args=tuple(map(new, one.args)),
            filter=None if one.filter is None else new(one.filter),
            order=tuple(replace(o, value=new(o.value)) for o in one.order),
        )

    if select.grouped:  # outputs, having and order look at groups and aggregates alone
        return replace(
            select,
            groups=tuple(map(new, select.groups)),
            aggregates=tuple(map(aggregate, select.aggregates)),
        )
    return replace(
        select,
        outputs=tuple(Output(o.name, new(o.value)) for o in select.outputs),
        order=tuple(OrderBy(new(o.value), o.descending, o.nulls_first) for o in select.order),
    )
