"""One server: its database, who may use it, who is connected, and how it ends."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import reifydb
from reifydb.config import connections_max, frame_messages_max, in_flight_max, ws_frame_bytes_max
from reifydb.database import Database
from reifydb.errors import (
    ForbiddenError,
    OverloadedError,
    ReifyDBError,
    UnauthenticatedError,
    UnavailableError,
)
from reifydb.gateway.grants import EVERYTHING, Grant
from reifydb.gateway.guest_lines import GuestLines
from reifydb.gateway.patience import Patience
from reifydb.gateway.rates import Rates, address_key
from reifydb.gateway.service import Service
from reifydb.gateway.session import Session
from reifydb.gateway.thread import Thread
from reifydb.gateway.tokens import Tokens

if TYPE_CHECKING:
    from reifydb.gateway.http.events import Stream
    from reifydb.gateway.websocket import Connection


HEARTBEAT_S = 10.0
"""So often connections are looked at: one of which nothing came is asked, one that says nothing for
as long again is gone."""

LOOK_S = 1.0
"""How often connections are looked at whose token may have expired."""


@dataclass(frozen=True, slots=True)
class Settings:
    """How a server is run.

    Attributes:
        origins: Web origins whose pages may connect; pages of others may not.
        tokens_needed: Whoever has no token may do nothing. Not needed on loopback while there are
            none.
        requests_per_token_max: A second; None: as many as they like.
        requests_per_address_max: The same for addresses, whatever token their requests have.
    """

    origins: Sequence[str] = ()
    tokens_needed: bool = False
    requests_per_token_max: float | None = None
    requests_per_address_max: float | None = None


class Server:
    """Serves one database. Made within a running event loop.

    Attributes:
        limited: Requests a second have a limit.
    """

    def __init__(self, db: Database, settings: Settings) -> None:
        self.db, self.settings = db, settings
        self.service = Service(db, asyncio.get_running_loop())
        self.tokens = Tokens(db)
        self.guest_lines = GuestLines(db, asyncio.get_running_loop())
        self.thread = Thread()
        self.patience = Patience(asyncio.get_running_loop())
        self.body_bytes = 0  # of HTTP requests that are being read or served
        self.connections: set[Connection] = set()
        self.streams: set[Stream] = set()
        self._connected = 0
        self._heartbeat = asyncio.get_running_loop().call_later(HEARTBEAT_S, self._ask)
        self._per_token = Rates("requests_per_token_max", settings.requests_per_token_max)
        self._per_address = Rates("requests_per_address_max", settings.requests_per_address_max)
        self.limited = (settings.requests_per_token_max, settings.requests_per_address_max) != (
            None,
            None,
        )
        self._needed = settings.tokens_needed
        self._look()

    # ------------------------------------------------------------------ who may

    def grant_of_header(self, authorization: str | None) -> Grant | None:
        """Who an Authorization header says that it is; None: it has to say so in its hello.

        Raises:
            UnauthenticatedError: The token is not known, or this is none.
        """
        token = bearer(authorization)
        if token is None:
            return None if self.tokens_needed else EVERYTHING
        return self.grant_of(token)

    @property
    def tokens_needed(self) -> bool:
        """Whether one has to say who it is. Once there was a token it stays so while the server
        runs: who takes the last one away does not open it to everybody.
        """
        if not self._needed and self.tokens.any:
            self._needed = True
        return self._needed

    def is_good(self, digest: bytes | None) -> bool:
        """Whether the token with this digest still grants something; None: whoever had none."""
        return not self.tokens_needed if digest is None else self.tokens.still_good(digest)

    def check_connections(self) -> None:
        """Closes those whose token was taken away, or has expired."""
        for connection in list(self.connections):
            connection.check_token()

    def _look(self) -> None:
        with contextlib.suppress(ReifyDBError):  # it is busy, or closed
            self.check_connections()
        self._timer = asyncio.get_running_loop().call_later(LOOK_S, self._look)

    def grant_of(self, token: str) -> Grant:
        """What the holder of this token may do.

        Raises:
            UnauthenticatedError: It is not known, or has expired.
        """
        return self.tokens.grant(token)

    def check_origin(self, origin: str | None) -> None:
        """Refuses pages of web origins that are not allowed. Whoever is no browser has none.

        Raises:
            ForbiddenError: It is not.
        """
        if origin is not None and origin not in self.settings.origins:
            raise ForbiddenError(
                f"pages of {origin!r:.100} may not connect",
                capability="",
                hint="reifydb serve --origin",
            )

    def count(self, grant: Grant | None, address: str | None, requests: int = 1) -> None:
        """Counts requests of somebody: by its address if that is given, by its token if it has one.

        Raises:
            OverloadedError: It makes too many a second.
        """
        if not self.limited:
            return
        now_s = self.service._loop.time()
        try:
            if address is not None:
                self._per_address.take(address_key(address), requests, now_s)
            if grant is not None and grant is not EVERYTHING:
                self._per_token.take(grant.name, requests, now_s)
        except OverloadedError:
            self.service.admission.refused += 1
            raise

    # ------------------------------------------------------------------ who is connected

    @contextmanager
    def connected(self) -> Iterator[None]:
        """Counts a connection while it lasts.

        Raises:
            OverloadedError: There are too many.
            UnavailableError: The server is about to end.
        """
        if self.service.draining:
            raise self.draining_error()
        if self._connected >= connections_max:
            raise OverloadedError(f"{connections_max} connections are open (connections_max)")
        self._connected += 1
        try:
            yield
        finally:
            self._connected -= 1

    def greeting(self, session: Session) -> dict[str, Any]:
        """What a client is told first."""
        number = self.db._schema_turn.number
        session.told = number, self.service.shapes.schema(session)["hash"]
        return {
            "server": f"reifydb/{reifydb.__version__}",
            "protocol": 1,
            "incarnation": self.db.incarnation,
            "lsn": self.db.lsn,
            "durable_lsn": self.db.durable_lsn,
            "schema": session.told[1],
            "ack": "durable" if session.durable else "committed",
            "limits": {
                "frame_bytes": ws_frame_bytes_max,
                "frame_messages": frame_messages_max,
                "in_flight": in_flight_max,
            },
        }

    def _ask(self) -> None:
        """Whether those who are connected are still there: one timer for all of them."""
        loop = asyncio.get_running_loop()
        self._heartbeat = loop.call_later(HEARTBEAT_S, self._ask)
        for connection in list(self.connections):
            connection.look()

    # ------------------------------------------------------------------ the end

    def close(self) -> None:
        """Serves nobody any more."""
        self._heartbeat.cancel()
        self._timer.cancel()
        self.service.close()
        self.guest_lines.close()
        self.thread.close()
        self.patience.close()

    @staticmethod
    def draining_error() -> UnavailableError:
        """What new requests are told while the server ends."""
        return UnavailableError("the server is about to end", hint="connect again a little later")

    async def drain(self, timeout_s: float = 5.0) -> None:
        """Takes nothing on any more, and waits until what was taken on is answered."""
        self.service.draining = True
        until = asyncio.get_running_loop().time() + timeout_s
        while self.service.busy and asyncio.get_running_loop().time() < until:
            await asyncio.sleep(0.005)


def bearer(authorization: str | None) -> str | None:
    """The token in an Authorization header; None: there is no header.

    Raises:
        UnauthenticatedError: It is another one.
    """
    if authorization is None:
        return None
    scheme, _, token = authorization.partition(" ")
    if scheme.lower() != "bearer" or not token:
        raise UnauthenticatedError("the Authorization header is not Bearer and a token")
    return token.strip()
