"""An interactive transaction: several operations from Python, one commit."""

from __future__ import annotations

import contextlib
import threading
import time
import weakref
from collections.abc import Iterable, Iterator, Mapping, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, NoReturn, Self, TypeVar

from reifydb.config import cursors_max
from reifydb.database.faults import host_refusal
from reifydb.database.objects import Primitives
from reifydb.database.rows import Rows, Values
from reifydb.database.scans import Scan, scan_request
from reifydb.database.tables import TableHandle
from reifydb.database.transitions import OUTCOME_BYTES, PythonTransition, WasmTransition
from reifydb.engine.kernel import COMMITTED, INPUT_BYTES_MAX, OUTCOME
from reifydb.engine.rows import RowCodec
from reifydb.errors import (
    AbortedError,
    ClosedError,
    KernelError,
    LimitError,
    ReadOnlyError,
    ReifyDBError,
    RequestError,
    TransactionError,
    TransactionLimitError,
)

if TYPE_CHECKING:
    from reifydb.database.database import Database
    from reifydb.engine.catalog import Table
    from reifydb.sql.query import Query

_INSERT, _UPDATE, _UPSERT = range(3)
_LIMIT_REACHED = -11

PAGE_BYTES = 1 << 16
"""A scan fetches about so many bytes at a time."""

Row = dict[str, object]
_T = TypeVar("_T")


class Hold:
    """That a transaction is open, for those who wait. It does not keep the transaction alive."""

    __slots__ = ("_db", "_tx", "expires_s", "thread")

    def __init__(self, tx: Transaction) -> None:
        self._db, self._tx = tx._db, weakref.ref(tx)
        self.thread, self.expires_s = 0, 0.0

    def expire(self) -> None:
        """Rolls it back, because it is too old or nobody has it any more. In a turn."""
        if self._db._executor.failed is None:
            self._db._kernel.call["rollback"]()
            self._db._after_commit()  # it may have been interrupted as it committed
        tx = self._tx()
        if tx is not None:
            ms = self._db.options.transaction_ms_max
            tx._ended(f"rolled back: it was open for more than {ms:g} ms (transaction_ms_max)")
        self._db._turns.leave()


class Transaction(Primitives):
    """One open transaction; `with db.transaction() as tx`. Commits when the block ends, unless it
    has ended itself, and rolls back when the block raises. For the thread that opened it.

    An operation that is refused has changed nothing, and the transaction goes on.

    Attributes:
        lsn: Of its commit, once it has committed and changed something; else None.
        called: The Python transition that is running, as an abort names it.
    """

    def __init__(self, db: Database, *, query: bool = False) -> None:
        self._db, self._query = db, query
        self._lock = db._turns.lock
        self._serial = 0  # how often it began: scans of an earlier time are over
        self._open = False
        self._ended_as = "not begun"
        self._ended_here = False  # by its own `commit` or `rollback`
        self._abandoned: list[int] = []  # cursors that nobody reads any more
        self._depth = 0  # Python transitions that run inside
        self.called = "the transaction"
        self.lsn: int | None = None
        self._hold = Hold(self)

    # ------------------------------------------------------------------ begin and end

    def __enter__(self) -> Self:
        try:
            self.begin()
            return self
        except BaseException:
            self._undo_unfinished()
            raise

    def __del__(self) -> None:
        # Nobody has it any more (Ctrl-C as its block was left, say): whoever comes next ends it.
        # Not here: this runs in any thread, and in the middle of anything.
        hold = getattr(self, "_hold", None)
        if hold is not None:
            hold.expires_s = 0.0

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is not None:
            if self._open:
                with contextlib.suppress(ReifyDBError):  # what went wrong in the block says more
                    self.rollback()
        elif not self._ended_here:
            try:
                self.commit()
            except BaseException:
                self._undo_unfinished()
                raise

    def begin(self) -> None:
        """Opens it: waits for the disk and for whoever has a transaction open."""
        if self._open:
            raise RequestError("the transaction has begun already")
        db = self._db
        if not self._query:
            db._admit()
        turns = db._turns
        turns.prepare()
        try:
            with turns.lock:
                turns.settle()
                db._check_open()
                self._begin(db)
        except BaseException:  # Ctrl-C as it began: nobody has it, so nobody would end it
            self._undo_unfinished()
            raise

    def _undo_unfinished(self) -> None:
        """Rolls back what was interrupted as it began or ended."""
        if self._open:
            with contextlib.suppress(ReifyDBError):
                self.rollback()

    def _begin(self, db: Database) -> None:
        """In a turn."""
        self._hold = hold = Hold(self)
        hold.thread = threading.get_ident()
        hold.expires_s = time.monotonic() + db.options.transaction_ms_max / 1000
        self._abandoned.clear()
        self._serial += 1
        self._ended_here, self.lsn = False, None
        self._open, db._turns.holder = True, hold
        begin, arguments = db._kernel.call["begin"], (db._now_us(), int(self._query))
        code = begin(*arguments)
        if code < 0:  # one that was interrupted as it ended, and that nobody has
            db._kernel.call["rollback"]()
            code = begin(*arguments)
        if code < 0:
            self._close("never begun")
            raise KernelError(f"the kernel did not begin a transaction: it answered {code}")

    def commit(self) -> None:
        """Makes its changes visible, all at once."""
        with self._lock:
            self._check()
            self._refuse_inside("committed")
            self._commit()

    def _commit(self) -> None:
        """In a turn."""
        kernel = self._db._kernel
        before, code, failure = kernel.lsn_cell.value, 0, None
        try:
            code = kernel.call["commit"]()
            if code < 0:
                failure = host_refusal(self._db._state, code)
        finally:  # Ctrl-C comes when the kernel has committed, or just before it would
            kernel.call["rollback"]()  # of nothing, unless it was before
            self._db._after_commit()  # while it is open: then whoever ends it does the same
            self._ended_here = True
            self._close("committed" if code >= 0 else "rolled back")
        if failure is not None:
            raise failure
        if kernel.lsn_cell.value != before:
            self.lsn = kernel.lsn_cell.value

    def rollback(self) -> None:
        """Undoes all of it."""
        with self._lock:
            self._check()
            self._refuse_inside("rolled back")
            self._rollback()

    def _rollback(self) -> None:
        """In a turn."""
        self._db._kernel.call["rollback"]()
        self._db._after_commit()  # it may have been interrupted as it committed
        self._close("rolled back")
        self._ended_here = True

    def _refuse_inside(self, ended: str) -> None:
        if self._depth:
            raise RequestError(
                f"the transaction cannot be {ended} inside a transition that it called",
                hint="let the transition return, or raise to undo what it did",
            )

    def _close(self, ended_as: str) -> None:
        self._ended(ended_as)
        self._db._turns.leave()

    def _ended(self, ended_as: str) -> None:
        self._open = False
        self._ended_as = ended_as

    def _check(self) -> None:
        """In a turn: still open, and this thread's."""
        if self._open and self._db._executor.failed is not None:
            self._close("lost: the kernel failed")
        self._db._check_open()
        if not self._open:
            raise ClosedError(f"the transaction has ended: {self._ended_as}")
        if self._hold.thread != threading.get_ident():
            raise RequestError("the transaction belongs to another thread")
        if time.monotonic() >= self._hold.expires_s:
            self._hold.expire()
            raise TransactionError(f"the transaction was {self._ended_as}")

    # ------------------------------------------------------------------ reading

    def get(self, table: str, key: object) -> Row | None:
        """The row with this primary key, by column name; None when there is none. O(key).

        A key of several columns is a tuple in key order.
        """
        with self._lock:
            self._check()
            return self._db._state.get(table, key)

    def count(self, table: str) -> int:
        """Number of rows. O(1)."""
        with self._lock:
            self._check()
            return self._db._state.count(table)

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
        """Rows in the order of their primary keys, or of a secondary index, fetched as they are
        consumed.

        A bound is a key or a prefix of one, a scalar or a tuple; inclusive unless said otherwise.
        In a tuple for a secondary index None is null, which comes after all values. As a lower
        bound a prefix starts at the first key with it, or behind the last; as an upper bound it
        ends at the last key with it, or before the first. A page of about 64 KiB is fetched at a
        time: what the transaction writes ahead of it is found (so a row that it moves ahead in a
        secondary index comes again), what it changes within it is not seen.
        """
        with self._lock:
            self._check()
            handle = self._db._state.catalog.get(table)
            request = scan_request(
                handle, index, lower, upper, lower_exclusive, upper_exclusive, limit, reverse
            )
            return self._scan(handle, request)

    def _scan_behind(
        self, handle: TableHandle, behind: Sequence[object] | None, options: Mapping[str, Any]
    ) -> Iterator[Row]:
        """`scan` with these options, from behind a place in its order on (`scan_request`). Rows
        have what a view does not show of them.
        """
        stored = handle.stored
        request = scan_request(handle, **options, behind=behind, stored=stored is not None)
        with self._lock:
            self._check()
            return self._scan(handle, request, stored)

    def _scan(
        self, handle: TableHandle, request: Scan | None, codec: RowCodec | None = None
    ) -> Iterator[Row]:
        if request is None:
            return iter(())
        self._close_abandoned()
        number = self._db._state.open_cursor(handle, request)
        if number == _LIMIT_REACHED and self._db._kernel.control.fault_index == 0:
            raise TransactionLimitError(
                "too many scans are open", limit="cursors_max", value=cursors_max
            )
        if number < 0:
            raise self._refusal(number, handle, None)
        return self._pages(handle, number, self._serial, codec or handle.rows)

    def execute(self, sql: str, params: Values | None = None) -> int:
        """Runs one `insert`, `update` or `delete` (docs/sql.md): all its rows or none.

        Returns:
            How many rows it inserted, updated or deleted.

        Raises:
            SqlError: It cannot be parsed, is not supported, or does not fit the tables.
            ConstraintError: A row breaks a rule of its table.
        """
        from reifydb.database.row_changes import RowChange

        return RowChange(self).run(sql, params)

    def _query_once(
        self, sql: str, query: Query, params: Values | None
    ) -> list[tuple[object, ...]]:
        with self._lock:
            self._check()
            return self._db._queries.run_once(sql, query, params)

    def query(self, sql: str, params: Values | None = None) -> Rows:
        """The answer to a `select`, this transaction's writes included; see `Database.query`."""
        with self._lock:
            self._check()
            return self._db._queries.run(sql, params)

    def _pages(
        self, handle: TableHandle, cursor: int, serial: int, codec: RowCodec
    ) -> Iterator[Row]:
        try:
            while True:
                with self._lock:
                    self._check()
                    if serial != self._serial:
                        raise ClosedError("the scan belongs to a transaction that has ended")
                    page = self._db._state.page(handle, cursor, PAGE_BYTES)
                if not page:
                    return
                yield from codec.decode_many_mappings(page)
        finally:
            # The collector may end a generator in any thread and in the middle of a turn.
            if serial == self._serial:
                self._abandoned.append(cursor)

    def _close_abandoned(self) -> None:
        while self._abandoned:
            self._db._kernel.call["close"](self._abandoned.pop())

    # ------------------------------------------------------------------ writing

    def insert(self, table: str, row: Mapping[str, object]) -> object:
        """Inserts a row; columns left out have their default. Returns its primary key.

        Raises:
            DuplicateKeyError, NotNullError, WrongTypeError, UnknownNameError: And nothing changed.
        """
        with self._lock:
            self._check()
            handle = self._write(_INSERT, table, row)
            return handle.key_of(row, self._db._kernel.call["generated"]())

    def update(self, table: str, row: Mapping[str, object]) -> None:
        """Sets the given columns of the row with this primary key, and leaves the others.

        Raises:
            NotFoundError: There is none. Others as `insert`.
        """
        with self._lock:
            self._check()
            self._write(_UPDATE, table, row)

    def upsert(self, table: str, row: Mapping[str, object]) -> None:
        """Updates the row with this primary key, or inserts it when there is none."""
        with self._lock:
            self._check()
            self._write(_UPSERT, table, row)

    def delete(self, table: str, key: object) -> bool:
        """Deletes by primary key. Whether there was such a row."""
        return self.delete_many(table, [key]) == 1

    def insert_many(self, table: str, rows: Iterable[Mapping[str, object]]) -> int:
        """Inserts all the rows or none. How many."""
        return self._write_many(_INSERT, table, rows)

    def update_many(self, table: str, rows: Iterable[Mapping[str, object]]) -> int:
        """Updates all the rows or none. How many."""
        return self._write_many(_UPDATE, table, rows)

    def upsert_many(self, table: str, rows: Iterable[Mapping[str, object]]) -> int:
        """Upserts all the rows or none. How many."""
        return self._write_many(_UPSERT, table, rows)

    def delete_many(self, table: str, keys: Iterable[object]) -> int:
        """Deletes by primary keys. How many of these rows there were."""
        keys = _listed(keys, table, "keys")
        with self._lock:
            self._check()
            handle = self._db._state.catalog.writable(table)
            if not keys:
                return 0
            packed = handle.keys.encode_many(keys)
            self._db._state.put(packed)
            count = self._db._kernel.call["delete"](handle.number, len(packed))
            if count < 0:
                raise self._refusal(count, handle, keys[0] if len(keys) == 1 else None)
            return count

    def _write(self, how: int, table: str, row: Mapping[str, object]) -> TableHandle:
        handle = self._db._state.catalog.writable(table)
        projection = handle.projection(row)
        self._write_packed(how, handle, projection.count, projection.encode(row), row)
        return handle

    def _write_many(self, how: int, table: str, rows: Iterable[Mapping[str, object]]) -> int:
        rows = _listed(rows, table, "rows")
        with self._lock:
            self._check()
            handle = self._db._state.catalog.writable(table)
            if not rows:
                return 0
            projections = [handle.projection(row) for row in rows]
            first = projections[0]
            if all(p is first for p in projections):
                packed = first.encode_many(rows)
                if len(packed) <= INPUT_BYTES_MAX:
                    self._write_packed(how, handle, first.count, packed, None)
                    return len(rows)
            return self._write_each(how, handle, rows)

    def _write_each(
        self, how: int, handle: TableHandle, rows: Sequence[Mapping[str, object]]
    ) -> int:
        """Rows of different columns, or more than fit: one by one, and all or nothing still."""
        encoded = [(p := handle.projection(row), p.encode(row), row) for row in rows]
        self._savepoint()
        try:
            for projection, packed, row in encoded:
                self._write_packed(how, handle, projection.count, packed, row)
        except BaseException:
            self._db._kernel.call["release"](1)
            raise
        self._db._kernel.call["release"](0)
        return len(rows)

    def _write_packed(
        self,
        how: int,
        handle: TableHandle,
        columns: int,
        packed: bytes,
        row: Mapping[str, object] | None,
    ) -> None:
        kernel = self._db._kernel
        self._db._state.put(packed)
        code = kernel.call["write"](how, handle.number, columns, len(packed))
        if code < 0:
            key = None
            if row is not None and all(name in row for name in handle.key_names):
                key = handle.key_of(row)
            raise self._refusal(code, handle, key)

    def _refusal(self, code: int, handle: TableHandle, key: object) -> Exception:
        return self._db._state.read_refusal(code, handle.name, key)

    def _savepoint(self) -> None:
        if self._db._kernel.call["savepoint"]() < 0:
            raise LimitError("calls are nested too deeply", limit="savepoints_max", value=64)

    # ------------------------------------------------------------------ transitions

    def call(self, transition: str, /, *args: object, **named: object) -> object:
        """Runs a transition inside this transaction. When it fails, its changes alone are undone.

        Raises:
            AbortedError, TrappedError, DeadlineError: It did; the transaction goes on.
        """
        handle = self._db._registry.find(transition)
        if self._query and not handle.query:
            raise ReadOnlyError(f"transition {handle.name} writes; this transaction may only read")
        if isinstance(handle, PythonTransition):
            return self._call_python(handle, args, named)
        try:
            with self._lock:
                self._check()
                return self._call_wasm(handle, args, named)
        finally:
            self._db._pass_on_log_lines()

    def _table(self, name: str) -> Table:
        return self._db._state.catalog.get(name).table

    def _call_wasm(
        self, handle: WasmTransition, args: Sequence[object], named: Mapping[str, object]
    ) -> object:
        packed = handle.encode_named(args, named) if named else handle.encode(args)
        db = self._db
        self._close_abandoned()
        code = db._executor.call_nested(handle.number, packed, db._next_seed())
        if code < 0:
            raise TransactionError(f"transition {handle.name} was refused with code {code}")
        output = db._kernel.output
        status, code, _, length, _ = OUTCOME.unpack_from(output)
        payload = bytes(output[OUTCOME_BYTES : OUTCOME_BYTES + length])
        db._kernel.output_len.value = 0
        db._gather_log_lines()
        if status != COMMITTED:
            raise handle.failure(status, code, payload, db._executor.trap_reasons)
        return handle.read(payload, 0) if length else None

    def _call_python(
        self, handle: PythonTransition, args: Sequence[object], named: Mapping[str, object]
    ) -> object:
        with self._lock:
            self._check()
            self._savepoint()
        self._depth += 1
        try:
            value = handle.run(self, args, named)
        except BaseException:
            if self._open:
                with self._lock:
                    self._check()
                    self._db._kernel.call["release"](1)
            raise
        finally:
            self._depth -= 1
        with self._lock:
            self._check()
            self._db._kernel.call["release"](0)
        return value

    def abort(self, code: int, message: str = "") -> NoReturn:
        """Raises `AbortedError`: how a Python transition says no."""
        raise AbortedError(self.called, code, message)


def _listed(values: Iterable[_T], table: object, noun: str) -> list[_T]:
    """All of them, before the turn: what gives them may read from the same transaction.

    Raises:
        RequestError: They are not several.
    """
    if isinstance(values, str | bytes | Mapping) or not isinstance(values, Iterable):
        kind = type(values).__name__
        raise RequestError(f"table {table}: expected several {noun}, got one {kind}")
    return list(values)
