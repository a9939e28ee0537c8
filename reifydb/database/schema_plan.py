"""What statements of SQL would change: they are done, looked at, and undone."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from reifydb.database.faults import host_refusal
from reifydb.errors import RequestError, TransactionError

if TYPE_CHECKING:
    from reifydb.database.schema import SchemaChange
    from reifydb.database.state import State
    from reifydb.database.tables import Catalog
    from reifydb.engine.catalog import Table
    from reifydb.sql.statements import Statement


@dataclass(frozen=True, slots=True)
class Planned:
    """One thing that a statement would do.

    Attributes:
        does: `create table`, `drop index`, `add column` and the like.
        name: Of what is made, changed or dropped.
        table: The table that it belongs to; empty: it is one itself, or a view.
        rows_read: Rows that are read for it: nothing else runs meanwhile.
        rows_lost: Rows that go with it.
    """

    does: str
    name: str
    table: str = ""
    rows_read: int = 0
    rows_lost: int = 0


@dataclass(frozen=True, slots=True)
class SchemaPlan:
    """What a script would do.

    Attributes:
        changes: In the order of the statements, but of those that would be refused.
        problems: Why it would be refused, statement by statement; none: it fits. A statement that
            needs what a refused one would have made is refused as well.
    """

    changes: tuple[Planned, ...]
    problems: tuple[str, ...]

    def described(self) -> dict[str, Any]:
        """The same for a client, and whether it fits."""
        return {
            "fits": not self.problems,
            "problems": list(self.problems),
            "changes": [asdict(change) for change in self.changes],
        }


def planned(state: State, change: SchemaChange, statements: Iterable[Statement]) -> SchemaPlan:
    """The plan of a script: each statement is done inside the open transaction, which the caller
    rolls back, and whose catalog it puts back. O(what doing it takes).
    """
    call = state.kernel.call
    changes: list[Planned] = []
    problems: list[str] = []
    for number, statement in enumerate(statements, 1):
        before = state.catalog
        rows = {handle.number: state.count(name) for name, handle in before.handles.items()}
        call["savepoint"]()
        try:
            change.apply(statement)
            code = call["check_commit"]()
            if code < 0:
                raise host_refusal(state, code)
        except (RequestError, TransactionError) as error:
            call["release"](1)
            state.catalog = before
            problems.append(f"statement {number}: {_on_one_line(error)}")
        else:
            call["release"](0)
            changes += _differences(before, state.catalog, rows)
    return SchemaPlan(tuple(changes), tuple(problems))


def _on_one_line(error: Exception) -> str:
    return str(error).replace(":\n- ", ": ").replace("\n- ", "; ")


def _differences(before: Catalog, after: Catalog, rows: Mapping[int, int]) -> Iterable[Planned]:
    for number, handle in after.by_number.items():
        if handle.name not in after.user_names:
            continue
        old = before.by_number.get(number)
        if old is None:
            yield from _made(handle.table, before, rows)
        elif old.table != handle.table:
            yield from _changed(old.table, handle.table, rows[number])
    for number, handle in before.by_number.items():
        if number not in after.by_number and handle.name in before.user_names:
            yield Planned(f"drop {_word(handle.table)}", handle.name, rows_lost=rows[number])
    for name in after.parameterised.keys() - before.parameterised.keys():
        yield Planned("create view", name)
    for name in before.parameterised.keys() - after.parameterised.keys():
        yield Planned("drop view", name)


def _made(table: Table, before: Catalog, rows: Mapping[int, int]) -> Iterable[Planned]:
    read = 0
    if table.view is not None:
        behind = before.behind(name for name, _ in table.view.reads)
        handles = (before.handles[name] for name in behind if name in before.handles)
        read = sum(rows[handle.number] for handle in handles)
    yield Planned(f"create {_word(table)}", table.name, rows_read=read)
    for index in table.indexes:
        yield Planned("create index", index.name, table.name)


def _changed(old: Table, new: Table, rows: int) -> Iterable[Planned]:
    if old.name != new.name:
        yield Planned("rename table", f"{old.name} to {new.name}")
    was = dict(zip(old.places, old.columns, strict=True))
    now = dict(zip(new.places, new.columns, strict=True))
    for place, column in now.items():
        if place not in was:
            yield Planned("add column", column.name, new.name)
        elif was[place].name != column.name:
            yield Planned("rename column", f"{was[place].name} to {column.name}", new.name)
    for place, column in was.items():
        if place not in now:
            yield Planned("drop column", column.name, new.name)
    there = {index.number for index in old.indexes}
    kept = {index.number for index in new.indexes}
    for index in new.indexes:
        if index.number not in there:
            does = "create unique index" if index.unique else "create index"
            yield Planned(does, index.name, new.name, rows_read=rows)
    for index in old.indexes:
        if index.number not in kept:
            yield Planned("drop index", index.name, new.name)
    had = {one.name for one in old.foreign_keys}
    has = {one.name for one in new.foreign_keys}
    for name in (one.name for one in new.foreign_keys if one.name not in had):
        yield Planned("add foreign key", name, new.name, rows_read=rows)
    for name in (one.name for one in old.foreign_keys if one.name not in has):
        yield Planned("drop constraint", name, new.name)


def _word(table: Table) -> str:
    if table.view is None:
        return "table"
    return "assertion" if table.view.assertion else "view"
