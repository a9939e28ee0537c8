"""`row_number() over (…)` in a query in `from`, and the bound on it around that query.

There is no other way to ask for the first rows of each group: the rows behind the bound are never
numbered, so that a change costs the first ones alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NoReturn

from sqlglot import exp

from reifydb.sql.expressions import (
    INT,
    ColumnRef,
    Constant,
    Expression,
    Operation,
    Parameter,
    conjuncts,
)
from reifydb.sql.query import Numbering, OrderBy, Query, Select

if TYPE_CHECKING:
    from reifydb.sql.expression_reader import ExpressionReader
    from reifydb.sql.reader import Reader

BOUND_HINT = (
    "select … from (select …, row_number() over (partition by … order by …) as place from …) as q "
    "where place <= 3"
)
_TURNED = {"gt": "lt", "ge": "le", "eq": "eq"}
_UPPER = ("lt", "le", "eq")
_OTHERS = {
    "rank": "row_number() numbers rows that are equal as well",
    "dense_rank": "row_number() numbers rows that are equal as well",
    "first_value": "arg_min(x, by) … group by …",
    "last_value": "arg_max(x, by) … group by …",
    "lag": "join the table with itself",
    "lead": "join the table with itself",
}


def read_numbering(reader: ExpressionReader, node: exp.Window, output: int) -> Numbering:
    """A window function that is the output of this number."""
    at = reader.source.start(node, reader.at)
    called = node.this
    name = str(called.this).lower() if isinstance(called, exp.Anonymous) else ""
    if name != "row_number":
        refuse_window(reader, node)
    if called.expressions:
        reader.refuse("row_number takes no arguments", at, hint=BOUND_HINT)
    for word, what in (("spec", "rows between …"), ("alias", "over a window with a name")):
        if node.args.get(word) is not None:
            reader.refuse(f"{what} is not supported", at, hint=BOUND_HINT)
    reader.only(node, "over", "this", "partition_by", "order", "over")
    reader.only(called, name, "this")
    order = node.args.get("order")
    if order is None:
        reader.refuse("row_number needs order by: which row is the first?", at, hint=BOUND_HINT)
    reader.only(order, "order by", "expressions")
    aggregates, reader.aggregates = reader.aggregates, None
    clause, reader.clause = reader.clause, "over (…)"
    hint, reader.aggregate_hint = reader.aggregate_hint, "group in a query in from of its own"
    partition = tuple(dict.fromkeys(reader.read(one) for one in node.args["partition_by"] or ()))
    orders = tuple(_ordered(reader, one) for one in order.expressions)
    reader.aggregates, reader.clause, reader.aggregate_hint = aggregates, clause, hint
    return Numbering(partition, orders, output, at=at)


def _ordered(reader: ExpressionReader, node: exp.Ordered) -> OrderBy:
    reader.only(node, "order by", "this", "desc", "nulls_first")
    value = reader.read(node.this)
    return OrderBy(value, bool(node.args.get("desc")), bool(node.args.get("nulls_first")))


def refuse_window(reader: ExpressionReader, node: exp.Window) -> NoReturn:
    """A window function that there is not, or not there."""
    at = reader.source.start(node, reader.at)
    called = node.this
    name = str(called.this).lower() if isinstance(called, exp.Anonymous) else "this"
    if name == "row_number":
        message = "row_number() is a column of a query in from: nothing is computed with it there"
        reader.refuse(message, at, hint=BOUND_HINT)
    hint = _OTHERS.get(name, "aggregate in a query in from, and join it")
    reader.refuse(f"the window function {name} is not supported", at, hint=hint)


def check_numbers(reader: Reader, select: Select, numberings: Sequence[Numbering]) -> None:
    """Rows are numbered where they are only filtered and joined."""
    if len(numberings) > 1:
        hint = "number in a query in from of its own"
        reader.refuse("a select numbers its rows once", numberings[1].at, hint=hint)
    if numberings and (select.grouped or select.distinct or select.order or select.limit):
        hint = "group or order in a query in from of its own"
        reader.refuse("numbered rows are only filtered and joined", numberings[0].at, hint=hint)


def unnumbered(reader: Reader, query: Query) -> Query:
    """The query; refused when it numbers its rows, for it stands where that cannot be."""
    if isinstance(query, Select) and query.numbering is not None:
        message = "row_number() stands in a query in from, and a bound on it around that"
        reader.refuse(message, query.numbering.at, hint=BOUND_HINT)
    return query


def with_bounds(reader: Reader, select: Select) -> Select:
    """The select, whose inputs know what it says of their numbers: there must be a bound."""
    inputs = list(select.inputs)
    for i, one in enumerate(inputs):
        relation = one.relation
        if isinstance(relation, Select) and relation.numbering is not None:
            found = tuple(bounds(select, i))
            if not found:
                name = relation.outputs[relation.numbering.output].name
                message = f"{one.alias}.{name} needs a bound: where {name} <= …"
                reader.refuse(message, relation.numbering.at, hint=BOUND_HINT)
            numbering = replace(relation.numbering, bounds=found)
            inputs[i] = replace(one, relation=replace(relation, numbering=numbering))
    return replace(select, inputs=tuple(inputs))


def bounds(select: Select, i: int) -> Iterator[tuple[str, Constant | Parameter]]:
    """What a select says of the number of an input's rows: `lt`, `le` or `eq`, and a value."""
    relation = select.inputs[i].relation
    assert isinstance(relation, Select)
    assert relation.numbering is not None
    said = list(conjuncts(select.where))
    for j, one in enumerate(select.inputs):
        if one.join != "left" or j == i:  # a left join's condition says nothing of other rows
            said += conjuncts(one.on)
    number = (i, relation.numbering.output)
    for condition in said:
        match condition:
            case Operation(op=op, args=(ColumnRef() as column, value)):
                pass
            case Operation(op=op, args=(value, ColumnRef() as column)):
                op = _TURNED.get(op, "")
            case _:
                continue
        if (column.source, column.place) == number and op in _UPPER and _is_number(value):
            assert isinstance(value, Constant | Parameter)
            yield op, value


def _is_number(value: Expression) -> bool:
    return isinstance(value, Constant | Parameter) and value.kind == INT and not _is_null(value)


def _is_null(value: Constant | Parameter) -> bool:
    return isinstance(value, Constant) and value.value is None


def most_wanted(numbering: Numbering) -> int:
    """So many rows of each part are to be numbered, when parameters have their values."""
    found = [
        value.value - (op == "lt")
        for op, value in numbering.bounds
        if isinstance(value, Constant) and isinstance(value.value, int)
    ]
    return max(0, min(found, default=0))  # nothing is below null


def is_window(node: Any) -> bool:
    """Whether an output is a window function, perhaps under a name."""
    return isinstance(node.this if isinstance(node, exp.Alias) else node, exp.Window)
