"""One HTTP request as a `Peer` of the service: what it asks for runs in a tick, with all else that
arrives then, and its answers come when what they say is as durable as the client wants.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping, Sequence
from time import perf_counter
from typing import Any

from aiohttp import web

from reifydb.errors import ReifyDBError, RequestError, UnauthenticatedError
from reifydb.gateway.grants import Grant
from reifydb.gateway.http.forms import Form, WithHeaders, form_of_answer, form_of_body
from reifydb.gateway.options import check_names
from reifydb.gateway.server import Server, bearer
from reifydb.gateway.session import Request, Session, wants_durable
from reifydb.gateway.websocket import SERVER


class ProblemError(Exception):
    """A request was answered with a problem, which goes to the client as it is.

    Attributes:
        problem: What the client is told.
        lsn: As of which a transition has refused; 0: none has run.
    """

    def __init__(self, problem: dict[str, Any], lsn: int = 0) -> None:
        super().__init__(problem.get("detail"))
        self.problem, self.lsn = problem, lsn


class Exchange:
    """A request and its answer.

    Attributes:
        request: aiohttp's; it has no parameters but those that it may have.
        server: Who serves it.
        grant: What its sender may do.
        form: Of the answer.
        lsn: As of which the answer is, once it is there.
    """

    full = False

    def __init__(self, request: web.Request, parameters: Collection[str] = ("ack",)) -> None:
        if request.query_string:
            check_names(request.query, parameters, "parameter")
        self.request = request
        self._started_s = perf_counter()
        self.server: Server = request.app[SERVER]
        self.grant = caller(self.server, request.headers)
        self.server.count(self.grant, None)
        self.form: Form = form_of_answer(request)
        self.lsn = 0
        self.session = Session(self.form.codec, self.grant, durable=_durable(request))
        self._answers: list[Any] = []
        self._missing = 0
        self._done: asyncio.Future[None] | None = None

    @property
    def elapsed_ms(self) -> float:
        """Since it began."""
        return (perf_counter() - self._started_s) * 1000

    @property
    def still_allowed(self) -> bool:
        """Whether the token that it came with is still good: for answers that go on for long."""
        token = bearer(self.request.headers.get("Authorization"))
        tokens = self.server.tokens
        return self.server.is_good(None if token is None else tokens.digest_of(token))

    # ------------------------------------------------------------------ the service's peer

    def send(self, frame: Any) -> None:
        """See `Peer`: answers, as messages."""
        for message in frame:
            self._answers[message[1]] = message
            self._missing -= 1
        if not self._missing and self._done is not None and not self._done.done():
            self._done.set_result(None)

    def expire(self, error: ReifyDBError) -> None:
        """See `Waiter`."""
        if self._done is not None and not self._done.done():
            self._done.set_exception(error)

    # ------------------------------------------------------------------ asking

    async def ask(self, kind: str, *arguments: Any) -> Any:
        """What one request is answered with.

        Raises:
            ProblemError: It was refused.
            WaitTimeoutError: No answer came in `answer_ms_max`.
        """
        [answer] = await self.ask_all([(kind, arguments)])
        if answer[0] == "error":
            raise ProblemError(*answer[2:4])
        self.lsn = answer[3]
        return answer[2]

    async def ask_all(self, asked: Sequence[tuple[str, Sequence[Any]]]) -> list[Any]:
        """The answers to requests, as messages (docs/wire.md), in their order.

        Raises:
            WaitTimeoutError: No answers came in `answer_ms_max`.
        """
        server = self.server
        if server.service.draining:
            raise server.draining_error()
        self._missing = self.session.in_flight = len(asked)
        self._answers = [None] * self._missing
        done = self._done = server.service._loop.create_future()
        requests = [Request(kind, i, arguments) for i, (kind, arguments) in enumerate(asked)]
        patience = server.patience
        patience.begin(self)
        server.service.take_on(self, requests)
        try:
            await done
        except BaseException:  # its sender is gone, or waits no longer
            server.service.forget(self)
            raise
        finally:
            patience.end(self)
        return self._answers

    def read(self, body: bytes) -> Any:
        """What the request's body holds, in the dialect of the answer's form, which is the body's.

        Raises:
            RequestError: It is malformed, or of the other form: then its values would be, too.
        """
        return read_body(self.request, self.form, body)


def read_body(request: WithHeaders, form: Form, body: bytes) -> Any:
    """See `Exchange.read`."""
    if form_of_body(request) is not form:
        raise RequestError(
            "the body and the answer have different types",
            hint="Content-Type and Accept are both JSON's or both msgpack's",
        )
    return form.read(body)


def caller(server: Server, headers: Mapping[str, str]) -> Grant:
    """Who sends a request with these headers.

    Raises:
        UnauthenticatedError: It does not say, and must.
    """
    grant = server.grant_of_header(headers.get("Authorization"))
    if grant is None:
        raise UnauthenticatedError("a token is needed", hint="Authorization: Bearer rdb_…")
    return grant


def _durable(request: web.Request) -> bool:
    """Whether the answer waits until durable: `?ack=` says so, or `Prefer: wait=`."""
    if "ack" in request.query_string:
        found = wants_durable(request.query.get("ack"))
        if found is not None:
            return found
    return prefers_durable(request.headers)


def prefers_durable(headers: Mapping[str, str]) -> bool:
    """What `Prefer: wait=` says."""
    preferred = headers.get("Prefer")
    return preferred is None or "wait=committed" not in preferred.replace(" ", "")


def flag(request: web.Request, name: str) -> bool:
    """A query parameter that is on or off.

    Raises:
        RequestError: It is neither.
    """
    value = request.query.get(name)
    if value in (None, "0", "false"):
        return False
    if value in ("1", "true", ""):
        return True
    raise RequestError(f"{name}={value!r:.40} is neither 1 nor 0")
