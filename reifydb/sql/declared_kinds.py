"""What each kind of primitive takes in its declaration."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal, InvalidOperation

from reifydb.config import (
    histogram_error_ppm_max,
    histogram_error_ppm_min,
    limiter_missing_max,
    limiter_period_us_max,
    limiter_tokens_max,
    ring_capacity_max,
)
from reifydb.engine.catalog import Column, Table
from reifydb.primitives import KINDS, histogram
from reifydb.primitives.counter import VALUE, counter_table
from reifydb.primitives.limiter import OWN, limiter_table
from reifydb.primitives.ring import SEQ, ring_table
from reifydb.primitives.sequence import sequence_table
from reifydb.sql.declaration import Declaration
from reifydb.sql.statements import CreateTable, DropTable, Statement


def read_declaration(reader: Declaration) -> list[Statement]:
    """What a statement about a primitive says."""
    creates = reader.tokens[0].text.lower() == "create"
    negated = ("not",) if creates else ()
    exists = reader.has("if", *negated, "exists")
    if creates:
        return [CreateTable(_READERS[reader.kind](reader), exists)]
    names = [reader.own_name()]
    while reader.has(","):
        names.append(reader.own_name())
    reader.end(f"drop {reader.kind} [if exists] name, …")
    return [DropTable(name, exists, reader.kind) for name in names]


def _counter(reader: Declaration) -> Table:
    name, key = reader.own_name(), reader.columns((VALUE.name,), keys=True)
    bounds: dict[str, int] = {}
    while (word := reader.word) in ("min", "max") and word not in bounds:
        reader.take()
        bounds[word] = reader.integer(word)
    reader.end("create counter name (key type, …) [min 0] [max 100]")
    least, most = bounds.get("min"), bounds.get("max")
    if least is not None and most is not None and least > most:
        reader.refuse(f"min {least} is above max {most}")
    return counter_table(name, key, least, most)


def _sequence(reader: Declaration) -> Table:
    name = reader.own_name()
    said: dict[str, int] = {}
    while (word := reader.word) in ("start", "step") and word not in said:
        reader.take()
        at = reader.place
        said[word] = reader.integer(word)
        if word == "step" and said[word] == 0:
            reader.refuse("a sequence's step is not 0", at)
    reader.end("create sequence name [start 1] [step 1]")
    return sequence_table(name, said.get("start", 1), said.get("step", 1))


def _ring(reader: Declaration) -> Table:
    name = reader.own_name()
    columns = reader.columns((SEQ.name,))
    if not columns:
        reader.refuse("a ring has columns", reader.place, hint=_RING)
    per: tuple[Column, ...] = ()
    if reader.has("per"):
        at = reader.place
        per = reader.columns((SEQ.name, *(column.name for column in columns)), keys=True)
        if not per:
            reader.refuse("columns are missing here", at, hint=_RING)
    reader.want("capacity")
    at = reader.place
    capacity = reader.integer("capacity")
    if not 1 <= capacity <= ring_capacity_max:
        reader.refuse(f"a ring's capacity is 1 to {ring_capacity_max:,} (ring_capacity_max)", at)
    reader.end(_RING)
    return ring_table(name, columns, per, capacity)


_RING = "create ring name (column type, …) [per (column type, …)] capacity 1000"


def _limiter(reader: Declaration) -> Table:
    name, key = reader.own_name(), reader.columns([c.name for c in OWN], keys=True)
    reader.want("rate")
    rate = _tokens(reader, "rate")
    reader.want("per")
    at = reader.place
    period_us = reader.interval("the period")
    if period_us > limiter_period_us_max:
        reader.refuse("the period is at most 366 days (limiter_period_us_max)", at)
    burst = _tokens(reader, "burst") if reader.has("burst") else rate
    if burst * period_us > limiter_missing_max:
        hint = "at most 2^62 microseconds (limiter_missing_max)"
        reader.refuse("the burst times the period is too large", hint=hint)
    reader.end("create limiter name (key type, …) rate 100 per '1 minute' [burst 20]")
    return limiter_table(name, key, rate, period_us, burst)


def _tokens(reader: Declaration, what: str) -> int:
    at = reader.place
    count = reader.integer(what)
    if not 1 <= count <= limiter_tokens_max:
        reader.refuse(f"{what} is 1 to {limiter_tokens_max:,} (limiter_tokens_max)", at)
    return count


def _histogram(reader: Declaration) -> Table:
    name = reader.own_name()
    key = reader.columns([column.name for column in histogram.OWN], keys=True)
    error_ppm = histogram.ERROR_PPM_DEFAULT
    if reader.has("error"):
        at, token = reader.place, reader.take()
        reader.want("%")
        try:
            exactly = Decimal(token.text) * 10_000
        except InvalidOperation:
            reader.refuse("the error is a number of percent", at, hint="error 1%")
        low, high = histogram_error_ppm_min, histogram_error_ppm_max
        if exactly != int(exactly) or not low <= exactly <= high:
            reader.refuse("the error is 0.1% to 10%, with at most four digits behind the point", at)
        error_ppm = int(exactly)
    reader.end("create histogram name (key type, …) [error 1%]")
    return histogram.histogram_table(name, key, error_ppm)


_READERS: Mapping[str, Callable[[Declaration], Table]] = {
    "counter": _counter,
    "histogram": _histogram,
    "limiter": _limiter,
    "ring": _ring,
    "sequence": _sequence,
}

assert _READERS.keys() == KINDS.keys()
