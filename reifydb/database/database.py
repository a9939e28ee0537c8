"""The embedded database: what `reifydb.open` returns.

The path of a write: `call` here → `Executor.run_one` (engine/executor.py) → the kernel's batch loop
(kernel/batch.zig) → the guest and back (kernel/guest.zig, transaction.zig) → redo (kernel/redo.zig)
→ `Feed.hand_over` (feed.py) → the commit log (durability/).
"""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Self, TypeVar, overload

from reifydb.config import ModuleLimits, Options
from reifydb.database import framed_calls, guest_log, schema_changes, system_rows
from reifydb.database.batches import Call, Outcome, Replied
from reifydb.database.call_frames import CallFrame, Lone
from reifydb.database.changes import Changes
from reifydb.database.feed import EXPECTED, Feed
from reifydb.database.followed import Selects
from reifydb.database.lifetime import open_databases
from reifydb.database.modules import Module
from reifydb.database.objects import Primitives
from reifydb.database.outcomes import Outcomes
from reifydb.database.packed import check_packed
from reifydb.database.packed_calls import run_packed
from reifydb.database.positions import Position
from reifydb.database.progress import Progress
from reifydb.database.queries import Queries, Terms
from reifydb.database.registry import Registry
from reifydb.database.rows import Rows, Values
from reifydb.database.scans import scan_request
from reifydb.database.schema_turn import SchemaTurn
from reifydb.database.sources import SelectSubject, Subject, TableSubject, is_select
from reifydb.database.state import Row, State
from reifydb.database.subscriptions import Subscriptions
from reifydb.database.table_memory import TableMemory
from reifydb.database.tables import MODULES
from reifydb.database.transaction import Transaction
from reifydb.database.transitions import (
    INT_OUTCOME,
    OUTCOME_BYTES,
    PythonTransition,
    WasmTransition,
)
from reifydb.database.turns import Turns
from reifydb.database.upkeep import Upkeep
from reifydb.database.views import Views
from reifydb.durability.group import Group, Lag
from reifydb.durability.log import CommitLog
from reifydb.durability.memory import MemoryLog
from reifydb.engine.catalog import NAME, ParameterisedView, Table
from reifydb.engine.deadlines import Watchdog
from reifydb.engine.executor import CALL_ENDED, DELTAS_WAIT, LOG_WAITS, PRESSING, Executor
from reifydb.engine.kernel import (
    COMMITTED,
    OUTCOME,
    Kernel,
)
from reifydb.engine.rows import REFUSALS
from reifydb.errors import (
    ClosedError,
    KernelError,
    ReifyDBError,
    RequestError,
    VerifyError,
)
from reifydb.sandbox.workshop import Workshop, give_back

if TYPE_CHECKING:
    from reifydb.database.plans import Plan
    from reifydb.database.schema_plan import SchemaPlan

SEED_MASK = (1 << 62) - 1
"""Seeds count up from below this, and never reach what a signed word cannot hold."""

_DEFAULT_LIMITS = ModuleLimits()
_unpack_int_outcome = INT_OUTCOME.unpack_from

Function = TypeVar("Function", bound=Callable[..., object])
"""A Python transition: decorated, it is what it was."""


def _nothing() -> None:
    pass


now_ns = time.time_ns
"""The default clock."""


class Database(Primitives):
    """An open database. Made by `reifydb.open`; safe from several threads; close it.

    Attributes:
        path: Its folder, or ":memory:".
        options: Its settings.
    """

    def __init__(
        self,
        path: str,
        options: Options,
        log: CommitLog,
        workshop: Workshop,
        *,
        clock: Callable[[], int],
        seed: int,
    ) -> None:
        self.path, self.options = path, options
        self._log, self._workshop, self._clock = log, workshop, clock
        self._seed = seed & SEED_MASK
        self._admit = log.admit
        self._refusal: ReifyDBError | None = None
        self._turns = Turns(options.engine_wait_ms_max)
        self._schema_turn = SchemaTurn(options.engine_wait_ms_max)
        self._log_lines: deque[bytes] = deque()
        self._log_listener: guest_log.Listener | None = None
        self._watchdog = Watchdog(options.deadline_ms)
        self._kernel = Kernel(
            workshop.engine, workshop.kernel_code(), memory_bytes_max=options.memory_bytes_max
        )
        self._watchdog.attach(self._kernel)
        self._executor = Executor(self._kernel, self._watchdog, slice_ms=options.slice_ms)
        self._feed = Feed(self._kernel, self._executor, log, self._turns)
        self._executor.on_yield, self._executor.behind = self._between_slices, log.behind
        self._state = State(self._kernel)
        self._registry = Registry(workshop, self._state, self._executor, self._watchdog, options)
        self._transitions = self._registry.transitions
        self._queries, self._views = Queries(self._state), Views(self._state)
        selects = Selects(self._state, self._queries)
        self._subscriptions = Subscriptions(self._kernel, log, options, selects)
        open_databases.add(self)

    # ------------------------------------------------------------------ opening

    def recover(self, progress: Callable[[Progress], object] | None = None) -> None:
        """Replays the log, reads the schema, links the modules, starts the log. Once.

        Args:
            progress: Is told how far views have come that are made anew.

        Raises:
            LogDamagedError: The log cannot be believed.
            KernelError: Replaying it does not arrive at the state it recorded.
        """
        for group in self._log.replay():
            self._replay(group)
        self._state.build_indexes()
        with self._state.reporter.told(progress):
            self._views.restore(self._state.read_catalog())
        self._registry.follow_schema()
        for row in self._state.rows_of(MODULES):
            self._registry.reinstall(row)
        self._log.start()
        self._feed.start()

    def _replay(self, group: Group) -> None:
        kernel = self._kernel
        kernel.redo[: len(group.records)] = group.records
        count = kernel.call["replay"](len(group.records))
        last = group.first_lsn + group.commits - 1
        if count != group.commits or kernel.lsn_cell.value != last:
            raise KernelError(f"the log's commits {group.first_lsn} to {last} cannot be replayed")
        if kernel.state_hash != group.state_hash:
            raise KernelError(
                f"replaying the log up to lsn {last} gives another state than was recorded there"
            )

    # ------------------------------------------------------------------ calls

    def call(self, transition: str, /, *args: object, **named: object) -> object:
        """Runs a transition in a transaction of its own, and returns its typed result.

        Acknowledged as committed: visible to every later reader, durable within the bound of
        `Options.durability_lag_ms_max` (`wait_durable` waits for that).

        Args:
            transition: `module.transition`, or the name of a Python transition.
            *args: Its arguments by position …
            **named: … or by name.

        Raises:
            AbortedError: It said no; `abort_code` and `abort_message` are its own.
            TrappedError, DeadlineError: It failed; nothing has changed.
            WrongTypeError, RequestError, UnknownNameError: The call is not a right one.
            DurabilityStalledError, StorageFullError, DurabilityLostError: The disk; only for
                transitions that may write.
        """
        try:
            handle = self._transitions[transition]
        except (KeyError, TypeError):
            handle = self._registry.find(transition)
        if isinstance(handle, PythonTransition):
            return self._call_python(handle, args, named)
        if not handle.query:
            self._admit()
        turns = self._turns
        if turns.waiting or turns.lock.locked() or not turns.known.stack:
            turns.prepare()
        with turns.lock:
            if turns.holder is not None:
                turns.settle()
            if self._refusal is not None:
                self._check_open()
            flags = 0
            kernel = self._kernel
            if handle.short is None or named:
                length = handle.lay(kernel.input, args, named)
            else:
                pack, head, header, length = handle.short
                try:
                    pack(kernel.input, 0, head, header, *args)
                except REFUSALS:
                    length = handle.lay(kernel.input, args, named)
            self._seed = seed = self._seed + 1
            try:
                flags = self._executor.run_one(length, self._clock(), seed)
                if handle.int_result:
                    status, value = _unpack_int_outcome(kernel.output)
                else:
                    status, value = handle.read_outcome(kernel.output)
                error = None if status == COMMITTED else self._failure(handle)
            finally:  # Ctrl-C comes when the kernel has committed, not instead
                if flags & PRESSING or self._feed.state is not EXPECTED:
                    self._after_one(flags)
        if self._log_lines:
            self._pass_on_log_lines()
        if error is not None:
            raise error
        return value

    def _failure(self, handle: WasmTransition) -> Exception:
        """The error of the outcome that lies in the kernel's output."""
        output = self._kernel.output
        status, code, _, length, _ = OUTCOME.unpack_from(output)
        payload = bytes(output[OUTCOME_BYTES : OUTCOME_BYTES + length])
        return handle.failure(status, code, payload, self._executor.trap_reasons)

    def _after_commit(self) -> None:
        """In a turn, after something may have been committed: redo and deltas."""
        self._feed.after_commit()
        self._subscriptions.take()

    def _after_one(self, flags: int) -> None:
        """After a single call, in its turn: redo, deltas, log lines, dead instances."""
        self._feed.after_commit()
        if flags & DELTAS_WAIT:
            self._subscriptions.take()
        if flags & CALL_ENDED:
            self._registry.renew_store()
        if flags & LOG_WAITS:
            self._gather_log_lines()

    def _between_slices(self) -> None:
        self._feed.hand_over()
        self._subscriptions.take()

    def _table(self, name: str) -> Table:
        return self._state.catalog.get(name).table

    def call_many(self, transition: str, calls: Sequence[Sequence[object]], /) -> Outcomes:
        """Runs a transition once for each tuple of arguments: a transaction each, one crossing.

        A call that fails does not stop the others. Wrong arguments anywhere are refused before
        anything runs. About 1 µs a call and more, decoding of outcomes apart.

        Returns:
            A lazy sequence of `Outcome(value, error, lsn)`.

        Raises:
            As `call`, but for what the outcomes say.
        """
        handle = self._registry.find_wasm(transition)
        packed = handle.params.encode_many(calls)
        return Outcomes(handle, run_packed(self, handle, packed), self._executor.trap_reasons)

    def call_packed(self, transition: str, packed: bytes, /) -> bytes:
        """The same for arguments that are rows already, one after the other (docs/formats.md).

        Returns:
            The packed outcomes (docs/formats.md, "Outcomes").

        Raises:
            As `call_many`; `RequestError` when the rows' lengths lead nowhere.
        """
        handle = self._registry.find_wasm(transition)
        check_packed(packed)
        parts = run_packed(self, handle, packed)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def read_calls(self, frame: bytes) -> CallFrame | None:
        """Has the kernel read a frame of calls in msgpack (docs/wire.md). For the gateway: it does
        not wait, neither for the disk nor for a turn. About 2 µs and 0.1 µs a call.

        Returns:
            The calls, to be run by `run_calls`; None when there is anything about them that the
            kernel does not read: then they are read one by one.
        """
        return framed_calls.read_calls(self, frame)

    def answer_lone(
        self, frame: bytes, number: int, may: Callable[[str, str], bool] | None
    ) -> Lone | None:
        """`read_calls` and `run_calls` in one turn and, mostly, one crossing, for a frame that is
        one call. For the gateway, which has asked whether the log is behind.

        Args:
            frame: It begins with `LONE_CALL`.
            number: Of the schema by which it is answered.
            may: Whether its sender may do this ("call"), with the transition of this name; None: it
                may call all.

        Returns:
            What became of it; None: nothing has happened, it goes the way of all others.

        Raises:
            KernelError: The kernel itself failed.
        """
        return framed_calls.answer_lone(self, frame, number, may)

    def run_calls(
        self, entries: Sequence[Call | CallFrame]
    ) -> tuple[list[Outcome | Replied], bytes]:
        """Runs calls of any transitions, a transaction each, in one turn. For the gateway: it does
        not wait for the disk.

        Returns:
            What became of those that have run, which are the first few when the log fell behind or
            there were more than a batch holds; and the bytes that their payloads lie in.

        Raises:
            BusyError, ClosedError, KernelError: Nothing has run.
        """
        return framed_calls.run_calls(self, entries)

    def _call_python(
        self, handle: PythonTransition, args: Sequence[object], named: Mapping[str, object]
    ) -> object:
        with Transaction(self, query=handle.query) as tx:
            return handle.run(tx, args, named)

    @overload
    def transition(self, function: Function, /) -> Function: ...
    @overload
    def transition(
        self, /, *, name: str | None = None, query: bool = False
    ) -> Callable[[Function], Function]: ...

    def transition(
        self,
        function: Callable[..., object] | None = None,
        /,
        *,
        name: str | None = None,
        query: bool = False,
    ) -> object:
        """Registers a Python function as a transition, for tests and trusted code.

        It is called with the transaction and the arguments; whatever it raises rolls back. It lives
        in this handle only: register it again after opening.

        Raises:
            RequestError: There is a transition of this name, or it is not a name.
        """

        def register(function: Function) -> Function:
            called: str = name or str(getattr(function, "__name__", ""))
            if not all(NAME.fullmatch(part) for part in called.split(".")):
                raise RequestError(f"{called!r} is not a transition's name", hint=NAME.pattern)
            if called in self._transitions:
                raise RequestError(f"there is a transition {called!r} already")
            self._transitions[called] = PythonTransition(called, function, query=query)
            return function

        return register if function is None else register(function)

    # ------------------------------------------------------------------ transactions and reads

    def transaction(self, *, query: bool = False) -> Transaction:
        """An interactive transaction: `with db.transaction() as tx`. See `Transaction`.

        Args:
            query: It only reads.
        """
        return Transaction(self, query=query)

    def get(self, table: str, key: object) -> Row | None:
        """The row with this primary key, by column name; None when there is none. O(key).

        A key of several columns is a tuple in key order.
        """
        turns = self._turns
        if turns.waiting or turns.lock.locked() or not turns.known.stack:
            turns.prepare()
        with turns.lock:
            if turns.holder is not None:
                turns.settle()
            if self._refusal is not None or self._executor.failed is not None:
                self._check_open()
            if self._feed.state is not EXPECTED:  # two Ctrl-C in a row may have kept a commit
                self._feed.after_commit()  # from the log
            return self._state.get(table, key)

    def count(self, table: str) -> int:
        """Number of rows of a table. O(1)."""
        self._turns.prepare()
        with self._turns.lock:
            self._turns.settle()
            self._check_open()
            return self._state.count(table)

    def memory(self, table: str) -> TableMemory:
        """What a table takes of the memory for state, in bytes. O(indexes)."""
        self._turns.prepare()
        with self._turns.lock:
            self._turns.settle()
            self._check_open()
            return self._state.memory(table)

    def upkeep(self, view: str) -> Upkeep:
        """What keeping a view up to date has cost since it was made or the database was opened.

        Raises:
            UnknownNameError: There is no such view.
        """
        self._turns.prepare()
        with self._turns.lock:
            self._turns.settle()
            self._check_open()
            return self._views.upkeep(view)

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
        """Rows in the order of their primary keys, or of a secondary index, all of one moment.

        Bounds as `Transaction.scan`. Their bytes are fetched at once (O(rows), in memory), and
        decoded as they are consumed.
        """
        self._turns.prepare()
        with self._turns.lock:
            self._turns.settle()
            self._check_open()
            handle = self._state.catalog.get(table)
            request = scan_request(
                handle, index, lower, upper, lower_exclusive, upper_exclusive, limit, reverse
            )
            pages = [] if request is None else self._state.scan_all(handle, request)
        decode = handle.rows.decode_many_mappings
        return (row for page in pages for row in decode(page))

    def query(self, sql: str, params: Values | None = None) -> Rows:
        """The answer to a `select`, all of one moment (docs/sql.md).

        Parsed and planned when it is first asked; after that it is one crossing.

        Args:
            sql: One `select`; values in it as `:name`, `?` or `$1`.
            params: Their values: a mapping of names, or a sequence in their order.

        Raises:
            SqlError: It cannot be parsed, is not supported, or does not fit the tables.
            RequestError, WrongTypeError: The parameters are not those of the query.
            ExpressionError: An expression could not be computed for a row.
            LimitError: The answer has more than `query_rows_max` rows, or the query looked at more
                than `query_scanned_max`.
        """
        turns = self._turns
        if turns.waiting or turns.lock.locked() or not turns.known.stack:
            turns.prepare()
        with turns.lock:
            if turns.holder is not None:
                turns.settle()
            if self._refusal is not None or self._executor.failed is not None:
                self._check_open()
            return self._queries.run(sql, params)

    def _query_on_terms(self, sql: str, params: object, terms: Terms) -> Rows:
        """See `Queries.run_on_terms`: for the server."""
        self._turns.prepare()
        with self._turns.lock:
            self._turns.settle()
            self._check_open()
            return self._queries.run_on_terms(sql, params, terms)

    def subscribe(
        self, what: str, params: Values | None = None, *, since: Position | None = None
    ) -> Changes:
        """Listens to a table, a view or a select: a snapshot of it, then what each commit changes.

            with db.subscribe("account") as changes:
                for change in changes: ...
            with db.subscribe("select id from account where branch = :branch", {"branch": "n"}) as …

        Writers never wait for a subscriber, nor for its snapshot, which is read a page at a time.
        A select of one table with a filter costs commits that do not concern it next to nothing;
        any other is kept up to date as a view is (docs/views.md, "Following a select").

        Args:
            what: A name, or the text of a `select`.
            params: Values for the parameters of a select.
            since: A position that this subscriber had before: no snapshot comes when what has
                changed since is still known (`delta_retention_commits_max`, `…_bytes_max`).

        Raises:
            UnknownNameError: There is no such table.
            SqlError: The select cannot be parsed, or cannot be followed.
            RequestError: There is no such position yet, or the parameters are not the select's.
            ExpressionError, LimitError: The select cannot be computed, or takes too much.
        """
        return Changes(self, lambda: self._subject(what, params), since)

    def _subject(self, what: str, params: Values | None) -> Subject:
        """In a turn."""
        if is_select(what):
            return SelectSubject(self, what, params, None)
        handle = self._state.catalog.get(what)
        if params:
            raise RequestError("a table has no parameters", hint="select … from … where … = :name")
        return TableSubject(self, handle)

    # ------------------------------------------------------------------ schema and modules

    def execute(
        self,
        sql: str,
        params: Values | None = None,
        *,
        progress: Callable[[Progress], object] | None = None,
    ) -> int:
        """Changes the schema: tables, columns, indexes, views; all statements in one transaction or
        none. Or runs one `insert`, `update` or `delete`, for scripts and tests, as `tx.execute`.

        Args:
            sql: The statements.
            params: Of an `insert`, `update` or `delete`: values as those of a query.
            progress: Is told how far a view or an index has come that is made of many rows: every
                100 ms, in another thread, and at the end. It must not use the database. What it
                raises undoes all.

        Returns:
            How many rows were inserted, updated or deleted; 0 for a change of the schema.

        `create index` takes O(rows), `drop` O(rows) as well, the others O(columns).

        Raises:
            SqlError: It cannot be parsed or is not supported; says where.
            SchemaError: It does not fit what is there; lists what stands in the way.
            UnknownNameError: There is no table, column or index of a name.
            DuplicateKeyError: Rows that are there contradict a unique index.
        """
        return schema_changes.execute(self, sql, params, progress)

    def plan_schema(self, sql: str) -> SchemaPlan:
        """What `execute` of this script would change, and everything that stands in the way: it is
        done and undone again, so it takes as long, and nothing runs meanwhile.

        Raises:
            SqlError: It cannot be parsed.
        """
        return schema_changes.plan_execute(self, sql)

    def install(
        self,
        source: str | os.PathLike[str] | bytes,
        *,
        name: str | None = None,
        apply_schema: bool = False,
        limits: ModuleLimits | None = None,
    ) -> Module:
        """Installs a module, or replaces the one of the same name, in one step.

        It is inspected and compiled in a process of its own, while calls go on.

        Args:
            source: The path of a wasm binary, or the binary itself.
            name: What to call it; by default what its manifest says.
            apply_schema: Create the tables and indexes of its own schema that are missing.
            limits: What it may use.

        Raises:
            ModuleError: It is refused; `problems` lists every reason, and nothing has changed.
        """
        limits = limits or _DEFAULT_LIMITS
        return schema_changes.install(self, source, name, limits, with_schema=apply_schema)

    def plan(
        self,
        source: str | os.PathLike[str] | bytes,
        *,
        name: str | None = None,
        apply_schema: bool = False,
        limits: ModuleLimits | None = None,
    ) -> Plan:
        """What `install` with the same arguments would do. It is compiled, and nothing changes.

        Raises:
            ModuleError: It is no module, or beyond its limits. What does not fit this database is
                in the plan.
        """
        limits = limits or _DEFAULT_LIMITS
        return schema_changes.plan_install(self, source, name, limits, with_schema=apply_schema)

    def remove(self, module: str) -> None:
        """Removes a module. Its tables and their rows stay.

        Raises:
            UnknownNameError: It is not installed.
        """
        schema_changes.remove(self, module)

    def write_system(self, table: Table, row: Row) -> None:
        """Upserts a row of a table of the system's, which is made when it is not there yet. For
        what serves this database: tokens and the like.
        """
        system_rows.write_system(self, table, row)

    def delete_system(self, table: Table, key: object) -> None:
        """Deletes a row of such a table."""
        system_rows.delete_system(self, table, key)

    @property
    def modules(self) -> dict[str, Module]:
        """The installed modules by name."""
        return {name: found.module for name, found in self._registry.installed.items()}

    @property
    def tables(self) -> dict[str, Table]:
        """The tables by name."""
        catalog = self._state.catalog
        return {name: catalog.handles[name].table for name in catalog.user_names}

    @property
    def parameterised_views(self) -> dict[str, ParameterisedView]:
        """The views with parameters by name. They are no tables: queries use them with values."""
        return dict(self._state.catalog.parameterised)

    # ------------------------------------------------------------------ durability

    @property
    def lsn(self) -> int:
        """Of the last commit; 0 when there was none."""
        self._check_open()
        return self._kernel.lsn_cell.value

    @property
    def position(self) -> Position:
        """Of the last commit."""
        return Position(self.incarnation, self.lsn)

    @property
    def durable_lsn(self) -> int:
        """Of the last commit that is on disk. Known after `close` too."""
        if isinstance(self._log, MemoryLog) and self._refusal is None:
            return self.lsn
        return self._log.durable_lsn

    @property
    def incarnation(self) -> int:
        """How often this database was opened for writing, this time included."""
        return self._log.incarnation

    @property
    def state_hash(self) -> bytes:
        """16 bytes that the whole state determines, whatever way it came about."""
        with self._turns.lock:
            self._check_open()
            return self._kernel.state_hash

    @property
    def durability_lag(self) -> Lag:
        """What is committed and not yet durable: commits, bytes that the log has, milliseconds."""
        self._check_open()
        if isinstance(self._log, MemoryLog):
            return Lag(0, 0, 0.0)
        lag = self._log.lag()
        return Lag(max(0, self.lsn - self._log.durable_lsn), lag.bytes, lag.ms)

    def wait_durable(self, lsn: int | None = None, timeout_s: float | None = None) -> None:
        """Returns when the commit with this lsn, by default the last one, is on disk.

        Raises:
            WaitTimeoutError: It is not yet, after `timeout_s`.
            DurabilityLostError: It will not be: a flush has failed.
            RequestError: There is no such commit yet.
        """
        if lsn is None:
            lsn = self.lsn
        elif not isinstance(lsn, int):
            raise RequestError(f"an lsn is a number, not {lsn!r}")
        elif lsn > self.lsn:
            raise RequestError(f"there is no lsn {lsn} yet; the last is {self.lsn}")
        if isinstance(self._log, MemoryLog):
            return
        if lsn > self._log.lsn:
            self._log.expect()  # its thread fetches it: waiting for a turn here could take long
        self._log.wait_durable(lsn, timeout_s)

    async def wait_durable_async(
        self, lsn: int | None = None, timeout_s: float | None = None
    ) -> None:
        """`wait_durable` for event loops: the loop goes on, a thread of its executor waits."""
        import asyncio

        await asyncio.to_thread(self.wait_durable, self.lsn if lsn is None else lsn, timeout_s)

    def flush(self) -> None:
        """Makes everything committed so far durable now."""
        self._give()
        self._log.flush()

    def verify(self) -> None:
        """Every structure of the kernel checks itself; O(state).

        Raises:
            VerifyError: One contradicts itself: a bug of ours.
        """
        self._turns.prepare()
        with self._turns.lock:
            self._turns.settle()
            self._check_open()
            problem = self._kernel.verify()
        if problem is not None:
            raise VerifyError(f"the state contradicts itself: {problem}")

    def close(self) -> None:
        """Makes everything durable and closes. Twice is fine; the end of the program does it too.

        An open transaction is rolled back.

        Raises:
            DurabilityLostError: Commits were lost, because a flush had failed.
        """
        with self._turns.lock:
            if self._refusal is not None:
                return
            if self._turns.holder is not None:
                self._turns.holder.expire()
            try:
                self._feed.hand_over()
            finally:
                self._refusal = ClosedError("the database is closed")
                self._subscriptions.close(self._refusal)
                self._watchdog.stop()
        try:
            self._log.close()
        finally:
            with self._turns.lock:
                self._kernel.close()
        self._executor.on_yield = _nothing  # no cycle: memory is free as soon as nobody has it
        if self._executor.failed is None:
            give_back(self._workshop)

    def _abandon(self) -> None:
        """Drops a database whose opening failed."""
        self._refusal = ClosedError("the database could not be opened")
        self._watchdog.stop()
        self._kernel.close()

    def __enter__(self) -> Self:
        self._check_open()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        state = "closed" if self._refusal is not None else f"lsn {self._kernel.lsn_cell.value}"
        return f"<reifydb.Database {self.path!r}, {state}>"

    # ------------------------------------------------------------------ in a turn

    def _check_open(self) -> None:
        if self._refusal is not None:
            raise self._refusal.with_traceback(None)  # or it would grow with each raise
        if self._executor.failed is not None:
            raise KernelError(self._executor.failed, hint="reopen: it recovers from its log")

    def _now_us(self) -> int:
        return self._clock() // 1000

    def _next_seed(self) -> int:
        self._seed += 1
        return self._seed

    def _give(self) -> None:
        """Hands over from whatever thread."""
        with self._turns.lock:
            self._check_open()
            self._feed.hand_over()

    def _gather_log_lines(self) -> None:
        """In a turn."""
        kernel = self._kernel
        length = kernel.log_len.value
        if length:
            self._log_lines.append(bytes(kernel.log[:length]))
            kernel.log_len.value = 0

    def _pass_on_log_lines(self) -> None:
        """After a turn: a handler takes its time, or uses the database."""
        while self._log_lines:
            try:
                data = self._log_lines.popleft()
            except IndexError:  # another thread was faster
                return
            guest_log.pass_on(data, self._transitions, self._log_listener)
