"""What the kernel needs so that a select can be followed which is no view.

A select of one table that only filters and computes is a selection: nothing of it is kept, and what
a commit changes in it follows from the rows that the commit changed. Any other becomes a view that
is not in the schema.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, replace

from reifydb.config import subscribed_view_parts_max
from reifydb.engine.catalog import Table
from reifydb.errors import LimitError, SqlError
from reifydb.sql.expressions import INT, Constant
from reifydb.sql.programs import compile_program
from reifydb.sql.query import Query, Select
from reifydb.views.building import (
    Part,
    build,
    hidden_column,
    named_apart,
    primary_key,
    shown,
)
from reifydb.views.flattening import flatten
from reifydb.views.plan import Encoded, encode
from reifydb.views.planner import Planner

NAME = "select"
"""What is followed has no name of its own."""


@dataclass(frozen=True, slots=True)
class Selection:
    """A select of one table with a filter, its parameters open.

    Attributes:
        base: The number of the table.
        table: What its rows look like to whoever follows it.
        source: What `define_shape` is given.
    """

    base: int
    table: Table
    source: bytes
    encoded: Encoded


def selection_of(query: Query) -> Selection | None:
    """The selection that a query is; None: it takes tables of its own.

    Raises:
        SqlError: It has an output that no column can be.
    """
    if not isinstance(query, Select) or query.grouped or query.distinct:
        return None
    if query.limit is not None or query.offset is not None:
        return None
    select = replace(flatten(query), order=())
    if len(select.inputs) != 1 or not isinstance(select.inputs[0].relation, Table):
        return None
    base = select.inputs[0].relation
    plan, equal = Planner(select).selection()
    encoded = encode(plan)
    values = b""
    if equal:
        values = compile_program([one.value for one in equal], (), plan.parameters).encoded
    head = struct.pack("<IIII", len(equal), len(encoded.data), len(values), 0)
    head += struct.pack(f"<{len(equal)}H", *(one.place for one in equal))
    source = b"".join(part + bytes(-len(part) % 8) for part in (head, encoded.data, values))
    columns, hidden, key = shown(select, primary_key(base, 0))
    behind = tuple(hidden_column(value, i) for i, value in enumerate(hidden))
    table = Table(NAME, columns, tuple(key), number=base.number, derived=True, hidden=behind)
    return Selection(base.number, named_apart(table), source, encoded)


def private_view(query: Query, limit: int | None, offset: int, number: int) -> list[Part]:
    """The parts of a view for a query whose parameters' values stand in it.

    Args:
        query: It, but for its limit and offset.
        limit, offset: Of it.
        number: Of the first part's table.

    Raises:
        SqlError: It cannot be kept up to date in proportion to what changes.
        LimitError: It takes too many tables.
    """
    if isinstance(query, Select) and not query.inputs:
        raise SqlError("what is followed is made of tables: it needs from")
    first = Constant(limit, INT) if limit is not None else None
    behind = Constant(offset, INT) if offset else None
    parts = build(NAME, replace(query, limit=first, offset=behind), number)
    if len(parts) > subscribed_view_parts_max:
        raise LimitError(
            f"the select takes {len(parts)} tables to be followed",
            limit="subscribed_view_parts_max",
            value=subscribed_view_parts_max,
            hint="create a view of a part of it",
        )
    return parts
