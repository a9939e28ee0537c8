"""The list of `transitions.toml`, read: what an SDK has to be able to do."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent
LIST = tomllib.loads((FOLDER / "transitions.toml").read_text(encoding="utf-8"))
DECIMAL = "decimal(10,2)"
MODULES: dict[str, Any] = LIST["modules"]


@dataclass(frozen=True)
class Column:
    """A parameter, or a column of a result."""

    name: str
    type: str
    nullable: bool = False
    secret: bool = False


@dataclass(frozen=True)
class Transition:
    """One that a guest has to have."""

    module: str
    name: str
    params: tuple[Column, ...]
    result: Column | tuple[Column, ...] | None
    query: bool
    does: str
    row: str
    """The row that stands for its parameters, if one does, and the one that it returns."""
    result_row: str


def _column(text: str) -> Column:
    """A column as the list writes it: "name type", perhaps with marks."""
    name, kind, *marks = text.split()
    kind = kind.replace("decimal", DECIMAL)
    return Column(name, kind, "null" in marks, "secret" in marks)


def _columns(found: str | list[str]) -> tuple[Column, ...]:
    listed = LIST["rows"][found] if isinstance(found, str) else found
    return tuple(_column(text) for text in listed)


def row(name: str) -> tuple[Column, ...]:
    """The columns of a row of the list."""
    return _columns(name)


def _result(found: str | list[str] | None) -> Column | tuple[Column, ...] | None:
    if found is None:
        return None
    if isinstance(found, str) and not found.startswith("row "):
        return _column(f"value {found}")
    return _columns(found.removeprefix("row ") if isinstance(found, str) else found)


def _filled(entry: Any, each: str) -> Any:
    if isinstance(entry, list):
        return [_filled(item, each) for item in entry]
    return entry.replace("{each}", each) if isinstance(entry, str) else entry


def _transition(entry: dict[str, Any], each: str) -> Transition:
    one = {key: _filled(value, each) for key, value in entry.items()}
    params, result = one.get("params", []), one.get("result")
    return Transition(
        module=one.get("module", "every_type"),
        name=one["name"],
        params=_columns(params),
        result=_result(result),
        query=one.get("query", False),
        does=one["does"],
        row=params if isinstance(params, str) else "",
        result_row=result[4:] if str(result).startswith("row ") else "",
    )


ENTRIES: list[dict[str, Any]] = LIST["transition"]
TRANSITIONS = [_transition(entry, each) for entry in ENTRIES for each in entry.get("each", [""])]
BY_NAME = {f"{t.module}.{t.name}": t for t in TRANSITIONS}


def signature(transition: Transition) -> str:
    """How the page writes it: `name(parameter type, …) → result`."""

    def shown(column: Column) -> str:
        marks = (" null" if column.nullable else "") + (" secret" if column.secret else "")
        return f"{column.name} {column.type}{marks}"

    params = f"…{transition.row}" if transition.row else ", ".join(map(shown, transition.params))
    result = transition.result
    if result is None:
        returned = ""
    elif isinstance(result, Column):
        returned = f" → {shown(result).removeprefix('value ')}"
    elif transition.result_row:
        returned = f" → row {transition.result_row}"
    else:
        returned = f" → ({', '.join(map(shown, result))})"
    return f"{transition.name}({params}){returned}"


def _line(entry: dict[str, Any]) -> str:
    """A transition, or several that are alike, as a row of the page's table."""
    transition = _transition(entry, "X")
    name = f"`{signature(transition)}`"
    does = " ".join(transition.does.split())
    each = f"For X in {', '.join(entry['each'])}. " if "each" in entry else ""
    return f"| {name} | {each}{'A query. ' if transition.query else ''}{does} |"


def page() -> str:
    """What docs/conformance.md says of the list: its end."""
    parts = []
    for name, module in MODULES.items():
        parts.append(f"### {name}\n\n{module['does']}\n")
        of_module = [e for e in ENTRIES if e.get("module", "every_type") == name]
        lines = ["| transition | what it does |", "|---|---|", *map(_line, of_module)]
        parts.append("\n".join(lines) + "\n")
    return "\n".join(parts)
