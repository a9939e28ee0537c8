"""Tokens that are made and taken away while the server runs."""

from __future__ import annotations

import asyncio
import json
import logging
import time
from typing import Any

import pytest

from reifydb.gateway import server as gateway_server
from tests.e2e.gateway.http_client import Answer, Client, bank
from tests.e2e.gateway.ws_client import PROTOCOLS, connected

both = pytest.mark.parametrize("protocol", PROTOCOLS)


NOTE = "create table note (id int primary key)"


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


async def make(client: Client, by: str | None, **given: Any) -> Answer:
    headers = {} if by is None else bearer(by)
    return await client.ask("POST", "/v1/tokens", json=given, headers=headers)


async def test_a_token_is_made_listed_used_and_revoked() -> None:
    async with bank() as client:
        first = await make(client, None, name="ops", capabilities=["operations", "read", "call"])
        assert first.status == 201
        ops = first.content["token"]
        assert first.content == {
            "token": ops,
            "name": "ops",
            "capabilities": ["call", "operations", "read"],
            "expires": None,
        }
        second = await make(client, ops, name="app", capabilities=["read:account"], days=1.5)
        app = second.content["token"]
        assert second.content["expires"].endswith("Z")
        assert (await client.get("/v1/tables/account/1", headers=bearer(app))).status == 200
        listed = (await client.get("/v1/tokens", headers=bearer(ops))).content["tokens"]
        assert [token["name"] for token in listed] == ["app", "ops"]
        assert app not in json.dumps(listed)
        answer = await client.ask("DELETE", "/v1/tokens/app", headers=bearer(ops))
        assert answer.status == 204
        answer = await client.get("/v1/tables/account/1", headers=bearer(app))
        assert answer.problem["code"] == "unauthenticated"
        answer = await client.ask("DELETE", "/v1/tokens/app", headers=bearer(ops))
        assert (answer.status, answer.problem["code"]) == (404, "unknown_name")
        assert [token.name for token in client.server.tokens.list()] == ["ops"]


async def test_nobody_grants_more_than_it_has() -> None:
    async with bank() as client:
        tokens = client.server.tokens
        ops = tokens.make("ops", ["operations", "call:bank.*", "read"])
        for capability in ("call", "write", "modules", "subscribe:account", "call:shop.*"):
            answer = await make(client, ops, name="x", capabilities=["read", capability])
            assert (answer.status, answer.problem["capability"]) == (403, capability)
        for capability in ("call:bank.transfer", "call:bank.*", "read", "read:account"):
            assert (
                await make(client, ops, name=capability, capabilities=[capability])
            ).status == 201
        app = tokens.make("app", ["call", "read", "write", "subscribe", "modules", "schema"])
        for method, path in (("GET", ""), ("POST", ""), ("DELETE", "/ops")):
            answer = await client.ask(method, f"/v1/tokens{path}", headers=bearer(app))
            assert answer.problem["capability"] == "operations"


@pytest.mark.parametrize(
    ("given", "code"),
    [
        ({}, "bad_request"),
        ({"name": "x"}, "bad_request"),
        ({"name": 5, "capabilities": []}, "bad_request"),
        ({"name": "", "capabilities": []}, "bad_request"),
        ({"name": "x", "capabilities": "read"}, "bad_request"),
        ({"name": "x", "capabilities": [5]}, "bad_request"),
        ({"name": "x", "capabilities": ["raed"]}, "bad_request"),
        ({"name": "x", "capabilities": ["read"], "days": "1"}, "bad_request"),
        ({"name": "x", "capabilities": ["read"], "days": 0}, "bad_request"),
        ({"name": "x", "capabilities": ["read"], "days": 1e300}, "bad_request"),
        ({"name": "x", "capabilities": ["read"], "day": 1}, "unknown_name"),
        ({"name": "ops", "capabilities": ["read"]}, "bad_request"),
        ([], "bad_request"),
    ],
)
async def test_what_is_no_token_is_refused(given: Any, code: str) -> None:
    async with bank() as client:
        ops = client.server.tokens.make("ops", ["operations", "read"])
        answer = await client.ask("POST", "/v1/tokens", json=given, headers=bearer(ops))
        assert answer.problem["code"] == code
        assert len(client.server.tokens.list()) == 1


@both
async def test_whoever_is_connected_with_a_token_that_is_revoked_is_closed(protocol: str) -> None:
    async with bank() as client:
        tokens = client.server.tokens
        ops = tokens.make("ops", ["operations"])
        app, other = (tokens.make(name, ["call", "subscribe"]) for name in ("app", "other"))
        async with (
            connected(client, protocol, headers=bearer(app)) as by_header,
            connected(client, protocol, greeted=False) as by_hello,
            connected(client, protocol, headers=bearer(other)) as stays,
        ):
            await by_hello.send(["hello", {"token": app}])
            assert (await by_hello.next())[0] == "hello"
            await by_hello.ask("subscribe", 1, "account")
            await client.ask("DELETE", "/v1/tokens/app", headers=bearer(ops))
            for socket in (by_header, by_hello):
                said = []
                while (frame := await socket.frame()) is not None:
                    said += frame
                assert (said[-1][:2], said[-1][2]["code"]) == (["error", None], "unauthenticated")
                assert socket.raw.close_code == 4401
            assert (await stays.ask("call", 1, "bank.total", []))[2] == 100
        assert client.server.service.feeds.count == 0


async def test_the_first_token_shuts_out_whoever_had_none_and_the_last_one_opens_nothing() -> None:
    async with bank() as client, connected(client) as socket:
        answer = await make(client, None, name="ops", capabilities=["operations"])
        assert await socket.closed() == 4401
        ops = answer.content["token"]
        assert (await client.get("/v1/schema")).status == 401
        assert (await client.ask("DELETE", "/v1/tokens/ops", headers=bearer(ops))).status == 204
        assert (await client.get("/v1/schema")).status == 401


async def test_a_connection_ends_when_its_token_expires(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gateway_server, "LOOK_S", 0.05)
    async with bank() as client:
        token = client.server.tokens.make("brief", ["call"], days=0.3 / 86_400)
        async with connected(client, headers=bearer(token)) as socket:
            assert (await socket.ask("call", 1, "bank.total", []))[0] == "ok"
            began = time.monotonic()
            assert await socket.closed() == 4401
            assert time.monotonic() - began < 10


async def test_lines_of_guests_are_not_told_any_more() -> None:
    async with bank() as client:
        tokens = client.server.tokens
        ops = tokens.make("ops", ["operations"])
        tail = tokens.make("tail", ["operations"])
        url = f"{client.url}/v1/logs?follow=1"
        async with client.session.get(url, headers=bearer(tail)) as response:
            await client.ask("DELETE", "/v1/tokens/tail", headers=bearer(ops))
            client.server.guest_lines._take(logging.WARNING, "bank.total", "hello")
            assert await asyncio.wait_for(response.content.read(), 3) == b""


async def test_changes_of_schema_modules_and_tokens_are_in_the_log(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO, "reifydb.audit")
    async with bank() as client:
        await client.ask(
            "POST", "/v1/schema", json={"sql": "create table note (id int primary key)"}
        )
        await client.ask(
            "POST", "/v1/schema", json={"sql": "create table note (id int primary key)"}
        )
        await client.ask("DELETE", "/v1/modules/bank")
        made = await make(client, None, name="ops", capabilities=["operations"])
        ops = made.content["token"]
        await client.ask("DELETE", "/v1/tokens/ops", headers=bearer(ops))
        found = [record.facts for record in caplog.records if record.name == "reifydb.audit"]  # type: ignore[attr-defined]
        assert [(one["action"], one["who"], one["outcome"]) for one in found] == [
            ("schema.change", "anonymous", "done"),
            ("schema.change", "anonymous", "schema"),
            ("module.remove", "anonymous", "done"),
            ("token.make", "anonymous", "done"),
            ("token.revoke", "ops", "done"),
        ]
        assert found[0]["sql"] == NOTE
        assert (found[3]["name"], found[3]["capabilities"]) == ("ops", ["operations"])
        assert found[0]["address"] == "127.0.0.1"
        assert ops not in caplog.text
