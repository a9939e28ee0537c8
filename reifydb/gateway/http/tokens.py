"""`/v1/tokens`: who may use the server, changed while it runs."""

from __future__ import annotations

from aiohttp import web

from reifydb.errors import RequestError
from reifydb.gateway.audit import Deed
from reifydb.gateway.http.answers import answer, headers
from reifydb.gateway.http.bodies import body_of
from reifydb.gateway.http.exchange import Exchange
from reifydb.gateway.http.long_work import durably
from reifydb.gateway.options import options_of

_SHAPE = '{"name": "app", "capabilities": ["read"], "days": 30}; days may be left out'


async def tokens(request: web.Request) -> web.Response:
    """All tokens but themselves: they are not kept."""
    exchange = _begin(request)
    found = await exchange.ask("look", exchange.server.tokens.list)
    return answer(exchange, {"tokens": [token.shown() for token in found]})


async def make(request: web.Request) -> web.Response:
    """Makes a token. Its maker may not grant what it may not do itself."""
    exchange = _begin(request)
    async with body_of(request) as body:
        given = options_of(exchange.read(body), ("name", "capabilities", "days"), "a token", _SHAPE)
    name, capabilities, days = given.get("name"), given.get("capabilities"), given.get("days")
    if not isinstance(name, str) or not isinstance(capabilities, list):
        raise RequestError("a token has a name and capabilities", hint=_SHAPE)
    if days is not None and (isinstance(days, bool) or not isinstance(days, int | float)):
        raise RequestError("days are a number", hint=_SHAPE)
    for capability in capabilities:
        if not isinstance(capability, str):
            raise RequestError("a capability is a string", hint=_SHAPE)
        exchange.grant.require_all_of(capability)
    server = exchange.server
    deed = Deed("token.make", {"name": name, "capabilities": capabilities})
    made = await durably(exchange, deed, lambda: server.tokens.make(name, capabilities, days=days))
    server.check_connections()
    [token] = [known for known in server.tokens.list() if known.name == name]
    return answer(exchange, {"token": made} | token.shown(), status=201)


async def revoke(request: web.Request) -> web.Response:
    """Takes a token away; whoever is connected with it is closed."""
    exchange = _begin(request)
    name, server = request.match_info["token"], exchange.server
    await durably(
        exchange, Deed("token.revoke", {"name": name}), lambda: server.tokens.remove(name)
    )
    server.check_connections()
    return web.Response(status=204, headers=headers(exchange))


def _begin(request: web.Request) -> Exchange:
    exchange = Exchange(request)
    exchange.grant.require("operations")
    return exchange
