"""Statements that change rows, as data: resolved, typed and checked like queries.

Values are of their column's kind already; whether they may be null there, and whether keys and
checks hold, is for whoever writes the rows to see.
"""

from __future__ import annotations

from dataclasses import dataclass

from reifydb.engine.catalog import Table
from reifydb.sql.expressions import Expression, Kind
from reifydb.sql.query import Query


@dataclass(frozen=True, slots=True)
class Insert:
    """`insert into`: rows that are written out, or those of a query.

    Attributes:
        columns: Positions in `Table.columns` of what is given; all others get their default.
        rows: Expressions without columns, in the order of `columns`.
        query: Its outputs are in the order of `columns`; `rows` is empty then.
    """

    table: Table
    columns: tuple[int, ...]
    rows: tuple[tuple[Expression, ...], ...] = ()
    query: Query | None = None
    parameters: tuple[Kind, ...] = ()
    parameter_names: tuple[str | None, ...] = ()


@dataclass(frozen=True, slots=True)
class Update:
    """`update … set`: `sets` are positions in `Table.columns` and what becomes of each.

    All expressions look at the row as it was: input 0.
    """

    table: Table
    sets: tuple[tuple[int, Expression], ...]
    where: Expression | None = None
    parameters: tuple[Kind, ...] = ()
    parameter_names: tuple[str | None, ...] = ()


@dataclass(frozen=True, slots=True)
class Delete:
    """`delete from`: rows for which `where` is true; without it all."""

    table: Table
    where: Expression | None = None
    parameters: tuple[Kind, ...] = ()
    parameter_names: tuple[str | None, ...] = ()


Change = Insert | Update | Delete
