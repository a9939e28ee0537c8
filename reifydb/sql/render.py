"""From a catalog table to its canonical `create table` and `create index` statements."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

from sqlglot.dialects.dialect import Dialect
from sqlglot.parsers.postgres import PostgresParser
from sqlglot.tokenizer_core import TokenType

from reifydb.engine.catalog import Column, ForeignKey, Index, ParameterisedView, Table
from reifydb.primitives import KINDS
from reifydb.sql import literals

_POSTGRES = Dialect.get_or_raise("postgres")


def render(table: Table, later: Collection[str] = ()) -> str:
    """See `reifydb.sql.create_table.render_create_table`; without foreign keys to the tables that
    come `later`.
    """
    if table.primitive is not None:
        return _primitive(table)
    if table.view is not None:
        word = "assertion" if table.view.assertion else "view"
        most = table.view.max_rows
        how = f" with (maintenance = 'recompute', max_rows = {most})" if most else ""
        return f"create {word} {quoted(table.name)}{how} as {table.view.sql}"
    lines = [_column(table, position) for position in range(len(table.columns))]
    if len(table.key) > 1:
        lines.append(f"primary key ({', '.join(quoted(c.name) for c in table.key_columns)})")
    lines += [f"constraint {quoted(check.name)} check ({check.sql})" for check in table.checks]
    behind = [one for one in table.foreign_keys if _needs_indexes(table, one)]
    left = [k for k in table.foreign_keys if k not in behind and k.table not in later]
    lines += [_foreign_key(table, one) for one in left]
    create = f"create table {quoted(table.name)} (\n    " + ",\n    ".join(lines) + "\n)"
    indexes = (_index(table, index) for index in table.indexes if not index.implied)
    return ";\n".join([create, *indexes, *(_added(table, one) for one in behind)])


def _primitive(table: Table) -> str:
    kind = KINDS[table.word]
    words = ["create", table.word, quoted(table.name), _listed(kind.declared(table), table)]
    if kind.per is not None and (per := _listed(kind.per(table), table)):
        words += ["per", per]
    return " ".join(word for word in (*words, kind.clauses(table)) if word)


def _listed(columns: Sequence[Column], table: Table) -> str:
    key = {column.name for column in table.key_columns}
    shown = [
        f"{quoted(column.name)} {column.sql_type}"
        + ("" if column.nullable or column.name in key else " not null")
        for column in columns
    ]
    return f"({', '.join(shown)})" if shown else ""


def render_all(tables: Sequence[Table], views: Sequence[ParameterisedView] = ()) -> Iterator[str]:
    """See `reifydb.sql.create_table.render_schema`."""
    names = [table.name for table in tables]
    waiting = list(views)
    for i, table in enumerate(tables):
        yield from _ready(waiting, names[i:])
        yield render(table, names[i + 1 :])
    yield from _ready(waiting, ())
    for i, table in enumerate(tables):
        for one in table.foreign_keys:
            if one.table in names[i + 1 :]:
                yield _added(table, one)


def _ready(waiting: list[ParameterisedView], later: Sequence[str]) -> Iterator[str]:
    """Takes out those views, and renders them, that read nothing which comes later. What reads one
    was made after it, and so after all that it reads.
    """
    blocked = set(later)
    for view in waiting[:]:  # in the order in which they were made
        if any(name in blocked for name, _ in view.reads):
            blocked.add(view.name)
        else:
            waiting.remove(view)
            yield f"create view {quoted(view.name)} as {view.sql}"


def _needs_indexes(table: Table, one: ForeignKey) -> bool:
    """Whether it references an index of its own table, which is made after that."""
    names = {column.name for column in table.key_columns}
    return one.table == table.name and bool(one.to) and set(one.to) != names


def _added(table: Table, one: ForeignKey) -> str:
    return f"alter table {quoted(table.name)} add {_foreign_key(table, one)}"


def _foreign_key(table: Table, one: ForeignKey) -> str:
    columns = ", ".join(quoted(table.columns[i].name) for i in one.columns)
    to = f" ({', '.join(map(quoted, one.to))})" if one.to else ""
    cascade = " on delete cascade" if one.cascade else ""
    named = f"constraint {quoted(one.name)} foreign key ({columns})"
    return f"{named} references {quoted(one.table)}{to}{cascade}"


def _index(table: Table, index: Index) -> str:
    unique = "unique " if index.unique else ""
    columns = ", ".join(quoted(table.columns[i].name) for i in index.columns)
    return f"create {unique}index {quoted(index.name)} on {quoted(table.name)} ({columns})"


def quoted(name: str) -> str:
    """The name, in quotes where it would be read as something else."""
    tokens = _POSTGRES.tokenize(name)
    plain = len(tokens) == 1 and tokens[0].token_type == TokenType.VAR
    upper = name.upper()
    if plain and upper not in PostgresParser.CONSTRAINT_PARSERS and upper not in _SPECIAL:
        return name
    return f'"{name}"'


_SPECIAL = frozenset({"IF", "LIKE", "CONSTRAINT", "AS", "ALIAS", "MATERIALIZED"})


def _column(table: Table, position: int) -> str:
    column: Column = table.columns[position]
    words = [quoted(column.name), column.sql_type]
    if table.key == (position,):
        words.append("primary key")
    elif not column.nullable and position not in table.key:
        words.append("not null")
    if column.default is not None:
        words += ["default", literals.sql(column, column.default)]
    if table.auto == position:
        words.append("generated by default as identity")
    return " ".join(words)
