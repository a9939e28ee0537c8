"""What happens to every HTTP request before and behind its handler: web origins, admission, errors
as problems (RFC 9457), counting.
"""

from __future__ import annotations

import logging
from typing import Any

from aiohttp import web
from aiohttp.typedefs import Handler

from reifydb.errors import ReifyDBError, RequestError, UnknownNameError
from reifydb.gateway.http.answers import INCARNATION, LSN, mark_problem, problem_answer
from reifydb.gateway.http.bodies import too_long
from reifydb.gateway.http.exchange import ProblemError
from reifydb.gateway.http.forms import JSON, form_of_answer
from reifydb.gateway.websocket import SERVER, SERVER_NAME
from reifydb.wire.problems import problem_of

_LOG = logging.getLogger("reifydb.gateway")

UNCONDITIONAL = frozenset({"/livez", "/readyz", "/metrics", "/v1/ws"})
"""Paths without admission: whoever asks how the server is has to know it, above all when it has too
much to do. Connections are limited in another way."""

ALLOWED_METHODS = "GET, POST, PUT, PATCH, DELETE"
ALLOWED_HEADERS = (
    "Authorization, Content-Type, Accept, If-Match, If-None-Match, Prefer, Last-Event-ID"
)
EXPOSED_HEADERS = f"ETag, {LSN}, {INCARNATION}, Server-Timing, Retry-After, Preference-Applied"
PREFLIGHT_S = 600


@web.middleware
async def edge(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Serves a request, whatever becomes of it."""
    server = request.app[SERVER]
    service = server.service
    loop = service._loop
    started = loop.time()
    try:
        response = await _served(request, handler)
    except ConnectionError:
        raise
    except Exception as error:
        if request.writer.output_size:  # too late for another answer
            _LOG.error("%s %s failed half-way", request.method, request.path, exc_info=error)
            raise ConnectionError("the answer had begun") from None
        form = JSON if request.path == "/v1/ws" else form_of_answer(request)
        response = problem_answer(form, _problem(request, error), request.path)
        lsn = error.lsn if isinstance(error, ProblemError) else None
        mark_problem(response, (loop.time() - started) * 1000, lsn, service.db.incarnation)
        if isinstance(error, web.HTTPMethodNotAllowed):
            response.headers["Allow"] = error.headers["Allow"]
    if response.prepared:  # a WebSocket, or a stream: how long it lasted says nothing
        return response
    response.headers.setdefault("Server", SERVER_NAME)
    if "Origin" in request.headers:
        mark_origin(request, response)
    resource = request.match_info.route.resource
    route = "none" if resource is None else resource.canonical
    method = request.method if request.method in _METHODS else "other"
    service.metrics.answered(method, route, response.status, loop.time() - started)
    return response


_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


async def _served(request: web.Request, handler: Handler) -> web.StreamResponse:
    server = request.app[SERVER]
    if "Origin" in request.headers:
        server.check_origin(request.headers["Origin"])
        if request.method == "OPTIONS" and "Access-Control-Request-Method" in request.headers:
            return _preflight()
    if request.path not in UNCONDITIONAL:
        server.count(None, request.remote)
        server.service.admit()
    return await handler(request)


def _preflight() -> web.Response:
    return web.Response(
        status=204,
        headers={
            "Access-Control-Allow-Methods": ALLOWED_METHODS,
            "Access-Control-Allow-Headers": ALLOWED_HEADERS,
            "Access-Control-Max-Age": str(PREFLIGHT_S),
        },
    )


def mark_origin(request: web.Request, response: web.StreamResponse) -> None:
    """Before an answer begins: pages of allowed origins may read it."""
    origin = request.headers["Origin"]
    if origin in request.app[SERVER].settings.origins:
        response.headers["Access-Control-Allow-Origin"] = origin
        response.headers["Access-Control-Expose-Headers"] = EXPOSED_HEADERS
        response.headers.add("Vary", "Origin")


def _problem(request: web.Request, error: Exception) -> dict[str, Any]:
    """What a client is told of an error. What is not ours is logged and not told."""
    if isinstance(error, ProblemError):
        return error.problem
    if isinstance(error, ReifyDBError):
        return problem_of(error)
    if isinstance(error, web.HTTPException):
        return _of_aiohttp(request, error)
    _LOG.error("%s %s failed", request.method, request.path, exc_info=error)
    return problem_of(error)


def _of_aiohttp(request: web.Request, error: web.HTTPException) -> dict[str, Any]:
    if isinstance(error, web.HTTPNotFound):
        routes = {
            resource.canonical for resource in request.app.router.resources() if resource.canonical
        }
        return problem_of(UnknownNameError("path", request.path[:200], routes))
    if isinstance(error, web.HTTPMethodNotAllowed):
        allowed = ", ".join(sorted(error.allowed_methods))
        said = RequestError(f"{request.method:.20} is not for this path", hint=allowed)
        return problem_of(said, status=405, title="Not for this path")
    if isinstance(error, web.HTTPRequestEntityTooLarge):
        return problem_of(too_long())
    return problem_of(RequestError(error.reason), status=error.status)
