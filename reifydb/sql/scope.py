"""The names that an expression may use: columns of the inputs so far."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from reifydb.errors import did_you_mean
from reifydb.sql.expressions import ColumnRef, OuterRef


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
    """All inputs of a select so far.

    Attributes:
        around: The scopes of the selects that this one stands in, the nearest one last.
        sees_around: Whether the columns of the nearest one may be named.
    """

    inputs: list[ScopeInput] = field(default_factory=list)
    around: tuple[Scope, ...] = ()
    sees_around: bool = False

    def column(self, name: str, alias: str | None, at: int) -> ColumnRef | OuterRef:
        """The column that a name means.

        Raises:
            NameNotFoundError: There is none, or there are several.
        """
        for depth, scope in enumerate((self, *reversed(self.around))):
            found = scope.named(name, alias)
            if found is None:
                if scope.hides(alias):
                    break
            elif depth == 0:
                return replace(found, at=at)
            elif depth == 1 and self.sees_around:
                return OuterRef(found, at)
            else:
                shown = name if alias is None else f"{alias}.{name}"
                hint = "a subquery sees the select it stands in; a query in from sees none"
                raise NameNotFoundError(f"{shown} is of a select that cannot be seen here", hint)
        inputs = self.inputs if alias is None else [self.input(alias)]
        if not self.inputs:
            raise NameNotFoundError(f"there is no column {name}", "there is no from")
        known = {c.name for one in inputs for c in one.columns}
        of = "" if alias is None else f" in {alias}"
        raise NameNotFoundError(f"there is no column {name}{of}", did_you_mean(name, known))

    def hides(self, alias: str | None) -> bool:
        """Whether an input of this select has this name, so that none further out is meant."""
        return any(one.alias == alias for one in self.inputs)

    def named(self, name: str, alias: str | None) -> ColumnRef | None:
        """The column of an input of this select; None when there is none.

        Raises:
            NameNotFoundError: There are several.
        """
        inputs = [one for one in self.inputs if alias in (None, one.alias)]
        found = [c for one in inputs for c in one.columns if c.name == name]
        if len(found) > 1:
            where = " and ".join(f"{self.inputs[c.source].alias}.{name}" for c in found)
            raise NameNotFoundError(f"{name} is ambiguous", f"it is {where}: write one of them")
        return found[0] if found else None

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
