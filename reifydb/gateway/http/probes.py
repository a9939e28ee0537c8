"""`/livez`, `/readyz` and `/metrics`: for whoever runs the server. The probes need no token, and
say nothing of the data.
"""

from __future__ import annotations

from typing import Any

from aiohttp import web

from reifydb.errors import ReifyDBError
from reifydb.gateway.exposition import exposition
from reifydb.gateway.http.exchange import caller
from reifydb.gateway.http.forms import JSON
from reifydb.gateway.server import Server
from reifydb.gateway.websocket import SERVER

PROMETHEUS = "text/plain; version=0.0.4; charset=utf-8"


async def livez(request: web.Request) -> web.Response:
    """The event loop runs. Does not look at the disk: a restart would not mend it."""
    del request
    return _said(200, {"status": "live"})


async def readyz(request: web.Request) -> web.Response:
    """Whether requests are served, writes included; 503 and why, when they are not."""
    reason = _reason(request.app[SERVER])
    if reason is None:
        return _said(200, {"status": "ready"})
    return _said(503, {"status": "not ready", "reason": reason})


def _reason(server: Server) -> str | None:
    if server.service.draining:
        return "draining"
    try:
        server.db._check_open()
        server.db._log.check()
    except ReifyDBError as error:
        return error.code
    return None


def _said(status: int, content: dict[str, Any]) -> web.Response:
    return web.Response(
        body=JSON.write(content),
        status=status,
        headers={"Content-Type": JSON.content_type, "Cache-Control": "no-store"},
    )


async def metrics(request: web.Request) -> web.Response:
    """What Prometheus reads."""
    server = request.app[SERVER]
    caller(server, request.headers).require("operations")
    body = exposition(server).encode()
    return web.Response(body=body, headers={"Content-Type": PROMETHEUS})
