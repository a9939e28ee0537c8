"""What can be asked of a server: each request as a message, and how its answer is read.

A request is prepared when it is sent, by the schema that is known then. One that names what the
schema has not is not `known`: the schema may be old.
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
        read: Makes what was answered a value of Python's; raises anything when it has another
            shape.
        safe: It changes nothing: it may be sent again.
    """

    rest: Sequence[Any]
    read: Callable[[Any], object]
    safe: bool


Prepare = Callable[[Schema], Prepared]


def call(name: str, args: Sequence[Any], named: Mapping[str, Any]) -> Prepare:
    """A call."""

    def prepare(schema: Schema) -> Prepared:
        found = schema.transitions.get(name)
        if found is None:
            raise UnknownNameError("transition", name, schema.transitions)
        return Prepared((name, found.arguments(args, named)), found.result, found.transition.query)

    return prepare


def group(calls: Sequence[tuple[str, Sequence[Any]]]) -> Prepare:
    """Calls in one transaction."""

    def prepare(schema: Schema) -> Prepared:
        prepared = [call(name, args, {})(schema) for name, args in calls]

        def result(values: Any) -> object:
            return [one.read(value) for one, value in zip(prepared, values, strict=True)]

        return Prepared(([one.rest for one in prepared],), result, False)

    return prepare


def get(table: str, key: object) -> Prepare:
    """A row by key."""

    def prepare(schema: Schema) -> Prepared:
        found = _table(schema, table)
        rows = found.rows

        def result(row: Any) -> object:
            return None if row is None else rows.row(row)

        return Prepared((table, found.key(key)), result, True)

    return prepare


def count(table: str) -> Prepare:
    """How many rows a table has."""
    return lambda schema: Prepared((_table(schema, table).table.name,), int, True)


def scan(table: str, options: Mapping[str, Any]) -> Prepare:
    """Rows of a range, as many as one answer may have."""

    def prepare(schema: Schema) -> Prepared:
        found = _table(schema, table)
        rows = found.rows
        given = {name: value for name, value in options.items() if value not in (None, False)}
        for bound in ("lower", "upper"):
            given.pop(bound, None)
            value = found.bound(options.get("index"), options.get(bound))
            if value is not None:
                given[bound] = value
        found.scanned(options.get("index"))
        return Prepared((table, given), lambda answered: [rows.row(row) for row in answered], True)

    return prepare


def write(how: str, table: str, rows: Iterable[Any]) -> Prepare:
    """Rows to insert, update or upsert, or keys to delete; the answer is keys, or how many."""
    rows = list(rows)

    def prepare(schema: Schema) -> Prepared:
        found = _table(schema, table)
        if how == "delete":
            return Prepared((how, table, [found.key(key) for key in rows]), int, False)
        several = len(rows) > 1
        given = [found.row(row, i if several else None) for i, row in enumerate(rows)]
        read = int if how != "insert" else lambda keys: [found.read_key(key) for key in keys]
        return Prepared((how, table, given), read, False)

    return prepare


def subscribe(table: str, since: Position | None) -> Prepare:
    """A subscription; the answer describes the table."""
    if since is not None and not (isinstance(since, tuple) and len(since) == 2):
        raise RequestError(f"since is {since!r:.60}", hint="a reifydb.Position")
    options = {} if since is None else {"since": list(since)}
    return lambda _: Prepared((table, options), _itself, True)


def unsubscribe(subscription: int) -> Prepare:
    """The end of a subscription."""
    return lambda _: Prepared((subscription,), _itself, True)


def ping() -> Prepare:
    """The answer is the position and the durable lsn."""
    return lambda _: Prepared((), _itself, True)


def _itself(value: Any) -> object:
    return value


def _table(schema: Schema, name: str) -> Any:
    found = schema.tables.get(name)
    if found is None:
        raise UnknownNameError("table", str(name), schema.tables)
    return found
