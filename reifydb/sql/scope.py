"""The names that an expression may use: columns of the inputs so far."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from reifydb.errors import did_you_mean
from reifydb.sql.expressions import ColumnRef


class NameNotFoundError(ValueError):
    """A name that means nothing, or several things. `hint` is for people."""

    def __init__(self, message: str, hint: str) -> None:
        super().__init__(message)
        self.hint = hint


@dataclass(frozen=True, slots=True)
class ScopeInput:
    """One input as expressions see it: what it is called, and its columns."""

    alias: str
    columns: tuple[ColumnRef, ...]

    def made_nullable(self) -> ScopeInput:
        """The same behind a left join, where its columns may be null."""
        return replace(self, columns=tuple(replace(c, nullable=True) for c in self.columns))


@dataclass(slots=True)
class Scope:
    """All inputs of a select so far."""

    inputs: list[ScopeInput] = field(default_factory=list)

    def column(self, name: str, alias: str | None, at: int) -> ColumnRef:
        """The column that a name means.

        Raises:
            NameNotFoundError: There is none, or there are several.
        """
        inputs = self.inputs if alias is None else [self.input(alias)]
        found = [c for one in inputs for c in one.columns if c.name == name]
        if len(found) == 1:
            return replace(found[0], at=at)
        if found:
            where = " and ".join(f"{self.inputs[c.source].alias}.{name}" for c in found)
            raise NameNotFoundError(f"{name} is ambiguous", f"it is {where}: write one of them")
        if not self.inputs:
            raise NameNotFoundError(f"there is no column {name}", "there is no from")
        known = {c.name for one in inputs for c in one.columns}
        of = "" if alias is None else f" in {alias}"
        raise NameNotFoundError(f"there is no column {name}{of}", did_you_mean(name, known))

    def input(self, alias: str) -> ScopeInput:
        """The input of this name.

        Raises:
            NameNotFoundError: There is none.
        """
        for one in self.inputs:
            if one.alias == alias:
                return one
        hint = did_you_mean(alias, [one.alias for one in self.inputs])
        raise NameNotFoundError(f"there is no table {alias} in from", hint)
