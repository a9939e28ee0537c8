"""Queries over HTTP and WebSocket: values of every type, who may read what, what is too much."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import msgpack
import pytest

import reifydb
from reifydb.config import answer_bytes_max, answer_rows_max, query_bytes_max
from reifydb.gateway.grants import KINDS
from reifydb.gateway.tokens import Tokens
from tests.e2e.gateway.http_client import MSGPACK as MSGPACK_BODY
from tests.e2e.gateway.http_client import Client, served
from tests.e2e.gateway.test_http_tables import THING, TYPES
from tests.e2e.gateway.ws_client import JSON, MSGPACK, PROTOCOLS, connected

COLUMNS = {
    "i": "int",
    "f": "float",
    "t": "text",
    "x": "bytes",
    "at": "timestamp",
    "d": "decimal(10,2)",
    "u": "uuid",
    "j": "json",
}
EVERY = "select " + ", ".join(COLUMNS) + " from thing where b and "
MICROS = int(datetime(2024, 1, 31, 12, tzinfo=UTC).timestamp()) * 1_000_000
RAW: dict[str, Any] = {
    "i": 1 << 60,
    "f": 1.5,
    "t": "ü",
    "x": b"\x00\x01\xff",
    "at": MICROS,
    "d": 1250,
    "u": UUID(str(THING["u"])).bytes,
    "j": '{"a":[1,null]}',
}


@asynccontextmanager
async def things() -> AsyncIterator[Client]:
    with reifydb.open(":memory:") as db:
        db.execute(TYPES)
        db.execute("create view named as select t, count(*) as n from thing group by t")
        async with served(db) as client:
            assert (await client.ask("PUT", "/v1/tables/thing/1", json=THING)).status == 201
            yield client


async def ask(client: Client, sql: str, params: Any = None, **options: Any) -> Any:
    body = {"sql": sql} if params is None else {"sql": sql, "params": params}
    answer = await client.ask("POST", "/v1/query", json=body, **options)
    return answer.content


# ---------------------------------------------------------------- values


@pytest.mark.parametrize("name", COLUMNS)
async def test_a_value_of_each_type_is_a_parameter_and_comes_back(name: str) -> None:
    async with things() as client:
        found = await ask(client, f"{EVERY} {name} = :it", {"it": THING[name]})
        described = [{"name": n, "type": t, "nullable": True} for n, t in COLUMNS.items()]
        assert found["columns"] == described
        assert found["rows"] == [[THING[n] for n in COLUMNS]]
        assert (await ask(client, f"{EVERY} {name} = ?", [None]))["rows"] == []


async def test_in_msgpack_rows_are_the_kernels_and_parameters_as_in_json() -> None:
    async with things() as client:
        given = {name: RAW["x"] if name == "x" else THING[name] for name in COLUMNS}
        sql = EVERY + " and ".join(f"{name} = :{name}" for name in COLUMNS)
        answer = await client.ask(
            "POST",
            "/v1/query",
            data=msgpack.packb({"sql": sql, "params": given}),
            headers=MSGPACK_BODY,
        )
        assert answer.content["rows"] == [[RAW[n] for n in COLUMNS]]
        async with connected(client, MSGPACK) as socket:
            answered = await socket.ask("query", 1, sql, given | {"u": RAW["u"], "at": MICROS})
            assert answered[2]["rows"] == [[RAW[n] for n in COLUMNS]]
            assert answered[3] == client.db.lsn


@pytest.mark.parametrize("protocol", PROTOCOLS)
async def test_a_query_runs_in_its_place_among_the_requests_of_a_frame(protocol: str) -> None:
    async with things() as client, connected(client, protocol) as socket:
        count = "select count(*) as n from score"
        rows = [{"id": 1, "points": 5}]
        write = ["write", 2, "insert", "score", rows]
        await socket.send([["query", 1, count], write, ["query", 3, count, []]])
        answers = {answer[1]: answer[2] for answer in await socket.several(3)}
        assert (answers[1]["rows"], answers[3]["rows"]) == ([[0]], [[1]])


# ---------------------------------------------------------------- what is wrong


@pytest.mark.parametrize(
    ("body", "status", "facts"),
    [
        ({"sql": "select frob from thing"}, 400, {"code": "sql", "line": 1, "column": 8}),
        (
            {"sql": "select\n  id / (id - id) from thing"},
            422,
            {"code": "expression", "reason": "division by zero", "line": 2, "column": 3},
        ),
        ({"sql": "select id from thing where d = ?", "params": ["x"]}, 422, {"code": "wrong_type"}),
        ({"sql": "select id from thing where id = ?"}, 400, {"code": "bad_request"}),
        ({"sql": "select 1", "params": {"a": 1}}, 400, {"code": "bad_request"}),
        ({"sql": "select 1", "params": "x"}, 400, {"code": "bad_request"}),
        ({"sql": 7}, 400, {"code": "bad_request"}),
        ({"sql": "select 1", "parms": []}, 404, {"hint": "did you mean 'params'?"}),
        ([], 400, {"code": "bad_request"}),
        ({"sql": "delete from thing"}, 400, {"code": "sql"}),
        ({"sql": "select name from reifydb_token"}, 400, {"code": "sql"}),
        (
            {"sql": "select 1" + " " * query_bytes_max},
            413,
            {"limit": "query_bytes_max", "value": query_bytes_max},
        ),
    ],
)
async def test_what_is_wrong_with_a_query_is_said(body: Any, status: int, facts: Any) -> None:
    async with things() as client:
        answer = await client.ask("POST", "/v1/query", json=body)
        assert answer.status == status, answer
        assert facts.items() <= answer.problem.items()


async def test_an_answer_that_is_too_much_is_refused_with_its_limit() -> None:
    async with things() as client:
        with client.db.transaction() as tx:
            tx.insert_many("score", [{"id": i, "points": i} for i in range(answer_rows_max + 1)])
        many = "select id from score where points >= ?"
        assert len((await ask(client, many, [1]))["rows"]) == answer_rows_max
        said = await ask(client, many, [0])
        assert (said["limit"], said["value"]) == ("answer_rows_max", answer_rows_max)
        assert len((await ask(client, f"{many} limit 5", [0]))["rows"]) == 5
        said = await ask(client, "select repeat('x', 10000) as x from score where id < 2000")
        assert (said["limit"], said["value"]) == ("answer_bytes_max", answer_bytes_max)
        assert (await ask(client, "select 1 as n"))["rows"] == [[1]]


# ---------------------------------------------------------------- who may


@pytest.mark.parametrize(
    "sql",
    [
        "select id from score",
        "select n from pair join score on true",
        "select n from pair left join score on id = a",
        "select n from pair join (select id from score) as s on s.id = a",
        "with s as (select id from score) select id from s",
        "select n from pair union select id from score",
        "select id from scored",
        "select no_column from score",
        "select id from nowhere",
        "explain select id from score",
        "explain view scored",
        "explain create view more as select id from score",
    ],
)
async def test_a_query_reads_what_its_token_may_read_and_nothing_else(sql: str) -> None:
    with reifydb.open(":memory:") as db:
        db.execute(TYPES)
        db.execute("create view scored as select id from score")
        Tokens(db).make("root", KINDS)
        token = Tokens(db).make("some", ["read:pair", "read:shown", "call"])
        db.execute("create view shown as select id from score")
        for _ in range(2):  # not planned yet, and planned
            async with served(db) as client:
                headers = {"Authorization": f"Bearer {token}"}
                answer = await client.ask("POST", "/v1/query", json={"sql": sql}, headers=headers)
                assert answer.problem["code"] == "forbidden", answer
                named = answer.problem["capability"]
                assert named in ("read:score", "read:scored", "read:nowhere")
                for other in ("select n from pair", "select id from shown"):
                    found = await ask(client, other, headers=headers)
                    assert found["rows"] == []
            with suppress(reifydb.SqlError):
                db.query(sql)


async def test_whoever_may_read_nothing_may_ask_nothing() -> None:
    with reifydb.open(":memory:") as db:
        token = Tokens(db).make("caller", ["call"])
        async with served(db) as client:
            headers = {"Authorization": f"Bearer {token}"}
            answer = await client.ask(
                "POST", "/v1/query", json={"sql": "select 1"}, headers=headers
            )
            assert (answer.status, answer.problem["capability"]) == (403, "read")
            paths = (await client.get("/openapi.json", headers=headers)).content["paths"]
            assert "/v1/query" not in paths
            answer = await client.ask("POST", "/v1/query", json={"sql": "select 1"})
            assert answer.status == 401


async def test_openapi_has_queries() -> None:
    async with things() as client:
        described = (await client.get("/openapi.json")).content["paths"]["/v1/query"]["post"]
        assert described["operationId"] == "query"


@pytest.mark.parametrize("protocol", [JSON])
async def test_the_same_text_is_planned_anew_when_the_schema_has_changed(protocol: str) -> None:
    async with things() as client, connected(client, protocol) as socket:
        sql = "select * from score"
        assert len((await socket.ask("query", 1, sql))[2]["columns"]) == 2
        client.db.execute("alter table score add column more int")
        assert len((await socket.ask("query", 2, sql))[2]["columns"]) == 3
