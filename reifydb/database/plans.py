"""What installing a module would do, without doing it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from reifydb.database.modules import Module, conflicts, problems_of
from reifydb.database.tables import Catalog
from reifydb.engine.catalog import Table
from reifydb.errors import ReifyDBError

if TYPE_CHECKING:
    from reifydb.sandbox.replies import CompiledGuest


@dataclass(frozen=True, slots=True)
class Plan:
    """What an installation would do.

    Attributes:
        name, sha256: The module's.
        problems: Why it would be refused; none: it fits. What only the rows can say (that they
            contradict a unique index) shows when it is installed.
        tables, indexes: That it would create.
        added, changed, removed: Transitions, without the module's name. Whoever calls one that is
            changed or removed has to follow.
    """

    name: str
    sha256: str
    problems: tuple[str, ...]
    tables: tuple[str, ...]
    indexes: tuple[str, ...]
    added: tuple[str, ...]
    changed: tuple[str, ...]
    removed: tuple[str, ...]


def plan(compiled: CompiledGuest, catalog: Catalog, old: Module | None, *, schema: bool) -> Plan:
    """The plan for a compiled module. In a turn; O(tables + transitions).

    Args:
        compiled: The module.
        catalog: What there is.
        old: The module of this name that is installed now.
        schema: Whether its own schema would be applied.
    """
    manifest = compiled.manifest
    wanted, problems = _wanted(manifest.schema) if schema else ([], [])
    problems += [problem for table in wanted for problem in conflicts(table, catalog)]
    tables, indexes, later = [], [], catalog
    for table in wanted if not problems else ():
        there = catalog.handles.get(table.name)
        if there is None:
            tables.append(table.name)
            later = later.with_table(replace(table, number=later.next_number))
            continue
        new = [index for index in table.indexes if there.table.index(index.name) is None]
        indexes += [index.name for index in new]
        later = later.with_table(replace(there.table, indexes=(*there.table.indexes, *new)))
    problems += problems_of(manifest, later)
    before = {} if old is None else dict(old.transitions)
    after = {transition.name: transition for transition in manifest.transitions}
    both = before.keys() & after.keys()
    return Plan(
        name=compiled.name,
        sha256=compiled.sha256,
        problems=tuple(problems),
        tables=tuple(tables),
        indexes=tuple(indexes),
        added=tuple(sorted(after.keys() - before.keys())),
        changed=tuple(
            sorted(
                name for name in both if replace(after[name], module=compiled.name) != before[name]
            )
        ),
        removed=tuple(sorted(before.keys() - after.keys())),
    )


def _wanted(schema: str) -> tuple[Sequence[Table], list[str]]:
    """The tables of a module's own schema, or why there are none."""
    from reifydb.sql import parse_schema

    try:
        return ([create.table for create in parse_schema(schema)] if schema else []), []
    except ReifyDBError as error:
        return [], [str(error)]
