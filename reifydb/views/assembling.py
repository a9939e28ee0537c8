"""Queries with the values of their parameters in them."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import replace

from reifydb.engine.catalog import Type, Value
from reifydb.sql.expressions import Constant, Expression, Kind, Parameter, rewrite
from reifydb.sql.query import Aggregate, Input, OrderBy, Output, Query, Select, SetQuery

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

    return replace(_Rewriting(change).query(query), parameters=(), parameter_names=())


class _Rewriting:
    def __init__(self, change: object) -> None:
        self._change = change

    def one(self, expression: Expression) -> Expression:
        return rewrite(expression, self._change)  # type: ignore[arg-type]

    def maybe(self, expression: Expression | None) -> Expression | None:
        return None if expression is None else self.one(expression)

    def orders(self, orders: tuple[OrderBy, ...]) -> tuple[OrderBy, ...]:
        return tuple(replace(one, value=self.one(one.value)) for one in orders)

    def input(self, one: Input) -> Input:
        relation = one.relation
        if isinstance(relation, Select | SetQuery):
            relation = self.query(relation)
        return replace(one, relation=relation, on=self.maybe(one.on))

    def aggregate(self, one: Aggregate) -> Aggregate:
        args = tuple(map(self.one, one.args))
        return replace(one, args=args, filter=self.maybe(one.filter), order=self.orders(one.order))

    def query(self, query: Query) -> Query:
        if isinstance(query, SetQuery):
            left, right = self.query(query.left), self.query(query.right)
            return replace(query, left=left, right=right, order=self.orders(query.order))
        return replace(
            query,
            inputs=tuple(map(self.input, query.inputs)),
            outputs=tuple(Output(one.name, self.one(one.value)) for one in query.outputs),
            where=self.maybe(query.where),
            groups=tuple(map(self.one, query.groups)),
            aggregates=tuple(map(self.aggregate, query.aggregates)),
            having=self.maybe(query.having),
            order=self.orders(query.order),
        )
