"""The pages keep their word: their examples run and print what they say, links lead somewhere.

Each page is played from top to bottom in an empty folder that has the bank's module as `bank.wasm`:
a block with a file's name behind its language is written to that file, commands are run by a shell,
Python is run (consecutive blocks as one program), and what it prints is compared with the comments
behind its `print`s.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from reifydb import config
from sdk.build import build_guest

ROOT = Path(__file__).resolve().parent.parent
BANK = ROOT / "examples" / "wasm" / "bank" / "bank.zig"
PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").rglob("*.md")])
PLAYED = ("python", "sh", "console")

NOT_RUN = {
    "./dev demo": "fills a database of 100,000 accounts and kills processes: to be looked at",
    "./dev test": "runs this test",
    "python -m pip install reifydb-wasm ziglang==0.17.1": "installs from a package index",
    "SDK=": "says where the SDK lies; here it is the repository's",
}
"""Command blocks that begin like this are not run, and why."""


@dataclass(frozen=True)
class Block:
    """A fenced block: the line it starts in, its language, the file it is, its text."""

    line: int
    language: str
    file: str
    text: str


def blocks(page: Path) -> list[Block]:
    found, opened, lines = [], None, []
    for number, line in enumerate(page.read_text(encoding="utf-8").splitlines(), 1):
        if not line.startswith("```"):
            lines.append(line)
        elif opened is None:
            opened, lines = (number, *f"{line[3:]} ".split(" ", 1)), []
        else:
            start, language, file = opened
            text = "".join(f"{text}\n" for text in lines)
            found.append(Block(start, language, file.strip(), text))
            opened = None
    assert opened is None, f"{page.name}: a block does not end"
    return found


def title(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


PLAYABLE = [page for page in PAGES if any(b.language in PLAYED for b in blocks(page))]


# ---------------------------------------------------------------- playing a page


@pytest.fixture(scope="module")
def bank() -> bytes:
    return build_guest(BANK).read_bytes()


@pytest.fixture
def folder(tmp_path: Path, bank: bytes) -> Path:
    work, commands = tmp_path / "work", tmp_path / "bin"
    work.mkdir()
    commands.mkdir()
    (work / "bank.wasm").write_bytes(bank)
    for name, program in {"python": "", "reifydb": "-m reifydb"}.items():
        command = commands / name
        command.write_text(f'#!/bin/sh\nexec "{sys.executable}" {program} "$@"\n')
        command.chmod(0o755)
    return work


def run(command: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    path = f"{folder.parent / 'bin'}{os.pathsep}{os.environ['PATH']}"
    environment = os.environ | {
        "PATH": path,
        "PYTHONPATH": str(ROOT),
        "SDK": str(ROOT / "sdk"),
        # Found by name instead of by what is installed, which may be an older version of it.
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
        "PYTEST_PLUGINS": "reifydb.pytest_plugin",
    }
    return subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=60
    )


def play_python(page: str, program: list[Block], folder: Path) -> None:
    """Runs the blocks as one program, whose line numbers are those of the page."""
    lines: list[str] = []
    for block in program:
        lines += [""] * (block.line - len(lines)) + block.text.splitlines()
    source = folder / "page.py"
    source.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    done = run([sys.executable, "-W", "error", source.name], folder)
    assert done.returncode == 0, f"{page} (line numbers are the page's): {done.stderr}"
    said = [match[1] for line in lines if (match := re.match(r" *print\(.*\)  # (.*)", line))]
    assert done.stdout.splitlines() == said, f"{page}: its examples print something else"


def play_commands(page: str, block: Block, folder: Path) -> None:
    for command in block.text.splitlines():
        for start in NOT_RUN:
            if command.startswith(start):
                return
    text = block.text
    expected = None
    if block.language == "console":
        lines = text.splitlines()
        text = "".join(f"{line[2:]}\n" for line in lines if line.startswith("$ "))
        expected = [line for line in lines if not line.startswith("$ ")]
    done = run(["sh", "-euc", text], folder)
    assert done.returncode == 0, f"{page}, line {block.line}: {done.stderr}{done.stdout}"
    if expected is not None:
        shown = [line.rstrip() for line in done.stdout.splitlines()]
        assert shown == expected, f"{page}, line {block.line}: other output"


@pytest.mark.parametrize("page", PLAYABLE, ids=title)
def test_examples_run_and_print_what_the_page_says(page: Path, folder: Path) -> None:
    name, program = title(page), []
    for block in blocks(page):
        if block.file:
            (folder / block.file).write_text(block.text, encoding="utf-8")
        elif block.language == "python":
            program.append(block)
        elif block.language in ("sh", "console"):
            if program:
                play_python(name, program, folder)
                program = []
            play_commands(name, block, folder)
    if program:
        play_python(name, program, folder)


def test_there_are_examples() -> None:
    played = {title(page) for page in PLAYABLE}
    assert {"README.md", "docs/embedded.md", "docs/guests.md", "docs/testing.md"} <= played


def test_every_reason_not_to_run_a_command_is_needed() -> None:
    commands = [
        line
        for page in PAGES
        for block in blocks(page)
        if block.language in ("sh", "console")
        for line in block.text.splitlines()
    ]
    unused = [start for start in NOT_RUN if not any(c.startswith(start) for c in commands)]
    assert unused == []


# ---------------------------------------------------------------- links and names


def prose(page: Path) -> str:
    """A page without its fenced blocks."""
    text = page.read_text(encoding="utf-8")
    return re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ +(.+)$", prose(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", h.lower()).strip().replace(" ", "-") for h in headings}


@pytest.mark.parametrize("page", PAGES, ids=title)
def test_internal_links_lead_somewhere(page: Path) -> None:
    lost = []
    for target in re.findall(r"\]\(([^)]+)\)", prose(page)):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        there = (page.parent / path).resolve() if path else page
        if not there.exists() or (anchor and anchor not in anchors(there)):
            lost.append(target)
    assert lost == []


@pytest.mark.parametrize("page", PAGES, ids=title)
def test_files_that_a_page_names_are_there(page: Path) -> None:
    """What stands in backquotes and begins like a file of the project is one."""
    named = re.findall(
        r"`((?:reifydb|kernel|sdk|examples|bench|docs|tests)/[\w./-]+)`",
        page.read_text(encoding="utf-8"),
    )
    assert [name for name in named if not (ROOT / name).exists()] == []


def test_tests_that_the_pages_name_are_there() -> None:
    tests = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "tests").rglob("*.py"))
    defined = set(re.findall(r"def (test_\w+)\(", tests))
    named = {
        name for page in PAGES for name in re.findall(r"`(test_\w+)`", page.read_text("utf-8"))
    }
    assert sorted(named - defined) == []


def test_limits_of_the_kernel_are_those_of_its_source() -> None:
    """Those that Python has as well, and those that the page lists besides."""
    source = (ROOT / "kernel" / "layout.zig").read_text(encoding="utf-8")
    constants: dict[str, int] = {"MiB": 1 << 20}
    pattern = re.compile(r"^pub const (\w+) = ([\w +*<]+);", re.MULTILINE)
    for name, value in pattern.findall(source):
        constants[name] = eval(value, {}, constants)
    for name, value in constants.items():
        if hasattr(config, name):
            assert getattr(config, name) == value, name
    text = (ROOT / "docs" / "limits.md").read_text(encoding="utf-8")
    rows = text.split("\n## Of the kernel\n")[1]
    listed = re.findall(r"^\| `(\w+)` \| ([^|]+) \|", rows, re.MULTILINE)
    units = {"": 1, "KiB": 1 << 10, "MiB": 1 << 20}
    assert listed
    for name, shown in listed:
        number, _, unit = shown.partition(" ")
        assert int(number.replace(",", "")) * units[unit] == constants[name], name


def test_every_decision_says_context_choice_and_price() -> None:
    for page in sorted((ROOT / "docs" / "decisions").glob("*.md")):
        text = page.read_text(encoding="utf-8")
        parts = re.findall(r"^## (.+)$", text, re.MULTILINE)
        assert parts == ["Context", "Choice", "Price"], page.name
        assert re.match(r"# \d{4}: ", text), page.name
