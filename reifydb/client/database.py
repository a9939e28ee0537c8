"""A served database in an event loop: what `reifydb.aconnect` gives."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Generator, Iterable, Mapping, Sequence
from types import TracebackType
from typing import Any, Literal, Self

from reifydb.client import queries, requests
from reifydb.client.changes import AsyncChanges
from reifydb.client.connection import Connection, Patience
from reifydb.client.protocol import Request
from reifydb.client.requests import Prepare
from reifydb.client.scans import Walk
from reifydb.client.schema import Schema
from reifydb.config import in_flight_max
from reifydb.database.outcome import Outcome
from reifydb.database.positions import Position
from reifydb.database.rows import Rows, Values
from reifydb.engine.catalog import Table, Transition
from reifydb.errors import (
    ClosedError,
    ConnectionLostError,
    ReifyDBError,
    RequestError,
    WaitTimeoutError,
)

Row = dict[str, object]
Ack = Literal["durable", "committed"]

BATCH_CALLS = in_flight_max // 2
"""Calls of a `call_many` that are asked for at once; the next ones once they are answered."""

DURABLE_LOOK_S = 0.002
"""How often `wait_durable` asks."""


class AsyncDatabase:
    """A database that is served elsewhere, for one event loop. Made by `reifydb.aconnect`.

    Its methods are the embedded database's. Those that are called concurrently share frames. It
    connects again by itself when the connection is lost; requests wait for that, but for those that
    may have run: they fail with `ConnectionLostError`.

    Every method may raise, besides what is said:
        OfflineError: There was no connection for too long; it was not sent.
        ConnectionLostError: It has run, or not. Never raised by what only reads.
        OverloadedError: The server, or this client, has too much to do; it has not run.
        ForbiddenError: The token does not allow it.
        ClosedError: This is closed.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection, self._protocol = connection, connection.protocol
        self._loop = asyncio.get_running_loop()

    async def _ask(self, kind: str, prepare: Prepare) -> Any:
        value, _ = await self._asked(kind, prepare)
        return value

    async def _asked(self, kind: str, prepare: Prepare) -> tuple[Any, int]:
        future: asyncio.Future[tuple[Any, int]] = self._loop.create_future()

        def done(value: Any, lsn: int) -> None:
            if not future.done():
                future.set_result((value, lsn))

        def failed(error: ReifyDBError, lsn: int) -> None:
            del lsn
            if not future.done():
                future.set_exception(error)

        self._protocol.ask(Request(kind, prepare, done, failed))
        return await future

    # ------------------------------------------------------------------ calls

    async def call(self, transition: str, /, *args: object, **named: object) -> object:
        """Runs a transition in a transaction of its own, and returns its typed result.

        Answered when it is durable, or, with `ack="committed"`, when it has committed.

        Raises:
            AbortedError: It said no; `abort_code` and `abort_message` are its own.
            TrappedError, DeadlineError: It failed; nothing has changed.
            WrongTypeError, RequestError, UnknownNameError: The call is not a right one.
            DurabilityStalledError, StorageFullError, DurabilityLostError: The server's disk.
        """
        return await self._ask("call", requests.call(transition, args, named))

    async def call_many(
        self, transition: str, calls: Iterable[Sequence[object]], /
    ) -> list[Outcome]:
        """Runs a transition once for each tuple of arguments: a transaction each, many in a frame.

        A call that fails does not stop the others, whatever it fails of: its outcome says so. A
        call that was lost with the connection has a `ConnectionLostError` as its outcome.
        """
        given = list(calls)
        outcomes: list[Outcome] = []
        for start in range(0, len(given), BATCH_CALLS):
            outcomes += await self._call_some(transition, given[start : start + BATCH_CALLS])
        return outcomes

    async def _call_some(self, transition: str, calls: Sequence[Any]) -> list[Outcome]:
        outcomes: list[Any] = [None] * len(calls)
        left = len(calls)
        future: asyncio.Future[None] = self._loop.create_future()

        def told(index: int, outcome: Outcome) -> None:
            nonlocal left
            outcomes[index] = outcome
            left -= 1
            if not left and not future.done():
                future.set_result(None)

        for i, args in enumerate(calls):
            request = Request("call", requests.call(transition, args, {}), *_tellers(told, i))
            try:
                self._protocol.ask(request)
            except ReifyDBError as error:
                if not i:
                    raise
                told(i, Outcome(None, error, 0))
        await future
        return outcomes

    async def group(self, calls: Iterable[tuple[str, Sequence[object]]]) -> list[object]:
        """Runs calls in one transaction: all of them or none.

        Args:
            calls: Names of transitions, each with its arguments.

        Returns:
            Their results.

        Raises:
            As `call`, for the first one that fails; `index` of the error says which it is.
        """
        found: list[object] = await self._ask("group", requests.group(list(calls)))
        return found

    # ------------------------------------------------------------------ reading

    async def get(self, table: str, key: object) -> Row | None:
        """The row with this primary key; None when there is none."""
        found: Row | None = await self._ask("get", requests.get(table, key))
        return found

    async def count(self, table: str) -> int:
        """Number of rows of a table."""
        found: int = await self._ask("count", requests.count(table))
        return found

    async def scan(
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
    ) -> AsyncIterator[Row]:
        """Rows in the order of their primary keys, or of a secondary index.

        They are fetched page by page as they are consumed. Each page is of one moment; two pages
        are not of the same. A row that is there all the while comes exactly once, unless it moves
        in the index that is walked.
        """
        walk = Walk(table, index, lower, upper, lower_exclusive, upper_exclusive, limit, reverse)
        async for rows in self.pages(walk):
            for row in rows:
                yield row

    async def query(self, sql: str, params: Values | None = None) -> Rows:
        """The answer to a `select`, all of one moment (docs/sql.md).

        Args:
            sql: One `select`; values in it as `:name`, `?` or `$1`.
            params: Their values: a mapping of names, or a sequence in their order. They are of no
                type that the client knows: a text for a timestamp is taken as the server reads it.

        Raises:
            SqlError: It cannot be parsed, is not supported, or does not fit the tables.
            RequestError, WrongTypeError: The parameters are not those of the query.
            ExpressionError: An expression could not be computed for a row.
            LimitError: The answer is beyond `answer_rows_max` or `answer_bytes_max`, or the query
                looks at more than `query_scanned_max` rows.
        """
        found: Rows = await self._ask("query", queries.query(sql, params))
        return found

    async def pages(self, walk: Walk) -> AsyncIterator[Sequence[Row]]:
        """The pages of a scan, as they are consumed."""
        while True:
            options = walk.next_page()
            if options is None:
                return
            yield walk.got(await self._ask("scan", requests.scan(walk.table, options)))

    # ------------------------------------------------------------------ writing

    async def insert(self, table: str, row: Mapping[str, object]) -> object:
        """Inserts a row; columns left out have their default. Returns its primary key."""
        [key] = await self._ask("write", requests.write("insert", table, [row]))
        return key

    async def update(self, table: str, row: Mapping[str, object]) -> None:
        """Sets the given columns of the row with this primary key; `NotFoundError`."""
        await self._ask("write", requests.write("update", table, [row]))

    async def upsert(self, table: str, row: Mapping[str, object]) -> None:
        """Updates the row with this primary key, or inserts it."""
        await self._ask("write", requests.write("upsert", table, [row]))

    async def delete(self, table: str, key: object) -> bool:
        """Deletes by primary key; whether there was such a row."""
        return bool(await self._ask("write", requests.write("delete", table, [key])))

    async def insert_many(self, table: str, rows: Iterable[Mapping[str, object]]) -> int:
        """Inserts all the rows or none; how many."""
        return len(await self._ask("write", requests.write("insert", table, rows)))

    async def update_many(self, table: str, rows: Iterable[Mapping[str, object]]) -> int:
        """Updates all the rows or none; how many."""
        return int(await self._ask("write", requests.write("update", table, rows)))

    async def upsert_many(self, table: str, rows: Iterable[Mapping[str, object]]) -> int:
        """Upserts all the rows or none; how many."""
        return int(await self._ask("write", requests.write("upsert", table, rows)))

    async def delete_many(self, table: str, keys: Iterable[object]) -> int:
        """Deletes by primary keys, in one transaction; how many there were."""
        return int(await self._ask("write", requests.write("delete", table, keys)))

    # ------------------------------------------------------------------ listening

    def subscribe(
        self, what: str, params: Values | None = None, *, since: Position | None = None
    ) -> AsyncChanges:
        """Listens to a table, a view or a select: a snapshot of it, then what each commit changes.

            async with db.subscribe("account") as changes:
                async for change in changes: ...
            async with db.subscribe("select id from account where branch = ?", ["n"]) as changes:

        What comes is durable, or, with `ack="committed"`, committed. It goes on by itself when the
        connection is lost: where it was if the server still knows what has changed since, else with
        a snapshot; always with one when the server has lost a commit that was passed on.

        Args:
            what: A name, or the text of a `select`.
            params: Values for the parameters of a select, as for `query`.
            since: A position that this subscriber had before.
        """
        wanted = queries.followed(what, params)
        requests.subscribe(wanted, since)  # refuses what is no position
        return AsyncChanges(self._protocol, wanted, since)

    # ------------------------------------------------------------------ positions

    @property
    def position(self) -> Position:
        """Of the newest answer: everything up to it is in what was read."""
        return self._protocol.position

    @property
    def lsn(self) -> int:
        """The lsn of `position`."""
        return self._protocol.position.lsn

    @property
    def incarnation(self) -> int:
        """The server's, when it was last connected to."""
        return self._protocol.position.incarnation

    async def wait_durable(self, lsn: int | None = None, timeout_s: float | None = None) -> None:
        """Waits until a commit is durable on the server. Needed with `ack="committed"` only.

        Args:
            lsn: Of the commit; by default that of `position`.
            timeout_s: How long at most.

        Raises:
            WaitTimeoutError: It took longer.
            ConnectionLostError: The server was started again meanwhile: nobody knows.
        """
        incarnation, last = self.position
        wanted = last if lsn is None else lsn
        until = None if timeout_s is None else self._loop.time() + timeout_s
        while True:
            position, durable_lsn = await self._ask("ping", requests.ping())
            if position.incarnation != incarnation:
                raise ConnectionLostError(
                    f"the server was started again: whether lsn {wanted} was durable is not known"
                )
            if durable_lsn >= wanted:
                return
            if wanted > position.lsn:
                raise RequestError(f"there is no lsn {wanted} yet; the last is {position.lsn}")
            if until is not None and self._loop.time() >= until:
                raise WaitTimeoutError(f"lsn {wanted} was not durable within {timeout_s} s")
            await asyncio.sleep(DURABLE_LOOK_S)

    # ------------------------------------------------------------------ schema

    @property
    def tables(self) -> dict[str, Table]:
        """The tables that this client may use, as it knows them."""
        return {name: shape.table for name, shape in self._schema.tables.items()}

    @property
    def transitions(self) -> dict[str, Transition]:
        """The transitions that this client may call, as it knows them."""
        return {name: shape.transition for name, shape in self._schema.transitions.items()}

    @property
    def _schema(self) -> Schema:
        if self._protocol.schema is None:
            raise ClosedError("there never was a connection")
        return self._protocol.schema

    # ------------------------------------------------------------------ the end

    async def close(self) -> None:
        """Closes the connection; whatever waits fails with `ClosedError`. Twice is fine."""
        await self._connection.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()


def _tellers(
    told: Callable[[int, Outcome], None], index: int
) -> tuple[Callable[[Any, int], None], Callable[[ReifyDBError, int], None]]:
    """What a call of a batch is told with."""
    return (
        lambda value, lsn: told(index, Outcome(value, None, lsn)),
        lambda error, lsn: told(index, Outcome(None, error, lsn)),
    )


class Connecting:
    """What `aconnect` returns: await it, or open it with `async with`."""

    def __init__(self, url: str, token: str | None, ack: Ack, patience: Patience) -> None:
        self._given = url, token, ack, patience
        self._db: AsyncDatabase | None = None

    async def _connect(self) -> AsyncDatabase:
        connection = Connection(*self._given)
        try:
            await connection.ready()
        except BaseException:
            await connection.close()
            raise
        return AsyncDatabase(connection)

    def __await__(self) -> Generator[Any, None, AsyncDatabase]:
        return self._connect().__await__()

    async def __aenter__(self) -> AsyncDatabase:
        self._db = await self._connect()
        return self._db

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._db is not None:
            await self._db.close()


def aconnect(
    url: str,
    *,
    token: str | None = None,
    ack: Ack = "durable",
    connect_s: float = 10.0,
    offline_s: float = 30.0,
) -> Connecting:
    """Connects to a served database, in a running event loop.

        async with reifydb.aconnect("http://localhost:8042", token=…) as db: ...
        db = await reifydb.aconnect("http://localhost:8042")

    Args:
        url: Of the server.
        token: Of `reifydb token make`; not needed where the server has none.
        ack: What answers and deltas wait for: that they are `durable`, or `committed`.
        connect_s: How long connecting may take.
        offline_s: How long a request waits for a connection, once there has been one.

    Raises:
        OfflineError: There is no connection in time.
        UnauthenticatedError: The server wants a token, and not this one.
    """
    if ack not in ("durable", "committed"):
        raise RequestError(f"ack is {ack!r:.40}", hint='"durable" or "committed"')
    return Connecting(url, token, ack, Patience(connect_s, offline_s))
