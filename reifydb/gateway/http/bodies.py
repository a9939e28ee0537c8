"""Bodies of requests: how many bytes may lie in memory, and how long they may take to come."""

from __future__ import annotations

import asyncio

from aiohttp import web

from reifydb.config import bodies_bytes_max, body_bytes_max, body_ms_max
from reifydb.errors import LimitError, OverloadedError, RequestError
from reifydb.gateway.http.exchange import ProblemError
from reifydb.gateway.server import Server
from reifydb.gateway.websocket import SERVER
from reifydb.wire.problems import problem_of


class body_of:  # noqa: N801 (used like a function: `async with body_of(request) as body`)
    """The body, for as long as the request is served: until then it counts.

    Raises:
        LimitError: It is longer than `body_bytes_max`.
        OverloadedError: All bodies together would be more than `bodies_bytes_max`.
        ProblemError: It did not come in time.
        RequestError: It is compressed, or its end is missing.
    """

    __slots__ = ("_request", "_server", "_size")

    def __init__(self, request: web.Request) -> None:
        self._request, self._server, self._size = request, request.app[SERVER], 0

    async def __aenter__(self) -> bytes:
        size, server = _announced(self._request), self._server
        check_room(server, size)
        self._size = size
        server.body_bytes += size
        try:
            return await _read(self._request)
        except BaseException:
            server.body_bytes -= size
            raise

    async def __aexit__(self, *raised: object) -> None:
        self._server.body_bytes -= self._size


def check_room(server: Server, size: int) -> None:
    """Before a body of so many bytes.

    Raises:
        OverloadedError: All bodies together would be more than `bodies_bytes_max`.
    """
    if server.body_bytes + size > bodies_bytes_max:
        raise OverloadedError("too much is being sent at a time (bodies_bytes_max)")


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
