"""Answers: bodies in the client's form, and the headers that all have."""

from __future__ import annotations

from typing import Any

from aiohttp import web

from reifydb.gateway.http.exchange import Exchange
from reifydb.gateway.http.forms import Form

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
