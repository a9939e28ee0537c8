"""What tables and transitions look like: plain data that every layer shares.

No SQL here (reifydb/sql makes these from it), no bytes of rows (rows.py), no state.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from enum import IntEnum

Value = bool | int | float | str | bytes | None
"""A column's value in Python. Timestamps are `datetime` outside, microseconds inside."""

NAME = re.compile(r"[a-z_][a-z0-9_]{0,62}")


class Type(IntEnum):
    """A column's type; the numbers are those of docs/formats.md."""

    BOOL = 1
    INT = 2
    FLOAT = 3
    TEXT = 4
    BYTES = 5
    TIMESTAMP = 6

    @property
    def sql(self) -> str:
        """The type's name in SQL and manifests."""
        return self.name.lower()


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a table, a parameter, or a column of a result."""

    name: str
    type: Type
    nullable: bool = True
    default: object = None
    secret: bool = False


@dataclass(frozen=True, slots=True)
class Table:
    """A table: its columns, the positions of its primary key, its auto-increment column."""

    name: str
    columns: tuple[Column, ...]
    key: tuple[int, ...]
    auto: int | None = None
    number: int = 0

    @property
    def key_columns(self) -> tuple[Column, ...]:
        """The primary key's columns in key order."""
        return tuple(self.columns[i] for i in self.key)

    def position(self, column: str) -> int | None:
        """The position of a column by name; None when there is none."""
        return next((i for i, c in enumerate(self.columns) if c.name == column), None)


@dataclass(frozen=True, slots=True)
class Relation:
    """What a module binds of a table: the columns it knows, in its order."""

    name: str
    columns: tuple[Column, ...]


@dataclass(frozen=True, slots=True)
class Transition:
    """An exported function of a module.

    `result` is empty for none; `result_is_row` says whether one column means a value or a row.
    """

    name: str
    params: tuple[Column, ...]
    result: tuple[Column, ...] = ()
    result_is_row: bool = False
    query: bool = False
    module: str = ""
    number: int = field(default=0, compare=False)
