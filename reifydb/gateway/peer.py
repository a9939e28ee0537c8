"""A connection, as the service and its subscriptions see it."""

from __future__ import annotations

from typing import Protocol

from reifydb.gateway.session import Session
from reifydb.wire.codecs import Data


class Peer(Protocol):
    """Someone who is connected."""

    session: Session

    @property
    def full(self) -> bool:
        """It has not read what was sent: nothing more is read or kept ready for it."""

    def send(self, frame: Data) -> None:
        """Sends a frame; never waits."""
