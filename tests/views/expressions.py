"""Random expressions, in ReifyDB's SQL and in SQLite's at the same time."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tests.views.kinds import (
    BIGINT,
    BOOL,
    BYTES,
    DECIMAL2,
    DECIMAL3,
    FLOAT,
    INT,
    JSON,
    TEXT,
    TIMESTAMP,
    UUID,
    Kind,
    draw,
    literal,
)

ORDERED = (INT, BIGINT, FLOAT, TEXT, DECIMAL2, DECIMAL3, TIMESTAMP, UUID, BYTES, BOOL)
PATTERNS = ("a%", "%b", "_", "%", "a_%", "", "%\\%%", "ä%", "A%")


@dataclass(frozen=True)
class Expr:
    """An expression, as ReifyDB and as SQLite write it."""

    ours: str
    theirs: str
    kind: Kind
    constant: bool = False


class Expressions:
    """Draws expressions over some columns."""

    def __init__(self, rng: random.Random, leaves: Sequence[Expr]) -> None:
        self.rng, self.leaves = rng, leaves

    @property
    def kinds(self) -> list[Kind]:
        """Kinds of which there are columns."""
        return sorted({leaf.kind for leaf in self.leaves})

    def leaf(self, kind: Kind | None = None) -> Expr:
        """A column, or a value if there is none of the kind."""
        of_kind = [leaf for leaf in self.leaves if kind is None or leaf.kind == kind]
        if of_kind:
            return self.rng.choice(of_kind)
        assert kind is not None
        return self.constant(kind)

    def constant(self, kind: Kind) -> Expr:
        """A value."""
        if kind == BYTES:  # there is no literal of it
            return self._null(kind)
        a, b = literal(draw(self.rng, kind), kind)
        return Expr(a, b, kind, constant=True)

    def _null(self, kind: Kind) -> Expr:
        leaf = next((leaf for leaf in self.leaves if leaf.kind == kind), None)
        if leaf is None:
            return Expr("null", "null", kind, constant=True)
        return leaf

    def any(self, depth: int = 2, kinds: Sequence[Kind] | None = None) -> Expr:
        """An expression that depends on a column."""
        kind = self.rng.choice(kinds or self.kinds)
        made = self.of(kind, depth)
        return self.leaf() if made.constant else made

    def of(self, kind: Kind, depth: int = 2) -> Expr:
        """An expression of a kind."""
        rng = self.rng
        if depth <= 0 or rng.random() < 0.35:
            return self.leaf(kind) if rng.random() < 0.8 else self.constant(kind)
        if rng.random() < 0.3:
            return self._choice(kind, depth - 1)
        make: Callable[[int], Expr] | None = getattr(self, f"_{kind.name}", None)
        if kind.name == "decimal":
            return self._decimal(kind, depth - 1)
        return self.leaf(kind) if make is None else make(depth - 1)

    def _choice(self, kind: Kind, depth: int) -> Expr:
        """What there is for every kind."""
        a, b = self.of(kind, depth), self.of(kind, depth)
        match self.rng.randrange(5):
            case 0:
                return self._both("coalesce({0}, {1})", kind, a, b)
            case 1:
                c = self.condition(depth)
                return self._both("(case when {2} then {0} else {1} end)", kind, a, b, c)
            case 2:
                c = self.condition(depth)
                return self._both("(case when {1} then {0} end)", kind, a, c)
            case 3 if kind != JSON:
                return self._both("nullif({0}, {1})", kind, a, b)
            case 4 if kind in ORDERED:
                name = self.rng.choice(("greatest", "least"))
                return self._both(
                    f"{name}({{0}}, {{1}})", kind, a, b, theirs=f"{name}_({{0}}, {{1}})"
                )
        return self._both("coalesce({0}, {1})", kind, a, b)

    @staticmethod
    def _both(form: str, kind: Kind, *args: Expr, theirs: str | None = None) -> Expr:
        constant = all(arg.constant for arg in args)
        a = form.format(*(arg.ours for arg in args))
        b = (theirs or form).format(*(arg.theirs for arg in args))
        return Expr(a, b, kind, constant)

    # ------------------------------------------------------------ numbers

    def _int(self, depth: int) -> Expr:
        both, of = self._both, self.of
        match self.rng.randrange(12):
            case 0 | 1:
                return both("({0} + {1})", INT, of(INT, depth), of(INT, depth))
            case 2:
                return both("({0} - {1})", INT, of(INT, depth), of(INT, depth))
            case 3:
                return both(f"({{0}} * {self.rng.randrange(-2, 4)})", INT, of(INT, depth))
            case 4:
                return both(f"({{0}} / {self.rng.choice((2, 3, -2))})", INT, of(INT, depth))
            case 5:
                return both(f"({{0}} % {self.rng.choice((2, 3, -3))})", INT, of(INT, depth))
            case 6:
                return both("abs({0})", INT, of(INT, depth))
            case 7:
                return both("length({0})", INT, of(TEXT, depth))
            case 8:
                return both("cast({0} as int)", INT, self.condition(depth))
            case 9:
                field = self.rng.choice(("hour", "dow", "day"))
                return both(
                    f"extract({field} from {{0}})",
                    INT,
                    of(TIMESTAMP, depth),
                    theirs=f"{field}_({{0}})",
                )
            case 10:
                return both("cast({0} as int)", INT, of(FLOAT, depth), theirs="half_even_({0})")
        return both("sign({0})", INT, of(INT, depth), theirs="sign_({0})")

    def _float(self, depth: int) -> Expr:
        both, of = self._both, self.of
        match self.rng.randrange(6):
            case 0:
                return both("({0} + {1})", FLOAT, of(FLOAT, depth), of(FLOAT, depth))
            case 1:
                return both("({0} - {1})", FLOAT, of(FLOAT, depth), of(FLOAT, depth))
            case 2:
                return both(
                    "({0} * cast(0.5 as float))", FLOAT, of(FLOAT, depth), theirs="({0} * 0.5)"
                )
            case 3:
                return both("cast({0} as float)", FLOAT, of(INT, depth), theirs="cast({0} as real)")
            case 4:
                return both("({0} + {1})", FLOAT, of(FLOAT, depth), of(INT, depth))
        return both("floor({0})", FLOAT, of(FLOAT, depth), theirs="floor_({0})")

    def _decimal(self, kind: Kind, depth: int) -> Expr:
        both, of = self._both, self.of
        match self.rng.randrange(5):
            case 0:
                return both("({0} + {1})", kind, of(kind, depth), of(kind, depth))
            case 1:
                return both("({0} - {1})", kind, of(kind, depth), of(kind, depth))
            case 2:
                return both(f"({{0}} * {self.rng.randrange(4)})", kind, of(kind, depth))
            case 3:
                return both(
                    f"cast({{0}} as decimal(12,{kind.scale}))",
                    kind,
                    of(INT, depth),
                    theirs=f"({{0}} * {10**kind.scale})",
                )
        return both("abs({0})", kind, of(kind, depth))

    # ------------------------------------------------------------ texts, timestamps

    def _text(self, depth: int) -> Expr:
        both, of = self._both, self.of
        rng = self.rng
        match rng.randrange(9):
            case 0:
                return both("({0} || {1})", TEXT, of(TEXT, depth), of(TEXT, depth))
            case 1:
                return both(f"{rng.choice(('upper', 'lower'))}({{0}})", TEXT, of(TEXT, depth))
            case 2:
                return both(f"substr({{0}}, {rng.randrange(1, 3)}, 2)", TEXT, of(TEXT, depth))
            case 3:
                return both("left({0}, 1)", TEXT, of(TEXT, depth), theirs="substr({0}, 1, 1)")
            case 4:
                return both("replace({0}, 'a', 'bb')", TEXT, of(TEXT, depth))
            case 5:
                return both("btrim({0})", TEXT, of(TEXT, depth), theirs="trim({0})")
            case 6:
                return both("cast({0} as text)", TEXT, of(INT, depth))
            case 7:
                return both(
                    "concat({0}, {1})",
                    TEXT,
                    of(TEXT, depth),
                    of(TEXT, depth),
                    theirs="(coalesce({0}, '') || coalesce({1}, ''))",
                )
        return both("reverse({0})", TEXT, of(TEXT, depth), theirs="reverse_({0})")

    def _timestamp(self, depth: int) -> Expr:
        at = self.of(TIMESTAMP, depth)
        if self.rng.random() < 0.5:
            return self._both(
                "({0} + interval '90 minutes')", TIMESTAMP, at, theirs="({0} + 5400000000)"
            )
        unit = self.rng.choice(("hour", "day"))
        return self._both(
            f"date_trunc('{unit}', {{0}})", TIMESTAMP, at, theirs=f"{unit}_trunc_({{0}})"
        )

    # ------------------------------------------------------------ conditions

    def _bool(self, depth: int) -> Expr:
        return self.condition(depth)

    def condition(self, depth: int = 2) -> Expr:
        """A bool."""
        both, rng = self._both, self.rng
        kinds = [kind for kind in self.kinds if kind in ORDERED] or [INT]
        kind = rng.choice(kinds)
        draw_ = rng.random()
        if depth > 0 and draw_ < 0.3:
            a, b = self.condition(depth - 1), self.condition(depth - 1)
            if rng.random() < 0.25:
                return both("(not {0})", BOOL, a)
            return both(rng.choice(("({0} and {1})", "({0} or {1})")), BOOL, a, b)
        a = self.of(kind, depth - 1)
        if a.constant:
            a = self.leaf(kind)
        match rng.randrange(9):
            case 0:
                return both(rng.choice(("({0} is null)", "({0} is not null)")), BOOL, a)
            case 1 if kind != BYTES:
                values = [self.constant(kind) for _ in range(3)]
                word = rng.choice(("in", "in", "not in"))
                return both(f"({{0}} {word} ({{1}}, {{2}}, {{3}}))", BOOL, a, *values)
            case 2 if kind != BYTES:
                low, high = self.constant(kind), self.constant(kind)
                return both("({0} between {1} and {2})", BOOL, a, low, high)
            case 3 if kind == TEXT:
                pattern = rng.choice(PATTERNS)
                return both(
                    f"({{0}} like '{pattern}')",
                    BOOL,
                    a,
                    theirs=f"({{0}} like '{pattern}' escape '\\')",
                )
            case 4:
                b = self.of(kind, depth - 1)
                return both("({0} is distinct from {1})", BOOL, a, b, theirs="({0} is not {1})")
            case 5 if BOOL in self.kinds:
                b = self.leaf(BOOL)
                return both("({0} is true)", BOOL, b, theirs="({0} is 1)")
            case 6 if BOOL in self.kinds:
                return self.leaf(BOOL)
            case 7 if kind == DECIMAL2:
                return both("({0} < {1})", BOOL, a, self.leaf(INT), theirs="({0} < {1} * 100)")
        op = rng.choice(("=", "<>", "<", "<=", ">", ">="))
        return both(f"({{0}} {op} {{1}})", BOOL, a, self.of(kind, depth - 1))
