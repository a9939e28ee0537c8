"""Random aggregates in ReifyDB's SQL, and as functions of Python's that SQLite calls.

Those of Python are as simple as can be: all values of a group in a list, exact fractions, sorted.
A function's name says of what kind its values are, for SQLite has fewer kinds.
"""

from __future__ import annotations

import datetime
import json
import random
import sqlite3
import uuid
from collections.abc import Callable, Sequence
from decimal import Decimal, localcontext
from fractions import Fraction
from math import ceil, floor
from typing import Any

from tests.views import kinds
from tests.views.expressions import ORDERED, Expr, Expressions
from tests.views.kinds import BOOL, BYTES, DECIMAL2, DECIMAL3, FLOAT, INT, JSON, TEXT, Kind

NUMBERS = (INT, FLOAT, DECIMAL2, DECIMAL3)
FRACTIONS = ("0", "1", "0.5", "0.25", "0.9", "0.333333333333333333")
SEPARATORS = (", ", "", "''", "ä")
_SPREADS = {
    **dict.fromkeys(("var_samp", "variance"), "var_samp"),
    **dict.fromkeys(("stddev", "stddev_samp"), "stddev_samp"),
    **dict.fromkeys(("var_pop", "stddev_pop")),
}
_SIMPLE = ("*", "count", "sum", "sum", "avg", "min", "max", "min", "max", "every")
_ORDERED = ("spread", "percentile", "discrete", "arg", "array", "string")


class Aggregates:
    """Draws aggregates over some columns."""

    def __init__(self, rng: random.Random, expressions: Expressions) -> None:
        self.rng, self.expressions = rng, expressions

    def any(self) -> Expr:
        """One aggregate, perhaps of some rows only."""
        made = self._unfiltered()
        if self.rng.random() >= 0.25:
            return made
        said = self.expressions.condition(1)
        return Expr(
            f"{made.ours} filter (where {said.ours})",
            f"{made.theirs} filter (where {said.theirs})",
            made.kind,
        )

    def _unfiltered(self) -> Expr:
        rng = self.rng
        if rng.random() < 0.5:
            make: Callable[[], Expr] = getattr(self, f"_{rng.choice(_ORDERED)}")
            return make()
        name = rng.choice(_SIMPLE)
        if name == "*":
            return Expr("count(*)", "count(*)", INT)
        if name == "every":
            word = rng.choice(("bool_and", "bool_or", "every"))
            arg = self.expressions.condition(1)
            function = "max" if word == "bool_or" else "min"
            return Expr(f"{word}({arg.ours})", f"{function}({arg.theirs})", BOOL)
        arg = self._number() if name in ("sum", "avg") else self._value()
        kind = arg.kind
        result = INT if name == "count" else kind
        function = name
        if name == "avg":
            function = f"avg_{_word(kind)}_"
            result = Kind("decimal", 6) if kind.name == "decimal" else FLOAT
        elif name == "sum" and kind == FLOAT:
            function = "sum_float_"
        once = self._once()
        return Expr(f"{name}({once}{arg.ours})", f"{function}({once}{arg.theirs})", result)

    # ------------------------------------------------------------ arguments

    def _of(self, among: Sequence[Kind]) -> Expr:
        kind = self.rng.choice([k for k in self.expressions.kinds if k in among] or [INT])
        arg = self.expressions.of(kind, 1)
        return self.expressions.leaf(kind) if arg.constant else arg

    def _number(self) -> Expr:
        return self._of(NUMBERS)

    def _value(self) -> Expr:
        return self._of(ORDERED)

    def _once(self) -> str:
        return "distinct " if self.rng.random() < 0.3 else ""

    def _order(self) -> tuple[str, str]:
        """What values are ordered by: our words, and arguments of Python's function."""
        ours, theirs = "", ""
        for _ in range(self.rng.choice((0, 1, 1, 2))):
            by = self._value()
            down, first = self.rng.random() < 0.4, self.rng.random() < 0.4
            word = (" desc" if down else "") + (f" nulls {'first' if first else 'last'}")
            ours += f"{', ' if ours else ' order by '}{by.ours}{word}"
            theirs += f", {by.theirs}, {down + 2 * first}"
        return ours, theirs

    # ------------------------------------------------------------ the further ones

    def _spread(self) -> Expr:
        name, arg, once = self.rng.choice(sorted(_SPREADS)), self._number(), self._once()
        theirs = f"{_SPREADS[name] or name}_{_word(arg.kind)}_({once}{arg.theirs})"
        return Expr(f"{name}({once}{arg.ours})", theirs, FLOAT)

    def _percentile(self) -> Expr:
        arg = self._number()
        result = Kind("decimal", 6) if arg.kind.name == "decimal" else FLOAT
        function = f"percentile_{_word(arg.kind)}_"
        if self.rng.random() < 0.4:
            once = self._once()
            theirs = f"{function}('{'once' if once else ''}', '0.5', {arg.theirs})"
            return Expr(f"median({once}{arg.ours})", theirs, result)
        part = self.rng.choice(FRACTIONS)
        ours = f"percentile_cont({part}) within group (order by {arg.ours})"
        return Expr(ours, f"{function}('', '{part}', {arg.theirs})", result)

    def _discrete(self) -> Expr:
        part, arg = self.rng.choice(FRACTIONS), self._value()
        ours = f"percentile_disc({part}) within group (order by {arg.ours})"
        return Expr(ours, f"discrete_('{part}', {arg.theirs})", arg.kind)

    def _arg(self) -> Expr:
        name, arg, by = self.rng.choice(("arg_min", "arg_max")), self._value(), self._value()
        return Expr(
            f"{name}({arg.ours}, {by.ours})", f"{name}_({arg.theirs}, {by.theirs})", arg.kind
        )

    def _array(self) -> Expr:
        arg = self._of([kind for kind in (*ORDERED, JSON) if kind != BYTES])
        once, (ours, theirs) = self._once(), self._order()
        if once:
            ours = theirs = ""
        said = f"'{'once' if once else ''}', {arg.theirs}{theirs}"
        return Expr(f"array_agg({once}{arg.ours}{ours})", f"array_{_word(arg.kind)}_({said})", JSON)

    def _string(self) -> Expr:
        arg, separator, once = self._of((TEXT,)), self.rng.choice(SEPARATORS), self._once()
        if arg.kind != TEXT:
            arg = self.expressions.of(TEXT, 0)
        ours, theirs = ("", "") if once else self._order()
        said = f"'{'once' if once else ''}', '{separator}', {arg.theirs}{theirs}"
        return Expr(f"string_agg({once}{arg.ours}, '{separator}'{ours})", f"string_({said})", TEXT)


def _word(kind: Kind) -> str:
    return f"{kind.name}{kind.scale or ''}"


# ------------------------------------------------------------------ in Python


def register(db: sqlite3.Connection) -> None:
    """Makes the functions known to SQLite."""
    of_one: dict[str, Callable[[list[Any]], object]] = {
        "sum_float_": _sum_float,
        "sum_int_": _sum_int,
        "avg_int_": _average,
        "avg_float_": _average,
        "avg_decimal2_": _average_decimal(2),
        "avg_decimal3_": _average_decimal(3),
    }
    for kind in NUMBERS:
        for name in ("var_samp", "var_pop", "stddev_samp", "stddev_pop"):
            of_one[f"{name}_{_word(kind)}_"] = _spread(name, kind)
    for name, finish in of_one.items():
        db.create_aggregate(name, 1, _aggregate(_of_values(finish)))  # type: ignore[arg-type]
    of_many: dict[str, Callable[[list[tuple[Any, ...]]], object]] = {
        "discrete_": _discrete,
        "arg_min_": _arg(min),
        "arg_max_": _arg(max),
        "string_": _string,
    }
    for kind in NUMBERS:
        of_many[f"percentile_{_word(kind)}_"] = _percentile(kind)
    for kind in (*ORDERED, JSON):
        of_many[f"array_{_word(kind)}_"] = _array(kind)
    for name, done in of_many.items():
        db.create_aggregate(name, -1, _aggregate(done))  # type: ignore[arg-type]


def _aggregate(finish_: Callable[[list[tuple[Any, ...]]], object]) -> type:
    class Aggregate:
        def __init__(self) -> None:
            self.rows: list[tuple[Any, ...]] = []

        def step(self, *args: Any) -> None:
            self.rows.append(args)

        def finalize(self) -> object:
            return finish_(self.rows) if self.rows else None

    return Aggregate


def _of_values(finish: Callable[[list[Any]], object]) -> Callable[[list[tuple[Any, ...]]], object]:
    def finished(rows: list[tuple[Any, ...]]) -> object:
        values = [value for (value,) in rows if value is not None]
        return finish(values) if values else None

    return finished


def _sum_float(values: list[Any]) -> float:
    return float(sum(map(Fraction, values), Fraction()))


def _sum_int(values: list[Any]) -> int:
    total = sum(values)
    if not -(2**63) <= total < 2**63:
        raise ValueError("out of range")
    return int(total)


def _average(values: list[Any]) -> float:
    return float(sum(map(Fraction, values), Fraction()) / len(values))


def rounded(value: Fraction) -> int:
    """Half away from zero."""
    found = int(abs(value) + Fraction(1, 2))
    return -found if value < 0 else found


def _average_decimal(scale: int) -> Callable[[list[Any]], int]:
    def average(values: list[Any]) -> int:
        return rounded(Fraction(sum(values) * 10 ** (6 - scale), len(values)))

    return average


def spread(name: str, values: Sequence[Fraction]) -> float | None:
    """The nearest float to a variance, or to its square root; None of too few values."""
    count = len(values)
    if count == 0 or (count == 1 and name.endswith("_samp")):
        return None
    mean = sum(values, Fraction()) / count
    found = sum(((value - mean) ** 2 for value in values), Fraction())
    found /= count if name.endswith("_pop") else count - 1
    if name.startswith("var"):
        return float(found)
    with localcontext() as context:
        context.prec = 1500
        context.Emin, context.Emax = -999_999, 999_999
        return float((Decimal(found.numerator) / Decimal(found.denominator)).sqrt())


def _spread(name: str, kind: Kind) -> Callable[[list[Any]], object]:
    def finish(values: list[Any]) -> object:
        return spread(name, [Fraction(value) / 10**kind.scale for value in values])

    return finish


def between(values: Sequence[Fraction], part: Fraction) -> Fraction:
    """A percentile that may lie between two of sorted values."""
    at = (len(values) - 1) * part
    low, high = values[floor(at)], values[ceil(at)]
    return low + (high - low) * (at - floor(at))


def _percentile(kind: Kind) -> Callable[[list[tuple[Any, ...]]], object]:
    def finish(rows: list[tuple[Any, ...]]) -> object:
        values = [value for _, _, value in rows if value is not None]
        once, part, _ = rows[0]
        values = sorted(set(values) if once else values)
        if not values:
            return None
        found = between(list(map(Fraction, values)), Fraction(part))
        if kind.name == "decimal":
            return rounded(found * 10 ** (6 - kind.scale))
        return float(found)

    return finish


def _discrete(rows: list[tuple[Any, ...]]) -> object:
    values = sorted(value for _, value in rows if value is not None)
    if not values:
        return None
    return values[max(1, ceil(Fraction(rows[0][0]) * len(values))) - 1]


def _arg(choose: Any) -> Callable[[list[tuple[Any, ...]]], object]:
    def finish(rows: list[tuple[Any, ...]]) -> object:
        there = [(value, by) for value, by in rows if value is not None and by is not None]
        if not there:
            return None
        best = choose(by for _, by in there)
        return min(value for value, by in there if by == best)

    return finish


def _sorted(rows: list[tuple[Any, ...]], once: str) -> list[Any]:
    """The first of each row, in the order of pairs behind it: a value, and how it is ordered."""
    values = [row[0] for row in rows]
    if once:
        return sorted({value for value in values if value is not None}) + [None] * (None in values)
    there = sorted((row for row in rows if row[0] is not None), key=lambda row: row[0])
    found = there + [row for row in rows if row[0] is None]
    for i in reversed(range(1, len(rows[0]), 2)):
        down, first = rows[0][i + 1] & 1, rows[0][i + 1] >> 1
        nulls = [row for row in found if row[i] is None]
        there = [row for row in found if row[i] is not None]
        there.sort(key=lambda row: row[i], reverse=bool(down))
        found = nulls + there if first else there + nulls
    return [row[0] for row in found]


def _array(kind: Kind) -> Callable[[list[tuple[Any, ...]]], object]:
    def finish(rows: list[tuple[Any, ...]]) -> object:
        values = _sorted([row[1:] for row in rows], rows[0][0])
        return kinds.mirrored([_element(value, kind) for value in values], JSON)

    return finish


def _element(value: Any, kind: Kind) -> object:
    """A value as it stands in an array."""
    if value is None:
        return None
    match kind.name:
        case "bool":
            return bool(value)
        case "float":
            return value + 0.0
        case "decimal":
            return value / 10**kind.scale
        case "json":
            return json.loads(value)
        case "uuid":
            return str(uuid.UUID(bytes=value))
        case "timestamp":
            at = kinds.EPOCH + datetime.timedelta(microseconds=value)
            return f"{at:%Y-%m-%d %H:%M:%S}+00"
    return value


def _string(rows: list[tuple[Any, ...]]) -> object:
    once, separator = rows[0][:2]
    there = [row[2:] for row in rows if row[2] is not None]
    return separator.join(_sorted(there, once)) if there else None


__all__ = ["Aggregates", "between", "register", "rounded", "spread"]
