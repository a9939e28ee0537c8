"""What tables and transitions look like: plain data that every layer shares.

No SQL here (reifydb/sql makes these from it), no bytes of rows (rows.py), no state.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Container
from dataclasses import dataclass, field
from enum import IntEnum

from reifydb.config import name_bytes_max

Value = bool | int | float | str | bytes | None
"""A default as the catalog keeps it: timestamps are microseconds, decimals whole numbers of their
unit, uuids 16 bytes, JSON its canonical text."""

NAME = re.compile(r"[a-z_][a-z0-9_]{0,62}")


def free_name(base: str, ending: str, taken: Container[str]) -> str:
    """A name that nobody has given and that is not taken: `base`, cut if need be, and `ending`."""
    number = 0
    while True:
        tail = ending if number == 0 else f"{ending}{number}"
        name = base[: name_bytes_max - len(tail)] + tail
        if name not in taken:
            return name
        number += 1


def with_article(noun: str) -> str:
    """A noun of this project with its article: `a table`, `an assertion`."""
    return f"an {noun}" if noun[0] in "aeiou" else f"a {noun}"


DECIMAL_CODE = 64
"""The code of a decimal's type is this and its precision."""

DECIMAL_PRECISION_MAX = 18
"""Digits of a decimal: more do not fit into 64 bits."""

_DECIMAL = re.compile(r"decimal\(([1-9][0-9]?),([0-9]{1,2})\)")


class Type(IntEnum):
    """A column's type; the numbers are those of docs/formats.md, but a decimal's, which has one
    for each precision.
    """

    BOOL = 1
    INT = 2
    FLOAT = 3
    TEXT = 4
    BYTES = 5
    TIMESTAMP = 6
    DECIMAL = 7
    UUID = 8
    JSON = 9

    @property
    def sql(self) -> str:
        """The type's name in SQL and manifests, without a decimal's precision and scale."""
        return self.name.lower()


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a table, a parameter, or a column of a result.

    Attributes:
        precision, scale: Of a decimal: digits in all, and those behind the point. Else 0.
    """

    name: str
    type: Type
    nullable: bool = True
    default: object = None
    secret: bool = False
    precision: int = 0
    scale: int = 0

    @property
    def sql_type(self) -> str:
        """The type as SQL and manifests write it: `int`, `decimal(10,2)`."""
        if self.type is Type.DECIMAL:
            return f"decimal({self.precision},{self.scale})"
        return self.type.sql

    @property
    def code(self) -> int:
        """The type as the kernel knows it (docs/formats.md, "Types")."""
        return DECIMAL_CODE + self.precision if self.type is Type.DECIMAL else int(self.type)

    def same_type(self, other: Column) -> bool:
        """Whether values of both are the same, precision and scale included."""
        return (self.type, self.precision, self.scale) == (other.type, other.precision, other.scale)


def named_type(text: str) -> tuple[Type, int, int] | None:
    """Type, precision and scale of what `Column.sql_type` gives; None when it is no type.

    >>> named_type("decimal(10,2)")
    (<Type.DECIMAL: 7>, 10, 2)
    """
    found = _DECIMAL.fullmatch(text)
    if found:
        precision, scale = int(found[1]), int(found[2])
        if precision <= DECIMAL_PRECISION_MAX and scale <= precision:
            return Type.DECIMAL, precision, scale
        return None
    plain = _PLAIN_TYPES.get(text)
    return None if plain is None else (plain, 0, 0)


_PLAIN_TYPES = {kind.sql: kind for kind in Type if kind is not Type.DECIMAL}

TYPE_NAMES = (*_PLAIN_TYPES, "decimal(p,s)")
"""The types, for people."""


@dataclass(frozen=True, slots=True)
class Index:
    """A secondary index.

    Attributes:
        columns: Positions in `Table.columns`.
        number: Unique within its table, from 1.
        implied: Made because a foreign key needs it, and goes with that.
    """

    name: str
    columns: tuple[int, ...]
    unique: bool = False
    number: int = 0
    implied: bool = False


@dataclass(frozen=True, slots=True)
class View:
    """What a view is made from.

    Attributes:
        sql: Its query, as it was written.
        reads: The tables and views that it names, each with the columns that it had then.
        parts: So many tables it takes, with numbers up to its own.
        assertion: It must have no rows when a transaction ends.
        max_rows: It is made anew after each change, looking at so many rows; 0: brought up to date.
    """

    sql: str
    reads: tuple[tuple[str, tuple[str, ...]], ...]
    parts: int
    assertion: bool = False
    max_rows: int = 0


@dataclass(frozen=True, slots=True)
class Check:
    """A condition that must not be false for any row of its table.

    Attributes:
        name: Unique within its table.
        sql: The condition, as `reifydb.sql.checks` renders and reads it.
    """

    name: str
    sql: str


@dataclass(frozen=True, slots=True)
class ForeignKey:
    """Columns that are, unless one is null, the key of a row of another table, or of the same.

    Attributes:
        name: Unique within its table, checks included.
        columns: Positions in `Table.columns`.
        table: The name of the table that is referenced.
        to: The names of its columns, in the order of `columns`. Empty: its primary key, as long as
            nobody has looked what that is.
        cascade: What references a row that is deleted is deleted with it.
    """

    name: str
    columns: tuple[int, ...]
    table: str
    to: tuple[str, ...] = ()
    cascade: bool = False


@dataclass(frozen=True, slots=True)
class Primitive:
    """What makes a table a primitive (reifydb/primitives): its own operations alone write it.

    Attributes:
        kind: The word that declares it: `counter`.
        settings: What its declaration says besides columns, by name.
    """

    kind: str
    settings: tuple[tuple[str, int | str], ...] = ()

    def setting(self, name: str) -> int | str | None:
        """What the declaration says of this; None: nothing."""
        return dict(self.settings).get(name)


@dataclass(frozen=True, slots=True)
class Table:
    """A table: its columns, the positions of its primary key, its auto-increment column.

    Attributes:
        indexes: In the order of their creation.
        dropped: Columns that were dropped: where each still is in stored rows, and its type's code.
        derived: A view's, or what one needs beside it: made of other tables, written by nobody.
        hidden: Of a derived one: columns of its rows behind those that are shown. `key` may count
            on into them, and its columns may be null.
        checks, foreign_keys: In the order of their creation.
        primitive: What it is, if it is a primitive.
    """

    name: str
    columns: tuple[Column, ...]
    key: tuple[int, ...]
    auto: int | None = None
    number: int = 0
    indexes: tuple[Index, ...] = ()
    dropped: tuple[tuple[int, int], ...] = ()
    derived: bool = False
    hidden: tuple[Column, ...] = ()
    view: View | None = None
    checks: tuple[Check, ...] = ()
    foreign_keys: tuple[ForeignKey, ...] = ()
    primitive: Primitive | None = None

    @property
    def word(self) -> str:
        """What it is, for people and in SQL: `table`, `view`, `assertion`, `counter` …"""
        if self.primitive is not None:
            return self.primitive.kind
        if self.view is not None:
            return "assertion" if self.view.assertion else "view"
        return "table"

    @property
    def places(self) -> tuple[int, ...]:
        """Where each column is in stored rows: its position, unless others were dropped."""
        if not self.dropped:
            return tuple(range(len(self.columns)))
        gone = {place for place, _ in self.dropped}
        count = len(self.columns) + len(gone)
        return tuple(place for place in range(count) if place not in gone)

    def index(self, name: str) -> Index | None:
        """The index of this name; None when there is none."""
        return next((index for index in self.indexes if index.name == name), None)

    @property
    def key_columns(self) -> tuple[Column, ...]:
        """The primary key's columns in key order."""
        stored = (*self.columns, *self.hidden)
        return tuple(stored[i] for i in self.key)

    def position(self, column: str) -> int | None:
        """The position of a column by name; None when there is none."""
        return next((i for i, c in enumerate(self.columns) if c.name == column), None)


@dataclass(frozen=True, slots=True)
class ParameterisedView:
    """A select with parameters under a name. It has no rows and takes no table: where it stands in
    `from`, with values, its query stands.

    Attributes:
        sql: Its query, as it was written.
        parameters: In the order in which they first stand in it.
        columns: Of its rows.
        reads: As of a view.
        number: Of its row in the schema; tables are numbered along with it.
    """

    name: str
    sql: str
    parameters: tuple[Column, ...]
    columns: tuple[Column, ...]
    reads: tuple[tuple[str, tuple[str, ...]], ...]
    number: int = 0

    @property
    def signature(self) -> str:
        """How it is used: `orders_of(customer int)`."""
        said = ", ".join(f"{one.name} {one.sql_type}" for one in self.parameters)
        return f"{self.name}({said})"


@dataclass(frozen=True, slots=True)
class OpenView:
    """A view whose parameters have no values yet, and what the names in its query mean."""

    view: ParameterisedView
    tables: Tables

    @property
    def columns(self) -> tuple[Column, ...]:
        """Of the view."""
        return self.view.columns


Tables = Callable[[str], Table | OpenView | None]
"""What a name in SQL means; None: nothing."""


@dataclass(frozen=True, slots=True)
class RelationIndex:
    """An index as a module knows it: its name, and the names of its columns."""

    name: str
    columns: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Relation:
    """What a module binds of a table: the columns it knows, in its order, and indexes."""

    name: str
    columns: tuple[Column, ...]
    indexes: tuple[RelationIndex, ...] = ()


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
