"""`/v1/tables`: what tables there are, their rows a page at a time, single rows by key."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any

from aiohttp import web

from reifydb.database.transaction import Transaction
from reifydb.engine.values import default_value
from reifydb.errors import NotFoundError, RequestError
from reifydb.gateway.http.answers import answer, headers
from reifydb.gateway.http.bodies import body_of
from reifydb.gateway.http.etags import Precondition, etag_of
from reifydb.gateway.http.exchange import Exchange
from reifydb.gateway.http.keys import path_key
from reifydb.gateway.http.paging import PARAMETERS, Paging
from reifydb.gateway.shapes import TableShape

Row = Mapping[str, object]


async def tables(request: web.Request) -> web.Response:
    """The tables that the client may use, with the number of their rows and what they take."""
    exchange = Exchange(request)
    shapes = exchange.server.service.shapes
    found = await exchange.ask("look", lambda: shapes.tables(exchange.session))
    return answer(exchange, {"tables": found})


async def rows(request: web.Request) -> web.Response:
    """A page of a table's rows."""
    exchange, shape = _begin(request, "read", PARAMETERS)
    paging = Paging(request, shape)
    db, dialect = exchange.server.db, exchange.form.dialect

    def look() -> dict[str, Any]:
        page, cursor = paging.page(db)
        return {"rows": [shape.named_row(dialect, row) for row in page], "next": cursor}

    return answer(exchange, await exchange.ask("look", look))


async def insert(request: web.Request) -> web.Response:
    """Inserts a row, or several in an array: all of them or none. Answers with their keys."""
    exchange, shape = _begin(request, "write")
    async with body_of(request) as body:
        given = exchange.read(body)
        several = given if isinstance(given, list) else [given]
        keys = await exchange.ask("write", "insert", shape.handle.name, several)
    found = {"keys": keys, "lsn": exchange.lsn, "incarnation": exchange.server.db.incarnation}
    return answer(exchange, found, status=201)


async def get(request: web.Request) -> web.Response:
    """A row; 304 when the client has it already."""
    exchange, shape = _begin(request, "read")
    key, precondition = path_key(request, shape), Precondition(request)
    db = exchange.server.db
    row: Row | None = await exchange.ask("look", lambda: db.get(shape.handle.name, key))
    if row is None:
        raise _missing(shape, key)
    if precondition.unchanged(etag_of(shape.handle, row)):
        return web.Response(status=304, headers=headers(exchange) | _etag(shape, row))
    return _row_answer(exchange, shape, row)


async def put(request: web.Request) -> web.Response:
    """Makes a row what the body says: columns that it leaves out get their defaults."""
    exchange, shape = _begin(request, "write")
    key, given = path_key(request, shape), await _given(exchange, shape)
    table, auto = shape.handle.table, shape.handle.auto
    row = {
        column.name: given.get(column.name, default_value(column))
        for column in table.columns
        if column.name != auto or column.name in given
    } | given
    return await _write(exchange, shape, key, lambda tx: tx.upsert(table.name, row))


async def patch(request: web.Request) -> web.Response:
    """Sets the columns that the body has, and leaves the others."""
    exchange, shape = _begin(request, "write")
    key, row = path_key(request, shape), await _given(exchange, shape)
    return await _write(
        exchange, shape, key, lambda tx: tx.update(shape.handle.name, row), there=True
    )


async def delete(request: web.Request) -> web.Response:
    """Deletes a row."""
    exchange, shape = _begin(request, "write")
    key, precondition = path_key(request, shape), Precondition(request)
    name = shape.handle.name

    def change(tx: Transaction) -> None:
        there = tx.get(name, key)
        precondition.check(None if there is None else etag_of(shape.handle, there))
        if there is None:
            raise _missing(shape, key)
        tx.delete(name, key)

    await exchange.ask("change", change)
    return web.Response(status=204, headers=headers(exchange))


# ------------------------------------------------------------------ what they share


def _begin(
    request: web.Request, capability: str, parameters: Collection[str] = ("ack",)
) -> tuple[Exchange, TableShape]:
    exchange = Exchange(request, parameters)
    name = request.match_info["table"]
    exchange.grant.require(capability, name)
    return exchange, exchange.server.service.shapes.table(name)


async def _given(exchange: Exchange, shape: TableShape) -> dict[str, Any]:
    """The row in the body, with the key of the path."""
    request = exchange.request
    async with body_of(request) as body:
        given = shape.given(exchange.form.dialect, exchange.read(body))
    key = zip(shape.handle.key_names, path_key(request, shape), strict=True)
    for name, value in key:
        if given.setdefault(name, value) != value:
            raise RequestError(f"column {name} is {given[name]!r:.40} here, but not in the path")
    return given


async def _write(
    exchange: Exchange,
    shape: TableShape,
    key: tuple[Any, ...],
    write: Callable[[Transaction], None],
    *,
    there: bool = False,
) -> web.Response:
    """Checks and writes, in one transaction; answers with the row as it is then."""
    name, precondition = shape.handle.name, Precondition(exchange.request)

    def change(tx: Transaction) -> tuple[bool, Row | None]:
        before = tx.get(name, key)
        precondition.check(None if before is None else etag_of(shape.handle, before))
        if before is None and there:
            raise _missing(shape, key)
        write(tx)
        return before is None, tx.get(name, key)

    is_new, after = await exchange.ask("change", change)
    assert after is not None
    return _row_answer(exchange, shape, after, status=201 if is_new else 200)


def _row_answer(
    exchange: Exchange, shape: TableShape, row: Row, *, status: int = 200
) -> web.Response:
    found = answer(exchange, shape.named_row(exchange.form.dialect, row), status=status)
    found.headers.update(_etag(shape, row))
    return found


def _etag(shape: TableShape, row: Row) -> dict[str, str]:
    return {"ETag": f'"{etag_of(shape.handle, row)}"', "Vary": "Accept"}


def _missing(shape: TableShape, key: tuple[Any, ...]) -> NotFoundError:
    shown = key[0] if len(key) == 1 else key
    return NotFoundError(f"table {shape.handle.name} has no row {shown!r:.100}")
