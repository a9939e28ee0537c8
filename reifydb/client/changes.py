"""What a subscriber of a served database reads, in an event loop."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from types import TracebackType
from typing import Any, Self

from reifydb.client.feed import Feed
from reifydb.client.protocol import ClientProtocol
from reifydb.database.changes import Delta, Snapshot
from reifydb.database.positions import Position
from reifydb.errors import ClosedError


class AsyncChanges:
    """A subscription. Made by `AsyncDatabase.subscribe`; for one task; close it.

    A reader that does not keep up is not waited for, and no more waits for it than
    `client_changes_max`: once it has read that, it goes on behind it, if the server still knows
    what has changed since, else with a snapshot.

    Attributes:
        closed: `close` was called.
    """

    def __init__(self, protocol: ClientProtocol, what: object, since: Position | None) -> None:
        self._protocol = protocol
        self._event = asyncio.Event()
        self._feed = Feed(what, since, self._event.set)
        self.closed = False
        protocol.join(self._feed)

    @property
    def table(self) -> str:
        """The table's name when it was subscribed to; "select" of a select."""
        return self._feed.table

    @property
    def position(self) -> Position | None:
        """Of what was read last; None before anything was."""
        return self._feed.position

    @property
    def described(self) -> Mapping[str, Any]:
        """What its rows look like, as the server says it (docs/wire.md): columns, key, hidden."""
        return self._feed.described

    async def accepted(self) -> Self:
        """Waits until the server has accepted it.

        Raises:
            UnknownNameError: There is no such table.
            SqlError: The select cannot be parsed, or cannot be followed.
            RequestError: There is no such position yet, or the parameters are not the select's.
            ForbiddenError: The token does not allow it.
        """
        while not self._feed.begun:
            if self._feed.error is not None:
                raise self._feed.error
            self._event.clear()
            await self._event.wait()
        return self

    async def get(self, timeout_s: float | None = None) -> Snapshot | Delta | None:
        """The next snapshot or delta; None when nothing has come in time.

        Raises:
            SchemaError: The table was dropped.
            ClosedError: It is closed, or the database is.
            As `accepted`, when it never was.
        """
        feed = self._feed
        try:
            async with asyncio.timeout(timeout_s):
                while True:
                    if self.closed:
                        raise ClosedError("the subscription is closed")
                    item = feed.take()
                    if item is not None:
                        return item
                    if feed.error is not None:
                        raise feed.error
                    if feed.left:
                        self._protocol.resume(feed)
                    self._event.clear()
                    await self._event.wait()
        except TimeoutError:
            return None

    async def __aiter__(self) -> AsyncIterator[Snapshot | Delta]:
        while True:
            try:
                item = await self.get()
            except ClosedError:
                if self.closed:
                    return
                raise
            if item is not None:
                yield item

    def close(self) -> None:
        """Ends it; twice is fine."""
        if not self.closed:
            self.closed = True
            self._protocol.leave(self._feed)
            self._event.set()

    async def __aenter__(self) -> Self:
        return await self.accepted()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
