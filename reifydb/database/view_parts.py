"""What a view that is there consists of: its query read again, over the tables as it knows them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from reifydb.engine.catalog import OpenView, Table, Tables, View

if TYPE_CHECKING:
    from reifydb.database.tables import Catalog
    from reifydb.views.building import Part


def parts_of(table: Table, catalog: Catalog) -> list[Part]:
    """The parts of a view that was made before. O(its length); parses its query.

    Raises:
        SqlError: It cannot be read any more.
    """
    from reifydb.sql.query_reader import read_query
    from reifydb.views.building import build

    view = table.view
    assert view is not None
    query = read_query(view.sql, as_it_was(view.reads, catalog), None, unique_names=True)
    first = table.number - view.parts + 1
    return of_view(build(table.name, query, first, view.max_rows), view)


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
