"""`/v1/modules`: what is installed, installing and removing."""

from __future__ import annotations

import hashlib
from collections.abc import Collection
from dataclasses import asdict
from typing import Any

from aiohttp import web

from reifydb.database.modules import Module
from reifydb.errors import RequestError
from reifydb.gateway.audit import Deed
from reifydb.gateway.http.answers import answer, headers
from reifydb.gateway.http.bodies import body_of
from reifydb.gateway.http.exchange import Exchange, flag
from reifydb.gateway.http.long_work import durably

PARAMETERS = ("dry_run", "apply_schema", "ack")


async def modules(request: web.Request) -> web.Response:
    """The installed modules."""
    exchange = _begin(request)
    db = exchange.server.db
    found = await exchange.ask("look", lambda: list(db.modules.values()))
    return answer(exchange, {"modules": [_shown(module) for module in found]})


async def install(request: web.Request) -> web.Response:
    """Installs the wasm binary in the body, or says what that would do."""
    exchange = _begin(request, PARAMETERS)
    db, name = exchange.server.db, request.match_info["module"]
    apply_schema, dry = flag(request, "apply_schema"), flag(request, "dry_run")
    if apply_schema:
        exchange.grant.require("schema")
    async with body_of(request) as wasm:
        if not wasm:
            raise RequestError("the body is empty", hint="it is a wasm binary")
        if dry:
            plan = await exchange.server.thread.run(
                lambda: db.plan(wasm, name=name, apply_schema=apply_schema)
            )
            exchange.lsn = db.lsn
            fits = {"fits": not plan.problems}
            return answer(exchange, fits | {key: _listed(v) for key, v in asdict(plan).items()})
        is_new = name not in db.modules
        facts = {"name": name, "sha256": hashlib.sha256(wasm).hexdigest()}
        module = await durably(
            exchange,
            Deed("module.install", facts | {"apply_schema": apply_schema}),
            lambda: db.install(wasm, name=name, apply_schema=apply_schema),
        )
    return answer(exchange, _shown(module), status=201 if is_new else 200)


async def remove(request: web.Request) -> web.Response:
    """Removes a module; its tables stay."""
    exchange = _begin(request)
    db, name = exchange.server.db, request.match_info["module"]
    await durably(exchange, Deed("module.remove", {"name": name}), lambda: db.remove(name))
    return web.Response(status=204, headers=headers(exchange))


def _begin(request: web.Request, parameters: Collection[str] = ("ack",)) -> Exchange:
    exchange = Exchange(request, parameters)
    exchange.grant.require("modules")
    return exchange


def _shown(module: Module) -> dict[str, Any]:
    return {
        "name": module.name,
        "sha256": module.sha256,
        "transitions": sorted(module.transitions),
        "limits": asdict(module.limits),
    }


def _listed(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value
