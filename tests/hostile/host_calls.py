"""Modules that attack the host through its own functions, one set for each function of the ABI.

What a parameter means is read from docs/abi.md, by its name: a pointer is what stands before a
length or a capacity. So a new host function is attacked as soon as it is documented, and a test
sees to it that it is.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations, product
from pathlib import Path

import wasmtime

from reifydb.sandbox.host_functions import SIGNATURES
from tests.guests.wat import with_manifest

_LENGTHS = {"len": "read", "key_len": "read", "cap": "written"}

_HEAD = re.compile(r"^\| `(\w+)\(([^)]*)\)` \|", re.MULTILINE)

PARAMS: dict[str, tuple[str, ...]] = {
    name: tuple(part.strip() for part in params.split(",") if part.strip())
    for name, params in _HEAD.findall(
        Path("docs/abi.md").read_text().split("## Host functions")[1].split("\n## ")[0]
    )
}
"""Names of each host function's parameters."""

MEMORY_BYTES = 65536
KEY_AT, ROW_AT, BUFFER_AT, ARGS_AT = 64, 128, 256, 1024
CANARIES_AT = 4096
"""From here to the end the guest's memory is filled with a pattern before the host is called."""

ROW_BYTES = 32
STAGING_BYTES_MAX = 8 << 20
CUT_BYTES = 1024
"""Messages and log lines are cut to this before they are copied."""

BIAS = 1_000_000
"""Attacks end with the host's answer less this as the abort's code: never 0, which would commit."""

CANARY_DIED = -7_777_777
"""Code of an attack after which bytes that the host had no business with have changed."""

HONEST: dict[str, int] = {
    "relation": 0,
    "operation": 0,
    "row": KEY_AT,
    "key": KEY_AT,
    "key_len": 24,
    "keys": KEY_AT,
    "rows": ROW_AT,
    "bounds": KEY_AT,
    "index": 0,
    "flags": 1,  # a lower bound
    "limit": 0,
    "cursor": 0,  # the first that is opened
    "code": 5,
    "level": 20,
    "ptr": BUFFER_AT,
    "cap": 256,
}
"""What an honest guest would give for a parameter of this name."""

_LENGTH_OF = {"rows": ROW_BYTES, "keys": 24, "bounds": 24, "ptr": 24, "row": 24}

NASTY = [
    0,
    1,
    7,
    KEY_AT,
    CUT_BYTES,
    CANARIES_AT,
    MEMORY_BYTES - 8,
    MEMORY_BYTES - 1,
    MEMORY_BYTES,
    MEMORY_BYTES + 1,
    STAGING_BYTES_MAX,
    STAGING_BYTES_MAX + 1,
    0x7FFF_FFFF,
    0x8000_0000,
    0xFFFF_FFF0,
    0xFFFF_FFFF,
]
"""Pointers, lengths, numbers: at every edge there is, and beyond."""


@dataclass(frozen=True, slots=True)
class Span:
    """A pointer parameter and its length, by position. `use`: the host reads or writes it."""

    pointer: int
    length: int
    use: str


def spans(name: str) -> list[Span]:
    """What a host function reads and writes of the guest's memory."""
    params = PARAMS[name]
    return [Span(i - 1, i, _LENGTHS[p]) for i, p in enumerate(params) if p in _LENGTHS]


def honest(name: str) -> tuple[int, ...]:
    """Arguments that are fine."""
    values: list[int] = []
    for i, param in enumerate(PARAMS[name]):
        values.append(_LENGTH_OF[PARAMS[name][i - 1]] if param == "len" else HONEST[param])
    return tuple(values)


def attacks(name: str) -> list[tuple[int, ...]]:
    """Arguments of which one or two are nasty, in every combination."""
    fine = honest(name)
    if len(fine) < 2:
        return [(value,) for value in NASTY] if fine else []
    found = dict.fromkeys(
        (*fine[:i], first, *fine[i + 1 : j], second, *fine[j + 1 :])
        for i, j in combinations(range(len(fine)), 2)
        for first, second in product(NASTY, NASTY)
    )
    return [fine, *found]


def must_trap(name: str, values: tuple[int, ...], answer: int) -> bool | None:
    """Whether these arguments lead out of the guest's memory; None when it depends on more.

    Args:
        name: The host function.
        values: Its arguments, of which at most one span is not honest.
        answer: What it answers to honest arguments: the length of what it would write.
    """
    fine, verdict = honest(name), False
    for span in spans(name):
        pointer, length = values[span.pointer], values[span.length]
        if pointer + length <= MEMORY_BYTES:
            continue
        others = [i for i in range(len(fine)) if i not in (span.pointer, span.length)]
        if any(values[i] != fine[i] for i in others):
            return None  # it may be refused before it is looked at
        if span.use == "read":
            if name in ("abort", "log"):
                length = min(length, CUT_BYTES)
            elif length > STAGING_BYTES_MAX:
                continue  # refused
            verdict |= pointer + length > MEMORY_BYTES
        elif PARAMS[name][0] == "cursor":  # it gives as many rows as there is room for
            if length >= ROW_BYTES and pointer <= MEMORY_BYTES - ROW_BYTES:
                return None
            verdict |= length >= ROW_BYTES
        elif length >= answer:  # else it does not fit, and nothing is copied
            verdict |= pointer + answer > MEMORY_BYTES
    return verdict


# ------------------------------------------------------------------ modules


def _import(name: str) -> str:
    signature = SIGNATURES[name]
    params = f"(param {' '.join(signature.params)})" if signature.params else ""
    return f'(import "reifydb.v1" "{name}" (func ${name} {params} (result {signature.result})))'


def imports(*names: str) -> str:
    """Imports of these host functions, each under its name."""
    return " ".join(_import(name) for name in dict.fromkeys(names))


def _narrow(name: str, code: str) -> str:
    """The answer as an i32."""
    return f"(i32.wrap_i64 {code})" if SIGNATURES[name].result == "i64" else code


def _call_honestly(name: str) -> str:
    return f"(call ${name} {' '.join(f'(i32.const {value})' for value in honest(name))})"


_KEPT = (
    (KEY_AT, 1 << 32 | 24, 5, 0),
    (ROW_AT, 2 << 32 | 32, 5, 99, 0),
    (BUFFER_AT, 1 << 32 | 24, 0, 0),
)
"""The key 5; the row (5, 99), which would change the row (5, 5); a result of one integer."""


def _data(name: str | None) -> str:
    """Memory, and `$prepare`: what honest calls point to is there. `insert` gets a new row."""
    stores = " ".join(
        f"(i64.store (i32.const {at + 8 * i}) (i64.const {word}))"
        for at, *words in _KEPT
        for i, word in enumerate(words)
    )
    if name == "insert":
        stores += f" (i64.store (i32.const {ROW_AT + 8}) (i64.const 1000))"
    return f"(memory 1) (func $prepare {stores})"


TALLY = {
    "primitive": "tally",
    "name": "add",
    "params": [{"name": "amount", "type": "int"}],
    "result": {"type": "int"},
}
"""An operation whose arguments are a row of one integer, and so is its result."""

INDEXES = [{"name": "victim_by_n", "columns": ["n"]}]


def _module(name: str, text: str, transitions: list[dict[str, object]]) -> bytes:
    columns = [{"name": "id", "type": "int"}, {"name": "n", "type": "int"}]
    manifest = {
        "abi": 1,
        "name": name,
        "relations": [{"name": "victim", "columns": columns, "indexes": INDEXES}],
        "operations": [TALLY],
        "transitions": transitions,
    }
    return with_manifest(bytes(wasmtime.wat2wasm(f"(module {text})")), manifest)


def attacker(name: str) -> bytes:
    """Calls one host function with whatever its transition `attack` is given, then aborts."""
    count = len(PARAMS[name])
    locals_ = " ".join(f"(local $p{i} i32)" for i in range(count))
    read = " ".join(
        f"(local.set $p{i} (i32.wrap_i64 (i64.load (i32.const {ARGS_AT + 8 + 8 * i}))))"
        for i in range(count)
    )
    given = " ".join(f"(local.get $p{i})" for i in range(count))
    answer = _narrow(name, f"(call ${name} {given})")
    written = [span for span in spans(name) if span.use == "written"]
    text = f"""{imports("args", "scan", name)} {_data(name)}
    (func (export "attack") (result i32) {locals_} (local $answer i32)
      (call $prepare)
      (drop (call $args (i32.const {ARGS_AT}) (i32.const 256)))
      {read}
      (memory.fill (i32.const {CANARIES_AT}) (i32.const 0xa5)
        (i32.const {MEMORY_BYTES - CANARIES_AT}))
      (drop (call $scan (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0)
        (i32.const 0)))
      (local.set $answer {answer})
      {"".join(_canaries(span) for span in written)}
      (i32.sub (local.get $answer) (i32.const {BIAS})))
    {_DAMAGED}"""
    params = [{"name": f"p{i}", "type": "int"} for i in range(count)]
    transition = {"name": "attack", "params": params, "result": {"type": "int"}}
    return _module("attacker", text, [transition])


def _canaries(span: Span) -> str:
    return f"""(if (call $damaged (local.get $p{span.pointer}) (local.get $p{span.length}))
        (then (return (i32.const {CANARY_DIED}))))"""


_DAMAGED = f"""
(func $damaged (param $at i32) (param $length i32) (result i32) (local $i i32) (local $end i64)
  (local.set $end (i64.add (i64.extend_i32_u (local.get $at))
    (i64.extend_i32_u (local.get $length))))
  (local.set $i (i32.const {CANARIES_AT}))
  (loop $next
    (if (i64.ne (i64.load (local.get $i)) (i64.const 0xa5a5a5a5a5a5a5a5))
      (then (if (i32.or
          (i64.le_u (i64.add (i64.extend_i32_u (local.get $i)) (i64.const 8))
            (i64.extend_i32_u (local.get $at)))
          (i64.ge_u (i64.extend_i32_u (local.get $i)) (local.get $end)))
        (then (return (i32.const 1))))))
    (br_if $next (i32.lt_u
      (local.tee $i (i32.add (local.get $i) (i32.const 8))) (i32.const {MEMORY_BYTES}))))
  (i32.const 0))"""
"""Whether a word has changed that lies outside of what the host was given to write to."""


def diver(name: str | None) -> bytes:
    """Recurses until the stack ends, calling a host function at every depth; None: no function.

    `dive` takes how many frames of another size come first, so that it ends at different places.
    """
    host = ""
    if name is not None:
        fresh = f"(i64.store (i32.const {ROW_AT + 8}) (local.get $depth))"
        host = f"{fresh if name == 'insert' else ''} (drop {_call_honestly(name)})"
    functions = imports("args", "scan", "upsert", *([name] if name is not None else []))
    text = f"""{functions} {_data(name)}
    (func $down (param $depth i64) (result i64)
      {host}
      (i64.add (call $down (i64.add (local.get $depth) (i64.const 1))) (local.get $depth)))
    (func $padding (param $left i64) (result i64) (local $kept i64)
      (local.set $kept (i64.load (i32.const {ARGS_AT})))
      (if (result i64) (i64.eqz (local.get $left))
        (then (i64.add (call $down (i64.const 1000000)) (local.get $kept)))
        (else (i64.add (call $padding (i64.sub (local.get $left) (i64.const 1)))
          (i64.add (local.get $left) (local.get $kept))))))
    (func (export "dive") (result i32)
      (call $prepare)
      (drop (call $args (i32.const {ARGS_AT}) (i32.const 256)))
      (drop (call $upsert (i32.const 0) (i32.const {ROW_AT}) (i32.const 32)))
      (drop (call $scan (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0)
        (i32.const 0)))
      (drop (call $padding (i64.load (i32.const {ARGS_AT + 8}))))
      (i32.const 0))"""
    params = [{"name": "phase", "type": "int"}]
    transition = {"name": "dive", "params": params, "result": {"type": "int"}}
    return _module("diver", text, [transition])


def looper(name: str) -> bytes:
    """Calls one host function for ever."""
    text = f"""{imports(name)} {_data(name)}
    (func (export "loop") (result i32)
      (call $prepare)
      (loop $for_ever (drop {_call_honestly(name)}) (br $for_ever)) (unreachable))"""
    return _module("looper", text, [{"name": "loop", "result": {"type": "int"}}])


def starter(name: str) -> bytes:
    """Its start function calls one host function, and `look` aborts with the answer.

    `trap` traps, so that the start function runs again.
    """
    text = f"""{imports(name)} {_data(name)}
    (global $answer (mut i32) (i32.const 0))
    (start $begin)
    (func $begin (call $prepare) (global.set $answer {_narrow(name, _call_honestly(name))}))
    (func (export "trap") (result i32) unreachable)
    (func (export "look") (result i32) (i32.sub (global.get $answer) (i32.const {BIAS})))"""
    return _module("starter", text, [{"name": "trap"}, {"name": "look"}])


def mutating() -> Iterator[str]:
    """Host functions that may change state: those that are handed rows or keys to write."""
    return (name for name in SIGNATURES if set(PARAMS[name]) & {"rows", "keys", "row"})
