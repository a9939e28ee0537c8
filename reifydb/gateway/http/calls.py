"""`POST /v1/call/{transition}` and `POST /v1/batch`."""

from __future__ import annotations

from typing import Any

from aiohttp import web

from reifydb.config import frame_messages_max
from reifydb.errors import LimitError, RequestError
from reifydb.gateway.http.answers import answer, headers
from reifydb.gateway.http.bodies import body_of
from reifydb.gateway.http.exchange import Exchange


async def call(request: web.Request) -> web.Response:
    """Calls a transition. An empty body is no arguments."""
    exchange = Exchange(request)
    async with body_of(request) as body:
        args = exchange.read(body) if body else []
        value = await exchange.ask("call", request.match_info["transition"], args, None)
    form, incarnation = exchange.form, exchange.server.db.incarnation
    return web.Response(
        body=form.write_outcome(value, exchange.lsn, incarnation),
        headers=headers(exchange, form.content_type),
    )


async def batch(request: web.Request) -> web.Response:
    """Several calls: each a transaction of its own (`calls`), or all of them one (`group`)."""
    exchange = Exchange(request)
    async with body_of(request) as body:
        given = exchange.read(body)
        if not isinstance(given, dict) or len(given) != 1 or not given.keys() <= _KINDS:
            raise RequestError('a batch is {"calls": […]} or {"group": […]}', hint=_SHAPE)
        if "group" in given:
            found: dict[str, Any] = {"values": await exchange.ask("group", given["group"], None)}
            found["lsn"] = exchange.lsn
        else:
            found = {"outcomes": await _outcomes(exchange, given["calls"])}
    return answer(exchange, found | {"incarnation": exchange.server.db.incarnation})


_KINDS = {"calls", "group"}
_SHAPE = 'each call is [transition, arguments], as in ["bank.transfer", [1, 2, 10]]'


async def _outcomes(exchange: Exchange, calls: Any) -> list[dict[str, Any]]:
    """What became of each call."""
    if not isinstance(calls, list) or not calls:
        raise RequestError("calls are an array of one or more", hint=_SHAPE)
    if len(calls) > frame_messages_max:
        raise LimitError("too many calls", limit="frame_messages_max", value=frame_messages_max)
    if not all(isinstance(call, list) and len(call) == 2 for call in calls):
        raise RequestError("a call is malformed", hint=_SHAPE)
    exchange.server.count(exchange.grant, exchange.request.remote, len(calls) - 1)
    answers = await exchange.ask_all([("call", (*call, None)) for call in calls])
    outcomes = []
    for said, _, content, *lsn in answers:
        outcome = {"value" if said == "ok" else "error": content}
        if lsn:
            outcome["lsn"] = lsn[0]
            exchange.lsn = max(exchange.lsn, lsn[0])
        outcomes.append(outcome)
    return outcomes
