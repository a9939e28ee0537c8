"""From syntax trees to typed expressions. Each node is one that is known here, or it is refused.

What has no type of its own (a string, null, a parameter) takes that of what it stands beside, so of
several operands those that have one are read first.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NoReturn

from sqlglot import exp

from reifydb.engine.values import INT_MIN
from reifydb.sql import aggregate_calls, calls, constants, forms
from reifydb.sql.expressions import (
    BOOL,
    FLOAT,
    INT,
    INTERVAL,
    TEXT,
    TIMESTAMP,
    Constant,
    Expression,
    Kind,
    Operation,
    Parameter,
)
from reifydb.sql.functions import HINTS
from reifydb.sql.kinds import arithmetic_kind, cast, common_kind, is_number
from reifydb.sql.numbering import refuse_window
from reifydb.sql.parameters import Parameters
from reifydb.sql.query import Aggregate
from reifydb.sql.reader import CAST_HINT, Reader, bare
from reifydb.sql.scope import NameNotFoundError, Scope
from reifydb.sql.source import Source

if TYPE_CHECKING:
    from reifydb.sql.subqueries import Subqueries

_COMPARISONS: dict[type, tuple[str, str]] = {
    exp.EQ: ("eq", "="),
    exp.NEQ: ("ne", "<>"),
    exp.LT: ("lt", "<"),
    exp.LTE: ("le", "<="),
    exp.GT: ("gt", ">"),
    exp.GTE: ("ge", ">="),
}
_ARITHMETIC: dict[type, tuple[str, str]] = {
    exp.Add: ("add", "+"),
    exp.Sub: ("sub", "-"),
    exp.Mul: ("mul", "*"),
    exp.Div: ("div", "/"),
    exp.Mod: ("mod", "%"),
}


_NOT_COMPARED = {*_COMPARISONS, exp.Is, exp.NullSafeEQ, exp.NullSafeNEQ}


class ExpressionReader(Reader):
    """Reads the expressions of one clause; see `Reader`.

    Attributes:
        clause: What the expressions stand in, for people.
        aggregates: Where aggregates go; None where there can be none.
        aggregate_hint: What is said to an aggregate then.
        subqueries: What reads subqueries; None where there can be none.
        subquery_hint: What is said to a subquery then.
    """

    def __init__(
        self, source: Source, at: int, scope: Scope, parameters: Parameters, clause: str
    ) -> None:
        super().__init__(source, at)
        self.scope, self.parameters, self.clause = scope, parameters, clause
        self.aggregates: list[Aggregate] | None = None
        self.aggregate_hint = ""
        self.subqueries: Subqueries | None = None
        self.subquery_hint = ""

    def read(self, node: object, wanted: Kind | None = None) -> Expression:
        """The typed expression of a node.

        Args:
            wanted: The kind that it takes if it has none of its own. It may have another.
        """
        reader = _READERS.get(type(node))
        if reader is None or not isinstance(node, exp.Expression):
            self.refuse_expression(node)
        return reader(self, node, wanted)

    def condition(self, node: object, clause: str) -> Expression:
        """An expression that is true, false or null."""
        found = self.read(node, BOOL)
        if found.kind != BOOL:
            self.refuse(f"{clause} takes a condition, not {found.kind.sql}", found.at)
        return found

    def together(self, nodes: Sequence[Any], wanted: Kind | None = None) -> list[Expression]:
        """Several nodes whose values meet: those without a kind take that of the others."""
        found = {i: self.read(node) for i, node in enumerate(nodes) if not self.is_open(node)}
        kind = common_kind(list(found.values())) if found else wanted
        for i, node in enumerate(nodes):
            if i not in found:
                found[i] = self.read(node, kind)
                kind = kind or found[i].kind
        return [found[i] for i in range(len(nodes))]

    def unified(self, nodes: Sequence[Any], what: str, wanted: Kind | None) -> list[Expression]:
        """Several nodes of which one becomes the value: cast to one kind."""
        found = self.together(nodes, wanted)
        kind = common_kind(found)
        if kind is None:
            other = next(one for one in found if common_kind([found[0], one]) is None)
            message = f"{what} has values of types {found[0].kind.sql} and {other.kind.sql}"
            self.refuse(message, other.at, hint=CAST_HINT)
        return [cast(one, kind) for one in found]

    def is_open(self, node: exp.Expression) -> bool:
        """Whether a node takes the kind of what it stands beside."""
        node = bare(node)
        if isinstance(node, exp.Placeholder | exp.Parameter):
            return self.parameters.kind(node) is None
        return isinstance(node, exp.Null) or (isinstance(node, exp.Literal) and node.is_string)

    # -------------------------------------------------------------- leaves

    def column(self, node: exp.Column, _: Kind | None) -> Expression:
        """A column of an input."""
        at = self.source.start(node, self.at)
        if isinstance(node.this, exp.Star):
            self.refuse("* stands alone, or in count(*)", at)
        self.only(node, "a column's name", "this", "table")
        table = node.args.get("table")
        alias = None if table is None else self.name(table, "table")
        try:
            return self.scope.column(self.name(node.this, "column"), alias, at)
        except NameNotFoundError as error:
            self.refuse(str(error), at, hint=error.hint)

    def literal(self, node: exp.Literal, wanted: Kind | None) -> Expression:
        """A number, or a string that may become something else."""
        at = self.source.start(node, self.at)
        try:
            if node.is_string:
                return constants.of_string(str(node.this), wanted or TEXT, at)
            return constants.of_number(str(node.this), at)
        except ValueError as error:
            self.refuse(str(error), at)

    def boolean(self, node: exp.Boolean, _: Kind | None) -> Expression:
        """`true`, `false`."""
        return Constant(bool(node.this), BOOL, self.source.start(node, self.at))

    def null(self, node: exp.Null, wanted: Kind | None) -> Expression:
        """`null`, which is a text where nothing says what else."""
        return Constant(None, wanted or TEXT, self.source.start(node, self.at))

    def parameter(self, node: exp.Expression, wanted: Kind | None) -> Expression:
        """`:name`, `?`, `$1`."""
        at, index = self.source.start(node, self.at), self.parameters.index(node)
        kind = self.parameters.kinds[index] or wanted
        if kind is None or kind.interval:
            self.refuse("nothing says what type this parameter has", at, hint=CAST_HINT)
        self.parameters.kinds[index] = kind
        return Parameter(index, kind, at=at)

    # -------------------------------------------------------------- operators

    def paren(self, node: exp.Paren, wanted: Kind | None) -> Expression:
        """`(…)`."""
        self.only(node, "(…)", "this")
        return self.read(node.this, wanted)

    def connective(self, node: exp.Expression, _: Kind | None) -> Expression:
        """`and`, `or`; chains become one operation."""
        kind, op = type(node), "and" if isinstance(node, exp.And) else "or"
        parts: list[Any] = [node]
        while isinstance(parts[0], kind):
            self.only(parts[0], op, "this", "expression")
            parts[0:1] = [parts[0].this, parts[0].args["expression"]]
        args = [self.condition(part, op) for part in parts]
        flat = tuple(
            one
            for arg in args
            for one in (arg.args if isinstance(arg, Operation) and arg.op == op else (arg,))
        )
        return Operation(op, flat, BOOL, any(a.nullable for a in args), at=args[0].at)

    def negation(self, node: exp.Not, _: Kind | None) -> Expression:
        """`not`."""
        return self.negated(self.condition(node.this, "not"))

    def negated(self, arg: Expression) -> Operation:
        """What is true where the operand is false."""
        return Operation("not", (arg,), BOOL, arg.nullable, at=arg.at)

    def comparison(self, node: exp.Expression, _: Kind | None) -> Expression:
        """`=`, `<` and so on."""
        op, sign = _COMPARISONS[type(node)]
        for side in (node.this, node.args["expression"]):
            if type(side) in _NOT_COMPARED:  # here PostgreSQL's precedence is another
                at = self.source.start(side, self.at)
                self.refuse(f"which is meant beside {sign}?", at, hint="put parentheses around it")
        left, right = self.pair(node.this, node.args["expression"], sign)
        return self.compared(op, left, right)

    def compared(self, op: str, left: Expression, right: Expression) -> Operation:
        """A comparison of two expressions that can be compared."""
        return Operation(op, (left, right), BOOL, left.nullable or right.nullable, at=left.at)

    def pair(self, first: Any, second: Any, sign: str) -> tuple[Expression, Expression]:
        """Two operands that are compared. Numbers may stay of different scales."""
        left, right = self.together([first, second])
        self.check_comparable(left, right, sign)
        return self.fitted(left, right)

    def fitted(self, left: Expression, right: Expression) -> tuple[Expression, Expression]:
        """Two operands of a comparison; one that is a constant in the kind of the other."""
        left = self.adapted(left, right)
        return left, self.adapted(right, left)

    def check_comparable(self, left: Expression, right: Expression, sign: str) -> None:
        """Both are numbers, or of one kind."""
        if common_kind([left, right]) is None:
            self.refuse_operands(sign, left, right)

    def adapted(self, one: Expression, other: Expression) -> Expression:
        """A constant in the kind of the number that it meets, if that is exact."""
        if FLOAT in (one.kind, other.kind):
            return cast(one, FLOAT)
        if isinstance(one, Constant) and is_number(one.kind):
            fitted = cast(one, other.kind)
            return fitted if isinstance(fitted, Constant) else one
        return one

    def distinct(self, node: exp.Expression, _: Kind | None) -> Expression:
        """`is [not] distinct from`."""
        self.only(node, "is distinct from", "this", "expression")
        left, right = self.pair(node.this, node.args["expression"], "is distinct from")
        same = Operation("same", (left, right), BOOL, False, at=left.at)
        return same if isinstance(node, exp.NullSafeEQ) else self.negated(same)

    def is_(self, node: exp.Is, _: Kind | None) -> Expression:
        """`is [not] null`, `is [not] true`."""
        self.only(node, "is", "this", "expression", "negate")
        what, negate = node.args["expression"], bool(node.args.get("negate"))
        if isinstance(what, exp.Null):
            arg = self.read(node.this)
            op = "is_value" if negate else "is_null"
            return Operation(op, (arg,), BOOL, False, at=arg.at)
        if not isinstance(what, exp.Boolean):
            self.refuse_expression(node)
        arg = self.condition(node.this, "is true")
        wanted = Constant(bool(what.this), BOOL, arg.at)
        same = Operation("same", (arg, wanted), BOOL, False, at=arg.at)
        return self.negated(same) if negate else same

    def between(self, node: exp.Between, _: Kind | None) -> Expression:
        """`between … and …`."""
        self.only(node, "between", "this", "low", "high")
        low, high = node.args["low"], node.args["high"]
        value, bottom, top = self.together([node.this, low, high])
        for bound in (bottom, top):
            self.check_comparable(value, bound, "between")
        parts = (
            self.compared("ge", *self.fitted(value, bottom)),
            self.compared("le", *self.fitted(value, top)),
        )
        return Operation("and", parts, BOOL, any(p.nullable for p in parts), at=value.at)

    def in_(self, node: exp.In, _: Kind | None) -> Expression:
        """`in (…)`."""
        if node.args.get("query") is not None:
            return self.subquery(node, "in (select …)").in_(self, node)
        self.only(node, "in", "this", "expressions")
        if not node.expressions:
            self.refuse("in takes at least one value", self.source.start(node, self.at))
        value, *options = self.together([node.this, *node.expressions])
        for option in options:
            self.check_comparable(value, option, "in")
        options = [self.adapted(option, value) for option in options]
        nullable = value.nullable or any(option.nullable for option in options)
        return Operation("in", (value, *options), BOOL, nullable, at=value.at)

    def like(self, node: exp.Expression, _: Kind | None, escape: str = "\\") -> Expression:
        """`[not] like`, `ilike`."""
        self.only(node, "like", "this", "expression", "negate")
        args = self.texts([node.this, node.args["expression"]], "like")
        imm = isinstance(node, exp.ILike) | (ord(escape) << 8 if escape else 0)
        nullable = any(arg.nullable for arg in args)
        found = Operation("like", args, BOOL, nullable, imm, at=args[0].at)
        return self.negated(found) if node.args.get("negate") else found

    def texts(self, nodes: Sequence[Any], what: str) -> tuple[Expression, ...]:
        """Operands that are texts."""
        found = tuple(self.read(node, TEXT) for node in nodes)
        for one in found:
            if one.kind != TEXT:
                self.refuse(f"{what} takes text, not {one.kind.sql}", one.at, hint=CAST_HINT)
        return found

    def concatenation(self, node: exp.DPipe, _: Kind | None) -> Expression:
        """`||`."""
        left, right = self.texts([node.this, node.args["expression"]], "||")
        return Operation("concat", (left, right), TEXT, left.nullable or right.nullable, at=left.at)

    def negative(self, node: exp.Neg, wanted: Kind | None) -> Expression:
        """`-x`."""
        at, inner = self.source.start(node, self.at), bare(node.this)
        if isinstance(inner, exp.Literal) and not inner.is_string:
            try:
                return constants.of_number("-" + str(inner.this), at)
            except ValueError as error:
                self.refuse(str(error), at)
        arg = self.read(node.this, wanted)
        if not (is_number(arg.kind) or arg.kind.interval):
            self.refuse(f"there is no - {arg.kind.sql}", arg.at)
        value = arg.value if isinstance(arg, Constant) else None
        if isinstance(arg, Constant) and isinstance(value, int | float) and value != INT_MIN:
            return replace(arg, value=0 - value, at=at)
        return Operation("neg", (arg,), arg.kind, arg.nullable, at=arg.at)

    def arithmetic(self, node: exp.Expression, wanted: Kind | None) -> Expression:
        """`+ - * / %`."""
        op, sign = _ARITHMETIC[type(node)]
        first, second = node.this, node.args["expression"]
        if op in ("add", "sub") and isinstance(bare(second), exp.Interval):
            return self.moved(first, bare(second), op, sign)
        if op == "add" and isinstance(bare(first), exp.Interval):
            return self.moved(second, bare(first), op, sign, turned=True)
        left, right = self.together([first, second], wanted)
        return self.computed(op, sign, left, right)

    def computed(self, op: str, sign: str, left: Expression, right: Expression) -> Expression:
        """`left op right`, if there is such an operation."""
        kind = arithmetic_kind(op, left, right)
        if kind is None:
            self.refuse_operands(sign, left, right)
        if kind == FLOAT:
            left, right = cast(left, FLOAT), cast(right, FLOAT)
        return Operation(op, (left, right), kind, left.nullable or right.nullable, at=left.at)

    def moved(
        self, other: Any, interval: exp.Interval, op: str, sign: str, *, turned: bool = False
    ) -> Expression:
        """`x + interval '…'`: months are added first, by the calendar, then the rest."""
        months, microseconds, at = forms.interval_parts(self, interval)
        left = self.read(other, TIMESTAMP)
        if months:
            if left.kind != TIMESTAMP:
                forms.interval(self, interval, None)
            count = Constant(-months if op == "sub" else months, INT, at)
            left = Operation("add_months", (left, count), TIMESTAMP, left.nullable, at=left.at)
            if not microseconds:
                return left
        length = Constant(microseconds, INTERVAL, at)
        first, second = (length, left) if turned and not months else (left, length)
        return self.computed(op, sign, first, second)

    # -------------------------------------------------------------- subqueries

    def exists(self, node: exp.Exists, _: Kind | None) -> Expression:
        """`exists (select …)`."""
        return self.subquery(node, "exists (select …)").exists(self, node)

    def value_of(self, node: exp.Expression, _: Kind | None) -> Expression:
        """`(select …)` for its value."""
        return self.subquery(node, "a subquery").value(self, node)

    def subquery(self, node: exp.Expression, what: str) -> Subqueries:
        """What reads subqueries, if there may be one."""
        if self.subqueries is None:
            at = self.source.start(node, self.at)
            self.refuse(f"{what} cannot stand in {self.clause}", at, hint=self.subquery_hint)
        return self.subqueries

    # -------------------------------------------------------------- what is refused

    def refuse_operands(self, sign: str, left: Expression, right: Expression) -> NoReturn:
        """An operator that is not for these kinds."""
        message = f"there is no {left.kind.sql} {sign} {right.kind.sql}"
        self.refuse(message, left.at, hint=CAST_HINT)

    def refuse_expression(self, node: object) -> NoReturn:
        """Something that has no meaning here."""
        at = self.source.start(node, self.at) if isinstance(node, exp.Expression) else self.at
        words = "".join(f" {c.lower()}" if c.isupper() else c for c in type(node).__name__)
        words = words.strip()
        hint = _NODE_HINTS.get(type(node), HINTS.get(words.replace(" ", "_"), ""))
        self.refuse(f"{words} is not supported here", at, hint=hint or self.source.hint)


_NODE_HINTS: dict[type, str] = {
    exp.Any: "… in (select …), or min and max: … > (select min(…) …)",
    exp.All: "min and max: … > (select max(…) …)",
    exp.RegexpLike: "like, or starts_with(…)",
    exp.RegexpILike: "ilike",
    exp.SimilarTo: "like",
    exp.AtTimeZone: "every timestamp is UTC: add an interval",
    exp.Tuple: "compare one column after the other, with and",
    exp.CurrentDate: HINTS["now"],
    exp.CurrentTimestamp: HINTS["now"],
    exp.Kwarg: "values by name are for views with parameters, in from",
    exp.Bracket: "json is read with -> and ->>",
}
_READERS: dict[type, Callable[[ExpressionReader, Any, Kind | None], Expression]] = {
    exp.Column: ExpressionReader.column,
    exp.Literal: ExpressionReader.literal,
    exp.Boolean: ExpressionReader.boolean,
    exp.Null: ExpressionReader.null,
    exp.Placeholder: ExpressionReader.parameter,
    exp.Parameter: ExpressionReader.parameter,
    exp.Interval: forms.interval,
    exp.Paren: ExpressionReader.paren,
    exp.And: ExpressionReader.connective,
    exp.Or: ExpressionReader.connective,
    exp.Not: ExpressionReader.negation,
    **dict.fromkeys(_COMPARISONS, ExpressionReader.comparison),
    exp.NullSafeEQ: ExpressionReader.distinct,
    exp.NullSafeNEQ: ExpressionReader.distinct,
    exp.Is: ExpressionReader.is_,
    exp.Between: ExpressionReader.between,
    exp.In: ExpressionReader.in_,
    exp.Like: ExpressionReader.like,
    exp.ILike: ExpressionReader.like,
    exp.Escape: forms.escape,
    exp.DPipe: ExpressionReader.concatenation,
    exp.Neg: ExpressionReader.negative,
    **dict.fromkeys(_ARITHMETIC, ExpressionReader.arithmetic),
    exp.Pow: forms.power,
    exp.JSONExtract: forms.json,
    exp.JSONExtractScalar: forms.json,
    exp.Case: forms.case,
    exp.Cast: forms.convert,
    exp.Extract: forms.extract,
    exp.Exists: ExpressionReader.exists,
    exp.Subquery: ExpressionReader.value_of,
    exp.Select: ExpressionReader.value_of,
    exp.Anonymous: calls.call,
    exp.Trim: calls.trim,
    exp.Substring: calls.substring,
    exp.StrPosition: calls.position,
    exp.Filter: aggregate_calls.filtered,
    exp.WithinGroup: aggregate_calls.within_group,
    exp.Window: lambda reader, node, _: refuse_window(reader, node),
}
