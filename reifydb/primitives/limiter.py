"""Rate limiters: `create limiter api (client text) rate 100 per '1 minute' burst 20`.

A bucket of `burst` tokens for each key, full at first, into which `rate` tokens come back per
period, evenly (kernel/limiter.zig). So in any stretch of time no more are taken than `burst` and
what comes back in it.
"""

from __future__ import annotations

from reifydb.engine.catalog import Column, Primitive, Table, Type
from reifydb.primitives.kind import Kind, declared_key, key_columns
from reifydb.primitives.operation import Operation

OWN = (
    Column("level", Type.FLOAT, nullable=False),
    Column("at", Type.TIMESTAMP, nullable=False),
    Column("missing", Type.INT, nullable=False),
)
"""Tokens that were left, when that was, and what was missing exactly: tokens times microseconds of
the period."""

_TAKE, _PEEK, _RESET = 10, 11, 12


def limiter_table(
    name: str, key: tuple[Column, ...], rate: int, period_us: int, burst: int
) -> Table:
    """The table of a limiter, without a number.

    Args:
        key: Its columns; none: there is one bucket.
        rate, period_us: So many tokens come back in so many microseconds.
        burst: Tokens of a full bucket.
    """
    columns = key_columns(name, key)
    settings = (("rate", rate), ("period_us", period_us), ("burst", burst))
    keys = tuple(range(len(columns)))
    return Table(name, (*columns, *OWN), keys, primitive=Primitive("limiter", settings))


def _operations(table: Table) -> tuple[Operation, ...]:
    key, count = declared_key(table), Column("count", Type.INT, nullable=False)
    settings = _settings(table)
    answer = (
        Column("allowed", Type.BOOL, nullable=False),
        Column("remaining", Type.INT, nullable=False),
        Column("retry_after_us", Type.INT),
    )
    reset = (Column("was_there", Type.INT, nullable=False),)
    taken = "takes tokens, if they are there"
    asked = "whether they are there"
    return (
        Operation("take", _TAKE, (*key, count), answer, True, settings=settings, about=taken),
        Operation("peek", _PEEK, (*key, count), answer, True, True, settings, about=asked),
        Operation("reset", _RESET, key, reset, about="fills the bucket"),
    )


def _settings(table: Table) -> tuple[int, ...]:
    assert table.primitive is not None
    return tuple(int(value) for _, value in table.primitive.settings)


def _clauses(table: Table) -> str:
    rate, period_us, burst = _settings(table)
    return f"rate {rate} per '{_period(period_us)}' burst {burst}"


def _period(microseconds: int) -> str:
    """A length of time as `create limiter` reads it.

    >>> _period(60_000_000), _period(1500)
    ('1 minute', '1500 microsecond')
    """
    units = {"hour": 3_600_000_000, "minute": 60_000_000, "second": 1_000_000, "millisecond": 1000}
    for unit, length in units.items():
        if microseconds % length == 0:
            return f"{microseconds // length} {unit}"
    return f"{microseconds} microsecond"


KIND = Kind("limiter", _operations, _clauses, declared_key)
