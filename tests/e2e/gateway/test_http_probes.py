"""Probes, metrics and the OpenAPI description."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

import reifydb
from reifydb.errors import DurabilityStalledError
from tests.e2e.gateway.http_client import Client, bank, served
from tests.e2e.gateway.test_http_tables import TYPES

SAMPLE = re.compile(r'[a-z_]+(\{([a-z]+="[^"]*",?)+\})? -?[0-9.e+-]+')


async def numbers(client: Client) -> dict[str, float]:
    """What `/metrics` says, which must be in Prometheus's format."""
    answer = await client.get("/metrics")
    assert answer.headers["Content-Type"].startswith("text/plain; version=0.0.4")
    found, known = {}, set()
    for line in answer.body.decode().splitlines():
        if line.startswith("# TYPE "):
            known.add(line.split()[2])
        elif not line.startswith("#"):
            assert SAMPLE.fullmatch(line), line
            name, value = line.rsplit(" ", 1)
            family = re.sub(r"_(bucket|sum|count)$", "", name.partition("{")[0])
            assert family in known or name.partition("{")[0] in known
            assert name not in found
            found[name] = float(value)
    return found


async def test_metrics_count_calls_by_outcome_and_time_them() -> None:
    async with bank() as client:
        for amount in (1, 2, 1000):
            await client.call("bank.transfer", 1, 2, amount)
        await client.call("bank.nothing")
        found = await numbers(client)
        committed = 'reifydb_calls_total{transition="bank.transfer",outcome="committed"}'
        assert found[committed] == 2
        assert found[committed.replace("committed", "aborted")] == 1
        assert found['reifydb_call_seconds_count{transition="bank.transfer"}'] == 3
        assert found['reifydb_call_seconds_bucket{transition="bank.transfer",le="+Inf"}'] == 3
        assert found["reifydb_batch_calls_sum"] == 3
        assert found["reifydb_lsn"] == client.db.lsn
        assert found['reifydb_table_rows{table="account"}'] == 2
        memory = client.db.memory("account")
        parts = {"rows": memory.rows, "indexes": memory.primary_key}
        for part, size in parts.items():
            assert found[f'reifydb_table_bytes{{table="account",part="{part}"}}'] == size > 0
        assert found["reifydb_state_bytes"] > memory.total
        assert found["reifydb_connections"] == 0
        route = 'method="POST",route="/v1/call/{transition}"'
        assert found[f'reifydb_http_requests_total{{{route},status="404"}}'] == 1
        assert found[f'reifydb_http_requests_total{{{route},status="422"}}'] == 1


async def test_metrics_say_how_long_commits_wait_for_the_disk(tmp_path: Path) -> None:
    with reifydb.open(tmp_path / "db") as db:
        db.execute("create table t (id int primary key)")
        db.flush()
        async with served(db) as client:
            found = await numbers(client)
    for name in ("reifydb_durable_after_seconds", "reifydb_flush_seconds"):
        assert found[f'{name}_bucket{{le="+Inf"}}'] == found[f"{name}_count"] == 1
        assert 0 < found[f"{name}_sum"] < 10


async def test_paths_and_methods_of_a_clients_own_make_no_metrics() -> None:
    async with bank() as client:
        await client.get("/metrics")
        before = await numbers(client)
        for i in range(20):
            await client.ask("PROPFIND", f"/nothing/{i}")
        after = await numbers(client)
        assert len(after) <= len(before) + 40
        none = 'reifydb_http_requests_total{method="other",route="none",status="404"}'
        assert after[none] == 20


async def test_the_server_is_ready_unless_it_drains_or_its_disk_stands_still() -> None:
    async with bank() as client:
        assert (await client.get("/readyz")).content == {"status": "ready"}

        def refuse() -> None:
            raise DurabilityStalledError("the disk")

        log: Any = client.db._log
        check, log.check = log.check, refuse
        answer = await client.get("/readyz")
        assert (answer.status, answer.content["reason"]) == (503, "durability_stalled")
        assert (await client.get("/livez")).status == 200
        log.check = check
        client.server.service.draining = True
        answer = await client.get("/readyz")
        assert (answer.status, answer.content["reason"]) == (503, "draining")
        answer = await client.call("bank.total")
        assert (answer.status, answer.problem["retryable"]) == (503, True)
        assert answer.headers["Retry-After"] == "1"


@pytest.mark.parametrize("path", ["/livez", "/readyz", "/v1/tables"])
async def test_head_is_get_without_a_body(path: str) -> None:
    async with bank() as client:
        answer = await client.ask("HEAD", path)
        assert (answer.status, answer.body) == (200, b"")


# ---------------------------------------------------------------- OpenAPI


def references(node: Any) -> set[str]:
    if isinstance(node, dict):
        own = {node["$ref"]} if "$ref" in node else set()
        return own.union(*map(references, node.values()))
    return set().union(*map(references, node)) if isinstance(node, list) else set()


def resolved(document: Any, reference: str) -> Any:
    for part in reference.removeprefix("#/").split("/"):
        document = document[part]
    return document


async def test_the_description_is_of_openapi_and_whole() -> None:
    """Structure, references, parameters in paths and operations' names, as OpenAPI 3.1 says."""
    async with bank() as client:
        client.db.execute(TYPES)
        document = (await client.get("/openapi.json")).content
        assert document["openapi"] == "3.1.0"
        assert document["info"] == {"title": "ReifyDB", "version": reifydb.__version__}
        for reference in references(document):
            assert resolved(document, reference), reference
        names = []
        for path, item in document["paths"].items():
            assert path.startswith("/")
            shared = item.get("parameters", [])
            for method, operation in item.items():
                if method == "parameters":
                    continue
                assert method in ("get", "post", "put", "patch", "delete")
                names.append(operation["operationId"])
                assert operation["responses"]
                parameters = [*shared, *operation.get("parameters", [])]
                in_path = {p["name"] for p in parameters if p["in"] == "path"}
                assert in_path == set(re.findall(r"\{(\w+)\}", path)), path
                assert all(p["required"] for p in parameters if p["in"] == "path")
                for response in operation["responses"].values():
                    assert "$ref" in response or response["description"]
        assert len(names) == len(set(names))


async def test_the_description_names_what_there_is() -> None:
    async with bank() as client:
        client.db.execute(TYPES)
        document = (await client.get("/openapi.json")).content
        call = document["paths"]["/v1/call/bank.transfer"]["post"]
        [by_position, by_name] = call["requestBody"]["content"]["application/json"]["schema"][
            "oneOf"
        ]
        assert len(by_position["prefixItems"]) == 3
        assert set(by_name["required"]) == set(by_name["properties"])
        assert "/v1/tables/pair/{a}/{b}" in document["paths"]
        thing = document["components"]["schemas"]["table.thing"]["properties"]
        assert {"type": "string", "format": "uuid"} in thing["u"]["anyOf"]


async def test_every_route_but_the_websocket_is_described() -> None:
    with reifydb.open(":memory:") as db:
        async with served(db) as client:
            from reifydb.gateway.http.routes import ROUTES

            document = (await client.get("/openapi.json")).content
            described = {
                (method.upper(), path)
                for path, item in document["paths"].items()
                for method in item
            }
            own = {"/v1/call/{transition}", "/openapi.json"}
            for route in ROUTES:
                if route.path not in own and not route.path.startswith("/v1/tables/"):  # type: ignore[attr-defined]
                    assert (route.method, route.path) in described  # type: ignore[attr-defined]
