"""Databases with the guests of this folder installed, and what tests ask of them."""

from __future__ import annotations

import functools
import itertools
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import reifydb
from reifydb.engine.kernel import OUTCOME, RUN_HEAD
from sdk.build import build_guest

NOW_NS = 1_700_000_000_000_000_000
LANGUAGES = ("zig", "c")
"""Those that there is an SDK for; each is the suffix of its files, and a folder here."""


@functools.cache
def guest(name: str, language: str) -> bytes:
    """The binary of `tests/guests/<language>/<name>.<language>`."""
    return build_guest(Path(__file__).parent / language / f"{name}.{language}").read_bytes()


def zig_guest(name: str) -> bytes:
    """The binary of `tests/guests/zig/<name>.zig`."""
    return guest(name, "zig")


def open_with(*modules: bytes, limits: Any = None, **options: Any) -> reifydb.Database:
    """A database in memory with these modules; its clock stands still, its seed is 1."""
    db = reifydb.open(":memory:", options=reifydb.Options(**options), clock=lambda: NOW_NS, seed=1)
    for module in modules:
        db.install(module, apply_schema=True, limits=limits)
    return db


@contextmanager
def no_trace(db: reifydb.Database) -> Iterator[None]:
    """Asserts that what happens inside changes nothing."""
    before = db.state_hash, db.lsn
    yield
    assert (db.state_hash, db.lsn) == before
    db.verify()


class Ending(NamedTuple):
    """Outcome of one call of a batch, as the kernel wrote it."""

    status: int
    code: int
    lsn: int
    payload: bytes


def endings(packed: bytes) -> list[Ending]:
    """Packed outcomes, one by one."""
    found, at = [], 0
    while at < len(packed):
        status, code, lsn, length, _ = OUTCOME.unpack_from(packed, at)
        at += OUTCOME.size
        found.append(Ending(status, code, lsn, packed[at : at + length]))
        at += length + 7 & ~7
    return found


def batch(db: reifydb.Database, calls: Sequence[tuple[str, tuple[Any, ...]]]) -> bytes:
    """The bytes of a batch that mixes transitions, which the public API does not offer yet."""
    out = []
    for name, group in itertools.groupby(calls, key=lambda call: call[0]):
        handle: Any = db._transitions[name]
        rows = [handle.encode(arguments) for _, arguments in group]
        out += [RUN_HEAD.pack(handle.number, len(rows)), *rows]
    return b"".join(out)


def run_batch(db: reifydb.Database, calls: Sequence[tuple[str, tuple[Any, ...]]]) -> list[Ending]:
    """Runs calls of several transitions in one batch."""
    parts, _ = db._executor.run(batch(db, calls), db._now_us(), db._next_seed())
    db._feed.after_commit()
    db._registry.renew_store()
    return endings(b"".join(parts))


def stack_pointer(db: reifydb.Database) -> Callable[[], int]:
    """Reads the kernel's shadow stack pointer, in its present store."""
    kernel = db._kernel
    functions = kernel.store.instantiate(kernel.code.stack, k=kernel.exports)
    return functions.function("get", keep_gil=True)


def rows_of(db: reifydb.Database, table: str) -> dict[object, dict[str, object]]:
    """All rows of a table whose primary key is its first column."""
    return {next(iter(row.values())): row for row in db.scan(table)}


def redo_of(db: reifydb.Database, work: Callable[[], object]) -> bytes:
    """What `work` hands over for the log, byte for byte."""
    taken: list[bytes] = []
    append = db._log.append

    def record(group: Any) -> None:
        taken.append(bytes(group.records))
        append(group)

    db.flush()
    db._log.append = record  # type: ignore[method-assign]
    try:
        work()
        db.flush()
    finally:
        db._log.append = append  # type: ignore[method-assign]
    return b"".join(taken)


class Usage(NamedTuple):
    """What this process holds."""

    address_space: int
    resident: int
    mappings: int


def usage() -> Usage:
    """Bytes of address space and of memory, and the number of mappings."""
    pages = Path("/proc/self/statm").read_text().split()
    size = os.sysconf("SC_PAGE_SIZE")
    mappings = Path("/proc/self/maps").read_text().count("\n")
    return Usage(int(pages[0]) * size, int(pages[1]) * size, mappings)
