"""Random subqueries, in ReifyDB's SQL and in SQLite's."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from tests.views.aggregates import Aggregates
from tests.views.expressions import ORDERED, Expr, Expressions
from tests.views.kinds import BOOL, INT, JSON, Kind

if TYPE_CHECKING:
    from tests.views.shapes import Relation, Select, Shapes

FORMS = (
    *("exists", "exists_by", "exists_by_two", "exists_if", "exists_group", "exists_total"),
    *(
        "exists_beyond",
        "in_beyond",
        "in",
        "in_by",
        "in_group",
        "in_set",
        "in_first",
        "in_total",
        "in_constant",
    ),
    *("total", "total_by", "total_of_two", "total_having", "row", "row_sum", "row_first"),
)
"""What each looks like; `by`: correlated."""


class SubqueryShapes:
    """Draws subqueries for one select."""

    def __init__(
        self, shapes: Shapes, pool: Sequence[Relation], select: Select, depth: int = 1
    ) -> None:
        self.shapes, self.pool, self.select, self.depth = shapes, pool, select, depth
        self.rng = shapes.rng

    def draw(self) -> tuple[str, Expr]:
        """One of any form, and which that is."""
        while True:
            form = self.rng.choice(FORMS)
            make: Callable[[], Expr | None] = getattr(self, f"_{form}")
            made = make()
            if made is not None:
                return form, made

    # ------------------------------------------------------------ parts

    def _inner(self, count: int = 0, *, keyed: bool = False) -> Select:
        """What a subquery reads; its names are others than those around it."""
        rng = self.rng
        pool = [one for one in self.pool if one.key] if keyed else self.pool
        count = count or (1 if keyed else rng.choice((1, 1, 1, 2)))
        inner = self.shapes.joined(pool, count, names_from=10 * self.depth)
        self.select.also += inner.inputs
        if self.depth == 1 and rng.random() < 0.15:
            _, one = SubqueryShapes(self.shapes, self.pool, inner, 2).draw()
            self.select.also += inner.also
            inner.leaves.append(one)
        if rng.random() < 0.4:
            inner.where = Expressions(rng, inner.leaves).condition(1)
        return inner

    def _pair(self, inner: Select, kinds: Sequence[Kind] | None = None) -> tuple[Expr, Expr] | None:
        """Of the subquery and of what is around it: two of one kind."""
        rng = self.rng
        shared = sorted(
            {a.kind for a in inner.leaves} & {b.kind for b in self.select.leaves} - {JSON}
        )
        shared = [kind for kind in shared if kinds is None or kind in kinds]
        if not shared:
            return None
        kind = rng.choice(shared)
        drawn = []
        for leaves in (inner.leaves, self.select.leaves):
            one = Expressions(rng, leaves).leaf(kind)
            drawn.append(Expressions(rng, leaves).of(kind, 1) if rng.random() < 0.15 else one)
        return drawn[0], drawn[1]

    def _text(
        self,
        inner: Select,
        output: Expr | None,
        *equal: tuple[Expr, Expr],
        only: Expr | None = None,
        tail: tuple[str, str] = ("", ""),
    ) -> tuple[str, str]:
        """The select, with what must be equal, and a condition on the row around alone."""
        texts = []
        for mine in (True, False):
            parts = [one.ours if mine else one.theirs for one in (inner.where, only) if one]
            for a, b in equal:
                sides = [one.ours if mine else one.theirs for one in (a, b)]
                parts.append(" = ".join(sides if mine else reversed(sides)))
            shown = "1" if output is None else output.ours if mine else output.theirs
            text = f"select {shown} from {inner.sources_ours if mine else inner.sources_theirs}"
            text += " where " + " and ".join(f"({part})" for part in parts) if parts else ""
            texts.append(text + tail[not mine])
        return texts[0], texts[1]

    def _exists_of(self, texts: tuple[str, str]) -> Expr:
        word = self.rng.choice(("exists", "not exists"))
        return Expr(*(f"({word} ({text}))" for text in texts), BOOL)

    def _in_of(self, value: Expr, texts: tuple[str, str]) -> Expr:
        word = self.rng.choice(("in", "not in"))
        sides = zip((value.ours, value.theirs), texts, strict=True)
        return Expr(*(f"({one} {word} ({text}))" for one, text in sides), BOOL)

    def _total_of(self, inner: Select) -> Expr:
        """An aggregate; often the one that is not null of no rows."""
        if self.rng.random() < 0.3:
            return Expr("count(*)", "count(*)", INT)
        return Aggregates(self.rng, Expressions(self.rng, inner.leaves)).any()

    # ------------------------------------------------------------ exists

    def _exists(self) -> Expr:
        return self._exists_of(self._text(self._inner(), None))

    def _exists_by(self, pairs: int = 1) -> Expr | None:
        inner = self._inner()
        found = [self._pair(inner) for _ in range(pairs)]
        if None in found:
            return None
        return self._exists_of(self._text(inner, None, *(one for one in found if one)))

    def _exists_by_two(self) -> Expr | None:
        return self._exists_by(2)

    def _exists_if(self) -> Expr | None:
        inner = self._inner()
        pair, only = self._pair(inner), Expressions(self.rng, self.select.leaves).condition(1)
        return pair and self._exists_of(self._text(inner, None, pair, only=only))

    def _beyond(self, inner: Select) -> Expr | None:
        """A condition on both rows that is not `=`."""
        pair = self._pair(inner, ORDERED)
        if pair is None:
            return None
        op = self.rng.choice(("<", "<=", ">", ">=", "<>"))
        a, b = pair if self.rng.random() < 0.5 else pair[::-1]
        return Expr(f"{a.ours} {op} {b.ours}", f"{a.theirs} {op} {b.theirs}", BOOL)

    def _exists_beyond(self) -> Expr | None:
        inner = self._inner()
        beyond, by = self._beyond(inner), self._pair(inner)
        equal = [by] if by and self.rng.random() < 0.7 else []
        return beyond and self._exists_of(self._text(inner, None, *equal, only=beyond))

    def _in_beyond(self) -> Expr | None:
        inner = self._inner()
        beyond, by, pair = self._beyond(inner), self._pair(inner), self._pair(inner, ORDERED)
        equal = [by] if by and self.rng.random() < 0.5 else []
        if beyond is None or pair is None:
            return None
        return self._in_of(pair[1], self._text(inner, pair[0], *equal, only=beyond))

    def _exists_group(self) -> Expr | None:
        inner = self._inner()
        pair = self._pair(inner)
        if pair is None:
            return None
        group = self.rng.choice(inner.leaves)
        kept = Expressions(self.rng, [self._total_of(inner)]).condition(1)
        tail = tuple(
            f" group by {g} having {h}"
            for g, h in ((group.ours, kept.ours), (group.theirs, kept.theirs))
        )
        return self._exists_of(self._text(inner, group, pair, tail=(tail[0], tail[1])))

    def _exists_total(self) -> Expr | None:
        inner = self._inner()
        pair, total = self._pair(inner), self._total_of(inner)
        kept = Expressions(self.rng, [total]).condition(1)
        tail = (f" having {kept.ours}", f" having {kept.theirs}")
        return pair and self._exists_of(self._text(inner, total, pair, tail=tail))

    # ------------------------------------------------------------ in

    def _in(self, correlated: bool = False) -> Expr | None:
        inner = self._inner()
        pair, by = self._pair(inner, ORDERED), self._pair(inner) if correlated else None
        if pair is None or (correlated and by is None):
            return None
        return self._in_of(pair[1], self._text(inner, pair[0], *([by] if by else [])))

    def _in_by(self) -> Expr | None:
        return self._in(correlated=True)

    def _in_constant(self) -> Expr | None:
        inner = self._inner()
        option = self.rng.choice(inner.leaves)
        if option.kind not in ORDERED:
            return None
        value = Expressions(self.rng, inner.leaves).constant(option.kind)
        return self._in_of(value, self._text(inner, option)) if value.constant else None

    def _in_group(self) -> Expr | None:
        inner = self._inner()
        group, by = self.rng.choice(inner.leaves), self._pair(inner)
        total = self._total_of(inner)
        values = [leaf for leaf in self.select.leaves if leaf.kind == total.kind]
        if by is None or not values or total.kind not in ORDERED:
            return None
        tail = (f" group by {group.ours}", f" group by {group.theirs}")
        correlated = [by] if self.rng.random() < 0.6 else []
        texts = self._text(inner, total, *correlated, tail=tail)
        return self._in_of(self.rng.choice(values), texts)

    def _in_set(self) -> Expr | None:
        first, second = self._inner(), self._inner()
        one = self._pair(first, ORDERED)
        others = [leaf for leaf in second.leaves if one and leaf.kind == one[0].kind]
        if one is None or not others:
            return None
        word = self.rng.choice((" union ", " union all ", " except ", " intersect "))
        sides = self._text(first, one[0]), self._text(second, self.rng.choice(others))
        mine, theirs = zip(*sides, strict=True)
        return self._in_of(one[1], (word.join(mine), word.join(theirs)))

    def _in_first(self) -> Expr | None:
        """Of the first rows in the order of their key."""
        inner = self._inner(keyed=True)
        pair = self._pair(inner, ORDERED)
        return pair and self._in_of(pair[1], self._text(inner, pair[0], tail=self._first(inner, 3)))

    def _first(self, inner: Select, most: int) -> tuple[str, str]:
        [(alias, relation)] = inner.inputs
        down = self.rng.choice(("", " desc"))
        order = ", ".join(f'"{alias}"."{key}"{down}' for key in relation.key)
        tail = f" order by {order} limit {self.rng.randrange(1, most + 1)}"
        return tail, tail

    def _in_total(self) -> Expr | None:
        inner = self._inner()
        total = self._total_of(inner)
        values = [leaf for leaf in self.select.leaves if leaf.kind == total.kind]
        by = self._pair(inner)
        if by is None or not values or total.kind not in ORDERED:
            return None
        return self._in_of(self.rng.choice(values), self._text(inner, total, by))

    # ------------------------------------------------------------ values

    def _value(self, kind: Kind, texts: tuple[str, str]) -> Expr:
        return Expr(*(f"({text})" for text in texts), kind)

    def _total(self) -> Expr:
        inner = self._inner()
        total = self._total_of(inner)
        return self._value(total.kind, self._text(inner, total))

    def _total_by(self) -> Expr | None:
        inner = self._inner()
        total, by = self._total_of(inner), self._pair(inner)
        return by and self._value(total.kind, self._text(inner, total, by))

    def _total_of_two(self) -> Expr | None:
        """An expression over aggregates, and over the row around."""
        inner = self._inner()
        by, totals = self._pair(inner), [self._total_of(inner), self._total_of(inner)]
        outside = [leaf for leaf in self.select.leaves if "select" not in leaf.ours[1:]]
        made = Expressions(self.rng, [*totals, *outside]).any(1)
        if not any(one.ours in made.ours for one in totals):
            return None
        return by and self._value(made.kind, self._text(inner, made, by))

    def _total_having(self) -> Expr | None:
        inner = self._inner()
        by, total = self._pair(inner), self._total_of(inner)
        kept = Expressions(self.rng, [total]).condition(1)
        tail = (f" having {kept.ours}", f" having {kept.theirs}")
        return by and self._value(total.kind, self._text(inner, total, by, tail=tail))

    def _keys(self, inner: Select) -> list[tuple[Expr, Expr]] | None:
        """The whole primary key of what a subquery reads, by columns around it or by values."""
        [(alias, relation)] = inner.inputs
        found = []
        for name in relation.key:
            kind = dict(relation.columns)[name]
            key = Expr(f'"{alias}"."{name}"', f'"{alias}"."{name}"', kind)
            expressions = Expressions(self.rng, self.select.leaves)
            one = expressions.leaf(kind) if self.rng.random() < 0.8 else expressions.constant(kind)
            found.append((key, one))
        return found

    def _row(self, computed: bool = False) -> Expr | None:
        inner = self._inner(keyed=True)
        keys = self._keys(inner)
        leaves = [*inner.leaves, *self.select.leaves] if computed else inner.leaves
        value = Expressions(self.rng, leaves).any(1) if computed else self.rng.choice(inner.leaves)
        return keys and self._value(value.kind, self._text(inner, value, *keys))

    def _row_sum(self) -> Expr | None:
        return self._row(computed=True)

    def _row_first(self) -> Expr:
        inner = self._inner(keyed=True)
        value = self.rng.choice(inner.leaves)
        return self._value(value.kind, self._text(inner, value, tail=self._first(inner, 1)))


def with_subquery(shapes: Shapes, pool: Sequence[Relation], select: Select) -> tuple[str, str]:
    """Puts a subquery among what a select's expressions are made of, and mostly into its `where`.
    Its form, and its text: it may come to stand nowhere.
    """
    rng = shapes.rng
    form, one = SubqueryShapes(shapes, pool, select).draw()
    select.leaves.append(one)
    if one.kind == BOOL and rng.random() < 0.6:
        select.where = one
    elif rng.random() < 0.7:
        select.where = Expressions(rng, [one, rng.choice(select.leaves)]).condition(1)
    return form, one.ours
