"""Queries with the values of their parameters in them."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import replace

from reifydb.engine.catalog import Type, Value
from reifydb.sql.expressions import Constant, Expression, Kind, Parameter
from reifydb.sql.query import Query
from reifydb.sql.rewriting import rewrite_query

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
    if not kinds:
        return query
    values = values_of(kinds, packed)

    def change(node: Expression) -> Expression | None:
        if isinstance(node, Parameter):
            return Constant(values[node.index], node.kind, node.at)
        return None

    return replace(rewrite_query(query, change), parameters=(), parameter_names=())
