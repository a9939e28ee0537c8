"""Random transactions on tables that views are made of, beside the same in sqlite3.

After each step every view is what sqlite3 evaluates from scratch, what `db.query` answers to its
SQL, and what a subscriber has that saw only snapshots and deltas; and `db.verify` agrees. So it is
inside transactions, after they aborted, and when the database is opened again. A run is a function
of its seed.
"""

from __future__ import annotations

import contextlib
import random
import re
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import reifydb
from reifydb.database.view_parts import parts_of
from reifydb.errors import (
    AssertionViolatedError,
    DuplicateKeyError,
    ExpressionError,
    NotFoundError,
    SchemaError,
    SqlError,
    WrongTypeError,
)
from reifydb.views import building
from tests.views import kinds
from tests.views.kinds import BOOL, DECIMAL2, INT, JSON, TEXT, Kind
from tests.views.listener import Listener
from tests.views.mirror import Mirror, Refused
from tests.views.shapes import NAMES, Relation, Shapes, Spec
from tests.views.tables import INDEXES, bases

OPTIONS = reifydb.Options(outbox_commits_max=8, reserve_bytes=4096, durability_stall_ms_max=60_000)
"""A stall of a minute: a busy machine is no mistake of the views."""
VIEWS_MAX = 8
ASSERTIONS_MAX = 4
ROWS_MAX = 300
"""A view with more rows is dropped: joins of joins of it would take all the time."""


SPARE_ROWS = (1, 1, 2, building.top_spare_rows_min)
"""What views with a limit keep besides, at least, in turn: few, so that they often have too few and
too many rows.
"""

HEADER_BYTES = 64
"""Of a segment of the log, which is written before anything is in it."""


class Abort(Exception):
    """A transaction that gives up."""


class MismatchError(AssertionError):
    """Two that must agree do not."""


class Machine:
    """One run.

    Attributes:
        log: What was done, for whoever wants to know why it failed.
        figures: How often which thing happened.
    """

    def __init__(self, seed: int, *, folder: bool = True) -> None:
        self.seed, self.rng = seed, random.Random(seed)
        self.holder = tempfile.TemporaryDirectory(prefix="views-") if folder else None
        self.path = ":memory:" if self.holder is None else str(Path(self.holder.name) / "db")
        self.log: list[str] = []
        self.figures: Counter[str] = Counter()
        self.mirror = Mirror(bases())
        self.specs: dict[str, Spec] = {}
        self.known: dict[tuple[str, str], Spec] = {}
        self.assertions: dict[str, Spec] = {}
        self.listeners: dict[str, Listener] = {}
        self.selects: dict[str, Listener] = {}  # of what each view shows, without the view
        self.filters: list[Listener] = []
        self.indexes = 0
        self.db: Any = None
        self._open()
        for base in self.mirror.bases.values():
            self._execute(base.sql)
            for sql in base.open_views:
                self._execute(sql)
        for sql in INDEXES:
            self._execute(sql)

    def close(self) -> None:
        """Ends the run."""
        self.db.close()
        self.mirror.close()
        if self.holder is not None:
            self.holder.cleanup()

    def _open(self) -> None:
        self.db = reifydb.open(self.path, options=OPTIONS)
        self.db.transition(self._nested, name="nested")

    def _execute(self, sql: str) -> None:
        self.log.append(f"db.execute({sql!r})")
        self.db.execute(sql)

    # ------------------------------------------------------------ steps

    def run(self, transactions: int) -> None:
        """So many transactions, and everything else in between."""
        for _ in range(3):
            self.create_view()
        while self.figures["transactions"] < transactions:
            self.step()

    def step(self) -> None:
        """One thing that happens, and the comparison behind it."""
        draw = self.rng.random()
        steps: tuple[tuple[float, Callable[[], None]], ...] = (
            (0.05, self.create_view),
            (0.08, self.drop_view),
            (0.085, self.add_column),
            (0.09, self.change_indexes),
            (0.10, self.reopen),
            (0.105, self.kill),
            (0.11, self.empty),
            (0.14, self.change_assertions),
            (0.17, self.follow),
        )
        step = next((step for upto, step in steps if draw < upto), self.transaction)
        step()
        self.check()
        for name in [n for n in self.specs if self.db.count(n) > ROWS_MAX]:
            if name in self.specs and not self._dependents(name):
                self._drop(name)

    # ------------------------------------------------------------ views

    def _relations(self) -> list[Relation]:
        return [
            Relation(base.name, tuple(base.columns.items()), base.key)
            for base in self.mirror.bases.values()
        ]

    def create_view(self, query: Spec | None = None) -> None:
        """A new view, over what there is and what rows there are; of this query, or of any."""
        if len(self.specs) >= VIEWS_MAX:
            self.drop_view()
        free = self._free_names()
        if not free:
            return
        views = [one.relation for one in self.specs.values() if not one.fragile]
        small = [one for one in views if self.mirror.count(one.name) <= 60]
        name = self.rng.choice(free)
        if query is None:
            spec = Shapes(self.rng).spec(name, self._relations(), small)
        else:
            spec = replace(query, name=name)
        anew = self.rng.random() < 0.15
        how = " with (maintenance = 'recompute', max_rows = 1000000)" if anew else ""
        sql = f'create view "{spec.name}"{how} as {spec.ours}'
        self.mirror.create(spec)
        try:
            possible = sum(self.mirror.rows(spec).values()) <= ROWS_MAX
        except Refused:
            possible = None  # type: ignore[assignment]
        if possible is False:
            self.mirror.drop(spec.name)
            return
        self.log.append(f"db.execute({sql!r})  # {spec.theirs}")
        try:
            explained = self.db.query(f"explain {sql}")
            self.db.execute(sql)
            if self.db.query(f'explain view "{spec.name}"') != explained:
                raise MismatchError(f"{spec.ours}\nis explained in another way once it is made")
        except ExpressionError:
            if possible is not None:
                raise
            self.mirror.drop(spec.name)
            return
        if possible is None:
            raise MismatchError(f"{spec.ours}\ncould be made although it has an impossible row")
        self.specs[spec.name] = self.known[spec.name, spec.ours] = spec
        self.listeners[spec.name] = Listener(self.db, spec.name)
        self.selects[spec.name] = Listener(self.db, spec.ours, fragile=spec.fragile)
        self.figures["views"] += 1
        self.figures["views made anew"] += anew
        self.figures[f"shape {spec.shape}"] += 1
        if spec.subquery:
            self.figures[f"subquery {spec.subquery}"] += 1

    def _free_names(self) -> list[str]:
        taken = {*self.specs, *self.assertions, *self.mirror.bases}
        return [name for name in NAMES if name not in taken]

    def _subscribers(self) -> list[Listener]:
        return [*self.listeners.values(), *self.selects.values(), *self.filters]

    def follow(self) -> None:
        """One more who follows a filtered table or view by parameters; perhaps one less."""
        rng = self.rng
        if len(self.filters) >= 10:
            self.filters.pop(rng.randrange(len(self.filters))).close()
        views = [one.relation for one in self.specs.values() if not one.fragile]
        relation = rng.choice([*self._relations(), *self._relations(), *views])
        columns = dict(relation.columns)
        asked = rng.sample(sorted(columns), min(len(columns), rng.choice((1, 1, 2))))
        ops = [rng.choice(("=", "=", "=", "<", ">=", "<>")) for _ in asked]
        said = " and ".join(
            f'"{name}" {op} :p{i}' for i, (name, op) in enumerate(zip(asked, ops, strict=True))
        )
        shown = rng.choice(("*", ", ".join(f'"{c}"' for c in asked)))
        sql = f'select {shown} from "{relation.name}" where {said}'
        if any(columns[name] == JSON for name in asked):
            return
        params = {f"p{i}": kinds.draw(rng, columns[n]) for i, n in enumerate(asked)}
        self.log.append(f"db.subscribe({sql!r}, {params!r})")
        self.filters.append(Listener(self.db, sql, params))
        self.figures["filters"] += 1

    def leave(self) -> None:
        """Nobody follows by parameters any more."""
        while self.filters:
            self.filters.pop().close()

    def _dependents(self, name: str) -> list[str]:
        return [one.name for one in self.specs.values() if _is_made_of(one, name)]

    def drop_view(self) -> None:
        """One of the views goes, if no other is made of it."""
        if not self.specs:
            return
        name = self.rng.choice(sorted(self.specs))
        if self._dependents(name):
            with contextlib.suppress(SchemaError):
                self._execute(f'drop view "{name}"')
                raise MismatchError(f"{name} was dropped although a view is made of it")
            name = next(one for one in self.specs if not self._dependents(one))
        self._drop(name)

    def _drop(self, name: str) -> None:
        for other in [a.name for a in self.assertions.values() if _is_made_of(a, name)]:
            self._drop_assertion(other)
        self._execute(f'drop view "{name}"')
        self.mirror.drop(name)
        del self.specs[name]
        self.listeners.pop(name).close()
        self.selects.pop(name).close()

    def _fails(self) -> bool:
        """Whether one of the views cannot be computed."""
        for spec in self.specs.values():
            if spec.fragile:
                try:
                    self.mirror.sequence(spec)
                except Refused:
                    return True
        return False

    # ------------------------------------------------------------ assertions

    def change_assertions(self) -> None:
        """One more that holds, one that does not and is refused, or one less."""
        rng = self.rng
        if self.assertions and rng.random() < 0.3:
            return self._drop_assertion(rng.choice(sorted(self.assertions)))
        free = self._free_names()
        if len(self.assertions) >= ASSERTIONS_MAX or not free:
            return None
        views = [one.relation for one in self.specs.values() if not one.fragile]
        small = [one for one in views if self.mirror.count(one.name) <= 60]
        wanted = rng.random() < 0.7  # one that holds
        for _ in range(12):
            spec = Shapes(rng).spec(rng.choice(free), self._relations(), small)
            if spec.fragile or spec.ties:
                continue
            self.mirror.create(spec)
            rows = self.mirror.rows(spec)
            if bool(rows) != wanted and sum(rows.values()) <= ROWS_MAX:
                return self._create_assertion(spec, rows)
            self.mirror.drop(spec.name)
        return None

    def _create_assertion(self, spec: Spec, rows: Counter[Any]) -> None:
        sql = f'create assertion "{spec.name}" as {spec.ours}'
        try:
            self._execute(sql)
        except AssertionViolatedError as error:
            if (
                error.constraint != spec.name
                or self._shown(spec, dict(error.row or {})) not in rows
            ):
                raise
            self.figures["assertions refused"] += 1
            return self.mirror.drop(spec.name)
        if rows:
            raise MismatchError(f"{spec.ours}\nis asserted although there is {rows}")
        self.assertions[spec.name] = self.known[spec.name, spec.ours] = spec
        self.figures["assertions"] += 1
        return None

    def _drop_assertion(self, name: str) -> None:
        self._execute(f'drop assertion "{name}"')
        self.mirror.drop(name)
        del self.assertions[name]

    def _violated(self) -> dict[str, Counter[Any]]:
        """The assertions that have rows, and these."""
        found = {name: self.mirror.rows(spec) for name, spec in self.assertions.items()}
        return {name: rows for name, rows in found.items() if rows}

    # ------------------------------------------------------------ the schema

    def add_column(self) -> None:
        """A table gets one more column, with a default or without."""
        rng = self.rng
        base = self.mirror.bases[rng.choice(sorted(self.mirror.bases))]
        if len([n for n in base.columns if n.startswith("added")]) >= 3:
            return
        kind = rng.choice((INT, TEXT, BOOL, DECIMAL2))
        name = f"added_{len(base.columns)}"
        default = kinds.draw(rng, kind) if rng.random() < 0.6 else None
        mine = theirs = ""
        if default is not None:
            value = str(default) if kind in (INT, DECIMAL2) else kinds.literal(default, kind)[0]
            mine, theirs = f" default {value}", f" default {kinds.literal(default, kind)[1]}"
            if rng.random() < 0.5:
                mine = " not null" + mine
        self._execute(f'alter table "{base.name}" add column "{name}" {kind.sql}{mine}')
        self.mirror.execute(f'alter table "{base.name}" add column "{name}"{theirs}')
        base.columns[name] = kind
        if default is not None:
            base.defaults[name] = default
            if "not null" in mine:
                base.required = (*base.required, name)
        self.figures["columns added"] += 1
        self.create_view(grown(base.name, name, kind))

    def change_indexes(self) -> None:
        """An index more, or one less."""
        rng = self.rng
        if rng.random() < 0.4:
            names = [n for n in self.db._state.catalog.index_names if n.startswith("index_")]
            if names:
                with contextlib.suppress(SchemaError):
                    self._execute(f"drop index {rng.choice(names)}")
            return
        base = self.mirror.bases[rng.choice(sorted(self.mirror.bases))]
        if len(self.db.tables[base.name].indexes) >= 5:
            return
        self.indexes += 1
        column = rng.choice(sorted(base.columns))
        self._execute(f'create index index_{self.indexes} on "{base.name}" ("{column}")')

    # ------------------------------------------------------------ transactions

    def transaction(self) -> None:
        """One to eight writes, and reads in between; a fifth of them aborts."""
        rng, mirror = self.rng, self.mirror
        self.figures["transactions"] += 1
        abort = rng.random() < 0.2
        mirror.execute("begin")
        self.log.append("with db.transaction() as tx:")
        try:
            with self.db.transaction() as tx:
                for _ in range(rng.randrange(1, 9)):
                    if rng.random() < 0.12:
                        self._call_nested(tx)
                    else:
                        self._write(tx)
                    if rng.random() < 0.15:
                        self._read_inside(tx)
                if abort and rng.random() < 0.5:
                    self._read_inside(tx)
                if abort:
                    self.log.append("    raise Abort")
                    raise Abort
                fails, violated = self._fails(), self._violated()
        except Abort:
            mirror.execute("rollback")
            self.figures["aborted"] += 1
        except ExpressionError:
            if not fails:
                raise
            mirror.execute("rollback")
            self.figures["impossible"] += 1
        except AssertionViolatedError as error:
            spec = self.assertions[error.constraint]
            if self._shown(spec, dict(error.row or {})) not in violated.get(spec.name, ()):
                raise
            mirror.execute("rollback")
            self.figures["violated"] += 1
        else:
            if violated:
                raise MismatchError(f"committed although there is {violated}")
            if fails:
                raise MismatchError("committed although a view has an impossible row")
            mirror.execute("commit")

    def _call_nested(self, tx: Any) -> None:
        """A transition inside, which may fail: then it alone is undone."""
        fails = self.rng.random() < 0.5
        self.figures["nested"] += 1

        def work() -> None:
            try:
                tx.call("nested", fails)
            finally:
                self.log.append("    # that was nested" + (" and failed" if fails else ""))

        with contextlib.suppress(Abort):
            self.mirror.all_or_nothing(work)

    def _nested(self, tx: Any, fails: bool) -> None:
        self.log.append("    # nested:")
        for _ in range(self.rng.randrange(1, 4)):
            self._write(tx)
            if self.rng.random() < 0.3:
                self._read_inside(tx)
        if fails:
            raise Abort

    def _key(self, table: str) -> tuple[object, ...]:
        """A key: of a row that is there, or any."""
        rng = self.rng
        base = self.mirror.bases[table]
        if rng.random() < 0.65:
            there = self.mirror.keys(table)
            if there:
                return tuple(rng.choice(there))
        found = []
        for name in base.key:
            kind = base.columns[name]
            found.append(rng.randrange(24) if kind == INT else kinds.draw(rng, kind))
        return tuple(found)

    def _row(self, table: str, *, whole: bool) -> dict[str, object]:
        rng = self.rng
        base = self.mirror.bases[table]
        row = dict(zip(base.key, self._key(table), strict=True))
        for name, kind in base.columns.items():
            if name in base.key:
                continue
            required = name in base.required
            if (whole and required and name not in base.defaults) or rng.random() < 0.6:
                null = not required and rng.random() < 0.2
                row[name] = None if null else kinds.draw(rng, kind)
        return row

    def _write(self, tx: Any) -> None:
        """One operation, on both."""
        rng, mirror = self.rng, self.mirror
        table = rng.choice(("order", "order", "customer", "line", "line", "group"))
        method = rng.choice(
            ("insert", "insert", "update", "update", "upsert", "delete", "delete", "many")
        )
        if mirror.count(table) > 22:
            method = "delete"
        self.figures["writes"] += 1
        if method == "many":
            return self._write_many(tx, table)
        if method == "delete":
            key = self._key(table)
            self.log.append(f"    tx.delete({table!r}, {key if len(key) > 1 else key[0]!r})")
            tx.delete(table, key if len(key) > 1 else key[0])
            return mirror.delete(table, key)
        row = self._row(table, whole=method != "update")
        self.log.append(f"    tx.{method}({table!r}, {row!r})")
        self._both(
            lambda: getattr(tx, method)(table, row), lambda: getattr(mirror, method)(table, row)
        )
        return None

    def _write_many(self, tx: Any, table: str) -> None:
        rng, mirror = self.rng, self.mirror
        method = rng.choice(("insert", "update", "upsert"))
        rows = [self._row(table, whole=True) for _ in range(rng.randrange(1, 4))]
        self.log.append(f"    tx.{method}_many({table!r}, {rows!r})")

        def mirrored() -> None:
            for row in rows:
                getattr(mirror, method)(table, row)

        self._both(
            lambda: getattr(tx, f"{method}_many")(table, rows),
            lambda: mirror.all_or_nothing(mirrored),
        )

    def _both(self, ours: Callable[[], object], theirs: Callable[[], object]) -> None:
        expected = got = ""
        try:
            theirs()
        except Refused as error:
            expected = str(error)
        try:
            ours()
        except (DuplicateKeyError, NotFoundError) as error:
            got = error.code
        if expected != got:
            raise MismatchError(f"{got!r}, not {expected!r}")

    def _read_inside(self, tx: Any) -> None:
        """A view, as this transaction sees it."""
        if not self.specs:
            return
        self.figures["reads inside"] += 1
        rng = self.rng
        spec = self.specs[rng.choice(sorted(self.specs))]
        fails = self._fails()
        self.log.append(f"    list(tx.scan({spec.name!r}))")
        try:
            if rng.random() < 0.3 and not spec.ties:
                rows = [dict(row) for row in tx.query(spec.ours)] if rng.random() < 0.5 else None
                if rows is None:
                    rows = [dict(r) for r in tx.query(f'select * from "{spec.name}"')]
                elif fails and not spec.fragile:
                    fails = False  # it was asked of tables alone, maybe
                    if any(one in self.specs for one in spec.reads):
                        return
                elif fails:
                    return
            else:
                rows = list(tx.scan(spec.name))
        except ExpressionError:
            if not fails and not self._fails():
                raise
            return
        if fails:
            raise MismatchError(f"{spec.name} was read although a view has an impossible row")
        self._compare(spec, rows, "inside a transaction")

    # ------------------------------------------------------------ opening again

    def reopen(self) -> None:
        """Closes, and opens again: views made anew are those that were kept up to date."""
        if self.holder is None:
            return
        self.figures["reopened"] += 1
        self.log.append("# reopened")
        before = self.hashes()
        self._check_filters(often=1.0)
        for one in self._subscribers():
            one.read(self.db)
            one.changes.close()
        self.db.close()
        self._open()
        if self.hashes() != before:
            raise MismatchError("views made anew are not those that were kept up to date")
        for one in self._subscribers():
            one.come_back(self.db)

    def hashes(self) -> dict[int, bytes]:
        """Of all tables that views consist of, hidden columns included; but of those that keep the
        first rows and some more: how many these are depends on what was before.
        """
        kernel = self.db._kernel
        found = {}
        catalog = self.db._state.catalog
        views = [one.table for one in catalog.by_number.values() if one.table.view is not None]
        parts = [part for table in views for part in parts_of(table, catalog)]
        buffers = {part.table.number for part in parts if part.first}
        for number, handle in catalog.by_number.items():
            if handle.table.derived and number not in buffers:
                assert kernel.call["table_hash"](number) == 0
                found[number] = bytes(kernel.output[:16])
        return found

    def kill(self) -> None:
        """What a kill would have left: the files as they are, the last of the log cut anywhere."""
        if self.holder is None:
            return
        self.figures["killed"] += 1
        copy = Path(self.holder.name) / "killed"
        shutil.copytree(self.path, copy)
        logs = sorted(copy.rglob("*.seg"))
        with contextlib.suppress(FileNotFoundError):
            (copy / "lock").unlink()
        cut = logs[-1]
        size = cut.stat().st_size
        with cut.open("r+b") as file:
            file.truncate(max(size - self.rng.randrange(2000), min(size, HEADER_BYTES)))
        try:
            with reifydb.open(str(copy), options=OPTIONS) as db:
                db.verify()
                self._compare_recovered(db)
        finally:
            shutil.rmtree(copy)

    def _compare_recovered(self, db: Any) -> None:
        other = Mirror(bases())
        try:
            for base in other.bases.values():
                table = db.tables.get(base.name)
                if table is None:
                    return
                for name, kind in self.mirror.bases[base.name].columns.items():
                    if name not in base.columns and table.position(name) is not None:
                        base.columns[name] = kind
                        other.execute(f'alter table "{base.name}" add column "{name}"')
                for row in db.scan(base.name):
                    other.insert(base.name, row)
            views = [t for t in db.tables.values() if t.view is not None]
            for table in sorted(views, key=lambda one: one.number):
                spec = self.known[table.name, table.view.sql]
                other.create(spec)
                self._compare(spec, list(db.scan(spec.name)), "after a kill", other)
        finally:
            other.close()

    def empty(self) -> None:
        """Everything is deleted: then views know nothing any more."""
        for name in list(self.assertions):  # there are some that want a row
            self._drop_assertion(name)
        self.log.append("# emptied")
        self.figures["emptied"] += 1
        with self.db.transaction() as tx:
            for name in self.mirror.bases:
                keys = self.mirror.keys(name)
                tx.delete_many(name, [key if len(key) > 1 else key[0] for key in keys])
        for name in self.mirror.bases:
            self.mirror.execute(f'delete from "{name}"')
        # A total has one row even then; where totals are put together with `union all`, a few.
        most = 64 if any("union all" in spec.ours for spec in self.specs.values()) else 1
        for number, handle in self.db._state.catalog.by_number.items():
            if handle.table.derived and self.db._kernel.call["count"](number) > most:
                raise MismatchError(f"{handle.name} has rows although there are none")

    # ------------------------------------------------------------ comparing

    def check(self) -> None:
        """Everything that must agree does."""
        self.db.verify()
        for spec in self.specs.values():
            expected = self.mirror.sequence(spec)
            rows = list(self.db.scan(spec.name))
            self._same(spec, rows, Counter(expected), "the view")
            if not spec.ties:
                answer = [dict(row) for row in self.db.query(spec.ours)]
                self._same(spec, answer, Counter(expected), "db.query")
                if spec.ordered:
                    shown = [self._shown(spec, row) for row in answer]
                    if shown != expected:
                        raise MismatchError(f"{spec.ours}\nanother order: {shown}\nnot {expected}")
            listener = self.listeners[spec.name]
            if self.rng.random() < 0.4:
                if self.rng.random() < 0.05 and listener.position is not None:
                    listener.come_back(self.db)
                self._same(spec, listener.read(self.db), Counter(expected), "a subscriber")
            follower = self.selects[spec.name]
            if self.rng.random() < 0.4:
                if self.rng.random() < 0.1 and follower.position is not None:
                    follower.come_back(self.db)
                self._same(spec, follower.read(self.db), Counter(expected), "who follows a select")
        self._check_filters()
        self.figures["comparisons"] += len(self.specs)

    def _check_filters(self, *, often: float = 0.5) -> None:
        for one in list(self.filters):
            if self.rng.random() >= often:
                continue
            try:
                if self.rng.random() < 0.05 and one.position is not None:
                    one.come_back(self.db)
                rows = one.read(self.db)
            except (SqlError, WrongTypeError):  # of a view that was dropped, or is another one
                self.filters.remove(one)
                one.close()
                continue
            wanted = [dict(row) for row in self.db.query(one.view, one.params)]
            got, expected = (Counter(repr(sorted(r.items())) for r in x) for x in (rows, wanted))
            if got != expected:
                raise MismatchError(
                    f"who follows {one.view} {one.params}\ntoo much: {got - expected}\n"
                    f"missing: {expected - got}"
                )

    def _shown(self, spec: Spec, row: dict[str, object]) -> tuple[object, ...]:
        return tuple(kinds.ours(row[name], kind) for name, kind in spec.columns)

    def _compare(
        self, spec: Spec, rows: list[dict[str, object]], when: str, mirror: Mirror | None = None
    ) -> None:
        self._same(spec, rows, (mirror or self.mirror).rows(spec), when)

    def _same(
        self, spec: Spec, rows: list[dict[str, object]], expected: Counter[Any], when: str
    ) -> None:
        got = Counter(self._shown(spec, row) for row in rows)
        if got != expected:
            raise MismatchError(
                f"{when}: {spec.name}\n{spec.ours}\n{spec.theirs}\n"
                f"too much: {got - expected}\nmissing: {expected - got}"
            )


def _is_made_of(spec: Spec, name: str) -> bool:
    """Whether it names a relation: a subquery that was drawn may have been left out again."""
    return name in spec.reads and re.search(rf"(from|join) \"{name}\"", spec.ours) is not None


def grown(table: str, column: str, kind: Kind) -> Spec:
    """A view of a column that rows which are there do not have."""
    sql = f'select "{column}" as "n", count(*) as "value" from "{table}" group by "{column}"'
    return Spec("", sql, sql, (("n", kind), ("value", INT)), (table,), "grown")


@contextlib.contextmanager
def machine(seed: int, *, folder: bool = True) -> Iterator[Machine]:
    """A run that is closed at its end; when it fails, what it did is in a file."""
    before = building.top_spare_rows_min
    building.top_spare_rows_min = SPARE_ROWS[seed % len(SPARE_ROWS)]
    made = Machine(seed, folder=folder)
    try:
        yield made
    except BaseException:
        path = Path(tempfile.gettempdir()) / f"views-{seed}.log"
        path.write_text("\n".join(made.log))
        print(f"seed {seed}, {made.figures['transactions']} transactions: {path}")
        raise
    finally:
        building.top_spare_rows_min = before
        with contextlib.suppress(Exception):
            made.close()
