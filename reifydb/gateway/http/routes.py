"""Which path leads to which handler."""

from __future__ import annotations

from aiohttp import web

from reifydb.gateway.http import (
    calls,
    events,
    logs,
    modules,
    openapi,
    probes,
    queries,
    schema,
    tables,
    tokens,
)

ROUTES = [
    web.post("/v1/call/{transition}", calls.call),
    web.post("/v1/batch", calls.batch),
    web.post("/v1/query", queries.query),
    web.get("/v1/tables", tables.tables),
    web.get("/v1/tables/{table}", tables.rows),
    web.post("/v1/tables/{table}", tables.insert),
    web.get("/v1/tables/{table}/{key:.*}", tables.get),
    web.put("/v1/tables/{table}/{key:.*}", tables.put),
    web.patch("/v1/tables/{table}/{key:.*}", tables.patch),
    web.delete("/v1/tables/{table}/{key:.*}", tables.delete),
    web.get("/v1/events", events.events, allow_head=False),
    web.get("/v1/schema", schema.schema),
    web.post("/v1/schema", schema.change_schema),
    web.get("/v1/modules", modules.modules),
    web.put("/v1/modules/{module}", modules.install),
    web.delete("/v1/modules/{module}", modules.remove),
    web.get("/v1/tokens", tokens.tokens),
    web.post("/v1/tokens", tokens.make),
    web.delete("/v1/tokens/{token}", tokens.revoke),
    web.get("/v1/logs", logs.logs, allow_head=False),
    web.get("/livez", probes.livez),
    web.get("/readyz", probes.readyz),
    web.get("/metrics", probes.metrics),
    web.get("/openapi.json", openapi.openapi),
]
