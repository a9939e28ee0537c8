"""Which index leads to the rows of a table, given what is known of their columns."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from reifydb.engine.catalog import Column, Table
from reifydb.sql.expressions import ColumnRef, Expression, Operation, column_kind

_TURNED = {"lt": "gt", "le": "ge", "gt": "lt", "ge": "le", "eq": "eq"}


@dataclass(frozen=True, slots=True)
class Comparison:
    """`column op value`, where the value is of the column's kind.

    Attributes:
        said: The condition that it stands for.
    """

    place: int
    op: str
    value: Expression
    said: Expression


@dataclass(frozen=True, slots=True)
class Path:
    """An index, and values of its first columns.

    Attributes:
        index: Number of a secondary index; 0: the primary key.
        columns: Of the index, as places in stored rows.
        equal: Values of its first columns.
        lower, upper: Bounds of the next column.
        exact: At most one row has these values.
        done: Conditions that need not be asked again of the rows found.
    """

    index: int
    columns: tuple[int, ...]
    equal: tuple[Comparison, ...]
    lower: Comparison | None
    upper: Comparison | None
    exact: bool
    done: frozenset[int]

    @property
    def rank(self) -> tuple[int, int, int]:
        """The larger the better: fewer rows are found."""
        bounds = (self.lower is not None) + (self.upper is not None)
        return int(self.exact), len(self.equal), bounds


def stored(table: Table) -> list[tuple[int, Column]]:
    """Place and column of what is in a table's rows, shown or hidden; `Table.key` counts so."""
    shown = len(table.columns)
    places = (*table.places, *range(shown, shown + len(table.hidden)))
    return list(zip(places, (*table.columns, *table.hidden), strict=True))


def comparisons(
    conditions: Sequence[Expression], source: int, known: Callable[[Expression], bool]
) -> Iterator[Comparison]:
    """What conditions say of columns of one input, in values that are known before its rows are."""
    for said in conditions:
        if not isinstance(said, Operation) or said.op not in _TURNED or len(said.args) != 2:
            continue
        left, right = said.args
        for column, op, value in ((left, said.op, right), (right, _TURNED[said.op], left)):
            if (
                isinstance(column, ColumnRef)
                and column.source == source
                and column.kind == value.kind
                and known(value)
            ):
                yield Comparison(column.place, op, value, said)


def best_path(table: Table, found: Sequence[Comparison]) -> Path:
    """The index that finds the fewest rows, as far as can be told; the primary key when none helps.
    O(indexes · conditions).
    """
    return max(paths(table, found), key=lambda path: (path.rank, -path.index))


def paths(table: Table, found: Sequence[Comparison]) -> list[Path]:
    """Every index there is, and what is known of its first columns. O(indexes · conditions)."""
    kept = stored(table)
    indexes = [(0, table.key, True)]
    indexes += [(index.number, index.columns, index.unique) for index in table.indexes]
    return [
        _path(number, [kept[i] for i in columns], found, unique=unique)
        for number, columns, unique in indexes
    ]


def _path(
    number: int, columns: Sequence[tuple[int, Column]], found: Sequence[Comparison], *, unique: bool
) -> Path:
    equal: list[Comparison] = []
    lower = upper = None
    done: set[int] = set()
    for place, column in columns:
        own = [c for c in found if c.place == place and c.value.kind == column_kind(column)]
        same = next((c for c in own if c.op == "eq"), None)
        if same is not None:
            equal.append(same)
            if not column.nullable:
                done.add(id(same.said))
            continue
        lower = next((c for c in own if c.op in ("gt", "ge")), None)
        upper = next((c for c in own if c.op in ("lt", "le")), None)
        if not column.nullable:
            done |= {id(c.said) for c in (lower, upper) if c is not None}
        break
    return Path(
        number,
        tuple(place for place, _ in columns),
        tuple(equal),
        lower,
        upper,
        unique and len(equal) == len(columns) and not any(c.nullable for _, c in columns),
        frozenset(done),
    )
