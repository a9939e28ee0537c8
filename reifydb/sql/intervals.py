"""Lengths of time as SQL writes them: `interval '1 day 02:30'`, `interval '5' minute`."""

from __future__ import annotations

import re
from fractions import Fraction

SECOND = 1_000_000
_UNITS = {
    "microsecond": 1,
    "millisecond": 1000,
    "second": SECOND,
    "minute": 60 * SECOND,
    "hour": 3600 * SECOND,
    "day": 86_400 * SECOND,
    "week": 7 * 86_400 * SECOND,
}
_MONTHS = {"month": 1, "quarter": 3, "year": 12}
_SHORT = dict(
    part.split("=")
    for part in (
        "us=microsecond ms=millisecond s=second sec=second m=minute min=minute h=hour hr=hour "
        "d=day w=week mon=month y=year yr=year"
    ).split()
)
_PART = re.compile(
    r"([+-]?)([0-9]{1,15}(?:\.[0-9]{1,9})?)\s*([a-z]+)|([+-]?)([0-9]{1,6}):([0-5][0-9])"
    r"(?::([0-5][0-9](?:\.[0-9]{1,6})?))?"
)
MICROSECONDS_MAX, MONTHS_MAX = 1 << 62, 120_000


def parse_interval(text: str) -> tuple[int, int]:
    """Months and microseconds of an interval; a day has 24 hours.

    Raises:
        ValueError: It is not one; the text says why.

    >>> parse_interval("1 year 2 months 5 minutes")
    (14, 300000000)
    """
    rest, months, microseconds = text.strip().lower(), Fraction(0), Fraction(0)
    if not rest:
        raise ValueError("an interval has parts such as 5 minutes")
    while rest:
        found = _PART.match(rest)
        if not found:
            raise ValueError(f"{rest[:40]!r} is not a number and a unit such as 5 minutes")
        sign, number, word, clock_sign, hours, minutes, seconds = found.groups()
        if word is None:
            clock = (int(hours) * 60 + int(minutes)) * 60 + Fraction(seconds or 0)
            microseconds += clock * SECOND * (-1 if clock_sign == "-" else 1)
        else:
            amount = Fraction(number) * (-1 if sign == "-" else 1)
            unit = _unit(word)
            if unit in _MONTHS:
                months += amount * _MONTHS[unit]
            else:
                microseconds += amount * _UNITS[unit]
        rest = rest[found.end() :].lstrip()
    if months.denominator != 1 or microseconds.denominator != 1:
        raise ValueError("an interval has whole months and whole microseconds")
    if abs(months) > MONTHS_MAX or abs(microseconds) > MICROSECONDS_MAX:
        raise ValueError("the interval is too long")
    return int(months), int(microseconds)


def _unit(word: str) -> str:
    unit = _SHORT.get(word, word)
    unit = _SHORT.get(unit.removesuffix("s"), unit.removesuffix("s")) if len(unit) > 2 else unit
    if unit not in _UNITS and unit not in _MONTHS:
        raise ValueError(f"there is no unit {word!r}: microsecond to week, month, quarter, year")
    return unit


def render_interval(microseconds: int) -> str:
    """An interval without months, as `parse_interval` reads it.

    >>> render_interval(300_000_000), render_interval(-1)
    ('5 minute', '-1 microsecond')
    """
    for unit in ("day", "hour", "minute", "second", "millisecond"):
        if microseconds % _UNITS[unit] == 0:
            return f"{microseconds // _UNITS[unit]} {unit}"
    return f"{microseconds} microsecond"
