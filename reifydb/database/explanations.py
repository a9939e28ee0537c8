"""`explain view NAME` and `explain create view …`: what keeping a view up to date takes."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from reifydb.database.view_parts import parts_of
from reifydb.engine.catalog import OpenView, Table
from reifydb.errors import RequestError, SqlError
from reifydb.sql.create_view import read_definition
from reifydb.sql.query_reader import read_query
from reifydb.sql.statements import CreateView, parse_statements
from reifydb.views.building import Part, build
from reifydb.views.explaining import Line, explain, explain_view

if TYPE_CHECKING:
    from reifydb.database.tables import Catalog

MayRead = Callable[[str], None] | None


def of_view(name: str, catalog: Catalog, may_read: MayRead) -> list[Line]:
    """How a view that is there is brought up to date; one with parameters, how it is answered.

    Raises:
        UnknownNameError: There is none.
        RequestError: It is a table.
    """
    if may_read is not None:
        may_read(name)
    found = catalog.visible_table(name)
    if isinstance(found, OpenView):
        return explain(read_query(found.view.sql, found.tables, None, unique_names=True))
    table = catalog.get(name).table
    if table.view is None:
        raise RequestError(f"{name} is a table: what can be explained is a view")
    return _explained(parts_of(table, catalog), catalog)


def of_definition(sql: str, catalog: Catalog, may_read: MayRead) -> list[Line]:
    """The same for one that is not made yet.

    Raises:
        SqlError: It cannot be made.
    """
    statements = parse_statements(sql)
    statement = statements[0] if len(statements) == 1 else None
    if not isinstance(statement, CreateView):
        raise SqlError("what can be explained is a select, a view or one create view")

    def table(name: str) -> Table | OpenView | None:
        if may_read is not None:
            may_read(name)
        return catalog.visible_table(name)

    query = read_definition(statement, table)
    if query.parameters:
        return explain(query)
    parts = build(statement.name, query, catalog.next_number, statement.max_rows)
    return _explained(parts, catalog)


def _explained(parts: list[Part], catalog: Catalog) -> list[Line]:
    return explain_view(parts, lambda number: catalog.by_number[number].table)
