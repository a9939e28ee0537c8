"""Bodies of requests: how many bytes may lie in memory, and how long they may take to come."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiohttp import web

from reifydb.config import bodies_bytes_max, body_bytes_max, body_ms_max
from reifydb.errors import LimitError, OverloadedError, RequestError
from reifydb.gateway.http.exchange import ProblemError
from reifydb.gateway.websocket import SERVER
from reifydb.wire.problems import problem_of


@asynccontextmanager
async def body_of(request: web.Request) -> AsyncIterator[bytes]:
    """The body, for as long as the request is served: until then it counts.

    Raises:
        LimitError: It is longer than `body_bytes_max`.
        OverloadedError: All bodies together would be more than `bodies_bytes_max`.
        ProblemError: It did not come in time.
        RequestError: It is compressed, or its end is missing.
    """
    server = request.app[SERVER]
    size = _announced(request)
    if server.body_bytes + size > bodies_bytes_max:
        raise OverloadedError("too much is being sent at a time (bodies_bytes_max)")
    server.body_bytes += size
    try:
        yield await _read(request)
    finally:
        server.body_bytes -= size


def _announced(request: web.Request) -> int:
    """How long the body is, or may become when its sender does not say."""
    if request.headers.get("Content-Encoding", "identity") != "identity":
        raise RequestError("a compressed body", hint="send it as it is")
    size = request.content_length
    if size is None:
        return body_bytes_max if request.body_exists else 0
    if size > body_bytes_max:
        raise too_long()
    return size


async def _read(request: web.Request) -> bytes:
    if not request.body_exists:
        return b""
    try:
        if request.content.is_eof():  # it came with its headers
            return await request.read()
        async with asyncio.timeout(body_ms_max / 1000):
            return await request.read()
    except TimeoutError:
        error = RequestError(f"the body did not come within {body_ms_max:,} ms (body_ms_max)")
        problem = problem_of(error, status=408, title="It took too long", retryable=True)
        raise ProblemError(problem) from None
    except web.HTTPRequestEntityTooLarge:
        raise too_long() from None
    except web.RequestPayloadError:
        raise RequestError("the body is malformed") from None


def too_long() -> LimitError:
    """What is said of a body that is too long."""
    return LimitError("the body is too long", limit="body_bytes_max", value=body_bytes_max)
