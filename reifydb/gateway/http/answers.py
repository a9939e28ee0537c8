"""Answers: bodies in the client's form, and the headers that all have."""

from __future__ import annotations

import time
from email.utils import formatdate
from functools import lru_cache
from typing import Any

from aiohttp import web

from reifydb.gateway.http.exchange import Exchange
from reifydb.gateway.http.forms import Form
from reifydb.gateway.websocket import SERVER_NAME

LSN, INCARNATION = "Reifydb-Lsn", "Reifydb-Incarnation"
"""Where the answer stands: everything up to this lsn, of this incarnation, is in it."""


def answer(exchange: Exchange, value: Any, *, status: int = 200) -> web.Response:
    """An answer that holds a value."""
    form = exchange.form
    return web.Response(
        body=form.write(value), status=status, headers=headers(exchange, form.content_type)
    )


def headers(exchange: Exchange, content_type: str | None = None) -> dict[str, str]:
    """What every answer of an exchange says."""
    found = {
        LSN: str(exchange.lsn),
        INCARNATION: str(exchange.server.db.incarnation),
        "Server-Timing": f"total;dur={exchange.elapsed_ms:.3f}",
    }
    if content_type is not None:
        found["Content-Type"] = content_type
    if not exchange.session.durable:
        found["Preference-Applied"] = "wait=committed"
    return found


def answer_head(
    lsn: int,
    incarnation: int,
    elapsed_ms: float,
    content_type: str,
    *,
    durable: bool,
    size: int,
) -> bytes:
    """The head of an answer with a body of so many bytes, as it is sent: the same headers, for
    whoever does without aiohttp's.
    """
    applied = "" if durable else "Preference-Applied: wait=committed\r\n"
    return (
        f"HTTP/1.1 200 OK\r\n{LSN}: {lsn}\r\n{INCARNATION}: {incarnation}\r\n"
        f"Server-Timing: total;dur={elapsed_ms:.3f}\r\nContent-Type: {content_type}\r\n"
        f"{applied}{server_headers(size)}\r\n"
    ).encode()


def server_headers(size: int) -> str:
    """Headers of any answer with a body of so many bytes, as they are sent."""
    return f"Server: {SERVER_NAME}\r\nContent-Length: {size}\r\nDate: {_date(int(time.time()))}\r\n"


@lru_cache(maxsize=1)
def _date(now_s: int) -> str:
    return formatdate(now_s, usegmt=True)


def mark_problem(
    response: web.Response, elapsed_ms: float, lsn: int | None, incarnation: int
) -> None:
    """What a problem says besides: how long it took and, if a transition has refused, as of which
    lsn.
    """
    response.headers["Server-Timing"] = f"total;dur={elapsed_ms:.3f}"
    if lsn:
        response.headers[LSN] = str(lsn)
        response.headers[INCARNATION] = str(incarnation)


def problem_answer(form: Form, problem: dict[str, Any], path: str) -> web.Response:
    """An answer that is a problem."""
    found = {"Content-Type": form.problem_type}
    status = problem["status"]
    if status in (429, 503):
        found["Retry-After"] = str(max(1, round(problem.get("retry_after_s", 1))))
    if status == 401:
        found["WWW-Authenticate"] = "Bearer"
    body = form.write_problem(problem | {"instance": path})
    return web.Response(body=body, status=status, headers=found)
