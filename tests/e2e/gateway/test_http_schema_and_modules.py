"""Schema, modules and the lines of guests over HTTP."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

import reifydb
from reifydb.config import guest_lines_max, guest_readers_max
from tests.e2e.gateway.http_client import Client, bank, bank_wasm, served
from tests.guests.databases import open_with, zig_guest

SQL = {"Content-Type": "application/sql"}


@asynccontextmanager
async def empty() -> AsyncIterator[Client]:
    with reifydb.open(":memory:") as db:
        async with served(db) as client:
            yield client
            db.verify()


# ---------------------------------------------------------------- schema


async def test_the_schema_is_sent_once() -> None:
    async with bank() as client:
        answer = await client.get("/v1/schema")
        assert [table["name"] for table in answer.content["tables"]] == ["account"]
        assert "bank.transfer" in [t["name"] for t in answer.content["transitions"]]
        known = {"If-None-Match": answer.headers["ETag"]}
        assert (await client.get("/v1/schema", headers=known)).status == 304
        client.db.execute("alter table account add column note text")
        assert (await client.get("/v1/schema", headers=known)).status == 200


async def test_the_schema_is_changed_with_sql() -> None:
    async with empty() as client:
        sql = "create table t (id int primary key, n int)"
        answer = await client.ask("POST", "/v1/schema", data=sql, headers=SQL)
        assert (answer.status, answer.content["tables"][0]["name"]) == (200, "t")
        answer = await client.ask(
            "POST", "/v1/schema", json={"sql": "create index i on t (n); drop table t"}
        )
        assert (answer.status, answer.content["tables"]) == (200, [])


async def test_a_schema_change_is_durable_when_it_is_answered(tmp_path: Path) -> None:
    async with bank(str(tmp_path), flush_interval_ms=100) as client:
        sql = "create table t (id int primary key)"
        answer = await client.ask("POST", "/v1/schema", data=sql, headers=SQL)
        assert answer.status == 200
        assert client.db.durable_lsn == client.db.lsn


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b'{"sql": "select 1"}', 400, "sql"),
        (b'{"sql": "drop table nothing"}', 404, "unknown_name"),
        (b'{"sql": "drop table account"}', 409, "schema"),
        (b'{"sql": 1}', 400, "bad_request"),
        (b"[]", 400, "bad_request"),
        (b"", 400, "bad_request"),
    ],
)
async def test_what_is_wrong_with_a_schema_change_is_said(
    body: bytes, status: int, code: str
) -> None:
    async with bank() as client:
        before = client.db.state_hash
        answer = await client.ask("POST", "/v1/schema", data=body)
        assert (answer.status, answer.problem["code"]) == (status, code)
        assert client.db.state_hash == before


async def test_others_are_served_while_a_schema_is_parsed() -> None:
    async with bank() as client:
        columns = ", ".join(f"c{i} int not null default {i}" for i in range(200))
        sql = "; ".join(f"create table t{i} (id int primary key, {columns})" for i in range(40))
        change = asyncio.create_task(client.ask("POST", "/v1/schema", data=sql, headers=SQL))
        answered = 0
        while not change.done():
            assert (await client.call("bank.deposit", 1, 1)).status == 200
            answered += 1
        assert (await change).status == 200
        assert answered > 10


# ---------------------------------------------------------------- modules


async def test_a_module_is_planned_installed_replaced_and_removed() -> None:
    async with empty() as client:
        wasm = bank_wasm()
        plan = await client.ask("PUT", "/v1/modules/bank?dry_run=1", data=wasm)
        assert (plan.status, plan.content["fits"]) == (200, False)
        assert "binds table 'account', which does not exist" in plan.content["problems"][0]
        plan = await client.ask("PUT", "/v1/modules/bank?dry_run=1&apply_schema=1", data=wasm)
        assert (plan.content["fits"], plan.content["tables"]) == (True, ["account"])
        assert "transfer" in plan.content["added"]
        assert client.db.lsn == 0

        answer = await client.ask("PUT", "/v1/modules/bank", data=wasm)
        assert (answer.status, answer.problem["code"]) == (422, "module")
        assert answer.problem["problems"] == [
            problem for problem in answer.problem["problems"] if "account" in problem
        ]
        answer = await client.ask("PUT", "/v1/modules/bank?apply_schema=1", data=wasm)
        assert (answer.status, answer.content["sha256"]) == (201, plan.content["sha256"])
        again = await client.ask("PUT", "/v1/modules/bank?apply_schema=1", data=wasm)
        assert again.status == 200
        plan = await client.ask("PUT", "/v1/modules/bank?dry_run=1", data=wasm)
        assert [plan.content[key] for key in ("added", "changed", "removed")] == [[], [], []]

        other = await client.ask("PUT", "/v1/modules/second", data=wasm)
        assert other.status == 201
        listed = (await client.get("/v1/modules")).content["modules"]
        assert [module["name"] for module in listed] == ["bank", "second"]

        assert (await client.ask("DELETE", "/v1/modules/bank")).status == 204
        answer = await client.ask("DELETE", "/v1/modules/bank")
        assert answer.problem["code"] == "unknown_name"
        assert (await client.call("bank.total")).status == 404
        assert (await client.call("second.total")).status == 200


@pytest.mark.parametrize("query", ["", "?dry_run=1"])
async def test_what_is_no_module_is_refused(query: str) -> None:
    async with empty() as client:
        for body in (b"no wasm", b"\0asm\1\0\0\0", b"\0asm" * 1000):
            answer = await client.ask("PUT", f"/v1/modules/m{query}", data=body)
            assert (answer.status, answer.problem["code"]) == (422, "module")
        answer = await client.ask("PUT", f"/v1/modules/m{query}")
        assert answer.problem["code"] == "bad_request"
        answer = await client.ask("PUT", "/v1/modules/m?aply_schema=1", data=b"x")
        assert answer.problem["hint"] == "did you mean 'apply_schema'?"
        assert client.db.modules == {}


# ---------------------------------------------------------------- lines of guests


@asynccontextmanager
async def talkative() -> AsyncIterator[Client]:
    with open_with(zig_guest("every_type")) as db:
        async with served(db) as client:
            yield client


async def test_lines_of_guests_are_kept_and_bounded() -> None:
    async with talkative() as client:
        assert (await client.get("/v1/logs")).content == {"lines": []}
        await client.call("every_type.log_line", "a line ü")
        lines = (await client.get("/v1/logs")).content["lines"]
        assert "a line ü" in [line["text"] for line in lines]
        assert {line["transition"] for line in lines} == {"every_type.log_line"}
        assert [line["number"] for line in lines] == list(range(1, len(lines) + 1))
        errors = (await client.get("/v1/logs?level=error")).content["lines"]
        assert {line["level"] for line in errors} <= {"error"}
        assert len(errors) < len(lines)
        for i in range(guest_lines_max):
            client.db.call("every_type.log_line", f"{i}")
        await asyncio.sleep(0.05)
        kept = (await client.get("/v1/logs")).content["lines"]
        assert len(kept) == guest_lines_max
        assert kept[-1]["number"] - kept[0]["number"] == guest_lines_max - 1
        for wrong in ("level=loud", "folow=1"):
            assert (await client.get(f"/v1/logs?{wrong}")).status in (400, 404)


async def test_lines_of_guests_are_followed() -> None:
    async with talkative() as client:
        await client.call("every_type.log_line", "before")
        async with client.session.get(f"{client.url}/v1/logs?follow=1") as response:
            assert response.headers["Content-Type"] == "application/x-ndjson"

            async def text() -> str:
                return str(json.loads(await response.content.readline())["text"])

            while await text() != "before":
                pass
            await client.call("every_type.log_line", "after")
            while await text() != "after":
                pass
        assert (await client.call("every_type.log_line", "alone")).status == 200


async def test_followers_of_lines_are_limited_and_end_with_the_server() -> None:
    with open_with(zig_guest("every_type")) as db:
        async with served(db) as client:
            url = f"{client.url}/v1/logs?follow=1"
            readers = [await client.session.get(url) for _ in range(guest_readers_max)]
            answer = await client.get("/v1/logs?follow=1")
            assert (answer.status, answer.problem["code"]) == (429, "overloaded")
            for reader in readers[1:]:
                reader.close()
            await asyncio.sleep(0.05)
            (await client.session.get(url)).close()
            lines = client.server.guest_lines
            lines.close()
            assert await readers[0].read() == b""
