"""Who may do what over HTTP: tokens, capabilities, web origins."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

import reifydb
from reifydb.gateway.tokens import Tokens
from tests.e2e.gateway.http_client import Client, bank, bank_wasm, served

ALLOWED = "https://app.example"

ROUTES = [
    ("call:bank.total", "POST", "/v1/call/bank.total"),
    ("read:account", "GET", "/v1/tables/account"),
    ("read:account", "GET", "/v1/tables/account/1"),
    ("write:account", "POST", "/v1/tables/account"),
    ("write:account", "PUT", "/v1/tables/account/1"),
    ("write:account", "PATCH", "/v1/tables/account/1"),
    ("write:account", "DELETE", "/v1/tables/account/1"),
    ("schema", "POST", "/v1/schema"),
    ("modules", "GET", "/v1/modules"),
    ("modules", "PUT", "/v1/modules/m"),
    ("modules", "DELETE", "/v1/modules/m"),
    ("operations", "GET", "/v1/logs"),
    ("operations", "GET", "/metrics"),
]


@asynccontextmanager
async def guarded() -> AsyncIterator[tuple[Client, Tokens]]:
    """A bank that has tokens, so that one is needed."""
    async with bank() as client:
        client.server.tokens.make("operator", ["operations"])
        yield client, client.server.tokens


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


async def test_without_a_token_nothing_is_served_but_probes() -> None:
    async with guarded() as (client, _):
        reads = [("", "GET", path) for path in ("/v1/tables", "/v1/schema", "/openapi.json")]
        for _, method, path in [*ROUTES, *reads, ("", "POST", "/v1/batch")]:
            answer = await client.ask(method, path)
            assert (answer.status, answer.problem["code"]) == (401, "unauthenticated"), path
            assert answer.headers["WWW-Authenticate"] == "Bearer"
        for path in ("/livez", "/readyz"):
            assert (await client.get(path)).status == 200


@pytest.mark.parametrize("header", ["Bearer nothing", "Bearer ", "Basic abc", "", "rdb_x"])
async def test_a_token_that_is_none_is_refused(header: str) -> None:
    async with guarded() as (client, _):
        answer = await client.get("/v1/tables", headers={"Authorization": header})
        assert (answer.status, answer.problem["code"]) == (401, "unauthenticated")


async def test_each_route_needs_its_capability_and_no_other() -> None:
    async with guarded() as (client, tokens):
        for number, (capability, method, path) in enumerate(ROUTES):
            others = sorted({other for other, _, _ in ROUTES} - {capability})
            without = bearer(tokens.make(f"without {number}", others))
            refused = await client.ask(method, path, headers=without)
            assert (refused.status, refused.problem["code"]) == (403, "forbidden"), path
            assert refused.problem["capability"] == capability
            with_it = bearer(tokens.make(f"with {number}", [capability]))
            assert (await client.ask(method, path, headers=with_it)).status not in (401, 403), path


async def test_a_batch_and_a_group_are_checked_call_by_call() -> None:
    async with guarded() as (client, tokens):
        headers = bearer(tokens.make("total", ["call:bank.total"]))
        calls = [["bank.total", []], ["bank.deposit", [1, 1]]]
        answer = await client.ask("POST", "/v1/batch", json={"calls": calls}, headers=headers)
        assert answer.content["outcomes"][0]["value"] == 100
        assert answer.content["outcomes"][1]["error"]["code"] == "forbidden"
        answer = await client.ask("POST", "/v1/batch", json={"group": calls}, headers=headers)
        assert (answer.status, answer.problem["index"]) == (403, 1)


async def test_what_a_client_may_not_use_it_does_not_see() -> None:
    async with guarded() as (client, tokens):
        headers = bearer(tokens.make("total", ["call:bank.total"]))
        schema = (await client.get("/v1/schema", headers=headers)).content
        assert schema["tables"] == []
        assert [t["name"] for t in schema["transitions"]] == ["bank.total"]
        assert (await client.get("/v1/tables", headers=headers)).content["tables"] == []
        paths = (await client.get("/openapi.json", headers=headers)).content["paths"]
        assert "/v1/call/bank.total" in paths
        assert "/v1/call/bank.transfer" not in paths
        assert "/v1/tables/account" not in paths


async def test_tables_of_the_system_are_not_served() -> None:
    async with guarded() as (client, tokens):
        headers = bearer(tokens.make("all", ["read", "write", "schema"]))
        for table in ("reifydb_token", "reifydb_module", "reifydb_table"):
            for path in (f"/v1/tables/{table}", f"/v1/tables/{table}/1"):
                answer = await client.get(path, headers=headers)
                assert (answer.status, answer.problem["code"]) == (404, "unknown_name")
            answer = await client.ask("POST", f"/v1/tables/{table}", json={}, headers=headers)
            assert answer.status == 404


async def test_installing_with_a_schema_needs_the_capability_for_schemas() -> None:
    async with guarded() as (client, tokens):
        headers = bearer(tokens.make("modules", ["modules"]))
        wasm = bank_wasm()
        answer = await client.ask("PUT", "/v1/modules/b", data=wasm, headers=headers)
        assert answer.status == 201
        answer = await client.ask("PUT", "/v1/modules/b?apply_schema=1", data=wasm, headers=headers)
        assert (answer.status, answer.problem["capability"]) == (403, "schema")


async def test_a_token_that_is_taken_away_opens_nothing() -> None:
    async with guarded() as (client, tokens):
        headers = bearer(tokens.make("reader", ["read"]))
        assert (await client.get("/v1/tables/account", headers=headers)).status == 200
        tokens.remove("reader")
        assert (await client.get("/v1/tables/account", headers=headers)).status == 401
        headers = bearer(tokens.make("late", ["read"], days=1e-9))
        assert (await client.get("/v1/tables/account", headers=headers)).status == 401


# ---------------------------------------------------------------- web origins


async def test_pages_of_other_origins_are_refused_whatever_they_ask() -> None:
    with reifydb.open(":memory:") as db:
        async with served(db, origins=[ALLOWED]) as client:
            for origin in ("https://evil.example", "null", f"{ALLOWED}.evil", "http://app.example"):
                for method, path in (("GET", "/v1/tables"), ("GET", "/livez"), ("POST", "/nope")):
                    answer = await client.ask(method, path, headers={"Origin": origin})
                    assert (answer.status, answer.problem["code"]) == (403, "forbidden")
                    assert "Access-Control-Allow-Origin" not in answer.headers


async def test_pages_of_an_allowed_origin_may_ask_and_read() -> None:
    with reifydb.open(":memory:") as db:
        async with served(db, origins=[ALLOWED]) as client:
            headers = {"Origin": ALLOWED}
            for path in ("/v1/tables", "/v1/tables/nothing", "/nope"):
                answer = await client.get(path, headers=headers)
                assert answer.headers["Access-Control-Allow-Origin"] == ALLOWED
                assert "ETag" in answer.headers["Access-Control-Expose-Headers"]
                assert "Origin" in answer.headers["Vary"]
            asked = headers | {
                "Access-Control-Request-Method": "PATCH",
                "Access-Control-Request-Headers": "authorization, if-match",
            }
            answer = await client.ask("OPTIONS", "/v1/tables/t/1", headers=asked)
            assert (answer.status, answer.body) == (204, b"")
            assert "PATCH" in answer.headers["Access-Control-Allow-Methods"]
            assert "Authorization" in answer.headers["Access-Control-Allow-Headers"]
            assert "Access-Control-Allow-Credentials" not in answer.headers
            asked["Origin"] = "https://evil.example"
            assert (await client.ask("OPTIONS", "/v1/tables/t/1", headers=asked)).status == 403


async def test_nobody_is_told_which_version_of_what_serves() -> None:
    async with bank() as client:
        for path in ("/v1/tables", "/nope", "/livez", "/v1/logs"):
            assert (await client.get(path)).headers["Server"] == "reifydb"
        async with client.session.get(f"{client.url}/v1/logs?follow=1") as response:
            assert response.headers["Server"] == "reifydb"
        assert (await client.ask("HEAD", "/v1/logs?follow=1")).status == 405
        upgrade = {
            "Connection": "Upgrade",
            "Upgrade": "websocket",
            "Sec-WebSocket-Version": "13",
            "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA==",
            "Sec-WebSocket-Protocol": "reifydb.v1.json",
        }
        async with client.session.get(f"{client.url}/v1/ws", headers=upgrade) as response:
            assert (response.status, response.headers["Server"]) == (101, "reifydb")
