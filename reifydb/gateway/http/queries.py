"""`POST /v1/query`: the answer to a `select`."""

from __future__ import annotations

from aiohttp import web

from reifydb.errors import RequestError
from reifydb.gateway.http.answers import answer
from reifydb.gateway.http.bodies import body_of
from reifydb.gateway.http.exchange import Exchange
from reifydb.gateway.options import check_names

_SHAPE = '{"sql": "select …", "params": {"name": 1}}, or "params": [1]'


async def query(request: web.Request) -> web.Response:
    """Answers a query: its columns, and the rows as arrays."""
    exchange = Exchange(request)
    async with body_of(request) as body:
        given = exchange.read(body)
        if not isinstance(given, dict):
            raise RequestError("a query is an object", hint=_SHAPE)
        check_names(given, ("sql", "params"), "part of a query:")
        found = await exchange.ask("query", given.get("sql"), given.get("params"))
    return answer(exchange, found)
