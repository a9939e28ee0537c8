"""`/v1/schema`: what there is, and changing it with SQL."""

from __future__ import annotations

from aiohttp import web

from reifydb.errors import RequestError
from reifydb.gateway.audit import Deed
from reifydb.gateway.http.answers import answer, headers
from reifydb.gateway.http.bodies import body_of
from reifydb.gateway.http.etags import Precondition
from reifydb.gateway.http.exchange import Exchange, flag
from reifydb.gateway.http.forms import form_of_body
from reifydb.gateway.http.long_work import durably

PARAMETERS = ("dry_run", "ack")
SQL_TYPES = ("application/sql", "text/plain")


async def schema(request: web.Request) -> web.Response:
    """The tables and transitions that the client may use."""
    exchange = Exchange(request)
    found = await exchange.ask("schema")
    etag = {"ETag": f'"{found["hash"]}"', "Vary": "Accept, Authorization"}
    if Precondition(request).unchanged(found["hash"]):
        return web.Response(status=304, headers=headers(exchange) | etag)
    response = answer(exchange, found)
    response.headers.update(etag)
    return response


async def change_schema(request: web.Request) -> web.Response:
    """Runs SQL that changes the schema, all statements or none; or says what that would do."""
    exchange = Exchange(request, PARAMETERS)
    exchange.grant.require("schema")
    async with body_of(request) as body:
        sql = _sql(exchange, body)
        db = exchange.server.db
        if flag(request, "dry_run"):
            plan = await exchange.server.thread.run(lambda: db.plan_schema(sql))
            exchange.lsn = db.lsn
            return answer(exchange, plan.described())
        await durably(exchange, Deed("schema.change", {"sql": sql}), lambda: db.execute(sql))
    return answer(exchange, await exchange.ask("schema"))


def _sql(exchange: Exchange, body: bytes) -> str:
    """The statements in a body: itself, or under `sql`.

    Raises:
        RequestError: There are none.
    """
    content_type = exchange.request.content_type
    if content_type in SQL_TYPES:
        try:
            return body.decode()
        except UnicodeDecodeError as error:
            raise RequestError(f"not UTF-8: {error}") from None
    given = form_of_body(exchange.request).read(body)
    sql = given.get("sql") if isinstance(given, dict) else None
    if not isinstance(sql, str):
        raise RequestError("there is no SQL", hint='{"sql": "create table …"}, or application/sql')
    return sql
