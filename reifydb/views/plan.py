"""A plan as the kernel takes it (docs/formats.md, "Plan"): programs, inputs, and the order in which
they are brought together.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass, field

from reifydb.sql.expressions import Expression, Kind
from reifydb.sql.programs import Program, compile_program

NONE = 0xFFFFFFFF

GROUPED, DISTINCT, GLOBAL = 1, 2, 4
LOWER_EXCLUSIVE, UPPER_EXCLUSIVE, DESCENDING, SORTED, OUTER = 1, 2, 4, 8, 16

FUNCTIONS = {
    "count_rows": 0,
    "count": 1,
    "sum_word": 2,
    "sum_float": 3,
    "average_int": 4,
    "average_decimal": 5,
    "average_float": 6,
    "least": 7,
    "greatest": 8,
    "every": 9,
    "some": 10,
    "variance_word": 11,
    "variance_float": 12,
    "continuous": 13,
    "discrete": 14,
    "first": 15,
    "array": 16,
    "joined": 17,
}
"""Aggregate functions as the kernel numbers them."""

ORDERED = frozenset({"least", "greatest", "continuous", "discrete", "first", "array", "joined"})
"""Those whose values must be known one by one, in their order."""


@dataclass(frozen=True, slots=True)
class Step:
    """One more input, found by an index.

    Attributes:
        index: Number of a secondary index; 0: the primary key.
        key: Values of the index's first columns; empty: all rows are gone through.
        outer: A row that finds nothing goes on with nulls.
    """

    input: int
    index: int
    key: tuple[Expression, ...]
    condition: Expression | None
    outer: bool = False


@dataclass(frozen=True, slots=True)
class Driver:
    """The input whose rows come first, between two bounds of an index, and the others."""

    input: int
    index: int = 0
    lower: tuple[Expression, ...] = ()
    upper: tuple[Expression, ...] = ()
    flags: int = 0
    condition: Expression | None = None
    steps: tuple[Step, ...] = ()


@dataclass(frozen=True, slots=True)
class AggregatePlan:
    """One aggregate.

    Attributes:
        function: A name of `FUNCTIONS`.
        argument, filter: Positions among the outputs of the row program; None: none.
        kind: Of the argument.
        scale: Of decimals: of what lies between them so many more digits behind the point, else
            their own.
        values: Number of the table that keeps which values there are, and how often; views only.
        detail: Of a percentile its fraction, of a variance which one.
        separator: Position of what stands between texts.
        order: By what values are ordered: position, descending, nulls first.
    """

    function: str
    distinct: bool
    argument: int | None
    filter: int | None
    kind: Kind
    result: Kind
    scale: int = 0
    values: int | None = None
    detail: int = 0
    separator: int | None = None
    order: tuple[tuple[int, bool, bool], ...] = ()


@dataclass(frozen=True, slots=True)
class Plan:
    """What the kernel runs.

    Attributes:
        inputs: Numbers of tables.
        row: What is made of the rows that come together; where it is grouped: groups, arguments
            and filters.
        final, having: Over a group's row: its groups, then its aggregates; as `ColumnRef`s.
        sorts: Descending, nulls first: of the last outputs.
        outers: Of a view: its left joins, once all other rows are there.
    """

    inputs: tuple[int, ...]
    drivers: tuple[Driver, ...]
    row: tuple[Expression, ...]
    condition: Expression | None = None
    groups: int = 0
    aggregates: tuple[AggregatePlan, ...] = ()
    having: Expression | None = None
    final: tuple[Expression, ...] = ()
    grouped: bool = False
    distinct: bool = False
    sorts: tuple[tuple[bool, bool], ...] = ()
    parameters: tuple[Kind, ...] = ()
    outers: tuple[Step, ...] = ()


@dataclass(slots=True)
class Encoded:
    """A plan's bytes, for its programs where their instructions stand in the SQL, and the secondary
    indexes that it uses: number of the table, number of the index.
    """

    data: bytes
    programs: list[Program] = field(default_factory=list)
    indexes: frozenset[tuple[int, int]] = frozenset()

    def place(self, program: int, instruction: int) -> int | None:
        """Where in the SQL an instruction stands, from 0; None when it is of no program."""
        if program >= len(self.programs) or instruction >= len(self.programs[program].places):
            return None
        return self.programs[program].places[instruction]


class _Encoder:
    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.inputs = range(len(plan.inputs))
        self.programs: list[Program] = []
        self.words: list[int] = []

    def program(self, outputs: Sequence[Expression], inputs: Sequence[int]) -> int:
        if not outputs:
            return NONE
        self.programs.append(compile_program(outputs, inputs, self.plan.parameters))
        return len(self.programs) - 1

    def one(self, expression: Expression | None, inputs: Sequence[int]) -> int:
        return NONE if expression is None else self.program((expression,), inputs)

    def steps(self, steps: Sequence[Step]) -> list[int]:
        words = [len(steps)]
        for step in steps:
            words += [step.input, step.index, self.program(step.key, self.inputs)]
            words += [self.one(step.condition, self.inputs), int(step.outer)]
        return words


def encode(plan: Plan) -> Encoded:
    """The bytes of a plan. O(nodes of its expressions).

    Raises:
        SqlError: A program is too large.
    """
    made = _Encoder(plan)
    flags = GROUPED * plan.grouped | DISTINCT * plan.distinct
    flags |= GLOBAL * (plan.grouped and plan.groups == 0)
    words = [flags, len(plan.inputs), *plan.inputs]
    words += [made.one(plan.condition, made.inputs), made.program(plan.row, made.inputs)]
    words += [made.one(plan.having, (0,)), made.program(plan.final, (0,)), plan.groups]
    words.append(len(plan.aggregates))
    for one in plan.aggregates:
        words += [FUNCTIONS[one.function], int(one.distinct)]
        words += [NONE if place is None else place for place in (one.argument, one.filter)]
        words += [one.kind.code, one.result.code, one.scale]
        words += [one.detail & 0xFFFFFFFF, one.detail >> 32]
        words += [NONE if one is None else one for one in (one.separator, one.values)]
        words += [len(one.order), *(w for place, d, n in one.order for w in (place, d | 2 * n))]
    words += [len(plan.sorts), *(d | 2 * n for d, n in plan.sorts)]
    words += made.steps(plan.outers)
    words.append(len(plan.drivers))
    for driver in plan.drivers:
        words += [driver.input, driver.index]
        words += [made.program(driver.lower, ()), made.program(driver.upper, ())]
        words += [driver.flags, made.one(driver.condition, made.inputs)]
        words += made.steps(driver.steps)
    parts = [struct.pack("<I", len(made.programs))]
    at = 4
    for program in made.programs:
        head = struct.pack("<I", len(program.encoded))
        head += bytes(-(at + 4) % 8)
        parts += [head, program.encoded]
        at += len(head) + len(program.encoded)
    parts.append(struct.pack(f"<{len(words)}I", *words))
    used = {(plan.inputs[d.input], d.index) for d in plan.drivers if d.index}
    steps = [*plan.outers, *(step for driver in plan.drivers for step in driver.steps)]
    used |= {(plan.inputs[step.input], step.index) for step in steps if step.index}
    return Encoded(b"".join(parts), made.programs, frozenset(used))
