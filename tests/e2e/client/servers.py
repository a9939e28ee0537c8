"""Servers for the client's tests: in this process, and in one of its own that can be killed."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import reifydb
from reifydb.gateway.serve import serving
from reifydb.gateway.server import Settings
from tests.e2e.gateway.http_client import bank_wasm

ROOT = Path(__file__).resolve().parents[3]

ALL_TYPES = """
    create table thing (
        name text, number int, at timestamp, price decimal(12,3), code uuid, about json,
        data bytes, weight float, sold bool, primary key (name, number)
    );
    create index thing_price on thing (price);
    create table counter (id int primary key auto_increment, text text);
"""


@asynccontextmanager
async def bank_at_url(path: str = ":memory:") -> AsyncIterator[tuple[reifydb.Database, str]]:
    """A bank with ada, who has 100, and bob, who has nothing, and a table of all types."""
    with reifydb.open(path, options=reifydb.Options(reserve_bytes=4096)) as db:
        db.install(bank_wasm(), apply_schema=True)
        db.execute(ALL_TYPES)
        db.call("bank.open", 1, "ada", 100)
        db.call("bank.open", 2, "bob", 0)
        async with serving(db, "127.0.0.1", 0, Settings()) as (_, url):
            yield db, url
        db.verify()


PROGRAM = """
import sys
import reifydb
from reifydb.gateway.serve import run
from reifydb.gateway.server import Settings
with reifydb.open(sys.argv[1], options=reifydb.Options(reserve_bytes=4096)) as db:
    run(db, "127.0.0.1", int(sys.argv[2]), Settings(), lambda url: print(url, flush=True))
"""


def free_port() -> int:
    """A port that the system has free, so that a server can come back to it."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Process:
    """A server in a process of its own, which can be killed and comes back to the same port."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.port = folder, free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._process: subprocess.Popen[str] | None = None

    async def start(self) -> None:
        command = [sys.executable, "-c", PROGRAM, str(self.folder), str(self.port)]
        environment = os.environ | {"PYTHONPATH": str(ROOT)}
        self._process = subprocess.Popen(
            command, env=environment, stdout=subprocess.PIPE, text=True
        )
        assert self._process.stdout is not None
        line = await asyncio.to_thread(self._process.stdout.readline)
        assert line.startswith("http"), "the server did not start"

    async def end(self, number: signal.Signals = signal.SIGKILL) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.send_signal(number)
            await asyncio.to_thread(process.wait)
            assert process.stdout is not None
            process.stdout.close()
