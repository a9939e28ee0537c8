"""Views of a database: made in the kernel, kept in the schema, made anew after recovery.

The schema keeps a view's query as text, and the columns that the tables it names had then; what it
takes in the kernel follows from that (reifydb/views). Everything in a turn.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING

from reifydb.database.made_views import Made, part_refusal
from reifydb.database.tables import SYSTEM_PREFIX
from reifydb.database.upkeep import Upkeep
from reifydb.database.view_parts import of_view, parts_of, tables_of
from reifydb.engine.catalog import OpenView, ParameterisedView, Table, View
from reifydb.engine.descriptors import table_descriptor
from reifydb.errors import SqlError, UnknownNameError

if TYPE_CHECKING:
    from reifydb.database.state import State
    from reifydb.sql.query import Query
    from reifydb.sql.statements import CreateView
    from reifydb.views.building import Part
    from reifydb.views.plan import Encoded


class Views:
    """The views of one database."""

    def __init__(self, state: State) -> None:
        self._state = state

    # ------------------------------------------------------------ made and dropped

    def create(self, statement: CreateView) -> None:
        """Makes a view inside the open transaction, and fills it. O(rows of its tables).

        Raises:
            SqlError: It is not supported, or not about what there is.
            ExpressionError: It cannot be computed for a row that is there.
        """
        from reifydb.sql.create_view import read_definition
        from reifydb.views.building import build

        catalog = self._state.catalog
        named: dict[str, Table | OpenView] = {}

        def tables(name: str) -> Table | OpenView | None:
            found = catalog.visible_table(name)
            if found is not None:
                named[name] = found
            return found

        query = read_definition(statement, tables)
        for name in named:
            if name.startswith(SYSTEM_PREFIX):
                raise SqlError(f"table {name} is the system's: no view can be made of it")
        reads = tuple(
            (name, tuple(column.name for column in table.columns)) for name, table in named.items()
        )
        if query.parameters:
            self._state.create_view(_parameterised(statement, query, reads, catalog.next_number))
            return
        parts = build(statement.name, query, catalog.next_number, statement.max_rows)
        count = tables_of(parts)
        view = View(statement.sql, reads, count, statement.assertion, statement.max_rows)
        parts = of_view(parts, view)
        self._make(parts, statement.before + statement.sql, statement.max_rows)
        self._state.describe(parts[-1].table)

    def drop(self, table: Table) -> None:
        """Takes a view away, with what it needs, inside the open transaction."""
        assert table.view is not None
        self._state.drop_table(table)
        for number in range(table.number - 1, table.number - table.view.parts, -1):
            beside = self._state.catalog.by_number[number].table
            self._state.drop_in_kernel(beside)
            self._state.catalog = self._state.catalog.without(beside)

    def restore(self, kept: Iterable[Table]) -> None:
        """Makes views anew after recovery.

        Raises:
            ReifyDBError: One cannot be made.
        """
        for table in sorted(kept, key=lambda one: one.number):
            parts = parts_of(table, self._state.catalog)
            assert table.view is not None
            self._make(parts, table.view.sql, table.view.max_rows)
            self._state.catalog = self._state.catalog.with_table(parts[-1].table)

    def _make(self, parts: list[Part], sql: str, max_rows: int) -> None:
        state = self._state
        encoded: dict[int, Encoded] = {}
        indexes: set[tuple[int, int]] = set()
        there: set[int] = set()
        made = Made(parts[-1].table.name, sql, encoded, frozenset(), max_rows)
        for part in parts:
            table = part.table
            if table.number not in there:
                state.create_in_kernel(table, table_descriptor(table))
                there.add(table.number)
            if part.encoded is not None:
                encoded[table.number] = part.encoded
                indexes |= part.encoded.indexes
            if part.source is not None:
                state.put(part.source)
                with state.reporter.doing(f"view {made.name}"):
                    code = state.kernel.call["define_view"](table.number, len(part.source))
                if code < 0:
                    control = state.kernel.control
                    raise part_refusal(code, control, state.catalog, made, part.encoded)
            if part is not parts[-1]:
                state.catalog = state.catalog.with_table(table)
        number = parts[-1].table.number
        self._state.made_views[number] = replace(made, indexes=frozenset(indexes))

    # ------------------------------------------------------------ who uses what

    def users(self, table: str, column: str | None = None) -> list[str]:
        """Names of the views that are made of a table, or that may name one of its columns."""
        catalog = self._state.catalog
        views = [(h.name, h.table.view.reads) for h in catalog.handles.values() if h.table.view]
        views += [(view.name, view.reads) for view in catalog.parameterised.values()]
        return [
            view
            for view, reads in views
            for name, columns in reads
            if name == table and (column is None or column in columns)
        ]

    def index_users(self, table: int, index: int) -> list[str]:
        """Names of the views that find rows by an index."""
        there = self._state.catalog.by_number
        return [
            made.name
            for number, made in self._state.made_views.items()
            if number in there and (table, index) in made.indexes
        ]

    def upkeep(self, name: str) -> Upkeep:
        """What keeping a view costs. O(its parts).

        Raises:
            UnknownNameError: There is none of this name.
        """
        table, kernel = self.find(name), self._state.kernel
        assert table.view is not None
        rows_in = rows_out = beside = 0
        for number in range(table.number - table.view.parts + 1, table.number + 1):
            if kernel.call["view_counters"](number) >= 0:
                came, rows_out = struct.unpack("<QQ", bytes(kernel.output[:16]))
                rows_in += came
            if number != table.number:
                beside += kernel.call["row_bytes"](number) + kernel.call["index_bytes"](number, 0)
        return Upkeep(rows_in, rows_out, beside)

    def find(self, name: str, word: str = "view") -> Table:
        """The view of this name, or the assertion.

        Args:
            word: What it is called if there is none.

        Raises:
            UnknownNameError: There is none.
            RequestError: It has parameters.
        """
        handles = self._state.catalog.handles
        found = handles.get(name)
        if found is None or found.table.view is None:
            self._state.catalog.refuse_parameterised(name)
            known = [h.name for h in handles.values() if h.table.view is not None]
            raise UnknownNameError(word, name, known)
        return found.table


def _parameterised(
    statement: CreateView,
    query: Query,
    reads: tuple[tuple[str, tuple[str, ...]], ...],
    number: int,
) -> ParameterisedView:
    """A view with parameters, once it is sure that its query can be planned.

    Raises:
        SqlError: It cannot.
    """
    from reifydb.views.assembling import check_open

    check_open(query, number)
    parameters = tuple(
        kind.column(str(name))
        for name, kind in zip(query.parameter_names, query.parameters, strict=True)
    )
    return ParameterisedView(
        statement.name, statement.sql, parameters, query.columns, reads, number
    )
