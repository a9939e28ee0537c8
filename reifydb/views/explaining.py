"""`explain`: in which steps a query is answered, or a view brought up to date, as rows."""

from __future__ import annotations

import re
import struct
from collections.abc import Callable, Sequence

from reifydb.engine.catalog import Column, Table, Type
from reifydb.sql.query import Query, Select
from reifydb.views.building import PLACES, Part
from reifydb.views.flattening import flatten
from reifydb.views.plan import DESCENDING, OUTER, SORTED, Driver, Plan, Step
from reifydb.views.planner import Planner

COLUMNS = (
    Column("step", Type.INT, nullable=False),
    Column("does", Type.TEXT, nullable=False),
    Column("relation", Type.TEXT),
    Column("by", Type.TEXT),
    Column("cost", Type.TEXT),
)
"""Of an explanation: what happens, to which table or view, by which index or how many, and what it
takes, in O() of what grows."""

Line = tuple[int, str, str | None, str | None, str | None]
_Doing = tuple[str, str | None, str | None, str | None]

_EXPLAIN = re.compile(r"\s*explain\b", re.IGNORECASE)
_OF_VIEW = re.compile(r"\s*(?:view|assertion)\s+(\"?)([a-z0-9_]+)\1\s*;?\s*", re.IGNORECASE)
_TO_CREATE = re.compile(r"\s*create\b", re.IGNORECASE)

ONE, EACH_TIME = "O(log rows)", "O(rows)"
FOUND = "O(log rows + rows found)"


def explained(sql: str) -> str | None:
    """What a text wants explained, with blanks before it, so that places in it stay what they are;
    None: it is no explanation that is wanted.
    """
    match = _EXPLAIN.match(sql)
    return None if match is None else re.sub(r"\S", " ", match[0]) + sql[match.end() :]


def named_view(asked: str) -> str | None:
    """The view of `explain view NAME`; None: that is not what is asked."""
    match = _OF_VIEW.fullmatch(asked)
    return None if match is None else match[2] if match[1] else match[2].lower()


def is_definition(asked: str) -> bool:
    """Whether it is a `create …` that is to be explained."""
    return _TO_CREATE.match(asked) is not None


def explain(query: Query) -> list[Line]:
    """The steps of a query. O(its length)."""
    does: list[_Doing] = []
    if not isinstance(query, Select) or any(
        not isinstance(one.relation, Table) for one in flatten(query).inputs
    ):
        made = "tables of its own, O(rows), for each time it is asked"
        does.append(("make", None, made, EACH_TIME))
    else:
        does += _steps(query)
    if query.limit is not None or query.offset is not None:
        does.append(("limit", None, None, None))
    return [(i, *one) for i, one in enumerate(does, 1)]


def _steps(query: Select) -> list[_Doing]:
    planner = Planner(query)
    plan = planner.query()
    tables, inputs = planner.tables, planner.select.inputs
    does: list[_Doing] = []

    def name(i: int) -> str:
        alias = inputs[i].alias
        return tables[i].name if alias == tables[i].name else f"{tables[i].name} as {alias}"

    ordered = False
    for driver in plan.drivers if tables else ():
        ordered = bool(driver.flags & SORTED)
        table = tables[driver.input]
        does.append(("scan", name(driver.input), _range(table, driver), _scanned(table, driver)))
        does += [_join(step, name(step.input), tables[step.input]) for step in driver.steps]
    if plan.grouped:
        does.append(("group", None, _groups(plan), "O(1) for each row"))
    if plan.distinct:
        does.append(("distinct", None, None, "O(1) for each row"))
    if plan.sorts and not ordered:
        does.append(("sort", None, None, "O(log rows found) for each row"))
    return does


# ------------------------------------------------------------------ views


def explain_view(parts: Sequence[Part], tables: Callable[[int], Table]) -> list[Line]:
    """How a view is brought up to date when what it is made of changes. O(its length).

    Args:
        parts: Of the view, in their order.
        tables: Every table by its number, those of the parts apart.
    """
    own = {part.table.number: part.table for part in parts}
    numbers = list(own)

    def table(number: int) -> Table:
        return own[number] if number in own else tables(number)

    def name(number: int) -> str:
        if number not in own or number == numbers[-1]:
            return table(number).name
        return f"{own[numbers[-1]].name}, part {numbers.index(number) + 1}"

    does: list[_Doing] = []
    for part in parts:
        called = name(part.table.number)
        if part.max_rows:
            most = f"at most {part.max_rows:,} rows are looked at"
            does.append(("made anew", called, most, "the whole of it, after each change"))
        elif part.plan is not None:
            does += _upkeep(part.plan, called, part, table, name)
        elif part.source is not None:
            kind, below, count, skip = struct.unpack("<IIQQ", part.source)
            if kind == PLACES:
                behind, rows = " of each group", f"{count:,} rows of each group"
            else:
                behind = f" behind the first {skip:,}" if skip else ""
                rows = f"{count + skip:,} rows"
            cost = f"O(log rows), and {rows} when it changes them"
            does.append(("first rows", called, f"{count:,}{behind} of {name(below)}", cost))
    return [(i, *one) for i, one in enumerate(does, 1)]


def _upkeep(
    plan: Plan,
    called: str,
    part: Part,
    table: Callable[[int], Table],
    name: Callable[[int], str],
) -> list[_Doing]:
    key = f"key ({', '.join(column.name for column in part.table.key_columns)})"
    does: list[_Doing] = [("groups" if plan.grouped else "rows", called, key, None)]
    for driver in plan.drivers:
        does.append(("a row changes", name(plan.inputs[driver.input]), None, "O(1)"))
        for step in (*driver.steps, *(plan.outers if not driver.flags & OUTER else ())):
            number = plan.inputs[step.input]
            if step.input != driver.input:
                does.append(_join(step, name(number), table(number)))
    if plan.grouped:
        does.append(("group", None, _groups(plan), "O(log groups) for each row"))
    values = sum(one.values is not None for one in plan.aggregates)
    if values:
        counted = "1 aggregate" if values == 1 else f"{values} aggregates"
        does.append(("count values", None, f"for {counted}", "O(log values) for each row"))
    if part.first:
        does.append(("write", called, *_buffer(plan.drivers[0], table(plan.inputs[0]))))
    else:
        does.append(("write", called, "primary key", "O(log rows) for each row or group"))
    return does


def _buffer(driver: Driver, table: Table) -> tuple[str, str]:
    """Of a part that keeps its first rows: how they are found again, and what that costs."""
    found = FOUND if driver.lower or driver.upper else EACH_TIME
    place = "all rows"
    if driver.flags & SORTED or found == FOUND:
        place = _range(table, driver)
    if driver.flags & SORTED:
        found = "O(rows kept)"
    return (
        f"the first rows and some more; found again by {place}",
        f"O(log rows kept) for each row among them; {found} when too few are left",
    )


# ------------------------------------------------------------------ words


def _groups(plan: Plan) -> str:
    if not plan.groups:
        return "all rows are one group"
    return f"{plan.groups} values" if plan.groups != 1 else "1 value"


def _join(step: Step, name: str, table: Table) -> _Doing:
    does = "left join" if step.outer else "join"
    return does, name, _found(table, step), f"{_looked_up(table, step)} for each row"


def _looked_up(table: Table, step: Step) -> str:
    if not step.key:
        return EACH_TIME
    return ONE if _is_one(table, step.index, len(step.key)) else FOUND


def _scanned(table: Table, driver: Driver) -> str:
    bound = max(len(driver.lower), len(driver.upper))
    if not bound:
        return EACH_TIME
    same = driver.lower == driver.upper
    return ONE if same and _is_one(table, driver.index, bound) else FOUND


def _is_one(table: Table, number: int, bound: int) -> bool:
    """Whether so many columns of an index belong to one row at most."""
    if not number:
        return bound == len(table.key)
    index = next(one for one in table.indexes if one.number == number)
    return index.unique and bound == len(index.columns)


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
