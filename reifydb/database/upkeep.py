"""What keeping a view costs."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Upkeep:
    """What bringing a view up to date has taken since it was made or the database was opened.

    Attributes:
        rows_in: Rows that came into its steps, those counted again that one hands to the next.
        rows_out: Of its rows those that were inserted, updated or deleted.
        beside_bytes: Memory that it takes beside its own rows.
    """

    rows_in: int
    rows_out: int
    beside_bytes: int
