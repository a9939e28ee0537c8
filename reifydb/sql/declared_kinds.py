"""What each kind of primitive takes in its declaration."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from reifydb.engine.catalog import Table
from reifydb.primitives import KINDS
from reifydb.primitives.counter import VALUE, counter_table
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


_READERS: Mapping[str, Callable[[Declaration], Table]] = {
    "counter": _counter,
    "sequence": _sequence,
}

assert _READERS.keys() == KINDS.keys()
