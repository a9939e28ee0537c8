"""What a database's schema says, read from its description: the same for a folder and a server."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import click

from reifydb.database.tables import without_rows
from reifydb.engine.catalog import (
    Check,
    Column,
    ForeignKey,
    Index,
    ParameterisedView,
    Primitive,
    Table,
    Transition,
    Type,
    View,
    named_type,
)
from reifydb.engine.values import kept_default
from reifydb.errors import ReifyDBError, RequestError, UnknownNameError
from reifydb.primitives import KINDS
from reifydb.wire.dialects import PLAIN
from reifydb.wire.words import plain_word

Described = dict[str, Any]

NULL = "null"
"""The word for null; in a text or JSON column it is what it says."""

NUMBERS = frozenset({Type.INT, Type.FLOAT, Type.DECIMAL})


class Catalog:
    """The tables, transitions and views with parameters of a description (`GET /v1/schema`)."""

    def __init__(self, described: Mapping[str, Any]) -> None:
        self.tables: dict[str, Described] = {t["name"]: t for t in described["tables"]}
        self.transitions: dict[str, Described] = {t["name"]: t for t in described["transitions"]}
        views = map(parameterised_of, described.get("parameterised_views", ()))
        self.parameterised: dict[str, ParameterisedView] = {view.name: view for view in views}

    def table(self, name: str) -> Described:
        """The table of a name.

        Raises:
            UnknownNameError: There is none.
            RequestError: It is a view with parameters.
        """
        if name in self.parameterised:
            raise without_rows(self.parameterised[name])
        if name not in self.tables:
            raise UnknownNameError("table", name, self.tables)
        return self.tables[name]

    def transition(self, name: str) -> Described:
        """The transition of a name.

        Raises:
            UnknownNameError: There is none.
        """
        if name not in self.transitions:
            raise UnknownNameError("transition", name, self.transitions)
        return self.transitions[name]


def column_of(described: Mapping[str, Any]) -> Column:
    """A column, parameter or result of a description.

    Raises:
        RequestError: It has a type that this version does not know.
    """
    found = named_type(described["type"])
    if found is None:
        raise RequestError(f"{described['type']!r} is no type that this version knows")
    kind, precision, scale = found
    return Column(
        described.get("name", "result"), kind, described["nullable"], None, False, precision, scale
    )


def table_of(described: Mapping[str, Any]) -> Table:
    """A table of a description, with what SQL says of it."""
    columns = tuple(_with_default(column) for column in described["columns"])
    hidden = tuple(map(column_of, described.get("hidden", ())))
    names = [column.name for column in (*columns, *hidden)]
    view = described.get("view")
    indexes = tuple(
        Index(
            index["name"],
            tuple(map(names.index, index["columns"])),
            index["unique"],
            number,
            index.get("implied", False),
        )
        for number, index in enumerate(described["indexes"], 1)
    )
    auto = described["auto"]
    return Table(
        described["name"],
        columns,
        tuple(map(names.index, described["key"])),
        None if auto is None else names.index(auto),
        indexes=indexes,
        derived=view is not None,
        hidden=hidden,
        view=None if view is None else _view_of(view),
        checks=tuple(Check(check["name"], check["sql"]) for check in described.get("checks", ())),
        foreign_keys=tuple(
            ForeignKey(
                key["name"],
                tuple(map(names.index, key["columns"])),
                key["table"],
                tuple(key["to"]),
                key["on_delete"] == "cascade",
            )
            for key in described.get("foreign_keys", ())
        ),
        primitive=_primitive_of(described["primitive"]) if "primitive" in described else None,
    )


def parameterised_of(described: Mapping[str, Any]) -> ParameterisedView:
    """A view with parameters of a description."""
    return ParameterisedView(
        described["name"],
        described["sql"],
        tuple(map(column_of, described["parameters"])),
        tuple(map(column_of, described["columns"])),
        tuple((table, ()) for table in described["tables"]),
    )


def _primitive_of(described: Mapping[str, Any]) -> Primitive:
    kind = described["kind"]
    if kind not in KINDS:
        raise RequestError(f"{kind!r} is no kind of primitive that this version knows")
    return Primitive(kind, tuple(described["settings"].items()))


def _view_of(described: Mapping[str, Any]) -> View:
    reads = tuple((table, ()) for table in described["tables"])
    assertion, max_rows = described.get("assertion", False), described.get("max_rows", 0)
    return View(described["sql"], reads, 0, assertion, max_rows)


def transition_of(described: Mapping[str, Any]) -> Transition:
    """A transition of a description; its module is in its own attribute."""
    module, _, name = described["name"].rpartition(".")
    result = described["result"]
    is_row = result is not None and "columns" in result
    columns = [] if result is None else result["columns"] if is_row else [result]
    return Transition(
        name,
        tuple(map(column_of, described["params"])),
        tuple(map(column_of, columns)),
        result_is_row=is_row,
        query=described["query"],
        module=module,
    )


def _with_default(described: Mapping[str, Any]) -> Column:
    column, default = column_of(described), described.get("default")
    if default is None:
        return column
    read = PLAIN.reader(column)
    kept = kept_default(column, default if read is None else read(default))
    return Column(
        column.name, column.type, column.nullable, kept, False, column.precision, column.scale
    )


def columns_named(table: Mapping[str, Any], names: Sequence[str]) -> list[Column]:
    """Columns of a table, or of a view's key, by name."""
    stored = [*table["columns"], *table.get("hidden", ())]
    by_name = {column["name"]: column for column in stored}
    return [column_of(by_name[name]) for name in names]


def is_number(column: Mapping[str, Any]) -> bool:
    """Whether its values stand right in a table."""
    return column_of(column).type in NUMBERS


def values_of(words: Sequence[str], columns: Sequence[Column], *, of: str) -> list[Any]:
    """Words as `PLAIN` values of these columns; there may be fewer words than columns.

    Args:
        words: As on the command line.
        columns: What they are for.
        of: What they are, for the message: `bank.transfer(source int, …)`.

    Raises:
        UsageError: One is not of its column's type, or there are too many.
    """
    if len(words) > len(columns):
        raise click.UsageError(f"{of} takes {len(columns)} values, not {len(words)}.")
    found: list[Any] = []
    for word, column in zip(words, columns, strict=False):
        if word == NULL and column.nullable and column.type not in (Type.TEXT, Type.JSON):
            found.append(None)
            continue
        try:
            found.append(plain_word(word, column))
        except ReifyDBError as error:
            named = "" if error.message.startswith(f"{column.name}:") else f"{column.name}: "
            raise click.UsageError(f"{named}{error} in {of}") from None
    return found


def signature(transition: Mapping[str, Any]) -> str:
    """A transition on one line: `bank.transfer(source int, target int, amount int) -> int`."""
    params = ", ".join(_typed(param) for param in transition["params"])
    result = transition["result"]
    if result is None:
        returns = ""
    elif "columns" in result:
        returns = f" -> ({', '.join(_typed(column) for column in result['columns'])})"
    else:
        returns = f" -> {result['type']}{'?' if result['nullable'] else ''}"
    return f"{transition['name']}({params}){returns}"


def _typed(column: Mapping[str, Any]) -> str:
    return f"{column['name']} {column['type']}{'?' if column['nullable'] else ''}"
