"""Random guests that are valid, from a seed: they run for a while, through the host and against it.

Each has some transitions and functions of random statements: rows that are built and handed over,
sometimes spoilt first; scans; arithmetic that may trap; branches, loops, recursion; memory and
tables that grow; globals that last from call to call. Loops and calls use up fuel, so that most end
by themselves; a few loop for ever on purpose.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass

import wasmtime

from reifydb.sandbox.host_functions import SIGNATURES
from tests.guests.wat import with_manifest
from tests.hostile.host_calls import NASTY, PARAMS, TALLY

FUEL_MAX = 400
RELATIONS = [
    {
        "name": "victim",
        "columns": [{"name": "id", "type": "int"}, {"name": "n", "type": "int"}],
        "indexes": [{"name": "victim_by_n", "columns": ["n"]}],
    },
    {
        "name": "wallet",
        "columns": [
            {"name": "id", "type": "int"},
            {"name": "owner", "type": "text"},
            {"name": "balance", "type": "int"},
        ],
    },
    {
        "name": "picky",
        "columns": [
            {"name": "id", "type": "int"},
            {"name": "t", "type": "text", "nullable": True},
            {"name": "d", "type": "bytes", "nullable": True},
            {"name": "x", "type": "float", "nullable": True},
            {"name": "flag", "type": "bool", "nullable": True},
            {"name": "n", "type": "int"},
        ],
    },
    {
        "name": "rich",
        "columns": [
            {"name": "id", "type": "int"},
            {"name": "d", "type": "decimal(5,2)", "nullable": True},
            {"name": "u", "type": "uuid", "nullable": True},
            {"name": "j", "type": "json", "nullable": True},
        ],
    },
]
ROW_BYTES = (32, 40, 64, 64)
KEY_BYTES = 24
AREAS_AT, AREA_BYTES, AREAS = 1024, 128, 16

_ROWS = f"""
(func $victim (param $at i32) (param $id i64) (param $n i64)
  (i64.store (local.get $at) (i64.const {2 << 32 | 32}))
  (i64.store offset=8 (local.get $at) (local.get $id))
  (i64.store offset=16 (local.get $at) (local.get $n))
  (i64.store offset=24 (local.get $at) (i64.const 0)))
(func $wallet (param $at i32) (param $id i64) (param $n i64)
  (i64.store (local.get $at) (i64.const {3 << 32 | 40}))
  (i64.store offset=8 (local.get $at) (local.get $id))
  (i64.store offset=16 (local.get $at) (i64.const {4 << 32 | 33}))
  (i64.store offset=24 (local.get $at) (local.get $n))
  (i64.store offset=32 (local.get $at) (i64.const 0x6162636400)))
(func $picky (param $at i32) (param $id i64) (param $n i64)
  (i64.store (local.get $at) (i64.const {6 << 32 | 64}))
  (i64.store offset=8 (local.get $at) (local.get $id))
  (i64.store offset=16 (local.get $at) (i64.const {4 << 32 | 57}))
  (i64.store offset=24 (local.get $at) (i64.const {3 << 32 | 61}))
  (f64.store offset=32 (local.get $at) (f64.convert_i64_s (local.get $n)))
  (i64.store offset=40 (local.get $at) (i64.and (local.get $n) (i64.const 1)))
  (i64.store offset=48 (local.get $at) (local.get $n))
  (i64.store offset=56 (local.get $at) (i64.const 0x6162636461626300)))
(func $rich (param $at i32) (param $id i64) (param $n i64)
  (i64.store (local.get $at) (i64.const {4 << 32 | 64}))
  (i64.store offset=8 (local.get $at) (local.get $id))
  (i64.store offset=16 (local.get $at) (i64.and (local.get $n) (i64.const 65535)))
  (i64.store offset=24 (local.get $at) (i64.const {16 << 32 | 41}))
  (i64.store offset=32 (local.get $at) (i64.const {7 << 32 | 57}))
  (i64.store8 offset=40 (local.get $at) (i64.const 0))
  (i64.store offset=41 (local.get $at) (local.get $id))
  (i64.store offset=49 (local.get $at) (local.get $n))
  (i64.store32 offset=57 (local.get $at) (i64.const 0x312c335b))  ;; [3,1.0]
  (i64.store32 offset=60 (local.get $at) (i64.const 0x5d302e31))
  (i64.store8 offset=58 (local.get $at)
    (i64.add (i64.and (local.get $n) (i64.const 7)) (i64.const 48))))
(func $key (param $at i32) (param $id i64) (param $n i64)
  (i64.store (local.get $at) (i64.const {1 << 32 | KEY_BYTES}))
  (i64.store offset=8 (local.get $at) (local.get $id))
  (i64.store offset=16 (local.get $at) (i64.const 0)))
;; 0 when there is no fuel left
(func $burn (result i32)
  (global.set $fuel (i32.sub (global.get $fuel) (i32.const 1)))
  (i32.gt_s (global.get $fuel) (i32.const 0)))
"""
_BUILDERS = ("$victim", "$wallet", "$picky", "$rich")
_LOCALS = """(local $a i32) (local $b i32) (local $c i32) (local $x i64) (local $y i64)
  (local $f f64)"""


@dataclass(frozen=True, slots=True)
class Generated:
    """A module, and the calls to make: transition and arguments."""

    seed: int
    wasm: bytes
    calls: tuple[tuple[str, tuple[int, ...]], ...]


def generate(seed: int) -> Generated:
    """The module of this seed; the same on every machine."""
    return _Generator(seed).module()


class _Generator:
    """One module in the making."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.dice = random.Random(seed)
        self.functions = self.dice.randrange(1, 5)
        self.endless = self.dice.random() < 0.03
        self.labels = 0

    def module(self) -> Generated:
        dice = self.dice
        transitions = [
            {
                "name": f"t{i}",
                "params": [{"name": "x", "type": "int"}, {"name": "y", "type": "int"}],
                "result": {"type": "int"} if dice.random() < 0.6 else None,
                "query": dice.random() < 0.15,
            }
            for i in range(dice.randrange(1, 4))
        ]
        bodies = [self.transition(one) for one in transitions]
        bodies += [self.function(i) for i in range(self.functions)]
        names = [f"$f{i}" for i in range(self.functions)]
        start = ""
        if dice.random() < 0.15:
            start = f"(start $start) (func $start {_LOCALS} {self.statements(1, fuel=30)})"
        passive = '(data $passive "some passive bytes")' if dice.random() < 0.1 else ""
        self.passive = bool(passive)
        imports = " ".join(_import(name) for name in SIGNATURES)
        text = f"""(module {imports}
          (type $step (func (param i32 i64) (result i32)))
          (memory {dice.randrange(1, 4)} {dice.choice([4, 20, 300])})
          (table $t {dice.randrange(4, 20)} {dice.choice([20, 2000])} funcref)
          (elem (table $t) (i32.const 0) func {" ".join(dice.choices(names, k=4))})
          (elem declare func $f0)
          (global $fuel (mut i32) (i32.const 0)) (global $host_calls (mut i64) (i64.const 0))
          (global $g i32 (i32.const 3))
          (global $i (mut i32) (i32.const {self.number()})) (global $l (mut i64) (i64.const 1))
          (data (i32.const {dice.randrange(60000)}) "{"seeded " * dice.randrange(1, 40)}")
          {passive} {_ROWS} {start} {" ".join(bodies)})"""
        manifest = {
            "abi": 1,
            "name": "generated",
            "relations": RELATIONS,
            "operations": [TALLY],
            "transitions": transitions,
        }
        calls = tuple(
            (str(dice.choice(transitions)["name"]), (dice.randrange(-5, 60), self.number()))
            for _ in range(dice.randrange(4, 9))
        )
        return Generated(self.seed, with_manifest(bytes(wasmtime.wat2wasm(text)), manifest), calls)

    # -------------------------------------------------------------- functions

    def transition(self, one: dict[str, object]) -> str:
        code = "(i32.const 0)" if self.dice.random() < 0.75 else self.i32(2)
        result = ""
        if one["result"] is not None and self.dice.random() < 0.95:
            result = """(call $key (i32.const 512) (global.get $host_calls) (i64.const 0))
              (drop (call $result (i32.const 512) (i32.const 24)))"""
        endless = "(loop $ever (br $ever))" if self.endless and self.dice.random() < 0.5 else ""
        trap = "unreachable" if self.dice.random() < 0.08 else ""
        return f"""(func (export "{one["name"]}") (result i32) {_LOCALS}
          (drop (call $args (i32.const 0) (i32.const 64)))
          (local.set $x (i64.load (i32.const 8))) (local.set $y (i64.load (i32.const 16)))
          {self.statements(3, fuel=self.dice.randrange(20, FUEL_MAX))}
          {endless} {trap} {result} {code})"""

    def function(self, number: int) -> str:
        return f"""(func $f{number} (type $step) (param $p i32) (param $q i64) (result i32)
          {_LOCALS}
          (if (i32.eqz (call $burn)) (then (return (local.get $p))))
          (local.set $x (local.get $q)) (local.set $a (local.get $p))
          {self.statements(2)} {self.i32(2)})"""

    def statements(self, depth: int, *, fuel: int = 0) -> str:
        first = f"(global.set $fuel (i32.const {fuel}))" if fuel else ""
        count = self.dice.randrange(2, 6)
        return first + " ".join(self.statement(depth) for _ in range(count))

    def statement(self, depth: int) -> str:
        choices: list[tuple[float, Callable[[int], str]]] = [
            (9, self.host),
            (3, self.assignment),
            (2, self.memory),
            (0.5, self.table),
        ]
        if depth > 0:
            choices += [(2, self.branch), (3, self.loop), (1.5, self.scan)]
        (chosen,) = self.dice.choices([c for _, c in choices], [w for w, _ in choices])
        return chosen(depth)

    # -------------------------------------------------------------- statements

    def host(self, depth: int) -> str:
        """A host function, mostly with what it wants."""
        dice = self.dice
        name = dice.choice([*SIGNATURES, *["insert", "update", "upsert", "delete", "get"] * 3])
        if name == "abort" and dice.random() < 0.9:
            name = "log"
        relation = dice.randrange(len(RELATIONS))
        at = AREAS_AT + AREA_BYTES * dice.randrange(AREAS)
        is_row = "rows" in PARAMS[name]
        builder = _BUILDERS[relation] if is_row else "$key"
        prepare = ""
        if set(PARAMS[name]) & {"rows", "keys", "key", "bounds", "row"}:
            prepare = f"(call {builder} (i32.const {at}) {self.id(depth)} {self.i64(1)})"
            if dice.random() < 0.06:
                spoilt = at + 4 * dice.randrange(10)
                prepare += f"(i32.store (i32.const {spoilt}) (i32.const {_signed(self.number())}))"
        length = ROW_BYTES[relation] if is_row else KEY_BYTES
        wanted = {
            "relation": relation,
            "operation": 0,
            "row": at,
            "rows": at,
            "keys": at,
            "key": at,
            "bounds": at,
            "key_len": KEY_BYTES,
            "len": length if prepare else dice.randrange(40),
            "ptr": AREAS_AT + AREA_BYTES * dice.randrange(AREAS),
            "cap": AREA_BYTES,
            "index": dice.choice([0, 1]) if relation == 0 else 0,
            "flags": dice.choice([1, 1, 2, 5, 17, 18]),
            "limit": dice.choice([0, 1, 3, 50]),
            "cursor": dice.randrange(2),
            "code": dice.randrange(1, 9),
            "level": 20,
        }
        given = [
            self.i32(1) if dice.random() < 0.015 else f"(i32.const {_signed(value)})"
            for value in (
                self.number() if dice.random() < 0.01 else wanted[p] for p in PARAMS[name]
            )
        ]
        call = f"(call ${name} {' '.join(given)})"
        counted = "(global.set $host_calls (i64.add (global.get $host_calls) (i64.const 1)))"
        if SIGNATURES[name].result == "i64":
            return f"{prepare} {counted} (local.set ${dice.choice('xy')} {call})"
        return f"{prepare} {counted} (local.set ${dice.choice('abc')} {call})"

    def scan(self, depth: int) -> str:
        """A scan to its end, with statements between its rows."""
        self.labels += 1
        relation, label = self.dice.randrange(len(RELATIONS)), f"$scan{self.labels}"
        at = AREAS_AT + AREA_BYTES * self.dice.randrange(AREAS)
        flags = self.dice.choice([0, 0, 16])
        index = self.dice.choice([0, 1]) if relation == 0 else 0
        return f"""
          (local.set $c (call $scan (i32.const {relation}) (i32.const {index}) (i32.const {flags})
            (i32.const 0) (i32.const 0) (i32.const {self.dice.choice([0, 3, 20])})))
          (loop {label}
            (local.set $b (call $next (local.get $c) (i32.const {at}) (i32.const {AREA_BYTES})))
            {self.statement(depth - 1)}
            (br_if {label} (i32.and (i32.gt_s (local.get $b) (i32.const 0)) (call $burn))))"""

    def assignment(self, depth: int) -> str:
        return self.dice.choice(
            [
                lambda: f"(local.set ${self.dice.choice('abc')} {self.i32(depth)})",
                lambda: f"(local.set ${self.dice.choice('xy')} {self.i64(depth)})",
                lambda: f"(local.set $f {self.f64(depth)})",
                lambda: f"(global.set $i {self.i32(depth)})",
                lambda: f"(global.set $l {self.i64(depth)})",
            ]
        )()

    def memory(self, depth: int) -> str:
        """Stores and bulk instructions, mostly inside."""
        where = self.address(depth)
        count = self.dice.randrange(300)
        return self.dice.choice(
            [
                lambda: f"(i32.store {where} {self.i32(depth)})",
                lambda: f"(i64.store16 {where} {self.i64(depth)})",
                lambda: f"(memory.fill {where} {self.i32(1)} (i32.const {count}))",
                lambda: f"(memory.copy {where} {self.address(1)} (i32.const {count}))",
                lambda: f"(drop (memory.grow (i32.const {self.dice.choice([0, 1, 2, 500])})))",
            ]
        )()

    def table(self, depth: int) -> str:
        names = [f"$f{i}" for i in range(self.functions)]
        return self.dice.choice(
            [
                lambda: f"(table.set $t (i32.const {self.dice.randrange(5)}) (ref.func $f0))",
                lambda: f"(drop (table.grow $t (ref.null func) (i32.const {self.number()})))",
                lambda: "(table.copy $t $t (i32.const 1) (i32.const 0) (i32.const 2))",
                lambda: (
                    f"""(local.set $a (call_indirect $t (type $step) {self.i32(1)} {self.i64(1)}
                  (i32.const {self.dice.choice([0, 1, 2, 3, 3, 7])})))"""
                ),
                lambda: (
                    f"(local.set $b (call {self.dice.choice(names)} {self.i32(1)} {self.i64(1)}))"
                ),
            ]
        )()

    def branch(self, depth: int) -> str:
        other = f"(else {self.statements(depth - 1)})" if self.dice.random() < 0.5 else ""
        return f"(if {self.i32(2)} (then {self.statements(depth - 1)}) {other})"

    def loop(self, depth: int) -> str:
        self.labels += 1
        label = f"$loop{self.labels}"
        return f"""(loop {label} {self.statements(depth - 1)}
          (local.set $x (i64.add (local.get $x) (i64.const {self.dice.randrange(1, 4)})))
          (br_if {label} (i32.and (call $burn) (i32.ne {self.i32(1)} (i32.const 3)))))"""

    # -------------------------------------------------------------- expressions

    def number(self) -> int:
        return self.dice.choice(NASTY) if self.dice.random() < 0.4 else self.dice.randrange(64)

    def id(self, depth: int) -> str:
        """Mostly one of few, so that rows meet."""
        if self.dice.random() < 0.1:
            return self.i64(1)
        away = self.dice.randrange(40)
        return f"(i64.and (i64.add (local.get $x) (i64.const {away})) (i64.const 63))"

    def address(self, depth: int) -> str:
        if self.dice.random() < 0.02:
            return self.i32(depth)
        return f"(i32.and {self.i32(depth - 1)} (i32.const 0x7ff8))"

    def i32(self, depth: int) -> str:
        dice = self.dice
        if depth <= 0 or dice.random() < 0.3:
            return dice.choice(
                [
                    f"(i32.const {_signed(self.number())})",
                    f"(local.get ${dice.choice('abc')})",
                    "(global.get $i)",
                    "(memory.size)",
                    "(table.size $t)",
                ]
            )
        deeper = depth - 1
        kinds: list[tuple[float, Callable[[], str]]] = [
            (6, lambda: f"(i32.{dice.choice(_BINARY)} {self.i32(deeper)} {self.i32(deeper)})"),
            (2, lambda: f"(i64.{dice.choice(_COMPARE)} {self.i64(deeper)} {self.i64(deeper)})"),
            (2, lambda: f"(i32.load8_s {self.address(deeper)})"),
            (1, lambda: f"(i32.wrap_i64 {self.i64(deeper)})"),
            (1, lambda: f"(i32.trunc_sat_f64_s {self.f64(deeper)})"),
            (0.2, lambda: f"(i32.trunc_f64_u {self.f64(deeper)})"),
            (0.4, lambda: f"(i32.{dice.choice(_DIVIDE)} {self.i32(deeper)} {self.i32(deeper)})"),
            (1, lambda: f"(select {self.i32(deeper)} {self.i32(deeper)} {self.i32(deeper)})"),
            (0.5, lambda: f"(call $f{dice.randrange(self.functions)} {self.i32(1)} {self.i64(1)})"),
        ]
        (chosen,) = dice.choices([k for _, k in kinds], [w for w, _ in kinds])
        return chosen()

    def i64(self, depth: int) -> str:
        dice = self.dice
        if depth <= 0 or dice.random() < 0.3:
            return dice.choice(
                [
                    f"(i64.const {self.number() - 5})",
                    f"(local.get ${dice.choice('xy')})",
                    "(global.get $l)",
                ]
            )
        deeper = depth - 1
        return dice.choice(
            [
                lambda: f"(i64.{dice.choice(_BINARY)} {self.i64(deeper)} {self.i64(deeper)})",
                lambda: f"(i64.extend_i32_s {self.i32(deeper)})",
                lambda: f"(i64.load32_u {self.address(deeper)})",
                lambda: f"(i64.reinterpret_f64 {self.f64(deeper)})",
                lambda: "(call $random)",
                lambda: "(call $now)",
            ]
        )()

    def f64(self, depth: int) -> str:
        if depth <= 0:
            return self.dice.choice(["(local.get $f)", "(f64.const nan)", "(f64.const -1e300)"])
        return self.dice.choice(
            [
                lambda: (
                    f"(f64.{self.dice.choice(['add', 'sub', 'mul', 'div', 'min'])} "
                    f"{self.f64(depth - 1)} {self.f64(depth - 1)})"
                ),
                lambda: f"(f64.convert_i64_s {self.i64(depth - 1)})",
                lambda: f"(f64.sqrt {self.f64(depth - 1)})",
                lambda: f"(f64.load {self.address(depth - 1)})",
            ]
        )()


_BINARY = ["add", "sub", "mul", "and", "or", "xor", "shl", "shr_s", "rotl"]
_COMPARE = ["eq", "ne", "lt_s", "ge_u"]
_DIVIDE = ["div_s", "div_u", "rem_s"]


def _signed(value: int) -> int:
    return value - (1 << 32) if value >= 1 << 31 else value


def _import(name: str) -> str:
    signature = SIGNATURES[name]
    params = f"(param {' '.join(signature.params)})" if signature.params else ""
    return f'(import "reifydb.v1" "{name}" (func ${name} {params} (result {signature.result})))'
