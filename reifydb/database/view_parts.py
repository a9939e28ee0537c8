"""What a view that is there consists of: its query read again, over the tables as it knows them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from reifydb.engine.catalog import OpenView, Table, Tables, View
from reifydb.errors import SchemaError

if TYPE_CHECKING:
    from reifydb.database.tables import Catalog
    from reifydb.views.building import Part


def parts_of(table: Table, catalog: Catalog) -> list[Part]:
    """The parts of a view that was made before. O(its length); parses its query.

    The version that made it may have needed more tables. Fewer do, as long as the view's own keeps
    its number.

    Raises:
        SqlError: It cannot be read any more.
        SchemaError: It needs more tables than it has numbers.
    """
    from reifydb.sql.query_reader import read_query
    from reifydb.views.building import build

    view = table.view
    assert view is not None
    query = read_query(view.sql, as_it_was(view.reads, catalog), None, unique_names=True)
    parts = build(table.name, query, table.number - view.parts + 1, view.max_rows)
    count = tables_of(parts)
    if count > view.parts:
        raise SchemaError(
            f"view {table.name} needs {count} tables, and had {view.parts} in the version that made"
            " it",
            hint="drop it with that version, and create it again",
        )
    if count < view.parts:
        parts = build(table.name, query, table.number - count + 1, view.max_rows)
    return of_view(parts, replace(view, parts=count))


def tables_of(parts: list[Part]) -> int:
    """How many tables these are."""
    return len({part.table.number for part in parts})


def of_view(parts: list[Part], view: View) -> list[Part]:
    """The parts, the table of the last one knowing of which view it is."""
    table = parts[-1].table
    return [
        replace(part, table=replace(part.table, view=view)) if part.table == table else part
        for part in parts
    ]


def as_it_was(reads: Sequence[tuple[str, tuple[str, ...]]], catalog: Catalog) -> Tables:
    """What the names in a view's query mean: tables without columns that came later."""
    columns = dict(reads)

    def tables(name: str) -> Table | OpenView | None:
        table = catalog.visible_table(name)
        if not isinstance(table, Table) or table.derived or name not in columns:
            return table
        known = columns[name]
        later = [c for c in table.columns if c.name not in known]
        if not later:
            return table
        assert table.columns[: len(known)] == tuple(c for c in table.columns if c.name in known)
        places = table.places[len(known) :]
        gone = tuple((place, c.code) for place, c in zip(places, later, strict=True))
        return replace(
            table,
            columns=table.columns[: len(known)],
            indexes=tuple(i for i in table.indexes if max(i.columns) < len(known)),
            dropped=tuple(sorted((*table.dropped, *gone))),
        )

    return tables
