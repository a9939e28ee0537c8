"""Typed expressions: what the reader makes of SQL, and what programs and plans are made of.

A tree of frozen nodes. Each knows its kind, whether it can be null, and where it stands in the
text, so that an error while a row is computed can still point at the SQL. Two nodes are equal when
they compute the same, wherever they stand. No parser here, and nothing that needs the kernel.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, NamedTuple

from reifydb.engine.catalog import DECIMAL_CODE, Column, Type, Value

if TYPE_CHECKING:
    from reifydb.sql.query import Query


class Kind(NamedTuple):
    """The type of an expression.

    Attributes:
        precision, scale: Of a decimal: digits in all, and those behind the point. Else 0.
        interval: An int that is a length of time in microseconds. No column has this kind.
    """

    type: Type
    precision: int = 0
    scale: int = 0
    interval: bool = False

    @property
    def code(self) -> int:
        """The type as the kernel knows it, like `Column.code`."""
        return DECIMAL_CODE + self.precision if self.type is Type.DECIMAL else int(self.type)

    @property
    def sql(self) -> str:
        """The kind for people: `int`, `decimal(10,2)`, `interval`."""
        if self.interval:
            return "interval"
        if self.type is Type.DECIMAL:
            return f"decimal({self.precision},{self.scale})"
        return self.type.sql

    def column(self, name: str, *, nullable: bool = True, default: Value = None) -> Column:
        """A column of this kind."""
        return Column(name, self.type, nullable, default, False, self.precision, self.scale)


BOOL, INT, FLOAT, TEXT, BYTES = map(Kind, (Type.BOOL, Type.INT, Type.FLOAT, Type.TEXT, Type.BYTES))
TIMESTAMP, UUID, JSON = map(Kind, (Type.TIMESTAMP, Type.UUID, Type.JSON))
INTERVAL = Kind(Type.INT, interval=True)


def column_kind(column: Column) -> Kind:
    """The kind of a column's values."""
    return Kind(column.type, column.precision, column.scale)


@dataclass(frozen=True, slots=True)
class ColumnRef:
    """A column of an input.

    Attributes:
        source: Position of the input in `Select.inputs`.
        place: Where the column is in the input's rows: `Table.places`, or a query's output.
    """

    source: int
    place: int
    name: str = field(compare=False)
    kind: Kind
    nullable: bool = True
    at: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Constant:
    """A value as the catalog keeps it (`catalog.Value`); None is null."""

    value: Value
    kind: Kind
    at: int = field(default=0, compare=False)

    @property
    def nullable(self) -> bool:
        """Whether it is null."""
        return self.value is None


@dataclass(frozen=True, slots=True)
class Parameter:
    """A value that is given when the query runs; `index` from 0."""

    index: int
    kind: Kind
    nullable: bool = True
    at: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Operation:
    """An operator or a function on its operands.

    `op` is a name of the table in docs/formats.md, "Program", without the type in it (`add`, `eq`,
    `to_text`), or one of those that become several instructions: `and` and `or` of any number of
    operands, `in` (a value, then the list), `between` is two comparisons, `coalesce`, `greatest`,
    `least`, `cast` (to `kind`).
    """

    op: str
    args: tuple[Expression, ...]
    kind: Kind
    nullable: bool
    imm: int = 0
    at: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Case:
    """The value behind the first condition that is true, else `otherwise`."""

    branches: tuple[tuple[Expression, Expression], ...]
    otherwise: Expression
    kind: Kind
    nullable: bool
    at: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class AggregateRef:
    """The result of `Select.aggregates[index]`."""

    index: int
    kind: Kind
    nullable: bool
    at: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class GroupRef:
    """The value of `Select.groups[index]`, the same in all rows of a group."""

    index: int
    kind: Kind
    nullable: bool
    at: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class OuterRef:
    """A column of the query around a subquery, while that is read."""

    column: ColumnRef
    at: int = field(default=0, compare=False)

    @property
    def kind(self) -> Kind:
        """Of the column."""
        return self.column.kind

    @property
    def nullable(self) -> bool:
        """Of the column."""
        return self.column.nullable


@dataclass(frozen=True, slots=True)
class Lookup:
    """An output of the one row of a query whose first outputs are equal to `keys`; null when there
    is none.

    What subqueries are made of, until the select around them is complete: then the query is a
    left join of it (reifydb/sql/lookups.py).

    Attributes:
        query: No two of its rows have the same first outputs.
        place: The output's position.
    """

    query: Query
    keys: tuple[Expression, ...]
    place: int
    kind: Kind
    nullable: bool = True
    at: int = field(default=0, compare=False)


Expression = (
    ColumnRef
    | Constant
    | Parameter
    | Operation
    | Case
    | AggregateRef
    | GroupRef
    | OuterRef
    | Lookup
)


def children(expression: Expression) -> tuple[Expression, ...]:
    """The nodes right below this one."""
    match expression:
        case Operation(args=args):
            return args
        case Case(branches=branches, otherwise=otherwise):
            return (*(part for branch in branches for part in branch), otherwise)
        case Lookup(keys=keys):
            return keys
    return ()


def walk(expression: Expression) -> Iterator[Expression]:
    """The node and all below it, from the left. O(nodes)."""
    waiting = [expression]
    while waiting:
        node = waiting.pop()
        yield node
        waiting += reversed(children(node))


def rewrite(
    expression: Expression, change: Callable[[Expression], Expression | None]
) -> Expression:
    """The tree with other nodes in it: from the top, each that `change` has an answer for."""
    changed = change(expression)
    if changed is not None:
        return changed
    match expression:
        case Operation(args=args):
            return replace(expression, args=tuple(rewrite(arg, change) for arg in args))
        case Case(branches=branches, otherwise=otherwise):
            return replace(
                expression,
                branches=tuple((rewrite(a, change), rewrite(b, change)) for a, b in branches),
                otherwise=rewrite(otherwise, change),
            )
        case Lookup(keys=keys):
            return replace(expression, keys=tuple(rewrite(key, change) for key in keys))
    return expression


def moved(expression: Expression, by: int) -> Expression:
    """The tree of a text that stands so many characters further on."""
    match expression:
        case Operation(args=args):
            expression = replace(expression, args=tuple(moved(arg, by) for arg in args))
        case Case(branches=branches, otherwise=otherwise):
            expression = replace(
                expression,
                branches=tuple((moved(a, by), moved(b, by)) for a, b in branches),
                otherwise=moved(otherwise, by),
            )
    return replace(expression, at=expression.at + by)


def conjuncts(expression: Expression | None) -> tuple[Expression, ...]:
    """The conditions that must all be true for this one to be."""
    if expression is None:
        return ()
    if isinstance(expression, Operation) and expression.op == "and":
        return tuple(part for arg in expression.args for part in conjuncts(arg))
    return (expression,)


def together(conditions: Iterable[Expression]) -> Expression | None:
    """One condition that is true when all are; None of none."""
    found = tuple(conditions)
    if len(found) <= 1:
        return found[0] if found else None
    return Operation("and", found, BOOL, any(c.nullable for c in found), at=found[0].at)


def sources(expression: Expression) -> frozenset[int]:
    """The inputs that an expression looks at."""
    return frozenset(node.source for node in walk(expression) if isinstance(node, ColumnRef))
