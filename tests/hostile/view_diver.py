"""A guest that recurses until the stack ends; at each depth it writes a row and reads a view."""

from __future__ import annotations

import wasmtime

from tests.hostile.binaries import with_manifest
from tests.hostile.host_calls import ARGS_AT, imports

TABLES_JOINED = 16
"""As many as a query may have: the deeper the join, the deeper the stack."""

LOCALS = 100

SCHEMA = "create table deep (id int primary key, n int, j json)"


def view() -> str:
    """The deepest view there is: a join of many, groups, values of each, texts and JSON."""
    joined = " ".join(f"join deep t{i} on t{i}.id = t{i - 1}.id" for i in range(1, TABLES_JOINED))
    last = f"t{TABLES_JOINED - 1}"
    return f"""create view deepest as
        select t0.id % 4 as g, count(*) as rows, max({last}.j ->> 'a') as text,
            count(distinct upper({last}.j ->> 'a') || t1.n::text) as texts, avg(t2.n) as mean
        from deep t0 {joined}
        where coalesce({last}.j ->> 'a', '') like '%' and t3.n >= 0
        group by t0.id % 4 having count(*) > 0"""


def view_diver() -> bytes:
    """Its transition `dive` takes how many frames of another size come first."""
    value = '{\\"a\\":\\"text\\"}'
    length = 33 + len('{"a":"text"}') + 7 & ~7
    # Many locals that are needed afterwards: large frames, so that the end is near.
    kept = range(LOCALS)
    load = " ".join(f"(local.set $k{i} (i64.load (i32.const {4096 + 8 * i})))" for i in kept)
    add = " ".join(f"(local.set $sum (i64.add (local.get $sum) (local.get $k{i})))" for i in kept)
    text = f"""(module {imports("args", "upsert", "count")} (memory 1)
      (data (i32.const {2048 + 33}) "{value}")
      (func $down (param $depth i64) (result i64) (local $sum i64)
          {" ".join(f"(local $k{i} i64)" for i in kept)}
        {load}
        (i64.store (i32.const 2048) (i64.const {3 << 32 | length}))
        (i64.store (i32.const 2056) (i64.and (local.get $depth) (i64.const 31)))
        (i64.store (i32.const 2064) (local.get $depth))
        (i64.store (i32.const 2072) (i64.const {12 << 32 | 33}))
        (drop (call $upsert (i32.const 0) (i32.const 2048) (i32.const {length})))
        (drop (call $count (i32.const 1)))
        (local.set $sum (call $down (i64.add (local.get $depth) (i64.const 1))))
        {add}
        (local.get $sum))
      (func $padding (param $left i64) (result i64) (local $kept i64)
        (local.set $kept (i64.load (i32.const {ARGS_AT})))
        (if (result i64) (i64.eqz (local.get $left))
          (then (i64.add (call $down (i64.const 1000000)) (local.get $kept)))
          (else (i64.add (call $padding (i64.sub (local.get $left) (i64.const 1)))
            (i64.add (local.get $left) (local.get $kept))))))
      (func (export "once") (result i32)
        (drop (call $count (i32.const 1))) (i32.const 0))
      (func (export "dive") (result i32)
        (drop (call $args (i32.const {ARGS_AT}) (i32.const 256)))
        (drop (call $padding (i64.load (i32.const {ARGS_AT + 8}))))
        (i32.const 0)))"""
    deep = [("id", "int", False), ("n", "int", True), ("j", "json", True)]
    manifest = {
        "abi": 1,
        "name": "diver",
        "relations": [
            {
                "name": "deep",
                "columns": [{"name": n, "type": t, "nullable": null} for n, t, null in deep],
            },
            {"name": "deepest", "columns": [{"name": "g", "type": "int", "nullable": True}]},
        ],
        "transitions": [
            {"name": "dive", "params": [{"name": "phase", "type": "int"}]},
            {"name": "once"},
        ],
    }
    return with_manifest(bytes(wasmtime.wat2wasm(text)), manifest)
