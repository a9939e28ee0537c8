"""A real server on a port of the system's choice, and a client of it that says what came back."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import msgpack

import reifydb
from reifydb.gateway.serve import serving
from reifydb.gateway.server import Server, Settings
from sdk.build import build_guest

BANK = Path(__file__).resolve().parents[3] / "examples" / "wasm" / "bank" / "bank.zig"
PROBLEM = "application/problem+json"
MSGPACK = {"Content-Type": "application/msgpack"}


@dataclass(frozen=True)
class Answer:
    """What came back."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def content(self) -> Any:
        """The body, read as what it says that it is."""
        if self.headers["Content-Type"].endswith("msgpack"):
            return msgpack.unpackb(self.body)
        return json.loads(self.body)

    @property
    def problem(self) -> Any:
        """The body, which must be a problem that says the same status."""
        assert self.headers["Content-Type"] in (PROBLEM, "application/problem+msgpack"), self
        content = self.content
        assert content["status"] == self.status
        assert {"type", "title", "detail", "code", "retryable", "instance"} <= content.keys()
        return content


class Client:
    """A server and a client of it."""

    def __init__(
        self, db: reifydb.Database, server: Server, url: str, session: aiohttp.ClientSession
    ) -> None:
        self.db, self.server, self.url, self.session = db, server, url, session

    @property
    def port(self) -> int:
        return int(self.url.rsplit(":", 1)[1])

    async def ask(self, method: str, path: str, **options: Any) -> Answer:
        from yarl import URL

        url = URL(self.url + path, encoded=True)
        async with self.session.request(method, url, **options) as response:
            return Answer(response.status, response.headers.copy(), await response.read())

    async def get(self, path: str, **options: Any) -> Answer:
        return await self.ask("GET", path, **options)

    async def call(self, transition: str, *args: Any, **options: Any) -> Answer:
        return await self.ask("POST", f"/v1/call/{transition}", json=list(args), **options)


@asynccontextmanager
async def served(db: reifydb.Database, *, origins: Sequence[str] = ()) -> AsyncIterator[Client]:
    """Serves a database."""
    async with (
        serving(db, "127.0.0.1", 0, Settings(origins=origins)) as (server, url),
        aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session,
    ):
        yield Client(db, server, url, session)


def bank_wasm() -> bytes:
    return build_guest(BANK).read_bytes()


@asynccontextmanager
async def bank(path: str = ":memory:", **options: Any) -> AsyncIterator[Client]:
    """Serves a bank with ada, who has 100, and bob, who has nothing."""
    with reifydb.open(path, options=reifydb.Options(reserve_bytes=4096, **options)) as db:
        db.install(bank_wasm(), apply_schema=True)
        db.call("bank.open", 1, "ada", 100)
        db.call("bank.open", 2, "bob", 0)
        async with served(db) as client:
            yield client
            db.verify()
