"""`create table`: from SQL to a catalog table, the only statement there is so far.

    create table [if not exists] NAME (
        COLUMN TYPE [not null | null] [primary key] [default LITERAL]
                    [auto_increment | generated {always | by default} as identity],
        …,
        [primary key (COLUMN, …)]
    )

The dialect is PostgreSQL's. Every node of the syntax tree is known and wanted, or the statement is
refused with its position, a reason and a hint: nothing is silently ignored. Importing this module
does not load the parser; the first call does.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from reifydb.config import KIB
from reifydb.engine.catalog import Table

KEPT_CHARACTERS_MAX = 64 * KIB
"""Up to this length scripts are remembered: tests make the same tables a thousand times."""


@dataclass(frozen=True, slots=True)
class CreateTable:
    """One `create table` statement. The table has no number yet."""

    table: Table
    if_not_exists: bool = False


def parse_schema(sql: str) -> tuple[CreateTable, ...]:
    """The statements of a script, in its order. O(length): about 0.1 ms per column, but for one of
    the last few, which is remembered.

    Whether a table exists already, here or in the database, is for the caller to say.

    Args:
        sql: Statements separated by `;`. None at all is fine.

    Raises:
        SqlError: Not SQL, not supported, contradictory, or longer than `sql_bytes_max`.

    >>> [statement] = parse_schema("create table t (id int primary key, name text)")
    >>> [(column.name, column.type.sql, column.nullable) for column in statement.table.columns]
    [('id', 'int', False), ('name', 'text', True)]
    """
    short = isinstance(sql, str) and len(sql) <= KEPT_CHARACTERS_MAX
    return _parse_kept(sql) if short else _parse(sql)


def _parse(sql: str) -> tuple[CreateTable, ...]:
    from reifydb.sql.definitions import parse_script  # the parser takes 0.2 s to load

    return tuple(CreateTable(table, exists) for table, exists in parse_script(sql))


_parse_kept = lru_cache(16)(_parse)


def render_create_table(table: Table) -> str:
    """The canonical statement for a table: `parse_schema` makes the same table of it again.

    Only what a schema says is rendered: not the table's number, no secret flags.
    """
    from reifydb.sql.render import render

    return render(table)
