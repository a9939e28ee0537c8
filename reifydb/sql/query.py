"""Queries as data: resolved, typed and checked; what a plan, a view or a subscription is made of.

A row of a `Select` comes to be in this order: inputs joined from the left, `where`, groups and
aggregates, `having`, outputs, `distinct`, `order`, `offset`, `limit`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from reifydb.engine.catalog import Column, Table
from reifydb.sql.expressions import Constant, Expression, Kind, Parameter


@dataclass(frozen=True, slots=True)
class Input:
    """A table or a query that a select reads.

    Attributes:
        alias: What its columns are called by.
        join: How it comes to those before it; a row of a left join that finds nothing has nulls.
        on: The condition of the join, over this input and those before it; None: of the first.
        name: The table's name, or that of the query of `with`; empty for a query in parentheses.
    """

    relation: Table | Query
    alias: str
    join: Literal["first", "inner", "left"] = "first"
    on: Expression | None = None
    name: str = ""


@dataclass(frozen=True, slots=True)
class OrderBy:
    """One part of an order. PostgreSQL's default: nulls last, and first when descending."""

    value: Expression
    descending: bool = False
    nulls_first: bool = False


@dataclass(frozen=True, slots=True)
class Aggregate:
    """A value of all rows of a group.

    Attributes:
        function: One that `aggregates.AGGREGATES` leads to; `count` without arguments counts rows.
        args: Of `string_agg` the text and what stands between, a constant or a parameter.
        filter: Only rows for which it is true take part.
        order: The order in which the values come, for those to which it matters; equal ones by
            themselves.
        fraction: Of a percentile, in units of 10^-18.
    """

    function: str
    args: tuple[Expression, ...]
    kind: Kind
    nullable: bool
    distinct: bool = False
    filter: Expression | None = None
    order: tuple[OrderBy, ...] = ()
    fraction: int = 0


@dataclass(frozen=True, slots=True)
class Output:
    """A column of the result."""

    name: str
    value: Expression


@dataclass(frozen=True, slots=True)
class Numbering:
    """`row_number() over (partition by … order by …)`: rows that are equal in all of it stand in
    the order of their keys.

    Attributes:
        output: The output that it is, where a 0 stands in its place.
        bounds: What the select around says of it: `lt`, `le` or `eq`, and a constant or parameter.
    """

    partition: tuple[Expression, ...]
    order: tuple[OrderBy, ...]
    output: int
    bounds: tuple[tuple[str, Expression], ...] = ()
    at: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Select:
    """One `select`.

    Where it is `grouped`, `having`, `outputs` and `order` look at groups and aggregates alone;
    without groups all rows are one group, which is there even if there are no rows.

    Attributes:
        numbering: Only of a query in `from` whose rows are numbered; see `sql/numbering.py`.
        parameters: What is to be given, by position; only of the outermost query.
        parameter_names: The same by name; None for one without.
    """

    inputs: tuple[Input, ...]
    outputs: tuple[Output, ...]
    where: Expression | None = None
    groups: tuple[Expression, ...] = ()
    aggregates: tuple[Aggregate, ...] = ()
    having: Expression | None = None
    distinct: bool = False
    order: tuple[OrderBy, ...] = ()
    limit: Constant | Parameter | None = None
    offset: Constant | Parameter | None = None
    grouped: bool = False
    numbering: Numbering | None = None
    parameters: tuple[Kind, ...] = ()
    parameter_names: tuple[str | None, ...] = ()

    @property
    def columns(self) -> tuple[Column, ...]:
        """The columns of the result."""
        return tuple(
            output.value.kind.column(output.name, nullable=output.value.nullable)
            for output in self.outputs
        )

    @property
    def kinds(self) -> tuple[Kind, ...]:
        """The kinds of the result's columns, intervals as such."""
        return tuple(output.value.kind for output in self.outputs)


@dataclass(frozen=True, slots=True)
class SetQuery:
    """Rows of two queries put together; both have the same kinds of columns.

    `order` looks at the rows of the result: a `ColumnRef` with source 0, its place the position of
    the output.
    """

    operation: Literal["union", "except", "intersect"]
    all: bool
    left: Query
    right: Query
    order: tuple[OrderBy, ...] = ()
    limit: Constant | Parameter | None = None
    offset: Constant | Parameter | None = None
    parameters: tuple[Kind, ...] = ()
    parameter_names: tuple[str | None, ...] = ()

    @property
    def columns(self) -> tuple[Column, ...]:
        """The columns of the result: the left query's names."""
        sides = zip(self.left.columns, self.right.columns, self.kinds, strict=True)
        return tuple(
            kind.column(left.name, nullable=left.nullable or right.nullable)
            for left, right, kind in sides
        )

    @property
    def kinds(self) -> tuple[Kind, ...]:
        """The kinds of the result's columns."""
        return self.left.kinds


Query = Select | SetQuery
