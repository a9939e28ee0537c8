"""From a resolved select to a plan: in which order its inputs come together, by which indexes, and
where each condition is asked.

A condition is asked as soon as all rows that it looks at are there. An input is found by the index
whose first columns are equal to something that is known by then.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from reifydb.engine.catalog import Table, Type
from reifydb.errors import SqlError
from reifydb.sql.aggregates import SPREADS
from reifydb.sql.expressions import (
    ColumnRef,
    Constant,
    Expression,
    Kind,
    conjuncts,
    sources,
    together,
)
from reifydb.sql.numbering import BOUND_HINT
from reifydb.sql.query import Aggregate, OrderBy, Select
from reifydb.sql.rewriting import over_group
from reifydb.views.access import Comparison, Path, best_path, comparisons, paths
from reifydb.views.flattening import INPUTS_MAX, flatten
from reifydb.views.plan import (
    DESCENDING,
    LOWER_EXCLUSIVE,
    OUTER,
    SORTED,
    UPPER_EXCLUSIVE,
    AggregatePlan,
    Driver,
    Plan,
    Step,
)


class Planner:
    """Plans one select over tables."""

    def __init__(self, select: Select) -> None:
        self.select = select = flatten(select)
        if select.numbering is not None:
            raise SqlError("row_number() needs a bound", hint=BOUND_HINT)
        if len(select.inputs) > INPUTS_MAX:
            raise SqlError(f"a query reads at most {INPUTS_MAX} tables")
        self.tables: list[Table] = []
        for one in select.inputs:
            if not isinstance(one.relation, Table):
                raise SqlError(
                    "a query in from that groups, limits or combines rows is not supported",
                    hint="make a view of it",
                )
            self.tables.append(one.relation)
        self.outer = frozenset(i for i, one in enumerate(select.inputs) if one.join == "left")
        self.where = list(conjuncts(select.where))
        self.on = {i: list(conjuncts(one.on)) for i, one in enumerate(select.inputs)}
        for i, said in self.on.items():
            if i not in self.outer:
                self.where += said

    def query(self) -> Plan:
        """A plan that gives the whole answer."""
        if not self.tables:
            self._rest = together(self.where)
            return self._plan((Driver(0),))
        first = self._first()
        return self._plan((self._driver(first, self._way(first), sort=True),))

    def selection(self) -> tuple[Plan, tuple[Comparison, ...]]:
        """A plan of one table whose condition says everything, though an index may lead to rows;
        and what of that is an equality with something known.
        """
        driver = self._driver(0, self._way(0), sort=False)
        assert self._rest is None  # there are no left joins
        driver = replace(driver, condition=together(self.where))
        found = comparisons(self.where, 0, lambda value: not sources(value))
        equal = {one.place: one for one in found if one.op == "eq"}
        return self._plan((driver,)), tuple(equal.values())

    def view(self) -> Plan:
        """A plan that brings a view up to date whichever of its tables changes."""
        inner = frozenset(range(len(self.tables))) - self.outer
        rest = [c for c in self.where if sources(c) & self.outer]
        where = [c for c in self.where if not sources(c) & self.outer]
        drivers = []
        for i, table in enumerate(self.tables):
            way = best_path(table, ())
            if i in inner:
                drivers.append(self._drive(i, way, where, inner))
            else:
                # Which rows its changes concern: those that it is joined to.
                driver = self._drive(i, way, [*self.on[i], *where], inner | {i})
                drivers.append(replace(driver, flags=OUTER))
        if self.select.order:
            drivers[0] = self._again(drivers[0])
        outers = tuple(self._outer_step(i, inner) for i in sorted(self.outer))
        self._rest = together(rest)
        return replace(self._plan(tuple(drivers)), outers=outers)

    def _again(self, driver: Driver) -> Driver:
        """With the index that leads to the first rows when they have to be found again: the fewest
        rows, or those in the order that is asked for.
        """
        own = [c for c in self.where if not sources(c) - {0}]
        found = list(comparisons(own, 0, lambda value: not sources(value)))

        def worth(path: Path) -> tuple[bool, int, bool, int, int]:
            exact, equal, bounds = path.rank
            return bool(exact), equal, bool(self._sorted(0, path)), bounds, -path.index

        way = max(paths(self.tables[0], found), key=worth)
        return self._along(driver, way, self._sorted(0, way))

    def _outer_step(self, i: int, inner: frozenset[int]) -> Step:
        found = list(comparisons(self.on[i], i, lambda value: sources(value) <= inner))
        path = best_path(self.tables[i], found)
        return self._outer(i, path)

    def _outer(self, i: int, path: Path) -> Step:
        equal = {id(c.said) for c in path.equal}
        asked = [c for c in self.on[i] if not (id(c) in path.done and id(c) in equal)]
        key = tuple(c.value for c in path.equal)
        return Step(i, path.index, key, together(asked), outer=True)

    def _drive(
        self, first: int, way: Path, where: list[Expression], among: frozenset[int]
    ) -> Driver:
        """One input, and for each of its rows those of the others that are not left joins."""
        bound = {first}
        condition = [c for c in where if sources(c) <= bound]
        left = [c for c in where if sources(c) - bound]
        steps: list[Step] = []
        while among - bound:
            ways = {i: self._found(i, left, bound) for i in among - bound}
            best = max(ways, key=lambda i: (ways[i].rank, -i))
            step, left = self._inner_step(best, ways[best], left, bound)
            steps.append(step)
            bound.add(best)
        return Driver(first, way.index, condition=together(condition), steps=tuple(steps))

    def _found(self, i: int, said: Sequence[Expression], bound: set[int]) -> Path:
        known = frozenset(bound)
        found = list(comparisons(said, i, lambda value: sources(value) <= known))
        return best_path(self.tables[i], found)

    def _inner_step(
        self,
        i: int,
        path: Path,
        left: list[Expression],
        bound: set[int],
        withheld: frozenset[int] = frozenset(),
    ) -> tuple[Step, list[Expression]]:
        """How an input is found, and the conditions that are left, those about `withheld` in any
        case.
        """
        equal = {id(c.said) for c in path.equal}
        left = [c for c in left if not (id(c) in path.done and id(c) in equal)]
        ready = [c for c in left if sources(c) <= bound | {i} and not sources(c) & withheld]
        asked = {id(c) for c in ready}
        step = Step(i, path.index, tuple(c.value for c in path.equal), together(ready))
        return step, [c for c in left if id(c) not in asked]

    # ------------------------------------------------------------ the first input

    def _first(self) -> int:
        """The input to begin with: the one of which the fewest rows come in question."""
        inner = [i for i in range(len(self.tables)) if i not in self.outer]
        if not inner or 0 in self.outer:
            return 0
        # Left joins begin with what stands before them.
        candidates = inner if not self.outer else [i for i in inner if i < min(self.outer)]
        return max(candidates, key=lambda i: (self._way(i).rank, -i))

    def _way(self, i: int) -> Path:
        """The index for an input of which nothing is known but constants."""
        own = [c for c in self.where if not sources(c) - {i}]
        found = list(comparisons(own, i, lambda value: not sources(value)))
        return best_path(self.tables[i], found)

    def _scan(self, i: int) -> Path:
        return best_path(self.tables[i], ())

    # ------------------------------------------------------------ drivers and steps

    def _driver(self, first: int, way: Path, *, sort: bool) -> Driver:
        left = [c for c in self.where if id(c) not in way.done]
        bound = {first}
        condition, left = self._ready(left, bound)
        steps: list[Step] = []
        while len(bound) < len(self.tables):
            step, left = self._next(bound, left)
            steps.append(step)
            bound.add(step.input)
        # What is left looks at rows of left joins, or at none at all.
        self._rest = together(left)
        driver = Driver(first, condition=together(condition), steps=tuple(steps))
        return self._along(driver, way, self._sorted(first, way) if sort else 0)

    def _along(self, driver: Driver, way: Path, flags: int) -> Driver:
        """Its rows, found by an index."""
        lower = tuple(c.value for c in (*way.equal, way.lower) if c is not None)
        upper = tuple(c.value for c in (*way.equal, way.upper) if c is not None)
        if way.lower is not None and way.lower.op == "gt":
            flags |= LOWER_EXCLUSIVE
        if way.upper is not None and way.upper.op == "lt":
            flags |= UPPER_EXCLUSIVE
        return replace(driver, index=way.index, lower=lower, upper=upper, flags=flags)

    def _ready(
        self, conditions: Sequence[Expression], bound: set[int]
    ) -> tuple[list[Expression], list[Expression]]:
        """Those that can be asked now, and the others. Where a left join is asked for nulls, at the
        end.
        """
        ready = [c for c in conditions if sources(c) <= bound and not sources(c) & self.outer]
        asked = {id(c) for c in ready}
        return ready, [c for c in conditions if id(c) not in asked]

    def _next(self, bound: set[int], left: list[Expression]) -> tuple[Step, list[Expression]]:
        """The input that is found best by what is there."""
        waiting = [i for i in range(len(self.tables)) if i not in bound]
        # A left join comes when all before it are there; inner joins behind one come after it.
        possible = [i for i in waiting if i not in self.outer or all(j in bound for j in range(i))]
        inner = [
            i for i in possible if not any(j in self.outer and j not in bound for j in range(i))
        ]
        possible = inner or possible[:1]

        ways = {i: self._found(i, self.on[i] if i in self.outer else left, bound) for i in possible}
        best = max(ways, key=lambda i: (ways[i].rank, -i))
        if best in self.outer:
            return self._outer(best, ways[best]), left
        return self._inner_step(best, ways[best], left, bound, withheld=self.outer)

    def _sorted(self, first: int, way: Path) -> int:
        """Whether the rows come in the order that is asked for: forwards, backwards."""
        select = self.select
        if not select.order or select.grouped or select.distinct or self.outer:
            return 0
        wanted = list(select.order)
        columns = list(way.columns)
        fixed = {c.place for c in way.equal}
        while columns and columns[0] in fixed:
            columns.pop(0)
        wanted = [one for one in wanted if not _is_fixed(one, first, fixed)]
        descending = bool(wanted) and wanted[0].descending
        for i, one in enumerate(wanted):
            value = one.value
            if not isinstance(value, ColumnRef) or value.source != first or i >= len(columns):
                return 0
            if value.place != columns[i] or one.descending != descending:
                return 0
            if value.nullable and one.nulls_first != descending:
                return 0
        return SORTED | (DESCENDING if descending else 0)

    # ------------------------------------------------------------ what comes out

    def _plan(self, drivers: tuple[Driver, ...]) -> Plan:
        select = self.select
        orders = tuple(one.value for one in select.order)
        sorts = tuple((one.descending, one.nulls_first) for one in select.order)
        outputs = tuple(one.value for one in select.outputs)
        plan = Plan(
            inputs=tuple(table.number for table in self.tables),
            drivers=drivers,
            row=outputs + orders,
            condition=self._rest,
            distinct=select.distinct,
            sorts=sorts,
            parameters=select.parameters,
        )
        if not select.grouped:
            return plan
        row, aggregates = group_row(select.groups, select.aggregates)
        count = len(select.groups)
        return replace(
            plan,
            row=row,
            groups=count,
            aggregates=aggregates,
            grouped=True,
            having=None if select.having is None else over_group(select.having, count),
            final=tuple(over_group(value, count) for value in outputs + orders),
        )


def _is_fixed(one: OrderBy, source: int, places: set[int]) -> bool:
    """Ordered by what is the same in all rows."""
    value = one.value
    return isinstance(value, ColumnRef) and value.source == source and value.place in places


def group_row(
    groups: Sequence[Expression], aggregates: Sequence[Aggregate]
) -> tuple[tuple[Expression, ...], tuple[AggregatePlan, ...]]:
    """What is computed of each row of a group, and what becomes of it."""
    row = list(groups)

    def place(expression: Expression | None) -> int | None:
        if expression is None:
            return None
        row.append(expression)
        return len(row) - 1

    plans = []
    for one in aggregates:
        argument = one.args[0] if one.args else None
        kind = one.kind if argument is None else argument.kind
        plans.append(
            AggregatePlan(
                _function(one, kind),
                one.distinct,
                place(argument),
                place(one.filter),
                kind,
                one.kind,
                _scale(one, kind),
                detail=SPREADS.get(one.function, one.fraction),
                separator=place(one.args[1]) if len(one.args) > 1 else None,
                order=_value_order(one, place),
            )
        )
    if not row:  # count(*) of everything: a program has at least one output
        row.append(Constant(value=0, kind=Kind(Type.INT)))
    return tuple(row), tuple(plans)


def _function(aggregate: Aggregate, kind: Kind) -> str:
    """The kernel's function for an aggregate of values of this kind."""
    is_float = kind.type is Type.FLOAT
    match aggregate.function:
        case "count":
            return "count" if aggregate.args else "count_rows"
        case "sum":
            return "sum_float" if is_float else "sum_word"
        case "avg" if kind.type is Type.DECIMAL:
            return "average_decimal"
        case "avg":
            return "average_float" if is_float else "average_int"
        case function if function in SPREADS:
            return "variance_float" if is_float else "variance_word"
    return _FUNCTIONS[aggregate.function]


_FUNCTIONS = {
    "min": "least",
    "max": "greatest",
    "bool_and": "every",
    "bool_or": "some",
    "percentile_cont": "continuous",
    "percentile_disc": "discrete",
    "arg_min": "first",
    "arg_max": "first",
    "array_agg": "array",
    "string_agg": "joined",
}


def _scale(aggregate: Aggregate, kind: Kind) -> int:
    """Of decimals: by how much what lies between them is finer than they are, else their digits
    behind the point.
    """
    if aggregate.function in ("avg", "percentile_cont"):
        return aggregate.kind.scale - kind.scale
    return kind.scale


def _value_order(
    aggregate: Aggregate, place: Callable[[Expression | None], int | None]
) -> tuple[tuple[int, bool, bool], ...]:
    """What values are ordered by before they are by themselves, which needs no saying."""
    order = list(aggregate.order)
    if order and order[0] == OrderBy(aggregate.args[0]):
        return ()
    found = []
    for one in order:
        position = place(one.value)
        assert position is not None
        found.append((position, one.descending, one.nulls_first))
    return tuple(found)
