"""Queries of a client: what is sent for their parameters, and their answers.

A client does not know of what types parameters are, so it sends them as in JSON (docs/wire.md,
"Queries"), and the server refuses what is not of its type.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from reifydb.client.requests import Prepare, Prepared
from reifydb.client.schema import Schema, column_of
from reifydb.database.rows import Rows, Values
from reifydb.database.sources import is_select
from reifydb.database.wire_rows import read, readers
from reifydb.engine.json_values import JSON_NULL, json_bytes, json_value
from reifydb.engine.misfit import MisfitError
from reifydb.engine.values import timestamp_slot
from reifydb.errors import RequestError, WrongTypeError
from reifydb.wire.dialects import wrapped_json


def query(sql: str, params: Values | None) -> Prepare:
    """A query; the answer is `Rows`."""
    rest = [sql] if params is None else [sql, _written(params)]
    return lambda _: Prepared(rest, _rows, True)


def followed(what: str, params: Values | None) -> object:
    """What `subscribe` is sent: a table's name, or a select with its parameters."""
    if not is_select(what):
        if params:
            raise RequestError("a table has no parameters", hint="select … from … where … = :name")
        return what
    return {"query": what} if params is None else {"query": what, "params": _written(params)}


def _rows(_: Schema, answer: Any) -> Rows:
    columns = tuple(map(column_of, answer["columns"]))
    found = readers(columns)
    return Rows(columns, [tuple(read(row, found)) for row in answer["rows"]])


def _written(params: Values) -> Any:
    if isinstance(params, Mapping):
        return {str(name): _value(value, f":{name}") for name, value in params.items()}
    if isinstance(params, str | bytes) or not isinstance(params, Sequence):
        kind = type(params).__name__
        raise RequestError(f"parameters are a mapping or a sequence, not a {kind}")
    return [_value(value, f"${i}") for i, value in enumerate(params, 1)]


def _value(value: object, name: str) -> Any:
    try:
        match value:
            case datetime():
                return timestamp_slot(value)
            case Decimal():
                return format(value, "f")
            case UUID():
                return value.bytes
            case dict() | list() | tuple():
                return wrapped_json(json_value(json_bytes(value)))
    except MisfitError as error:
        raise WrongTypeError(f"parameter {name}: expected {error.expected}") from None
    return wrapped_json(value) if value is JSON_NULL else value
