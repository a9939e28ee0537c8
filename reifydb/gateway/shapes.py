"""How tables and transitions look on the wire: converters, made once for each dialect.

They follow the schema: a table or transition that has changed has other shapes, made anew.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

from reifydb.config import scan_rows_max
from reifydb.database import Database
from reifydb.database.batches import Outcome
from reifydb.database.tables import SYSTEM_PREFIX, TableHandle
from reifydb.database.transitions import WasmTransition
from reifydb.engine.catalog import Column, ForeignKey, Index, ParameterisedView, Table, Type
from reifydb.engine.values import default_value
from reifydb.errors import RequestError, UnknownNameError
from reifydb.gateway.grants import Grant
from reifydb.gateway.options import options_of
from reifydb.gateway.session import Session
from reifydb.wire.dialects import PLAIN, Converter, Dialect

LONG = frozenset({Type.TEXT, Type.BYTES, Type.JSON})
"""Types whose values may be long: rows without them have at most 256 columns of 16 bytes or so."""


class TransitionShape:
    """A transition in one dialect."""

    __slots__ = ("args", "is_plain", "result", "result_is_row")

    def __init__(self, handle: WasmTransition, dialect: Dialect) -> None:
        transition = handle.transition
        self.args = Converter(transition.params, dialect.reader)
        self.result = Converter(transition.result, dialect.writer)
        self.result_is_row = transition.result_is_row
        self.is_plain = not transition.result_is_row and self.result.is_plain

    def write(self, handle: WasmTransition, value: Any) -> Any:
        """A result for the wire: a row is an array."""
        if self.is_plain or value is None:
            return value
        if self.result_is_row:
            names = [column.name for column in handle.transition.result]
            return list(self.result([value[name] for name in names]))
        return self.result([value])[0]


class TableShape:
    """A table in every dialect."""

    def __init__(self, handle: TableHandle) -> None:
        self.handle = handle
        table = handle.table
        self._columns = {column.name: column for column in table.columns}
        self._index_columns: dict[str | None, Sequence[Column]] = {
            index.name: [table.columns[i] for i in index.columns] for index in table.indexes
        }
        self._index_columns[None] = table.key_columns
        self._may_be_long = any(column.type in LONG for column in (*table.columns, *table.hidden))
        self._made: dict[tuple[str, object], Converter] = {}

    def _converter(self, dialect: Dialect, what: str) -> Converter:
        made = self._made.get((dialect.name, what))
        if made is None:
            columns = self.handle.table.columns if what == "row" else self.handle.table.key_columns
            choose = dialect.reader if what == "given key" else dialect.writer
            made = self._made[dialect.name, what] = Converter(columns, choose)
        return made

    def row(self, dialect: Dialect, row: Mapping[str, Any]) -> list[Any]:
        """A row as an array in column order."""
        return list(self._converter(dialect, "row")(list(row.values())))

    def size_of(self, row: Mapping[str, Any]) -> int:
        """Bytes of a row with all that is stored of it, as far as they count towards
        `page_bytes_max`: 0 in a table whose rows can't be long. O(row).
        """
        if not self._may_be_long:
            return 0
        codec = self.handle.stored or self.handle.rows
        return len(codec.encode(tuple(row.values())))

    def named_row(self, dialect: Dialect, row: Mapping[str, Any]) -> dict[str, Any]:
        """A row as an object."""
        return dict(zip(self.handle.names, self.row(dialect, row), strict=True))

    def key(self, dialect: Dialect, key: Any) -> object:
        """A key as the database takes it: bare, or several values in an array."""
        columns = self.handle.table.key_columns
        values = key if isinstance(key, list) and len(columns) > 1 else [key]
        return tuple(self._converter(dialect, "given key")(values))

    def written_key(self, dialect: Dialect, key: object) -> Any:
        """A key for the wire."""
        values = list(key) if isinstance(key, tuple) else [key]
        written = self._converter(dialect, "key")(values)
        return written[0] if len(written) == 1 else list(written)

    def given(self, dialect: Dialect, row: Any) -> dict[str, Any]:
        """A row by column, as the database takes it.

        Raises:
            RequestError: It is no object.
        """
        if not isinstance(row, dict):
            raise RequestError("a row is an object by column")
        given = dict(row)
        for name, value in row.items():
            column = self._columns.get(name)
            read = None if column is None or value is None else dialect.reader(column)
            if read is not None:
                given[name] = read(value)
        return given

    def scan_options(self, dialect: Dialect, options: Any) -> dict[str, Any]:
        """Options of `Database.scan`, of those that a client gives; the limit is at most
        `scan_rows_max`. A cursor is left out.

        Raises:
            RequestError: They are none.
            UnknownNameError: There is no such index.
        """
        given = options_of(options, (*SCAN_OPTIONS, "cursor"), "a scan")
        found = {name: value for name, value in given.items() if name != "cursor"}
        index = given.get("index")
        if index is not None and not isinstance(index, str):
            raise RequestError(f"an index has a name, not {index!r:.40}")
        columns = self.columns_of_index(index)
        for bound in ("lower", "upper"):
            value = given.get(bound)
            if value is not None:
                values = value if isinstance(value, list) else [value]
                found[bound] = tuple(Converter(columns, dialect.reader)(values))
        limit = given.get("limit")
        if limit is None:
            limit = scan_rows_max
        if not isinstance(limit, int) or isinstance(limit, bool) or not 0 <= limit <= scan_rows_max:
            raise RequestError(f"limit is {limit!r:.40}; it is 0 to scan_rows_max, {scan_rows_max}")
        found["limit"] = limit
        for flag in ("lower_exclusive", "upper_exclusive", "reverse"):
            if not isinstance(given.get(flag, False), bool):
                raise RequestError(f"{flag} is true or false")
        return found

    def columns_of_index(self, index: str | None) -> Sequence[Column]:
        """The columns of an index; of the primary key when it is None.

        Raises:
            UnknownNameError: There is no such index.
        """
        columns = self._index_columns.get(index)
        if columns is None:
            known = [name for name in self._index_columns if name is not None]
            raise UnknownNameError(f"index of table {self.handle.name}:", str(index), known)
        return columns

    def described(self) -> dict[str, Any]:
        """What a client must know of the table to read its rows; of a view also what it shows."""
        table = self.handle.table
        found: dict[str, Any] = {
            "name": table.name,
            "columns": [_describe_table_column(column) for column in table.columns],
            "key": [column.name for column in table.key_columns],
            "auto": None if table.auto is None else table.columns[table.auto].name,
            "indexes": [_describe_index(table, index) for index in table.indexes],
        }
        if table.checks:
            found["checks"] = [{"name": check.name, "sql": check.sql} for check in table.checks]
        if table.foreign_keys:
            found["foreign_keys"] = [_describe_key(table, one) for one in table.foreign_keys]
        if table.primitive is not None:
            settings = dict(table.primitive.settings)
            found["primitive"] = {"kind": table.primitive.kind, "settings": settings}
        shown = len(table.columns)
        hidden = [table.hidden[i - shown] for i in table.key if i >= shown]
        if hidden:
            found["hidden"] = [describe_column(column) for column in hidden]
        if table.view is not None:
            made_of = [name for name, _ in table.view.reads]
            found["view"] = {"sql": table.view.sql, "tables": made_of}
            if table.view.assertion:
                found["view"]["assertion"] = True
            if table.view.max_rows:
                found["view"]["max_rows"] = table.view.max_rows
        return found


SCAN_OPTIONS = "index lower upper lower_exclusive upper_exclusive limit reverse".split()


def _describe_index(table: Table, index: Index) -> dict[str, Any]:
    columns = [table.columns[i].name for i in index.columns]
    found: dict[str, Any] = {"name": index.name, "columns": columns, "unique": index.unique}
    if index.implied:
        found["implied"] = True
    return found


def _describe_key(table: Table, one: ForeignKey) -> dict[str, Any]:
    return {
        "name": one.name,
        "columns": [table.columns[i].name for i in one.columns],
        "table": one.table,
        "to": list(one.to),
        "on_delete": "cascade" if one.cascade else "no action",
    }


def _describe_parameterised(view: ParameterisedView) -> dict[str, Any]:
    return {
        "name": view.name,
        "parameters": [describe_column(column) for column in view.parameters],
        "columns": [describe_column(column) for column in view.columns],
        "sql": view.sql,
        "tables": [name for name, _ in view.reads],
    }


def describe_column(column: Column) -> dict[str, Any]:
    """A column, parameter or result for a client."""
    return {"name": column.name, "type": column.sql_type, "nullable": column.nullable}


def _describe_table_column(column: Column) -> dict[str, Any]:
    """The same for a table's, with its default when it has one, in `PLAIN` whatever the dialect."""
    found = describe_column(column)
    default = default_value(column)
    if default is not None:
        write = PLAIN.writer(column)
        found["default"] = default if write is None else write(default)
    return found


class Shapes:
    """The shapes of one database."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._transitions: dict[tuple[WasmTransition, str], TransitionShape] = {}
        self._tables: dict[str, TableShape] = {}

    # ------------------------------------------------------------------ transitions

    def _of(self, handle: WasmTransition, dialect: Dialect) -> TransitionShape:
        key = handle, dialect.name
        shape = self._transitions.get(key)
        if shape is None:
            if len(self._transitions) > SHAPES_KEPT_MAX:
                self._transitions.clear()
            shape = self._transitions[key] = TransitionShape(handle, dialect)
        return shape

    def transition(self, name: str) -> WasmTransition:
        """The transition of a name.

        Raises:
            UnknownNameError: There is none.
            RequestError: It is one in Python.
        """
        return self._db._registry.find_wasm(name)

    def arguments(self, handle: WasmTransition, dialect: Dialect, args: Any) -> bytes:
        """The arguments of a call as a row.

        Raises:
            RequestError, WrongTypeError: They are not this transition's.
        """
        return handle.params.encode(self.values(handle, dialect, args))

    def values(self, handle: WasmTransition, dialect: Dialect, args: Any) -> Sequence[Any]:
        """The arguments of a call by position, in Python.

        Raises:
            RequestError: They are not this transition's.
        """
        if isinstance(args, dict):
            args = list(handle.params.arrange(args))
        elif not isinstance(args, list):
            raise RequestError(
                f"transition {handle.name}: arguments are an array, or an object by name",
                hint=f"expected {handle.params.signature}",
            )
        return self._of(handle, dialect).args(args)

    def result(
        self, handle: WasmTransition, dialect: Dialect, data: bytes, outcome: Outcome
    ) -> Any:
        """The result of a call that committed."""
        if not outcome.length:
            return None
        value = handle.read(data, outcome.at)
        return self._of(handle, dialect).write(handle, value)

    def written(self, handle: WasmTransition, dialect: Dialect, value: Any) -> Any:
        """A result in Python for the wire."""
        return self._of(handle, dialect).write(handle, value)

    # ------------------------------------------------------------------ tables

    def table(self, name: Any) -> TableShape:
        """The shape of a table. The system's own are not served: they have hashes of tokens.

        Raises:
            UnknownNameError: There is none of this name.
        """
        catalog = self._db._state.catalog
        if isinstance(name, str) and name.startswith(SYSTEM_PREFIX):
            raise UnknownNameError("table", name, catalog.user_names)
        handle = catalog.get(name)
        shape = self._tables.get(handle.name)
        if shape is None or shape.handle is not handle:
            shape = self._tables[handle.name] = TableShape(handle)
        return shape

    def schema(self, client: Session | Grant) -> dict[str, Any]:
        """What a client may know: the tables, views and transitions that it may use, and a hash."""
        catalog = self._db._state.catalog
        tables = [
            TableShape(handle).described()
            for handle in catalog.handles.values()
            if not handle.name.startswith(SYSTEM_PREFIX)
            and any(client.may(kind, handle.name) for kind in ("read", "write", "subscribe"))
        ]
        transitions = [
            describe_transition(handle)
            for name, handle in sorted(self._db._transitions.items())
            if isinstance(handle, WasmTransition) and client.may("call", name)
        ]
        found: dict[str, Any] = {"tables": tables, "transitions": transitions}
        parameterised = [
            _describe_parameterised(view)
            for view in catalog.parameterised.values()
            if client.may("read", view.name) or client.may("subscribe", view.name)
        ]
        if parameterised:
            found["parameterised_views"] = parameterised
        text = json.dumps(found, sort_keys=True)
        return found | {"hash": hashlib.sha256(text.encode()).hexdigest()[:16]}

    def tables(self, client: Session | Grant) -> list[dict[str, Any]]:
        """The tables that a client may use, with the number of their rows and what they take."""
        found = [table | self._size_of(table["name"]) for table in self.schema(client)["tables"]]
        for table in found:
            if "view" in table:
                upkeep = self._db.upkeep(table["name"])
                table["view"] |= {"rows_in": upkeep.rows_in, "rows_out": upkeep.rows_out}
                table["bytes"]["beside"] = upkeep.beside_bytes
        return found

    def _size_of(self, name: str) -> dict[str, Any]:
        memory = self._db.memory(name)
        taken: dict[str, Any] = {
            "rows": memory.rows,
            "primary_key": memory.primary_key,
            "indexes": memory.indexes,
        }
        return {"rows": self._db.count(name), "bytes": taken}


SHAPES_KEPT_MAX = 10_000


def describe_transition(handle: WasmTransition) -> dict[str, Any]:
    """A transition for a client."""
    transition = handle.transition
    result: Any = None
    if transition.result_is_row:
        result = {"columns": [describe_column(column) for column in transition.result]}
    elif transition.result:
        [column] = transition.result
        result = {"type": column.sql_type, "nullable": column.nullable}
    return {
        "name": handle.name,
        "params": [describe_column(column) for column in transition.params],
        "result": result,
        "query": transition.query,
    }
