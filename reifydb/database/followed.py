"""Selects that are followed: each once for all who follow it, and no longer than somebody does.

A select of one table with a filter is a shape in the kernel, and with values a selection of it; any
other is a view that is not in the schema (reifydb/views/following.py). Everything in a turn.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from typing import TYPE_CHECKING

from reifydb import config
from reifydb.config import (
    subscribed_parameters_bytes_max,
    subscribed_selections_max,
    subscribed_shapes_max,
    subscribed_view_parts_max,
    subscribed_views_max,
)
from reifydb.database.expressions import (
    EXPRESSION_FAILED,
    LIMIT_REACHED,
    expression_error,
    query_refusal,
)
from reifydb.database.queries import NO_LIMIT, Queries, Terms
from reifydb.database.tables import SYSTEM_PREFIX, TableHandle
from reifydb.engine.descriptors import table_descriptor
from reifydb.engine.kernel import Fault
from reifydb.errors import LimitError, ReifyDBError, RequestError, SqlError

if TYPE_CHECKING:
    from reifydb.database.queries import Prepared
    from reifydb.database.state import State
    from reifydb.views.following import Selection
    from reifydb.views.plan import Encoded

SELECTIONS = 1 << 30
"""The stream of a selection is this and its number, as in kernel/selection.zig."""

PRIVATE_TABLES = (1 << 20) - (1 << 11)
"""The first of the numbers that are for tables of selects that are followed, as in
kernel/layout.zig."""

_FAULT = struct.Struct("<iIIII")


class Followed:
    """A select with values that somebody follows.

    Attributes:
        handle: How its rows and keys look.
        stream: The number of its deltas' stream.
        base: The table whose last commit says when something may have changed in it last.
        named: The tables and views that its text names, those that others with parameters read
            included.
        closed: It is none any more: the schema has changed, or it has failed.
        members: So many subscriptions are to it.
    """

    def __init__(
        self,
        key: tuple[str, bytes],
        handle: TableHandle,
        stream: int,
        base: int,
        named: frozenset[str],
        encoded: dict[int, Encoded],
    ) -> None:
        self.key, self.handle, self.stream, self.base = key, handle, stream, base
        self.named, self.encoded = named, encoded
        self.closed = False
        self.members = 0
        self.tables: list[int] = []  # of a view

    @property
    def selection(self) -> int | None:
        """The number of the selection; None: it is a view."""
        return self.stream - SELECTIONS if self.stream >= SELECTIONS else None

    def error(self, fault: Fault) -> ReifyDBError:
        """Why the kernel gave it up, or would not have it."""
        return _refusal(fault, self.key[0], self.encoded)


class _Shape:
    def __init__(self, number: int, selection: Selection, named: frozenset[str]) -> None:
        self.number, self.selection, self.named = number, selection, named
        self.handle = TableHandle(selection.table)
        self.members = 0


class Selects:
    """All selects of one database that are followed."""

    def __init__(self, state: State, queries: Queries) -> None:
        self._state, self._queries, self._kernel = state, queries, state.kernel
        self._followed: dict[tuple[str, bytes], Followed] = {}
        self._by_stream: dict[int, Followed] = {}
        self._shapes: dict[str, _Shape] = {}
        self._free_shapes = list(range(subscribed_shapes_max - 1, -1, -1))
        self._free_selections: list[int] = []
        self._selections = 0  # numbers ever used
        self._free_views = list(range(subscribed_views_max - 1, -1, -1))
        self._waiting: list[tuple[int, list[int]]] = []  # views to go once no transaction is open

    # ------------------------------------------------------------------ coming and going

    def join(self, sql: str, params: object, terms: Terms | None) -> Followed:
        """The select with these values, for one more who follows it.

        Raises:
            SqlError: It cannot be parsed, is not supported, or does not fit the tables.
            RequestError, WrongTypeError: The parameters are not those of the select.
            ExpressionError: An expression could not be computed for a row.
            LimitError: Too much is followed already, or it is too large.
        """
        self.sweep()
        prepared = self._queries.prepare(sql, None if terms is None else terms.may_read)
        for name in prepared.named:
            if name.startswith(SYSTEM_PREFIX):
                raise SqlError(f"table {name} is the system's: it cannot be followed")
        given = params if terms is None else terms.read(prepared, params)
        values = prepared.given(given)  # type: ignore[arg-type]
        window = prepared.window(values)
        key = sql, prepared.encode(values)
        found = self._followed.get(key)
        if found is None:
            found = self._selection(prepared, key) or self._view(prepared, key, window)
            self._followed[key] = self._by_stream[found.stream] = found
        found.members += 1
        return found

    def leave(self, followed: Followed) -> bool:
        """One follows it no more; with the last one it goes. Whether it has gone with this one."""
        followed.members -= 1
        if followed.members > 0 or followed.closed:
            return False
        self._close(followed)
        return True

    def by_stream(self, stream: int) -> Followed | None:
        """The select whose deltas' stream this is."""
        return self._by_stream.get(stream)

    def touching(self, names: Iterable[str]) -> list[Followed]:
        """Those whose text names one of these tables or views."""
        wanted = frozenset(names)
        return [one for one in self._followed.values() if one.named & wanted]

    def give_up(self, followed: Followed) -> None:
        """Takes it away from all who follow it."""
        if not followed.closed:
            self._close(followed)

    def sweep(self) -> None:
        """Takes away what could not go while a transaction was open that had written."""
        if not self._waiting:
            return
        waiting, self._waiting = self._waiting, []
        for block, tables in waiting:
            self._discard(block, tables)

    def _close(self, followed: Followed) -> None:
        followed.closed = True
        del self._followed[followed.key]
        del self._by_stream[followed.stream]
        number = followed.selection
        if number is None:
            block = (followed.tables[0] - PRIVATE_TABLES) // subscribed_view_parts_max
            self._kernel.call["watch"](followed.stream, 0)
            self._discard(block, followed.tables)
            return
        self._kernel.call["close_selection"](number)
        self._free_selections.append(number)
        self._release(followed.key[0])

    def _release(self, sql: str) -> None:
        shape = self._shapes[sql]
        shape.members -= 1
        if shape.members == 0:
            del self._shapes[sql]
            self._kernel.call["forget_shape"](shape.number)
            self._free_shapes.append(shape.number)

    def _discard(self, block: int, tables: list[int]) -> None:
        while tables:
            if self._kernel.call["discard_private_view"](tables[-1]) < 0:
                self._waiting.append((block, tables))
                return
            tables.pop()
        self._free_views.append(block)

    # ------------------------------------------------------------------ selections

    def _selection(self, prepared: Prepared, key: tuple[str, bytes]) -> Followed | None:
        sql, packed = key
        shape = self._shapes.get(sql) or self._new_shape(prepared)
        if shape is None:
            return None
        shape.members += 1
        try:
            if len(packed) > subscribed_parameters_bytes_max:
                raise LimitError(
                    f"the values of the select take {len(packed):,} bytes",
                    limit="subscribed_parameters_bytes_max",
                    value=subscribed_parameters_bytes_max,
                )
            number = self._free_selection()
            encoded = {0: shape.selection.encoded}
            self._state.put(packed)
            code = self._kernel.call["open_selection"](number, shape.number, len(packed))
            if code < 0:
                self._free_selections.append(number)
                raise _refusal(self._fault(code), sql, encoded)
        except BaseException:
            self._release(sql)
            raise
        base = shape.selection.base
        return Followed(key, shape.handle, SELECTIONS + number, base, shape.named, encoded)

    def _free_selection(self) -> int:
        if self._free_selections:
            return self._free_selections.pop()
        if self._selections == subscribed_selections_max:
            raise _full("subscribed_selections_max", subscribed_selections_max)
        self._selections += 1
        return self._selections - 1

    def _new_shape(self, prepared: Prepared) -> _Shape | None:
        from reifydb.views.following import selection_of

        selection = selection_of(prepared.query)
        if selection is None:
            return None
        if not self._free_shapes:
            raise _full("subscribed_shapes_max", subscribed_shapes_max)
        self._state.put(selection.source)
        call = self._kernel.call["define_shape"]
        code = call(self._free_shapes[-1], len(selection.source))
        if code < 0:
            raise _refusal(self._fault(code), prepared.sql, {0: selection.encoded})
        shape = _Shape(self._free_shapes.pop(), selection, prepared.reads)
        self._shapes[prepared.sql] = shape
        return shape

    # ------------------------------------------------------------------ views

    def _view(
        self, prepared: Prepared, key: tuple[str, bytes], window: tuple[int, int]
    ) -> Followed:
        from reifydb.views.following import private_view

        if not self._free_views:
            raise _full("subscribed_views_max", subscribed_views_max)
        block = self._free_views[-1]
        limit, offset = window
        most = None if limit == NO_LIMIT else limit
        number = PRIVATE_TABLES + block * subscribed_view_parts_max
        parts = private_view(prepared.with_values(key[1]), most, offset, number)
        table = parts[-1].table
        encoded = {p.table.number: p.encoded for p in parts if p.encoded is not None}
        handle = TableHandle(table)
        made = Followed(key, handle, table.number, table.number, prepared.reads, encoded)
        self._free_views.pop()
        try:
            for part in parts:
                self._make(part.table.number, table_descriptor(part.table), made)
                if part.source is not None:
                    self._state.put(part.source)
                    call = self._kernel.call["define_private_view"]
                    code = call(part.table.number, len(part.source), table.number)
                    if code < 0:
                        raise made.error(self._fault(code, part.table.number))
        except BaseException:
            self._discard(block, made.tables)
            raise
        return made

    def _make(self, number: int, descriptor: bytes, made: Followed) -> None:
        if number in made.tables:
            return
        self._state.put(descriptor)
        code = self._kernel.call["create_temporary"](len(descriptor))
        if code < 0:
            raise made.error(self._fault(code, number))
        made.tables.append(number)

    # ------------------------------------------------------------------ errors

    def _fault(self, code: int, table: int = 0) -> Fault:
        control = self._kernel.control
        return Fault(
            table,
            control.fault_column,
            control.fault_row,
            control.fault_index,
            control.memory_limit,
            code=code,
        )

    def fault_of(self, body: bytes) -> Fault:
        """What a stream's last chunk says."""
        code, table, column, index, row = _FAULT.unpack(body)
        memory_limit = self._kernel.control.memory_limit
        return Fault(table, column, row, index, memory_limit, code=code)

    def present_fault(self, followed: Followed, code: int) -> Fault:
        """What the kernel has just refused for a select."""
        number = 0 if followed.selection is not None else followed.stream
        return self._fault(code, number)


def _full(limit: str, value: int) -> LimitError:
    return LimitError(
        "too many different selects are followed",
        limit=limit,
        value=value,
        hint="a view of what they have in common can be followed as a table, or with parameters",
    )


def _refusal(fault: Fault, sql: str, encoded: dict[int, Encoded]) -> ReifyDBError:
    known = encoded.get(fault.fault_table) or next(iter(encoded.values()))
    if fault.code == EXPRESSION_FAILED:
        return expression_error(fault, known, sql, "the select")
    if fault.code == LIMIT_REACHED:
        return _limit(fault)
    return query_refusal(fault.code, fault, known, sql)


def _limit(fault: Fault) -> ReifyDBError:
    match fault.fault_index:
        case 2:
            said, limit = "the select looked at too many rows", "subscribed_view_scanned_max"
        case 4:
            said, limit = "too many selects are alike", "subscribed_alike_max"
        case 5:
            said, limit = "the select has too many rows", "subscribed_view_rows_max"
        case 6:
            said, limit = (
                "a commit changes too many rows of the select",
                "subscribed_view_changes_max",
            )
        case _:
            return RequestError("the select cannot be followed now: too much is")
    hint = "create a view of it"
    return LimitError(said, limit=limit, value=getattr(config, limit), hint=hint)
