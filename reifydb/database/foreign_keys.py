"""Foreign keys in the schema: what they must fit, which indexes they use, who stands in the way.

The kernel compares rows (kernel/foreign_key.zig); here it is told where.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING

from reifydb.engine.catalog import ForeignKey, Index, Table, free_name
from reifydb.errors import SchemaError

if TYPE_CHECKING:
    from reifydb.database.tables import Catalog

_HEAD = struct.Struct("<IIIHH")
_CASCADE = 1


def resolved(table: Table, catalog: Catalog) -> Table:
    """A table that is new, with what its foreign keys reference, and the indexes that they need.

    Raises:
        SchemaError: One does not fit; every reason.
    """
    for i in range(len(table.foreign_keys)):
        table = with_key(table, i, catalog)
    return table


def with_key(table: Table, i: int, catalog: Catalog) -> Table:
    """The table, its i-th foreign key fitting what it references, with an index for it.

    Raises:
        SchemaError: It does not fit; every reason.
    """
    one = table.foreign_keys[i]
    parent = _parent(one, table, catalog)
    if not one.to:
        one = replace(one, to=tuple(column.name for column in parent.key_columns))
    problems = list(_problems(one, table, parent))
    if problems:
        listed = "".join(f"\n- {problem}" for problem in problems)
        raise SchemaError(f"foreign key {one.name} of table {table.name} does not fit:{listed}")
    keys = (*table.foreign_keys[:i], one, *table.foreign_keys[i + 1 :])
    table = replace(table, foreign_keys=keys)
    if own_index(one, table) is None:
        taken = {*catalog.index_names, *(index.name for index in table.indexes)}
        number = max((index.number for index in table.indexes), default=0) + 1
        index = Index(
            free_name(one.name, "_index", taken), one.columns, False, number, implied=True
        )
        table = replace(table, indexes=(*table.indexes, index))
    return table


def _parent(one: ForeignKey, table: Table, catalog: Catalog) -> Table:
    if one.table == table.name:
        return table
    return catalog.writable(one.table).table


def _problems(one: ForeignKey, table: Table, parent: Table) -> Iterable[str]:
    if len(one.to) != len(one.columns):
        yield (
            f"it has {len(one.columns)} columns, and the primary key of table {parent.name} has "
            f"{len(one.to)}"
        )
        return
    missing = [name for name in one.to if parent.position(name) is None]
    for name in missing:
        known = ", ".join(column.name for column in parent.columns[:8])
        yield f"table {parent.name} has no column {name} (there are: {known})"
    if missing:
        return
    for position, name in zip(one.columns, one.to, strict=True):
        own, other = table.columns[position], parent.columns[parent.position(name) or 0]
        if not own.same_type(other):
            yield (
                f"column {own.name} is of type {own.sql_type}, and {parent.name}.{name} of type "
                f"{other.sql_type}"
            )
    if parent_index(one, parent) is None:
        columns = ", ".join(one.to)
        yield (
            f"{columns} of table {parent.name} may be the same in two rows (create unique index "
            f"… on {parent.name} ({columns}))"
        )


# ------------------------------------------------------------------ indexes


def parent_index(one: ForeignKey, parent: Table) -> int | None:
    """The number of the unique index by which referenced rows are found, 0 for the primary key;
    None: there is none.
    """
    wanted = {parent.position(name) for name in one.to}
    if set(parent.key) == wanted:
        return 0
    fitting = (i for i in parent.indexes if i.unique and set(i.columns) == wanted)
    return next((index.number for index in fitting), None)


def own_index(one: ForeignKey, table: Table) -> int | None:
    """The number of the index by which referencing rows are found, as `parent_index`."""
    wanted, count = set(one.columns), len(one.columns)
    if set(table.key[:count]) == wanted:
        return 0
    fitting = (i for i in table.indexes if set(i.columns[:count]) == wanted)
    return next((index.number for index in fitting), None)


# ------------------------------------------------------------------ what the kernel is told


def encoded(table: Table, catalog: Catalog) -> bytes:
    """All foreign keys of a table, as `define_foreign_keys` takes them (kernel/foreign_key.zig)."""
    parts = []
    for one in table.foreign_keys:
        parent = _parent(one, table, catalog)
        there, own = parent_index(one, parent), own_index(one, table)
        assert there is not None
        assert own is not None
        flags = _CASCADE if one.cascade else 0
        parts.append(_HEAD.pack(parent.number, there, own, flags, len(one.columns)))
        for position, name in zip(one.columns, one.to, strict=True):
            other = parent.position(name)
            assert other is not None
            parts.append(struct.pack("<HH", table.places[position], parent.places[other]))
    return b"".join(parts)


# ------------------------------------------------------------------ who stands in the way


def referencing(table: Table, catalog: Catalog) -> list[tuple[Table, ForeignKey]]:
    """The foreign keys of all tables, its own included, that reference a table."""
    return [
        (handle.table, one)
        for handle in catalog.handles.values()
        for one in handle.table.foreign_keys
        if one.table == table.name
    ]


def users_of_table(table: Table, catalog: Catalog) -> list[str]:
    """Why a table stays: what references it from others."""
    return [
        f"foreign key {one.name} of table {other.name} references it"
        for other, one in referencing(table, catalog)
        if other.number != table.number
    ]


def users_of_column(table: Table, position: int, catalog: Catalog) -> list[str]:
    """Why a column stays."""
    name = table.columns[position].name
    own = [
        f"foreign key {one.name} has it" for one in table.foreign_keys if position in one.columns
    ]
    return own + [
        f"foreign key {one.name} of table {other.name} references it"
        for other, one in referencing(table, catalog)
        if name in one.to
    ]


def users_of_index(table: Table, number: int, catalog: Catalog) -> list[str]:
    """Why an index stays."""
    own = [
        f"foreign key {one.name} uses it"
        for one in table.foreign_keys
        if own_index(one, table) == number
    ]
    return own + [
        f"foreign key {one.name} of table {other.name} references its columns"
        for other, one in referencing(table, catalog)
        if parent_index(one, table) == number
    ]


def renamed(
    table: Table,
    catalog: Catalog,
    *,
    name: str | None = None,
    column: tuple[str, str] | None = None,
) -> list[Table]:
    """The other tables whose foreign keys say otherwise once a table, or one of its columns, is
    called otherwise; and the table itself, if it references itself.
    """
    changed = {}
    for other, _ in referencing(table, catalog):
        keys = tuple(_renamed(one, table.name, name, column) for one in other.foreign_keys)
        changed[other.number] = replace(other, foreign_keys=keys)
    return list(changed.values())


def _renamed(
    one: ForeignKey, table: str, name: str | None, column: tuple[str, str] | None
) -> ForeignKey:
    if one.table != table:
        return one
    if column is not None:
        old, new = column
        one = replace(one, to=tuple(new if said == old else said for said in one.to))
    return one if name is None else replace(one, table=name)
