"""`GET /openapi.json`: OpenAPI 3.1 of what a client may do, made from the catalog as it is now."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from aiohttp import web

import reifydb
from reifydb.database.transitions import WasmTransition
from reifydb.engine.catalog import Column, Table, Type
from reifydb.gateway.http.answers import answer
from reifydb.gateway.http.exchange import Exchange
from reifydb.gateway.server import Server
from reifydb.gateway.session import Session

Json = dict[str, Any]

PLAIN: dict[Type, Json] = {
    Type.BOOL: {"type": "boolean"},
    Type.INT: {
        "oneOf": [
            {"type": "integer", "format": "int64"},
            {"type": "string", "pattern": "^-?[0-9]{1,19}$"},
        ],
        "description": "Beyond ±2^53 it is answered as a string.",
    },
    Type.FLOAT: {"type": "number", "format": "double"},
    Type.TEXT: {"type": "string"},
    Type.BYTES: {"type": "string", "contentEncoding": "base64"},
    Type.TIMESTAMP: {
        "oneOf": [
            {"type": "string", "format": "date-time"},
            {"type": "integer", "format": "int64", "description": "Microseconds since 1970."},
        ]
    },
    Type.DECIMAL: {"type": "string", "pattern": r"^-?[0-9]+(\.[0-9]+)?$"},
    Type.UUID: {"type": "string", "format": "uuid"},
    Type.JSON: {
        "description": "Any JSON value; its null, and an object whose only key is $json, are "
        'wrapped: {"$json": null}.'
    },
}


async def openapi(request: web.Request) -> web.Response:
    """The description, for this client."""
    exchange = Exchange(request)
    server, session = exchange.server, exchange.session
    return answer(exchange, await exchange.ask("look", lambda: describe(server, session)))


def describe(server: Server, session: Session) -> Json:
    """The description of what a session may do. O(tables + transitions)."""
    db = server.db
    paths = dict(_FIXED)
    for name, handle in sorted(db._transitions.items()):
        if isinstance(handle, WasmTransition) and session.may("call", name):
            paths[f"/v1/call/{name}"] = {"post": _call(handle)}
    schemas: Json = {"problem": _PROBLEM}
    if session.grant is not None and session.grant.may_some("read"):
        paths["/v1/query"] = {"post": _QUERY}
    if session.grant is not None and session.grant.may_some("subscribe"):
        paths["/v1/events"] = {"get": _EVENTS}
    for name, table in sorted(db.tables.items()):
        operations = _table(table, session)
        if any(operations.values()):
            schemas[f"table.{name}"] = row_schema(table.columns)
            keys = "/".join(f"{{{column.name}}}" for column in table.key_columns)
            paths[f"/v1/tables/{name}"] = operations["rows"]
            paths[f"/v1/tables/{name}/{keys}"] = operations["row"]
    return {
        "openapi": "3.1.0",
        "info": {"title": "ReifyDB", "version": reifydb.__version__},
        "paths": {path: operations for path, operations in paths.items() if operations},
        "components": {
            "schemas": schemas,
            "responses": {
                "problem": {
                    "description": "It was refused, or failed.",
                    "content": {"application/problem+json": {"schema": _ref("schemas", "problem")}},
                }
            },
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
        "security": [{"token": []}, {}],
    }


def column_schema(column: Column) -> Json:
    """The JSON Schema of a column's values."""
    found = dict(PLAIN[column.type])
    if column.type is Type.DECIMAL:
        found["description"] = column.sql_type
    if column.nullable and column.type is not Type.JSON:
        return {"anyOf": [found, {"type": "null"}]}
    return found


def row_schema(columns: Sequence[Column]) -> Json:
    """The JSON Schema of a row as an object."""
    return {
        "type": "object",
        "properties": {column.name: column_schema(column) for column in columns},
        "additionalProperties": False,
    }


# ------------------------------------------------------------------ transitions


def _call(handle: WasmTransition) -> Json:
    transition = handle.transition
    by_position = {
        "type": "array",
        "prefixItems": [column_schema(column) for column in transition.params],
        "items": False,
        "minItems": len(transition.params),
    }
    by_name = row_schema(transition.params) | {
        "required": [column.name for column in transition.params]
    }
    value: Json = {"type": "null"}
    if transition.result_is_row:
        value = {
            "type": "array",
            "prefixItems": [column_schema(column) for column in transition.result],
            "description": ", ".join(column.name for column in transition.result),
        }
    elif transition.result:
        value = column_schema(transition.result[0])
    return {
        "operationId": f"call.{handle.name}",
        "summary": f"{handle.name}{handle.params.signature}",
        "tags": [transition.module],
        "parameters": [_ACK],
        "requestBody": _body({"oneOf": [by_position, by_name]}),
        "responses": _responses(
            {
                "type": "object",
                "required": ["value", "lsn", "incarnation"],
                "properties": {"value": value, "lsn": _INTEGER, "incarnation": _INTEGER},
            }
        ),
    }


# ------------------------------------------------------------------ tables


def _table(table: Table, session: Session) -> dict[str, Json]:
    reads, writes = session.may("read", table.name), session.may("write", table.name)
    writes = writes and not table.derived
    row = _ref("schemas", f"table.{table.name}")
    page = {
        "type": "object",
        "required": ["rows", "next"],
        "properties": {
            "rows": {"type": "array", "items": row},
            "next": {"type": ["string", "null"], "description": "The next page's `cursor`."},
        },
    }
    rows: Json = {}
    one: Json = {}
    if reads:
        rows["get"] = _operation(table, "scan", page, parameters=_paging(table))
        one["get"] = _operation(table, "get", row, parameters=[_IF_NONE_MATCH])
    if writes:
        several = {"oneOf": [row, {"type": "array", "items": row}]}
        keys = {"type": "object", "properties": {"keys": {"type": "array"}, "lsn": _INTEGER}}
        rows["post"] = _operation(table, "insert", keys, body=several, status="201")
        one["put"] = _operation(table, "put", row, body=row, parameters=[_IF_MATCH])
        one["patch"] = _operation(table, "patch", row, body=row, parameters=[_IF_MATCH])
        one["delete"] = _operation(table, "delete", None, parameters=[_IF_MATCH], status="204")
    if one:
        one["parameters"] = [
            {
                "name": column.name,
                "in": "path",
                "required": True,
                "schema": column_schema(column),
            }
            for column in table.key_columns
        ]
    return {"rows": rows, "row": one}


def _operation(
    table: Table,
    what: str,
    result: Json | None,
    *,
    parameters: Sequence[Json] = (),
    body: Json | None = None,
    status: str = "200",
) -> Json:
    found: Json = {
        "operationId": f"{what}.{table.name}",
        "tags": [table.name],
        "parameters": [_ACK, *parameters],
        "responses": _responses(result, status),
    }
    if body is not None:
        found["requestBody"] = _body(body)
    return found


def _paging(table: Table) -> list[Json]:
    index: Json = {"type": "string"}
    if table.indexes:
        index["enum"] = [i.name for i in table.indexes]
    flag: Json = {"type": "boolean"}
    text: Json = {"type": "string"}
    return [
        _parameter("index", index, "The order; without it, that of the primary key."),
        _parameter("lower", text, "A value, or several in a JSON array."),
        _parameter("upper", text, "A value, or several in a JSON array."),
        _parameter("lower_exclusive", flag, "`lower` itself is left out."),
        _parameter("upper_exclusive", flag, "`upper` itself is left out."),
        _parameter("reverse", flag, "From the end."),
        _parameter("limit", _INTEGER, "Rows of a page."),
        _parameter("cursor", text, "`next` of the page before."),
    ]


# ------------------------------------------------------------------ pieces


def _ref(kind: str, name: str) -> Json:
    return {"$ref": f"#/components/{kind}/{name}"}


def _parameter(name: str, schema: Json, about: str, *, where: str = "query") -> Json:
    return {"name": name, "in": where, "required": False, "schema": schema, "description": about}


def _body(schema: Json) -> Json:
    return {"content": {"application/json": {"schema": schema}}}


def _responses(result: Json | None, status: str = "200") -> Json:
    done: Json = {"description": "Done."}
    if result is not None:
        done |= _body(result)
    return {status: done, "default": _ref("responses", "problem")}


_INTEGER: Json = {"type": "integer"}
_ACK = _parameter(
    "ack",
    {"type": "string", "enum": ["durable", "committed"], "default": "durable"},
    "What an answer waits for.",
)
_IF_MATCH = _parameter("If-Match", {"type": "string"}, "The row's ETag, or *.", where="header")
_IF_NONE_MATCH = _parameter(
    "If-None-Match", {"type": "string"}, "ETag that is known.", where="header"
)

_PROBLEM: Json = {
    "type": "object",
    "description": "RFC 9457; `code` is stable.",
    "required": ["type", "title", "status", "detail", "code", "retryable"],
    "properties": {
        "type": {"type": "string", "format": "uri"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "code": {"type": "string"},
        "hint": {"type": "string"},
        "retryable": {"type": "boolean"},
        "abort_code": {"type": "integer"},
        "abort_message": {"type": "string"},
    },
}


def _fixed(what: str, about: str, *, content_type: str | None = None) -> Json:
    found: Json = {"operationId": what, "summary": about, "responses": _responses(None)}
    if content_type is not None:
        found["requestBody"] = {"content": {content_type: {}}}
    return found


_QUERY: Json = {
    "operationId": "query",
    "summary": "The answer to a `select`.",
    "parameters": [_ACK],
    "requestBody": _body(
        {
            "type": "object",
            "required": ["sql"],
            "properties": {
                "sql": {"type": "string"},
                "params": {
                    "oneOf": [{"type": "object"}, {"type": "array"}],
                    "description": "Values of `:name`, or of `?` and `$1`.",
                },
            },
            "additionalProperties": False,
        }
    ),
    "responses": _responses(
        {
            "type": "object",
            "required": ["columns", "rows"],
            "properties": {
                "columns": {
                    "type": "array",
                    "items": {
                        "type": "object",
                        "required": ["name", "type", "nullable"],
                        "properties": {
                            "name": {"type": "string"},
                            "type": {"type": "string"},
                            "nullable": {"type": "boolean"},
                        },
                    },
                },
                "rows": {"type": "array", "items": {"type": "array"}},
            },
        }
    ),
}

_EVENTS: Json = {
    "operationId": "events",
    "summary": "A table, then what each commit changes in it.",
    "parameters": [
        _ACK,
        _parameter("table", {"type": "string"}, "A table or a view.") | {"required": True},
        _parameter("since", {"type": "string"}, "A position to go on from: incarnation-lsn."),
        _parameter("Last-Event-ID", {"type": "string"}, "The same, of a browser.", where="header"),
    ],
    "responses": {
        "200": {"description": "Events.", "content": {"text/event-stream": {}}},
        "default": _ref("responses", "problem"),
    },
}

_TOKEN = {"name": "token", "in": "path", "required": True, "schema": {"type": "string"}}
_MODULE = {"name": "module", "in": "path", "required": True, "schema": {"type": "string"}}

_FIXED: Json = {
    "/v1/batch": {
        "post": _fixed("batch", "Several calls.", content_type="application/json"),
    },
    "/v1/tables": {"get": _fixed("tables", "The tables.")},
    "/v1/schema": {
        "get": _fixed("schema", "Tables, views and transitions."),
        "post": _fixed("change_schema", "Runs SQL.", content_type="application/sql"),
    },
    "/v1/modules": {"get": _fixed("modules", "The installed modules.")},
    "/v1/modules/{module}": {
        "put": _fixed("install", "Installs a module.", content_type="application/wasm"),
        "delete": _fixed("remove", "Removes a module."),
        "parameters": [_MODULE],
    },
    "/v1/tokens": {
        "get": _fixed("tokens", "Who may use the server."),
        "post": _fixed("make_token", "Makes a token.", content_type="application/json"),
    },
    "/v1/tokens/{token}": {
        "delete": _fixed("revoke_token", "Takes a token away."),
        "parameters": [_TOKEN],
    },
    "/v1/logs": {"get": _fixed("logs", "Lines that guests have logged.")},
    "/livez": {"get": _fixed("livez", "The server runs.")},
    "/readyz": {"get": _fixed("readyz", "The server serves.")},
    "/metrics": {"get": _fixed("metrics", "For Prometheus.")},
}
