"""The embedded database: what `reifydb.open` returns.

The path of a write: `call` here → `Executor.run_one` (engine/executor.py) → the kernel's batch loop
(kernel/batch.zig) → the guest and back (kernel/guest.zig, transaction.zig) → redo (kernel/redo.zig)
→ `Feed.hand_over` (feed.py) → the commit log (durability/).
"""

from __future__ import annotations

import atexit
import logging
import os
import struct
import time
import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from types import TracebackType
from typing import overload

from reifydb.config import ModuleLimits, Options
from reifydb.database import modules
from reifydb.database.feed import Feed, Redo
from reifydb.database.modules import Installed, Module
from reifydb.database.outcomes import Outcomes, check_packed, not_run
from reifydb.database.refusals import refusal
from reifydb.database.tables import MODULES, SYSTEM_TABLES, TABLES, TRANSITIONS, Catalog, TableHandle
from reifydb.database.transaction import Row, Transaction, scan_request
from reifydb.database.transitions import INT_OUTCOME, OUTCOME_BYTES, PythonTransition, WasmTransition
from reifydb.database.turns import Turns
from reifydb.durability.group import Group, Lag
from reifydb.durability.log import CommitLog
from reifydb.durability.memory import MemoryLog
from reifydb.engine.catalog import NAME, Table
from reifydb.engine.deadlines import Watchdog
from reifydb.engine.descriptors import table_descriptor
from reifydb.engine.executor import CALL_ENDED, LOG_WAITS, REDO_PRESSES, Executor
from reifydb.engine.kernel import COMMITTED, INPUT_BYTES_MAX, OUTCOME, Kernel
from reifydb.engine.rows import REFUSALS
from reifydb.engine.table_json import table_from_json, table_to_json
from reifydb.errors import (
    ClosedError,
    DurabilityLostError,
    ForkedError,
    KernelError,
    LimitError,
    ModuleError,
    ReifyDBError,
    RequestError,
    SchemaError,
    UnavailableError,
    UnknownNameError,
    VerifyError,
)
from reifydb.sandbox.compiler import compile_guest
from reifydb.sandbox.guest import REPLACEMENTS_MAX
from reifydb.sandbox.workshop import Workshop

SEED_MASK = (1 << 62) - 1
"""Seeds count up from below this, and never reach what a signed word cannot hold."""
PRESSING = REDO_PRESSES | LOG_WAITS | CALL_ENDED

_unpack_int_outcome = INT_OUTCOME.unpack_from

_LOG_HEAD = struct.Struct("<IIII")
_LOG, _OWN_LOG = logging.getLogger("reifydb.guest"), logging.getLogger("reifydb")


class Database:
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
        self._take = self._turns.take
        self._watchdog = Watchdog(options.deadline_ms)
        self._kernel = Kernel(
            workshop.engine, workshop.kernel_code(), memory_bytes_max=options.memory_bytes_max
        )
        self._watchdog.attach(self._kernel)
        self._executor = Executor(self._kernel, self._watchdog, slice_ms=options.slice_ms)
        self._feed = Feed(self._kernel, self._executor, log, self._turns)
        self._executor.on_yield, self._executor.behind = self._feed.hand_over, log.behind
        self._catalog = Catalog()
        self._installed: dict[str, Installed] = {}
        self._broken: dict[str, str] = {}  # modules that could not be started, and why
        self._transitions: dict[str, WasmTransition | PythonTransition] = {}
        for table in SYSTEM_TABLES:
            self._create_in_kernel(table)
        _open_databases.add(self)

    # ------------------------------------------------------------------ opening

    def recover(self) -> None:
        """Replays the log, reads the schema, links the modules, starts the log. Once.

        Raises:
            LogDamagedError: The log cannot be believed.
            KernelError: Replaying it does not arrive at the state it recorded.
        """
        for group in self._log.replay():
            self._replay(group)
        self._read_catalog()
        for row in self._rows_of(MODULES):
            self._reinstall(row)
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

    def _read_catalog(self) -> None:
        tables = []
        for row in self._rows_of(TABLES):
            table = table_from_json(str(row["definition"]))
            number = row["number"]
            assert isinstance(number, int)
            tables.append(modules.numbered(table, number))
        self._catalog = Catalog(tables)

    def _reinstall(self, row: Row) -> None:
        """Links a module at opening. One that fails now does not keep the data from being opened:
        its transitions say why when they are called, until it is installed again."""
        limits = modules.limits_from_json(str(row["limits"]))
        wasm, name = row["wasm"], str(row["name"])
        assert isinstance(wasm, bytes)
        try:
            compiled = compile_guest(wasm, limits, name, cache=self._workshop.cache)
            numbers = modules.transition_numbers(self, name, compiled.manifest)
            self._adopt(modules.link(self, compiled, limits, numbers), None)
        except (ModuleError, UnavailableError) as error:
            self._broken[name] = str(error)
            _OWN_LOG.error("module %s could not be started: %s", name, error)

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
            handle = self._transition(transition)
        if isinstance(handle, PythonTransition):
            return self._call_python(handle, args, named)
        if not handle.query:
            self._admit()
        turns = self._turns
        if turns.waiting or not turns.lock.acquire(False):
            turns.take_slowly()
        elif turns.holder is not None or not turns.known.stack:
            turns.lock.release()
            turns.take_slowly()
        try:
            if self._refusal is not None:
                self._check_open()
            kernel = self._kernel
            short = handle.short
            if short is None or named:
                length = handle.lay(kernel.input, args, named)
            else:
                try:
                    short.pack(kernel.input, 0, short.head, short.header, *args)
                    length = short.length
                except REFUSALS:
                    length = handle.lay(kernel.input, args, named)
            self._seed = seed = self._seed + 1
            flags = self._executor.run_one(length, self._clock(), seed)
            if handle.int_result:
                status, value = _unpack_int_outcome(kernel.output)
            else:
                status, value = handle.read_outcome(kernel.output)
            error = None if status == COMMITTED else self._failure(handle)
            if flags & PRESSING or self._feed.state is not Redo.EXPECTED:
                self._after_one(flags)
        finally:
            turns.lock.release()
        if error is not None:
            raise error
        return value

    def _failure(self, handle: WasmTransition) -> Exception:
        """The error of the outcome that lies in the kernel's output."""
        output = self._kernel.output
        status, code, _, length, _ = OUTCOME.unpack_from(output)
        payload = bytes(output[OUTCOME_BYTES : OUTCOME_BYTES + length])
        return handle.failure(status, code, payload, self._executor.trap_reasons)

    def _after_one(self, flags: int) -> None:
        """After a single call: redo, log lines, dead instances."""
        self._feed.after_commit()
        if flags & CALL_ENDED:
            self._renew_store()
        if flags & LOG_WAITS:
            self._pass_on_log_lines()

    def call_many(
        self, transition: str, calls: Sequence[Sequence[object]], /
    ) -> Outcomes:
        """Runs a transition once for each tuple of arguments: a transaction each, one crossing.

        A call that fails does not stop the others. Wrong arguments anywhere are refused before
        anything runs. About 1 µs a call and more, decoding of outcomes apart.

        Returns:
            A lazy sequence of `Outcome(value, error, lsn)`.

        Raises:
            As `call`, but for what the outcomes say.
        """
        handle = self._wasm_transition(transition)
        packed = handle.params.encode_many(calls)
        return Outcomes(handle, self._run(handle, packed), self._executor.trap_reasons)

    def call_packed(self, transition: str, packed: bytes, /) -> bytes:
        """The same for arguments that are rows already, one after the other (docs/formats.md).

        Returns:
            The packed outcomes (docs/formats.md, "Outcomes").

        Raises:
            As `call_many`; `RequestError` when the rows' lengths lead nowhere.
        """
        handle = self._wasm_transition(transition)
        check_packed(packed)
        parts = self._run(handle, packed)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def _run(self, handle: WasmTransition, packed: bytes) -> list[bytes]:
        """Runs packed calls in batches that fit the kernel's input.

        What is refused before anything has run is raised. Later on (the disk has stalled, the
        database was closed) the calls that did not run have outcomes that say so: those of the
        calls that did must not be lost.
        """
        outcomes: list[bytes] = []
        for piece in _pieces(packed, INPUT_BYTES_MAX - len(handle.run_head)):
            left = piece
            try:
                while left:
                    left = self._run_piece(handle, left, outcomes)
            except (UnavailableError, ClosedError, DurabilityLostError):
                if not outcomes:
                    raise
                outcomes.append(not_run(left))
        return outcomes

    def _run_piece(self, handle: WasmTransition, piece: bytes, outcomes: list[bytes]) -> bytes:
        """Runs packed calls until all are done or the log is behind; those that are left."""
        if not handle.query:
            self._admit()
        self._take()
        try:
            self._check_open()
            handle.check()
            batch = handle.run_head + piece
            try:
                parts, consumed = self._executor.run(batch, self._now_us(), self._next_seed())
            finally:  # Ctrl-C leaves the slices before it committed
                self._feed.after_commit()
            outcomes += parts
            self._renew_store()
            self._pass_on_log_lines()
        finally:
            self._turns.lock.release()
        return batch[consumed:]

    def _call_python(
        self, handle: PythonTransition, args: Sequence[object], named: Mapping[str, object]
    ) -> object:
        with Transaction(self, query=handle.query) as tx:
            return handle.run(tx, args, named)

    @overload
    def transition(self, function: Callable[..., object], /) -> Callable[..., object]: ...
    @overload
    def transition(
        self, /, *, name: str | None = None, query: bool = False
    ) -> Callable[[Callable[..., object]], Callable[..., object]]: ...

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

        def register(function: Callable[..., object]) -> Callable[..., object]:
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
        self._take()
        try:
            self._check_open()
            return self._get(table, key)
        finally:
            self._turns.lock.release()

    def count(self, table: str) -> int:
        """Number of rows of a table. O(1)."""
        self._take()
        try:
            self._check_open()
            return self._count(table)
        finally:
            self._turns.lock.release()

    def scan(
        self,
        table: str,
        *,
        lower: object = None,
        upper: object = None,
        lower_exclusive: bool = False,
        upper_exclusive: bool = False,
        limit: int | None = None,
        reverse: bool = False,
    ) -> Iterator[Row]:
        """Rows in the order of their primary keys, all of one moment; bounds as `Transaction.scan`.

        Their bytes are fetched at once (O(rows), in memory), and decoded as they are consumed.
        """
        self._take()
        try:
            self._check_open()
            handle = self._catalog.get(table)
            request = scan_request(
                handle, lower, upper, lower_exclusive, upper_exclusive, limit, reverse
            )
            pages = [] if request is None else self._scan_all(handle, *request)
        finally:
            self._turns.lock.release()
        decode = handle.rows.decode_many_mappings
        return (row for page in pages for row in decode(page))

    # ------------------------------------------------------------------ schema and modules

    def execute(self, sql: str) -> None:
        """Changes the schema: `create table` statements, all in one transaction or none.

        Raises:
            SqlError: It cannot be parsed or is not supported; says where.
            SchemaError: A table of this name is there already.
        """
        from reifydb.sql import parse_schema

        creates = parse_schema(sql)
        with Transaction(self) as tx, tx._turn():
            made: list[Table] = []
            names = set(self._catalog.handles)
            for create in creates:
                name = create.table.name
                if name in names:
                    if create.if_not_exists:
                        continue
                    raise SchemaError(
                        f"there is a table {name} already", hint="create table if not exists"
                    )
                names.add(name)
                number = self._catalog.next_number + len(made)
                made.append(modules.numbered(create.table, number))
            catalog = self._create_tables(made)
            tx._commit()
            self._catalog = catalog

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
            apply_schema: Create the tables of its own schema that are missing.
            limits: What it may use.

        Raises:
            ModuleError: It is refused; `problems` lists every reason, and nothing has changed.
        """
        wasm = _read_module(source)
        limits = limits or ModuleLimits()
        compiled = compile_guest(wasm, limits, name, cache=self._workshop.cache)
        with Transaction(self) as tx, tx._turn():
            old = self._installed.get(compiled.name)
            catalog = self._catalog
            try:
                installed = self._install(compiled, wasm, limits, apply_schema=apply_schema)
            except BaseException:
                self._catalog = catalog
                self._restore(compiled.name, old)
                raise
            self._adopt(installed, old)
            tx._commit()
            self._renew_store()
        return installed.module

    def remove(self, module: str) -> None:
        """Removes a module. Its tables and their rows stay.

        Raises:
            UnknownNameError: It is not installed.
        """
        with Transaction(self) as tx, tx._turn():
            installed = self._installed.get(module)
            if installed is None:
                raise UnknownNameError("module", module, self._installed)
            self._delete_system(MODULES, module)
            modules.forget(self, installed)
            for handle in installed.handles:
                del self._transitions[handle.name]
                handle.retire(None)
                self._executor.guests.pop(handle.number, None)
            del self._installed[module]
            self._watch_deadlines()
            tx._commit()

    @property
    def modules(self) -> dict[str, Module]:
        """The installed modules by name."""
        return {name: installed.module for name, installed in self._installed.items()}

    @property
    def tables(self) -> dict[str, Table]:
        """The tables by name."""
        return {name: self._catalog.handles[name].table for name in self._catalog.user_names}

    # ------------------------------------------------------------------ durability

    @property
    def lsn(self) -> int:
        """Of the last commit; 0 when there was none."""
        self._check_open()
        return self._kernel.lsn_cell.value

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

    def flush(self) -> None:
        """Makes everything committed so far durable now."""
        self._give()
        self._log.flush()

    def verify(self) -> None:
        """Every structure of the kernel checks itself; O(state).

        Raises:
            VerifyError: One contradicts itself: a bug of ours.
        """
        self._take()
        try:
            self._check_open()
            problem = self._kernel.verify()
        finally:
            self._turns.lock.release()
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
                self._watchdog.stop()
        try:
            self._log.close()
        finally:
            with self._turns.lock:
                self._kernel.close()

    def _abandon(self) -> None:
        """Drops a database whose opening failed."""
        self._refusal = ClosedError("the database could not be opened")
        self._watchdog.stop()
        self._kernel.close()

    def __enter__(self) -> Database:
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
        state = "closed" if self._refusal is not None else f"lsn {self.lsn}"
        return f"<reifydb.Database {self.path!r}, {state}>"

    # ------------------------------------------------------------------ in a turn

    def _check_open(self) -> None:
        if self._refusal is not None:
            raise self._refusal.with_traceback(None)  # or it would grow with each raise

    def _now_us(self) -> int:
        return self._clock() // 1000

    def _next_seed(self) -> int:
        self._seed += 1
        return self._seed

    def _put(self, source: bytes) -> None:
        """Lays bytes where the kernel looks for them."""
        if len(source) > INPUT_BYTES_MAX:
            raise LimitError(
                f"{len(source):,} bytes in one operation",
                limit="input_bytes_max",
                value=INPUT_BYTES_MAX,
                hint="use several",
            )
        self._kernel.input[: len(source)] = source

    def _get(self, table: str, key: object) -> Row | None:
        handle = self._catalog.get(table)
        packed = handle.keys.encode(key)
        kernel = self._kernel
        kernel.input[: len(packed)] = packed
        at = kernel.call["get"](handle.number, len(packed))
        if at == -2:
            return None
        if at < 0:
            raise refusal(at, kernel.control, self._catalog, table, key)
        return handle.rows.decode_mapping(kernel.row_at(at))

    def _count(self, table: str) -> int:
        return self._kernel.call["count"](self._catalog.get(table).number)

    def _scan_all(self, handle: TableHandle, flags: int, bounds: bytes, limit: int) -> list[bytes]:
        kernel = self._kernel
        kernel.call["begin"](0, 1)
        try:
            self._put(bounds)
            cursor = kernel.call["scan"](handle.number, flags, len(bounds), limit)
            if cursor < 0:
                raise refusal(cursor, kernel.control, self._catalog, handle.name, None)
            pages = []
            while page := self._page(handle, cursor, 1 << 20):
                pages.append(page)
            return pages
        finally:
            kernel.call["rollback"]()

    def _page(self, handle: TableHandle, cursor: int, bytes_max: int) -> bytes:
        kernel = self._kernel
        length = kernel.call["next"](cursor, bytes_max)
        if length < 0:
            raise refusal(length, kernel.control, self._catalog, handle.name, None)
        return bytes(kernel.output[:length])

    def _rows_of(self, table: Table) -> list[Row]:
        """All rows of a system table; also while a transaction is open."""
        handle = self._catalog.get(table.name)
        kernel = self._kernel
        cursor = kernel.call["scan"](handle.number, 0, 0, 0)
        rows: list[Row] = []
        while page := self._page(handle, cursor, 1 << 20):
            rows += handle.rows.decode_many_mappings(page)
        kernel.call["close"](cursor)
        return rows

    def _write_system(self, table: Table, row: Row) -> None:
        handle = self._catalog.get(table.name)
        projection = handle.projection(row)
        packed = projection.encode(row)
        self._put(packed)
        code = self._kernel.call["write"](2, handle.number, projection.count, len(packed))
        if code < 0:
            raise refusal(code, self._kernel.control, self._catalog, table.name, None)

    def _delete_system(self, table: Table, key: object) -> None:
        handle = self._catalog.get(table.name)
        packed = handle.keys.encode(key)
        self._put(packed)
        self._kernel.call["delete"](handle.number, len(packed))

    def _create_in_kernel(self, table: Table) -> None:
        descriptor = table_descriptor(table)
        self._put(descriptor)
        code = self._kernel.call["create_table"](len(descriptor))
        if code == -11:
            raise LimitError("too many tables", limit="tables_max", value=4096)
        if code < 0:
            raise KernelError(f"the kernel refused table {table.name}: it answered {code}")

    def _create_tables(self, tables: Sequence[Table]) -> Catalog:
        """Makes tables inside the open transaction; the catalog that has them."""
        for table in tables:
            self._create_in_kernel(table)
            definition = table_to_json(modules.numbered(table, 0))
            row = {"number": table.number, "name": table.name, "definition": definition}
            self._write_system(TABLES, row)
        return self._catalog.with_tables(tables)

    # ------------------------------------------------------------------ modules, in a turn

    def _install(
        self, compiled: object, wasm: bytes, limits: ModuleLimits, *, apply_schema: bool
    ) -> Installed:
        from reifydb.sandbox.replies import CompiledGuest

        assert isinstance(compiled, CompiledGuest)
        manifest = compiled.manifest
        if apply_schema:
            missing = modules.missing_tables(manifest, self._catalog)
            self._catalog = self._create_tables(missing)
        problems = modules.problems_of(manifest, self._catalog)
        problems += [
            f"its transition {compiled.name}.{t.name} has the name of a Python transition"
            for t in manifest.transitions
            if isinstance(self._transitions.get(f"{compiled.name}.{t.name}"), PythonTransition)
        ]
        if problems:
            raise ModuleError(f"module {compiled.name} does not fit this database", problems)
        numbers = modules.transition_numbers(self, compiled.name, manifest)
        modules.write_rows(self, compiled, wasm, limits, numbers)
        return modules.link(self, compiled, limits, numbers)

    def _adopt(self, installed: Installed, old: Installed | None) -> None:
        """Makes a linked module the one that is called."""
        if old is not None:
            modules.forget(self, old, keep=[h.number for h in installed.handles])
            for handle in old.handles:
                self._transitions.pop(handle.name, None)
                handle.retire(installed.module.transitions.get(handle.transition.name))
                self._executor.guests.pop(handle.number, None)
        self._installed[installed.module.name] = installed
        self._broken.pop(installed.module.name, None)
        for handle in installed.handles:
            self._transitions[handle.name] = handle
            self._executor.guests[handle.number] = installed.guest
        self._watch_deadlines()

    def _restore(self, name: str, old: Installed | None) -> None:
        """After a failed installation: the kernel knows and runs again what it did before."""
        if old is None:
            return
        del name
        for transition in old.module.transitions.values():
            modules.define_transition(self, transition, old.module.limits)
        old.guest.link(self._kernel)

    def _watch_deadlines(self) -> None:
        self._watchdog.by_transition = {
            handle.number: handle.deadline_ms
            for installed in self._installed.values()
            for handle in installed.handles
        }

    def _renew_store(self) -> None:
        """Moves to a fresh store when enough dead instances lie in this one."""
        if sum(i.guest.replacements for i in self._installed.values()) < REPLACEMENTS_MAX:
            if self._kernel.store.instances < 4 * REPLACEMENTS_MAX:
                return
        self._move()

    def _move(self) -> None:
        self._watchdog.detach()
        try:
            self._kernel.move()
        except BaseException as error:
            self._executor.failed = f"the kernel could not move to a fresh store: {error}"
            raise
        self._executor.bind()
        self._watchdog.attach(self._kernel)
        for installed in self._installed.values():
            installed.guest.replacements = 0

    # ------------------------------------------------------------------ transitions by name

    def _transition(self, name: str) -> WasmTransition | PythonTransition:
        try:
            return self._transitions[name]
        except (KeyError, TypeError):
            module = str(name).partition(".")[0]
            if module in self._broken:
                raise ModuleError(self._broken[module], hint="install it again") from None
            raise UnknownNameError("transition", str(name), self._transitions) from None

    def _wasm_transition(self, name: str) -> WasmTransition:
        handle = self._transition(name)
        if isinstance(handle, PythonTransition):
            raise RequestError(
                f"{name} is a Python transition; batches run transitions of modules only"
            )
        return handle

    # ------------------------------------------------------------------ the log

    def _give(self) -> None:
        """Hands over from whatever thread."""
        with self._turns.lock:
            self._check_open()
            self._feed.hand_over()

    def _pass_on_log_lines(self) -> None:
        """Last in a turn, which it interrupts: a handler takes its time, or uses the database."""
        kernel = self._kernel
        length = kernel.log_len.value
        if not length:
            return
        data = bytes(kernel.log[:length])
        kernel.log_len.value = 0
        self._turns.lock.release()
        try:
            self._log_lines(data)
        finally:
            self._turns.lock.acquire()

    def _log_lines(self, data: bytes) -> None:
        at, length = 0, len(data)
        while at < length:
            level, size, number, _ = _LOG_HEAD.unpack_from(data, at)
            at += _LOG_HEAD.size
            text = data[at : at + size].decode("utf-8", "replace")
            at += size + 7 & ~7
            name = next(
                (
                    handle.name
                    for handle in list(self._transitions.values())
                    if getattr(handle, "number", 0) == number
                ),
                str(number),
            )
            _LOG.log(level if level in (10, 20, 30, 40) else 20, "%s: %s", name, text)


def _pieces(packed: bytes, bytes_max: int) -> Iterator[bytes]:
    """Packed rows in pieces of whole rows. Only a long one is looked into."""
    if len(packed) <= bytes_max:
        if packed:
            yield packed
        return
    start = at = 0
    view = memoryview(packed)
    cuts = []
    while at < len(packed):
        length = int.from_bytes(view[at : at + 4], "little")
        if length < 8 or length % 8 or length > len(packed) - at or length > bytes_max:
            raise RequestError(f"the packed arguments are malformed at offset {at}")
        if at + length - start > bytes_max:
            cuts.append((start, at))
            start = at
        at += length
    for first, last in [*cuts, (start, at)]:
        yield bytes(view[first:last])


def _read_module(source: str | os.PathLike[str] | bytes) -> bytes:
    if isinstance(source, bytes | bytearray | memoryview):
        return bytes(source)
    try:
        with open(source, "rb") as file:
            return file.read()
    except (OSError, TypeError, ValueError) as error:
        raise ModuleError(f"the module cannot be read: {error}") from None


_open_databases: weakref.WeakSet[Database] = weakref.WeakSet()


def _forked() -> None:
    """In a forked child: every handle refuses. The kernel's memory is shared copy-on-write, but the
    log, its lock and the threads are the parent's."""
    for db in _open_databases:
        if db._refusal is None:
            db._refusal = ForkedError(
                "the database belongs to the parent process", hint="open it after the fork"
            )
        db._turns = Turns(db.options.engine_wait_ms_max)
        db._take = db._turns.take


def _close_all() -> None:
    """When the program ends: what was committed is to be durable although nobody closed."""
    with ExitStack() as stack:
        for db in list(_open_databases):
            stack.callback(db.close)


if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(after_in_child=_forked)
atexit.register(_close_all)

now_ns = time.time_ns
