"""Modules that can be installed, and go wrong when they are called.

Those in Zig are transitions of `tests/guests/zig/misbehave.zig`: each first puts the row (id, n)
into `victim`, so that a host that undoes too little shows it. Those in text need what Zig cannot
say. A call that is to commit puts (1, 1), which is there already.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

import wasmtime

from reifydb.config import ModuleLimits
from reifydb.sandbox.host_functions import SIGNATURES
from tests.guests import wat
from tests.guests.databases import zig_guest
from tests.hostile.entry import COMMITTED, DEADLINE, OUTSIDE, STACK, Call, Hostile, call
from tests.hostile.host_calls import imports as import_of
from tests.hostile.host_calls import looper

SHORT_MS = 20
UNREACHABLE = "trapped: unreachable code was reached"
NO_RESULT = "trapped: it returned without a result"


def _aborted(*codes: int) -> tuple[str, ...]:
    return tuple(f"aborted: {code}" for code in codes)


def _zig(does: str, *calls: Call, **limits: int) -> Hostile:
    return _entry(does, lambda: zig_guest("misbehave"), *calls, **limits)


def _entry(does: str, wasm: Callable[[], bytes], *calls: Call, **limits: int) -> Hostile:
    """What ends at its deadline has a short one."""
    if any(DEADLINE in one.endings for one in calls):
        limits["deadline_ms"] = SHORT_MS
    return Hostile(does, wasm, calls=calls, limits=ModuleLimits(**limits))


def _fails(name: str, *arguments: int, ends: str | tuple[str, ...]) -> Call:
    return call(name, 1, 99, *arguments, ends=ends)


def _text(does: str, body: str, *calls: Call, imports: str = "", **limits: int) -> Hostile:
    names = tuple(dict.fromkeys(one.name for one in calls))
    guest = wat.Guest(body, names, prelude=imports + wat.PRELUDE)
    return _entry(does, lambda: wat.guest(guest), *calls, **limits)


def _run(body: str) -> str:
    """A transition `run` that first puts a row; the body's locals stand at its beginning."""
    locals_ = re.match(r"\s*(\(local [^)]*\)\s*)*", body)
    assert locals_ is not None
    rest = body[locals_.end() :]
    return f'(func (export "run") (result i32) {locals_[0]} (call $write) {rest})'


# ------------------------------------------------------------------ endless

ENDLESS = [
    _zig("an endless loop", _fails("loop", ends=DEADLINE)),
    _zig("endless writes of a thousand rows", _fails("loop_of_writes", ends=DEADLINE)),
    _zig("endless scans", _fails("loop_of_scans", ends=DEADLINE)),
    _zig("endless log lines", _fails("loop_of_logs", ends=DEADLINE)),
    _zig(
        "an endless loop after an abort",
        _fails("loop_after_abort", ends="aborted: 7"),
        deadline_ms=SHORT_MS,
    ),
    _text(
        "an endless loop of filling memory",
        _run(
            """(drop (memory.grow (i32.const 255)))
            (loop $l (memory.fill (i32.const 0) (i32.const 1) (i32.const 0x1000000)) (br $l))
            unreachable"""
        ),
        call("run", ends=DEADLINE),
    ),
    _text(
        "an endless loop of table copies",
        "(table $t 10000 funcref)"
        + _run(
            """(loop $l (table.copy (i32.const 0) (i32.const 1) (i32.const 9999)) (br $l))
            unreachable"""
        ),
        call("run", ends=DEADLINE),
    ),
    _text(
        "functions that take turns for ever, found through a table",
        """(type $turn (func (param i32) (result i32)))
        (table funcref (elem $even $odd))
        (func $even (type $turn) (i32.const 1))
        (func $odd (type $turn) (i32.const 0))"""
        + _run(
            """(local $i i32)
            (loop $l
              (local.set $i (call_indirect (type $turn) (local.get $i) (local.get $i)))
              (br $l))
            unreachable"""
        ),
        call("run", ends=DEADLINE),
    ),
    _text(
        "a scan that writes the next row ahead of itself for ever",
        _run(
            """(local $cursor i32) (local $id i64)
            (local.set $id (i64.const 1000))
            (local.set $cursor (call $scan (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0)
              (i32.const 0) (i32.const 0)))
            (loop $l
              (i64.store (i32.const 8) (local.tee $id (i64.add (local.get $id) (i64.const 1))))
              (drop (call $upsert (i32.const 0) (i32.const 0) (i32.const 32)))
              (br_if $l (i32.gt_s (call $next (local.get $cursor) (i32.const 512) (i32.const 32))
                (i32.const 0))))
            (i32.const 5)"""
        ),
        call("run", ends=(DEADLINE, "aborted: 5")),
        imports=import_of("scan", "next"),
        rows_written_max=5000,
    ),
    *(
        _entry(
            f"endless calls of {name}",
            lambda name=name: looper(name),
            call("loop", ends=("aborted: 5", DEADLINE) if name == "abort" else DEADLINE),
        )
        for name in SIGNATURES
    ),
]

# ------------------------------------------------------------------ traps


def _trap(does: str, code: str, reason: str, fields: str = "") -> Hostile:
    return _text(does, fields + _run(code), call("run", ends=f"trapped: {reason}"))


TRAPS = [
    _zig("a trap after a write", _fails("trap", ends=UNREACHABLE)),
    _zig("a load beyond its memory", _fails("out_of_bounds", ends=OUTSIDE)),
    _zig(
        "a division by zero", _fails("divide_by_zero", ends="trapped: integer division by zero")
    ),
    _zig(
        "a call beyond its table",
        _fails("call_nothing", ends="trapped: table access out of bounds"),
    ),
    _zig("endless recursion", _fails("dive_nothing", 3, ends=STACK)),
    _zig("a trap after overwriting all its memory", _fails("dirty_then_trap", ends=UNREACHABLE)),
    _zig("a trap with its own stack in use", _fails("leak_stack_then_trap", ends=UNREACHABLE)),
    _zig("a trap after an abort", _fails("abort_then_trap", ends=_aborted(7))),
    _zig("a promised result that does not come", _fails("no_result", ends=NO_RESULT)),
    _trap("the quotient that does not exist", """
        (drop (i32.div_s (i32.const 0x80000000) (i32.const -1))) (i32.const 0)""",
        "integer overflow"),
    _trap("a float that is no integer", "(i32.trunc_f64_s (f64.const nan))",
        "float that is no integer"),
    _trap("a float that is too large an integer", "(i32.trunc_f64_s (f64.const 1e30))",
        "integer overflow"),
    _trap("a call of an empty table element", "(call_indirect (result i32) (i32.const 0))",
        "call of an empty table element", "(table 1 funcref)"),
    _trap("a call through a table with another type", "(call_indirect (result i32) (i32.const 0))",
        "call through a table with another type", "(table funcref (elem $write))"),
    _trap("a copy out of its memory", """
        (memory.copy (i32.const 0) (i32.const 65530) (i32.const 100)) (i32.const 0)""",
        "memory access out of bounds"),
    _trap("a fill whose end wraps", """
        (memory.fill (i32.const -8) (i32.const 1) (i32.const 64)) (i32.const 0)""",
        "memory access out of bounds"),
    _trap("a load whose offset wraps", "(i32.load offset=0xffffffff (i32.const 0xffffffff))",
        "memory access out of bounds"),
    _trap("a segment that was dropped", """
        (data.drop $d) (memory.init $d (i32.const 0) (i32.const 0) (i32.const 1)) (i32.const 0)""",
        "memory access out of bounds", '(data $d "abc")'),
    _trap("elements that were dropped", """
        (elem.drop $e) (table.init $e (i32.const 0) (i32.const 0) (i32.const 1)) (i32.const 0)""",
        "table access out of bounds", "(table 1 funcref) (elem $e func $write)"),
]  # fmt: skip

# ------------------------------------------------------------------ growth and size


def _rows_of_4_mib() -> bytes:
    """Inserts (1000, 4 MiB of text), (1001, …) until the host refuses; returns its code."""
    length = (4 << 20) + 40
    text = f"""(module {import_of("insert")} (memory 80)
      (func (export "run") (result i32) (local $code i32) (local $id i64)
        (local.set $id (i64.const 1000))
        (i64.store (i32.const 0) (i64.const {3 << 32 | length}))
        (i64.store (i32.const 16) (i64.const {(4 << 20) << 32 | 33}))
        (loop $l
          (i64.store (i32.const 8) (local.tee $id (i64.add (local.get $id) (i64.const 1))))
          (local.set $code (call $insert (i32.const 0) (i32.const 0) (i32.const {length})))
          (br_if $l (i32.ge_s (local.get $code) (i32.const 0))))
        (local.get $code)))"""
    columns = [("id", "int", False), ("t", "text", True), ("n", "int", False)]
    bound = [{"name": n, "type": kind, "nullable": null} for n, kind, null in columns]
    manifest = {
        "abi": 1,
        "name": "guest",
        "relations": [{"name": "picky", "columns": bound}],
        "transitions": [{"name": "run"}],
    }
    return wat.with_manifest(bytes(wasmtime.wat2wasm(text)), manifest)


TOO_LONG = (*_aborted(-9), UNREACHABLE)
"""Refused; or else its memory had no room for a second one."""

GROWTH = [
    _zig("memory beyond its limit", _fails("grow_memory", 1000, ends=_aborted(1))),
    _zig(
        "memory that grows, then a trap",
        *[_fails("grow_memory_then_trap", 20, ends=UNREACHABLE)] * 3,
    ),
    _text(
        "memory of 4 GiB",
        _run("(memory.grow (i32.const 65535))"),
        call("run", ends=_aborted(-1)),
    ),
    _text(
        "memory that grows page by page until it cannot, all of it touched",
        _run(
            """(loop $l
              (i32.store (i32.sub (i32.mul (memory.size) (i32.const 65536)) (i32.const 8))
                (i32.const 1))
              (br_if $l (i32.ge_s (memory.grow (i32.const 1)) (i32.const 0))))
            (memory.size)"""
        ),
        call("run", ends=_aborted(256)),
    ),
    _text(
        "a table that grows until it cannot",
        "(table $t 1 funcref)"
        + _run(
            """(loop $l (br_if $l
              (i32.ge_s (table.grow $t (ref.null func) (i32.const 100)) (i32.const 0))))
            (table.size $t)"""
        ),
        call("run", ends=_aborted(9901)),
    ),
    _text(
        "a table that grows, then a trap",
        "(table $t 1 funcref)"
        + _run("(drop (table.grow $t (ref.null func) (i32.const 9000))) unreachable"),
        *[call("run", ends=UNREACHABLE)] * 3,
    ),
    _zig("a result above its limit", _fails("huge_result", 2 << 20, ends=_aborted(-11))),
    _zig("a result of more than 8 MiB", _fails("huge_result", (8 << 20) + 8, ends=TOO_LONG)),
    _zig("a row of more than 8 MiB", _fails("huge_row", (8 << 20) + 64, ends=TOO_LONG)),
    _zig("a log line of a mebibyte", call("huge_log", 1, 1, 1 << 20, ends=COMMITTED)),
    _zig(
        "more rows than it may write",
        _fails("many_rows", 2000, ends=_aborted(-11)),
        rows_written_max=1000,
    ),
    Hostile(
        "rows of 4 MiB until the transaction is too large",
        lambda: _rows_of_4_mib(),
        calls=(call("run", ends=_aborted(-13)),),
    ),
    _text(
        "262,000 rows handed over in one call",
        _run(
            """(local $i i32) (local $at i32)
            (drop (memory.grow (i32.const 128)))
            (loop $l
              (local.set $at (i32.add (i32.const 65536) (i32.shl (local.get $i) (i32.const 5))))
              (i64.store (local.get $at) (i64.const 0x200000020))
              (i64.store offset=8 (local.get $at)
                (i64.add (i64.const 1000) (i64.extend_i32_u (local.get $i))))
              (i64.store offset=16 (local.get $at) (i64.const 0))
              (i64.store offset=24 (local.get $at) (i64.const 0))
              (br_if $l (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1)))
                (i32.const 262000))))
            (call $insert (i32.const 0) (i32.const 65536) (i32.const 8384000))"""
        ),
        call("run", ends=(DEADLINE, *_aborted(262_000))),
        imports=import_of("insert"),
    ),
]

# ------------------------------------------------------------------ scans and cursors

SCANS = [
    _zig("64 cursors that it never closes", *[call("leak_cursors", 1, 1, 64, ends=COMMITTED)] * 3),
    _zig("one cursor more than there may be", _fails("leak_cursors", 65, ends=_aborted(-11))),
    _zig(
        "a scan of more rows than it may see",
        _fails("loop_of_scans", ends=DEADLINE),
        rows_scanned_max=100,
    ),
    _text(
        "a cursor kept from the last call",
        """(global $kept (mut i32) (i32.const -1))
        (func (export "keep") (result i32)
          (global.set $kept (call $scan (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0)
            (i32.const 0) (i32.const 0)))
          (i32.const 0))
        (func (export "use") (result i32)
          (call $next (global.get $kept) (i32.const 512) (i32.const 64)))""",
        call("keep", ends=COMMITTED),
        call("use", ends=_aborted(-10)),
        imports=import_of("scan", "next"),
    ),
    _text(
        "a cursor whose rows are deleted under it",
        _run(
            """(local $cursor i32) (local $n i32)
            (local.set $cursor (call $scan (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0)
              (i32.const 0) (i32.const 0)))
            (loop $l
              (local.set $n (call $next (local.get $cursor) (i32.const 512) (i32.const 32)))
              (if (i32.gt_s (local.get $n) (i32.const 0)) (then
                (i64.store (i32.const 256) (i64.const 0x100000018))
                (i64.store (i32.const 264) (i64.add (i64.load (i32.const 520)) (i64.const 1)))
                (drop (call $delete (i32.const 0) (i32.const 256) (i32.const 24)))
                (i64.store (i32.const 264) (i64.load (i32.const 520)))
                (drop (call $delete (i32.const 0) (i32.const 256) (i32.const 24)))
                (br $l))))
            (i32.add (i32.const 1) (local.get $n))"""
        ),
        call("run", ends=_aborted(1)),
        imports=import_of("scan", "next", "delete"),
    ),
]

# ------------------------------------------------------------------ what it says and what it does

LIES = [
    _zig("aborted, and writing on", _fails("abort_then_write", ends=_aborted(7))),
    _zig("aborted twice, and returning a third code", _fails("abort_twice", ends=_aborted(7))),
    _zig("an abort that is no UTF-8", _fails("abort_bad_message", 9, 2000, ends=_aborted(9))),
    _zig("an abort with the code 0", _fails("abort_bad_message", 0, 0, ends=_aborted(1))),
    _zig("a code and no reason", _fails("return_code", -2147483648, ends=_aborted(-2147483648))),
    _zig("a write in a query", _fails("write_in_query", ends=_aborted(-7))),
    _zig("writes in a query, answers ignored", _fails("write_in_query_anyway", ends=COMMITTED)),
    *(
        _zig(f"an unpromised result: {what}", _fails("wrong_result", kind, ends=_aborted(-4, -5)))
        for kind, what in enumerate(["two values", "null", "empty", "too long", "no value"])
    ),
    _text(
        "its own transition called by itself",
        """(func $again (export "run") (result i32) (call $write) (drop (call $again))
          (i32.const 0))""",
        call("run", ends=STACK),
    ),
]  # fmt: skip

RESERVED = 8
_ROWS = "insert update upsert delete get scan".split()
_MALFORMED = [
    "shorter than it is", "longer than it is", "a length that is no multiple of 8", "no length",
    "the longest length", "a column less", "a column more than there is room for",
    "65,535 columns", "reserved bits", "its last word missing", "its last byte missing",
    "no header", "eight bytes more", "null where none may be", "a third column",
]  # fmt: skip
_VALUES = [
    "text in the header", "text in the slots", "text across the end", "text behind the end",
    "text that wraps", "text of 4 GiB", "bytes of 2 GiB", "no such byte", "overlong UTF-8",
    "half a surrogate pair", "UTF-8 that is cut", "beyond U+10FFFF", "a continuation of nothing",
    "NaN", "another NaN", "infinity", "minus infinity", "a bool of 2", "a bool of 2^63",
    "null in a column that must not be null", "null in the key",
]  # fmt: skip


def _malformed_row(kind: int) -> Iterable[Call]:
    for operation in range(len(_ROWS)):
        if kind == RESERVED:
            continue  # ignored when read
        if (operation, kind) == (5, 5):  # a bound of no columns
            yield call("malformed_row", 1, 1, operation, kind, ends=(COMMITTED, *_aborted(-5)))
        else:
            codes = _aborted(-4, -5) if kind == 13 else _aborted(-5)
            if (operation, kind) == (0, 12):
                codes = _aborted(-3, -5)  # the row before the eight bytes is there already
            yield _fails("malformed_row", operation, kind, ends=codes)


ROWS = [
    *(
        _zig(f"malformed rows: {what}", *_malformed_row(kind))
        for kind, what in enumerate(_MALFORMED)
        if kind != RESERVED
    ),
    *(
        _zig(
            f"a malformed value: {what}",
            _fails(
                "malformed_value",
                kind,
                ends=_aborted(-6 if 13 <= kind <= 18 else -4 if kind in (19, 20) else -5),
            ),
        )
        for kind, what in enumerate(_VALUES)
    ),
    _zig(
        "relations, indexes and cursors that do not exist",
        *(_fails("no_such_thing", kind, ends=_aborted(-10)) for kind in range(15)),
    ),
    _zig(
        "bounds that were not announced, or do not come",
        *(_fails("no_such_thing", kind, ends=_aborted(-5)) for kind in range(15, 18)),
    ),
]

# ------------------------------------------------------------------ start functions

STARTS = [
    Hostile(
        "a start function that loops",
        lambda: wat.guest(wat.START_LOOPS),
        "its start function: interrupted",
    ),
    Hostile(
        "a start function that traps",
        lambda: wat.guest(wat.START_TRAPS),
        "its start function: unreachable code was reached",
    ),
    Hostile(
        "a start function that recurses without end",
        lambda: wat.guest(wat.Guest("(start $down) (func $down (call $down))")),
        "its start function: the call stack is exhausted",
    ),
    Hostile(
        "a start function that writes",
        lambda: wat.guest(wat.START_WRITES),
        calls=(call("nothing", ends=COMMITTED),),
    ),
    _text(
        "a start function that grows memory, and a trap after it",
        """(start $begin) (func $begin (drop (memory.grow (i32.const 9))))
        (func (export "run") (result i32) unreachable)""",
        *[call("run", ends=UNREACHABLE)] * 3,
    ),
    _text(
        "a start function that changes everything, and a trap after it",
        """(start $begin) (global $g (mut i32) (i32.const 1)) (table $t 4 funcref)
        (elem declare func $begin)
        (func $begin (memory.fill (i32.const 0) (i32.const 7) (i32.const 65536))
          (global.set $g (i32.const 5)) (table.set $t (i32.const 0) (ref.func $begin)))
        (func (export "run") (result i32)
          (call_indirect $t (i32.const 0)) (global.set $g (i32.const 9)) unreachable)""",
        *[call("run", ends=UNREACHABLE)] * 3,
    ),
]

CALLS = [*ENDLESS, *TRAPS, *GROWTH, *SCANS, *LIES, *ROWS, *STARTS]
"""All of them."""
