"""The aiohttp application: which path leads to which handler, and what becomes of errors."""

from __future__ import annotations

import json
import logging
from collections.abc import Awaitable, Callable

from aiohttp import web

from reifydb.config import body_bytes_max
from reifydb.errors import ReifyDBError
from reifydb.gateway.server import Server
from reifydb.gateway.websocket import SERVER, websocket
from reifydb.wire.problems import problem_of

_LOG = logging.getLogger("reifydb.gateway")

PROBLEM_TYPE = "application/problem+json"


@web.middleware
async def _problems(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    """Errors become problems (RFC 9457); what is not ours is logged and not told."""
    try:
        return await handler(request)
    except web.HTTPException:
        raise
    except ReifyDBError as error:
        problem = problem_of(error, instance=request.path)
    except Exception as error:
        _LOG.exception("%s %s failed", request.method, request.path)
        problem = problem_of(error, instance=request.path)
    headers = {}
    if problem["status"] in (429, 503):
        headers["Retry-After"] = str(max(1, round(problem.get("retry_after_s", 1))))
    if problem["status"] == 401:
        headers["WWW-Authenticate"] = "Bearer"
    return web.Response(
        body=json.dumps(problem, ensure_ascii=False).encode(),
        status=problem["status"],
        content_type=PROBLEM_TYPE,
        headers=headers,
    )


def make_app(server: Server) -> web.Application:
    """The application of a server."""
    app = web.Application(middlewares=[_problems], client_max_size=body_bytes_max)
    app[SERVER] = server
    app.router.add_get("/v1/ws", websocket)
    return app
