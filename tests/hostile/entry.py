"""What a corpus is made of: hostile modules as data, and what must come of each."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from reifydb.config import ModuleLimits
from reifydb.engine.catalog import NAME

OUTSIDE = "trapped: memory access out of bounds"
STACK = "trapped: the call stack is exhausted"
DEADLINE = "deadline"
COMMITTED = "committed"

NO_SPECIAL_LIMITS = ModuleLimits()


@dataclass(frozen=True, slots=True)
class Call:
    """One call of an installed module.

    Attributes:
        name: The transition, without its module's name.
        arguments: What it is called with.
        endings: What may come of it: `committed`, `aborted: CODE`, `trapped: REASON`, `deadline`.
    """

    name: str
    arguments: tuple[object, ...]
    endings: tuple[str, ...]


def call(name: str, *arguments: object, ends: str | tuple[str, ...]) -> Call:
    """A call, and what must come of it."""
    return Call(name, arguments, (ends,) if isinstance(ends, str) else ends)


@dataclass(frozen=True, slots=True)
class Hostile:
    """One entry of the corpus.

    A call that commits must have changed nothing: all of them are made so that what they write is
    there already.

    Attributes:
        does: What is hostile about it, and the entry's name.
        wasm: Makes its bytes.
        refused: Part of the problem for which it must be refused; None when it can be installed.
        calls: What is called once it is installed, in order.
        limits: What it is installed with.
    """

    does: str
    wasm: Callable[[], bytes]
    refused: str | None = None
    calls: tuple[Call, ...] = ()
    limits: ModuleLimits = NO_SPECIAL_LIMITS

    def __post_init__(self) -> None:
        """An entry says what must come of it."""
        assert (self.refused is None) == bool(self.calls), self.does
        assert all(NAME.fullmatch(one.name) for one in self.calls), self.does


def by_name(*groups: list[Hostile]) -> Mapping[str, Hostile]:
    """All entries by what they do; each has a name of its own."""
    entries = [entry for group in groups for entry in group]
    named = {entry.does: entry for entry in entries}
    assert len(named) == len(entries), "two entries have one name"
    return named
