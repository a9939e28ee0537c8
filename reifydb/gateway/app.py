"""The aiohttp application: its routes, and what every request passes through."""

from __future__ import annotations

from aiohttp import web

from reifydb.config import body_bytes_max
from reifydb.gateway.http.middleware import edge
from reifydb.gateway.http.routes import ROUTES
from reifydb.gateway.server import Server
from reifydb.gateway.websocket import SERVER, websocket


def make_app(server: Server) -> web.Application:
    """The application of a server."""
    app = web.Application(middlewares=[edge], client_max_size=body_bytes_max)
    app[SERVER] = server
    app.router.add_get("/v1/ws", websocket)
    app.router.add_routes(ROUTES)
    return app
