"""What is known of views while a database is open, and what the kernel's refusals of them mean."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from reifydb.database.expressions import (
    EXPRESSION_FAILED,
    LIMIT_REACHED,
    expression_error,
    limit_error,
)
from reifydb.database.refusals import refusal
from reifydb.engine.kernel import Control, Fault
from reifydb.errors import LimitError, ReifyDBError

if TYPE_CHECKING:
    from reifydb.database.tables import Catalog
    from reifydb.views.plan import Encoded


SCANNED_ROWS, ANEW_ROWS = 2, 7
"""Limits as the kernel numbers them (kernel/layout.zig, `Limit`)."""


@dataclass(frozen=True, slots=True)
class Made:
    """What is known of a view's parts while the database is open.

    Attributes:
        encoded: By the number of the part's table: where its programs stand in `sql`.
        indexes: Indexes that it uses: number of the table, number of the index.
        max_rows: Of one that is made anew after each change.
    """

    name: str
    sql: str
    encoded: dict[int, Encoded]
    indexes: frozenset[tuple[int, int]]
    max_rows: int = 0


def part_refusal(
    code: int, control: Control | Fault, catalog: Catalog, made: Made, encoded: Encoded | None
) -> ReifyDBError:
    """The error for a part of a view that could not be made or brought up to date."""
    name, sql = made.name, made.sql
    if code == EXPRESSION_FAILED:
        return expression_error(control, encoded, sql, f"view {name}")
    if code == LIMIT_REACHED and control.fault_index in (SCANNED_ROWS, ANEW_ROWS) and made.max_rows:
        return LimitError(
            f"view {name} is made anew after each change, and looked at more rows than it may",
            limit="max_rows",
            value=made.max_rows,
            hint="drop it, and create it with a larger max_rows",
        )
    if code == LIMIT_REACHED:
        found = limit_error(control, f"view {name}")
        if found is not None:
            return found
    return refusal(code, control, catalog, name, None)


def view_refusal(
    code: int, control: Control | Fault, catalog: Catalog, made: Mapping[int, Made]
) -> ReifyDBError:
    """The error for what the kernel refused as views were brought up to date."""
    number = control.fault_table
    for one in made.values():
        if number in one.encoded:
            return part_refusal(code, control, catalog, one, one.encoded[number])
    handle = catalog.by_number.get(number)
    unknown = Made("?" if handle is None else handle.name, "", {}, frozenset())
    return part_refusal(code, control, catalog, unknown, None)
