"""Joins to rows of left joins, as joins to a query beside of those rows.

A view finds what a change concerns by way of its inner inputs, and looks for what is left joined to
them once they are there. What is joined to rows of left joins comes a layer later: all that stands
before it is a query of its own, as one in `from` would be.
"""

from __future__ import annotations

from dataclasses import replace

from reifydb.sql.expressions import (
    INT,
    ColumnRef,
    Constant,
    Expression,
    conjuncts,
    sources,
    together,
)
from reifydb.sql.query import Input, Output, Select
from reifydb.sql.rewriting import rewrite_select


def layered(select: Select) -> Select:
    """The same, with what is joined to rows of left joins a layer above a query in `from`.
    O(inputs² · conditions).
    """
    late = _late(select)
    if not late:
        return select
    early = [i for i in range(len(select.inputs)) if i not in late]
    numbers = {i: number for number, i in enumerate(early)}
    numbers |= {i: number for number, i in enumerate(sorted(late), 1)}
    columns: dict[tuple[int, int], ColumnRef] = {}

    def down(node: Expression) -> Expression | None:
        return replace(node, source=numbers[node.source]) if isinstance(node, ColumnRef) else None

    def up(node: Expression) -> Expression | None:
        if not isinstance(node, ColumnRef) or node.source in late:
            return down(node)
        columns.setdefault((node.source, node.place), node)
        return replace(node, source=0, place=list(columns).index((node.source, node.place)))

    where = conjuncts(select.where)
    inside = [c for c in where if sources(c) and not sources(c) & late]
    outside = [c for c in where if not sources(c) or sources(c) & late]
    inputs = tuple(select.inputs[i] for i in sorted(late))
    above = rewrite_select(replace(select, inputs=inputs, where=together(outside)), up)
    shown = tuple(Output(f"c{i}", one) for i, one in enumerate(columns.values()))
    below = Select(
        inputs=tuple(select.inputs[i] for i in early),
        outputs=shown or (Output("c0", Constant(0, INT)),),
        where=together(inside),
    )
    first = Input(layered(rewrite_select(below, down)), "joined")
    return layered(replace(above, inputs=(first, *above.inputs)))


def _late(select: Select) -> set[int]:
    """The inputs that are joined to rows of left joins, or to such inputs.

    Inner ones only if there is a left join below them then: they can as well be joined to all rows,
    and `where` asked of what comes of that.
    """
    outer = {i for i, one in enumerate(select.inputs) if one.join == "left"}
    late = _behind(select, outer, inner=True)
    return late if outer - late else _behind(select, outer, inner=False)


def _behind(select: Select, outer: set[int], *, inner: bool) -> set[int]:
    links = [sources(c) for c in conjuncts(select.where)] if outer and inner else []
    late: set[int] = set()
    while True:
        behind, found = outer | late, set[int]()
        for i, one in enumerate(select.inputs):
            if i in outer:
                joined = frozenset[int]().union(*map(sources, conjuncts(one.on))) - {i}
                is_late = bool(joined & behind)
            else:
                own = [link - {i} for link in links if i in link and len(link) > 1]
                is_late = i > 0 and bool(own) and all(link & behind for link in own)
            if is_late:
                found.add(i)
        if found <= late:
            return late
        late |= found
