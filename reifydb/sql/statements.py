"""The statements that change a schema, as data; and the parser's door.

    create table [if not exists] NAME (…)                       see create_table.py
    create {counter | …} [if not exists] NAME …                 see declaration.py
    drop {counter | …} [if exists] NAME, …
    create [unique] index [if not exists] NAME on TABLE (COLUMN, …)
    drop index [if exists] NAME
    alter table NAME add [column] COLUMN TYPE [not null] [default LITERAL]
    alter table NAME rename column COLUMN to COLUMN
    alter table NAME drop [column] COLUMN
    alter table NAME rename to NAME
    alter table NAME add [constraint NAME] foreign key …          see foreign_keys.py
    alter table NAME drop constraint [if exists] NAME
    drop table [if exists] NAME
    create {view | assertion} [if not exists] NAME [with (…)] as QUERY    see create_view.py
    drop {view | assertion} [if exists] NAME

What they name need not exist as far as this module knows: that is for the database to say.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from reifydb.config import KIB
from reifydb.engine.catalog import Column, Table

if TYPE_CHECKING:
    from reifydb.sql.foreign_keys import KeyText

KEPT_CHARACTERS_MAX = 64 * KIB
"""Up to this length scripts are remembered: tests make the same tables a thousand times."""


@dataclass(frozen=True, slots=True)
class CreateTable:
    """One `create table` statement. The table has no number yet."""

    table: Table
    if_not_exists: bool = False


@dataclass(frozen=True, slots=True)
class CreateIndex:
    """One `create index` statement: columns by name, in the order of the index."""

    name: str
    table: str
    columns: tuple[str, ...]
    unique: bool = False
    if_not_exists: bool = False


@dataclass(frozen=True, slots=True)
class DropIndex:
    """One `drop index` statement."""

    name: str
    if_exists: bool = False


@dataclass(frozen=True, slots=True)
class AddColumn:
    """`alter table … add column`."""

    table: str
    column: Column


@dataclass(frozen=True, slots=True)
class RenameColumn:
    """`alter table … rename column … to …`."""

    table: str
    column: str
    name: str


@dataclass(frozen=True, slots=True)
class DropColumn:
    """`alter table … drop column`."""

    table: str
    column: str


@dataclass(frozen=True, slots=True)
class RenameTable:
    """`alter table … rename to …`."""

    table: str
    name: str


@dataclass(frozen=True, slots=True)
class AddForeignKey:
    """`alter table … add foreign key`."""

    table: str
    key: KeyText


@dataclass(frozen=True, slots=True)
class DropConstraint:
    """`alter table … drop constraint`."""

    table: str
    name: str
    if_exists: bool = False


@dataclass(frozen=True, slots=True)
class DropTable:
    """One `drop table` statement, or one of a primitive.

    Attributes:
        word: What the statement calls it.
    """

    table: str
    if_exists: bool = False
    word: str = "table"


@dataclass(frozen=True, slots=True)
class CreateView:
    """One `create view` or `create assertion` statement.

    Attributes:
        sql: The text of its query.
        before: As much white space as text stands before it, so that errors point into the script.
        assertion: The view must be empty.
        max_rows: It is made anew after each change, looking at so many rows; 0: brought up to date.
    """

    name: str
    sql: str
    before: str = ""
    if_not_exists: bool = False
    assertion: bool = False
    max_rows: int = 0


@dataclass(frozen=True, slots=True)
class DropView:
    """One `drop view` or `drop assertion` statement."""

    name: str
    if_exists: bool = False
    assertion: bool = False


Statement = (
    CreateTable
    | CreateView
    | DropView
    | CreateIndex
    | DropIndex
    | AddColumn
    | RenameColumn
    | DropColumn
    | RenameTable
    | AddForeignKey
    | DropConstraint
    | DropTable
)


def parse_statements(sql: str) -> tuple[Statement, ...]:
    """The statements of a script, in its order; `alter table` with several actions is several.

    O(length): about 0.1 ms per column; one of the last few scripts is remembered.

    Args:
        sql: Statements separated by `;`. None at all is fine.

    Raises:
        SqlError: Not SQL, not supported, contradictory, or longer than `sql_bytes_max`.

    >>> parse_statements("drop table if exists t")
    (DropTable(table='t', if_exists=True, word='table'),)
    """
    short = isinstance(sql, str) and len(sql) <= KEPT_CHARACTERS_MAX
    return _parse_kept(sql) if short else _parse(sql)


def _parse(sql: str) -> tuple[Statement, ...]:
    from reifydb.sql.definitions import parse_script  # the parser takes 0.2 s to load

    return tuple(statement for statement, _ in parse_script(sql))


_parse_kept = lru_cache(16)(_parse)
