"""The generated modules between kernel and guests, as WAT.

    kernel ── call_indirect by number ──► guest                       (a transition)
    guest ──► trampoline ── call_indirect ──► bridge ──► kernel       (a host function)

A guest imports functions and its memory is needed by what serves them: the trampoline stands in for
the bridge until the guest exists. The bridge imports both memories and copies between them with
`memory.copy`, which wasm checks: a stray pointer traps in the bridge, never in the kernel. What a
guest points to is copied *before* the kernel is entered, what it gets *after*.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from reifydb.config import abort_message_bytes_max, log_line_bytes_max, transitions_max
from reifydb.engine.kernel import STAGING_BYTES_MAX, Kernel
from reifydb.sandbox.binary import PAGE_BYTES, GuestState
from reifydb.sandbox.host_functions import SIGNATURES

STACK_RESERVE_BYTES = 16 * 1024
"""Native stack that must be left before a host call that mutates. A quarter of it suffices for the
deepest path of the kernel (a test lowers it); 16 KiB costs 4 ns, 32 KiB would cost 20: its pages
share one set of the first-level cache."""

RESET_IN_WASM_PAGES_MAX = 16
"""Up to 1 MiB a guest's memory is cleared by `memory.fill`; more is given back to the system."""

ROW_TOO_LONG, NO_RELATION = -9, -10

FLUSH_RESERVE_BYTES = 64 * 1024
"""The same before views are brought up to date while a guest runs: joins of many tables go deep."""

STACK_WAT = """(module $stack (import "k" "__stack_pointer" (global $pointer (mut i64)))
  (func (export "get") (result i64) (global.get $pointer))
  (func (export "set") (param i64) (global.set $pointer (local.get 0))))"""


def probe_wat(reserve_bytes: int = STACK_RESERVE_BYTES) -> str:
    """A function whose frame is statically `reserve_bytes` large and whose fast path returns.

    wasmtime compares the whole frame with the stack limit on entry, so that an exhausted stack is
    noticed here, before anything changed. Locals of i64 let SIMD stay off.
    """
    return f"(module $probe {_probe('probe', reserve_bytes)})"


def dispatch_wat(reserve_bytes: int = FLUSH_RESERVE_BYTES) -> str:
    """What the kernel calls: transitions by number; and `deep`, a probe for what is its own."""
    return f"""(module $dispatch
      (type $transition (func (result i32)))
      (table $transitions (export "transitions") {transitions_max} funcref)
      (func (export "enter") (param i32) (result i32)
        (call_indirect $transitions (type $transition) (local.get 0)))
      {_probe("deep", reserve_bytes)})"""


def _probe(name: str, reserve_bytes: int) -> str:
    count = reserve_bytes // 8
    loads = " ".join(f"(local.set {i + 1} (i64.load (i32.const {8 * i})))" for i in range(count))
    stores = " ".join(f"(i64.store (i32.const {8 * i}) (local.get {i + 1}))" for i in range(count))
    return f"""(memory {-(-reserve_bytes // PAGE_BYTES)})
      (func $clobber (param i32) (i32.store (i32.const 0) (local.get 0)))
      (func (export "{name}") (param i32) (local {"i64 " * count})
        (if (i32.eqz (local.get 0)) (then (return)))
        {loads} (call $clobber (local.get 0)) {stores})"""


@dataclass(frozen=True, slots=True)
class Addresses:
    """Where things lie in the kernel's memory. They never move: bridges have them as constants."""

    staging: int
    page: int
    args_at: int
    args_len: int
    time: int
    caller: int
    caller_len: int

    @classmethod
    def of(cls, kernel: Kernel) -> Addresses:
        """As this kernel's control block says; the same for every store."""
        control = kernel.control
        return cls(
            staging=control.staging_at,
            page=kernel.call["guest_page"](),
            args_at=kernel.address("args_at"),
            args_len=kernel.address("args_len"),
            time=kernel.address("time"),
            caller=control.caller_at,
            caller_len=kernel.address("caller_len"),
        )


@dataclass(frozen=True, slots=True)
class Bindings:
    """The kernel's numbers for a module's relations: `first`, and how many there are; and those
    for its operations.
    """

    first: int
    count: int
    first_operation: int = 0
    operations: int = 0


# ------------------------------------------------------------------ host functions

_KERNEL = {
    "guest_get": "(param i32 i32) (result i64)",
    "guest_insert": "(param i32 i32) (result i32)",
    "guest_update": "(param i32 i32) (result i32)",
    "guest_upsert": "(param i32 i32) (result i32)",
    "guest_delete": "(param i32 i32) (result i32)",
    "guest_operate": "(param i32 i32) (result i64)",
    "guest_count": "(param i32) (result i64)",
    "guest_generated": "(result i64)",
    "guest_scan": "(param i32 i32 i32 i32 i32) (result i32)",
    "guest_next": "(param i32 i32) (result i32)",
    "guest_close": "(param i32) (result i32)",
    "guest_result": "(param i32) (result i32)",
    "guest_abort": "(param i32 i32) (result i32)",
    "guest_log": "(param i32 i32) (result i32)",
    "guest_random": "(result i64)",
}

_PROBE = "(call $probe (i32.const 0))"


def _binding(bindings: Bindings, result: str = "i32") -> str:
    """Refuses a relation that the module does not have; else makes it the kernel's number."""
    return _numbered(bindings.first, bindings.count, result)


def _numbered(first: int, count: int, result: str = "i32") -> str:
    return f"""(if (i32.ge_u (local.get 0) (i32.const {count}))
        (then (return ({result}.const {NO_RELATION}))))
      (local.set 0 (i32.add (local.get 0) (i32.const {first})))"""


def _stage(at: Addresses, pointer: int, length: int) -> str:
    """Copies what the guest points to into the kernel."""
    return f"""(if (i32.gt_u (local.get {length}) (i32.const {STAGING_BYTES_MAX}))
        (then (return (i32.const {ROW_TOO_LONG}))))
      (memory.copy $k $g
        (i64.const {at.staging}) (local.get {pointer}) (local.get {length}))"""


def _cut(local: int, bytes_max: int) -> str:
    return f"""(if (i32.gt_u (local.get {local}) (i32.const {bytes_max}))
        (then (local.set {local} (i32.const {bytes_max}))))"""


def _copy_out(source: str, pointer: int, capacity: int, length: str) -> str:
    """Copies from the kernel to the guest if it fits."""
    return f"""(if (i32.le_u {length} (local.get {capacity}))
        (then (memory.copy $g $k (local.get {pointer}) {source} {length})))"""


_ROW_OUT = f"""(if (i64.le_s (local.get $r) (i64.const 0))
        (then (return (i32.wrap_i64 (local.get $r)))))
      (local.set $n (i32.load $k (local.get $r)))
      {_copy_out("(local.get $r)", 3, 4, "(local.get $n)")} (local.get $n)"""
"""The row at `$r` goes to parameters 3 and 4; what is 0 or a code is the answer."""


def _rows(function: str, at: Addresses, bindings: Bindings) -> str:
    return f"""{_binding(bindings)} {_stage(at, 1, 2)} {_PROBE}
      (call ${function} (local.get 0) (local.get 2))"""


def _host_body(name: str, at: Addresses, bindings: Bindings) -> tuple[str, str]:
    """Locals and body of a host function; parameters are locals 0, 1, …"""
    kernel = "$" + f"guest_{name}"
    if name in ("insert", "update", "upsert", "delete"):
        return "", _rows(kernel[1:], at, bindings)
    if name == "operate":
        own = _numbered(bindings.first_operation, bindings.operations)
        return (
            "(local $r i64) (local $n i32)",
            f"""{own} {_stage(at, 1, 2)} {_PROBE}
          (local.set $r (call {kernel} (local.get 0) (local.get 2)))
          {_ROW_OUT}""",
        )
    if name == "get":
        # No probe: nothing is changed, and an exhausted stack in a read is no harm.
        return (
            "(local $r i64) (local $n i32)",
            f"""{_binding(bindings)} {_stage(at, 1, 2)}
          (local.set $r (call {kernel} (local.get 0) (local.get 2)))
          {_ROW_OUT}""",
        )
    if name == "count":
        return "", f"{_binding(bindings, 'i64')} (call {kernel} (local.get 0))"
    if name == "scan":
        return (
            "",
            f"""{_binding(bindings)} {_stage(at, 3, 4)} {_PROBE}
          (call {kernel} (local.get 0) (local.get 1) (local.get 2) (local.get 4) (local.get 5))""",
        )
    if name == "next":
        return (
            "(local $n i32)",
            f"""{_PROBE}
          (local.set $n (call {kernel} (local.get 0) (local.get 2)))
          (if (i32.gt_s (local.get $n) (i32.const 0))
            (then {_copy_out(f"(i64.const {at.page})", 1, 2, "(local.get $n)")}))
          (local.get $n)""",
        )
    if name == "close":
        return "", f"{_PROBE} (call {kernel} (local.get 0))"
    if name == "result":
        return "", f"{_stage(at, 0, 1)} {_PROBE} (call {kernel} (local.get 1))"
    if name in ("abort", "log"):
        bytes_max = abort_message_bytes_max if name == "abort" else log_line_bytes_max
        return (
            "",
            f"""{_cut(2, bytes_max)} {_stage(at, 1, 2)} {_PROBE}
          (call {kernel} (local.get 0) (local.get 2))""",
        )
    if name in ("generated", "random"):
        return "", f"(call {kernel})"
    if name == "now":
        return "", f"(i64.load $k (i64.const {at.time}))"
    source, length = {
        "args": (
            f"(i64.load $k (i64.const {at.args_at}))",
            f"(i32.wrap_i64 (i64.load $k (i64.const {at.args_len})))",
        ),
        "caller": (f"(i64.const {at.caller})", f"(i32.load $k (i64.const {at.caller_len}))"),
    }[name]
    return (
        "(local $n i32)",
        f"""(local.set $n {length})
      {_copy_out(source, 0, 1, "(local.get $n)")} (local.get $n)""",
    )


def _signature(name: str) -> str:
    signature = SIGNATURES[name]
    params = " ".join(f"(param {kind})" for kind in signature.params)
    return f"{params} (result {signature.result})"


def trampoline_wat(names: tuple[str, ...]) -> str:
    """The guest's imports, each a call through the table that its bridge will fill."""
    functions = []
    for i, name in enumerate(names):
        passed = " ".join(f"(local.get {n})" for n in range(len(SIGNATURES[name].params)))
        signature = _signature(name)
        call = f"(call_indirect {signature} {passed} (i32.const {i}))"
        functions.append(f'(func (export "{name}") {signature} {call})')
    table = f'(table (export "imports") {max(1, len(names))} funcref)'
    return f"(module $trampoline {table} {' '.join(functions)})"


# ------------------------------------------------------------------ the bridge


def bridge_wat(
    names: tuple[str, ...],
    transitions: Mapping[str, int],
    state: GuestState,
    at: Addresses,
    bindings: Bindings,
) -> str:
    """The host functions that a guest imports, the numbers of its transitions, and its `reset`.

    Args:
        names: Host functions in the order of the trampoline's table.
        transitions: The kernel's number of each exported transition.
        state: What can change in an instance of the guest.
        at, bindings: Constants of this kernel and this module.
    """
    hosts = []
    for name in names:
        local, body = _host_body(name, at, bindings)
        hosts.append(f"(func $host_{name} {_signature(name)} {local} {body})")
    kernel = [f'(import "k" "{n}" (func ${n} {kind}))' for n, kind in _KERNEL.items()]
    guest = [
        f'(import "g" "{name}" (func $transition{i} (result i32)))'
        for i, name in enumerate(transitions)
    ]
    slots = [
        f"(elem (table $transitions) (i32.const {number}) func $transition{i})"
        for i, number in enumerate(transitions.values())
    ]
    host_names = " ".join(f"$host_{name}" for name in names)
    imports, body = _reset(state)
    return f"""(module $bridge
      (import "k" "memory" (memory $k i64 1)) (import "g" "state:memory" (memory $g 0))
      {" ".join(kernel)}
      (import "p" "probe" (func $probe (param i32)))
      (import "d" "transitions" (table $transitions {transitions_max} funcref))
      (import "t" "imports" (table $imports {max(1, len(names))} funcref))
      {" ".join(guest)} {imports}
      {" ".join(hosts)}
      (elem (table $imports) (i32.const 0) func {host_names})
      {" ".join(slots)}
      {body}
      (start $save))"""


def _reset(state: GuestState) -> tuple[str, str]:
    """`save` keeps what is not in the binary, `reset` puts it all back, `grown`: it cannot."""
    imports, saved, save, reset = [], [], [], []
    grown = f"(i32.ne (memory.size $g) (i32.const {state.memory_pages}))"
    for i, (name, kind) in enumerate(state.globals):
        imports.append(f'(import "g" "{name}" (global $g{i} (mut {kind})))')
        zero = f"({kind}.const 0)" if kind in ("i32", "i64", "f32", "f64") else "(ref.null func)"
        saved.append(f"(global $saved_g{i} (mut {kind}) {zero})")
        save.append(f"(global.set $saved_g{i} (global.get $g{i}))")
        reset.append(f"(global.set $g{i} (global.get $saved_g{i}))")
    for i, (name, size) in enumerate(state.tables):
        imports.append(f'(import "g" "{name}" (table $t{i} {size} funcref))')
        saved.append(f"(table $saved_t{i} {size} funcref)")
        whole = f"(i32.const 0) (i32.const 0) (i32.const {size})"
        save.append(f"(table.copy $saved_t{i} $t{i} {whole})")
        reset.append(f"(table.copy $t{i} $saved_t{i} {whole})")
        grown = f"(i32.or {grown} (i32.ne (table.size $t{i}) (i32.const {size})))"
    if state.start:
        imports.append(f'(import "g" "{state.start}" (func $guest_start))')
        reset.append("(call $guest_start)")
    datas, fill = [], []
    for i, (address, content) in enumerate(state.segments):
        escaped = "\\" + content.hex("\\")
        datas.append(f'(data $image{i} "{escaped}")')
        fill.append(
            f"(memory.init $g $image{i} (i32.const {_signed(address)}) (i32.const 0) "
            f"(i32.const {len(content)}))"
        )
    return (
        " ".join(imports),
        f"""{" ".join(saved)} {" ".join(datas)}
      (func $save {" ".join(save)})
      (func (export "reset") (param $zero i32)
        (if (local.get $zero) (then (memory.fill $g (i32.const 0) (i32.const 0)
          (i32.mul (memory.size $g) (i32.const {PAGE_BYTES})))))
        {" ".join(fill)}
        {" ".join(reset)})
      (func (export "grown") (result i32) {grown})""",
    )


def _signed(address: int) -> int:
    return address - (1 << 32) if address >= 1 << 31 else address
