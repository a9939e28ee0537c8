"""What a client knows of its server's tables and transitions, and how their values travel.

Values are converted here by the schema, with the checks of the embedded database, so that a client
gives and takes what `reifydb.open` does. On the wire they are the dialect `RAW`'s.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from reifydb.database.wire_rows import WireRows, read, readers
from reifydb.engine.catalog import Column, Index, Table, Transition, Type, named_type
from reifydb.engine.json_values import json_bytes
from reifydb.engine.misfit import MisfitError
from reifydb.engine.row_errors import RowErrors
from reifydb.engine.values import (
    bool_slot,
    bytes_bytes,
    decimal_slot,
    float_slot,
    int_slot,
    text_bytes,
    timestamp_slot,
    uuid_bytes,
)
from reifydb.errors import OperatorError, RequestError, UnknownNameError

Write = Callable[[Any], Any]


def column_of(described: Mapping[str, Any]) -> Column:
    """A column, as `schema` and `restart` describe it.

    Raises:
        OperatorError: Its type is none that this version knows.
    """
    found = named_type(described["type"])
    if found is None:
        raise OperatorError(
            f"the server has a column of type {described['type']!r:.40}",
            hint="a newer client knows it",
        )
    kind, precision, scale = found
    name, nullable = str(described.get("name", "")), bool(described.get("nullable", True))
    return Column(name, kind, nullable, precision=precision, scale=scale)


def writer(column: Column) -> Write:
    """Checks a value of Python's and makes it the wire's; raises `MisfitError`."""
    match column.type:
        case Type.BOOL:
            return lambda value: bool(bool_slot(value))
        case Type.INT:
            return int_slot
        case Type.FLOAT:
            return float_slot
        case Type.TEXT:
            return lambda value: text_bytes(value).decode()
        case Type.BYTES:
            return bytes_bytes
        case Type.TIMESTAMP:
            return timestamp_slot
        case Type.DECIMAL:
            precision, scale = column.precision, column.scale
            return lambda value: decimal_slot(value, precision, scale)
        case Type.UUID:
            return uuid_bytes
        case Type.JSON:
            return lambda value: json_bytes(value).decode()


class Values:
    """Writes values of given columns, and says what is wrong with them as the database does."""

    def __init__(self, columns: Sequence[Column], what: str, *, arguments: bool = False) -> None:
        self.errors = RowErrors(tuple(columns), what, arguments)
        self._writers = [writer(column) for column in columns]

    def write(self, values: Sequence[Any], index: int | None = None) -> list[Any]:
        """As many values as there are columns.

        Raises:
            RequestError: There are more or fewer.
            WrongTypeError: One does not fit its column.
        """
        if len(values) != len(self._writers):
            raise self.errors.wrong_count(len(values), index)
        return self.write_prefix(values, index)

    def write_prefix(self, values: Sequence[Any], index: int | None = None) -> list[Any]:
        """Values of the first few columns; see `write`."""
        written: list[Any] = []
        for value, write, column in zip(values, self._writers, self.errors.columns, strict=False):
            try:
                written.append(None if value is None else write(value))
            except MisfitError as error:
                raise self.errors.misfit(error, column, index) from None
        return written


class TransitionShape:
    """One transition: its arguments and its result."""

    def __init__(self, described: Mapping[str, Any]) -> None:
        self.name = str(described["name"])
        module, _, name = self.name.rpartition(".")
        result = described["result"]
        self.is_row = result is not None and "columns" in result
        columns = [] if result is None else result["columns"] if self.is_row else [result]
        self.transition = Transition(
            name,
            tuple(map(column_of, described["params"])),
            tuple(map(column_of, columns)),
            result_is_row=self.is_row,
            query=bool(described["query"]),
            module=module,
        )
        what = f"transition {self.name}"
        self._arguments = Values(self.transition.params, what, arguments=True)
        self._names = [column.name for column in self.transition.result]
        self._readers = readers(self.transition.result)

    def arguments(
        self, args: Sequence[Any], named: Mapping[str, Any], index: int | None = None
    ) -> list[Any]:
        """Arguments given by position, by name, or first the ones and then the others."""
        if named:
            args = self._arrange(args, named)
        return self._arguments.write(args, index)

    def _arrange(self, args: Sequence[Any], named: Mapping[str, Any]) -> Sequence[Any]:
        names = self._arguments.errors.names
        if len(args) > len(names):
            raise self._arguments.errors.wrong_count(len(args), None)
        given = dict(zip(names, args, strict=False))
        for name in named:
            if name in given:
                raise RequestError(f"transition {self.name}: {name} is given twice")
        given |= named
        if given.keys() != set(names):
            raise self._arguments.errors.wrong_arguments(given)
        return [given[name] for name in names]

    def result(self, value: Any) -> object:
        """A result of the wire's. Raises what comes when it is of another shape."""
        if value is None:
            return None
        if self.is_row:
            return dict(zip(self._names, read(value, self._readers), strict=True))
        return read([value], self._readers)[0]


class TableShape:
    """One table: its rows and keys."""

    def __init__(self, described: Mapping[str, Any]) -> None:
        columns = tuple(map(column_of, described["columns"]))
        hidden = tuple(map(column_of, described.get("hidden", ())))
        at = {column.name: i for i, column in enumerate((*columns, *hidden))}
        auto = described.get("auto")
        self.table = Table(
            str(described["name"]),
            columns,
            tuple(at[name] for name in described["key"]),
            None if auto is None else at[auto],
            indexes=tuple(
                Index(index["name"], tuple(at[name] for name in index["columns"]), index["unique"])
                for index in described.get("indexes", ())
            ),
            derived="view" in described,
            hidden=hidden,
        )
        self.rows = WireRows(self.table)
        self._what = f"table {self.table.name}"
        self._columns = {column.name: (column, writer(column)) for column in columns}
        self._errors = RowErrors(columns, self._what, False)
        self._keys = Values(self.table.key_columns, f"primary key of {self._what}")

    def key(self, key: object) -> Any:
        """A primary key for the wire: bare, or an array."""
        values = list(key) if isinstance(key, tuple | list) else [key]
        written = self._keys.write(values)
        return written[0] if len(written) == 1 else written

    def read_key(self, key: Any) -> object:
        """A primary key of the wire's, bare or an array."""
        return self.rows.key(key if isinstance(key, list) else [key])

    def row(self, row: Mapping[str, Any], index: int | None) -> dict[str, Any]:
        """A row, or some columns of one, for the wire."""
        if not isinstance(row, Mapping):
            raise RequestError(f"{self._errors.place(index)}: a row is a mapping by column")
        written: dict[str, Any] = {}
        for name, value in row.items():
            found = self._columns.get(name)
            if found is None:
                raise UnknownNameError(f"column in {self._what}:", str(name), self._columns)
            column, write = found
            try:
                written[name] = None if value is None else write(value)
            except MisfitError as error:
                raise self._errors.misfit(error, column, index) from None
        return written

    def scanned(self, index: str | None) -> Sequence[Column]:
        """The columns in whose order an index walks; the primary key's when it is None.

        Raises:
            UnknownNameError: There is no such index.
        """
        if index is None:
            return self.table.key_columns
        found = self.table.index(index)
        if found is None:
            known = [index.name for index in self.table.indexes]
            raise UnknownNameError(f"index of {self._what}:", index, known)
        return [self.table.columns[i] for i in found.columns]

    def bound(self, index: str | None, bound: object) -> list[Any] | None:
        """A bound of a scan for the wire; None: none."""
        if bound is None:
            return None
        columns = self.scanned(index)
        values = list(bound) if isinstance(bound, tuple | list) else [bound]
        named = Values(columns, f"{self._what}, index {index}" if index else self._what)
        if len(values) > len(columns):
            raise named.errors.wrong_count(len(values), None)
        return named.write_prefix(values)


class Schema:
    """All that a client may use. Attributes: `hash`, which tells one schema from another."""

    def __init__(self, described: Mapping[str, Any]) -> None:
        self.hash = str(described["hash"])
        self.tables = _by_name(map(TableShape, described["tables"]), lambda s: s.table.name)
        self.transitions = _by_name(
            map(TransitionShape, described["transitions"]), lambda s: s.name
        )


def _by_name(shapes: Iterable[Any], name: Callable[[Any], str]) -> dict[str, Any]:
    return {name(shape): shape for shape in shapes}
