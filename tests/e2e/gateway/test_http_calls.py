"""Calls and batches over HTTP."""

from __future__ import annotations

import asyncio
from pathlib import Path

import aiohttp
import msgpack
import pytest

import reifydb
from reifydb.errors import DurabilityLostError
from reifydb.gateway.serve import serving
from reifydb.gateway.server import Settings
from tests.e2e.gateway.http_client import MSGPACK, bank, bank_wasm


async def test_a_call_by_position_and_by_name() -> None:
    async with bank() as client:
        answer = await client.call("bank.transfer", 1, 2, 10)
        lsn = client.db.lsn
        assert (answer.status, answer.content) == (
            200,
            {"value": 90, "lsn": lsn, "incarnation": client.db.incarnation},
        )
        assert answer.headers["Reifydb-Lsn"] == str(lsn)
        assert answer.headers["Reifydb-Incarnation"] == str(client.db.incarnation)
        assert answer.headers["Server-Timing"].startswith("total;dur=")
        assert "Preference-Applied" not in answer.headers
        assert answer.headers["Server"] == "reifydb"
        named = {"from_id": 1, "to_id": 2, "amount": 10}
        params = client.db._transitions["bank.transfer"].transition.params  # type: ignore[union-attr]
        named = dict(zip([p.name for p in params], named.values(), strict=True))
        answer = await client.ask("POST", "/v1/call/bank.transfer", json=named)
        assert answer.content["value"] == 80


async def test_a_call_in_msgpack() -> None:
    async with bank() as client:
        answer = await client.ask(
            "POST", "/v1/call/bank.transfer", data=msgpack.packb([1, 2, 10]), headers=MSGPACK
        )
        assert answer.headers["Content-Type"] == "application/msgpack"
        assert answer.content["value"] == 90
        refused = await client.ask(
            "POST", "/v1/call/bank.transfer", data=msgpack.packb([1, 2, 10_000]), headers=MSGPACK
        )
        assert refused.headers["Content-Type"] == "application/problem+msgpack"
        assert refused.problem["abort_code"] == 4
        mixed = await client.ask(
            "POST",
            "/v1/call/bank.transfer",
            json=[1, 2, 10],
            headers={"Accept": "application/msgpack"},
        )
        assert mixed.problem["code"] == "bad_request"


async def test_a_call_without_arguments_needs_no_body() -> None:
    async with bank() as client:
        answer = await client.ask("POST", "/v1/call/bank.total")
        assert answer.content["value"] == 100


async def test_a_transition_that_says_no_is_a_problem_with_its_code() -> None:
    async with bank() as client:
        answer = await client.call("bank.transfer", 1, 2, 1000)
        assert answer.status == 422
        problem = answer.problem
        assert problem["code"] == "aborted"
        assert problem["transition"] == "bank.transfer"
        assert problem["abort_message"] == "insufficient_funds"
        assert problem["instance"] == "/v1/call/bank.transfer"
        assert answer.headers["Reifydb-Lsn"] == str(client.db.lsn)
        assert answer.headers["Reifydb-Incarnation"] == str(client.db.incarnation)
        assert answer.headers["Server-Timing"].startswith("total;dur=")


@pytest.mark.parametrize(
    ("transition", "args", "status", "code", "hint"),
    [
        ("bank.transfr", [1, 2, 3], 404, "unknown_name", "did you mean 'bank.transfer'?"),
        ("bank.transfer", [1, 2], 400, "bad_request", ""),
        ("bank.transfer", {"a": 1}, 400, "bad_request", ""),
        ("bank.transfer", "1, 2, 3", 400, "bad_request", ""),
        ("bank.transfer", [1, 2, 1.5], 422, "wrong_type", ""),
        ("bank.transfer", [1, 2, None], 422, "wrong_type", ""),
    ],
)
async def test_what_is_wrong_with_a_call_is_said(
    transition: str, args: object, status: int, code: str, hint: str
) -> None:
    async with bank() as client:
        before = client.db.state_hash
        answer = await client.ask("POST", f"/v1/call/{transition}", json=args)
        assert (answer.status, answer.problem["code"]) == (status, code)
        assert hint in answer.problem.get("hint", "")
        assert client.db.state_hash == before


@pytest.mark.parametrize(
    "path",
    [
        "/v1/tables?akc=committed",
        "/v1/tables/account?lowr=1",
        "/v1/logs?levle=info",
        "/v1/schema?x=1",
    ],
)
async def test_parameters_that_a_path_does_not_have_are_refused(path: str) -> None:
    async with bank() as client:
        before = client.db.lsn
        assert (await client.get(path)).problem["code"] == "unknown_name"
        answer = await client.ask("POST", "/v1/call/bank.open?akc=committed", json=[9, "eve", 0])
        assert (answer.status, answer.problem["hint"]) == (404, "did you mean 'ack'?")
        assert client.db.lsn == before


async def test_an_answer_waits_until_durable_unless_asked_not_to(tmp_path: Path) -> None:
    async with bank(str(tmp_path), flush_interval_ms=100, durability_lag_ms_max=500) as client:
        answer = await client.call("bank.transfer", 1, 2, 1)
        assert client.db.durable_lsn >= answer.content["lsn"]
        for way in ({"params": {"ack": "committed"}}, {"headers": {"Prefer": "wait=committed"}}):
            answer = await client.call("bank.transfer", 1, 2, 1, **way)
            assert client.db.durable_lsn < answer.content["lsn"]
            assert answer.headers["Preference-Applied"] == "wait=committed"
        answer = await client.call("bank.transfer", 1, 2, 1, params={"ack": "maybe"})
        assert answer.problem["code"] == "bad_request"


async def test_an_answer_that_will_never_be_durable_is_a_problem(tmp_path: Path) -> None:
    async with bank(str(tmp_path), flush_interval_ms=200) as client:
        asked = asyncio.create_task(client.call("bank.transfer", 1, 2, 1))
        while not client.server.service._owing:
            await asyncio.sleep(0.001)
        client.server.service._lost = DurabilityLostError("a flush failed", durable_lsn=1)
        client.server.service._after_flush()
        answer = await asked
        assert (answer.status, answer.problem["code"]) == (500, "durability_lost")
        client.server.service._lost = None


async def test_what_was_taken_on_is_answered_when_the_server_ends(tmp_path: Path) -> None:
    options = reifydb.Options(reserve_bytes=4096, flush_interval_ms=200)
    with reifydb.open(tmp_path / "bank", options=options) as db:
        db.install(bank_wasm(), apply_schema=True)
        async with aiohttp.ClientSession() as session:
            async with serving(db, "127.0.0.1", 0, Settings()) as (server, url):
                body = [1, "ada", 100]
                asked = asyncio.create_task(
                    session.post(f"{url}/v1/call/bank.open", json=body).__aenter__()
                )
                while not server.service._owing:
                    await asyncio.sleep(0.001)
            response = await asked
            assert response.status == 200
            assert db.durable_lsn >= (await response.json())["lsn"]


async def test_calls_that_arrive_together_run_together() -> None:
    async with bank() as client:
        before = client.server.service.metrics.batches.sum
        answers = await asyncio.gather(*[client.call("bank.deposit", 1, 1) for _ in range(50)])
        assert {answer.status for answer in answers} == {200}
        assert client.db.get("account", 1)["balance"] == 150  # type: ignore[index]
        assert client.server.service.metrics.batches.sum - before == 50


async def test_a_batch_of_calls_is_a_transaction_each() -> None:
    async with bank() as client:
        calls = [
            ["bank.transfer", [1, 2, 10]],
            ["bank.transfer", [1, 2, 1000]],
            ["bank.nothing", []],
            ["bank.total", []],
        ]
        answer = await client.ask("POST", "/v1/batch", json={"calls": calls})
        assert answer.status == 200
        [one, no, unknown, total] = answer.content["outcomes"]
        assert one["value"] == 90
        assert no["error"]["code"] == "aborted"
        assert unknown["error"]["code"] == "unknown_name"
        assert total["value"] == 100
        assert answer.headers["Reifydb-Lsn"] == str(client.db.lsn)


async def test_a_group_is_one_transaction() -> None:
    async with bank() as client:
        calls = [["bank.transfer", [1, 2, 10]], ["bank.total", []]]
        answer = await client.ask("POST", "/v1/batch", json={"group": calls})
        assert answer.content["values"] == [90, 100]
        assert answer.content["lsn"] == client.db.lsn
        before = client.db.state_hash
        calls = [["bank.transfer", [1, 2, 10]], ["bank.transfer", [1, 2, 1000]]]
        answer = await client.ask("POST", "/v1/batch", json={"group": calls})
        assert (answer.status, answer.problem["index"]) == (422, 1)
        assert client.db.state_hash == before


@pytest.mark.parametrize(
    "body",
    [
        [],
        {},
        {"call": []},
        {"calls": []},
        {"calls": {}},
        {"calls": [1]},
        {"calls": [["bank.total"]]},
        {"calls": [["bank.total", []]], "group": []},
        {"group": []},
        {"group": 7},
        {"group": [["bank.total"]]},
    ],
)
async def test_a_batch_that_is_none_is_refused(body: object) -> None:
    async with bank() as client:
        answer = await client.ask("POST", "/v1/batch", json=body)
        assert (answer.status, answer.problem["code"]) == (400, "bad_request")


async def test_too_many_calls_are_refused() -> None:
    async with bank() as client:
        answer = await client.ask("POST", "/v1/batch", json={"calls": [["a", []]] * 10_001})
        assert (answer.status, answer.problem["limit"]) == (413, "frame_messages_max")
