"""What can be asked of a server: each request as a message, and how its answer is read.

A request is prepared when it is sent, by the schema that is known then. Its answer is read by the
schema that it was made under, which may be another one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from reifydb.client.schema import Schema
from reifydb.database.positions import Position
from reifydb.errors import RequestError, UnknownNameError


class Prepared(NamedTuple):
    """A request, ready to be sent.

    Attributes:
        rest: What follows kind and id in its message.
        read: Makes what was answered a value of Python's, by a schema; raises anything when it has
            another shape.
        safe: It changes nothing: it may be sent again.
    """

    rest: Sequence[Any]
    read: Callable[[Schema, Any], object]
    safe: bool


Prepare = Callable[[Schema], Prepared]


class Page(NamedTuple):
    """Rows of a scan, and the cursor of those behind them; None when there are none."""

    rows: list[dict[str, Any]]
    next: str | None


def call(name: str, args: Sequence[Any], named: Mapping[str, Any]) -> Prepare:
    """A call."""

    def prepare(schema: Schema) -> Prepared:
        found = schema.transitions.get(name)
        if found is None:
            raise UnknownNameError("transition", name, schema.transitions)
        return Prepared((name, found.arguments(args, named)), read, found.transition.query)

    def read(schema: Schema, value: Any) -> object:
        return schema.transitions[name].result(value)

    return prepare


def group(calls: Sequence[tuple[str, Sequence[Any]]]) -> Prepare:
    """Calls in one transaction."""

    def prepare(schema: Schema) -> Prepared:
        prepared = [call(name, args, {})(schema) for name, args in calls]

        def result(schema: Schema, values: Any) -> object:
            return [one.read(schema, value) for one, value in zip(prepared, values, strict=True)]

        return Prepared(([one.rest for one in prepared],), result, False)

    return prepare


def get(table: str, key: object) -> Prepare:
    """A row by key."""

    def prepare(schema: Schema) -> Prepared:
        return Prepared((table, _table(schema, table).key(key)), read, True)

    def read(schema: Schema, row: Any) -> object:
        return None if row is None else _table(schema, table).rows.row(row)

    return prepare


def count(table: str) -> Prepare:
    """How many rows a table has."""
    return lambda schema: Prepared((_table(schema, table).table.name,), _number, True)


def scan(table: str, options: Mapping[str, Any]) -> Prepare:
    """A page of a range."""

    def prepare(schema: Schema) -> Prepared:
        found = _table(schema, table)
        given = {name: value for name, value in options.items() if value not in (None, False)}
        for bound in ("lower", "upper"):
            given.pop(bound, None)
            value = found.bound(options.get("index"), options.get(bound))
            if value is not None:
                given[bound] = value
        found.scanned(options.get("index"))
        return Prepared((table, given), read, True)

    def read(schema: Schema, page: Any) -> Page:
        rows = _table(schema, table).rows
        return Page([rows.row(row) for row in page["rows"]], page["next"])

    return prepare


def write(how: str, table: str, rows: Iterable[Any]) -> Prepare:
    """Rows to insert, update or upsert, or keys to delete; the answer is keys, or how many."""
    rows = list(rows)

    def prepare(schema: Schema) -> Prepared:
        found = _table(schema, table)
        if how == "delete":
            return Prepared((how, table, [found.key(key) for key in rows]), _number, False)
        several = len(rows) > 1
        given = [found.row(row, i if several else None) for i, row in enumerate(rows)]
        return Prepared((how, table, given), read if how == "insert" else _number, False)

    def read(schema: Schema, keys: Any) -> object:
        return [_table(schema, table).read_key(key) for key in keys]

    return prepare


def subscribe(what: object, since: Position | None) -> Prepare:
    """A subscription to a table by its name, or to `{"query", "params"}`; the answer describes its
    rows.
    """
    if since is not None and not (isinstance(since, tuple) and len(since) == 2):
        raise RequestError(f"since is {since!r:.60}", hint="a reifydb.Position")
    options = {} if since is None else {"since": list(since)}
    return lambda _: Prepared((what, options), _itself, True)


def unsubscribe(subscription: int) -> Prepare:
    """The end of a subscription."""
    return lambda _: Prepared((subscription,), _itself, True)


def ping() -> Prepare:
    """The answer is the position and the durable lsn."""
    return lambda _: Prepared((), _itself, True)


def _itself(_: Schema, value: Any) -> object:
    return value


def _number(_: Schema, value: Any) -> object:
    return int(value)


def _table(schema: Schema, name: str) -> Any:
    found = schema.tables.get(name)
    if found is None:
        raise UnknownNameError("table", str(name), schema.tables)
    return found
