"""Calls of functions: from their nodes to operations, by the catalogue."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from sqlglot import exp

from reifydb.engine.catalog import DECIMAL_PRECISION_MAX, Type
from reifydb.errors import did_you_mean
from reifydb.sql.aggregate_calls import aggregate
from reifydb.sql.aggregates import AGGREGATES
from reifydb.sql.expressions import (
    BYTES,
    FLOAT,
    INT,
    TEXT,
    TIMESTAMP,
    Case,
    Constant,
    Expression,
    Kind,
    Operation,
)
from reifydb.sql.functions import BY_NAME, HINTS, KINDS, TRUNC_UNITS, Function
from reifydb.sql.kinds import cast, is_number

if TYPE_CHECKING:
    from reifydb.sql.expression_reader import ExpressionReader

_TRIM_SIDES = {"LEADING": 1, "TRAILING": 2, "BOTH": 3}
DIGITS_MAX = 18


def call(reader: ExpressionReader, node: exp.Anonymous, wanted: Kind | None) -> Expression:
    """`name(…)`."""
    at = reader.source.start(node, reader.at)
    name = str(node.this if isinstance(node.this, str) else node.this.name).lower()
    if name in AGGREGATES:
        return aggregate(reader, node, None)
    reader.only(node, name, "this", "expressions")
    function = BY_NAME.get(name)
    if function is None:
        hint = HINTS.get(name) or did_you_mean(name, [*BY_NAME, *AGGREGATES])
        reader.refuse(f"there is no function {name}", at, hint=hint)
    arguments = list(node.expressions)
    most = None if "…" in function.arguments else len(function.arguments)
    least = function.least - (most is None)
    if len(arguments) < least or (most is not None and len(arguments) > most):
        reader.refuse(f"{name} has other arguments", at, hint=function.signature)
    special = _SPECIAL.get(function.name)
    if special is not None:
        return replace(special(reader, function, arguments, wanted), at=at)
    return replace(_plain(reader, function, arguments), at=at)


def _plain(reader: ExpressionReader, function: Function, nodes: list[Any]) -> Operation:
    """A function whose arguments have fixed kinds."""
    args = []
    for node, word in zip(nodes, function.arguments, strict=False):
        kind = KINDS[word.strip("[]")]
        found = reader.read(node, kind)
        if kind == FLOAT and is_number(found.kind):
            found = cast(found, FLOAT)
        if found.kind != kind and not (function.name == "octet_length" and found.kind == BYTES):
            hint = f"{function.signature}; a cast is written … ::{kind.sql}"
            message = f"{function.name} takes {kind.sql} here, not {found.kind.sql}"
            reader.refuse(message, found.at, hint=hint)
        args.append(found)
    if function.name in ("lpad", "rpad") and len(args) == 2:
        args.append(Constant(" ", TEXT, args[0].at))
    return _operation(function, tuple(args))


def _operation(
    function: Function, args: tuple[Expression, ...], kind: Kind | None = None
) -> Operation:
    nullable = function.nullable or any(arg.nullable for arg in args)
    result = kind or function.result
    assert result is not None
    return Operation(function.op, args, result, nullable, function.imm, at=args[0].at)


# ------------------------------------------------------------------ functions of several kinds


def _number(reader: ExpressionReader, function: Function, node: Any) -> Expression:
    found = reader.read(node)
    if not is_number(found.kind):
        message = f"{function.name} takes a number, not {found.kind.sql}"
        reader.refuse(message, found.at, hint=function.signature)
    return found


def _abs(reader: ExpressionReader, function: Function, nodes: list[Any], _: Any) -> Expression:
    arg = _number(reader, function, nodes[0])
    return _operation(function, (arg,), arg.kind)


def _sign(reader: ExpressionReader, function: Function, nodes: list[Any], _: Any) -> Expression:
    arg = _number(reader, function, nodes[0])
    return _operation(function, (arg,), FLOAT if arg.kind == FLOAT else INT)


def _mod(reader: ExpressionReader, _: Function, nodes: list[Any], wanted: Any) -> Expression:
    left, right = reader.together(nodes, wanted)
    return reader.computed("mod", "%", left, right)


def _rounded(reader: ExpressionReader, function: Function, nodes: list[Any], _: Any) -> Expression:
    """`round`, `floor`, `ceil`, `trunc`: to whole numbers, or to a constant count of digits."""
    arg = _number(reader, function, nodes[0])
    digits = 0
    if len(nodes) > 1:
        count = reader.read(nodes[1], INT)
        if not isinstance(count, Constant) or not isinstance(count.value, int):
            reader.refuse("the count of digits is a constant", count.at)
        digits = count.value
        if count.kind != INT or not 0 <= digits <= DIGITS_MAX:
            reader.refuse(f"the count of digits is from 0 to {DIGITS_MAX}", count.at)
        if arg.kind == FLOAT:
            hint = "cast it first: round(x::decimal(18,6), 2)"
            reader.refuse(f"{function.name} to digits takes a decimal", arg.at, hint=hint)
    if arg.kind == INT:
        return arg
    if arg.kind == FLOAT:
        return _operation(function, (arg,), FLOAT)
    precision, scale = arg.kind.precision, arg.kind.scale
    if digits >= scale:
        return arg
    whole = precision - scale + (function.name != "trunc")
    kind = Kind(Type.DECIMAL, min(DECIMAL_PRECISION_MAX, max(1, whole + digits)), digits)
    return _operation(function, (arg,), kind)


def _concat(reader: ExpressionReader, _: Function, nodes: list[Any], __: Any) -> Expression:
    """`concat`: nulls are left out."""
    parts = [reader.read(node, TEXT) for node in nodes]
    parts = [part if part.kind == TEXT else _text(reader, part) for part in parts]
    whole: Expression | None = None
    for part in parts:
        if part.nullable:
            args = (part, Constant("", TEXT, part.at))
            part = Operation("coalesce", args, TEXT, False, at=part.at)
        whole = (
            part
            if whole is None
            else Operation("concat", (whole, part), TEXT, False, at=parts[0].at)
        )
    assert whole is not None
    return whole


def _text(reader: ExpressionReader, part: Expression) -> Expression:
    if part.kind == BYTES or part.kind.interval:
        reader.refuse(f"{part.kind.sql} cannot be cast to text", part.at)
    return cast(part, TEXT)


def _choice(
    reader: ExpressionReader, function: Function, nodes: list[Any], wanted: Any
) -> Expression:
    """`coalesce`, `greatest`, `least`: null only when all are."""
    args = reader.unified(nodes, function.name, wanted)
    nullable = all(arg.nullable for arg in args)
    if len(args) == 1:
        return args[0]
    return Operation(function.op, tuple(args), args[0].kind, nullable, at=args[0].at)


def _nullif(reader: ExpressionReader, _: Function, nodes: list[Any], wanted: Any) -> Expression:
    left, right = reader.together(nodes, wanted)
    reader.check_comparable(left, right, "=")
    equal = reader.compared("eq", *reader.fitted(left, right))
    return Case(((equal, Constant(None, left.kind, left.at)),), left, left.kind, True, left.at)


def _date_trunc(reader: ExpressionReader, _: Function, nodes: list[Any], __: Any) -> Expression:
    unit = reader.read(nodes[0], TEXT)
    name = unit.value.lower() if isinstance(unit, Constant) and isinstance(unit.value, str) else ""
    name = {"milliseconds": "millisecond"}.get(name, name)
    if name not in TRUNC_UNITS:
        hint = "one of '" + "', '".join(TRUNC_UNITS) + "'"
        reader.refuse("date_trunc takes a unit, as a string", unit.at, hint=hint)
    arg = reader.read(nodes[1], TIMESTAMP)
    if arg.kind != TIMESTAMP:
        reader.refuse(f"date_trunc takes a timestamp, not {arg.kind.sql}", arg.at)
    imm = TRUNC_UNITS[name]
    return Operation("date_trunc", (arg,), TIMESTAMP, arg.nullable, imm, at=arg.at)


_SPECIAL: dict[str, Callable[[ExpressionReader, Function, list[Any], Kind | None], Expression]] = {
    "abs": _abs,
    "sign": _sign,
    "mod": _mod,
    "round": _rounded,
    "floor": _rounded,
    "ceil": _rounded,
    "trunc": _rounded,
    "concat": _concat,
    "coalesce": _choice,
    "greatest": _choice,
    "least": _choice,
    "nullif": _nullif,
    "date_trunc": _date_trunc,
}


# ------------------------------------------------------------------ functions with own grammar


def trim(reader: ExpressionReader, node: exp.Trim, _: Kind | None) -> Expression:
    """`trim([leading | trailing | both] [characters] from text)`."""
    reader.only(node, "trim", "this", "expression", "position")
    nodes = [node.this] + ([node.args["expression"]] if node.args.get("expression") else [])
    args = reader.texts(nodes, "trim")
    imm = _TRIM_SIDES[str(node.args.get("position") or "BOTH").upper()]
    return Operation("trim", args, TEXT, any(a.nullable for a in args), imm, at=args[0].at)


def substring(reader: ExpressionReader, node: exp.Substring, _: Kind | None) -> Expression:
    """`substring(text from 2 for 3)`, `substring(text, 2, 3)`."""
    reader.only(node, "substring", "this", "start", "length")
    start = node.args.get("start") or exp.Literal.number(1)
    length = node.args.get("length")
    return _plain(reader, BY_NAME["substr"], [node.this, start] + ([length] if length else []))


def position(reader: ExpressionReader, node: exp.StrPosition, _: Kind | None) -> Expression:
    """`position(text in text)`."""
    reader.only(node, "position", "this", "substr")
    return _plain(reader, BY_NAME["strpos"], [node.this, node.args["substr"]])
