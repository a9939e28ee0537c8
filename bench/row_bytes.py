"""Bytes per row by type: the table in docs/limits.md, which a test compares with this.

`memory_used` of the kernel counts every block that state takes, so the figures are exact and the
same on every machine: of 30,000 rows that come in the order of their keys.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from uuid import UUID

import reifydb
from bench.bank import memory_used

ROWS = 30_000

START = datetime(2026, 1, 1, tzinfo=UTC)
SCATTER = 0x9E3779B97F4A7C15F39CC0605CEDC835

MEASURED: list[tuple[str, str, Callable[[int], object]]] = [
    ("bool", "", lambda i: i % 2 == 0),
    ("int", "", lambda i: i),
    ("float", "", lambda i: i / 7),
    ("timestamp", "", lambda i: START + timedelta(i)),
    ("decimal(18,2)", "", lambda i: Decimal(i) / 100),
    ("uuid", "", lambda i: UUID(int=i)),
    ("text", "8 bytes", lambda i: f"{i:08}"),
    ("text", "12 bytes", lambda i: f"{i:012}"),
    ("text", "100 bytes", lambda i: f"{i:0100}"),
    ("bytes", "12 bytes", lambda i: i.to_bytes(12, "big")),
    ("json", '`{"a":10000}`', lambda i: {"a": 10_000 + i}),
]
"""A column's type, what is in it, and its value in the i-th row."""

INDEXES: list[tuple[str, str, Callable[[int], object]]] = [
    ("int", "ascending", lambda i: i),
    ("int", "scattered", lambda i: i * SCATTER % (1 << 63)),
    ("int", "equal for 100 rows each", lambda i: i // 100),
    ("text of 12 bytes", "ascending", lambda i: f"{i:012}"),
    ("uuid", "scattered", lambda i: UUID(int=i * SCATTER % (1 << 128))),
]
"""An indexed column's type, the order of its values among the rows, and its value in the i-th."""


def main() -> None:
    """Prints the table."""
    print("\n".join(table()))


def table() -> list[str]:
    """The lines of the table; about 3 s."""
    bare = _bytes_per_row("id int primary key", lambda i: {"id": i})
    null = _bytes_per_row("id int primary key, c text", lambda i: {"id": i})
    lines = [
        "| what | bytes |",
        "|---|---|",
        f"| a row whose only column is its key, an int | {bare:.0f} |",
        f"| a column that is null | + {null - bare:.0f} |",
    ]
    for kind, value, make in MEASURED:
        what = f"{_article(kind)} column" + (f", {value}" if value else "")
        lines.append(f"| {what} | + {_added(kind, make) - bare:.0f} |")
    for kind, order, make in INDEXES:
        plain = kind.split()[0]
        cost = _added(plain, make, "create index i on t (c)") - _added(plain, make)
        lines.append(f"| an index on {_article(kind)}, values {order} | + {cost:.0f} |")
    return lines


def _article(kind: str) -> str:
    return f"{'an' if kind[0] == 'i' else 'a'} {kind}"


def _added(kind: str, make: Callable[[int], object], index: str = "") -> float:
    return _bytes_per_row(f"id int primary key, c {kind}", lambda i: {"id": i, "c": make(i)}, index)


def _bytes_per_row(columns: str, row: Callable[[int], dict[str, object]], index: str = "") -> float:
    """All that the rows of a table take, divided by their number."""
    with reifydb.open(":memory:") as db:
        db.execute(f"create table t ({columns}); {index}")
        used = memory_used(db)
        with db.transaction() as tx:
            tx.insert_many("t", [row(i) for i in range(ROWS)])
        return (memory_used(db) - used) / ROWS


if __name__ == "__main__":
    main()
