"""`schema.h`: the tables of a schema as typed rows for the SDK of guests in C (sdk/c).

The text depends on the schema alone, so that a committed file can be compared with a fresh one.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterable, Sequence

from reifydb.engine.catalog import Column, Table, Type

_HEADER = """\
// The tables of schema.sql. Generated, not to be edited:
//
//     reifydb generate c --schema schema.sql -o schema.h

#pragma once

#include "reifydb.h"
"""

_KEYWORDS = frozenset(
    "alignas alignof auto bool break case char const constexpr continue default do double else "
    "enum extern false float for goto if inline int long nullptr register restrict return short "
    "signed sizeof static static_assert struct switch thread_local true typedef typeof "
    "typeof_unqual union unsigned void volatile while asm offsetof".split()
)
"""Words of C11, C23 and the headers that `reifydb.h` includes."""

_TYPEDEFS = re.compile(
    r"(reifydb|u?int|u?intptr|u?intmax|u?int_.*|size|ptrdiff|max_align|wchar)_.*"
)


def generate_c(tables: Sequence[Table], schema: str) -> str:
    r"""The C header that binds these tables, in their order; O(length of the schema).

    For each table there is a list of its columns (`ENTRY_COLUMNS`) and what `REIFYDB_TABLE` makes
    of it: `entry_row`, `entry_get`, …; `RELATIONS` lists the tables, `SCHEMA` is the SQL. A name
    that is a word of C gets an underscore behind it.

    Args:
        tables: What to bind. Their names are distinct.
        schema: The SQL they were read from, which goes into the module.

    Returns:
        The text of `schema.h`.

    >>> from reifydb.engine.catalog import Column, Table, Type
    >>> columns = (Column("id", Type.INT, nullable=False), Column("short", Type.TEXT))
    >>> sql = "create table entry (id int primary key, short text);"
    >>> print(generate_c([Table("entry", columns, (0,))], sql))
    // The tables of schema.sql. Generated, not to be edited:
    //
    //     reifydb generate c --schema schema.sql -o schema.h
    <BLANKLINE>
    #pragma once
    <BLANKLINE>
    #include "reifydb.h"
    <BLANKLINE>
    #define SCHEMA \
        "create table entry (id int primary key, short text);"
    <BLANKLINE>
    #define ENTRY_COLUMNS \
        (int, id) \
        (nullable(text), short_, "short")
    REIFYDB_TABLE(entry, ENTRY_COLUMNS, (int, id))
    <BLANKLINE>
    #define RELATIONS (entry)
    <BLANKLINE>
    """
    names = _c_names(table.name for table in tables)
    indexes = iter(_c_names((i.name for table in tables for i in table.indexes), names))
    parts = [_HEADER, _define("SCHEMA", [_literal(line) for line in schema.splitlines(True)])]
    for table, name in zip(tables, names, strict=True):
        parts.append(_table(table, name, [next(indexes) for _ in table.indexes]))
    listed = " ".join(f"({name})" for name in names)
    parts.append(f"#define RELATIONS {listed}\n")
    return "\n".join(parts)


def _table(table: Table, name: str, indexes: Sequence[str]) -> str:
    columns = _columns(table, name)
    listed = f"{name.upper()}_COLUMNS"
    key = " ".join(columns[i] for i in table.key)
    macro, called = ("_TABLE", "") if name == table.name else ("_TABLE_AS", f'"{table.name}", ')
    text = _define(listed, columns) + f"REIFYDB{macro}({name}, {called}{listed}, {key}"
    for index, index_name in zip(table.indexes, indexes, strict=True):
        parts = " ".join(columns[i] for i in index.columns)
        renamed = "" if index_name == index.name else f', "{index.name}"'
        text += "," if index is table.indexes[0] else ""
        text += f"\n    ({name}, {index_name}, {parts}{renamed})"
    text += ")\n"
    if table.auto is not None:
        member = _member_names(table, name)[table.auto]
        text += f"REIFYDB_AUTO_INCREMENT({name}, {member})\n"
    return text


def _columns(table: Table, name: str) -> list[str]:
    """Each column in the words of the header: (type, member), and its name when that is another."""
    return [
        f"({_type(column)}, {member})"
        if member == column.name
        else f'({_type(column)}, {member}, "{column.name}")'
        for column, member in zip(table.columns, _member_names(table, name), strict=True)
    ]


def _type(column: Column) -> str:
    name = column.type.sql
    if column.type is Type.DECIMAL:
        name = f"decimal({column.precision}, {column.scale})"
    return f"nullable({name})" if column.nullable else name


def _member_names(table: Table, name: str) -> list[str]:
    """A table's columns as members; types of its own may not be hidden by a parameter."""
    own = {f"{name}_row", f"{name}_key"}
    return _c_names((column.name for column in table.columns), own)


def _c_names(names: Iterable[str], taken: Collection[str] = ()) -> list[str]:
    """Names that C accepts, all different: underscores go behind those that it does not."""
    given, found = list(names), []
    used = {*taken, *given}
    for name in given:
        fitting = name
        if name in _KEYWORDS or _TYPEDEFS.fullmatch(name) or name in taken:
            while fitting in used:
                fitting += "_"
            used.add(fitting)
        found.append(fitting)
    return found


def _define(name: str, lines: Sequence[str]) -> str:
    return f"#define {name} \\\n    " + " \\\n    ".join(lines or ['""']) + "\n"


def _literal(text: str) -> str:
    """A C string literal of what `text` is within a JSON string."""
    return json.dumps(json.dumps(text, ensure_ascii=False)[1:-1], ensure_ascii=False)
