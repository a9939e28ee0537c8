"""The page's table of bytes per row is what the kernel takes."""

from __future__ import annotations

from pathlib import Path

from bench.row_bytes import table

PAGE = Path(__file__).resolve().parents[3] / "docs/limits.md"


def test_the_table_of_bytes_per_row_is_exact() -> None:
    assert "\n".join(["", *table(), ""]) in PAGE.read_text(encoding="utf-8")
