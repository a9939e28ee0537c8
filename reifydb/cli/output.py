"""What commands print: JSON for programs; for people lines and tables, plain where nobody looks.

On a terminal tables have lines and colours (rich; `NO_COLOR` turns colours off). Elsewhere columns
are as wide as their widest cell and nothing is cut, so that `grep` finds it. Control characters are
shown as escapes: rows may come from anybody, and a terminal obeys them.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import click


def print_json(value: Any) -> None:
    """One JSON document on one line."""
    click.echo(json.dumps(value, ensure_ascii=False))


def print_lines(text: str) -> None:
    """Text for people, of several lines perhaps."""
    for line in text.split("\n"):
        click.echo(printable(line))


def print_table(columns: Sequence[str], rows: Sequence[Sequence[Any]], *, right: str = "") -> None:
    """A table.

    Args:
        columns: The heads.
        rows: Cells, each a `PLAIN` value.
        right: For each column `r` when it holds numbers, which stand right; else anything.
    """
    cells = [[shown(value) for value in row] for row in rows]
    sides = [i < len(right) and right[i] == "r" for i in range(len(columns))]
    if sys.stdout.isatty():
        _print_rich(columns, cells, sides)
        return
    widths = [max(map(len, column)) for column in zip(columns, *cells, strict=True)]
    for row in (columns, *cells):
        padded = (
            cell.rjust(width) if side else cell.ljust(width)
            for cell, width, side in zip(row, widths, sides, strict=True)
        )
        click.echo("  ".join(padded).rstrip())


def print_facts(facts: Mapping[str, Any]) -> None:
    """Names and values, one a line."""
    width = max(map(len, facts), default=0)
    for name, value in facts.items():
        click.echo(f"{name.ljust(width)}  {shown(value)}".rstrip())


def shown(value: Any) -> str:
    """A `PLAIN` value for people. Null is nothing at all."""
    if value is None:
        return ""
    if isinstance(value, str):
        return printable(value)
    if isinstance(value, bool | dict | list):
        return printable(json.dumps(value, ensure_ascii=False))
    return str(value)


def printable(text: str) -> str:
    r"""Text without what a terminal would obey: control characters as `\n` or `\x1b`."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


def _print_rich(
    columns: Sequence[str], cells: Sequence[Sequence[str]], sides: Sequence[bool]
) -> None:
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for name, side in zip(columns, sides, strict=True):
        table.add_column(Text(name), justify="right" if side else "left", overflow="fold")
    for row in cells:
        table.add_row(*map(Text, row))
    Console().print(table)
