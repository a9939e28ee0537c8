"""Queries in `from` that only filter and compute, as a part of the query around them.

One stays a query where the select would have more than `INPUTS_MAX` inputs without it.
"""

from __future__ import annotations

from dataclasses import replace

from reifydb.sql.expressions import ColumnRef, Expression, conjuncts, together
from reifydb.sql.query import Input, Query, Select
from reifydb.sql.rewriting import rewrite_select

INPUTS_MAX = 16
"""Tables of one select, as in kernel/plan.zig."""


def flatten(select: Select) -> Select:
    """The same query with fewer queries in `from`. O(nodes)."""
    inputs: list[Input] = []
    where: list[Expression] = []
    # What each input has become: the first of its inputs, and the query that stood there.
    meanings: list[tuple[int, Select | None]] = []
    for number, one in enumerate(select.inputs):
        start, others = len(inputs), len(select.inputs) - number - 1
        inner = None
        if isinstance(one.relation, Select):
            inner = _moved(flatten(one.relation), start)
            if not is_plain(inner) or start + len(inner.inputs) + others > INPUTS_MAX:
                inner = None
        if inner is not None and one.join != "left":
            for i, part in enumerate(inner.inputs):
                if part.on is not None:
                    where.append(part.on)
                inputs.append(replace(part, on=None, join="inner" if inputs or i else "first"))
            if inner.where is not None:
                where.append(inner.where)
            meanings.append((start, inner))
        elif inner is not None and _is_filter(inner, select, number):
            inputs.append(replace(one, relation=inner.inputs[0].relation, on=inner.where))
            meanings.append((start, inner))
        else:
            meanings.append((start, None))
            join = one.join if one.join == "left" else ("inner" if inputs else "first")
            inputs.append(replace(one, on=None, join=join))

    def change(node: Expression) -> Expression | None:
        if not isinstance(node, ColumnRef):
            return None
        start, inner = meanings[node.source]
        if inner is None:
            return replace(node, source=start)
        value = inner.outputs[node.place].value
        if isinstance(value, ColumnRef):  # behind a left join it may be null
            return replace(value, nullable=value.nullable or node.nullable, at=node.at)
        return replace(value, at=node.at)

    changed = rewrite_select(select, change)
    for one, (start, _) in zip(changed.inputs, meanings, strict=True):
        if one.join == "left":
            on = together((*conjuncts(inputs[start].on), *conjuncts(one.on)))
            inputs[start] = replace(inputs[start], on=on)
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


def _is_filter(query: Select, select: Select, number: int) -> bool:
    """A plain query filters one table, of which no more is seen behind the left join than columns,
    which are null where nothing was found.
    """
    if len(query.inputs) != 1:
        return False
    computed = {
        place
        for place, output in enumerate(query.outputs)
        if not isinstance(output.value, ColumnRef)
    }
    behind = replace(
        select,
        inputs=tuple(
            replace(o, on=None) if i == number else o for i, o in enumerate(select.inputs)
        ),
    )
    seen: set[int] = set()

    def look(node: Expression) -> None:
        if isinstance(node, ColumnRef) and node.source == number:
            seen.add(node.place)

    rewrite_select(behind, look)
    return not seen & computed


def _moved(select: Select, start: int) -> Select:
    """With its inputs counted from `start`."""

    def change(node: Expression) -> Expression | None:
        if isinstance(node, ColumnRef):
            return replace(node, source=node.source + start)
        return None

    return rewrite_select(select, change)
