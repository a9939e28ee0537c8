"""A bare aiohttp handler that parses JSON and sends it back: what HTTP costs here without us.

`python -m bench.http_echo`: prints its port, and serves until it is ended.
"""

from __future__ import annotations

import asyncio
import contextlib

from aiohttp import web


async def echo(request: web.Request) -> web.Response:
    return web.json_response(await request.json())


async def serve() -> None:
    app = web.Application()
    app.router.add_post("/v1/call/{transition}", echo)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    print(runner.addresses[0][1], flush=True)
    await asyncio.Event().wait()


def main() -> None:
    factory = None
    with contextlib.suppress(ImportError):  # as `reifydb serve` does
        import uvloop

        factory = uvloop.new_event_loop
    with asyncio.Runner(loop_factory=factory) as runner:
        runner.run(serve())


if __name__ == "__main__":
    main()
