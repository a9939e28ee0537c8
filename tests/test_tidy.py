"""The repository checks itself: what the pages list is what the code has, and nothing else."""

import dataclasses
import inspect
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from reifydb import config, errors
from reifydb.sandbox.host_functions import SIGNATURES

ROOT = Path(__file__).resolve().parent.parent
HEAVY = {"wasmtime", "sqlglot", "aiohttp", "msgpack", "click", "rich"}
SOURCES = ("reifydb", "kernel", "sdk", "examples", "bench", "tests", "docs")
TEXT = {".py", ".zig", ".c", ".h", ".ts", ".md", ".sql", ".toml", ".json", ""}
MADE = {"node_modules", "dist", "build"}
"""Folders of the TypeScript client that tools fill."""


def rows(page: str) -> list[list[str]]:
    """The cells of all tables of a page, without the heads."""
    found = [
        [cell.strip() for cell in line.strip().strip("|").split("|")]
        for line in page.splitlines()
        if line.startswith("| `")
    ]
    assert found
    return found


def page(name: str) -> str:
    return (ROOT / "docs" / name).read_text(encoding="utf-8")


def files() -> Iterator[Path]:
    """The text files of the project, without what tools leave behind."""
    yield from (path for path in ROOT.iterdir() if path.is_file() and path.suffix in TEXT)
    for folder in SOURCES:
        for path in (ROOT / folder).rglob("*"):
            parts = path.relative_to(ROOT).parts[:-1]
            hidden = any(part.startswith((".", "__")) for part in parts)
            made = "typescript-client" in parts and not MADE.isdisjoint(parts)
            if path.is_file() and path.suffix in TEXT and not hidden and not made:
                yield path


# ---------------------------------------------------------------- errors


def error_classes() -> list[type[errors.ReifyDBError]]:
    return [
        found
        for _, found in inspect.getmembers(errors, inspect.isclass)
        if issubclass(found, errors.ReifyDBError)
    ]


def test_every_error_is_documented_with_its_code() -> None:
    listed = [(row[0].strip("`"), row[1].strip("`")) for row in rows(page("errors.md"))]
    made = {(found.__name__, found.code) for found in error_classes()}
    assert set(listed) == made - {("ReifyDBError", "error")}
    assert len(listed) == len(set(listed))


def test_every_error_has_a_code_of_its_own() -> None:
    codes = [found.code for found in error_classes()]
    assert len(codes) == len(set(codes))


# ---------------------------------------------------------------- limits


def shown(name: str, value: float | None) -> str:
    """A value as the page shows it."""
    if value is None:
        return "none"
    if "bytes" in name and isinstance(value, int):
        for unit, size in (("TiB", 1 << 40), ("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)):
            if value % size == 0:
                return f"{value // size:,} {unit}"
        return f"{value:,} bytes"
    return f"{value:,g}" if isinstance(value, float) else f"{value:,}"


def configured(section: str) -> dict[str, float | None]:
    if section == "Fixed":
        return {
            name: value
            for name, value in vars(config).items()
            if isinstance(value, int) and name.islower()
        }
    return {field.name: field.default for field in dataclasses.fields(getattr(config, section))}


@pytest.mark.parametrize("section", ["Fixed", "Options", "ModuleLimits"])
def test_every_limit_is_documented_with_its_value(section: str) -> None:
    text = page("limits.md").split(f"\n## {section}\n")[1].split("\n## ")[0]
    listed = {row[0].strip("`"): row[1] for row in rows(text)}
    assert listed == {name: shown(name, value) for name, value in configured(section).items()}


# ---------------------------------------------------------------- host functions


def test_every_host_function_is_documented_with_its_type() -> None:
    text = page("abi.md").split("\n## Host functions\n")[1].split("\n## ")[0]
    listed = {row[0].strip("`").split("(")[0]: row[1].strip("`") for row in rows(text)}
    assert listed == {name: str(signature) for name, signature in SIGNATURES.items()}


# ---------------------------------------------------------------- the rest


@pytest.mark.parametrize(
    ("modules", "allowed"),
    [
        ("reifydb", set()),
        ("reifydb.client", set()),
        ("reifydb.client.remote", {"aiohttp", "msgpack"}),
    ],
)
def test_importing_reifydb_or_a_client_loads_nothing_heavy(modules: str, allowed: set[str]) -> None:
    program = f"import {modules}, sys; print(sorted({HEAVY!r} & set(sys.modules)))"
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == f"{sorted(allowed)}\n"


def test_nothing_is_marked_as_unfinished() -> None:
    marks = re.compile(r"\b(" + "|".join(["TO" + "DO", "FIX" + "ME", "XX" + "X"]) + r")\b")
    found = [
        f"{path.relative_to(ROOT)}:{number}"
        for path in files()
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if marks.search(line)
    ]
    assert found == []


def test_the_readme_names_only_commands_that_there_are() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    script = (ROOT / "dev").read_text(encoding="utf-8")
    named = set(re.findall(r"\./dev ([a-z]+)", text))
    assert {"demo", "test"} <= named
    assert named <= set(re.findall(r"^([a-z]+)\)$", script, re.MULTILINE))


def test_the_pages_name_only_tests_that_there_are() -> None:
    pages = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "docs").rglob("*.md"))
    tests = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "tests").rglob("*.py"))
    named = set(re.findall(r"`(test_[a-z0-9_]+)`", pages))
    assert named
    assert named <= set(re.findall(r"def (test_\w+)\(", tests))


def test_the_pages_link_only_to_files_that_there_are() -> None:
    pages = [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")]
    missing = [
        f"{path.relative_to(ROOT)}: {target}"
        for path in pages
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", path.read_text(encoding="utf-8"))
        if not (path.parent / target).exists()
    ]
    assert missing == []
