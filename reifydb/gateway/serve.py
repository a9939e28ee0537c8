"""Running a server: from a database to a port, and back at a signal."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from aiohttp import WSCloseCode, web

from reifydb.database import Database
from reifydb.errors import RequestError
from reifydb.gateway.app import make_app
from reifydb.gateway.http.protocol import SETTINGS, Runner
from reifydb.gateway.server import Server, Settings

SWITCH_INTERVAL_S = 0.0001
"""How long a thread keeps the GIL when another wants it. With Python's own 5 ms the log's thread
waited that long for each flush: lag's 99th percentile fell from 48 to 11 ms."""

SHUTDOWN_S = 2.0

LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})


@asynccontextmanager
async def serving(
    db: Database, host: str, port: int, settings: Settings
) -> AsyncIterator[tuple[Server, str]]:
    """A server while the block runs: it and its URL. Port 0 takes a free one.

    At the end it takes nothing on any more, answers what it had taken on, makes it durable and
    closes its connections with 1001.

    Raises:
        RequestError: It would listen beyond loopback without tokens, or cannot listen there.
    """
    server = Server(db, settings)
    if host not in LOOPBACK and not server.tokens.any:
        server.close()
        raise RequestError(
            f"{host} is not loopback, and there is no token: anybody could do anything",
            hint="make one first: reifydb token make",
        )
    runner = Runner(
        make_app(server), shutdown_timeout=SHUTDOWN_S, handler_cancellation=True, **SETTINGS
    )
    await runner.setup()
    try:
        site = web.TCPSite(runner, host, port)
        try:
            await site.start()
        except OSError as error:
            raise _cannot_listen(host, port, error) from None
        bound = runner.addresses[0]
        name = f"[{host}]" if ":" in host else host
        yield server, f"http://{name}:{bound[1]}"
        await server.drain()
        try:
            db.flush()
        finally:  # the disk may have failed: clients are told that the server ends nevertheless
            for connection in list(server.connections):
                await connection.close(WSCloseCode.GOING_AWAY, "the server ends")
            for stream in server.streams:
                stream.end()
    finally:
        server.close()
        await runner.cleanup()


async def serve(
    db: Database,
    host: str,
    port: int,
    settings: Settings,
    started: Callable[[str], None],
) -> None:
    """Serves until SIGINT or SIGTERM."""
    sys.setswitchinterval(SWITCH_INTERVAL_S)
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    async with serving(db, host, port, settings) as (_, url):
        started(url)
        await stop.wait()


def run(
    db: Database,
    host: str,
    port: int,
    settings: Settings,
    started: Callable[[str], None],
) -> None:
    """`serve` in an event loop of its own; uvloop's where that is installed."""
    factory = None
    with contextlib.suppress(ImportError):
        import uvloop

        factory = uvloop.new_event_loop
    with asyncio.Runner(loop_factory=factory) as runner:
        runner.run(serve(db, host, port, settings, started))


def _cannot_listen(host: str, port: int, error: OSError) -> RequestError:
    """In the system's words: asyncio's say the address again. Names that resolve to nothing have
    negative numbers, and words of their own.
    """
    number = error.errno or 0
    why = os.strerror(number) if number > 0 else error.strerror or str(error)
    hint = "another --port; 0 takes a free one" if number == errno.EADDRINUSE else ""
    return RequestError(f"cannot listen on {host}:{port}: {why}", hint=hint)
