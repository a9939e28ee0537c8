"""Threads that do random things to one database, each through every door there is, and note what
they did, what they were answered, and when.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable
from typing import Any

import reifydb
from reifydb.engine.kernel import OUTCOME
from tests.serial.checker import Event
from tests.serial.model import (
    ABORTED,
    DEADLINE,
    DUPLICATE,
    NOT_FOUND,
    TRAPPED,
    Result,
    Step,
)

CELLS = 8
WORDS: dict[type[Exception], str] = {
    reifydb.AbortedError: ABORTED,
    reifydb.TrappedError: TRAPPED,
    reifydb.DeadlineError: DEADLINE,
    reifydb.DuplicateKeyError: DUPLICATE,
    reifydb.NotFoundError: NOT_FOUND,
}


class Oops(Exception):
    """What a block raises to be rolled back."""


def asked(work: Callable[..., Any], *args: Any, **named: Any) -> Result:
    """What an operation answers: its value, or the word for its refusal."""
    try:
        return work(*args, **named)
    except tuple(WORDS) as error:
        return WORDS[type(error)]


class Subject:
    """A database as the workers use it. The broken ones of the tests override a method.

    `db.call` does not say its lsn, so it is read from the kernel's outcome while the call still has
    its turn.
    """

    def __init__(self, db: reifydb.Database) -> None:
        self.db = db
        self.called = threading.local()
        run_one = db._executor.run_one

        def probed(length: int, time_ns: int, seed: int) -> int:
            flags = run_one(length, time_ns, seed)
            self.called.lsn = OUTCOME.unpack_from(db._kernel.output)[2]
            return flags

        db._executor.run_one = probed  # type: ignore[method-assign]
        db.transition(self.several, name="several")

    def several(self, tx: reifydb.Transaction, worker: Worker) -> None:
        """A Python transition: the steps that its worker likes to do."""
        self.called.tx = tx
        worker.inside(tx)

    def call(self, name: str, args: tuple[Any, ...]) -> tuple[Result, int]:
        result = asked(self.db.call, f"serial.{name}", *args)
        lsn: int = self.called.lsn
        return result, lsn

    def get(self, table: str, key: int) -> Any:
        return self.db.get(table, key)

    def scan(self, lower: int, reverse: bool, limit: int | None) -> list[tuple[Any, Any]]:
        rows = self.db.scan("cell", lower=lower, reverse=reverse, limit=limit)
        return [(row["id"], row["n"]) for row in rows]

    def read(self, tx: reifydb.Transaction, table: str, key: int) -> Any:
        """A read in an open transaction."""
        return tx.get(table, key)


class Worker(threading.Thread):
    """One thread, until `until_s`."""

    def __init__(self, subject: Subject, number: int, seed: int, until_s: float) -> None:
        super().__init__(name=f"worker {number}")
        self.subject, self.number, self.until_s = subject, number, until_s
        self.random = random.Random(seed * 1000 + number)
        self.events: list[Event] = []
        self.failure: BaseException | None = None
        self._steps: list[Step] = []

    def run(self) -> None:
        doors = [self.one_call, self.batch, self.packed, self.interactive, self.python, self.reads]
        try:
            while time.monotonic() < self.until_s:
                self.random.choices(doors, [6, 2, 1, 3, 2, 4])[0]()
        except BaseException as error:  # a thread's own would be lost
            self.failure = error

    def note(self, began_ns: int, steps: list[Step], lsn: int | None, committed: bool) -> None:
        self.events.append(
            Event(self.number, began_ns, time.perf_counter_ns(), tuple(steps), lsn, committed)
        )

    # ------------------------------------------------------------------ what to do

    def cell(self) -> int:
        return self.random.randrange(CELLS)

    def transition(self) -> tuple[str, tuple[Any, ...]]:
        draw = self.random
        names = ("move", "put", "take", "sum", "collect", "note", "trap", "spin")
        [name] = draw.choices(names, [30, 12, 6, 8, 3, 4, 1, 0.02])
        n = draw.randrange(50)
        args: dict[str, tuple[int, ...]] = {
            "move": (self.cell(), self.cell(), draw.randrange(1, 30)),
            "take": (self.cell(),),
            "sum": (),
            "collect": (self.cell(),),
            "note": (n,),
        }
        return name, args.get(name, (self.cell(), n))

    def scan_args(self) -> tuple[int, bool, int | None]:
        draw = self.random
        return draw.randrange(3), draw.random() < 0.5, draw.choice([None, None, 1, 3])

    # ------------------------------------------------------------------ doors

    def one_call(self) -> None:
        name, args = self.transition()
        began = time.perf_counter_ns()
        result, lsn = self.subject.call(name, args)
        self.note(began, [Step(name, args, result)], lsn, result not in WORDS.values())

    def _calls(self) -> tuple[str, list[tuple[Any, ...]]]:
        name, args = self.transition()
        calls = [args]
        for _ in range(self.random.randrange(6)):
            other, args = self.transition()
            if other == name != "spin":
                calls.append(args)
        return name, calls

    def batch(self) -> None:
        name, calls = self._calls()
        began = time.perf_counter_ns()
        self._outcomes(began, name, calls, self.subject.db.call_many(f"serial.{name}", calls))

    def packed(self) -> None:
        name, calls = self._calls()
        db = self.subject.db
        handle = db._registry.find_wasm(f"serial.{name}")
        rows = handle.params.encode_many(calls)
        began = time.perf_counter_ns()
        data = db.call_packed(f"serial.{name}", rows)
        outcomes = reifydb.Outcomes(handle, [data], {})
        self._outcomes(began, name, calls, outcomes)

    def _outcomes(
        self, began: int, name: str, calls: list[tuple[Any, ...]], outcomes: reifydb.Outcomes
    ) -> None:
        returned = time.perf_counter_ns()
        assert len(outcomes) == len(calls)
        for args, outcome in zip(calls, outcomes, strict=True):
            result = asked(outcome.result)
            steps = (Step(name, args, result),)
            self.events.append(Event(self.number, began, returned, steps, outcome.lsn, outcome.ok))

    def interactive(self) -> None:
        query = self.random.random() < 0.25
        ending = self.random.choice(["commit", "commit", "rollback", "raise"])
        self._steps = steps = []
        began = time.perf_counter_ns()
        try:
            with self.subject.db.transaction(query=query) as tx:
                self.inside(tx, query=query)
                if ending == "rollback":
                    tx.rollback()
                elif ending == "raise":
                    raise Oops
        except Oops:
            pass
        committed = ending == "commit"
        self.note(began, steps, tx.lsn if committed else None, committed)

    def python(self) -> None:
        self._steps = steps = []
        fails = self.random.random() < 0.3
        began = time.perf_counter_ns()
        self._fails = fails
        try:
            self.subject.db.call("several", self)
        except Oops:
            self.note(began, steps, None, False)
        else:
            self.note(began, steps, self.subject.called.tx.lsn, True)

    _fails = False

    def inside(self, tx: reifydb.Transaction, *, query: bool = False) -> None:
        """Random operations of one transaction."""
        draw = self.random
        for _ in range(draw.randrange(1, 6)):
            kinds = ["get", "get", "get_note", "scan", "count", "count_notes", "sum"]
            if not query:
                kinds += ["call", "call", "insert", "update", "upsert", "delete", "tx_note"]
            self._inside_one(tx, draw.choice(kinds))
        if self._fails:
            self._fails = False
            raise Oops

    def _inside_one(self, tx: reifydb.Transaction, kind: str) -> None:
        key, n = self.cell(), self.random.randrange(50)
        args: tuple[Any, ...] = (key, n)
        row = {"id": key, "n": n}
        if kind == "call":
            kind, args = self.transition()
            if kind == "spin":
                return
            result = asked(tx.call, f"serial.{kind}", *args)
        elif kind == "sum":
            args, result = (), tx.call("serial.sum")
        elif kind == "get":
            args, result = (key,), self.subject.read(tx, "cell", key)
        elif kind == "get_note":
            args, result = (n + 1,), tx.get("entry", n + 1)
        elif kind == "scan":
            args = lower, reverse, limit = self.scan_args()
            rows = tx.scan("cell", lower=lower, reverse=reverse, limit=limit)
            result = [(found["id"], found["n"]) for found in rows]
        elif kind in ("count", "count_notes"):
            args, result = (), tx.count("cell" if kind == "count" else "entry")
        elif kind == "delete":
            args, result = (key,), tx.delete("cell", key)
        elif kind == "tx_note":
            args, result = (n,), tx.insert("entry", {"n": n})
        else:
            result = asked(getattr(tx, kind), "cell", row)
        self._steps.append(Step(kind, args, result))

    def reads(self) -> None:
        kind = self.random.choice(["get", "get", "get_note", "scan", "count"])
        key = self.cell()
        args: tuple[Any, ...] = (key,)
        began = time.perf_counter_ns()
        if kind == "get":
            result = self.subject.get("cell", key)
        elif kind == "get_note":
            args = (key + 1,)
            result = self.subject.get("entry", key + 1)
        elif kind == "scan":
            args = self.scan_args()
            result = self.subject.scan(*args)
        else:
            args, result = (), self.subject.db.count("cell")
        self.note(began, [Step(kind, args, result)], None, True)


def run(subject: Subject, *, threads: int, seed: int, seconds: float) -> list[Event]:
    """What all workers did, in no order."""
    until_s = time.monotonic() + seconds
    workers = [Worker(subject, number, seed, until_s) for number in range(threads)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    for worker in workers:
        if worker.failure is not None:
            raise worker.failure
    return [event for worker in workers for event in worker.events]
