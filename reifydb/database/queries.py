"""Queries: SQL once parsed and planned, then a crossing each time. Everything in a turn."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from reifydb.config import queries_kept_max
from reifydb.database.expressions import query_refusal
from reifydb.database.rows import Rows, Values
from reifydb.engine.catalog import Column, OpenView, Table
from reifydb.engine.lookups import LookupRefused, Lookups, look_up
from reifydb.engine.rows import row_codec
from reifydb.errors import LimitError, RequestError

if TYPE_CHECKING:
    from reifydb.database.state import State
    from reifydb.database.tables import Catalog
    from reifydb.sql.expressions import Constant, Kind, Parameter
    from reifydb.sql.query import Query
    from reifydb.views.plan import Encoded

NO_LIMIT = 1 << 62
MORE_FOLLOWS = 1 << 40
"""Beside the length of a page of an answer: it is not the last."""

NO_PARAMETERS = (8).to_bytes(8, "little")
"""A row of no columns."""


@dataclass(frozen=True, slots=True)
class Terms:
    """What holds for a query of somebody who may not ask for everything.

    Attributes:
        may_read: Refuses, with an exception, a table or view that the query names, before anything
            is said of it.
        read: Makes of what was given for the parameters their values.
        rows_max, bytes_max: Of the answer, under the names of their limits; None: the database's.
    """

    may_read: Callable[[str], None]
    read: Callable[[Prepared, object], Values | None]
    rows_max: tuple[str, int] | None = None
    bytes_max: tuple[str, int] | None = None


class Prepared:
    """A query whose plan the kernel keeps; or one that needs tables of its own, made each time.

    Attributes:
        number: The kernel's for it; None: it is assembled anew each time.
        catalog: What it was planned for; when that is another one, it is planned anew.
        named: The tables and views that it names.
        reads: These, and what views with parameters among them read.
        parameters: Its parameters as columns.
        finds_one: It finds at most one row, by a whole primary key, and has no limit of its own.
    """

    def __init__(self, sql: str, query: Query, catalog: Catalog, named: frozenset[str]) -> None:
        self.sql, self.query, self.catalog, self.named = sql, query, catalog, named
        self.reads = catalog.behind(named)
        self.number: int | None = None
        self.encoded: Encoded | None = _planned(query)
        self.columns: tuple[Column, ...] = query.columns
        self.names = query.parameter_names
        self._kinds = query.parameters
        self.parameters = [
            _parameter(kind, name, i)
            for i, (kind, name) in enumerate(zip(self._kinds, self.names, strict=True))
        ]
        self._parameters = row_codec(self.parameters, what="the query", arguments=True)
        self.rows = row_codec(query.columns, what="the answer")
        self._limit, self._offset = query.limit, query.offset
        self.finds_one = False
        self.is_plain = self._limit is None and self._offset is None

    def with_values(self, packed: bytes) -> Query:
        """The query with its parameters' values in it."""
        from reifydb.views.assembling import with_values

        return with_values(self.query, self._kinds, packed)

    def given(self, params: Values | None) -> Sequence[object]:
        """The values in the parameters' order.

        Raises:
            RequestError: Too few, too many, or others.
        """
        names = self.names
        if type(params) is tuple and len(params) == len(names):
            return params
        if params is None:
            params = ()
        if isinstance(params, Mapping):
            missing = [name for name in names if name is None or name not in params]
            if missing:
                raise RequestError(f"the query's parameter {missing[0] or '?'} has no value")
            unknown = [str(key) for key in params if key not in names]
            if unknown:
                known = ", ".join(f":{name}" for name in names) or "none"
                raise RequestError(f"the query has no parameter {unknown[0]}; it has {known}")
            return [params[name] for name in names if name is not None]
        if isinstance(params, str | bytes) or not isinstance(params, Sequence):
            kind = type(params).__name__
            raise RequestError(f"parameters are a mapping or a sequence, not a {kind}")
        if len(params) != len(names):
            raise RequestError(f"the query has {len(names)} parameters, {len(params)} were given")
        return list(params)

    def window(self, values: Sequence[object]) -> tuple[int, int]:
        """Limit and offset.

        Raises:
            RequestError: One of them is no whole number from 0.
        """
        if self.is_plain:
            return NO_LIMIT, 0
        limit = _number(self._limit, values, "limit")
        offset = _number(self._offset, values, "offset")
        return NO_LIMIT if limit is None else limit, offset or 0

    def encode(self, values: Sequence[object]) -> bytes:
        """The parameters as the kernel takes them."""
        return self._parameters.encode(values)


def _planned(query: Query) -> Encoded | None:
    """The plan of a query; None: it needs tables of its own."""
    from reifydb.sql.query import Select
    from reifydb.views.flattening import flatten
    from reifydb.views.plan import encode
    from reifydb.views.planner import Planner

    if not isinstance(query, Select):
        return None
    if any(not isinstance(one.relation, Table) for one in flatten(query).inputs):
        return None
    return encode(Planner(query).query())


def _parameter(kind: Kind, name: str | None, index: int) -> Column:
    return kind.column(name or f"parameter_{index + 1}")


def _number(said: Constant | Parameter | None, values: Sequence[object], what: str) -> int | None:
    from reifydb.sql.expressions import Parameter

    if said is None:
        return None
    value = values[said.index] if isinstance(said, Parameter) else said.value
    if value is None:
        return None
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < NO_LIMIT:
        raise RequestError(f"{what} is {value!r}; it must be a whole number from 0")
    return value


@dataclass(frozen=True, slots=True)
class _Ask:
    """One run of a query: the parameters as the kernel takes them, and what is wanted."""

    packed: bytes
    limit: int
    offset: int
    bytes_max: tuple[str, int] | None

    def check(self, size: int) -> None:
        """Refuses an answer of so many bytes when that is too much."""
        if self.bytes_max is not None and size > self.bytes_max[1]:
            raise _too_much(f"more than {self.bytes_max[1]:,} bytes", *self.bytes_max)


def _too_much(what: str, limit: str, value: int) -> LimitError:
    return LimitError(
        f"the query's answer has {what}",
        limit=limit,
        value=value,
        hint="ask for fewer: where …, limit …",
    )


class Queries:
    """The queries that one database has run lately."""

    def __init__(self, state: State) -> None:
        self._state, self._kernel = state, state.kernel
        self._kept: OrderedDict[str, Prepared] = OrderedDict()
        self._free = list(range(queries_kept_max - 1, -1, -1))
        self._lookups = Lookups(self._kernel)

    def prepare(self, sql: str, may_read: Callable[[str], None] | None = None) -> Prepared:
        """A query ready to run: planned before, or now.

        Args:
            sql: Its text.
            may_read: See `Terms`.

        Raises:
            SqlError: It cannot be parsed, is not supported, or does not fit the tables.
        """
        found = self._kept.get(sql)
        if found is not None:
            if found.catalog is self._state.catalog:
                if may_read is not None:
                    for name in sorted(found.named):
                        may_read(name)
                return found
            self._drop(sql)
        return self._plan(sql, may_read)

    def _plan(self, sql: str, may_read: Callable[[str], None] | None) -> Prepared:
        from reifydb.sql.query_reader import read_query

        catalog = self._state.catalog
        named: set[str] = set()

        def table(name: str) -> Table | OpenView | None:
            if may_read is not None:
                may_read(name)
            named.add(name)
            return catalog.visible_table(name)

        made = Prepared(sql, read_query(sql, table, None), catalog, frozenset(named))
        if made.encoded is not None:
            if not self._free:
                self._drop(next(iter(self._kept)))
            finds_one = self._define(self._free[-1], made.encoded, sql)
            made.number = self._free.pop()
            made.finds_one = finds_one and made.is_plain
        self._kept[sql] = made
        return made

    def _define(self, number: int, encoded: Encoded, sql: str) -> bool:
        """Whether it finds at most one row."""
        self._state.put(encoded.data)
        code = self._kernel.call["define_query"](number, len(encoded.data))
        if code < 0:
            raise query_refusal(code, self._kernel.control, encoded, sql)
        return code == 1

    def _drop(self, sql: str) -> None:
        dropped = self._kept.pop(sql)
        self._lookups.made.pop(sql, None)
        if dropped.number is not None:
            self._kernel.call["forget_query"](dropped.number)
            self._free.append(dropped.number)

    def run(self, sql: str, params: Values | None) -> Rows:
        """Runs a query over what is there."""
        lookups = self._lookups
        if lookups.catalog is not self._state.catalog:
            lookups.renew(self._state.catalog)
        try:
            find, prepared = lookups.made[sql]
        except (KeyError, TypeError):
            return self._run_any(sql, params)
        given = params if type(params) is tuple else prepared.given(params)
        try:
            found = find(given, given)
        except LookupRefused as refused:
            code, control = refused.code, self._kernel.control
            raise query_refusal(code, control, prepared.encoded, sql) from None
        return Rows(prepared.columns, [] if found is None else [found])

    def _run_any(self, sql: str, params: Values | None) -> Rows:
        found = self._explained(sql, None)
        if found is not None:
            return found
        prepared = self.prepare(sql)
        if prepared.finds_one:
            self._look_up(prepared)
            return self.run(sql, params)
        return self._run(prepared, params, NO_LIMIT, None)

    def _look_up(self, prepared: Prepared) -> None:
        """From now on the query goes the short way."""
        assert prepared.number is not None
        asked = prepared.parameters, lambda given: prepared.encode(prepared.given(given))
        function = self._kernel.call["find_row"]
        find = look_up(self._kernel, function, prepared.number, asked, prepared.rows)
        self._lookups.made[prepared.sql] = find, prepared

    def _explained(self, sql: str, may_read: Callable[[str], None] | None) -> Rows | None:
        """How a query would be answered, if its text begins with `explain`."""
        if (
            not isinstance(sql, str) or sql[:1] in "sSwW"
        ):  # as nearly all do: nothing is loaded for them
            return None
        from reifydb.views.explaining import COLUMNS, explain, explained, is_definition, named_view

        asked = explained(sql)
        if asked is None:
            return None
        name = named_view(asked)
        if name is not None or is_definition(asked):
            from reifydb.database.explanations import of_definition, of_view

            catalog = self._state.catalog
            if name is None:
                return Rows(COLUMNS, of_definition(asked, catalog, may_read))
            return Rows(COLUMNS, of_view(name, catalog, may_read))
        return Rows(COLUMNS, explain(self.prepare(asked, may_read).query))

    def run_on_terms(self, sql: str, params: object, terms: Terms) -> Rows:
        """The same for somebody who may not ask for everything.

        Raises:
            LimitError: The answer is larger than the terms say.
        """
        found = self._explained(sql, terms.may_read)
        if found is not None:
            return found
        prepared = self.prepare(sql, terms.may_read)
        rows_max = NO_LIMIT if terms.rows_max is None else terms.rows_max[1] + 1
        found = self._run(prepared, terms.read(prepared, params), rows_max, terms.bytes_max)
        if terms.rows_max is not None and len(found) == rows_max:
            raise _too_much(f"more than {terms.rows_max[1]:,} rows", *terms.rows_max)
        return found

    def _run(
        self,
        prepared: Prepared,
        params: Values | None,
        rows_max: int,
        bytes_max: tuple[str, int] | None,
    ) -> Rows:
        values = prepared.given(params)
        limit, offset = prepared.window(values)
        packed = prepared.encode(values)
        ask = _Ask(packed, min(limit, rows_max), offset, bytes_max)
        if prepared.number is None:
            return Rows(prepared.columns, self._assembled(prepared, ask))
        assert prepared.encoded is not None
        return Rows(
            prepared.columns, self._answer(prepared.number, prepared.encoded, prepared, ask)
        )

    def run_once(self, sql: str, query: Query, params: Values | None) -> list[tuple[object, ...]]:
        """The answer of a query that is a part of a statement: nothing of it is kept."""
        prepared = Prepared(sql, query, self._state.catalog, frozenset())
        values = prepared.given(params)
        limit, offset = prepared.window(values)
        return self._assembled(prepared, _Ask(prepared.encode(values), limit, offset, None))

    def _answer(
        self, number: int, encoded: Encoded, prepared: Prepared, ask: _Ask
    ) -> list[tuple[object, ...]]:
        kernel, packed = self._kernel, ask.packed
        kernel.input[: len(packed)] = packed
        length = kernel.call["run_query"](number, len(packed), ask.limit, ask.offset)
        found: list[tuple[object, ...]] = []
        size = 0
        try:
            while length & MORE_FOLLOWS and length > 0:
                size += length ^ MORE_FOLLOWS
                ask.check(size)
                found += prepared.rows.decode_many(bytes(kernel.output[: length ^ MORE_FOLLOWS]))
                length = kernel.call["query_page"]()
        except BaseException:
            kernel.call["end_query"]()
            raise
        if length > 0:
            ask.check(size + length)
            found += prepared.rows.decode_many(kernel.output[:length])
        elif length < 0:
            raise query_refusal(length, kernel.control, encoded, prepared.sql)
        return found

    def _assembled(self, prepared: Prepared, ask: _Ask) -> list[tuple[object, ...]]:
        """The answer of a query that needs tables of its own: they are made as those of a view are,
        and go again. O(rows of the tables).
        """
        from reifydb.views.building import assemble
        from reifydb.views.plan import encode
        from reifydb.views.planner import Planner

        state, call = self._state, self._kernel.call
        query = prepared.with_values(ask.packed)
        parts, select = assemble(query, state.catalog.next_number)
        encoded = encode(Planner(select).query())
        made: list[int] = []
        try:
            for part in parts:
                number = part.table.number
                if number not in made:
                    made.append(number)
                    state.create_temporary(part.table)
                if part.source is not None:
                    state.put(part.source)
                    code = call["define_view"](number, len(part.source))
                    if code < 0:
                        failed = part.encoded or encoded
                        raise query_refusal(code, self._kernel.control, failed, prepared.sql)
            if not self._free:
                self._drop(next(sql for sql, one in self._kept.items() if one.number is not None))
            self._define(self._free[-1], encoded, prepared.sql)
            try:
                return self._answer(
                    self._free[-1], encoded, prepared, replace(ask, packed=NO_PARAMETERS)
                )
            finally:
                call["forget_query"](self._free[-1])
        finally:
            for number in reversed(made):
                call["discard_temporary"](number)
