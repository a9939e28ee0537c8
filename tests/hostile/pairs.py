"""Runs generated modules on two databases at once: whatever they do, both must end the same.

Both databases live as long as a chunk of seeds: what one module leaves behind is what the next one
finds. After each module the state hashes are equal, `verify()` is clean and an honest call is
served; where nothing committed, the hash is as before.
"""

from __future__ import annotations

import collections
import gc
import hashlib
import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import reifydb
from reifydb.engine.catalog import Type
from reifydb.errors import ModuleError
from reifydb.sandbox import compile_child, compiler, replies
from reifydb.sandbox.cache import Cache
from tests.guests.databases import usage
from tests.hostile.generator import generate
from tests.hostile.ground import Ground, ending, ending_of
from tests.hostile.mutations import mutate

CHILD_EVERY = 4
"""Every fourth module is compiled in a process of its own, as all are outside of tests; the others
here, by the same program."""

DEADLINE_MS, LONG_DEADLINE_MS = 50, 2000

Calls = Sequence[tuple[str, tuple[object, ...]]]


class DivergedError(AssertionError):
    """Two databases that were given the same differ."""


def run_generated(first: int, last: int) -> dict[str, int]:
    """The valid modules of these seeds; what became of their calls, counted."""
    return _run(first, last, mutated=False)


def run_mutated(first: int, last: int) -> dict[str, int]:
    """The damaged ones."""
    return _run(first, last, mutated=True)


def _run(first: int, last: int, *, mutated: bool) -> dict[str, int]:
    try:
        return _Chunk(DEADLINE_MS).run(first, last, mutated=mutated)
    except DivergedError:
        # A deadline is a time: on a busy machine one of the two may have been late. Once more.
        return _Chunk(LONG_DEADLINE_MS).run(first, last, mutated=mutated)


def resources() -> list[int]:
    """What this process holds, for whoever compares."""
    gc.collect()
    return list(usage())


def digest(seed: int, mutated: bool) -> str:
    """Of the module that a seed stands for."""
    wasm = mutate(seed) if mutated else generate(seed).wasm
    return hashlib.sha256(wasm).hexdigest()


class _Chunk:
    """Some seeds on two databases."""

    def __init__(self, deadline_ms: float) -> None:
        self.limits = reifydb.ModuleLimits(deadline_ms=deadline_ms)
        self.counts: collections.Counter[str] = collections.Counter()

    def run(self, first: int, last: int, *, mutated: bool) -> dict[str, int]:
        with TemporaryDirectory() as folder, Ground() as one, Ground() as other:
            for ground in (one, other):
                ground.db._registry.workshop.cache = Cache(Path(folder) / "code")
            for seed in range(first, last):
                try:
                    self._try(seed, one, other, mutated=mutated)
                except BaseException as error:
                    error.add_note(f"seed {seed} of {first} to {last - 1}, mutated: {mutated}")
                    raise
        return dict(self.counts)

    def _try(self, seed: int, one: Ground, other: Ground, *, mutated: bool) -> None:
        calls: Calls = ()
        if mutated:
            wasm = mutate(seed)
        else:
            made = generate(seed)
            wasm, calls = made.wasm, made.calls
        with compiled_here(seed % CHILD_EVERY != 0):
            refusals = [self._install(ground, wasm) for ground in (one, other)]
        _same(*refusals)
        if refusals[0] is not None:
            assert mutated or "start function" in refusals[0], refusals[0]
            self.counts["refused"] += 1
        else:
            calls = calls or _random_calls(seed, one)
            before = [ground.db.state_hash for ground in (one, other)]
            _same(*before)
            endings = [_run_calls(seed, ground, calls) for ground in (one, other)]
            _same(*endings)
            self._count(endings[0])
            if "committed" not in {end for end, _ in endings[0]}:
                assert before == [ground.db.state_hash for ground in (one, other)]
        for ground in (one, other):
            ground.db.verify()
            ground.honest_call()
        _same(one.db.state_hash, other.db.state_hash)

    def _install(self, ground: Ground, wasm: bytes) -> str | None:
        """None, or why not."""
        before = ground.db.state_hash, ground.db.lsn
        try:
            ground.db.install(wasm, name="generated", limits=self.limits)
        except ModuleError as error:
            assert (ground.db.state_hash, ground.db.lsn) == before
            return str(error)
        return None

    def _count(self, endings: list[tuple[str, object]]) -> None:
        for end, value in endings:
            kind = end if end.startswith("trapped") else end.partition(":")[0]
            self.counts[kind] += 1
            if isinstance(value, int) and 0 < value < 1 << 40:
                self.counts["host calls"] += value


def _run_calls(seed: int, ground: Ground, calls: Calls) -> list[tuple[str, object]]:
    """Each alone, or as a batch, or inside a transaction that is rolled back or committed."""
    db, found = ground.db, []
    for i, (name, arguments) in enumerate(calls):
        full, way = f"generated.{name}", (seed + i) % 4
        if way == 0:
            batch = db.call_many(full, [arguments] * 5)
            found += [(ending_of(outcome.error), outcome.value) for outcome in batch]
        elif way == 1:
            query = db.modules["generated"].transitions[name].query
            with db.transaction(query=query) as tx:
                found.append(_outcome(tx.call, full, arguments))
                if seed % 2:
                    tx.rollback()
        else:
            found.append(_outcome(db.call, full, arguments))
    return found


def _outcome(
    call: Callable[..., object], name: str, arguments: tuple[object, ...]
) -> tuple[str, object]:
    value: list[object] = []
    end = ending(lambda: value.append(call(name, *arguments)))
    return end, value[0] if value else None


def _random_calls(seed: int, ground: Ground) -> Calls:
    """Some transitions of a damaged module, with arguments of the types that it now says."""
    dice = random.Random(f"calls {seed}")
    transitions = sorted(ground.db.modules["generated"].transitions.items())
    chosen = dice.choices(transitions, k=5) if transitions else []
    calls = [
        (name, tuple(_argument(dice, column.type) for column in transition.params))
        for name, transition in chosen
    ]
    return [(name, arguments) for name, arguments in calls if None not in arguments]


def _argument(dice: random.Random, kind: Type) -> object:
    number = dice.choice([0, 1, 7, 50, -1, 1 << 40])
    return {
        Type.INT: number,
        Type.FLOAT: float(number),
        Type.BOOL: bool(number & 1),
        Type.TEXT: "text",
        Type.BYTES: b"bytes",
    }.get(kind)


def _same(one: object, other: object) -> None:
    if one != other:
        raise DivergedError(f"{one!r}\nis not\n{other!r}")


@contextmanager
def compiled_here(here: bool) -> Iterator[None]:
    """Compiles without a further process: this one is there to die."""
    if not here:
        yield
        return

    def compile_here(wasm: bytes, limits: reifydb.ModuleLimits, name: str | None) -> bytes:
        try:
            return compile_child.compile_request(wasm, limits, name)
        except ModuleError as error:
            return replies.refused(error)

    apart, compiler._compile = compiler._compile, compile_here
    try:
        yield
    finally:
        compiler._compile = apart
