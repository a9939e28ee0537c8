"""Lookups, which are what is left of subqueries, as joins of the select that they stand in.

Each is a left join of its query on its keys, which finds at most one row: so it neither adds nor
takes rows, wherever it stands in an expression. A condition of `where` that says no more than that
something is found makes it an inner join (a semi join); one that says that nothing is found leaves
the left join, and is asked of its nulls (an anti join).
"""

from __future__ import annotations

from dataclasses import replace

from reifydb.sql.expressions import (
    BOOL,
    INT,
    Case,
    ColumnRef,
    Constant,
    Expression,
    Lookup,
    Operation,
    conjuncts,
    rewrite,
    sources,
    together,
    walk,
)
from reifydb.sql.query import Input, Output, Query, Select
from reifydb.sql.rewriting import groups_alone, over_group, rewrite_select


def join_lookups(select: Select) -> Select:
    """The same select without lookups. O(nodes · lookups).

    Those that look at groups are joined to a select over the groups, as a query in `from`.
    """
    if select.grouped:
        over = [*(o.value for o in select.outputs), *(o.value for o in select.order)]
        if any(map(_has_lookup, [*over, *conjuncts(select.having)])):
            return _Joins(_over_groups(select)).made
    return _Joins(select).made


class _Joins:
    """One select, to which inputs are added."""

    def __init__(self, select: Select) -> None:
        self.inputs = list(select.inputs)
        self.outer = {i for i, one in enumerate(select.inputs) if one.join == "left"}
        self.known: list[tuple[Query, tuple[Expression, ...]]] = []
        self.start = len(self.inputs) or 1
        self.needs_from = not select.inputs
        where = [_when_true(one) for one in conjuncts(select.where)]
        where = [part for one in where for part in conjuncts(one)]
        found = [one for one in where if self._semi_join(one)]
        gone = {id(one) for one in found}
        rest = together(one for one in where if id(one) not in gone)
        made = rewrite_select(replace(select, where=rest), self._change)
        self.made = replace(made, inputs=(*made.inputs, *self.inputs[len(select.inputs) :]))

    def _semi_join(self, condition: Expression) -> bool:
        """Makes an inner join of a condition that needs a row to be found, if it is one. Whether
        the condition is done with by that: what it looks at is never null then.
        """
        match condition:
            case Operation("is_value", (Lookup(query, keys, place),)):
                inner = not any(map(_has_lookup, keys))
                if inner and not any(sources(key) & self.outer for key in keys):
                    self._input(query, keys, "inner")
                    return place < len(keys) or not query.columns[place].nullable
        return False

    def _change(self, node: Expression) -> Expression | None:
        if not isinstance(node, Lookup):
            return None
        keys = tuple(rewrite(key, self._change) for key in node.keys)
        source = self._input(node.query, keys, "left")
        name = node.query.columns[node.place].name
        return ColumnRef(source, node.place, name, node.kind, True, node.at)

    def _input(self, query: Query, keys: tuple[Expression, ...], join: str) -> int:
        """The input that a lookup is about."""
        if self.needs_from:
            self.inputs.append(_one_row(query))
            self.needs_from = False
        if (query, keys) in self.known:
            return self.start + self.known.index((query, keys))
        self.known.append((query, keys))
        source = len(self.inputs)
        equal = (
            Operation(
                "eq",
                (ColumnRef(source, place, column.name, key.kind, column.nullable), key),
                BOOL,
                column.nullable or key.nullable,
                at=key.at,
            )
            for place, (column, key) in enumerate(zip(query.columns, keys, strict=False))
        )
        alias = f"subquery_{len(self.known)}"
        on = together(equal)
        self.inputs.append(Input(query, alias, "left" if join == "left" else "inner", on))
        if join == "left":
            self.outer.add(source)
        return source


def _one_row(query: Query) -> Input:
    """A row for a select without `from`: the group of none of a query's rows."""
    nothing = Constant(value=False, kind=BOOL)
    inside = query if isinstance(query, Select) else Select((Input(query, "rows"),), ())
    select = Select(
        inputs=inside.inputs,
        outputs=(Output("one", Constant(1, INT)),),
        where=nothing,
        grouped=True,
    )
    return Input(select, "one")


def _over_groups(select: Select) -> Select:
    """A select over groups as one over the rows of another."""
    below = join_lookups(
        replace(groups_alone(select), distinct=False, order=(), limit=None, offset=None)
    )
    count = len(select.groups)
    return Select(
        inputs=(Input(below, "groups"),),
        outputs=tuple(Output(o.name, over_group(o.value, count)) for o in select.outputs),
        where=None if select.having is None else over_group(select.having, count),
        distinct=select.distinct,
        order=tuple(replace(o, value=over_group(o.value, count)) for o in select.order),
        limit=select.limit,
        offset=select.offset,
    )


def _has_lookup(expression: Expression) -> bool:
    return any(isinstance(node, Lookup) for node in walk(expression))


def _when_true(condition: Expression) -> Expression:
    """A condition that is true when this one is, but need not be null when this one is."""
    match condition:
        case Operation(op="and" | "or", args=args):
            return replace(condition, args=tuple(map(_when_true, args)))
        case Operation("same", (said, Constant(value=True))):
            return _when_true(said)
        case Case(branches=((found, Constant(value=True)), *others), otherwise=otherwise):
            values = [*(value for _, value in others), otherwise]
            if all(isinstance(one, Constant) and not one.value for one in values):
                return found
    return condition
