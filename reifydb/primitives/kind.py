"""What there is to say of one kind of primitive."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from reifydb.engine.catalog import Column, Table, Type
from reifydb.primitives.operation import Operation


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of primitive.

    Attributes:
        word: What SQL calls it: `create counter`.
        operations: Of one that is declared.
        clauses: What stands in SQL behind the name and the columns of one that is declared, without
            a space before it.
        declared: The columns that its declaration names.
        per: The columns that it names behind `per`; None: there is no such clause.
    """

    word: str
    operations: Callable[[Table], tuple[Operation, ...]]
    clauses: Callable[[Table], str]
    declared: Callable[[Table], tuple[Column, ...]]
    per: Callable[[Table], tuple[Column, ...]] | None = None


NAME_COLUMN = "name"
"""The key of a primitive that is declared without one: it has one row, whose key is its name."""


def key_columns(name: str, declared: tuple[Column, ...]) -> tuple[Column, ...]:
    """The columns that a primitive's rows begin with, which are its key."""
    if not declared:
        return (Column(NAME_COLUMN, Type.TEXT, nullable=False, default=name),)
    return tuple(replace(column, nullable=False) for column in declared)


def declared_key(table: Table) -> tuple[Column, ...]:
    """The columns of the key that a declaration names: none when it names none."""
    first = table.columns[0]
    return () if first.default is not None else table.key_columns
