"""Errors as they go over the wire: RFC 9457 problem details, the same over HTTP and WebSocket.

`code` is that of docs/errors.md and stable; `status` is HTTP's. A client makes the same exception
of a problem that the embedded database raises (`error_of`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from reifydb import errors
from reifydb.errors import ReifyDBError

TYPE_BASE = "https://reifydb.dev/errors/"
"""A problem's `type` is this and its code."""

STATUS: dict[str, int] = {
    "bad_request": 400,
    "sql": 400,
    "unknown_name": 404,
    "wrong_type": 422,
    "schema": 409,
    "module": 422,
    "closed": 503,
    "limit": 413,
    "transaction": 409,
    "aborted": 422,
    "constraint": 409,
    "duplicate_key": 409,
    "not_null": 422,
    "check": 422,
    "assertion": 409,
    "foreign_key": 409,
    "expression": 422,
    "not_found": 404,
    "read_only": 403,
    "trapped": 500,
    "deadline": 504,
    "transaction_limit": 413,
    "unavailable": 503,
    "busy": 503,
    "locked": 503,
    "durability_stalled": 503,
    "storage_full": 507,
    "wait_timeout": 504,
    "unauthenticated": 401,
    "forbidden": 403,
    "overloaded": 429,
    "precondition_failed": 412,
}
"""HTTP's status for a code; 500 where it is not listed."""

TITLES = {
    400: "The request is not a right one",
    401: "Not authenticated",
    403: "Not allowed",
    404: "There is no such thing",
    409: "It does not fit what is there",
    412: "It has changed meanwhile",
    413: "Too much",
    422: "Refused",
    429: "Too many requests",
    500: "A fault",
    503: "Not now",
    504: "It took too long",
    507: "No space",
}

FACTS = (
    "transition abort_code abort_message trap deadline_ms limit value line column kind name "
    "problems durable_lsn retry_after_s capability index constraint reason relation"
).split()
"""Attributes of errors that go along."""


def problem_of(error: BaseException, **facts: object) -> dict[str, Any]:
    """The problem that says what an error says. Of what is not ours nothing but that is said."""
    if not isinstance(error, ReifyDBError):
        error = errors.OperatorError("an internal error; the server's log has it")
    code = error.code
    status = STATUS.get(code, 500)
    problem: dict[str, Any] = {
        "type": TYPE_BASE + code,
        "title": TITLES.get(status, TITLES[500]),
        "status": status,
        "detail": error.message,
        "code": code,
        "retryable": isinstance(error, errors.UnavailableError),
    }
    if error.hint:
        problem["hint"] = error.hint
    for fact in FACTS:
        value = getattr(error, fact, None)
        if value is not None:
            problem[fact] = list(value) if isinstance(value, tuple) else value
    return problem | facts


def error_of(problem: Mapping[str, Any]) -> ReifyDBError:
    """The exception for a problem; for a code that this version does not know a `RequestError` or
    an `OperatorError`, by its status.
    """
    code, detail = str(problem.get("code", "")), str(problem.get("detail", ""))
    hint, status = str(problem.get("hint", "")), problem.get("status", 500)
    kind = _BY_CODE.get(code)
    if kind is None:
        below_500 = isinstance(status, int) and status < 500
        kind = errors.RequestError if below_500 else errors.OperatorError
    made = kind.__new__(kind)
    ReifyDBError.__init__(made, detail, hint=hint)
    for fact in FACTS:
        if fact in problem:
            value = problem[fact]
            setattr(made, fact, tuple(value) if isinstance(value, list) else value)
    return made


_BY_CODE: dict[str, type[ReifyDBError]] = {
    found.code: found
    for found in (getattr(errors, name) for name in errors.__all__)
    if isinstance(found, type) and issubclass(found, ReifyDBError)
}
