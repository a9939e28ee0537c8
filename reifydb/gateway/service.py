"""What the server does for its connections, whatever they are: one tick of the event loop after the
other.

What arrives in one tick is gathered and run together: calls one behind the other are one batch, one
crossing into the kernel. Whatever is to be said is said at the end of the tick, one frame for each
connection. All of it on the event loop's thread; nothing here waits.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence, Sized
from time import perf_counter
from typing import Any

from reifydb.config import group_calls_max, queue_delay_ms_max
from reifydb.database import Database
from reifydb.database.batches import Call, Outcome, Replied
from reifydb.database.call_frames import CallFrame, Lone
from reifydb.database.sources import Subject, TableSubject
from reifydb.database.transaction import Transaction
from reifydb.database.transitions import PythonTransition
from reifydb.engine.kernel import COMMITTED, OUTCOME
from reifydb.errors import BusyError, DurabilityLostError, ReifyDBError, RequestError
from reifydb.gateway.admission import Admission
from reifydb.gateway.feeds import Feeds
from reifydb.gateway.metrics import Metrics
from reifydb.gateway.options import options_of
from reifydb.gateway.pages import page_of
from reifydb.gateway.peer import Peer
from reifydb.gateway.queries import answer_of, select_of
from reifydb.gateway.session import Id, Request, wants_durable
from reifydb.gateway.shapes import Shapes
from reifydb.wire.codecs import Spliced
from reifydb.wire.dialects import Dialect
from reifydb.wire.problems import problem_of

_LOG = logging.getLogger("reifydb.gateway")

LOOK_S = 0.005
"""How often subscriptions are looked at that wait for what nobody tells."""

BEHIND_S = 0.001
"""How long calls wait before the log is looked at again when it is behind."""


class Service:
    """Serves the connections of one database.

    Attributes:
        feeds: Their subscriptions.
        draining: No new requests are taken on.
        metrics: What it counts.
        admission: Whether it can take on more.
    """

    def __init__(self, db: Database, loop: asyncio.AbstractEventLoop) -> None:
        self.db, self._loop = db, loop
        self.shapes = Shapes(db)
        self.feeds = Feeds(db, self.shapes, self._wake)
        self.draining = False
        self._arrived: list[tuple[Peer, Request | CallFrame]] = []
        self._waiting = 0  # how many requests these are
        self._scheduled = self._looking = False
        # What else asyncio's loop will run in its tick; None where the loop does not say.
        self._ready: Sized | None = getattr(loop, "_ready", None)
        self._speaking: dict[Peer, None] = {}  # have something to say at the end of this tick
        self._owing: set[Peer] = set()  # have something to say once more is durable
        self._lost: ReifyDBError | None = None
        self._woken_s = 0.0
        self.metrics = Metrics()
        self.admission = Admission()
        db._log.listen(self._from_the_logs_thread)

    def close(self) -> None:
        """Serves nobody any more."""
        self.db._log.listen(None)
        self.feeds.close()

    # ------------------------------------------------------------------ ticks

    def take_on(
        self, peer: Peer, requests: Sequence[Request | CallFrame], *, wake: bool = True
    ) -> None:
        """Takes on requests: they run with all else that arrives in this tick.

        Args:
            wake: False: whoever takes them on calls `hurry` when it has no more.
        """
        for request in requests:
            self._keep(peer, request)
        self._speaking[peer] = None
        if wake:
            self._wake()

    def hurry(self) -> None:
        """All that one connection has sent together was taken on. It runs now when nothing else is
        ready in this tick of the loop, so that there is nothing to gather.
        """
        if not self._scheduled and (self._speaking or self._arrived):
            if self._ready is None or self._ready:
                self._wake()
            else:
                self._woken_s = self._loop.time()
                self._tick()

    def answer_lone(self, peer: Peer, frame: bytes) -> bool:
        """A tick for one frame of one call, in the shortest way. Unless something has arrived
        before it, this costs less than to gather it with what else is ready in this turn of the
        loop. How long all of that takes is seen by the tick that is asked for.

        Returns:
            False: nothing has happened; it is to be taken on as all others are.
        """
        if self._arrived or self._speaking:
            return False
        if self.draining or self._lost is not None or self.db._log.behind():
            return False
        if self.admission.may_refuse(0, len(self._owing)):
            return False
        session = peer.session
        assert session.told is not None
        if not self._scheduled and (self._ready is None or self._ready):
            self._wake()
        scheduled, self._scheduled = self._scheduled, True  # as in `_tick`
        began = perf_counter()
        try:
            all_of_them = session.grant is not None and session.grant.may_call_all
            lone = self.db.answer_lone(frame, session.told[0], None if all_of_them else session.may)
        except Exception as error:
            session.in_flight += 1
            self._fail(peer, _lone_id(frame), error)
            self._end_tick(self._loop.time())
            return True
        finally:
            self._scheduled = scheduled
        if lone is None:
            return False
        seconds = perf_counter() - began
        if lone.message:
            self.metrics.ran_one(lone.handle.name, seconds)
            if not self.feeds.due and seconds * 1000 <= queue_delay_ms_max:
                self._say_lone(peer, lone)
                return True
            session.in_flight += 1
            session.answer_calls(Spliced(lone.message), lone.lsn)
        else:
            session.in_flight += 1
            self._tell_lone(peer, lone, _lone_id(frame), seconds)
        self._speaking[peer] = None
        self._end_tick(self._loop.time() - seconds)
        return True

    def _say_lone(self, peer: Peer, lone: Lone) -> None:
        """What `_end_tick` does when there is nobody else."""
        session = peer.session
        if not session.durable and session.owes_nothing:
            peer.send(lone.message)
            return
        durable_lsn = self.db.durable_lsn
        said = session.answer_lone(lone.message, lone.lsn, durable_lsn)
        if said is not None:
            peer.send(said)
        if session.waits_for is not None:
            self._owing.add(peer)
            self._look_again(durable_lsn)
        elif self._owing:
            self._owing.discard(peer)

    def _tell_lone(self, peer: Peer, lone: Lone, id_: Id, seconds: float) -> None:
        """Answers a call that the kernel has not."""
        status, code, lsn, length, _ = OUTCOME.unpack_from(lone.outcome)
        call = Call(lone.handle, b"", (peer, Request("call", id_, ()), None))
        outcome = Outcome(call, status, code, lsn, OUTCOME.size, length)
        try:
            self._tell(outcome, lone.outcome)
            self.metrics.ran([outcome], seconds)
        except Exception:  # as of a tick
            _LOG.exception("a call's outcome could not be told")

    def speak(self, peer: Peer) -> None:
        """A connection has something to say."""
        self._speaking[peer] = None
        self._wake()

    def forget(self, peer: Peer) -> None:
        """A connection is gone. What it has asked for still runs; nobody is told."""
        peer.session.gone = True
        self._speaking.pop(peer, None)
        self._owing.discard(peer)
        self.feeds.leave_all(peer)

    @property
    def busy(self) -> bool:
        """Whether there is something that has not yet been run or said."""
        return bool(self._arrived or self._speaking or self._owing or self.feeds.busy)

    def admit(self) -> None:
        """Refuses new requests, before any work for them, when there is more than can be done.

        Raises:
            OverloadedError, UnavailableError: With when to try again.
        """
        peers = len(self._owing) + len(self._speaking)
        if self.admission.may_refuse(self._waiting, peers):
            self.admission.check(self._loop.time(), self._waiting, peers)

    def _wake(self) -> None:
        if not self._scheduled:
            self._scheduled = True
            self._woken_s = self._loop.time()
            self._loop.call_soon(self._tick)

    def _from_the_logs_thread(self) -> None:
        try:
            if not self._owing and not self.feeds.due:
                self.db._log.check()  # that all is lost is told in any case
                return  # whoever begins to wait looks once more: `_look_again`
        except ReifyDBError:
            pass
        try:
            self._loop.call_soon_threadsafe(self._after_flush)
        except RuntimeError:  # the loop is closed
            return

    def _look_again(self, durable_lsn: int) -> None:
        """More may have become durable just before somebody began to wait for it."""
        if self.db.durable_lsn != durable_lsn and (self._owing or self.feeds.due):
            self._loop.call_soon(self._after_flush)

    def _after_flush(self) -> None:
        self._speaking.update(dict.fromkeys(self._owing))
        if not self._scheduled:  # a turn of the loop less
            self._woken_s = self._loop.time()
            self._tick()

    def _look_at_feeds(self) -> None:
        self._looking = False
        self._wake()

    def _tick(self) -> None:
        self._scheduled = True  # what commits wakes nobody: subscriptions are looked at below
        woken_s = self._woken_s
        try:
            if self._arrived or self._speaking:
                self._run()
        except Exception:  # whoever had asked gets no answer; the others are served
            _LOG.exception("a tick failed")
        self._scheduled = False
        self._end_tick(woken_s)

    def _end_tick(self, woken_s: float) -> None:
        """Says what there is to say."""
        durable_lsn = self._durable_lsn()
        self._speaking.update(dict.fromkeys(self.feeds.pump(durable_lsn, self._lost)))
        if self.feeds.stalled and not self._looking:
            self._looking = True
            self._loop.call_later(LOOK_S, self._look_at_feeds)
        speaking = self._speaking
        self._speaking = dict.fromkeys(peer for peer, _ in self._arrived)
        for peer in speaking:
            frame = peer.session.frame(durable_lsn)
            if frame is not None:
                peer.send(frame)
            if peer.session.waits_for is not None:
                self._owing.add(peer)
            else:
                self._owing.discard(peer)
        self._look_again(durable_lsn)
        now = self._loop.time()
        self.admission.saw(now, now - woken_s)

    def _durable_lsn(self) -> int:
        if self._lost is None:
            try:
                self.db._log.check()
            except DurabilityLostError as error:
                self._lost = error
            except ReifyDBError:
                pass
        if self._lost is not None:
            for peer in self._owing:
                peer.session.lose(self._lost)
        return self.db.durable_lsn

    # ------------------------------------------------------------------ running

    def _keep(self, peer: Peer, request: Request | CallFrame) -> None:
        self._arrived.append((peer, request))
        self._waiting += request.calls if isinstance(request, CallFrame) else 1

    def _run(self) -> None:
        """Everything that has arrived: for each connection in the order in which it has. Calls that
        follow each other are one batch. While the log is behind, writes wait, and whatever their
        connection has asked for since; all others are served.
        """
        arrived, self._arrived = self._arrived, []
        self._waiting = 0
        try:
            with self.db._schema_turn.kept():
                self._tell_schema(self.db._schema_turn.number)
                self._run_all(arrived)
        except BusyError as error:
            for peer, request in arrived:
                for id_ in request.ids if isinstance(request, CallFrame) else [request.id]:
                    self._fail(peer, id_, error)

    def _tell_schema(self, number: int) -> None:
        """Whoever is answered in this tick learns first of a schema that it does not know."""
        for peer in self._speaking:
            told = peer.session.told
            if told is not None and told[0] != number:
                peer.session.tell_schema(number, self.shapes.schema(peer.session))

    def _run_all(self, arrived: Sequence[tuple[Peer, Request | CallFrame]]) -> None:
        self._stuck: set[Peer] = set()
        self._behind = self._log_is_behind()
        calls: list[Call | CallFrame] = []
        for peer, request in arrived:
            if peer in self._stuck:
                self._keep(peer, request)
            elif isinstance(request, CallFrame):
                self._prepare_all(peer, request, calls)
            elif request.kind == "call":
                self._prepare(peer, request, calls)
            else:
                self._run_calls(calls)
                calls = []
                self._serve(peer, request)
        self._run_calls(calls)
        if self._arrived:
            self._loop.call_later(BEHIND_S, self._wake)

    def _log_is_behind(self) -> bool:
        """Whether writes must wait; what they are refused with instead is in `_refusal`."""
        self._refusal: ReifyDBError | None = None
        if not self.db._log.behind():
            return False
        try:
            self.db._log.check()
        except ReifyDBError as error:
            self._refusal = error
        return self._refusal is None

    def _may_write(self, peer: Peer, request: Request) -> bool:
        """Whether a write may run now; else it waits with all that follows on its connection.

        Raises:
            DurabilityStalledError, StorageFullError, DurabilityLostError: It is refused.
        """
        if self._refusal is not None:
            raise self._refusal
        if self._behind:
            self._hold_up(peer, request)
        return not self._behind

    def _hold_up(self, peer: Peer, request: Request | CallFrame) -> None:
        """It waits, with all that follows on its connection."""
        self._stuck.add(peer)
        self._keep(peer, request)

    def _prepare_all(self, peer: Peer, frame: CallFrame, calls: list[Call | CallFrame]) -> None:
        """The calls of a frame made ready, unless they wait. Those of which some could run and
        others could not are looked at one by one.
        """
        if frame.may_write and (self._behind or self._refusal is not None):
            if frame.only_writes and self._behind:
                self._hold_up(peer, frame)
                return
            for request in _requests(frame):
                if peer in self._stuck:
                    self._keep(peer, request)
                else:
                    self._prepare(peer, request, calls)
            return
        frame.tag = peer
        calls.append(frame)

    def _prepare(self, peer: Peer, request: Request, calls: list[Call | CallFrame]) -> None:
        """A call made ready, unless it waits or can be answered already."""
        name, args, options = request.arguments
        session = peer.session
        try:
            durable = _durable_option(options)
            if not session.may("call", name):
                session.require("call", name)
            handle = self.db._transitions.get(name) if isinstance(name, str) else None
            if handle is None:
                handle = self.db._registry.find(name)
            if not handle.query and not self._may_write(peer, request):
                return
            if isinstance(handle, PythonTransition):
                raise RequestError(f"{handle.name} is a Python transition: those are not served")
            row = self.shapes.arguments(handle, session.codec.dialect, args)
        except Exception as error:
            self._fail(peer, request.id, error)
            return
        calls.append(Call(handle, row, (peer, request, durable)))

    def _run_calls(self, calls: list[Call | CallFrame]) -> None:
        """Runs calls in batches. What the log keeps from running waits."""
        while calls:
            began = perf_counter()
            try:
                found, data = self.db.run_calls(calls)
            except Exception as error:
                for call in calls:
                    self._fail_call(call, error)
                return
            self._tell_all(found, data, perf_counter() - began)
            calls = self._left(calls, found)

    def _left(
        self, calls: list[Call | CallFrame], found: Sequence[Outcome | Replied]
    ) -> list[Call | CallFrame]:
        """Those that have not run, and can now; others wait. A frame that was cut goes on call by
        call.
        """
        last, left = found[-1], calls[len(found) :]
        cut = isinstance(last, Replied) and last.calls < last.frame.calls
        if not cut and not left:
            return []
        self._behind = self._log_is_behind()
        ready: list[Call | CallFrame] = []
        if isinstance(last, Replied) and cut:
            peer = _peer(last.frame)
            for request in _requests(last.frame)[last.calls :]:
                if self._behind:
                    self._hold_up(peer, request)
                else:
                    self._prepare(peer, request, ready)
        if not self._behind:
            return ready + left
        for call in left:
            if isinstance(call, CallFrame):
                self._hold_up(_peer(call), call)
            else:
                self._hold_up(*_tag(call)[:2])
        return ready

    def _tell_all(self, found: Sequence[Outcome | Replied], data: bytes, seconds: float) -> None:
        """Answers calls with what became of them."""
        outcomes: list[Outcome] = []
        committed: dict[str, int] = {}
        for one in found:
            if isinstance(one, Outcome):
                outcomes.append(one)
                self._tell(one, data)
                continue
            peer = _peer(one.frame)
            self._speaking[peer] = None
            for handle, count in one.counts():
                committed[handle.name] = committed.get(handle.name, 0) + count
            for answer in one.answers:
                if isinstance(answer, Outcome):
                    request = Request("call", answer.call.tag, ())  # type: ignore[arg-type]
                    call = answer.call._replace(tag=(peer, request, None))
                    outcomes.append(answer._replace(call=call))
                    committed[call.handle.name] -= 1
                    self._tell(outcomes[-1], data)
                else:
                    peer.session.answer_calls(Spliced(*answer), one.lsn)
        self.metrics.ran(outcomes, seconds, committed)

    def _tell(self, outcome: Outcome, data: bytes) -> None:
        """Answers a call with its outcome."""
        peer, request, durable = _tag(outcome.call)
        handle, id_ = outcome.call.handle, request.id
        if outcome.status == COMMITTED:
            value = self.shapes.result(handle, peer.session.codec.dialect, data, outcome)
            message = ["ok", id_, value, outcome.lsn]
        else:
            reasons = self.db._executor.trap_reasons
            payload = data[outcome.at : outcome.at + outcome.length]
            error = handle.failure(outcome.status, outcome.code, payload, reasons)
            message = ["error", id_, problem_of(error), outcome.lsn]
        peer.session.answer(id_, message, outcome.lsn, durable=durable)
        self._speaking[peer] = None

    def _fail_call(self, call: Call | CallFrame, error: BaseException) -> None:
        """Answers calls that have not run."""
        if isinstance(call, CallFrame):
            for id_ in call.ids:
                self._fail(_peer(call), id_, error)
        else:
            peer, request, _ = _tag(call)
            self._fail(peer, request.id, error)

    def _fail(self, peer: Peer, id_: Id, error: BaseException) -> None:
        """Answers a request that has not run."""
        if not isinstance(error, ReifyDBError):
            _LOG.exception("a request failed", exc_info=error)
        peer.session.answer(id_, ["error", id_, problem_of(error)], 0, durable=False)
        self._speaking[peer] = None

    # ------------------------------------------------------------------ the other requests

    def _serve(self, peer: Peer, request: Request) -> None:
        """Runs a request that is no call, and answers it."""
        session, id_ = peer.session, request.id
        try:
            if request.kind in WRITES and not self._may_write(peer, request):
                return
            value, durable = _SERVERS[request.kind](self, peer, request)
        except Exception as error:
            self._fail(peer, id_, error)
            return
        lsn = self.db.lsn
        if request.kind == "ping":
            position = [self.db.incarnation, lsn]
            session.answer(id_, ["pong", id_, position, self.db.durable_lsn], 0, durable=False)
        else:
            session.answer(id_, ["ok", id_, value, lsn], lsn, durable=durable)
        self._speaking[peer] = None

    def _group(self, peer: Peer, request: Request) -> tuple[Any, bool | None]:
        calls, options = request.arguments
        if not isinstance(calls, list) or not 1 <= len(calls) <= group_calls_max:
            raise RequestError(f"a group has 1 to {group_calls_max} calls")
        durable = _durable_option(options)
        dialect = peer.session.codec.dialect
        values: list[Any] = []
        with self.db.transaction() as tx:
            for index, call in enumerate(calls):
                try:
                    values.append(self._call_in_group(peer, tx, call, dialect))
                except ReifyDBError as error:
                    error.index = index  # type: ignore[attr-defined]
                    raise
        return values, durable

    def _call_in_group(self, peer: Peer, tx: Transaction, call: Any, dialect: Dialect) -> Any:
        if not isinstance(call, list) or len(call) != 2:
            raise RequestError("each call of a group is [transition, arguments]")
        name, args = call
        peer.session.require("call", name)
        handle = self.db._registry.find_wasm(name)
        given = self.shapes.values(handle, dialect, args)
        return self.shapes.written(handle, dialect, tx.call(handle.name, *given))

    def _change(self, peer: Peer, request: Request) -> tuple[Any, None]:
        """Runs a function in a transaction. Asked for by handlers of HTTP only, as is `look`."""
        del peer
        (function,) = request.arguments
        with self.db.transaction() as tx:
            return function(tx), None

    def _look(self, peer: Peer, request: Request) -> tuple[Any, None]:
        """Runs a function that only reads."""
        del peer
        (function,) = request.arguments
        return function(), None

    def _get(self, peer: Peer, request: Request) -> tuple[Any, None]:
        name, key = request.arguments
        peer.session.require("read", name)
        table = self.shapes.table(name)
        dialect = peer.session.codec.dialect
        row = self.db.get(name, table.key(dialect, key))
        return None if row is None else table.row(dialect, row), None

    def _scan(self, peer: Peer, request: Request) -> tuple[Any, None]:
        name, options = request.arguments
        peer.session.require("read", name)
        table = self.shapes.table(name)
        dialect = peer.session.codec.dialect
        cursor = options.get("cursor") if isinstance(options, dict) else None
        scan = table.scan_options(dialect, options)
        rows, behind = page_of(self.db, table, scan, scan.pop("limit"), cursor)
        return {"rows": [table.row(dialect, row) for row in rows], "next": behind}, None

    def _query(self, peer: Peer, request: Request) -> tuple[Any, None]:
        sql, params = request.arguments
        return answer_of(self.db, peer.session, sql, params), None

    def _count(self, peer: Peer, request: Request) -> tuple[Any, None]:
        (name,) = request.arguments
        peer.session.require("read", name)
        return self.db.count(self.shapes.table(name).handle.name), None

    def _write(self, peer: Peer, request: Request) -> tuple[Any, None]:
        how, name, rows = request.arguments
        peer.session.require("write", name)
        table = self.shapes.table(name)
        dialect = peer.session.codec.dialect
        if not isinstance(rows, list):
            raise RequestError("rows, or keys to delete, stand in an array")
        with self.db.transaction() as tx:
            if how == "delete":
                return tx.delete_many(name, [table.key(dialect, key) for key in rows]), None
            if how not in ("insert", "update", "upsert"):
                raise RequestError(
                    f"{how!r:.40} is no write", hint="insert, update, upsert, delete"
                )
            given = [table.given(dialect, row) for row in rows]
            if how == "insert":
                keys = [tx.insert(name, row) for row in given]
                return [table.written_key(dialect, key) for key in keys], None
            write = tx.update_many if how == "update" else tx.upsert_many
            return write(name, given), None

    def _subscribe(self, peer: Peer, request: Request) -> tuple[Any, bool]:
        what, options = request.arguments
        subject: Subject
        if isinstance(what, dict):
            subject = select_of(self.db, peer.session, what)
        else:
            peer.session.require("subscribe", what)
            subject = TableSubject(self.db, self.shapes.table(what).handle)
        if peer.session.gone:  # nobody would ever end it
            raise RequestError("the connection is gone")
        # At once, before the stream, which waits for the disk itself.
        return self.feeds.join(peer, request.id, subject, options), False

    def _unsubscribe(self, peer: Peer, request: Request) -> tuple[Any, None]:
        self.feeds.leave(peer, request.arguments[0])
        return None, None

    def _schema(self, peer: Peer, request: Request) -> tuple[Any, None]:
        del request
        return self.shapes.schema(peer.session), None

    def _ping(self, peer: Peer, request: Request) -> tuple[Any, None]:
        del peer, request
        return None, None


WRITES = frozenset({"group", "write", "change"})
"""Requests, calls apart, that wait while the log is behind."""

_SERVERS: dict[str, Callable[[Service, Peer, Request], tuple[Any, bool | None]]] = {
    "group": Service._group,
    "change": Service._change,
    "look": Service._look,
    "get": Service._get,
    "scan": Service._scan,
    "query": Service._query,
    "count": Service._count,
    "write": Service._write,
    "subscribe": Service._subscribe,
    "unsubscribe": Service._unsubscribe,
    "schema": Service._schema,
    "ping": Service._ping,
}


def _peer(frame: CallFrame) -> Peer:
    """Whose calls they are."""
    return frame.tag  # type: ignore[return-value]


def _lone_id(frame: bytes) -> Id:
    """The id of a frame's one call."""
    id_: Id = Spliced(frame).messages()[0][1]
    return id_


def _requests(frame: CallFrame) -> list[Request]:
    """The calls of a frame one by one."""
    return [Request("call", id_, (*given, None)) for _, id_, *given in frame.messages]


def _tag(call: Call) -> tuple[Peer, Request, bool | None]:
    """Whose call it is."""
    return call.tag  # type: ignore[return-value]


def _durable_option(options: Any) -> bool | None:
    if options is None:
        return None
    return wants_durable(options_of(options, ("ack",), "a call", '{"ack": "committed"}').get("ack"))
