"""Queries of clients: what they may ask, their parameters, and the answer for the wire.

The client does not know of what types a query's parameters are, so they are written alike in both
dialects: as in JSON, but that msgpack has bytes of its own.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from typing import Any

from reifydb.config import answer_bytes_max, answer_rows_max, query_bytes_max
from reifydb.database import Database
from reifydb.database.queries import Prepared, Terms
from reifydb.database.rows import Rows, Values
from reifydb.database.sources import SelectSubject
from reifydb.engine.catalog import Column, Type
from reifydb.errors import ForbiddenError, LimitError, RequestError
from reifydb.gateway.options import options_of
from reifydb.gateway.session import Session
from reifydb.gateway.shapes import describe_column
from reifydb.wire.dialects import PLAIN, Converter, Dialect
from reifydb.wire.words import plain_word


def answer_of(db: Database, session: Session, sql: Any, params: Any) -> dict[str, Any]:
    """What a query is answered: columns, and rows as arrays in their order.

    Raises:
        ForbiddenError: It names a table or view that the client may not read.
        SqlError, ExpressionError: It is not a right one, or not for these rows.
        RequestError, WrongTypeError: Its parameters are not.
        LimitError: It is too long, or its answer is.
    """
    _check(sql)
    grant = session.grant
    if grant is None or not grant.may_some("read"):
        raise ForbiddenError("a query reads, which nothing allows here", capability="read")

    terms = Terms(
        lambda name: session.require("read", name),
        _values,
        ("answer_rows_max", answer_rows_max),
        ("answer_bytes_max", answer_bytes_max),
    )
    return written(db._query_on_terms(sql, params, terms), session.codec.dialect)


def select_of(db: Database, session: Session, what: Mapping[str, Any]) -> SelectSubject:
    """What a client subscribes to: `query`, and `params` for it. Its tables are named when it is
    first asked for.

    Raises:
        ForbiddenError: Nothing allows the client to subscribe.
        RequestError: It is none.
        LimitError: It is too long.
    """
    given = options_of(what, ("query", "params"), "what is subscribed to")
    _check(given.get("query"))
    grant = session.grant
    if grant is None or not grant.may_some("subscribe"):
        raise ForbiddenError("nothing allows to subscribe here", capability="subscribe")
    terms = Terms(lambda name: session.require("subscribe", name), _values)
    return SelectSubject(db, given["query"], given.get("params"), terms)


def _check(sql: Any) -> None:
    if not isinstance(sql, str):
        raise RequestError(f"a query is SQL in a string, not {sql!r:.40}")
    size = len(sql.encode("utf-8", "surrogatepass"))
    if size > query_bytes_max:
        said = f"the query has {size:,} bytes"
        raise LimitError(said, limit="query_bytes_max", value=query_bytes_max)


def whole_answer(db: Database, dialect: Dialect, sql: str, params: Any) -> dict[str, Any]:
    """The same for whoever has the database itself: with its own limits alone."""
    return written(db._query_on_terms(sql, params, Terms(lambda _: None, _values)), dialect)


def written(rows: Rows, dialect: Dialect) -> dict[str, Any]:
    """An answer in a dialect."""
    convert = Converter(rows.columns, dialect.writer)
    return {
        "columns": [describe_column(column) for column in rows.columns],
        "rows": [list(convert(values)) for values in rows.tuples],
    }


def _values(prepared: Prepared, given: object) -> Values | None:
    """Values of parameters as the database takes them."""
    columns = prepared.parameters
    if given is None:
        return None
    if isinstance(given, Mapping):
        known = {name: column for name, column in zip(prepared.names, columns, strict=True) if name}
        return {
            name: _value(value, known[name]) if name in known else value
            for name, value in given.items()
        }
    if isinstance(given, Sequence) and not isinstance(given, str | bytes):
        read = [_value(value, column) for value, column in zip(given, columns, strict=False)]
        return [*read, *given[len(read) :]]
    raise RequestError("parameters are an array, or an object by name")


def _value(value: Any, column: Column) -> Any:
    if value is None:
        return None
    if column.type is Type.BYTES and isinstance(value, bytes):
        value = base64.b64encode(value).decode()
    if isinstance(value, str) and column.type in (Type.BOOL, Type.FLOAT):
        return plain_word(value, column)  # of a command line, which does not know better
    read = PLAIN.reader(column)
    return value if read is None else read(value)
