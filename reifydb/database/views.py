"""Views of a database: made in the kernel, kept in the schema, made anew after recovery.

The schema keeps a view's query as text, and the columns that the tables it names had then; what it
takes in the kernel follows from that (reifydb/views). Everything in a turn.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from reifydb.database.expressions import (
    EXPRESSION_FAILED,
    LIMIT_REACHED,
    SCANNED,
    expression_error,
    scanned_error,
)
from reifydb.database.refusals import refusal
from reifydb.engine.catalog import Table, View
from reifydb.engine.descriptors import table_descriptor
from reifydb.errors import ReifyDBError, SqlError, UnknownNameError

if TYPE_CHECKING:
    from reifydb.database.state import State
    from reifydb.sql.statements import CreateView
    from reifydb.views.building import Part
    from reifydb.views.plan import Encoded


@dataclass(frozen=True, slots=True)
class Made:
    """What is known of a view's parts while the database is open.

    Attributes:
        encoded: By the number of the part's table: where its programs stand in `sql`.
        indexes: Indexes that it uses: number of the table, number of the index.
    """

    name: str
    sql: str
    encoded: dict[int, Encoded]
    indexes: frozenset[tuple[int, int]]


class Views:
    """The views of one database.

    Attributes:
        made: By the number of the view's own table.
    """

    def __init__(self, state: State) -> None:
        self._state = state
        self.made: dict[int, Made] = {}

    # ------------------------------------------------------------ made and dropped

    def create(self, statement: CreateView) -> None:
        """Makes a view inside the open transaction, and fills it. O(rows of its tables).

        Raises:
            SqlError: It is not supported, or not about what there is.
            ExpressionError: It cannot be computed for a row that is there.
        """
        from reifydb.sql.query_reader import read_query
        from reifydb.views.building import build

        catalog = self._state.catalog
        named: dict[str, Table] = {}

        def tables(name: str) -> Table | None:
            found = catalog.visible_table(name)
            if found is not None:
                named[name] = found
            return found

        text = statement.before + statement.sql
        query = read_query(text, tables, None, unique_names=True)
        for name in named:
            if name not in catalog.user_names:
                raise SqlError(f"table {name} is the system's: no view can be made of it")
        parts = build(statement.name, query, catalog.next_number)
        reads = tuple(
            (name, tuple(column.name for column in table.columns)) for name, table in named.items()
        )
        view = View(statement.sql, reads, len(parts))
        self._make(parts, text)
        self._state.describe(replace(parts[-1].table, view=view))

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
        from reifydb.sql.query_reader import read_query
        from reifydb.views.building import build

        for table in sorted(kept, key=lambda one: one.number):
            view = table.view
            assert view is not None
            query = read_query(view.sql, self._as_it_was(view), None, unique_names=True)
            parts = build(table.name, query, table.number - view.parts + 1)
            parts[-1] = replace(parts[-1], table=replace(parts[-1].table, view=view))
            self._make(parts, view.sql)
            self._state.catalog = self._state.catalog.with_table(parts[-1].table)

    def _as_it_was(self, view: View) -> Callable[[str], Table | None]:
        """The tables that a view reads, without columns that came later."""
        columns = dict(view.reads)

        def tables(name: str) -> Table | None:
            table = self._state.catalog.visible_table(name)
            if table is None or table.derived or name not in columns:
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
                dropped=tuple(sorted((*table.dropped, *gone))),
            )

        return tables

    def _make(self, parts: list[Part], sql: str) -> None:
        state = self._state
        encoded: dict[int, Encoded] = {}
        indexes: set[tuple[int, int]] = set()
        name = parts[-1].table.name
        for part in parts:
            table = part.table
            state.create_in_kernel(table, table_descriptor(table))
            if part.encoded is not None:
                encoded[table.number] = part.encoded
                indexes |= part.encoded.indexes
            if part.source is not None:
                state.put(part.source)
                code = state.kernel.call["define_view"](table.number, len(part.source))
                if code < 0:
                    raise self._refusal(code, name, sql, part.encoded)
            if part is not parts[-1]:
                state.catalog = state.catalog.with_table(table)
        number = parts[-1].table.number
        self.made[number] = Made(name, sql, encoded, frozenset(indexes))

    # ------------------------------------------------------------ errors

    def _refusal(self, code: int, name: str, sql: str, encoded: Encoded | None) -> ReifyDBError:
        control = self._state.kernel.control
        if code == EXPRESSION_FAILED:
            return expression_error(control, encoded, sql, f"view {name}")
        if code == LIMIT_REACHED and control.fault_index == SCANNED:
            return scanned_error(f"view {name}: its joins")
        return refusal(code, control, self._state.catalog, name, None)

    def refusal(self, code: int) -> ReifyDBError:
        """The error for what the kernel refused as views were brought up to date."""
        number = self._state.kernel.control.fault_table
        for made in self.made.values():
            if number in made.encoded:
                return self._refusal(code, made.name, made.sql, made.encoded[number])
        handle = self._state.catalog.by_number.get(number)
        return self._refusal(code, "?" if handle is None else handle.name, "", None)

    # ------------------------------------------------------------ who uses what

    def users(self, table: str, column: str | None = None) -> list[str]:
        """Names of the views that are made of a table, or that may name one of its columns."""
        return [
            handle.name
            for handle in self._state.catalog.handles.values()
            if handle.table.view is not None
            for name, columns in handle.table.view.reads
            if name == table and (column is None or column in columns)
        ]

    def index_users(self, table: int, index: int) -> list[str]:
        """Names of the views that find rows by an index."""
        there = self._state.catalog.by_number
        return [
            made.name
            for number, made in self.made.items()
            if number in there and (table, index) in made.indexes
        ]

    def find(self, name: str) -> Table:
        """The view of this name.

        Raises:
            UnknownNameError: There is none.
        """
        handles = self._state.catalog.handles
        found = handles.get(name)
        if found is None or found.table.view is None:
            known = [h.name for h in handles.values() if h.table.view is not None]
            raise UnknownNameError("view", name, known)
        return found.table
