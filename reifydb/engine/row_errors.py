"""What is wrong with a row that was given, said with its place: which table, row and column."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from reifydb.engine.catalog import Column
from reifydb.engine.misfit import MisfitError
from reifydb.errors import RequestError, WrongTypeError, did_you_mean


@dataclass(frozen=True, slots=True)
class RowErrors:
    """Errors about rows of these columns; see `RowCodec` for what the attributes mean."""

    columns: tuple[Column, ...]
    what: str
    arguments: bool

    @property
    def names(self) -> tuple[str, ...]:
        """The columns' names."""
        return tuple(column.name for column in self.columns)

    def place(self, index: int | None) -> str:
        """The row: `table account`, `transition bank.transfer, call 17`."""
        if index is None:
            return self.what
        return f"{self.what}, {'call' if self.arguments else 'row'} {index}"

    def misfit(self, error: MisfitError, column: Column, index: int | None) -> WrongTypeError:
        """A value does not fit its column."""
        role = "parameter" if self.arguments else "column"
        place = f"{self.place(index)}, {role} {column.name}"
        got = error.got(secret=column.secret)
        return WrongTypeError(f"{place}: expected {error.expected}, got {got}", hint=error.hint)

    def no_row(self, values: object, index: int | None) -> RequestError:
        """Something that is not a sequence of values."""
        kind, n = type(values).__name__, len(self.columns)
        message = f"{self.place(index)}: expected a sequence of {n} values, got: {kind}"
        return RequestError(message, hint=f"expected {self.signature}")

    def no_rows(self, values: object) -> RequestError:
        """Something that is not a sequence of such sequences."""
        what = "calls' arguments" if self.arguments else "rows"
        kind = type(values).__name__
        message = f"{self.what}: expected a sequence of {what}, got: {kind}"
        return RequestError(message, hint=f"each is {self.signature}")

    def wrong_count(self, count: int, index: int | None) -> RequestError:
        """Too few or too many values."""
        n, noun = len(self.columns), "argument" if self.arguments else "value"
        message = f"{self.place(index)}: expected {n} {noun}{'' if n == 1 else 's'}, got {count}"
        return RequestError(message, hint=f"expected {self.signature}")

    def wrong_arguments(self, mapping: Mapping[str, object]) -> RequestError:
        """Arguments by name that are missing or surplus."""
        surplus = [str(name) for name in mapping if name not in self.names]
        missing = [name for name in self.names if name not in mapping]
        said = [f"missing {', '.join(missing)}"] if missing else []
        if surplus:
            near = did_you_mean(surplus[0], missing or self.names)
            near = near if near.startswith("did you mean") else ""
            said.append(f"unexpected {', '.join(surplus)}" + (f" ({near})" if near else ""))
        return RequestError(f"{self.what}: {' and '.join(said)}", hint=f"expected {self.signature}")

    @property
    def signature(self) -> str:
        """The columns as errors show them: `bank.transfer(source int, target int)`."""
        listed = ", ".join(f"{c.name} {c.sql_type}" for c in self.columns)
        return f"{self.what.split(' ', 1)[-1]}({listed})"
