"""Random histories of primitives: calls, batches, transactions, aborts, reopenings, kills, time.

After every step the relation is the model's, and so is what a subscriber knows that has seen only
a snapshot and deltas, and a view that counts the rows; `verify()` finds nothing. After a reopening
the state hash is what it was.
"""

from __future__ import annotations

import copy
import shutil
import tempfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from random import Random
from typing import Any

import reifydb
from reifydb.errors import ReifyDBError
from tests.primitives.model import Model, RefusedError, Row
from tests.views.listener import Listener

_START_NS = 1_800_000_000_000_000_000


class _Undone(Exception):
    """Rolls a transaction back."""


class Machine:
    """One random history.

    Args:
        seed: Everything follows from it.
        models: Of the primitives, whose names differ.

    Attributes:
        figures: How often what was done.
    """

    def __init__(self, seed: int, models: Sequence[Model]) -> None:
        self.random, self.models = Random(seed), list(models)
        self.figures: Counter[str] = Counter()
        self._holder = tempfile.TemporaryDirectory(prefix="primitives-")
        self._folders = 0
        self._now_ns = _START_NS
        self._folder = Path(self._holder.name) / "db"
        self.db = self._open(self._folder)
        for model in self.models:
            self.db.execute(model.declaration)
            self.db.execute(
                f"create view {model.name}_count as select count(*) as n from {model.name}"
            )
        self._listen()

    def _open(self, folder: Path) -> Any:
        return reifydb.open(folder, clock=lambda: self._now_ns, seed=1)

    def _listen(self) -> None:
        self._listeners = {model.name: Listener(self.db, model.name) for model in self.models}

    @property
    def now_us(self) -> int:
        """The time that the next transaction has."""
        return self._now_ns // 1000

    def run(self, steps: int) -> None:
        """So many steps; at the end everything is compared once more after a reopening."""
        chances = (
            (0.55, self.one),
            (0.20, self.batch),
            (0.16, self.transaction),
            (0.05, self.pass_time),
            (0.02, self.reopen),
            (0.02, self.kill),
        )
        kinds, weights = [kind for _, kind in chances], [chance for chance, _ in chances]
        for step in range(steps):
            kind = self.random.choices(kinds, weights)[0]
            kind()
            self.figures[kind.__name__] += 1
            self.compare(thorough=step % 20 == 0)
        self.reopen()
        self.compare(thorough=True)

    def close(self) -> None:
        """Ends it."""
        self.db.close()
        self._holder.cleanup()

    # ------------------------------------------------------------------ steps

    def one(self) -> None:
        """One operation, a transaction of its own."""
        model = self.random.choice(self.models)
        self._do(self.db, model)

    def batch(self) -> None:
        """The same operation several times, as a batch."""
        model = self.random.choice(self.models)
        operation, first = model.draw(self.random, self.now_us)
        calls = [first]
        for _ in range(self.random.randrange(12)):
            other, args = model.draw(self.random, self.now_us)
            if other == operation:
                calls.append(args)
        found = self.db.call_many(f"{model.name}.{operation}", calls)
        for args, outcome in zip(calls, found, strict=True):
            self._expect(model, operation, args, outcome.error, outcome.value)

    def transaction(self) -> None:
        """Several operations in one transaction, one time in three rolled back."""
        kept = copy.deepcopy(self.models)
        try:
            with self.db.transaction() as tx:
                for _ in range(self.random.randrange(1, 9)):
                    self._do(tx, self.random.choice(self.models))
                    if self.random.random() < 0.3:
                        model = self.random.choice(self.models)
                        self._same(model, {_shown(model, row) for row in tx.scan(model.name)})
                if self.random.random() < 0.33:
                    raise _Undone
        except _Undone:
            self.models = kept
            self.figures["undone"] += 1

    def pass_time(self) -> None:
        """Time passes: mostly little, sometimes hours."""
        self._now_ns += self.random.choice((1, 10, 1_000, 60_000, 7_200_000)) * 1_000_000
        self.do_what_is_due()
        for model in self.models:
            model.at(self.now_us)

    def do_what_is_due(self) -> None:
        """Has the database do what time makes due."""

    def reopen(self) -> None:
        """Closes and opens again."""
        self.db.wait_durable()
        before = self.db.state_hash
        self.db.close()
        self.db = self._open(self._folder)
        assert self.db.state_hash == before
        self._listen()

    def kill(self) -> None:
        """What a kill leaves after everything was durable: the files as they are, in a copy."""
        self.db.wait_durable()
        before = self.db.state_hash
        self._folders += 1
        folder = Path(self._holder.name) / f"killed{self._folders}"
        shutil.copytree(self._folder, folder)
        self.db.close()
        self._folder = folder
        self.db = self._open(folder)
        assert self.db.state_hash == before
        self._listen()

    # ------------------------------------------------------------------ comparisons

    def _do(self, at: Any, model: Model) -> None:
        operation, args = model.draw(self.random, self.now_us)
        value, error = None, None
        try:
            value = at.call(f"{model.name}.{operation}", *args)
        except ReifyDBError as raised:
            error = raised
        self._expect(model, operation, args, error, value)

    def _expect(
        self, model: Model, operation: str, args: Row, error: Exception | None, value: Any
    ) -> None:
        what = f"{model.name}.{operation}{args}"
        try:
            wanted = model.apply(operation, args, self.now_us)
        except RefusedError as refused:
            name = refused.error
        else:
            name = None
        if name is not None:
            assert type(error).__name__ == name, f"{what}: {error!r}, not {name}"
            self.figures["refused"] += 1
            return
        assert error is None, f"{what}: {error!r}"
        assert value == wanted, f"{what} gave {value!r}, not {wanted!r}"

    def compare(self, *, thorough: bool) -> None:
        """Everything that can be seen is the model's."""
        for model in self.models:
            rows = [_shown(model, row) for row in self.db.scan(model.name)]
            assert len(rows) == len(set(rows))
            self._same(model, set(rows))
            listener = self._listeners[model.name]
            heard = {_shown(model, row) for row in listener.read(self.db)}
            assert heard == set(rows), f"{model.name}: the subscriber has {heard ^ set(rows)}"
            if thorough:
                [(count,)] = self.db.query(f"select n from {model.name}_count").tuples
                assert count == len(rows)
        if thorough:
            self.db.verify()

    @staticmethod
    def _same(model: Model, rows: set[Row]) -> None:
        wanted = model.rows()
        assert rows == wanted, f"{model.name}: {rows - wanted} and not {wanted - rows}"


def _shown(model: Model, row: dict[str, Any]) -> Row:
    return model.shown(tuple(row.values()))
