"""Queries with the values of their parameters in them, and whether they can be planned then."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import replace

from reifydb.engine.catalog import Type, Value
from reifydb.sql.expressions import ColumnRef, Constant, Expression, Kind, Parameter
from reifydb.sql.query import Input, Output, Query, Select
from reifydb.sql.rewriting import rewrite_query
from reifydb.views.building import assemble
from reifydb.views.plan import encode
from reifydb.views.planner import Planner

_TEXTS = frozenset({Type.TEXT, Type.JSON})
_TAILS = _TEXTS | {Type.BYTES, Type.UUID}


def values_of(kinds: Sequence[Kind], packed: bytes) -> list[Value]:
    """The values of a row as the catalog keeps them (docs/formats.md, "Row")."""
    found: list[Value] = []
    nulls = 8 + 8 * len(kinds)
    for i, kind in enumerate(kinds):
        if packed[nulls + i // 8] >> i % 8 & 1:
            found.append(None)
        elif kind.type in _TAILS:
            offset, length = struct.unpack_from("<II", packed, 8 + 8 * i)
            tail = packed[offset : offset + length]
            found.append(tail.decode() if kind.type in _TEXTS else tail)
        elif kind.type is Type.FLOAT:
            found.append(struct.unpack_from("<d", packed, 8 + 8 * i)[0])
        else:
            (word,) = struct.unpack_from("<q", packed, 8 + 8 * i)
            found.append(bool(word) if kind.type is Type.BOOL else word)
    return found


def with_values(query: Query, kinds: Sequence[Kind], packed: bytes) -> Query:
    """A query without parameters: their values stand in it. O(nodes)."""
    return _with_constants(query, values_of(kinds, packed)) if kinds else query


_SAMPLES: dict[Type, Value] = {
    Type.BOOL: True,
    Type.FLOAT: 1.0,
    Type.TEXT: "",
    Type.BYTES: b"",
    Type.UUID: bytes(16),
    Type.JSON: "null",
}
"""A value of each type, other than 1."""


def check_open(query: Query, number: int) -> None:
    """Makes sure that a query can stand in `from` once its parameters have values. O(its length).

    Args:
        number: Of a table that is not there.

    Raises:
        SqlError: It cannot.
    """
    values = [_SAMPLES.get(kind.type, 1) for kind in query.parameters]
    inner = _with_constants(query, values)
    columns = zip(query.columns, query.kinds, strict=True)
    outputs = tuple(
        Output(column.name, ColumnRef(0, place, column.name, kind, column.nullable))
        for place, (column, kind) in enumerate(columns)
    )
    _, select = assemble(Select((Input(inner, "view"),), outputs), number)
    encode(Planner(select).query())


def _with_constants(query: Query, values: Sequence[Value]) -> Query:
    def change(node: Expression) -> Expression | None:
        if isinstance(node, Parameter):
            return Constant(values[node.index], node.kind, node.at)
        return None

    return replace(rewrite_query(query, change), parameters=(), parameter_names=())
