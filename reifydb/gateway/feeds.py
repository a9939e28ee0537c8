"""Subscriptions of connections: chunks of the kernel's become messages, at the pace of each reader.

A subscription's outbox is filled in the commit's turn and emptied here at the end of a tick, as far
as what it says is durable (for connections that wait for that) and as the connection reads what it
is sent. Whoever does not keep up overflows its outbox and begins anew; nobody waits for it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from time import monotonic
from typing import Any

from reifydb.config import outgoing_bytes_max, subscriptions_max, walk_stall_ms_max
from reifydb.database import Database
from reifydb.database.outbox import Chunk, ChunkKind, Outbox, Phase
from reifydb.database.positions import Position
from reifydb.database.sources import Source, Subject
from reifydb.errors import ReifyDBError, RequestError
from reifydb.gateway.options import options_of
from reifydb.gateway.peer import Peer
from reifydb.gateway.session import Id
from reifydb.gateway.shapes import Shapes, TableShape
from reifydb.wire.codecs import Codec
from reifydb.wire.dialects import Converter
from reifydb.wire.problems import problem_of

PREPARED_MAX = 256
"""Chunks that are kept ready for further readers within a tick."""


class _Outbox(Outbox):
    """An outbox that says when something has come, or its phase is another one. Nobody waits."""

    def __init__(self, db: Database, tell: Callable[[], None]) -> None:
        super().__init__(db.options)
        self._tell = tell

    def _notify(self) -> None:
        self._tell()


class _Feed:
    """One subscription of one connection."""

    def __init__(self, peer: Peer, id_: Id, subject: Subject, outbox: Outbox) -> None:
        self.peer, self.id, self.subject, self.outbox = peer, id_, subject, outbox
        self.shape: TableShape
        self.started = False  # the client has been told that pages come
        self.waiting: Chunk | None = None  # taken, and not yet to be told
        self.delta = peer.session.codec.begin("delta", id_, 3)


class Feeds:
    """All subscriptions of the server.

    Attributes:
        stalled: Some wait for what nobody tells: a connection that reads, or a walk that ends. They
            have to be looked at again.
    """

    def __init__(self, db: Database, shapes: Shapes, wake: Callable[[], None]) -> None:
        self._db, self._hub, self._shapes, self._wake = db, db._subscriptions, shapes, wake
        self.restarts = 0  # how often a reader was too slow, or its table changed
        self._feeds: dict[Peer, dict[Id, _Feed]] = {}
        self._due: dict[_Feed, None] = {}
        self._lost: ReifyDBError | None = None
        self.stalled = False
        self._stuck: dict[_Feed, float] = {}  # hold a walk and do not read, and since when
        self._prepared: dict[tuple[str, int, int], tuple[bytes, Any]] = {}

    @property
    def due(self) -> bool:
        """Whether some may have something to say."""
        return bool(self._due)

    @property
    def busy(self) -> bool:
        """Whether something waits to be told."""
        return bool(self._due)

    @property
    def count(self) -> int:
        """How many there are."""
        return sum(map(len, self._feeds.values()))

    # ------------------------------------------------------------------ coming and going

    def join(self, peer: Peer, id_: Id, subject: Subject, options: Any) -> dict[str, Any]:
        """Begins a subscription; what the client must know to read it.

        Raises:
            RequestError: There is one of this id, or the options are none.
            LimitError, …: What it is to cannot be followed.
        """
        own = self._feeds.setdefault(peer, {})
        if id_ in own:
            raise RequestError(f"there is a subscription {id_!r} already")
        if len(own) >= subscriptions_max:
            raise RequestError(f"a connection has at most {subscriptions_max} (subscriptions_max)")
        since = _since(options)
        feed: _Feed
        outbox = _Outbox(self._db, lambda: self._note(feed))
        feed = _Feed(peer, id_, subject, outbox)
        self._db._turns.prepare()
        with self._db._turns.lock:
            self._db._turns.settle()
            self._db._check_open()
            source = subject.source()
            feed.shape = self._shape(source)
            try:
                if since is not None:
                    self._hub.resume(outbox, source, since)
            except BaseException:
                subject.leave()
                raise
        feed.started = outbox.phase is Phase.FOLLOWING
        own[id_] = feed
        self._note(feed)
        return feed.shape.described()

    def _shape(self, source: Source) -> TableShape:
        if source.followed is None:
            return self._shapes.table(source.handle.name)
        return TableShape(source.handle)

    def leave(self, peer: Peer, id_: Any) -> None:
        """Ends a subscription.

        Raises:
            RequestError: There is none of this id.
        """
        own = self._feeds.get(peer, {})
        feed = own.pop(id_, None) if isinstance(id_, int | str) else None
        if feed is None:
            raise RequestError(f"there is no subscription {id_!r:.40}")
        self._end(feed)

    def leave_all(self, peer: Peer) -> None:
        """A connection is gone."""
        for feed in self._feeds.pop(peer, {}).values():
            self._end(feed)

    def close(self) -> None:
        """Nobody listens any more."""
        for peer in list(self._feeds):
            self.leave_all(peer)

    def _end(self, feed: _Feed) -> None:
        with self._db._turns.lock:
            if self._db._refusal is None:
                self._hub.leave(feed.outbox)
                feed.subject.leave()
        self._due.pop(feed, None)
        self._stuck.pop(feed, None)

    def _note(self, feed: _Feed) -> None:
        if feed not in self._due:
            self._due[feed] = None
            self._wake()

    # ------------------------------------------------------------------ telling

    def pump(self, durable_lsn: int, lost: ReifyDBError | None) -> Iterable[Peer]:
        """Says to each connection what it may know and has room for; to which it did. Whoever waits
        for what is `lost` is told so.
        """
        self._lost = lost
        self.stalled = False
        if not self._due:
            return ()
        due, self._due = self._due, {}
        self._prepared.clear()
        said: dict[Peer, list[tuple[int, Any]]] = {}
        for feed in due:
            if feed.id in self._feeds.get(feed.peer, {}):
                self._pump(feed, durable_lsn, said.setdefault(feed.peer, []))
        for peer, messages in said.items():
            messages.sort(key=lambda pair: pair[0])  # commits in their order, whatever they changed
            for _, message in messages:
                peer.session.say(message)
        return said

    def _pump(self, feed: _Feed, durable_lsn: int, said: list[tuple[int, Any]]) -> None:
        budget = outgoing_bytes_max
        while budget > 0:
            if feed.peer.full:
                self._due[feed] = None
                self.stalled = True
                if feed.outbox.phase is Phase.READING:
                    self._stuck.setdefault(feed, monotonic())
                return
            if self._stuck:
                self._stuck.pop(feed, None)
            chunk = self._next(feed)
            if chunk is None:
                if not self._go_on(feed, said):
                    return
                continue
            if feed.peer.session.durable and chunk.lsn > durable_lsn:
                if self._lost is not None:
                    feed.outbox.end(self._lost)
                    self._say_end(feed, said)
                    return
                feed.waiting = chunk
                self._due[feed] = None  # the log wakes the service
                return
            said += [(chunk.lsn, message) for message in self._messages(feed, chunk)]
            budget -= len(chunk.body)
        self._note(feed)

    @staticmethod
    def _next(feed: _Feed) -> Chunk | None:
        waiting, feed.waiting = feed.waiting, None
        outbox = feed.outbox
        with outbox.lock:
            if outbox.phase in (Phase.NEEDS_SNAPSHOT, Phase.ENDED):
                return None
            return waiting if waiting is not None else outbox.take()

    def _go_on(self, feed: _Feed, said: list[tuple[int, Any]]) -> bool:
        """Nothing waits in the outbox: begins a snapshot, reads on, or there is nothing to do."""
        outbox = feed.outbox
        if outbox.phase is Phase.FOLLOWING:
            return False
        if outbox.phase is Phase.ENDED:
            self._say_end(feed, said)
            return False
        db = self._db
        try:
            db._turns.prepare()
            with db._turns.lock:
                db._turns.settle()
                db._check_open()
                if outbox.phase is Phase.READING:
                    self._hub.read_on(outbox)
                    return True
                return self._begin(feed, said)
        except ReifyDBError as error:
            outbox.end(error)
            self._say_end(feed, said)
            return False

    def _begin(self, feed: _Feed, said: list[tuple[int, Any]]) -> bool:
        """Begins a snapshot. In a turn. False: too many are being read."""
        source = feed.subject.source()
        if not self._hub.begin_reading(feed.outbox, source) and not (
            self._free_a_walk() and self._hub.begin_reading(feed.outbox, source)
        ):
            self._due[feed] = None
            self.stalled = True
            return False
        feed.shape = self._shape(source)
        if feed.started:
            self.restarts += 1
            described = feed.shape.described()
            restart = ["restart", feed.id, described["columns"], described["key"]]
            if "hidden" in described:
                restart.append(described["hidden"])
            said.append((self._db.lsn, restart))
        feed.started = True
        return True

    def _free_a_walk(self) -> bool:
        """Ends the walk of whoever has not read for longest, if that is long: it begins anew when
        it reads again. In a turn. False: all of them read.
        """
        for feed, since_s in self._stuck.items():
            if monotonic() - since_s < walk_stall_ms_max / 1000:
                return False
            del self._stuck[feed]
            self._hub.give_up(feed.outbox)
            return True
        return False

    def _say_end(self, feed: _Feed, said: list[tuple[int, Any]]) -> None:
        error = feed.outbox.error
        if error is not None:
            said.append((self._db.lsn, ["ended", feed.id, problem_of(error)]))
        self._feeds.get(feed.peer, {}).pop(feed.id, None)
        self._end(feed)

    def _messages(self, feed: _Feed, chunk: Chunk) -> list[Any]:
        codec, id_ = feed.peer.session.codec, feed.id
        if chunk.kind is ChunkKind.DELTA:
            return [codec.join(feed.delta, self._delta(codec, feed, chunk))]
        page = codec.end([], self._made(codec, feed, chunk))
        message = codec.join(codec.begin("page", id_, 1), page)
        last = chunk.kind is ChunkKind.LAST_PAGE
        return [message, ["ready", id_, chunk.lsn]] if last else [message]

    def _delta(self, codec: Codec, feed: _Feed, chunk: Chunk) -> Any:
        """What a delta says, in a codec: made ready once for all who listen. Who still reads pages
        is not told what came before.
        """
        previous = chunk.previous if feed.outbox.phase is Phase.FOLLOWING else 0
        key = codec.subprotocol, id(chunk.body), previous
        kept = self._prepared.get(key)
        if kept is None:
            if len(self._prepared) >= PREPARED_MAX:
                self._prepared.clear()
            made = codec.end([chunk.lsn, previous], self._made(codec, feed, chunk))
            # The body goes along: while it is there, no other has its identity.
            kept = self._prepared[key] = chunk.body, made
        return kept[1]

    @staticmethod
    def _made(codec: Codec, feed: _Feed, chunk: Chunk) -> Any:
        table = feed.shape.handle.table
        rows = Converter(table.columns, codec.dialect.raw_writer)
        keys = Converter(table.key_columns, codec.dialect.raw_writer)

        def convert(op: int, key: list[Any], row: list[Any] | None) -> list[Any]:
            return [op, list(keys(key)), None if row is None else list(rows(row))]

        return codec.entries(chunk, convert)


def _since(options: Any) -> Position | None:
    since = options_of(options, ("since",), "a subscription").get("since")
    if since is None:
        return None
    whole = isinstance(since, list) and len(since) == 2
    if not whole or not all(isinstance(n, int) and not isinstance(n, bool) for n in since):
        raise RequestError("since is a position: [incarnation, lsn]")
    return Position(*since)
