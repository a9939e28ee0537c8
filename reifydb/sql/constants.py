"""Constants from literals: numbers by how they are written, strings by what they are to become."""

from __future__ import annotations

import math
import re

from sqlglot import exp

from reifydb.engine.catalog import DECIMAL_PRECISION_MAX, Type
from reifydb.engine.values import INT_MAX, INT_MIN
from reifydb.sql import literals
from reifydb.sql.expressions import FLOAT, INT, INTERVAL, TEXT, Constant, Kind
from reifydb.sql.intervals import parse_interval

__all__ = ["of_number", "of_string", "parse_interval"]

_NUMBER = re.compile(r"([+-]?)([0-9]*)(?:\.([0-9]*))?([eE][+-]?[0-9]+)?")


def of_number(text: str, at: int) -> Constant:
    """`1` is an int, `1.5` a decimal of as many digits as it has, `1e3` a float.

    Raises:
        ValueError: It is not a number, or none that fits; the text says why.
    """
    found = _NUMBER.fullmatch(text)
    if not found or not (found[2] or found[3]):
        raise ValueError(f"{text[:40]!r} is not a number")
    sign, whole, behind, exponent = found.groups()
    if exponent is not None:
        number = float(text)
        if not math.isfinite(number):
            raise ValueError("out of range: a float is finite")
        return Constant(number + 0.0, FLOAT, at)
    whole = whole.lstrip("0")
    if behind is None:
        if len(whole) > 19 or not INT_MIN <= int(sign + (whole or "0")) <= INT_MAX:
            raise ValueError("out of range: an int has 64 bits")
        return Constant(int(sign + (whole or "0")), INT, at)
    digits = len(whole) + len(behind)
    if digits > DECIMAL_PRECISION_MAX:
        raise ValueError(f"a decimal has at most {DECIMAL_PRECISION_MAX} digits")
    kind = Kind(Type.DECIMAL, max(1, digits), len(behind))
    return Constant(int(sign + (whole + behind or "0")), kind, at)


def of_string(text: str, kind: Kind, at: int) -> Constant:
    """A string as a value of another kind; a number keeps the digits that it has.

    Raises:
        ValueError: It is no value of this kind; the text says why.
    """
    if kind == TEXT:
        return Constant(text, TEXT, at)
    if kind.interval:
        months, microseconds = parse_interval(text)
        if months:
            raise ValueError("months and years have no fixed length")
        return Constant(microseconds, INTERVAL, at)
    if kind.type is Type.BOOL:
        word = text.strip().lower()
        if word not in _BOOLS:
            raise ValueError(f"{text[:40]!r} is not true or false")
        return Constant(_BOOLS[word], kind, at)
    if kind.type in (Type.INT, Type.DECIMAL, Type.FLOAT):
        found = of_number(text.strip(), at)
        if kind == INT and found.kind != INT:
            raise ValueError(f"{text[:40]!r} is not a whole number")
        return found
    try:
        value = literals.value(kind.column("literal"), exp.Literal.string(text))
    except literals.LiteralError as error:
        example = literals.EXAMPLES[kind.type]
        raise ValueError(f"{text[:40]!r} is no {kind.sql}: {error}, {example}") from None
    return Constant(value, kind, at)


_BOOLS = {"true": True, "t": True, "yes": True, "on": True, "1": True}
_BOOLS |= {"false": False, "f": False, "no": False, "off": False, "0": False}
