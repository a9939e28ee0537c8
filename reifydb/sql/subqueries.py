"""Subqueries: `in (select …)`, `exists (select …)`, and `(select …)` for its value.

Each becomes a query that stands on its own and lookups in it (`expressions.Lookup`): what compares
rows of the subquery with the row around it, `inner = outer`, becomes first outputs of the query and
keys of the lookup. So a subquery is made once, for all rows around it, and kept up to date like any
query in `from`:

- of `exists`: the distinct keys; it is true when they are found. With one `inner < outer` beside:
  the least value for each of them, which is compared (so with the other comparisons);
- of `in`: the distinct keys and values; whether there are nulls, and any rows at all, are lookups
  of their own, and only where one of both sides may be null;
- of an aggregate: its groups by the keys; where none is found, it is what it is of no rows;
- of a row by its whole primary key: the table itself.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeGuard

from sqlglot import exp

from reifydb.engine.catalog import DECIMAL_PRECISION_MAX, Table, Type
from reifydb.sql.expressions import (
    BOOL,
    INT,
    AggregateRef,
    Case,
    ColumnRef,
    Constant,
    Expression,
    GroupRef,
    Kind,
    Lookup,
    Operation,
    OuterRef,
    Parameter,
    column_kind,
    conjuncts,
    rewrite,
    together,
    walk,
)
from reifydb.sql.kinds import cast
from reifydb.sql.query import Aggregate, Input, Output, Query, Select
from reifydb.sql.reader import CAST_HINT

if TYPE_CHECKING:
    from reifydb.sql.expression_reader import ExpressionReader
    from reifydb.sql.query_reader import QueryReader

ONE_ROW_HINT = "an aggregate, such as (select max(…) …); or compare the whole primary key with ="
OUTER_HINT = "a column around a subquery is compared in its where, joined by and: inner = outer"

_ZERO = Constant(0, INT)
_TRUE, _FALSE = (Constant(value, BOOL) for value in (True, False))
_NULL = Constant(None, BOOL)

Pair = tuple[Expression, Expression]
"""What must be equal: of the subquery's row, and of the row around it."""

_EXTREMES = {"lt": ("min",), "le": ("min",), "gt": ("max",), "ge": ("max",), "ne": ("min", "max")}
"""Some value compares so with another one if one of these of all values does."""
_TURNED = {"lt": "gt", "le": "ge", "gt": "lt", "ge": "le", "ne": "ne"}


@dataclass(frozen=True, slots=True)
class _Bound:
    """`inside op outside`, where `op` is of `_EXTREMES`."""

    op: str
    inside: Expression
    outside: Expression
    said: Expression


@dataclass(frozen=True, slots=True)
class _Inner:
    """A subquery without the conditions that compare its rows with the row around it.

    Attributes:
        pairs: What those conditions say.
        bound: One that says something else; None: all say that two values are equal.
    """

    query: Query
    pairs: tuple[Pair, ...]
    bound: _Bound | None
    at: int


@dataclass(frozen=True, slots=True)
class _Rows:
    """The rows of a subquery: those of a select that only joins and filters; see `_Inner`."""

    select: Select
    pairs: tuple[Pair, ...]
    bound: _Bound | None
    at: int


class Subqueries:
    """Reads the subqueries of one select.

    Args:
        around: The reader of the query that they stand in.
        queries: Those of `with`, by name.
    """

    def __init__(self, around: QueryReader, queries: dict[str, Query]) -> None:
        self.around, self.queries = around, queries

    # -------------------------------------------------------------- exists, in, values

    def exists(self, reader: ExpressionReader, node: exp.Exists) -> Expression:
        """`exists (select …)`."""
        reader.only(node, "exists", "this")
        inner = self.inner(reader, node, node.this)
        query = replace(inner.query, limit=None) if _at_least_one(inner.query) else inner.query
        if isinstance(query, Select) and query.groups and query.having is None and _is_plain(query):
            query = replace(query, groups=(), aggregates=(), grouped=False, outputs=())
        inner = replace(inner, query=query)
        if not _is_total(query):
            return self.found(self.rows(inner))
        if query.having is None:
            return replace(_TRUE, at=inner.at)
        kept = self.totals(inner)(query.having)
        return Operation("same", (kept, _TRUE), BOOL, False, at=inner.at)

    def in_(self, reader: ExpressionReader, node: exp.In) -> Expression:
        """`x in (select …)`: null when it is not found, but may be: x is null, or one of them."""
        reader.only(node, "in", "this", "query")
        inner = self.inner(reader, node, node.args["query"])
        output = self.output(inner, "in (select …)")
        value = reader.read(node.this, output.kind)
        reader.check_comparable(value, output, "in")
        if _is_total(inner.query):
            return self._in_total(reader, value, inner)
        rows = self.rows(inner)
        option = rows.select.outputs[0].value
        self.refuse_outer(option)
        option, value = self.same_kind(*reader.fitted(option, value))
        found = self.found(rows, (option, value))
        unknown: list[Expression] = []
        if value.nullable:
            missing = Operation("is_null", (value,), BOOL, False, at=inner.at)
            both = (missing, self.found(rows))
            unknown.append(Operation("and", both, BOOL, False, at=inner.at))
        if option.nullable:
            null = Operation("is_null", (option,), BOOL, False, at=option.at)
            unknown.append(self.found(rows, where=null))
        if not unknown:
            return found
        branches = ((found, _TRUE), *((one, _NULL) for one in unknown))
        return Case(branches, _FALSE, BOOL, True, inner.at)

    def _in_total(self, reader: ExpressionReader, value: Expression, inner: _Inner) -> Expression:
        """`x in (select max(…) …)`: there is one row, whatever there is."""
        assert _is_total(inner.query)
        total = self.totals(inner)
        option = total(inner.query.outputs[0].value)
        equal = reader.compared("eq", *reader.fitted(value, option))
        if inner.query.having is None:
            return equal
        return Case(((total(inner.query.having), equal),), _FALSE, BOOL, True, inner.at)

    def value(self, reader: ExpressionReader, node: exp.Expression) -> Expression:
        """`(select …)` of at most one row: its value, null without it."""
        inner = self.inner(reader, node, node)
        value = self.output(inner, "a subquery that is a value")
        query = inner.query
        if _is_total(query):
            total = self.totals(inner)
            found, having = replace(total(value), at=inner.at), query.having
            return found if having is None else _when(total(having), found)
        self.refuse_bound(inner)
        insides, outsides = zip(*inner.pairs, strict=True) if inner.pairs else ((), ())
        if isinstance(query, Select):
            key = primary_key(query, insides)
            if key:
                return self._of_row(inner, value, key)
            if query.grouped and _is_plain(query) and set(query.groups) <= set(insides):
                self.refuse_outer(value, *conjuncts(query.having))
                grouped = self.around.joined(_keyed(query, insides))
                place = len(insides)
                return Lookup(grouped, outsides, place, value.kind, at=inner.at)
        if not inner.pairs and _limit(query) in (0, 1):
            return self._first(inner, value)
        self.around.refuse("a subquery may give several rows here", inner.at, hint=ONE_ROW_HINT)

    def _of_row(self, inner: _Inner, value: Expression, key: tuple[ColumnRef, ...]) -> Expression:
        """The value for the row of a primary key."""
        assert isinstance(inner.query, Select)
        columns = list(key)
        columns += [one for one in walk(value) if isinstance(one, ColumnRef)]
        made, outsides = self.beside(_Rows(inner.query, inner.pairs, None, inner.at), columns)
        start = len(outsides)

        def lookup(column: ColumnRef) -> Lookup:
            place = start + columns.index(column)
            return Lookup(made, outsides, place, column.kind, at=inner.at)

        def change(node: Expression) -> Expression | None:
            return lookup(node) if isinstance(node, ColumnRef) else _outward(node)

        found = rewrite(value, change)
        return found if isinstance(value, ColumnRef) else _when(_is_there(lookup(key[0])), found)

    def _first(self, inner: _Inner, value: Expression) -> Expression:
        """The value of a query that is limited to one row."""
        query = inner.query
        if isinstance(query, Select):
            self.refuse_outer(value, *conjuncts(query.having))
            query = self.around.joined(query)
        column = _columns(query)[0]
        aggregate = Aggregate("min", (column,), value.kind, True)
        select = Select(
            inputs=(Input(query, "first"),),
            outputs=_outputs((GroupRef(0, INT, False), AggregateRef(0, value.kind, True))),
            groups=(_ZERO,),
            aggregates=(aggregate,),
            grouped=True,
        )
        return Lookup(select, (_ZERO,), 1, value.kind, at=inner.at)

    # -------------------------------------------------------------- a subquery taken apart

    def inner(self, reader: ExpressionReader, node: exp.Expression, tree: Any) -> _Inner:
        """A subquery, and what its `where` compares with the row around it."""
        at = reader.source.start(node, reader.at)
        query = self.around.subquery(tree, self.queries, reader.scope)
        if not isinstance(query, Select):
            return _Inner(query, (), None, at)
        if not query.inputs:
            self.around.refuse("a subquery without from", at, hint="write the value itself")
        pairs: list[Pair] = []
        rest: list[Expression] = []
        bound: _Bound | None = None
        for condition in conjuncts(query.where):
            found = self.compared(condition) if _names_outer(condition) else condition
            if isinstance(found, tuple):
                pairs.append(found)
            elif isinstance(found, _Bound) and bound is None:
                bound = found
            else:
                rest.append(condition)
        query = replace(query, where=together(rest))
        for one in query.aggregates:
            ordered = (part.value for part in one.order)
            self.refuse_outer(*one.args, *conjuncts(one.filter), *ordered)
        self.refuse_outer(*rest, *query.groups, *(one.value for one in query.order))
        self.refuse_outer(*(part for one in query.inputs for part in conjuncts(one.on)))
        return _Inner(query, tuple(pairs), bound, at)

    def compared(self, condition: Expression) -> Pair | _Bound | None:
        """What a condition says of a row and of the row around; None: it is of another form."""
        if not _names_inner(condition):
            return replace(_TRUE, at=condition.at), rewrite(condition, _outward)
        if not isinstance(condition, Operation) or condition.op not in ("eq", *_EXTREMES):
            return None
        turned = _TURNED.get(condition.op, "eq")
        left, right = condition.args
        for op, inside, outside in ((condition.op, left, right), (turned, right, left)):
            if not _names_outer(inside) and not _names_inner(outside):
                outside = rewrite(outside, _outward)
                if op == "eq":
                    return self.same_kind(inside, outside)
                return _Bound(op, inside, outside, condition)
        return None

    def same_kind(self, inside: Expression, outside: Expression) -> Pair:
        """Both in one kind, so that an index finds one by the other."""
        kinds = inside.kind, outside.kind
        if kinds[0] == kinds[1]:
            return inside, outside
        if all(kind.type is Type.DECIMAL for kind in kinds):
            scale = max(kind.scale for kind in kinds)
            precision = max(kind.precision - kind.scale for kind in kinds) + scale
            if precision <= DECIMAL_PRECISION_MAX:
                kind = Kind(Type.DECIMAL, precision, scale)
                return cast(inside, kind), cast(outside, kind)
        types = f"{kinds[1].sql} and {kinds[0].sql}"
        message = f"a subquery is compared with values of its own type here, not {types}"
        self.around.refuse(message, outside.at, hint=CAST_HINT)

    def output(self, inner: _Inner, what: str) -> Expression:
        """The one output of a subquery."""
        query = inner.query
        if len(query.kinds) != 1:
            self.around.refuse(f"{what} has one column, not {len(query.kinds)}", inner.at)
        return query.outputs[0].value if isinstance(query, Select) else _columns(query)[0]

    def refuse_outer(self, *expressions: Expression) -> None:
        """Refuses a column of the row around where it cannot be compared."""
        for expression in expressions:
            for node in walk(expression):
                if isinstance(node, OuterRef):
                    message = f"{node.column.name} is of the select around this subquery"
                    self.around.refuse(message, node.at, hint=OUTER_HINT)

    # -------------------------------------------------------------- what is made of it

    def rows(self, inner: _Inner) -> _Rows:
        """The rows of a subquery that may have several."""
        query = inner.query
        if isinstance(query, Select) and not query.grouped and _is_plain(query):
            return _Rows(query, inner.pairs, inner.bound, inner.at)
        self.refuse_bound(inner)
        insides = tuple(inside for inside, _ in inner.pairs)
        if isinstance(query, Select):
            if insides and not _is_plain(query):
                message = "limit and offset are not for each row around a subquery"
                hint = "leave them out, or what compares it with the row around"
                self.around.refuse(message, inner.at, hint=hint)
            self.refuse_outer(*(one.value for one in query.outputs), *conjuncts(query.having))
            if query.grouped and insides:
                query = _keyed(query, insides)
            query = self.around.joined(query)
        columns = _columns(query)
        outside = [outside for _, outside in inner.pairs]
        count = len(outside)
        pairs = tuple(zip(columns[:count], outside, strict=True))
        select = Select(inputs=(Input(query, "rows"),), outputs=_outputs(columns[count:]))
        return _Rows(select, pairs, None, inner.at)

    def beside(
        self, rows: _Rows, more: Sequence[Expression] = (), *, distinct: bool = False
    ) -> tuple[Select, tuple[Expression, ...]]:
        """A query whose first outputs are what rows are found by, then `more`; and the keys."""
        pairs = rows.pairs or ((_ZERO, _ZERO),)
        outputs = _outputs([*(inside for inside, _ in pairs), *more])
        select = replace(rows.select, outputs=outputs, distinct=distinct, order=())
        return self.around.joined(select), tuple(outside for _, outside in pairs)

    def found(
        self, rows: _Rows, pair: Pair | None = None, where: Expression | None = None
    ) -> Operation:
        """Whether there is a row: of a value as well, or for which a condition is true."""
        if pair is not None:
            rows = replace(rows, pairs=(*rows.pairs, pair))
        if where is not None:
            conditions = (*conjuncts(rows.select.where), where)
            rows = replace(rows, select=replace(rows.select, where=together(conditions)))
        if rows.bound is not None:
            return self.found_beyond(rows, rows.bound)
        key = primary_key(rows.select, [inside for inside, _ in rows.pairs])
        made, outsides = self.beside(rows, key, distinct=not key)
        place = len(outsides) if key else 0
        return _is_there(Lookup(made, outsides, place, made.kinds[place], at=rows.at))

    def found_beyond(self, rows: _Rows, bound: _Bound) -> Operation:
        """Whether there is a row with a value beyond a bound, or another value: the least or the
        greatest one tells.
        """
        value = bound.inside
        pairs = rows.pairs or ((_ZERO, _ZERO),)
        insides, outsides = zip(*pairs, strict=True)
        outputs: list[Expression] = [
            GroupRef(i, one.kind, one.nullable) for i, one in enumerate(insides)
        ]
        names = _EXTREMES[bound.op]
        outputs += [AggregateRef(i, value.kind, True) for i in range(len(names))]
        select = replace(
            rows.select,
            outputs=_outputs(outputs),
            groups=insides,
            aggregates=tuple(Aggregate(name, (value,), value.kind, True) for name in names),
            grouped=True,
            distinct=False,
            order=(),
        )
        made = self.around.joined(select)
        compared = []
        for place in range(len(insides), len(outputs)):
            extreme = Lookup(made, outsides, place, value.kind, at=rows.at)
            args = (extreme, bound.outside)
            compared.append(Operation(bound.op, args, BOOL, True, at=rows.at))
        either = compared[0]
        if len(compared) > 1:
            either = Operation("or", tuple(compared), BOOL, True, at=rows.at)
        return Operation("same", (either, _TRUE), BOOL, False, at=rows.at)

    def refuse_bound(self, inner: _Inner) -> None:
        """Refuses a comparison other than `=` with the row around, where that is no help."""
        if inner.bound is not None:
            self.refuse_outer(inner.bound.said)

    def totals(self, inner: _Inner) -> Callable[[Expression], Expression]:
        """What makes of an expression over all rows of a subquery one of the row around it."""
        self.refuse_bound(inner)
        query, pairs = inner.query, inner.pairs or ((_ZERO, _ZERO),)
        assert isinstance(query, Select)
        insides, outsides = zip(*pairs, strict=True)
        outputs = [GroupRef(i, one.kind, one.nullable) for i, one in enumerate(insides)]
        of = [AggregateRef(i, one.kind, one.nullable) for i, one in enumerate(query.aggregates)]
        select = replace(
            query,
            outputs=_outputs([*outputs, *of]),
            groups=insides,
            having=None,
            distinct=False,
            order=(),
            limit=None,
        )
        made = self.around.joined(select)

        def change(node: Expression) -> Expression | None:
            if not isinstance(node, AggregateRef):
                return _outward(node)
            found = Lookup(made, outsides, len(insides) + node.index, node.kind, at=node.at)
            if node.nullable:
                return found
            return Operation("coalesce", (found, _ZERO), INT, False, at=node.at)  # a count

        return lambda expression: rewrite(expression, change)


def primary_key(select: Select, insides: Sequence[Expression]) -> tuple[ColumnRef, ...]:
    """The primary key of a table of which each key of a lookup means one row at most, since all of
    it is given; empty: it is not so.
    """
    relation = select.inputs[0].relation
    if len(select.inputs) != 1 or not isinstance(relation, Table):
        return ()
    if select.grouped or not _is_plain(select) or max(relation.key) >= len(relation.columns):
        return ()
    columns = [(relation.places[i], relation.columns[i]) for i in relation.key]
    key = tuple(
        ColumnRef(0, place, one.name, column_kind(one), one.nullable) for place, one in columns
    )
    given = set(insides)
    for condition in conjuncts(select.where):
        match condition:
            case Operation("eq", (ColumnRef() as column, Constant() | Parameter())):
                given.add(column)
            case Operation("eq", (Constant() | Parameter(), ColumnRef() as column)):
                given.add(column)
    return key if given.issuperset(key) else ()


def _keyed(query: Select, insides: tuple[Expression, ...]) -> Select:
    """Groups that are groups of the keys as well, which are the first outputs."""
    groups = tuple(dict.fromkeys((*query.groups, *insides)))
    keys = [GroupRef(groups.index(one), one.kind, one.nullable) for one in insides]
    outputs = _outputs([*keys, *(one.value for one in query.outputs)])
    return replace(query, groups=groups, outputs=outputs, distinct=False, order=())


def _outputs(values: Sequence[Expression]) -> tuple[Output, ...]:
    return tuple(Output(f"c{i}", value) for i, value in enumerate(values))


def _columns(query: Query) -> tuple[ColumnRef, ...]:
    """The outputs of a query, as those of the only input of another."""
    columns = zip(query.columns, query.kinds, strict=True)
    return tuple(
        ColumnRef(0, place, column.name, kind, column.nullable)
        for place, (column, kind) in enumerate(columns)
    )


def _is_total(query: Query) -> TypeGuard[Select]:
    """One group of all rows, which is there even if there are none."""
    grouped = isinstance(query, Select) and query.grouped and not query.groups
    return grouped and (_is_plain(query) or _at_least_one(query))


def _is_plain(query: Query) -> bool:
    return query.limit is None and query.offset is None


def _limit(query: Query) -> object:
    return query.limit.value if isinstance(query.limit, Constant) else None


def _at_least_one(query: Query) -> bool:
    """A limit that leaves a row if there is one."""
    limit = _limit(query)
    return query.offset is None and isinstance(limit, int) and limit > 0


def _names_outer(expression: Expression) -> bool:
    return any(isinstance(node, OuterRef) for node in walk(expression))


def _names_inner(expression: Expression) -> bool:
    return any(isinstance(node, ColumnRef) for node in walk(expression))


def _outward(node: Expression) -> Expression | None:
    """A column of the row around, as the select around knows it."""
    return replace(node.column, at=node.at) if isinstance(node, OuterRef) else None


def _is_there(lookup: Lookup) -> Operation:
    return Operation("is_value", (lookup,), BOOL, False, at=lookup.at)


def _when(condition: Expression, value: Expression) -> Case:
    """A value where a condition is true, else null."""
    nothing = Constant(None, value.kind, value.at)
    return Case(((condition, value),), nothing, value.kind, True, value.at)
