"""The proof of "instances are finite" (docs/decisions/0003-instances-are-finite.md) at full size.

One process: 1,000,000 guest traps; 100,000 different generated modules, each compiled, instantiated
beside the kernel, called and dropped; 10,000 installs of different modules. Memory, address space,
mappings and speed are as they were, the state's hash is unchanged, `verify()` is clean.

`python -m tests.hostile.proof` does all of it in about 25 minutes, most of them the 10,000
compiling processes; `--scale 0.1` a tenth. Prints a table a part; ends with 1 when anything was not
flat. CI runs a tenth in `test_proof.py`, which says what it does differently.
"""

from __future__ import annotations

import argparse
import gc
import random
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from reifydb.database import registry
from reifydb.engine.ffi import Code
from reifydb.sandbox.cache import Cache
from reifydb.sandbox.configuration import new_engine, uninterruptible
from tests.guests import wat
from tests.guests.databases import stack_pointer, usage, zig_guest
from tests.hostile.ground import Ground
from tests.hostile.pairs import compiled_here

TRAPS, MODULES, INSTALLS = 1_000_000, 100_000, 10_000
TENTHS = 10
NAMES = 20
"""Under so many names are modules installed: some of them are there at any time."""

RESIDENT_GROWTH_MAX = 48 << 20
ADDRESS_SPACE_GROWTH_MAX = 9 << 30
"""Two guests' worth: what is alive at a sample may differ by one."""
MAPPINGS_GROWTH_MAX = 60
SLOWDOWN_MAX = 2.0
"""The slowest of the later tenths against the fastest of the first three, in processor time."""


@dataclass(frozen=True, slots=True)
class Sample:
    """What the process holds after some work, in a store that is fresh."""

    done: int
    cpu_us: float  # of each one since the last sample
    wall_us: float
    resident: int
    address_space: int
    mappings: int
    moves: int


@dataclass(slots=True)
class Part:
    """One part of the proof and its samples."""

    name: str
    samples: list[Sample] = field(default_factory=list)

    def problems(self) -> list[str]:
        """What is not flat: compared with the first tenth, which warms everything up."""
        first, last = self.samples[0], self.samples[-1]
        found = [
            f"{self.name}: {what} grew by {grown:,}; {most:,} are allowed"
            for what, grown, most in (
                ("memory", last.resident - first.resident, RESIDENT_GROWTH_MAX),
                (
                    "address space",
                    last.address_space - first.address_space,
                    ADDRESS_SPACE_GROWTH_MAX,
                ),
                ("mappings", last.mappings - first.mappings, MAPPINGS_GROWTH_MAX),
            )
            if grown > most
        ]
        early = min(sample.cpu_us for sample in self.samples[:3])
        late = statistics.median(sample.cpu_us for sample in self.samples[-3:])
        if late > SLOWDOWN_MAX * early:
            found.append(f"{self.name}: {late:,.0f} µs each in the end, {early:,.0f} at first")
        return found

    def table(self) -> str:
        """For a terminal."""
        heads = ("done", 10), ("µs cpu", 8), ("µs wall", 8), ("MiB", 6), ("GiB reserved", 12)
        heads += ("mappings", 8), ("moves", 6)
        lines = [self.name, " ".join(f"{head:>{width}}" for head, width in heads)]
        lines += [
            f"{s.done:>10,} {s.cpu_us:>8,.0f} {s.wall_us:>8,.0f} {s.resident >> 20:>6,} "
            f"{s.address_space / (1 << 30):>12,.1f} {s.mappings:>8,} {s.moves:>6,}"
            for s in self.samples
        ]
        return "\n".join(lines)


class Proof:
    """One database in one process, and the three parts."""

    def __init__(self, ground: Ground, report: Callable[[str], None]) -> None:
        self.ground, self.db, self.report = ground, ground.db, report
        self.parts: list[Part] = []
        self.moves = 0
        move = self.db._registry.move

        def counted() -> None:
            self.moves += 1
            move()

        self.db._registry.move = counted  # type: ignore[method-assign]

    def run(self, name: str, count: int, work: Callable[[int, int], None]) -> None:
        """Does `work(first, last)` in tenths; the state must not have changed."""
        part = Part(name)
        self.parts.append(part)
        before, pointer = self.db.state_hash, stack_pointer(self.db)()
        step = max(1, count // TENTHS)
        for first in range(0, count, step):
            cpu, wall = time.process_time(), time.perf_counter()
            last = min(first + step, count)
            work(first, last)
            cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
            self.db._registry.move()  # what is dead now is gone, what stays is a leak
            gc.collect()
            held = usage()
            part.samples.append(
                Sample(
                    last,
                    cpu / (last - first) * 1e6,
                    wall / (last - first) * 1e6,
                    held.resident,
                    held.address_space,
                    held.mappings,
                    self.moves,
                )
            )
        self.report(part.table())
        assert stack_pointer(self.db)() == pointer, "the kernel's stack pointer has moved"
        self.db.verify()
        if name != "installs":  # a module is a row
            assert self.db.state_hash == before, "the state has changed"
        self.ground.honest_call()

    # ------------------------------------------------------------------ the parts

    def traps(self, first: int, last: int) -> None:
        """Traps of every kind; one in 200 has grown its memory, and is replaced."""
        kinds = ["trap", "out_of_bounds", "divide_by_zero", "call_nothing", "dirty_then_trap"]
        at, batch = first, 1000
        while at < last:
            count = min(batch, last - at)
            kind = kinds[at // batch % len(kinds)]
            outcomes = self.db.call_many(f"misbehave.{kind}", [(1, 99)] * count)
            assert outcomes.committed == 0
            self.db.call_many("misbehave.grow_memory_then_trap", [(1, 99, 3)] * (count // 200))
            at += count

    def modules(self, first: int, last: int) -> None:
        """Small modules beside the kernel, as generated code will be: each another expression."""
        engine = self.db._registry.workshop.engine
        without_checks = new_engine(epoch_interruption=False)
        for i in range(first, last):
            dice = random.Random(i)
            a, b, c = dice.getrandbits(63), dice.getrandbits(63), dice.getrandbits(63)
            text = f"""(module (import "k" "memory" (memory i64 1))
              (func (export "run") (param i64) (result i64)
                (i64.xor (i64.const {c}) (i64.add (i64.const {b})
                  (i64.mul (local.get 0) (i64.const {a}))))))"""
            code = Code(engine, uninterruptible(engine, without_checks, text))
            store = self.db._kernel.store
            exports = store.instantiate(code, k=self.db._kernel.exports)
            found = exports.function("run", keep_gil=True)(i)
            assert found & (1 << 64) - 1 == (i * a + b & (1 << 64) - 1) ^ c
            del exports, code, store
            self.db._registry.renew_store()

    def installs(self, first: int, last: int) -> None:
        """Different modules under a few names: installed, called, trapped, replaced, removed."""
        for i in range(first, last):
            text = wat.Guest(
                f"""(data (i32.const 1024) "{i:08}") (global (mut i32) (i32.const {i}))
                (func (export "trap") (result i32) (call $write) unreachable)
                (func (export "look") (result i32) (call $answer (i64.const {i})))""",
                ("trap",),
                ("look",),
            )
            name = f"installed{i % NAMES}"
            self.db.install(wat.guest(text, name))
            assert self.db.call(f"{name}.look") == i
            assert self.db.call_many(f"{name}.trap", [()]).committed == 0
            if i % 7 == 0:
                self.db.remove(name)


@contextmanager
def _opened() -> Iterator[Ground]:
    """With a cache of its own: 10,000 modules are no business of the user's."""
    with TemporaryDirectory() as folder, Ground(deadline_ms=10_000) as ground:
        ground.db._registry.workshop.cache = Cache(Path(folder) / "code")
        ground.db.install(zig_guest("misbehave"))
        yield ground


def prove(
    traps: int = TRAPS,
    modules: int = MODULES,
    installs: int = INSTALLS,
    *,
    child_every: int = 1,
    report: Callable[[str], None] = lambda text: None,
) -> list[Part]:
    """Runs all three parts.

    Args:
        traps, modules, installs: How many of each.
        child_every: Every so many modules are compiled in a process of their own, the others here.
        report: Is given the table of each part.
    """
    with _opened() as ground:
        proof = Proof(ground, report)
        proof.run("traps", traps, proof.traps)
        proof.run("modules", modules, proof.modules)

        def installs_compiled(first: int, last: int) -> None:
            for i in range(first, last):
                with compiled_here(i % child_every != 0):
                    proof.installs(i, i + 1)

        installs_compiled(-NAMES, 0)
        proof.run("installs", installs, installs_compiled)
        return proof.parts


def prove_a_tenth(instances_max: int) -> list[dict[str, object]]:
    """What CI runs: a tenth, nine of ten modules compiled here, and a move after fewer instances,
    because a tenth would never reach the limit.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(registry, "INSTANCES_MAX", instances_max)
        parts = prove(TRAPS // 10, MODULES // 10, INSTALLS // 10, child_every=10)
    return [asdict(part) for part in parts]


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m tests.hostile.proof", description=__doc__)
    parser.add_argument("--scale", type=float, default=1.0, help="of the full size; default 1")
    scale = parser.parse_args().scale

    def report(text: str) -> None:
        print(text, flush=True)

    parts = prove(int(TRAPS * scale), int(MODULES * scale), int(INSTALLS * scale), report=report)
    problems = [problem for part in parts for problem in part.problems()]
    print("\n".join(problems) or "flat: memory, address space, mappings, speed; hash unchanged")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
