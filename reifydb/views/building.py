"""What a view needs in the kernel: its table, tables beside it, and what each is made of.

- A view of rows has the key of the rows it is made of; what of it is not shown is hidden behind the
  columns.
- A view of groups has its groups as key, and behind its columns what must be known of each group.
  `min`, `max` and distinct values need a table beside it: which values there are, and how often.
- `having` is a condition over a view of groups beside it; `distinct` is groups alone.
- `order by … limit` is a view beside it in that order, which keeps the first rows and some more,
  and the first rows of that one. `row_number()` with a bound on it is a view beside it of all rows,
  and the first rows of each part; the key of both begins with what it is partitioned by.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from reifydb.config import columns_max, top_rows_max, top_spare_rows_min
from reifydb.engine.catalog import Column, Table, Type
from reifydb.errors import SqlError
from reifydb.sql.expressions import (
    BOOL,
    INT,
    AggregateRef,
    ColumnRef,
    Constant,
    Expression,
    GroupRef,
    Operation,
    column_kind,
    sources,
)
from reifydb.sql.numbering import BOUND_HINT, most_wanted
from reifydb.sql.query import Aggregate, Input, OrderBy, Output, Query, Select, SetQuery
from reifydb.sql.rewriting import groups_alone, over_group
from reifydb.views.access import comparisons, stored
from reifydb.views.flattening import flatten
from reifydb.views.layering import layered
from reifydb.views.plan import ORDERED, AggregatePlan, Encoded, Plan, encode
from reifydb.views.planner import Planner

BESIDE = "reifydb_view_"
"""Names of tables that a view needs beside its own begin so."""

_INT, _BYTES = Column("", Type.INT, nullable=False), Column("", Type.BYTES, nullable=False)
_STATES = {
    **dict.fromkeys(("sum_word", "average_int", "average_decimal", "every", "some"), (_INT,) * 2),
    **dict.fromkeys(("sum_float", "average_float"), (_BYTES,)),
    "variance_word": (_INT,) * 5,
    "variance_float": (_BYTES,) * 2,
}
"""What is kept of an aggregate, besides how many values count."""

PLACES = 3
"""How a part begins that has the first rows of each part of another one."""


@dataclass(frozen=True, slots=True)
class Part:
    """A table that a view consists of.

    Attributes:
        source: What `define_view` is given; None: a table that another part writes.
        encoded: The plan in it, for messages.
        plan: The same, to be explained.
        max_rows: Of one that is made anew after each change; 0: it is brought up to date.
        first: Of one that keeps only its first rows: how many are needed; 0: it keeps all.
    """

    table: Table
    source: bytes | None = None
    encoded: Encoded | None = None
    plan: Plan | None = None
    max_rows: int = 0
    first: int = 0


def build(name: str, query: Query, number: int, max_rows: int = 0) -> list[Part]:
    """The parts of a view, each behind those that it needs; the last one is the view itself.

    Args:
        name: The view's.
        query: What it is to show.
        number: Of the first part's table; the others follow.
        max_rows: It is made anew after each change, looking at so many rows; 0: brought up to date.

    Raises:
        SqlError: It cannot be kept up to date in proportion to what changes.
    """
    assert not query.parameters  # a view with some is no table
    names = [column.name for column in query.columns]
    for i, one in enumerate(names):
        if one in names[:i]:
            raise SqlError(f"column {one} is there twice", hint=f"… as {one}_2")
    builder = _Builder(name, number, max_rows)
    builder.query(query, name)
    widest = max(len(part.table.columns) + len(part.table.hidden) for part in builder.parts)
    if widest > columns_max:
        raise SqlError(
            f"the view needs {widest} columns, with what is kept to bring it up to date: "
            f"columns_max is {columns_max}"
        )
    return [replace(part, table=named_apart(part.table)) for part in builder.parts]


def named_apart(table: Table) -> Table:
    """The table with names of its hidden columns that none of those has which are shown."""
    taken = {column.name for column in table.columns}
    hidden = []
    for column in table.hidden:
        name = column.name
        while name in taken:
            name += "_"
        hidden.append(replace(column, name=name))
    return replace(table, hidden=tuple(hidden))


def assemble(query: Query, number: int) -> tuple[list[Part], Select]:
    """What a query needs beside, to be made for its length, and the select that is left.

    Raises:
        SqlError: It is not supported.
    """
    builder = _Builder("the query", number)
    if isinstance(query, Select):
        return builder.parts, builder.with_tables(query)
    below = builder.query(replace(query, order=(), limit=None, offset=None), None)
    select = replace(_all_of(below), order=query.order, limit=query.limit, offset=query.offset)
    names = zip(select.outputs, query.columns, strict=True)
    outputs = tuple(replace(output, name=column.name) for output, column in names)
    return builder.parts, replace(select, outputs=outputs)


def _check(query: Select) -> None:
    if not query.inputs:
        raise SqlError("a view is made of tables: it needs from")


class _Builder:
    def __init__(self, name: str, number: int, max_rows: int = 0) -> None:
        self.name, self.number, self.max_rows = name, number, max_rows
        self.parts: list[Part] = []
        self.beside: dict[Query, Table] = {}

    def take_number(self) -> int:
        self.number += 1
        return self.number - 1

    # ------------------------------------------------------------ shapes

    def query(self, query: Query, name: str | None) -> Table:
        """The parts of a query; the table of the last. Without a name it is one beside."""
        if isinstance(query, Select):
            _check(query)
            return self.select(query, name)
        return self._together(query, name)

    def select(self, query: Select, name: str | None) -> Table:
        """The parts of a select; the table of the last. Without a name it is one beside."""
        if query.numbering is not None:
            raise SqlError("row_number() needs a bound", hint=BOUND_HINT)
        if query.limit is not None or query.offset is not None:
            return self._first_rows(query, name)
        query = self.with_layers(replace(query, order=()))  # a table has its key's order
        if query.distinct:
            if query.grouped:
                inner = self.select(replace(query, distinct=False), None)
                query = replace(_all_of(inner), distinct=True)
            query = _as_groups(query)
        if query.having is not None:
            inner = self.select(groups_alone(query), None)
            return self._rows(_above(query, inner), name)
        return self._groups(query, name) if query.grouped else self._rows(query, name)

    def with_tables(self, query: Select) -> Select:
        """The same without queries in `from`: those that are more than filters become views."""
        query = flatten(query)
        inputs = [
            one
            if isinstance(one.relation, Table)
            else replace(one, relation=self._beside(one.relation))
            for one in query.inputs
        ]
        return replace(query, inputs=tuple(inputs))

    def with_layers(self, query: Select) -> Select:
        """As `with_tables`; and no join of it looks at rows of left joins."""
        return self.with_tables(layered(flatten(query)))

    def _beside(self, query: Query) -> Table:
        """The table of a query in `from`; those that are equal have one."""
        found = self.beside.get(query)
        if found is None:
            if isinstance(query, Select) and query.numbering is not None:
                found = self._numbered(query)
            else:
                found = self.query(query, None)
            self.beside[query] = found
        return found

    # ------------------------------------------------------------ queries put together

    def _together(self, query: SetQuery, name: str | None) -> Table:
        if query.limit is not None or query.offset is not None:
            below = self._together(replace(query, order=(), limit=None, offset=None), None)
            select = replace(_all_of(below), order=query.order)
            return self._first_rows(replace(select, limit=query.limit, offset=query.offset), name)
        if query.operation == "union" and query.all:
            return self._union_all(query, name)
        if query.all:
            raise SqlError(
                f"{query.operation} all in a view is not supported", hint=query.operation
            )
        below = self._union_all(replace(query, operation="union", all=True), None)
        distinct = _as_groups(_all_of(below))
        if query.operation == "union":
            return self.select(distinct, name)
        side = ColumnRef(0, len(below.columns), "", INT, nullable=False)
        counts = tuple(
            Aggregate("count", (), INT, False, filter=_compared("eq", side, i)) for i in (0, 1)
        )
        left, right = (AggregateRef(i, INT, False) for i in (0, 1))
        there = _compared("gt", right, 0) if query.operation == "intersect" else None
        having = (_compared("gt", left, 0), there or _compared("eq", right, 0))
        return self.select(
            replace(distinct, aggregates=counts, having=Operation("and", having, BOOL, False)),
            name,
        )

    def _union_all(self, query: SetQuery, name: str | None) -> Table:
        """One table for the rows of all sides; the key says of which, and which row there."""
        sides = [self.query(side, None) for side in _sides(query)]
        columns = query.columns
        hidden = [
            Column("side", Type.INT, nullable=False),
            Column("row", Type.BYTES, nullable=False),
        ]
        table = self._table(name, columns, (len(columns), len(columns) + 1), hidden)
        for i, side in enumerate(sides):
            select = _all_of(side)
            which = Output("", Constant(i, INT))
            order = tuple(OrderBy(ref) for ref in primary_key(side, 0))
            select = replace(select, outputs=(*select.outputs, which), order=order)
            self._add(table, Planner(select).view())
        return table

    def _first_rows(self, query: Select, name: str | None) -> Table:
        if not query.order:
            raise SqlError("a view with limit needs order by: which rows are the first?")
        count, skip = _number(query.limit, "limit"), _number(query.offset, "offset") or 0
        if count is None:
            raise SqlError("a view with offset needs limit")
        if count + skip > top_rows_max:
            raise SqlError(f"top_rows_max is {top_rows_max:,}: a view shows no more first rows")
        inner = self.with_layers(replace(query, limit=None, offset=None))
        if query.grouped or query.distinct:
            plain = replace(inner, order=(), outputs=(*inner.outputs, *_order_outputs(inner)))
            if query.distinct:
                plain = replace(plain, outputs=inner.outputs)
            below = self.select(plain, None)
            inner = _ordered(below, inner)
        ordered = self._rows(inner, None, first=max(count + skip, 1))
        number = self.take_number()
        table = replace(ordered, name=name or _beside(number), number=number, key=ordered.key[1:])
        source = struct.pack("<IIQQ", 1, ordered.number, count, skip)
        self.parts.append(Part(table, source))
        return table

    def _numbered(self, query: Select) -> Table:
        """The first rows of each part of a query, with their numbers."""
        _check(query)
        inner = self.with_layers(query)
        numbering = inner.numbering
        assert numbering is not None
        most = most_wanted(numbering)
        if most > top_rows_max:
            raise SqlError(f"top_rows_max is {top_rows_max:,}: no more rows are numbered")
        inner = replace(inner, numbering=None, order=numbering.order)
        ordered = self._rows(inner, None, numbering.partition)
        number = self.take_number()
        groups = len(numbering.partition)
        key = (*ordered.key[:groups], *ordered.key[groups + 1 :])
        table = replace(ordered, name=_beside(number), number=number, key=key)
        source = struct.pack("<IIQII", PLACES, ordered.number, most, groups, numbering.output)
        self.parts.append(Part(table, source))
        return table

    # ------------------------------------------------------------ rows

    def _rows(
        self,
        query: Select,
        name: str | None,
        partition: tuple[Expression, ...] = (),
        first: int = 0,
    ) -> Table:
        """A table of rows in the order of their keys, or in an order within parts; all, or at least
        the first ones.
        """
        wanted = tuple(dict.fromkeys((*partition, *_row_key(Planner(query)))))
        columns, hidden, key = shown(query, wanted)
        outputs = (*query.outputs, *(Output("", value) for value in hidden))
        plan = self._plan(replace(query, outputs=outputs))
        behind = [hidden_column(value, i) for i, value in enumerate(hidden)]
        if query.order:
            key.insert(len(partition), len(columns) + len(behind))
            behind.append(Column("order", Type.BYTES, nullable=False))
        return self._add(self._table(name, columns, key, behind), plan, anew=True, first=first)

    def _plan(self, query: Select) -> Plan:
        """How a part comes to its rows: by what changes, or as a query does."""
        planner = Planner(query)
        return planner.query() if self.max_rows else planner.view()

    def _table(
        self,
        name: str | None,
        columns: Sequence[Column],
        key: Sequence[int],
        hidden: Sequence[Column] = (),
    ) -> Table:
        """A table of the next number. Without a name it is one beside."""
        number = self.take_number()
        return Table(
            name or _beside(number),
            tuple(columns),
            tuple(key),
            number=number,
            derived=True,
            hidden=tuple(hidden),
        )

    def _add(self, table: Table, plan: Plan, *, anew: bool = False, first: int = 0) -> Table:
        """The table as a part that is made by a plan; `anew`: by `_plan`."""
        encoded = encode(plan)
        most = self.max_rows if anew else 0
        head = bytes(8)
        if most:
            head = struct.pack("<IIQ", 2, first, most)
        elif first:
            head = struct.pack("<IIQ", 4, first, top_spare_rows_min)
        self.parts.append(Part(table, head + encoded.data, encoded, plan, most, first))
        return table

    # ------------------------------------------------------------ groups

    def _groups(self, query: Select, name: str | None) -> Table:
        columns = [_column(output) for output in query.outputs]
        hidden: list[Output] = []
        key: list[int] = []
        for i, group in enumerate(query.groups):
            ref = GroupRef(i, group.kind, group.nullable)
            place = next((j for j, o in enumerate(query.outputs) if o.value == ref), None)
            if place is None:
                place = len(columns) + len(hidden)
                hidden.append(Output("", ref))
            key.append(place)
        if not key:
            key.append(len(columns))
            hidden.append(Output("", Constant(0, INT)))
        plan = self._plan(replace(query, outputs=(*query.outputs, *hidden)))
        aggregates = [self._with_values(query, one) for one in plan.aggregates]
        plan = replace(plan, aggregates=tuple(aggregates))
        behind = [hidden_column(output.value, i) for i, output in enumerate(hidden)]
        behind += [replace(one, name=f"state_{i}") for i, one in enumerate(_states(plan))]
        return self._add(self._table(name, columns, key, behind), plan, anew=True)

    def _with_values(self, query: Select, one: AggregatePlan) -> AggregatePlan:
        """With a table for the values, where they must be known one by one."""
        if not one.distinct and one.function not in ORDERED:
            return one
        assert one.argument is not None
        columns = [
            group.kind.column(f"group_{i}", nullable=group.nullable)
            for i, group in enumerate(query.groups)
        ]
        if one.order:
            columns.append(Column("order", Type.BYTES, nullable=False))
        columns.append(one.kind.column("value", nullable=one.function == "array"))
        times = Column("times", Type.INT, nullable=False)
        table = self._table(None, (*columns, times), range(len(columns)))
        self.parts.append(Part(table))
        return replace(one, values=table.number)


def _states(plan: Plan) -> Iterator[Column]:
    """What must be known of a group, as kernel/group_rows.zig keeps it."""
    yield _INT
    for one in plan.aggregates:
        yield _INT
        yield from _STATES.get(one.function, ())
        if one.function in ("continuous", "discrete"):  # where it was last
            yield _INT
            yield one.kind.column("")


def shown(
    query: Select, wanted: Sequence[Expression]
) -> tuple[tuple[Column, ...], list[Expression], list[int]]:
    """The columns of a select; what of a key is not among them; and where the key's parts stand."""
    columns = tuple(_column(output) for output in query.outputs)
    hidden: list[Expression] = []
    key: list[int] = []
    for one in wanted:
        place = next((i for i, o in enumerate(query.outputs) if o.value == one), None)
        if place is None:
            place = len(columns) + len(hidden)
            hidden.append(one)
        key.append(place)
    return columns, hidden, key


def _beside(number: int) -> str:
    return f"{BESIDE}{number}"


def _column(output: Output) -> Column:
    if output.value.kind.interval:
        raise SqlError(
            f"column {output.name} is an interval, which no column can be",
            hint="extract(epoch from …)",
        )
    return output.value.kind.column(output.name, nullable=output.value.nullable)


def hidden_column(value: Expression, i: int) -> Column:
    """A part of a key that is not shown."""
    return value.kind.column(f"key_{i}", nullable=value.nullable)


def _sides(query: SetQuery) -> list[Query]:
    """The queries whose rows a union of all has, from the left."""
    found: list[Query] = []
    for side in (query.left, query.right):
        plain = isinstance(side, SetQuery) and side.limit is None and side.offset is None
        if plain and isinstance(side, SetQuery) and side.operation == "union" and side.all:
            found += _sides(side)
        else:
            found.append(side)
    return found


def _compared(op: str, value: Expression, number: int) -> Operation:
    return Operation(op, (value, Constant(number, INT)), BOOL, nullable=False)


def _number(said: object, what: str) -> int | None:
    if said is None:
        return None
    if not isinstance(said, Constant) or not isinstance(said.value, int) or said.value < 0:
        raise SqlError(f"{what} in a view is a whole number from 0")
    return said.value


# ------------------------------------------------------------------ keys


def _row_key(planner: Planner) -> list[ColumnRef]:
    """What tells the rows of a view apart: the keys of its tables, but of those whose row follows
    from the others'.
    """
    left = list(range(len(planner.tables)))
    for i in reversed(left[:]):
        others = frozenset(left) - {i}
        if others and _follows(planner, i, others):
            left.remove(i)
    return [
        replace(ref, nullable=ref.nullable or i in planner.outer)
        for i in left
        for ref in primary_key(planner.tables[i], i)
    ]


def _follows(planner: Planner, i: int, others: frozenset[int]) -> bool:
    """Whether the whole key of an input is equal to values of others."""
    table = planner.tables[i]
    said = planner.on[i] if i in planner.outer else planner.where
    found = comparisons(said, i, lambda value: sources(value) <= others)
    given = {one.place for one in found if one.op == "eq"}
    return {ref.place for ref in primary_key(table, i)} <= given


def primary_key(table: Table, source: int) -> list[ColumnRef]:
    """The columns of a table's key, as an input of a select."""
    kept = stored(table)
    nullable = table.derived
    return [
        ColumnRef(source, place, column.name, column_kind(column), nullable and column.nullable)
        for place, column in (kept[i] for i in table.key)
    ]


# ------------------------------------------------------------------ a select above another


def _input(table: Table) -> Input:
    return Input(table, table.name, name=table.name)


def _refs(table: Table) -> list[ColumnRef]:
    return [
        ColumnRef(0, place, column.name, column_kind(column), column.nullable)
        for place, column in zip(table.places, table.columns, strict=True)
    ]


def _all_of(table: Table) -> Select:
    """Everything that a view beside shows."""
    outputs = tuple(Output(ref.name, ref) for ref in _refs(table))
    return Select(inputs=(_input(table),), outputs=outputs)


def _as_groups(query: Select) -> Select:
    """Distinct rows as groups."""
    groups = tuple(output.value for output in query.outputs)
    outputs = tuple(
        Output(output.name, GroupRef(i, value.kind, value.nullable))
        for i, (output, value) in enumerate(zip(query.outputs, groups, strict=True))
    )
    return replace(query, distinct=False, grouped=True, groups=groups, outputs=outputs, order=())


def _above(query: Select, inner: Table) -> Select:
    """The outputs and the condition of a select over its groups."""
    count = len(query.groups)
    return Select(
        inputs=(_input(inner),),
        outputs=tuple(
            Output(output.name, over_group(output.value, count)) for output in query.outputs
        ),
        where=None if query.having is None else over_group(query.having, count),
    )


def _order_outputs(query: Select) -> list[Output]:
    return [Output(f"order_{i}", one.value) for i, one in enumerate(query.order)]


def _ordered(below: Table, query: Select) -> Select:
    """The rows of a view beside in a select's order."""
    refs = _refs(below)
    count = len(query.outputs)
    if query.distinct:
        by = {output.value: ref for output, ref in zip(query.outputs, refs, strict=True)}
        missing = [one for one in query.order if one.value not in by]
        if missing:
            raise SqlError("with distinct, order by is about what is selected")
        values = [by[one.value] for one in query.order]
    else:
        values = refs[count:]
    return Select(
        inputs=(_input(below),),
        outputs=tuple(Output(o.name, ref) for o, ref in zip(query.outputs, refs, strict=False)),
        order=tuple(
            OrderBy(value, one.descending, one.nulls_first)
            for one, value in zip(query.order, values, strict=True)
        ),
    )
