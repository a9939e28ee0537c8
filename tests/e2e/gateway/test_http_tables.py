"""Tables over HTTP: rows by key, with ETags, and pages."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import quote

import msgpack
import pytest

import reifydb
from reifydb.config import MIB
from tests.e2e.gateway.http_client import MSGPACK, Client, bank, served

TYPES = """
create table thing (
    id int primary key, b bool, i int, f float, t text, x bytes, at timestamp, d decimal(10,2),
    u uuid, j json
);
create table pair (a int not null, b text not null, n int not null default 7, primary key (a, b));
create table note (id int primary key auto_increment, text text not null);
create table score (id int primary key, points int);
create index by_points on score (points);
"""

THING = {
    "id": 1,
    "b": True,
    "i": str(1 << 60),
    "f": 1.5,
    "t": "ü",
    "x": "AAH/",
    "at": "2024-01-31T12:00:00.000000Z",
    "d": "12.50",
    "u": "12345678-1234-5678-1234-567812345678",
    "j": {"a": [1, None]},
}


@asynccontextmanager
async def tables() -> AsyncIterator[Client]:
    with reifydb.open(":memory:") as db:
        db.execute(TYPES)
        async with served(db) as client:
            yield client
            db.verify()


# ---------------------------------------------------------------- rows


async def test_a_row_of_every_type_comes_back_as_it_was_put() -> None:
    async with tables() as client:
        answer = await client.ask("PUT", "/v1/tables/thing/1", json=THING)
        assert (answer.status, answer.content) == (201, THING)
        answer = await client.get("/v1/tables/thing/1")
        assert (answer.status, answer.content) == (200, THING)
        assert answer.headers["Reifydb-Lsn"] == str(client.db.lsn)
        packed = await client.get("/v1/tables/thing/1", headers={"Accept": "application/msgpack"})
        row = packed.content
        assert (row["d"], row["i"], row["x"]) == (1250, 1 << 60, b"\0\1\xff")
        again = await client.ask(
            "PUT", "/v1/tables/thing/1", data=msgpack.packb(row), headers=MSGPACK
        )
        assert (again.status, again.headers["ETag"]) == (200, answer.headers["ETag"])


async def test_put_gives_what_it_leaves_out_its_default_and_patch_leaves_it() -> None:
    async with tables() as client:
        made = await client.ask("PUT", "/v1/tables/pair/1/x", json={})
        assert made.content == {"a": 1, "b": "x", "n": 7}
        answer = await client.ask("PATCH", "/v1/tables/pair/1/x", json={"n": 8})
        assert (answer.status, answer.content["n"]) == (200, 8)
        answer = await client.ask("PATCH", "/v1/tables/pair/1/x", json={})
        assert answer.content["n"] == 8
        answer = await client.ask("PUT", "/v1/tables/pair/1/x", json={})
        assert (answer.status, answer.headers["ETag"]) == (200, made.headers["ETag"])
        answer = await client.ask("PUT", "/v1/tables/note/1", json={})
        assert answer.problem["code"] == "not_null"
        answer = await client.ask("PATCH", "/v1/tables/pair/2/x", json={"n": 8})
        assert (answer.status, answer.problem["code"]) == (404, "not_found")


async def test_rows_are_inserted_and_given_keys() -> None:
    async with tables() as client:
        answer = await client.ask("POST", "/v1/tables/note", json={"text": "one"})
        assert (answer.status, answer.content["keys"]) == (201, [1])
        answer = await client.ask("POST", "/v1/tables/note", json=[{"text": "2"}, {"text": "3"}])
        assert answer.content["keys"] == [2, 3]
        both = [{"text": "4"}, {"id": 1, "text": "again"}]
        answer = await client.ask("POST", "/v1/tables/note", json=both)
        assert (answer.status, answer.problem["code"]) == (409, "duplicate_key")
        assert client.db.count("note") == 3


async def test_a_deleted_row_is_gone() -> None:
    async with bank() as client:
        answer = await client.ask("DELETE", "/v1/tables/account/1")
        assert (answer.status, answer.body) == (204, b"")
        for method in ("GET", "DELETE"):
            answer = await client.ask(method, "/v1/tables/account/1")
            assert (answer.status, answer.problem["code"]) == (404, "not_found")


async def test_a_key_in_the_body_must_be_the_paths() -> None:
    async with bank() as client:
        answer = await client.ask("PATCH", "/v1/tables/account/1", json={"id": 2, "balance": 0})
        assert answer.problem["code"] == "bad_request"
        answer = await client.ask("PATCH", "/v1/tables/account/1", json={"id": 1, "balance": 0})
        assert answer.content["balance"] == 0


@pytest.mark.parametrize("key", ["a/b", "a b", "ü", "100%", "", "a,b", "..", "?#", "%2F"])
async def test_text_of_any_kind_is_a_key(key: str) -> None:
    async with tables() as client:
        with client.db.transaction() as tx:
            tx.insert("pair", {"a": 1, "b": key})
        path = f"/v1/tables/pair/1/{quote(key, safe='').replace('.', '%2E')}"
        answer = await client.get(path)
        assert answer.content == {"a": 1, "b": key, "n": 7}


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        ("bool", "true", True),
        ("float", "-1.5e3", -1500.0),
        ("text", "7", "7"),
        ("bytes", quote("AAH/", safe=""), b"\0\1\xff"),
        ("timestamp", "2024-01-31T12:00:00Z", 1_706_702_400_000_000),
        ("timestamp", "1706702400000000", 1_706_702_400_000_000),
        ("decimal(10,2)", "12.5", 12.5),
        ("uuid", THING["u"], None),
        ("json", quote('{"a":1}'), {"a": 1}),
        ("int", "-9223372036854775808", -(1 << 63)),
    ],
)
async def test_a_key_of_any_type_stands_in_a_path(kind: str, text: str, value: object) -> None:
    with reifydb.open(":memory:") as db:
        db.execute(f"create table k (k {kind} primary key)")
        async with served(db) as client:
            put = await client.ask("PUT", f"/v1/tables/k/{text}", json={})
            assert put.status == 201
            [row] = db.scan("k")
            if kind not in ("uuid", "timestamp"):
                assert row["k"] == value
            assert (await client.get(f"/v1/tables/k/{text}")).content == put.content
            assert (await client.ask("PUT", f"/v1/tables/k/{text}", json={})).status == 200


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("/v1/tables/nothing/1", 404, "unknown_name"),
        ("/v1/tables/reifydb_module/bank", 404, "unknown_name"),
        ("/v1/tables/thing/x", 422, "wrong_type"),
        ("/v1/tables/thing/1.5", 422, "wrong_type"),
        ("/v1/tables/thing/99999999999999999999999", 422, "wrong_type"),
        ("/v1/tables/thing/9223372036854775808", 422, "wrong_type"),
        ("/v1/tables/thing/", 422, "wrong_type"),
        ("/v1/tables/thing/1/2", 400, "bad_request"),
        ("/v1/tables/pair/1", 400, "bad_request"),
        ("/v1/tables/pair/1/%ff", 400, "bad_request"),
        ("/v1/tables/pair/1/" + "x" * 2000, 413, "limit"),
    ],
)
async def test_what_is_wrong_with_a_key_is_said(path: str, status: int, code: str) -> None:
    async with tables() as client:
        answer = await client.get(path)
        assert (answer.status, answer.problem["code"]) in {
            (status, code),
            (status, "transaction_limit" if code == "limit" else code),
        }


@pytest.mark.parametrize(
    ("body", "status"),
    [([], 400), ({"nme": 1}, 404), ({"i": "x"}, 422), ({"b": 1}, 422), ({"u": 5}, 422)],
)
async def test_what_is_wrong_with_a_row_is_said(body: object, status: int) -> None:
    async with tables() as client:
        answer = await client.ask("PUT", "/v1/tables/thing/1", json=body)
        assert answer.status == status, answer.problem
        assert client.db.count("thing") == 0


# ---------------------------------------------------------------- ETags


async def test_a_row_that_is_known_is_not_sent_again() -> None:
    async with bank() as client:
        etag = (await client.get("/v1/tables/account/1")).headers["ETag"]
        answer = await client.get(
            "/v1/tables/account/1", headers={"If-None-Match": f'"x", W/{etag}'}
        )
        assert (answer.status, answer.body, answer.headers["ETag"]) == (304, b"", etag)
        await client.call("bank.transfer", 1, 2, 1)
        answer = await client.get("/v1/tables/account/1", headers={"If-None-Match": etag})
        assert (answer.status, answer.content["balance"]) == (200, 99)
        await client.call("bank.transfer", 2, 1, 1)
        answer = await client.get("/v1/tables/account/1", headers={"If-None-Match": etag})
        assert answer.status == 304


async def test_a_row_that_has_changed_is_not_changed() -> None:
    async with bank() as client:
        old = (await client.get("/v1/tables/account/1")).headers["ETag"]
        await client.call("bank.transfer", 1, 2, 1)
        before = client.db.state_hash
        for method in ("PUT", "PATCH", "DELETE"):
            answer = await client.ask(
                method,
                "/v1/tables/account/1",
                json={"owner": "eve", "balance": 0},
                headers={"If-Match": old},
            )
            assert (answer.status, answer.problem["code"]) == (412, "precondition_failed")
        assert client.db.state_hash == before
        new = (await client.get("/v1/tables/account/1")).headers["ETag"]
        answer = await client.ask(
            "PATCH", "/v1/tables/account/1", json={"balance": 1}, headers={"If-Match": new}
        )
        assert answer.status == 200
        answer = await client.ask(
            "DELETE", "/v1/tables/account/1", headers={"If-Match": answer.headers["ETag"]}
        )
        assert answer.status == 204


async def test_a_row_is_made_only_once() -> None:
    async with bank() as client:
        row, once = {"owner": "eve", "balance": 0}, {"If-None-Match": "*"}
        answers = [
            await client.ask("PUT", "/v1/tables/account/3", json=row, headers=once)
            for _ in range(2)
        ]
        assert [answer.status for answer in answers] == [201, 412]
        there = {"If-Match": "*"}
        answer = await client.ask("PUT", "/v1/tables/account/4", json=row, headers=there)
        assert answer.status == 412
        answer = await client.ask("PUT", "/v1/tables/account/3", json=row, headers=there)
        assert answer.status == 200


async def test_of_many_who_change_one_version_one_succeeds() -> None:
    async with bank() as client:
        etag = (await client.get("/v1/tables/account/1")).headers["ETag"]
        answers = await asyncio.gather(
            *[
                client.ask(
                    "PATCH",
                    "/v1/tables/account/1",
                    json={"balance": n},
                    headers={"If-Match": etag},
                )
                for n in range(20)
            ]
        )
        assert sorted(answer.status for answer in answers) == [200] + [412] * 19


async def test_a_precondition_that_is_none_is_refused() -> None:
    async with bank() as client:
        answer = await client.get("/v1/tables/account/1", headers={"If-None-Match": "abc"})
        assert answer.problem["code"] == "bad_request"


# ---------------------------------------------------------------- pages


async def paged(client: Client, path: str, cursor: str | None = None) -> list[Any]:
    """All rows, a page at a time."""
    rows: list[Any] = []
    for _ in range(100):
        answer = await client.get(path if cursor is None else f"{path}&cursor={cursor}")
        assert answer.status == 200, answer.problem
        rows += answer.content["rows"]
        cursor = answer.content["next"]
        if cursor is None:
            return rows
    raise AssertionError("the pages do not end")


@pytest.mark.parametrize("limit", [1, 2, 3, 7, 20])
@pytest.mark.parametrize("reverse", [0, 1])
@pytest.mark.parametrize("index", ["", "&index=by_points"])
@pytest.mark.parametrize("bounds", ["", "&lower=1&upper=2", "&lower=[1]&lower_exclusive=1"])
async def test_pages_together_are_the_scan(
    limit: int, reverse: int, index: str, bounds: str
) -> None:
    async with tables() as client:
        rows = [{"id": i, "points": None if i % 4 == 3 else i % 4} for i in range(20)]
        with client.db.transaction() as tx:
            tx.insert_many("score", rows)
        options: dict[str, Any] = {}
        if bounds:
            options = {"lower": 1, "lower_exclusive": "exclusive" in bounds}
            if "upper" in bounds:
                options["upper"] = 2
        expected = list(
            client.db.scan(
                "score", index="by_points" if index else None, reverse=bool(reverse), **options
            )
        )
        path = f"/v1/tables/score?limit={limit}&reverse={reverse}{index}{bounds}"
        assert await paged(client, path) == expected


async def test_rows_that_come_and_go_between_pages_move_no_others() -> None:
    async with tables() as client:
        with client.db.transaction() as tx:
            tx.insert_many("score", [{"id": i, "points": i // 4} for i in range(0, 20, 2)])
        path = "/v1/tables/score?limit=4&index=by_points"
        first = (await client.get(path)).content
        assert [row["id"] for row in first["rows"]] == [0, 2, 4, 6]
        with client.db.transaction() as tx:
            tx.delete("score", 6)
            tx.insert("score", {"id": 5, "points": 1})
            tx.insert("score", {"id": 7, "points": 1})
        rest = await paged(client, path, first["next"])
        assert [row["id"] for row in rest] == [7, 8, 10, 12, 14, 16, 18]


async def test_a_page_has_a_hundred_rows() -> None:
    async with tables() as client:
        with client.db.transaction() as tx:
            tx.insert_many("score", [{"id": i} for i in range(250)])
        assert len((await client.get("/v1/tables/score")).content["rows"]) == 100
        assert len((await client.get("/v1/tables/score?limit=10000")).content["rows"]) == 250


async def test_a_page_of_long_rows_has_fewer() -> None:
    async with tables() as client:
        with client.db.transaction() as tx:
            tx.insert_many("note", [{"text": "x" * MIB} for _ in range(7)])
        first = (await client.get("/v1/tables/note")).content
        assert [row["id"] for row in first["rows"]] == [1, 2, 3, 4]
        rest = await paged(client, "/v1/tables/note?limit=100", first["next"])
        assert [row["id"] for row in rest] == [5, 6, 7]


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("limit=0", 400),
        ("limit=10001", 400),
        ("limit=x", 400),
        ("reverse=maybe", 400),
        ("index=by_point", 404),
        ("revers=1", 404),
        ("lower=x", 422),
        ("lower=[1,2]", 400),
        ("lower=[", 400),
        ("lower={}", 422),
        ("cursor=x", 400),
        ("cursor=%C3%BC", 400),
        ("cursor=kpABkQE", 400),
        ("index=by_points&cursor=gQ", 400),
    ],
)
async def test_what_is_wrong_with_a_scan_is_said(query: str, status: int) -> None:
    async with tables() as client:
        answer = await client.get(f"/v1/tables/score?{query}")
        assert answer.status == status, answer.problem


async def test_tables_are_listed_with_their_rows() -> None:
    async with tables() as client:
        found = (await client.get("/v1/tables")).content["tables"]
        assert [table["name"] for table in found] == ["thing", "pair", "note", "score"]
        assert {table["rows"] for table in found} == {0}
