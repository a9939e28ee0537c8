"""A database in a folder, opened by this process for one command."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from typing import Any

import reifydb
from reifydb.cli.progress import progress_line
from reifydb.cli.target import Answer, Args, Row
from reifydb.database import Database
from reifydb.database.modules import Module
from reifydb.database.progress import Progress
from reifydb.errors import LockedError, ReifyDBError
from reifydb.gateway.grants import EVERYTHING
from reifydb.gateway.queries import whole_answer
from reifydb.gateway.shapes import Shapes
from reifydb.gateway.tokens import Tokens
from reifydb.wire.dialects import PLAIN


@contextmanager
def opened(path: str) -> Iterator[Folder]:
    """The database in a folder; made when it is not there, closed at the end."""
    with open_folder(path, progress_line()) as db:
        yield Folder(db)


def open_folder(path: str, progress: Callable[[Progress], object] | None = None) -> Database:
    """`reifydb.open`, with a hint when a server has it."""
    try:
        return reifydb.open(path, progress=progress)
    except LockedError as error:
        message = LockedError(path, error.pid).message
        ReifyDBError.__init__(error, message, hint="does a server have it open? ask that: --url")
        raise


class Folder:
    """See `Target`."""

    def __init__(self, db: Database) -> None:
        self.db, self._shapes, self._tokens = db, Shapes(db), Tokens(db)

    def schema(self) -> dict[str, Any]:
        """See `Target`."""
        return self._shapes.schema(EVERYTHING)

    def tables(self) -> list[dict[str, Any]]:
        """See `Target`."""
        return self._shapes.tables(EVERYTHING)

    def call(self, transition: str, args: Args) -> Answer:
        """See `Target`."""
        db, handle = self.db, self._shapes.transition(transition)
        values = self._shapes.values(handle, PLAIN, args)
        value = self._shapes.written(handle, PLAIN, db.call(transition, *values))
        db.wait_durable()
        return Answer(value, db.lsn, db.incarnation)

    def get(self, table: str, key: Sequence[Any]) -> Row | None:
        """See `Target`."""
        shape = self._shapes.table(table)
        row = self.db.get(table, shape.key(PLAIN, key[0] if len(key) == 1 else list(key)))
        return None if row is None else shape.named_row(PLAIN, row)

    def scan(self, table: str, options: Mapping[str, Any], limit: int | None) -> Iterator[Row]:
        """See `Target`. All of one moment, in memory."""
        shape = self._shapes.table(table)
        found = shape.scan_options(PLAIN, dict(options)) | {"limit": limit}
        return (shape.named_row(PLAIN, row) for row in self.db.scan(table, **found))

    def query(self, sql: str, params: Any) -> dict[str, Any]:
        """See `Target`."""
        return whole_answer(self.db, PLAIN, sql, params)

    def execute(self, sql: str) -> None:
        """See `Target`."""
        self.db.execute(sql, progress=progress_line())
        self.db.wait_durable()

    def plan_schema(self, sql: str) -> dict[str, Any]:
        """See `Target`."""
        return self.db.plan_schema(sql).described()

    def install(self, wasm: bytes, name: str, *, apply_schema: bool) -> dict[str, Any]:
        """See `Target`."""
        module = self.db.install(wasm, name=name, apply_schema=apply_schema)
        self.db.wait_durable()
        return _shown(module)

    def plan(self, wasm: bytes, name: str, *, apply_schema: bool) -> dict[str, Any]:
        """See `Target`."""
        plan = self.db.plan(wasm, name=name, apply_schema=apply_schema)
        return {"fits": not plan.problems} | asdict(plan)

    def modules(self) -> list[dict[str, Any]]:
        """See `Target`."""
        return [_shown(module) for module in self.db.modules.values()]

    def remove(self, module: str) -> None:
        """See `Target`."""
        self.db.remove(module)
        self.db.wait_durable()

    def tokens(self) -> list[dict[str, Any]]:
        """See `Target`."""
        return [token.shown() for token in self._tokens.list()]

    def make_token(
        self, name: str, capabilities: Sequence[str], days: float | None
    ) -> dict[str, Any]:
        """See `Target`."""
        made = self._tokens.make(name, capabilities, days=days)
        self.db.wait_durable()
        [found] = [token for token in self._tokens.list() if token.name == name]
        return {"token": made} | found.shown()

    def revoke_token(self, name: str) -> None:
        """See `Target`."""
        self._tokens.remove(name)
        self.db.wait_durable()


def _shown(module: Module) -> dict[str, Any]:
    return {
        "name": module.name,
        "sha256": module.sha256,
        "transitions": sorted(module.transitions),
        "limits": asdict(module.limits),
    }
