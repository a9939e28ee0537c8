"""What a table takes of the memory for state."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class TableMemory:
    """Bytes of the kernel's heap, exactly: each row and each node of an index is a block.

    What was freed and what the heap's blocks leave over belongs to no table. Nodes of an index stay
    larger for a while when rows go, so a table that was filled anew may take a little less.

    Attributes:
        rows: Of its rows.
        primary_key: Of the primary key's nodes.
        indexes: Of the nodes of each secondary index, by name.
    """

    rows: int
    primary_key: int
    indexes: Mapping[str, int]

    @property
    def total(self) -> int:
        """Of all of it."""
        return self.rows + self.primary_key + sum(self.indexes.values())
