"""The kernel in a store: its functions, its control block, its buffers, and the move to a fresh
store.

All state is in the kernel's memory (kernel/main.zig). Here are the addresses of its buffers as
memoryviews, its functions as raw calls, and what every caller must do after a call that was ended
from outside. One thread at a time: the database's engine lock sees to that.
"""

from __future__ import annotations

import ctypes
import struct
from dataclasses import dataclass
from functools import cache
from typing import NamedTuple, Protocol

from reifydb.engine.ffi import CallEnded, Code, Engine, Exports, Functions, Store
from reifydb.engine.pages import move_pages
from reifydb.errors import KernelError

PAGE_BYTES = 65536
NONE = 0xFFFFFFFF

# Sizes of the kernel's buffers, as in kernel/layout.zig.
INPUT_BYTES_MAX = 16 << 20
STAGING_BYTES_MAX = 8 << 20
REDO_MARK = 1 << 20
OUTPUT_BYTES_MAX = (1 << 20) + (8 << 20) + 4096
REDO_BYTES_MAX = (1 << 20) + (64 << 20) + 4096
LOG_BYTES_MAX = 64 << 10
DELTA_BYTES_MAX = (1 << 20) + (16 << 20) + (1 << 20)

COMMITTED, ABORTED, TRAPPED, REFUSED, NOT_RUN = range(5)
"""Status of an outcome. The last is the host's own: the batch ended before the call ran."""

DONE, YIELDED, MALFORMED, UNKNOWN_TRANSITION, BUSY = range(5)
"""What `execute` and `resume` say."""

OUTCOME = struct.Struct("<IiQII")
"""Head of an outcome: status, code, lsn, length of the payload, reserved."""

RUN_HEAD = struct.Struct("<II")
"""Head of a run of calls: transition, how many rows of arguments follow."""

LONE_ANSWER_AT = 8 << 10
"""Where in the output the answer to a call that came alone lies (kernel/calls.zig)."""

RUNS_NO_GUEST = (
    "begin commit rollback get_row find_row write delete count row_bytes index_bytes generated "
    "scan next close define_binding define_transition create_table alter_table drop_table "
    "drop_index savepoint release abandon retry open hash_state end watch last_lsn walk_open "
    "walk_close evaluate define_query forget_query query_page end_query define_checks "
    "view_counters define_shape forget_shape open_selection close_selection walk_selection "
    "discard_private_view table_hash discard_temporary read_calls reply_to_calls read_lone "
    "define_native define_operation"
).split()
"""Short calls: they keep the GIL. `replay`, `create_index` and the like are long, `execute`,
`resume` and `call` run guests."""


class Control(NamedTuple):
    """kernel/layout.zig's `Control`, field by field."""

    running: int
    transition: int
    operation: int
    args_at: int
    args_len: int
    lsn: int
    time: int
    output_len: int
    redo_len: int
    log_len: int
    log_dropped: int
    fault_table: int
    fault_column: int
    fault_row: int
    fault_index: int
    caller_len: int
    reserved: int
    calls_done: int
    memory_used: int
    memory_limit: int
    state_hash_low: int
    state_hash_high: int
    input_at: int
    output_at: int
    redo_at: int
    staging_at: int
    caller_at: int
    log_at: int
    consumed: int
    redo_total: int
    delta_at: int
    delta_len: int
    delta_lost: int
    progress_rows: int
    progress_of: int


CONTROL = struct.Struct("<QIIQQQqQQQQIIIIIIQQQQQQQQQQQQQQQQQQ")
OFFSETS = {name: struct.calcsize(CONTROL.format[: 1 + i]) for i, name in enumerate(Control._fields)}


class Fault(NamedTuple):
    """What the kernel says of something that it refused (kernel/closing.zig); fields
    are called as in `Control`.

    Attributes:
        memory_limit: The database's.
        row: The row that is in the way; empty: it is not one.
        code: What was answered, where it is not told beside.
    """

    fault_table: int
    fault_column: int
    fault_row: int
    fault_index: int
    memory_limit: int
    row: bytes = b""
    code: int = 0


_FAULT = struct.Struct("<IIII")


def fault_of(payload: bytes, memory_limit: int) -> Fault:
    """A payload as what it says."""
    table, column, row, index = _FAULT.unpack_from(payload)
    return Fault(table, column, row, index, memory_limit, payload[_FAULT.size :])


@dataclass(frozen=True, slots=True)
class KernelCode:
    """The kernel's side, compiled: without epoch checks, so that a deadline never strikes there."""

    kernel: Code
    dispatch: Code
    stack: Code
    probe: Code


class Linked(Protocol):
    """Whatever hangs in the kernel's store and must be made again in a fresh one."""

    def link(self, kernel: Kernel) -> None:
        """Makes its instances in the kernel's present store."""

    def link_again(self, kernel: Kernel) -> None:
        """The same in a fresh store, where nothing may fail any more."""


@cache
def _buffer(length: int) -> type[ctypes.Array[ctypes.c_ubyte]]:
    """The type of so many bytes; ctypes would make it anew each time, with a cycle."""
    return ctypes.c_ubyte * length


class Kernel:
    """One kernel in one store.

    Attributes:
        call: The kernel's functions by name.
        store: The present store.
        dispatch, exports, probe: What guests are linked to.
        input, output, redo, log: The kernel's buffers; valid until `move` or `close`.
        asked: The first word of the input, where a look-up's answer comes (kernel/main.zig).
        control_at: Where the control block lies in the kernel's memory.
    """

    def __init__(self, engine: Engine, code: KernelCode, *, memory_bytes_max: int) -> None:
        self.engine, self.code = engine, code
        self.linked: list[Linked] = []
        self.closed = False
        self._enter_store()
        self._memory_limit.value = memory_bytes_max

    def _enter_store(self) -> None:
        try:
            self._instantiate()
        except CallEnded as ended:
            raise KernelError(
                f"the kernel could not get its memory: {ended}",
                hint="it reserves 1 TiB of address space, most of it never used: see `ulimit -v`",
            ) from ended

    def _instantiate(self) -> None:
        self.store = Store(self.engine)
        self.dispatch = self.store.instantiate(self.code.dispatch)
        self.exports: Exports = self.store.instantiate(self.code.kernel, dispatch=self.dispatch)
        stack = self.store.instantiate(self.code.stack, k=self.exports)
        self.probe: Exports = self.store.instantiate(self.code.probe)
        self.call = Functions(self.exports, keep_gil=RUNS_NO_GUEST)
        self._set_stack = stack.function("set", keep_gil=True)
        self._stack_top = stack.function("get", keep_gil=True)()
        self.memory = self.exports["memory"]
        self.base = self.store.memory_base(self.memory)
        self.control_at = self.call["open"]()
        self._bind_buffers()

    def _bind_buffers(self) -> None:
        self.control_view = self.view(self.control_at, CONTROL.size)
        control = self.control
        self.input = self.view(control.input_at, INPUT_BYTES_MAX)
        self.asked = ctypes.c_int64.from_address(self.base + control.input_at)
        self.output = self.view(control.output_at, OUTPUT_BYTES_MAX)
        self.redo = self.view(control.redo_at, REDO_BYTES_MAX)
        self.log = self.view(control.log_at, LOG_BYTES_MAX)
        self.delta = self.view(control.delta_at, DELTA_BYTES_MAX)
        self.running = self._cell("running", ctypes.c_uint64)
        self.transition = self._cell("transition", ctypes.c_uint32)
        self.operation = self._cell("operation", ctypes.c_uint32)
        self.lsn_cell = self._cell("lsn", ctypes.c_uint64)
        self.redo_len = self._cell("redo_len", ctypes.c_uint64)
        self.redo_total = self._cell("redo_total", ctypes.c_uint64)
        self.output_len = self._cell("output_len", ctypes.c_uint64)
        self.log_len = self._cell("log_len", ctypes.c_uint64)
        self.delta_len = self._cell("delta_len", ctypes.c_uint64)
        self.delta_lost = self._cell("delta_lost", ctypes.c_uint64)
        self.progress_rows = self._cell("progress_rows", ctypes.c_uint64)
        self.progress_of = self._cell("progress_of", ctypes.c_uint64)
        self._memory_limit = self._cell("memory_limit", ctypes.c_uint64)

    def view(self, at: int, length: int) -> memoryview:
        """Kernel memory as a writable buffer, without a copy. Valid until `move` or `close`."""
        return memoryview(_buffer(length).from_address(self.base + at)).cast("B")

    def _cell(self, field: str, kind: type) -> ctypes.c_uint64:
        address = self.base + self.control_at + OFFSETS[field]
        return kind.from_address(address)  # type: ignore[attr-defined, no-any-return]

    def address(self, field: str) -> int:
        """Where a field of the control block lies in the kernel's memory."""
        return self.control_at + OFFSETS[field]

    @property
    def control(self) -> Control:
        """The control block as it is now."""
        return Control._make(CONTROL.unpack_from(self.control_view))

    @property
    def state_hash(self) -> bytes:
        """16 bytes that the whole state determines, in whatever order it came about."""
        self.call["hash_state"]()
        at = OFFSETS["state_hash_low"]
        return bytes(self.control_view[at : at + 16])

    def read(self, at: int, length: int) -> bytes:
        """A copy of `length` bytes of kernel memory."""
        return ctypes.string_at(self.base + at, length)

    def restore_stack(self) -> None:
        """First of all after a trap: it unwound the kernel's frames without their epilogues."""
        self._set_stack(self._stack_top)

    def verify(self) -> str | None:
        """Every structure checks itself; O(state). None, or what is wrong."""
        length = self.call["verify"]()
        return bytes(self.output[:length]).decode() if length else None

    # ------------------------------------------------------------------ the store

    def link(self, linked: Linked) -> None:
        """Links something into the present store, and again into each that follows."""
        linked.link(self)
        self.linked.append(linked)

    def unlink(self, linked: Linked) -> None:
        """Forgets about it; what it made stays in the store until the next move."""
        self.linked.remove(linked)

    def move(self) -> None:
        """Moves to a fresh store and drops the old one with all that gathered in it.

        Between batches only. 5 ms, 3 ms per GiB, and 0.5 ms for each module.

        Raises:
            KernelError: The system refused to move pages; the state must be recovered.
        """
        old, old_base = self.store, self.base
        used = -(-self.call["end"]() // PAGE_BYTES) * PAGE_BYTES
        size = self.store.memory_bytes(self.memory)
        self._release_buffers()
        self._enter_store()
        missing = size - self.store.memory_bytes(self.memory)
        if missing > 0:
            self.store.grow(self.memory, missing // PAGE_BYTES)
        try:
            move_pages(old_base, self.base, used)
        except OSError as error:
            raise KernelError(f"the state could not move to a fresh store: {error}") from error
        self._set_stack(self._stack_top)
        for linked in self.linked:
            linked.link_again(self)
        old.close()

    def _release_buffers(self) -> None:
        for name in ("control_view", "input", "output", "redo", "log", "delta"):
            getattr(self, name).release()

    def close(self) -> None:
        """Drops the store; twice is fine."""
        if not self.closed:
            self.closed = True
            self._release_buffers()
            self.store.close()
