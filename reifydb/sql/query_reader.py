"""Queries from SQL: resolved, typed, and checked, or refused with position, reason and hint."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from sqlglot import exp

from reifydb import config
from reifydb.engine.catalog import OpenView, Tables
from reifydb.engine.values import INT_MAX
from reifydb.sql.expression_reader import ExpressionReader
from reifydb.sql.expressions import (
    INT,
    AggregateRef,
    ColumnRef,
    Constant,
    Expression,
    GroupRef,
    Kind,
    Parameter,
    column_kind,
    rewrite,
    walk,
)
from reifydb.sql.inputs import InputsReader, Relations
from reifydb.sql.kinds import cast, common_kind
from reifydb.sql.lookups import join_lookups
from reifydb.sql.numbering import (
    check_numbers,
    is_window,
    read_numbering,
    unnumbered,
    with_bounds,
)
from reifydb.sql.open_views import Uses
from reifydb.sql.output_names import OutputNames, name_of
from reifydb.sql.parameters import Parameters
from reifydb.sql.query import Numbering, OrderBy, Output, Query, Select, SetQuery
from reifydb.sql.reader import Reader
from reifydb.sql.scope import Scope
from reifydb.sql.source import QUERY_HINT, Source
from reifydb.sql.subqueries import Subqueries

_OPERATIONS = {exp.Union: "union", exp.Except: "except", exp.Intersect: "intersect"}


def read_query(
    sql: str,
    tables: Tables,
    parameters: Sequence[Kind] | None = None,
    *,
    unique_names: bool = False,
) -> Query:
    """The query that a text is. O(length): about 0.05 ms for each word.

    Args:
        sql: One `select`, or several put together with `union`, `except`, `intersect`.
        tables: What a name in `from` means; None: nothing.
        parameters: The kinds of the parameters; None: found from what they stand beside.
        unique_names: Two outputs of one name are refused, not numbered.

    Raises:
        SqlError: Not SQL, not supported, or not about what there is; with line, column and hint.
    """
    source = Source(sql, QUERY_HINT)
    tree, at = only_tree(source)
    return read_query_tree(source, tree, at, tables, parameters, unique_names=unique_names)


def only_tree(source: Source) -> tuple[exp.Expression, int]:
    """The one statement of a text, and where it starts."""
    trees = list(source.statements())
    if len(trees) != 1:
        source.refuse(f"one query is expected, not {len(trees)}", trees[1][1] if trees else None)
    return trees[0]


def read_query_tree(
    source: Source,
    tree: exp.Expression,
    at: int,
    tables: Tables,
    parameters: Sequence[Kind] | None = None,
    *,
    unique_names: bool = False,
    uses: Uses | None = None,
) -> Query:
    """As `read_query`, of a tree that is a part of a statement.

    Args:
        uses: Of the query that this one becomes a part of; None: it is one of its own.
    """
    check_depth(source, tree, at)
    found = Parameters(source, tree, parameters)
    reader = QueryReader(source, at, tables, found, unique_names=unique_names)
    if uses is not None:
        reader.uses = uses
    with source.enough_stack(at):
        query = reader.query(tree, {})
    return replace(query, parameters=found.finished(), parameter_names=tuple(found.names))


def check_depth(source: Source, tree: exp.Expression, at: int) -> None:
    """Refuses what is nested so deep that reading it would use up the stack.

    A chain of `and` or `or` counts once.
    """
    waiting: list[tuple[exp.Expression, int]] = [(tree, 0)]
    while waiting:
        node, depth = waiting.pop()
        if depth > config.sql_depth_max:
            message = f"the expression is nested too deep: sql_depth_max is {config.sql_depth_max}"
            source.refuse(message, source.start(node, at), hint="split it up: with … as (select …)")
        chain = isinstance(node, exp.And | exp.Or)
        waiting += [
            (child, depth if chain and type(child) is type(node) else depth + 1)
            for child in node.iter_expressions()
        ]


class QueryReader(Reader):
    """Reads one query with all that is in it; see `Reader`."""

    def __init__(
        self,
        source: Source,
        at: int,
        tables: Tables,
        parameters: Parameters,
        *,
        unique_names: bool,
    ) -> None:
        super().__init__(source, at)
        self.tables, self.parameters, self.unique_names = tables, parameters, unique_names
        self.around: list[Scope] = []
        self.uses = Uses(_read_view)

    def query(self, tree: Any, queries: dict[str, Query]) -> Query:
        """A query, in which those of `queries` can be read like tables."""
        return unnumbered(self, self.from_query(tree, queries))

    def from_query(self, tree: Any, queries: dict[str, Query]) -> Query:
        """The same, and its rows may be numbered."""
        found = self.unjoined(tree, queries)
        return self.joined(found) if isinstance(found, Select) else found

    def subquery(self, tree: Any, queries: dict[str, Query], around: Scope) -> Query:
        """A query in an expression, which may name columns around it, as `unjoined`."""
        self.around.append(around)
        try:
            return unnumbered(self, self.unjoined(tree, queries, sees_around=True))
        finally:
            self.around.pop()

    def joined(self, select: Select) -> Select:
        """A select whose subqueries have become joins."""
        made = join_lookups(select)
        if len(made.inputs) > max(len(select.inputs), config.query_inputs_max):
            limit = f"query_inputs_max is {config.query_inputs_max}"
            self.refuse(f"{len(made.inputs)} tables, subqueries included, are too many: {limit}")
        return made

    def unjoined(self, tree: Any, queries: dict[str, Query], *, sees_around: bool = False) -> Query:
        """A query, in which subqueries are still `Lookup`s if it is one select."""
        while isinstance(tree, exp.Subquery) and not tree.args.get("alias"):
            self.only(tree, "(…)", "this")
            tree = tree.this
        if isinstance(tree, exp.Expression) and tree.args.get("with_") is not None:
            queries = self.with_(tree.args["with_"], queries)
        if isinstance(tree, exp.Select):
            return self.select(tree, queries, sees_around=sees_around)
        if type(tree) in _OPERATIONS:
            return self.set_query(tree, queries)
        at = self.source.start(tree, self.at) if isinstance(tree, exp.Expression) else self.at
        self.refuse("this is not a query", at, hint=QUERY_HINT)

    def with_(self, node: exp.With, queries: dict[str, Query]) -> dict[str, Query]:
        """`with name as (select …), …`."""
        at = self.source.start(node, self.at)
        if node.args.get("recursive"):
            self.refuse("with recursive is not supported", at)
        self.only(node, "with", "expressions")
        found, own = dict(queries), set[str]()
        for part in node.expressions:
            self.only(part, "with", "this", "alias", "materialized")
            alias = part.args["alias"]
            name, at = self.name(alias.this, "query"), self.source.start(alias, self.at)
            if name in own:
                self.refuse(f"{name} is in with twice", at)
            own.add(name)
            query = self.from_query(part.this, found)
            names = [self.name(column, "column") for column in alias.args.get("columns") or ()]
            found[name] = self.renamed(query, names, name, at)
        return found

    def renamed(self, query: Query, names: list[str], name: str, at: int) -> Query:
        """A query whose outputs have other names."""
        if not names:
            return query
        if len(names) > len(query.kinds):
            self.refuse(f"{name} has {len(query.kinds)} columns, named are {len(names)}", at)
        if isinstance(query, SetQuery):
            return replace(query, left=self.renamed(query.left, names, name, at))
        outputs = list(query.outputs)
        for position, one in enumerate(names):
            outputs[position] = replace(outputs[position], name=one)
        return replace(query, outputs=tuple(outputs))

    # -------------------------------------------------------------- select

    def select(self, tree: exp.Select, queries: dict[str, Query], *, sees_around: bool) -> Select:
        """One `select`, as `unjoined`."""
        at = self.source.start(tree, self.at)
        self.only(
            tree,
            "select",
            "expressions",
            "from_",
            "joins",
            "where",
            "group",
            "having",
            "order",
            "limit",
            "offset",
            "distinct",
            "with_",
        )
        relations = Relations(self.tables, queries, self.from_query, self.uses)
        scope = Scope(around=tuple(self.around), sees_around=sees_around)
        inputs = InputsReader(self.source, at, self.parameters, relations, scope)
        inputs.read(tree)
        reader = ExpressionReader(self.source, at, scope, self.parameters, "where")
        reader.subqueries = Subqueries(self, queries)
        reader.aggregate_hint = "having … stands behind group by"
        where = tree.args.get("where")
        condition = None if where is None else reader.condition(where.this, "where")
        reader.clause = "select"
        aggregates = reader.aggregates = []
        numberings: list[Numbering] = []
        outputs = self.outputs(tree.expressions, reader, numberings)
        groups = self.groups(tree.args.get("group"), reader, outputs)
        having = tree.args.get("having")
        kept = None if having is None else reader.condition(having.this, "having")
        distinct = self.distinct(tree.args.get("distinct"))
        order = self.order(tree.args.get("order"), reader, outputs)
        if groups or aggregates or having is not None:
            grouped = _Grouped(self, groups)
            outputs = tuple(replace(o, value=grouped.over(o.value)) for o in outputs)
            order = tuple(replace(o, value=grouped.over(o.value)) for o in order)
            kept = None if kept is None else grouped.over(kept)
        if distinct:
            self.check_distinct(order, outputs)
        made = Select(
            inputs=tuple(inputs.inputs),
            outputs=outputs,
            where=condition,
            groups=groups,
            aggregates=tuple(aggregates),
            having=kept,
            distinct=distinct,
            order=order,
            limit=self.count(tree.args.get("limit"), "limit"),
            offset=self.count(tree.args.get("offset"), "offset"),
            grouped=bool(groups or aggregates or having is not None),
            numbering=numberings[0] if numberings else None,
        )
        check_numbers(self, made, numberings)
        return with_bounds(self, made)

    def outputs(
        self, nodes: Sequence[Any], reader: ExpressionReader, numberings: list[Numbering]
    ) -> tuple[Output, ...]:
        """What stands behind `select`; `*` becomes columns. Numbers of rows are added to a list."""
        names = OutputNames(self, unique=self.unique_names)
        found: list[Output] = []
        for node in nodes:
            at = self.source.start(node, self.at)
            star = self.star(node, reader)
            if star is not None:
                found += [Output(names.given(one.name, at), one) for one in star]
                continue
            if is_window(node):
                called = node.this if isinstance(node, exp.Alias) else node
                numberings.append(read_numbering(reader, called, len(found)))
                value: Expression = Constant(0, INT, at)
                name = "row_number"
                if isinstance(node, exp.Alias):
                    name = self.name(node.args["alias"], "column")
            elif isinstance(node, exp.Alias):
                self.only(node, "as", "this", "alias")
                name, value = self.name(node.args["alias"], "column"), reader.read(node.this)
            else:
                word, value = name_of(node), reader.read(node)
                name = self.name(word, "column") if isinstance(word, exp.Identifier) else word or ""
            found.append(Output(names.given(name or f"column{len(found) + 1}", at), value))
        if not found:
            self.refuse("a select has at least one column", hint=QUERY_HINT)
        if len(found) > config.columns_max:
            self.refuse(f"{len(found)} columns are too many: columns_max is {config.columns_max}")
        return tuple(found)

    def star(self, node: Any, reader: ExpressionReader) -> list[ColumnRef] | None:
        """The columns that `*` or `t.*` stands for; None when it is something else."""
        at = self.source.start(node, self.at)
        if isinstance(node, exp.Star):
            self.only(node, "*")
            inputs = reader.scope.inputs
            if not inputs:
                self.refuse("* needs a from", at)
        elif isinstance(node, exp.Column) and isinstance(node.this, exp.Star):
            self.only(node, "*", "this", "table")
            self.only(node.this, "*")
            alias = self.name(node.args.get("table"), "table")
            if all(one.alias != alias for one in reader.scope.inputs):
                self.refuse(f"there is no table {alias} in from", at)
            inputs = [reader.scope.input(alias)]
        else:
            return None
        return [replace(column, at=at) for one in inputs for column in one.columns]

    def groups(
        self, node: Any, reader: ExpressionReader, outputs: tuple[Output, ...]
    ) -> tuple[Expression, ...]:
        """`group by`: expressions, an output's number, or its name if no column has it."""
        if node is None:
            return ()
        self.only(node, "group by", "expressions")
        found: list[Expression] = []
        aggregates, reader.aggregates = reader.aggregates, None
        reader.clause, reader.aggregate_hint = "group by", "having … takes conditions on them"
        for part in node.expressions:
            at = self.source.start(part, self.at)
            value = self.output(part, outputs, at)
            if value is None or (isinstance(part, exp.Column) and self.is_column(part, reader)):
                value = reader.read(part)
            if any(isinstance(one, AggregateRef) for one in walk(value)):
                self.refuse("group by takes no aggregate", at)
            if value not in found:
                found.append(value)
        reader.clause, reader.aggregates = "having", aggregates
        return tuple(found)

    def is_column(self, node: exp.Column, reader: ExpressionReader) -> bool:
        """Whether a name is a column of an input."""
        name = self.name(node.this, "column")
        return any(c.name == name for one in reader.scope.inputs for c in one.columns)

    def output(self, node: Any, outputs: tuple[Output, ...], at: int) -> Expression | None:
        """The output that a number or a name alone means; None when it is something else."""
        if isinstance(node, exp.Literal) and not node.is_string:
            text = str(node.this)
            if not text.isdecimal() or not 1 <= int(text[:9]) <= len(outputs):
                self.refuse(f"there is no output {text}: there are {len(outputs)}", at)
            return outputs[int(text) - 1].value
        if isinstance(node, exp.Column) and not node.args.get("table"):
            name = self.name(node.this, "column")
            return next((one.value for one in outputs if one.name == name), None)
        return None

    def distinct(self, node: Any) -> bool:
        """`distinct`, but not `distinct on`."""
        if node is None:
            return False
        if node.args.get("on") is not None:
            self.refuse("distinct on is not supported", self.source.start(node, self.at))
        return True

    def check_distinct(self, order: tuple[OrderBy, ...], outputs: tuple[Output, ...]) -> None:
        """Rows that are equal have no other order than that of what they show."""
        shown = [output.value for output in outputs]
        for one in order:
            if one.value not in shown:
                hint = "put it behind select as well"
                self.refuse("with distinct, order by takes outputs", one.value.at, hint=hint)

    # -------------------------------------------------------------- order, limit

    def order(
        self, node: Any, reader: ExpressionReader, outputs: tuple[Output, ...]
    ) -> tuple[OrderBy, ...]:
        """`order by`: an output's name or number, or an expression."""
        if node is None:
            return ()
        self.only(node, "order by", "expressions")
        reader.clause = "order by"
        found = []
        for part in node.expressions:
            value = self.output(part.this, outputs, self.source.start(part, self.at))
            found.append(self.ordered(part, reader.read(part.this) if value is None else value))
        return tuple(found)

    def ordered(self, node: exp.Ordered, value: Expression) -> OrderBy:
        """One part of an order."""
        self.only(node, "order by", "this", "desc", "nulls_first")
        return OrderBy(value, bool(node.args.get("desc")), bool(node.args.get("nulls_first")))

    def count(self, node: Any, clause: str) -> Constant | Parameter | None:
        """The number of `limit` or `offset`."""
        if node is None:
            return None
        at = self.source.start(node, self.at)
        if not isinstance(node, exp.Limit | exp.Offset):
            self.refuse("fetch first is not supported", at, hint="limit …")
        self.only(node, clause, "expression")
        count = node.args["expression"]
        if isinstance(count, exp.Placeholder | exp.Parameter):
            index = self.parameters.index(count)
            if self.parameters.kinds[index] not in (None, INT):
                self.refuse(f"{clause} takes an int", at)
            self.parameters.kinds[index] = INT
            return Parameter(index, INT, at=at)
        text = str(count.this) if isinstance(count, exp.Literal) and not count.is_string else ""
        if not text.isdecimal() or int(text) > INT_MAX:
            self.refuse(f"{clause} takes a whole number or a parameter", at)
        return Constant(int(text), INT, at)

    # -------------------------------------------------------------- union, except, intersect

    def set_query(self, tree: Any, queries: dict[str, Query]) -> SetQuery:
        """Two queries put together."""
        operation: Any = _OPERATIONS[type(tree)]
        self.only(
            tree, operation, "this", "expression", "distinct", "order", "limit", "offset", "with_"
        )
        left, right = self.query(tree.this, queries), self.query(tree.args["expression"], queries)
        at = self.source.start(tree.args["expression"], self.at)
        if len(left.kinds) != len(right.kinds):
            counts = f"{len(left.kinds)} and {len(right.kinds)}"
            self.refuse(f"the sides of {operation} have {counts} columns", at)
        kinds = []
        for number, sides in enumerate(zip(outputs_of(left), outputs_of(right), strict=True), 1):
            kind = common_kind(sides)
            if kind is None:
                types = f"{sides[0].kind.sql} and {sides[1].kind.sql}"
                message = f"column {number} of {operation} is {types}"
                self.refuse(message, sides[1].at or at, hint="cast one of them")
            kinds.append(kind)
        left, right = recast(left, kinds), recast(right, kinds)
        found = SetQuery(operation, not tree.args.get("distinct"), left, right)
        return replace(
            found,
            order=self.set_order(tree.args.get("order"), found),
            limit=self.count(tree.args.get("limit"), "limit"),
            offset=self.count(tree.args.get("offset"), "offset"),
        )

    def set_order(self, node: Any, query: SetQuery) -> tuple[OrderBy, ...]:
        """The order of both sides' rows: outputs only."""
        if node is None:
            return ()
        self.only(node, "order by", "expressions")
        outputs = tuple(
            Output(column.name, value)
            for column, value in zip(query.columns, _columns(query), strict=True)
        )
        found = []
        for part in node.expressions:
            at = self.source.start(part, self.at)
            value = self.output(part.this, outputs, at)
            if value is None:
                hint = "put it around: select … from (… union …) as q order by …"
                self.refuse("order by takes an output's name or number here", at, hint=hint)
            found.append(self.ordered(part, value))
        return tuple(found)


def uses_inside() -> Uses:
    """Those of the query of a view with parameters."""
    return Uses(_read_view, inside=True)


def _read_view(found: OpenView, uses: Uses) -> Query:
    """The query of a view with parameters."""
    source = Source(found.view.sql, QUERY_HINT)
    kinds = [column_kind(column) for column in found.view.parameters]
    tree, at = only_tree(source)
    return read_query_tree(source, tree, at, found.tables, kinds, unique_names=True, uses=uses)


class _Grouped:
    """Expressions over rows made expressions over groups."""

    def __init__(self, reader: Reader, groups: tuple[Expression, ...]) -> None:
        self.reader, self.groups = reader, groups

    def over(self, value: Expression) -> Expression:
        """The same value, from groups and aggregates alone."""
        return rewrite(value, self.change)

    def change(self, node: Expression) -> Expression | None:
        """A group where it is one."""
        if node in self.groups:
            return GroupRef(self.groups.index(node), node.kind, node.nullable, node.at)
        if isinstance(node, ColumnRef):
            hint = f"put {node.name} into group by, or into an aggregate such as max({node.name})"
            self.reader.refuse(f"column {node.name} is not in group by", node.at, hint=hint)
        return None


def _columns(query: Query) -> tuple[ColumnRef, ...]:
    columns = zip(query.columns, query.kinds, strict=True)
    return tuple(
        ColumnRef(0, place, column.name, kind, column.nullable)
        for place, (column, kind) in enumerate(columns)
    )


def outputs_of(query: Query) -> tuple[Expression, ...]:
    """The expressions of a query's outputs, or what stands for them."""
    if isinstance(query, SetQuery):
        return _columns(query)
    return tuple(output.value for output in query.outputs)


def recast(query: Query, kinds: Sequence[Kind]) -> Query:
    """A query whose outputs have these kinds."""
    if query.kinds == tuple(kinds):
        return query
    if isinstance(query, SetQuery):
        return replace(query, left=recast(query.left, kinds), right=recast(query.right, kinds))
    return replace(
        query,
        outputs=tuple(
            replace(output, value=cast(output.value, kind))
            for output, kind in zip(query.outputs, kinds, strict=True)
        ),
    )
