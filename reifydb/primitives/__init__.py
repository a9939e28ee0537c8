"""Primitives: counters and the like. Each is a table that its own operations alone write.

What a kind of primitive is, is said in its module here: the table that it takes, its operations,
and how SQL declares it. The kernel runs the operations (kernel/native.zig); they are called like
transitions, by `NAME.OPERATION`.
"""

from __future__ import annotations

from collections.abc import Mapping

from reifydb.engine.catalog import Table
from reifydb.errors import FormatVersionError
from reifydb.primitives import counter, histogram, limiter, ring, sequence
from reifydb.primitives.kind import Kind
from reifydb.primitives.operation import Operation

KINDS: Mapping[str, Kind] = {
    one.KIND.word: one.KIND for one in (counter, histogram, limiter, ring, sequence)
}
"""Every kind of primitive by the word that declares it."""


def operations_of(table: Table) -> tuple[Operation, ...]:
    """The operations of a primitive; none of any other table.

    Raises:
        FormatVersionError: A newer ReifyDB wrote it.
    """
    if table.primitive is None:
        return ()
    kind = KINDS.get(table.primitive.kind)
    if kind is None:
        raise FormatVersionError(
            f"{table.name} is a {table.primitive.kind}, which this version does not know",
            hint="open it with the version of ReifyDB that wrote it",
        )
    return kind.operations(table)


__all__ = ["KINDS", "Kind", "Operation", "operations_of"]
