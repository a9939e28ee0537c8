"""One server: its database, who may use it, who is connected, and how it ends."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import reifydb
from reifydb.config import connections_max, frame_messages_max, in_flight_max, ws_frame_bytes_max
from reifydb.database import Database
from reifydb.errors import ForbiddenError, OverloadedError, UnauthenticatedError, UnavailableError
from reifydb.gateway.grants import EVERYTHING, Grant
from reifydb.gateway.guest_lines import GuestLines
from reifydb.gateway.patience import Patience
from reifydb.gateway.service import Service
from reifydb.gateway.session import Session
from reifydb.gateway.thread import Thread
from reifydb.gateway.tokens import Tokens

if TYPE_CHECKING:
    from reifydb.gateway.websocket import Connection


HEARTBEAT_S = 10.0
"""So often connections are looked at: one of which nothing came is asked, one that says nothing for
as long again is gone."""


@dataclass(frozen=True, slots=True)
class Settings:
    """How a server is run.

    Attributes:
        origins: Web origins whose pages may connect; pages of others may not.
        tokens_needed: Whoever has no token may do nothing. Not needed on loopback while there are
            none.
    """

    origins: Sequence[str] = ()
    tokens_needed: bool = False


class Server:
    """Serves one database. Made within a running event loop."""

    def __init__(self, db: Database, settings: Settings) -> None:
        self.db, self.settings = db, settings
        self.service = Service(db, asyncio.get_running_loop())
        self.tokens = Tokens(db)
        self.guest_lines = GuestLines(db, asyncio.get_running_loop())
        self.thread = Thread()
        self.patience = Patience(asyncio.get_running_loop())
        self.body_bytes = 0  # of HTTP requests that are being read or served
        self.connections: set[Connection] = set()
        self._connected = 0
        self._heartbeat = asyncio.get_running_loop().call_later(HEARTBEAT_S, self._look)

    # ------------------------------------------------------------------ who may

    def grant_of_header(self, authorization: str | None) -> Grant | None:
        """Who an Authorization header says that it is; None: it has to say so in its hello.

        Raises:
            UnauthenticatedError: The token is not known, or this is none.
        """
        if authorization is None:
            if self.settings.tokens_needed or self.tokens.any:
                return None
            return EVERYTHING
        scheme, _, token = authorization.partition(" ")
        if scheme.lower() != "bearer" or not token:
            raise UnauthenticatedError("the Authorization header is not Bearer and a token")
        return self.grant_of(token.strip())

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
        return {
            "server": f"reifydb/{reifydb.__version__}",
            "protocol": 1,
            "incarnation": self.db.incarnation,
            "lsn": self.db.lsn,
            "durable_lsn": self.db.durable_lsn,
            "schema": self.service.shapes.schema(session)["hash"],
            "ack": "durable" if session.durable else "committed",
            "limits": {
                "frame_bytes": ws_frame_bytes_max,
                "frame_messages": frame_messages_max,
                "in_flight": in_flight_max,
            },
        }

    def _look(self) -> None:
        """Whether those who are connected are still there: one timer for all of them."""
        loop = asyncio.get_running_loop()
        self._heartbeat = loop.call_later(HEARTBEAT_S, self._look)
        for connection in list(self.connections):
            connection.look()

    # ------------------------------------------------------------------ the end

    def close(self) -> None:
        """Serves nobody any more."""
        self._heartbeat.cancel()
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
