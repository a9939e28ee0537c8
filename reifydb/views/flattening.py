"""Queries in `from` that only filter and compute, as a part of the query around them."""

from __future__ import annotations

from dataclasses import replace

from reifydb.sql.expressions import ColumnRef, Expression, together
from reifydb.sql.query import Input, Query, Select
from reifydb.sql.rewriting import rewrite_select


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
            inner = _moved(relation, len(inputs))
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
            inputs.append(replace(one, relation=relation, on=None, join=join))

    def change(node: Expression) -> Expression | None:
        if not isinstance(node, ColumnRef):
            return None
        meaning = meanings[node.source]
        if isinstance(meaning, int):
            return replace(node, source=meaning)
        return replace(meaning.outputs[node.place].value, at=node.at)

    changed = rewrite_select(select, change)
    for one, meaning in zip(changed.inputs, meanings, strict=True):
        if one.join == "left":
            assert isinstance(meaning, int)
            inputs[meaning] = replace(inputs[meaning], on=one.on)
        elif one.on is not None:
            where.append(one.on)
    if changed.where is not None:
        where.append(changed.where)
    return replace(changed, inputs=tuple(inputs), where=together(where))


def is_plain(query: Query) -> bool:
    """It only joins, filters and computes."""
    return (
        isinstance(query, Select)
        and bool(query.inputs)
        and not (query.grouped or query.distinct or query.order or query.numbering)
        and query.limit is None
        and query.offset is None
        and all(one.join != "left" for one in query.inputs)
    )


def _moved(select: Select, start: int) -> Select:
    """With its inputs counted from `start`."""

    def change(node: Expression) -> Expression | None:
        if isinstance(node, ColumnRef):
            return replace(node, source=node.source + start)
        return None

    return rewrite_select(select, change)
