"""Tables from SQL and back: the schema that a module brings, or a program is generated from.

    create table [if not exists] NAME (
        COLUMN TYPE [not null | null] [primary key] [default LITERAL]
                    [auto_increment | generated {always | by default} as identity]
                    [[constraint NAME] check (CONDITION)],
        …,
        [primary key (COLUMN, …)],
        [[constraint NAME] check (CONDITION)], …
    )

and `create index` for these tables. The dialect is PostgreSQL's. Every node of the syntax tree is
known and wanted, or the statement is refused with its position, a reason and a hint: nothing is
silently ignored. Importing this module does not load the parser; the first call does.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from reifydb.engine.catalog import Index, ParameterisedView, Table
from reifydb.errors import SqlError
from reifydb.sql.statements import AddForeignKey, CreateIndex, CreateTable, parse_statements


def parse_schema(sql: str) -> tuple[CreateTable, ...]:
    """The tables of a script in its order, each with the indexes that it makes for them.

    Whether a table exists already is for the caller to say.

    Args:
        sql: `create table`, `create index` and `alter table … add foreign key` statements separated
            by `;`.

    Raises:
        SqlError: As `parse_statements`; another statement; an index of a table or of columns that
            the script does not make, or one that is there twice.

    >>> [statement] = parse_schema("create table t (id int primary key, name text)")
    >>> [(column.name, column.type.sql, column.nullable) for column in statement.table.columns]
    [('id', 'int', False), ('name', 'text', True)]
    """
    made: list[CreateTable] = []
    for statement in parse_statements(sql):
        match statement:
            case CreateTable():
                made.append(statement)
            case CreateIndex():
                _add_index(made, statement)
            case AddForeignKey():
                _add_key(made, statement)
            case _:
                raise SqlError(
                    "a schema has create table, create index and add foreign key only, not "
                    f"{_words(statement)}"
                )
    return tuple(made)


def _add_index(made: list[CreateTable], statement: CreateIndex) -> None:
    taken = any(create.table.index(statement.name) is not None for create in made)
    if taken and not statement.if_not_exists:
        raise SqlError(f"index {statement.name} is there twice")
    if taken:
        return
    for i, create in enumerate(made):
        if create.table.name == statement.table:
            index = index_of(create.table, statement, len(create.table.indexes) + 1)
            table = replace(create.table, indexes=(*create.table.indexes, index))
            made[i] = replace(create, table=table)
            return
    raise SqlError(f"index {statement.name} is of table {statement.table}, which is not before it")


def _add_key(made: list[CreateTable], statement: AddForeignKey) -> None:
    from reifydb.sql.foreign_keys import key_of

    text = statement.key
    for i, create in enumerate(made):
        table = create.table
        if table.name != statement.table:
            continue
        taken = {one.name for one in table.checks} | {one.name for one in table.foreign_keys}
        missing = [name for name in text.columns if table.position(name) is None]
        if missing or text.name in taken:
            why = f"there is no column {missing[0]}" if missing else f"{text.name} is there twice"
            raise SqlError(f"foreign key of table {table.name}: {why}")
        keys = (*table.foreign_keys, key_of(table, text, taken))
        made[i] = replace(create, table=replace(table, foreign_keys=keys))
        return
    raise SqlError(f"a foreign key is of table {statement.table}, which is not before it")


def index_of(table: Table, statement: CreateIndex, number: int) -> Index:
    """The index that a statement makes for its table.

    Raises:
        SqlError: The table does not have a column.
    """
    positions = []
    for name in statement.columns:
        position = table.position(name)
        if position is None:
            known = ", ".join(column.name for column in table.columns[:8])
            raise SqlError(
                f"index {statement.name}: table {table.name} has no column {name}",
                hint=f"there are: {known}",
            )
        positions.append(position)
    return Index(statement.name, tuple(positions), statement.unique, number)


def _words(statement: object) -> str:
    """`DropTable` as `drop table`."""
    name = type(statement).__name__
    return "".join(f" {c.lower()}" if c.isupper() else c for c in name).strip()


def render_create_table(table: Table) -> str:
    """The canonical statement for a table, and one for each of its indexes, separated by `;`:
    `parse_schema` makes the same table of them again. For a view that which made it.

    Only what a schema says is rendered: not the table's number, no secret flags, nothing of columns
    that were dropped, no index that was made for a foreign key.
    """
    from reifydb.sql.render import render

    return render(table)


def render_schema(
    tables: Sequence[Table], views: Sequence[ParameterisedView] = ()
) -> Iterator[str]:
    """The canonical statements for several tables and views, in this order; foreign keys to tables
    that come later are added at the end. Views with parameters stand where what they read is there.
    """
    from reifydb.sql.render import render_all

    return render_all(tables, views)
