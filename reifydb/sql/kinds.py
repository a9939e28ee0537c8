"""Typing rules: what kind an operation's result has, and what its operands become for it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from reifydb.engine.catalog import DECIMAL_PRECISION_MAX, Type
from reifydb.engine.values import INT_MAX, INT_MIN
from reifydb.sql.conversions import conversion
from reifydb.sql.expressions import (
    FLOAT,
    INT,
    INTERVAL,
    TIMESTAMP,
    Constant,
    Expression,
    Kind,
    Operation,
)

QUOTIENT_SCALE_MIN = 6
"""Digits behind the point that a quotient has at least, and a product that has too many."""


def is_number(kind: Kind) -> bool:
    """Whether it is an int, a decimal or a float."""
    return kind.type in (Type.INT, Type.DECIMAL, Type.FLOAT) and not kind.interval


def decimal_kind(node: Expression) -> Kind:
    """An int or a decimal as a decimal; of a constant no more digits than it has."""
    if node.kind.type is Type.DECIMAL:
        return node.kind
    if isinstance(node, Constant) and isinstance(node.value, int):
        return Kind(Type.DECIMAL, min(DECIMAL_PRECISION_MAX, len(str(abs(node.value)))), 0)
    return Kind(Type.DECIMAL, DECIMAL_PRECISION_MAX, 0)


def common_kind(nodes: Sequence[Expression]) -> Kind | None:
    """The kind that values of all of these can have; None when there is none."""
    kinds = {node.kind for node in nodes}
    if len(kinds) == 1:
        return kinds.pop()
    if not all(map(is_number, kinds)):
        return None
    if any(kind.type is Type.FLOAT for kind in kinds):
        return FLOAT
    decimals = [decimal_kind(node) for node in nodes]
    scale = max(kind.scale for kind in decimals)
    whole = max(kind.precision - kind.scale for kind in decimals)
    return Kind(Type.DECIMAL, min(DECIMAL_PRECISION_MAX, whole + scale), scale)


def arithmetic_kind(op: str, left: Expression, right: Expression) -> Kind | None:
    """The kind of `left op right`; None when there is no such operation."""
    kinds = left.kind, right.kind
    if not (is_number(kinds[0]) and is_number(kinds[1])):
        return _time_kind(op, *kinds)
    if FLOAT in kinds:
        return FLOAT
    if kinds == (INT, INT):
        return INT
    a, b = decimal_kind(left), decimal_kind(right)
    scale = max(a.scale, b.scale)
    match op:
        case "mul":
            precision, product = a.precision + b.precision, a.scale + b.scale
            if product > DECIMAL_PRECISION_MAX:
                product = max(scale, QUOTIENT_SCALE_MIN)
            return Kind(Type.DECIMAL, min(DECIMAL_PRECISION_MAX, precision), product)
        case "div":
            scale = min(DECIMAL_PRECISION_MAX, max(scale, QUOTIENT_SCALE_MIN))
            return Kind(Type.DECIMAL, DECIMAL_PRECISION_MAX, scale)
    whole = max(a.precision - a.scale, b.precision - b.scale)
    precision = whole + scale + (op != "mod")
    return Kind(Type.DECIMAL, min(DECIMAL_PRECISION_MAX, precision), scale)


def _time_kind(op: str, left: Kind, right: Kind) -> Kind | None:
    match op, left, right:
        case ("sub", Kind(type=Type.TIMESTAMP), Kind(type=Type.TIMESTAMP)):
            return INTERVAL
        case ("add" | "sub", Kind(type=Type.TIMESTAMP), Kind(interval=True)):
            return TIMESTAMP
        case ("add", Kind(interval=True), Kind(type=Type.TIMESTAMP)):
            return TIMESTAMP
        case ("add" | "sub", Kind(interval=True), Kind(interval=True)):
            return INTERVAL
        case ("mul" | "div", Kind(interval=True), _) if right == INT:
            return INTERVAL
        case ("mul", _, Kind(interval=True)) if left == INT:
            return INTERVAL
    return None


def can_cast(source: Kind, target: Kind) -> bool:
    """Whether `cast` knows the way."""
    try:
        conversion(source, target)
    except KeyError:
        return False
    return True


def cast(node: Expression, kind: Kind) -> Expression:
    """The node as another kind, which there is a cast to. Numbers that stay exact are cast now."""
    if node.kind == kind:
        return node
    if isinstance(node, Constant):
        folded = _folded(node, kind)
        if folded is not None:
            return folded
    return Operation("cast", (node,), kind, node.nullable, at=node.at)


def _folded(node: Constant, kind: Kind) -> Constant | None:
    value = node.value
    if value is None:
        return replace(node, kind=kind)
    if not (is_number(node.kind) and is_number(kind)) or isinstance(value, str | bytes):
        return None
    if kind.type is Type.FLOAT:
        return replace(node, value=value / 10**node.kind.scale, kind=kind)
    if kind.type is Type.DECIMAL and isinstance(value, int):
        units, rest = divmod(value * 10**kind.scale, 10**node.kind.scale)
        if rest == 0 and abs(units) < 10**kind.precision:
            return replace(node, value=units, kind=kind)
    if kind.type is Type.INT and isinstance(value, int):
        units, rest = divmod(value, 10**node.kind.scale)
        if rest == 0 and INT_MIN <= units <= INT_MAX:
            return replace(node, value=units, kind=kind)
    return None
