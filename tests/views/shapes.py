"""Random views: templates with random parts, in ReifyDB's SQL and in SQLite's."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from tests.views.aggregates import Aggregates
from tests.views.expressions import ORDERED, Expr, Expressions
from tests.views.kinds import BOOL, INT, JSON, Kind, draw, literal
from tests.views.subquery_shapes import with_subquery
from tests.views.tables import LINKS, uses

NAMES = (
    *("order", "key_0", "key_1", "state_0", "state_1", "value", "times", "group_0", "order_0"),
    *("select", "from", "where", "a0", "g0", "g", "n", "column1", "limit", "filter", "distinct"),
)
"""What views and their columns are called: words of SQL, and names used inside."""

SHAPES = (
    *("rows", "join", "groups", "joined_groups", "having", "distinct", "distinct_groups"),
    "set",
)
SETS = ("union", "union all", "except", "intersect")


@dataclass(frozen=True)
class Relation:
    """A table or a view that can be read, or a query in parentheses.

    Attributes:
        ours, theirs: Of a query: its text.
        reads: What it is made of.
    """

    name: str
    columns: tuple[tuple[str, Kind], ...]
    key: tuple[str, ...] = ()
    ours: str = ""
    theirs: str = ""
    reads: tuple[str, ...] = ()

    def source(self, alias: str, *, mine: bool) -> str:
        """As it stands in from."""
        text = f"({self.ours if mine else self.theirs})" if self.ours else f'"{self.name}"'
        return f'{text} as "{alias}"'


@dataclass(frozen=True)
class Spec:
    """A view.

    Attributes:
        ours, theirs: Its query.
        shape: Of which template it is.
        ties: Which rows are the first is decided by their key: for `db.query` that is open.
        fragile: Its expressions fail for some rows.
        total: It has a row even when there is nothing.
        subquery: The form of a subquery in it, if it has one.
    """

    name: str
    ours: str
    theirs: str
    columns: tuple[tuple[str, Kind], ...]
    reads: tuple[str, ...]
    shape: str
    ties: bool = False
    ordered: bool = False
    fragile: bool = False
    total: bool = False
    subquery: str = ""

    @property
    def relation(self) -> Relation:
        """As others read it."""
        return Relation(self.name, self.columns)


@dataclass
class Select:
    """Two selects, being put together.

    Attributes:
        also: What its subqueries read, those that come to stand in it and others.
    """

    sources_ours: str
    sources_theirs: str
    inputs: list[tuple[str, Relation]]
    leaves: list[Expr]
    where: Expr | None = None
    also: list[tuple[str, Relation]] = field(default_factory=list)


def _reads(select: Select, ours: str = "") -> tuple[str, ...]:
    relations = [relation for _, relation in select.inputs]
    relations += [r for alias, r in select.also if r.source(alias, mine=True) in ours]
    found = [r.reads if r.ours else (r.name,) for r in relations]
    return tuple(dict.fromkeys(name for names in found for name in names))


def _either(rng: random.Random, a: Expr, b: Expr) -> Expr:
    """Both conditions, or one of them."""
    word = rng.choice(("and", "and", "or"))
    return Expr(f"({a.ours} {word} {b.ours})", f"({a.theirs} {word} {b.theirs})", BOOL)


class Shapes:
    """Draws views over relations."""

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng

    def spec(self, name: str, bases: Sequence[Relation], views: Sequence[Relation]) -> Spec:
        """A view of this name."""
        rng = self.rng
        draw = rng.random()
        if draw < 0.06:
            return self._fragile(name, bases)
        if draw < 0.14:
            return self._ties(name, bases)
        if draw < 0.22:
            numbered = self._numbered(bases)
            made = self._shape(name, [numbered, numbered, numbered, *bases])
            return replace(made, shape=f"numbered_{made.shape}")
        pool = [*bases, *views, *views] if rng.random() < 0.5 else list(bases)
        if rng.random() < 0.15:
            inner = self._shape("", pool)
            made = Relation("", inner.columns, (), inner.ours, inner.theirs, inner.reads)
            pool = [made, made, *pool]
        elif rng.random() < 0.12:
            numbered = self._numbered(bases)
            pool = [numbered, numbered, *pool]
        elif rng.random() < 0.25:
            used = self._used(bases)
            made = self._shape(name, [used, used, *pool])
            return replace(made, shape=f"used_{made.shape}")
        return self._shape(name, pool)

    def _shape(self, name: str, pool: Sequence[Relation]) -> Spec:
        rng = self.rng
        shape = rng.choice(SHAPES)
        if shape == "set":
            return self._set(name, pool)
        many = shape in ("join", "joined_groups") or rng.random() < 0.2
        select = self.joined(pool, rng.choice((2, 2, 2, 3, 3, 4)) if many else 1)
        form = text = ""
        if rng.random() < 0.4:
            form, text = with_subquery(self, pool, select)
        if rng.random() < 0.5:
            said = Expressions(rng, select.leaves).condition()
            select.where = said if select.where is None else _either(rng, select.where, said)
        made = self._over(name, shape, select)
        return replace(made, subquery=form if text in made.ours else "")

    def _over(self, name: str, shape: str, select: Select) -> Spec:
        """A view of what a select joins."""
        if shape in ("rows", "join", "distinct"):
            return self._finish(name, shape, select, self._plain(select), shape == "distinct")
        outputs, tail, total = self._grouped(select, having=shape == "having")
        return self._finish(name, shape, select, outputs, shape == "distinct_groups", tail, total)

    def _numbered(self, bases: Sequence[Relation]) -> Relation:
        """The first rows of each part of a table; where the order leaves it open, by their key."""
        rng = self.rng
        relation = rng.choice([one for one in bases if one.key])
        select = self.joined([relation], 1)
        expressions = Expressions(rng, select.leaves)
        outputs = [rng.choice(select.leaves) for _ in range(rng.randrange(1, 4))]
        parts = [
            rng.choice(select.leaves) if rng.random() < 0.7 else expressions.any(1)
            for _ in range(rng.choice((0, 1, 1, 2)))
        ]
        names = rng.sample(NAMES, len(outputs) + 1)
        ours, theirs = "", ""
        for _ in range(rng.choice((1, 1, 2))):
            by = expressions.any(1, kinds=[k for k in expressions.kinds if k in ORDERED])
            down = rng.random() < 0.5
            ours += f"{', ' if ours else ''}{by.ours}{' desc' if down else ''}"
            word = "desc nulls first" if down else "nulls last"
            theirs += f"{', ' if theirs else ''}{by.theirs} {word}"
        theirs += "".join(f', "{select.inputs[0][0]}"."{key}"' for key in relation.key)
        where = expressions.condition(1) if rng.random() < 0.4 else None
        bound = rng.choice(("<= 1", "= 1", "< 3", "<= 3", "= 2", "<= 5", "between 2 and 4"))
        texts = []
        for mine, order in ((True, ours), (False, theirs)):
            shown = [one.ours if mine else one.theirs for one in outputs]
            among = ", ".join(one.ours if mine else one.theirs for one in parts)
            over = f"{f'partition by {among} ' if among else ''}order by {order}"
            columns = [f'{s} as "{n}"' for s, n in zip(shown, names, strict=False)]
            columns.append(f'row_number() over ({over}) as "{names[-1]}"')
            text = f"select {', '.join(columns)} from "
            text += select.sources_ours if mine else select.sources_theirs
            if where is not None:
                text += f" where {where.ours if mine else where.theirs}"
            texts.append(f'select * from ({text}) as "q" where "{names[-1]}" {bound}')
        kinds = [*(one.kind for one in outputs), INT]
        made = tuple(zip(names, kinds, strict=True))
        return Relation("", made, (), texts[0], texts[1], _reads(select))

    def _used(self, bases: Sequence[Relation]) -> Relation:
        """A view with parameters over a table, and values for them."""
        rng = self.rng
        relation = rng.choice([one for one in bases if one.key])
        # Those that came later are none of the view's.
        columns = [(n, kind) for n, kind in relation.columns if not n.startswith("added_")]
        kind = dict(columns)[relation.key[0]]
        drawn: list[Any] = [draw(rng, kind) for _ in range(2)]  # numbers or texts, as keys are
        least, most = (literal(value, kind) for value in sorted(drawn))
        names = ", ".join(f'"{name}"' for name, _ in columns)
        found = uses(relation.name, names, relation.key, least, most)
        ours, theirs = rng.choice((*found, found[-1]))  # the last one has two values
        return Relation("", tuple(columns), (), ours, theirs, (relation.name,))

    # ------------------------------------------------------------ from

    def joined(self, pool: Sequence[Relation], count: int, names_from: int = 0) -> Select:
        """Relations that are joined, called by their number from `names_from` on."""
        rng = self.rng
        inputs: list[tuple[str, Relation]] = []
        leaves: list[Expr] = []
        ours = theirs = ""
        for i in range(count):
            relation = rng.choice(pool)
            alias = rng.choice(("order", "t", "select", "key_0")) + f"_{names_from + i}"
            on = ""
            if inputs:
                relation, on = self._link(pool, inputs, alias, relation)
                word = rng.choice(("join", "inner join", "join", "left join"))
                ours += f" {word} {relation.source(alias, mine=True)} on {on}"
                theirs += f" {word} {relation.source(alias, mine=False)} on {on}"
            else:
                ours = relation.source(alias, mine=True)
                theirs = relation.source(alias, mine=False)
            inputs.append((alias, relation))
            leaves += [
                Expr(f'"{alias}"."{column}"', f'"{alias}"."{column}"', kind)
                for column, kind in relation.columns
            ]
        return Select(ours, theirs, inputs, leaves)

    def _link(
        self,
        pool: Sequence[Relation],
        inputs: Sequence[tuple[str, Relation]],
        alias: str,
        relation: Relation,
    ) -> tuple[Relation, str]:
        """What is joined next, and by which columns."""
        rng = self.rng
        known = {one.name: one for one in pool}
        found = [
            (known[other[0]], f'"{a}"."{own[1]}" = "{alias}"."{other[1]}"')
            for own, other in LINKS
            for a, one in inputs
            if one.name == own[0] and other[0] in known
        ]
        if found and rng.random() < 0.6:
            return rng.choice(found)
        pairs = [
            f'"{a}"."{left}" = "{alias}"."{right}"'
            for a, one in inputs
            for left, kind in one.columns
            for right, other_kind in relation.columns
            if kind == other_kind and kind not in (BOOL, JSON)
        ]
        if not pairs:
            return rng.choice(found) if found else (relation, "1 = 1")
        on = rng.choice(pairs)
        if rng.random() < 0.25:
            on += " and " + rng.choice(pairs).replace(" = ", rng.choice((" = ", " <> ", " <= ")))
        return relation, on

    # ------------------------------------------------------------ outputs

    def _plain(self, select: Select) -> list[Expr]:
        rng = self.rng
        expressions = Expressions(rng, select.leaves)
        if rng.random() < 0.1:
            return list(select.leaves)[:20]
        outputs = [
            rng.choice(select.leaves) if rng.random() < 0.5 else expressions.any()
            for _ in range(rng.randrange(1, 6))
        ]
        if rng.random() < 0.5:
            alias, relation = select.inputs[0]
            columns = dict(relation.columns)
            outputs += [
                Expr(f'"{alias}"."{key}"', f'"{alias}"."{key}"', columns[key])
                for key in relation.key
            ]
        return outputs

    def _grouped(self, select: Select, *, having: bool) -> tuple[list[Expr], tuple[str, str], bool]:
        rng = self.rng
        expressions = Expressions(rng, select.leaves)
        count = rng.choice((0, 1, 1, 1, 2, 2, 3))
        groups: list[Expr] = []
        for _ in range(count):
            one = rng.choice(select.leaves) if rng.random() < 0.6 else expressions.any()
            if one not in groups:
                groups.append(one)
        drawn = Aggregates(rng, expressions)
        aggregates = [drawn.any() for _ in range(rng.randrange(1, 5))]
        leaves = [*groups, *aggregates]
        outputs = [one for one in leaves if rng.random() < 0.8] or [leaves[-1]]
        if rng.random() < 0.4:
            outputs.append(Expressions(rng, leaves).any())
        ours = theirs = ""
        if groups:
            ours = " group by " + ", ".join(one.ours for one in groups)
            theirs = " group by " + ", ".join(one.theirs for one in groups)
        elif not any(one in aggregates for one in outputs):
            outputs.append(aggregates[0])
        if having:
            said = Expressions(rng, leaves).condition(1)
            ours, theirs = f"{ours} having {said.ours}", f"{theirs} having {said.theirs}"
        return outputs, (ours, theirs), not groups and not having

    def _set(self, name: str, pool: Sequence[Relation]) -> Spec:
        """Two queries put together."""
        rng = self.rng
        sides = [self.joined(pool, 1), self.joined(pool, rng.choice((1, 1, 2)))]
        shared = [k for k in ORDERED if all(any(e.kind == k for e in s.leaves) for s in sides)]
        kinds = [rng.choice(shared or [INT]) for _ in range(rng.randrange(1, 4))]
        names = rng.sample(NAMES, len(kinds))
        word = rng.choice(SETS)
        texts = []
        for mine in (True, False):
            state = rng.getstate()
            parts = []
            for side in sides:
                expressions = Expressions(rng, side.leaves)
                made = [expressions.of(kind, 1) for kind in kinds]
                where = expressions.condition(1) if rng.random() < 0.4 else None
                columns = ", ".join(
                    f'{e.ours if mine else e.theirs} as "{n}"'
                    for e, n in zip(made, names, strict=True)
                )
                part = f"select {columns} from {side.sources_ours if mine else side.sources_theirs}"
                if where is not None:
                    part += f" where {where.ours if mine else where.theirs}"
                parts.append(part)
            texts.append(f" {word} ".join(parts))
            if mine:
                rng.setstate(state)
        ordered = rng.random() < 0.25
        order = self._order([Expr(n, n, k) for n, k in zip(names, kinds, strict=True)], names)
        ours, theirs = (f"{t}{o if ordered else ''}" for t, o in zip(texts, order, strict=True))
        return Spec(
            name,
            ours,
            theirs,
            tuple(zip(names, kinds, strict=True)),
            tuple(dict.fromkeys(one for side in sides for one in _reads(side))),
            word.replace(" ", "_") + ("_first" if ordered else ""),
            ordered=ordered,
        )

    # ------------------------------------------------------------ the whole

    def _finish(
        self,
        name: str,
        shape: str,
        select: Select,
        outputs: list[Expr],
        distinct: bool = False,
        tail: tuple[str, str] = ("", ""),
        total: bool = False,
    ) -> Spec:
        rng = self.rng
        names = rng.sample(NAMES, len(outputs)) if len(outputs) <= len(NAMES) else []
        names = names or [f"c{i}" for i in range(len(outputs))]
        order_ours = order_theirs = ""
        ordered = rng.random() < 0.3
        if ordered:
            order_ours, order_theirs = self._order(outputs, names)
        ours, theirs = (
            "select "
            + ("distinct " if distinct else "")
            + ", ".join(
                f'{o.ours if mine else o.theirs} as "{n}"'
                for o, n in zip(outputs, names, strict=True)
            )
            + f" from {select.sources_ours if mine else select.sources_theirs}"
            + (
                ""
                if select.where is None
                else f" where {select.where.ours if mine else select.where.theirs}"
            )
            + tail[not mine]
            + (order_ours if mine else order_theirs)
            for mine in (True, False)
        )
        columns = tuple(zip(names, (o.kind for o in outputs), strict=True))
        reads = _reads(select, ours)
        if ordered:
            shape += "_first"
        return Spec(
            name, ours, theirs, columns, reads, shape, ordered=ordered, total=total and not ordered
        )

    def _order(self, outputs: Sequence[Expr], names: Sequence[str]) -> tuple[str, str]:
        """By all outputs, so that rows that tie are the same."""
        rng = self.rng
        parts_ours, parts_theirs = [], []
        for name in rng.sample(names, len(names)):
            mine, other = f'"{name}"', f'"{name}"'
            down, first = rng.random() < 0.5, rng.random() < 0.5
            mine += " desc" if down else rng.choice((" asc", ""))
            other += " desc" if down else " asc"
            if first != down or rng.random() < 0.3:
                mine += " nulls first" if first else " nulls last"
            parts_ours.append(mine)
            parts_theirs.append(other + (" nulls first" if first else " nulls last"))
        limit = f" limit {rng.choice((0, 1, 2, 3, 5, 8, 1000))}"
        if rng.random() < 0.4:
            limit += f" offset {rng.choice((0, 1, 2, 4))}"
        order = " order by "
        return order + ", ".join(parts_ours) + limit, order + ", ".join(parts_theirs) + limit

    def _ties(self, name: str, bases: Sequence[Relation]) -> Spec:
        """The first rows, where the order leaves open which: their primary key decides."""
        rng = self.rng
        relation = rng.choice([one for one in bases if one.key])
        select = self.joined([relation], 1)
        grouped = rng.random() < 0.4
        if grouped:
            group = rng.choice([leaf for leaf in select.leaves if leaf.kind in ORDERED])
            outputs = [group, Expr("count(*)", "count(*)", INT)]
            keys, tail = [group.theirs], (f" group by {group.ours}", f" group by {group.theirs}")
            by = Expr("count(*)", "count(*)", INT)
        else:
            outputs, tail = [rng.choice(select.leaves) for _ in range(3)], ("", "")
            keys = [f'"{select.inputs[0][0]}"."{key}"' for key in relation.key]
            by = Expressions(rng, select.leaves).any(1, kinds=[BOOL, INT])
        down = rng.choice(("", " desc"))
        made = self._finish(name, "ties", select, outputs, tail=tail)
        base_ours = made.ours.split(" order by ")[0]
        base_theirs = made.theirs.split(" order by ")[0]
        nulls = " nulls first" if down else " nulls last"
        limit = f" limit {rng.randrange(1, 7)} offset {rng.randrange(0, 3)}"
        rest = ", ".join(f"{key} nulls last" for key in keys)
        return Spec(
            name,
            f"{base_ours} order by {by.ours}{down}{limit}",
            f"{base_theirs} order by {by.theirs}{down}{nulls}, {rest}{limit}",
            made.columns,
            made.reads,
            "ties",
            ties=True,
            ordered=True,
        )

    def _fragile(self, name: str, bases: Sequence[Relation]) -> Spec:
        """A view that some rows make impossible."""
        rng = self.rng
        line = next(one for one in bases if one.name == "line")
        order = next(one for one in bases if one.name == "order")
        match rng.randrange(4):
            case 0:
                ours = 'select "state_1" as "n", 10 / "qty" as "value" from "line"'
                theirs = ours.replace('10 / "qty"', 'divide_(10, "qty")')
                columns = (("n", INT), ("value", INT))
                return Spec(name, ours, theirs, columns, (line.name,), "fragile", fragile=True)
            case 1:
                ours = (
                    'select "region" as "n", sum("value") as "value" from "order" group by "region"'
                )
                theirs = ours.replace("sum(", "sum_int_(")
                columns = (("n", order.columns[2][1]), ("value", Kind("bigint")))
                return Spec(name, ours, theirs, columns, (order.name,), "fragile", fragile=True)
            case 2:
                ours = (
                    'select l."state_1" as "n", 10 / (l."qty" - o."key_0") as "value" '
                    'from "line" as l join "order" as o on o."id" = l."order_id"'
                )
                theirs = ours.replace(
                    '10 / (l."qty" - o."key_0")', 'divide_(10, l."qty" - o."key_0")'
                )
                columns = (("n", INT), ("value", INT))
                reads = (line.name, order.name)
                return Spec(name, ours, theirs, columns, reads, "fragile", fragile=True)
        ours = (
            'select "flag" as "n", 100 / sum("qty") as "value" from "line" '
            'where "cost" is not null group by "flag"'
        )
        theirs = ours.replace('100 / sum("qty")', 'divide_(100, sum("qty"))')
        columns = (("n", BOOL), ("value", INT))
        return Spec(name, ours, theirs, columns, (line.name,), "fragile", fragile=True)
