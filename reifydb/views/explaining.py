"""`explain select …`: in which steps a query is answered, as rows."""

from __future__ import annotations

import re

from reifydb.engine.catalog import Column, Table, Type
from reifydb.sql.query import Query, Select
from reifydb.views.flattening import flatten
from reifydb.views.plan import DESCENDING, SORTED, Driver, Step
from reifydb.views.planner import Planner

COLUMNS = (
    Column("step", Type.INT, nullable=False),
    Column("does", Type.TEXT, nullable=False),
    Column("relation", Type.TEXT),
    Column("by", Type.TEXT),
)
"""Of an explanation: what happens, to which table or view, and by which index or how many."""

Line = tuple[int, str, str | None, str | None]

_EXPLAIN = re.compile(r"\s*explain\b", re.IGNORECASE)


def explained(sql: str) -> str | None:
    """The query that a text wants explained, with blanks before it, so that places in it stay what
    they are; None: it is no explanation that is wanted.
    """
    match = _EXPLAIN.match(sql)
    return None if match is None else re.sub(r"\S", " ", match[0]) + sql[match.end() :]


def explain(query: Query) -> list[Line]:
    """The steps of a query. O(its length)."""
    does: list[tuple[str, str | None, str | None]] = []
    if not isinstance(query, Select) or any(
        not isinstance(one.relation, Table) for one in flatten(query).inputs
    ):
        does.append(("make", None, "tables of its own, O(rows), for each time it is asked"))
    else:
        does += _steps(query)
    if query.limit is not None or query.offset is not None:
        does.append(("limit", None, None))
    return [(i, *one) for i, one in enumerate(does, 1)]


def _steps(query: Select) -> list[tuple[str, str | None, str | None]]:
    planner = Planner(query)
    plan = planner.query()
    tables, inputs = planner.tables, planner.select.inputs
    does: list[tuple[str, str | None, str | None]] = []

    def name(i: int) -> str:
        alias = inputs[i].alias
        return tables[i].name if alias == tables[i].name else f"{tables[i].name} as {alias}"

    ordered = False
    for driver in plan.drivers if tables else ():
        ordered = bool(driver.flags & SORTED)
        does.append(("scan", name(driver.input), _range(tables[driver.input], driver)))
        does += [
            (
                "left join" if step.outer else "join",
                name(step.input),
                _found(tables[step.input], step),
            )
            for step in driver.steps
        ]
    if plan.grouped:
        groups = f"{plan.groups} values" if plan.groups != 1 else "1 value"
        does.append(("group", None, groups if plan.groups else "all rows are one group"))
    if plan.distinct:
        does.append(("distinct", None, None))
    if plan.sorts and not ordered:
        does.append(("sort", None, None))
    return does


def _range(table: Table, driver: Driver) -> str:
    bound = max(len(driver.lower), len(driver.upper))
    order = ", from the end" if driver.flags & DESCENDING else ""
    if not bound:
        place = f"all rows, in the order of {_index(table, driver.index, 0)}"
    else:
        place = f"a range of {_index(table, driver.index, bound)}"
        if driver.lower == driver.upper:
            place = _index(table, driver.index, bound)
    return place + order


def _found(table: Table, step: Step) -> str:
    return _index(table, step.index, len(step.key)) if step.key else "all rows, each time"


def _index(table: Table, number: int, bound: int) -> str:
    """An index, and the first columns of it that are known."""
    if number:
        index = next(one for one in table.indexes if one.number == number)
        named, columns = f"index {index.name}", [table.columns[i].name for i in index.columns]
    else:
        named, columns = "primary key", [column.name for column in table.key_columns]
    return f"{named} ({', '.join(columns[:bound])})" if bound else named
