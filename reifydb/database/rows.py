"""What a query takes and what it gives."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import overload

from reifydb.engine.catalog import Column
from reifydb.errors import RequestError

Row = dict[str, object]

Values = Mapping[str, object] | Sequence[object]
"""Values of a query's parameters: by name, or in their order."""

ROWS_SHOWN_MAX = 20
"""Rows that are printed of an answer."""

CHARACTERS_SHOWN_MAX = 60
"""Characters that are printed of a value."""


class Rows(Sequence[Row]):
    """Rows with the columns' names; prints as a table.

    >>> rows = Rows((Column("n", Type.INT),), [(1,), (2,)])
    >>> [row["n"] for row in rows]
    [1, 2]

    Attributes:
        columns: Name and type of each column.
        tuples: The values alone, row by row.
    """

    __slots__ = ("columns", "tuples")

    def __init__(self, columns: tuple[Column, ...], tuples: Sequence[tuple[object, ...]]) -> None:
        self.columns, self.tuples = columns, tuples

    @property
    def names(self) -> tuple[str, ...]:
        """The columns' names."""
        return tuple([column.name for column in self.columns])

    def one(self) -> Row:
        """The only row.

        Raises:
            RequestError: There is none, or there are more.
        """
        if len(self.tuples) != 1:
            raise RequestError(f"the answer has {len(self.tuples):,} rows, not one")
        return self[0]

    def value(self) -> object:
        """The only value of the only row.

        Raises:
            RequestError: There is not exactly one.
        """
        if len(self.names) != 1:
            raise RequestError(f"the answer has {len(self.names)} columns, not one")
        return next(iter(self.one().values()))

    def __len__(self) -> int:
        return len(self.tuples)

    @overload
    def __getitem__(self, index: int) -> Row: ...
    @overload
    def __getitem__(self, index: slice) -> Rows: ...

    def __getitem__(self, index: int | slice) -> Row | Rows:
        if isinstance(index, slice):
            return Rows(self.columns, self.tuples[index])
        return dict(zip(self.names, self.tuples[index], strict=True))

    def __iter__(self) -> Iterator[Row]:
        names = self.names
        return (dict(zip(names, values, strict=True)) for values in self.tuples)

    def __eq__(self, other: object) -> bool:
        if isinstance(other, Rows):
            return self.names == other.names and list(self.tuples) == list(other.tuples)
        if isinstance(other, list):
            return list(self) == other
        return NotImplemented

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        shown = [[_short(value) for value in values] for values in self.tuples[:ROWS_SHOWN_MAX]]
        columns = (
            list(zip(self.names, *shown, strict=True)) if shown else [(n,) for n in self.names]
        )
        widths = [max(map(len, column)) for column in columns]
        lines = [
            "  ".join(cell.ljust(w) for cell, w in zip(line, widths, strict=True)).rstrip()
            for line in (self.names, ["-" * w for w in widths], *shown)
        ]
        more = len(self.tuples) - len(shown)
        lines.append(f"({len(self.tuples):,} rows{f', {more:,} not shown' if more else ''})")
        return "\n".join(lines)


def _short(value: object) -> str:
    text = "null" if value is None else str(value)
    text = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)
    if len(text) <= CHARACTERS_SHOWN_MAX:
        return text
    return text[: CHARACTERS_SHOWN_MAX - 1] + "…"
