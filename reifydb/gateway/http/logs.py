"""`GET /v1/logs`: what guests have logged, and with `follow` what they log from now on."""

from __future__ import annotations

from collections.abc import Sequence

from aiohttp import web

from reifydb.gateway.guest_lines import GuestLine, level_of
from reifydb.gateway.http.answers import answer, headers
from reifydb.gateway.http.exchange import Exchange, flag
from reifydb.gateway.http.forms import JSON
from reifydb.gateway.http.middleware import mark_origin
from reifydb.gateway.websocket import SERVER_NAME

NDJSON = "application/x-ndjson"
PARAMETERS = ("follow", "level")


async def logs(request: web.Request) -> web.StreamResponse:
    """The lines that are kept; or as a stream, one JSON object a line, without end."""
    exchange = Exchange(request, PARAMETERS)
    exchange.grant.require("operations")
    lines, level = exchange.server.guest_lines, level_of(request.query.get("level"))
    exchange.lsn = exchange.server.db.lsn
    if not flag(request, "follow"):
        return answer(exchange, {"lines": [line.shown() for line in lines.since(0, level)]})
    with lines.reader():
        more = {"X-Accel-Buffering": "no", "Server": SERVER_NAME}  # nginx would gather them
        response = web.StreamResponse(headers=headers(exchange, NDJSON) | more)
        if "Origin" in request.headers:
            mark_origin(request, response)
        await response.prepare(request)
        async for found in lines.follow(level):
            if not exchange.still_allowed:
                break
            await response.write(_written(found))
        await response.write_eof()
        return response


def _written(lines: Sequence[GuestLine]) -> bytes:
    return b"".join(JSON.write(line.shown()) + b"\n" for line in lines)
