"""A served database without `async`: what `reifydb.connect` gives."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine, Iterable, Iterator, Mapping, Sequence
from types import TracebackType
from typing import Any, Self, TypeVar

from reifydb.client.changes import AsyncChanges
from reifydb.client.database import Ack, AsyncDatabase, Row, aconnect
from reifydb.client.scans import Walk
from reifydb.database.changes import Delta, Snapshot
from reifydb.database.outcome import Outcome
from reifydb.database.positions import Position
from reifydb.database.rows import Rows, Values
from reifydb.engine.catalog import Table, Transition
from reifydb.errors import ClosedError, ForkedError

T = TypeVar("T")


class _Loop:
    """An event loop in a thread of its own."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(
            target=self._loop.run_forever, name="reifydb-client", daemon=True
        )
        self._thread.start()

    def wait(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Runs it there, and waits for it."""
        if self._loop.is_closed() or not self._thread.is_alive():
            coroutine.close()
            if self._loop.is_closed():
                raise ClosedError("the connection was closed")
            raise ForkedError("this connection is another process's", hint="connect again")
        future = asyncio.run_coroutine_threadsafe(coroutine, self._loop)
        try:
            return future.result()
        except BaseException:
            future.cancel()  # Ctrl-C: nobody waits for it any more
            raise

    def close(self) -> None:
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()
            self._loop.close()


class RemoteDatabase:
    """A database that is served elsewhere; safe from several threads. Made by `reifydb.connect`.

    The methods are those of `AsyncDatabase`, and wait for their answers. Calls of several threads
    share frames; many calls of one thread are faster with `call_many`.
    """

    def __init__(self, loop: _Loop, db: AsyncDatabase) -> None:
        self._loop, self._db = loop, db

    # ------------------------------------------------------------------ calls

    def call(self, transition: str, /, *args: object, **named: object) -> object:
        """See `AsyncDatabase.call`."""
        return self._loop.wait(self._db.call(transition, *args, **named))

    def call_many(self, transition: str, calls: Iterable[Sequence[object]], /) -> list[Outcome]:
        """See `AsyncDatabase.call_many`."""
        return self._loop.wait(self._db.call_many(transition, calls))

    def group(self, calls: Iterable[tuple[str, Sequence[object]]]) -> list[object]:
        """See `AsyncDatabase.group`."""
        return self._loop.wait(self._db.group(calls))

    # ------------------------------------------------------------------ reading

    def get(self, table: str, key: object) -> Row | None:
        """See `AsyncDatabase.get`."""
        return self._loop.wait(self._db.get(table, key))

    def count(self, table: str) -> int:
        """See `AsyncDatabase.count`."""
        return self._loop.wait(self._db.count(table))

    def scan(
        self,
        table: str,
        *,
        index: str | None = None,
        lower: object = None,
        upper: object = None,
        lower_exclusive: bool = False,
        upper_exclusive: bool = False,
        limit: int | None = None,
        reverse: bool = False,
    ) -> Iterator[Row]:
        """See `AsyncDatabase.scan`."""
        walk = Walk(table, index, lower, upper, lower_exclusive, upper_exclusive, limit, reverse)
        pages = self._db.pages(walk)
        while True:
            rows = self._loop.wait(_next(pages))
            if rows is None:
                return
            yield from rows

    def query(self, sql: str, params: Values | None = None) -> Rows:
        """See `AsyncDatabase.query`."""
        return self._loop.wait(self._db.query(sql, params))

    # ------------------------------------------------------------------ writing

    def insert(self, table: str, row: Mapping[str, object]) -> object:
        """See `AsyncDatabase.insert`."""
        return self._loop.wait(self._db.insert(table, row))

    def update(self, table: str, row: Mapping[str, object]) -> None:
        """See `AsyncDatabase.update`."""
        self._loop.wait(self._db.update(table, row))

    def upsert(self, table: str, row: Mapping[str, object]) -> None:
        """See `AsyncDatabase.upsert`."""
        self._loop.wait(self._db.upsert(table, row))

    def delete(self, table: str, key: object) -> bool:
        """See `AsyncDatabase.delete`."""
        return self._loop.wait(self._db.delete(table, key))

    def insert_many(self, table: str, rows: Iterable[Mapping[str, object]]) -> int:
        """See `AsyncDatabase.insert_many`."""
        return self._loop.wait(self._db.insert_many(table, rows))

    def update_many(self, table: str, rows: Iterable[Mapping[str, object]]) -> int:
        """See `AsyncDatabase.update_many`."""
        return self._loop.wait(self._db.update_many(table, rows))

    def upsert_many(self, table: str, rows: Iterable[Mapping[str, object]]) -> int:
        """See `AsyncDatabase.upsert_many`."""
        return self._loop.wait(self._db.upsert_many(table, rows))

    def delete_many(self, table: str, keys: Iterable[object]) -> int:
        """See `AsyncDatabase.delete_many`."""
        return self._loop.wait(self._db.delete_many(table, keys))

    # ------------------------------------------------------------------ listening and positions

    def subscribe(
        self, what: str, params: Values | None = None, *, since: Position | None = None
    ) -> RemoteChanges:
        """See `AsyncDatabase.subscribe`; returns once the server has accepted it.

        with db.subscribe("account") as changes:
            for change in changes: ...
        """
        return RemoteChanges(self._loop, self._loop.wait(_accepted(self._db, what, params, since)))

    @property
    def position(self) -> Position:
        """See `AsyncDatabase.position`."""
        return self._db.position

    @property
    def lsn(self) -> int:
        """The lsn of `position`."""
        return self._db.lsn

    @property
    def incarnation(self) -> int:
        """See `AsyncDatabase.incarnation`."""
        return self._db.incarnation

    def wait_durable(self, lsn: int | None = None, timeout_s: float | None = None) -> None:
        """See `AsyncDatabase.wait_durable`."""
        self._loop.wait(self._db.wait_durable(lsn, timeout_s))

    @property
    def tables(self) -> dict[str, Table]:
        """See `AsyncDatabase.tables`."""
        return self._db.tables

    @property
    def transitions(self) -> dict[str, Transition]:
        """See `AsyncDatabase.transitions`."""
        return self._db.transitions

    # ------------------------------------------------------------------ the end

    def close(self) -> None:
        """Closes the connection and ends its thread; twice is fine."""
        try:
            self._loop.wait(self._db.close())
        except ClosedError:
            return
        self._loop.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


class RemoteChanges:
    """A subscription. Made by `RemoteDatabase.subscribe`; for one thread; close it.

    See `AsyncChanges`.
    """

    def __init__(self, loop: _Loop, changes: AsyncChanges) -> None:
        self._loop, self._changes = loop, changes
        self.table = changes.table

    @property
    def position(self) -> Position | None:
        """Of what was read last; None before anything was."""
        return self._changes.position

    @property
    def described(self) -> Mapping[str, Any]:
        """See `AsyncChanges.described`."""
        return self._changes.described

    def get(self, timeout_s: float | None = None) -> Snapshot | Delta | None:
        """See `AsyncChanges.get`."""
        return self._loop.wait(self._changes.get(timeout_s))

    def __iter__(self) -> Iterator[Snapshot | Delta]:
        while True:
            try:
                item = self.get()
            except ClosedError:
                if self._changes.closed:
                    return
                raise
            if item is not None:
                yield item

    def close(self) -> None:
        """Ends it; twice is fine. Whoever waits in another thread is told."""
        if not self._changes.closed:
            self._loop.wait(_close(self._changes))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


async def _next(pages: Any) -> Sequence[Row] | None:
    page: Sequence[Row] | None = await anext(pages, None)
    return page


async def _accepted(
    db: AsyncDatabase, what: str, params: Values | None, since: Position | None
) -> AsyncChanges:
    return await db.subscribe(what, params, since=since).accepted()


async def _close(changes: AsyncChanges) -> None:
    changes.close()


async def _connected(url: str, options: Mapping[str, Any]) -> AsyncDatabase:
    return await aconnect(url, **options)


def connect(
    url: str,
    *,
    token: str | None = None,
    ack: Ack = "durable",
    connect_s: float = 10.0,
    offline_s: float = 30.0,
) -> RemoteDatabase:
    """Connects to a served database, with a thread that keeps the connection.

        with reifydb.connect("http://localhost:8042", token=…) as db: ...

    Arguments and errors are those of `reifydb.aconnect`.
    """
    loop = _Loop()
    options = {"token": token, "ack": ack, "connect_s": connect_s, "offline_s": offline_s}
    try:
        return RemoteDatabase(loop, loop.wait(_connected(url, options)))
    except BaseException:
        loop.close()
        raise
