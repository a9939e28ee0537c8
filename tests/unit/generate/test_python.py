"""`reifydb generate python`: what type checkers and formatters make of it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from reifydb.cli.main import main
from reifydb.engine.catalog import Column, Table, Transition, Type
from reifydb.generate import generate_python
from sdk.build import build_guest

ROOT = Path(__file__).resolve().parents[3]
BANK = ROOT / "examples/wasm/bank/bank.zig"
PROGRAM = ROOT / "tests/typing/uses_everything.py"
WRONG = re.compile(r"# wrong$", re.MULTILINE)

NAMES = """class def type int str datetime decimal cast typing database transaction typed_table
    calls json self _ __ __a __init__ _1 a_b a__b keys items get pop annotations none import match
    object tuple reifydb uuid not_required row rows name result""".split()


def hostile() -> str:
    """Tables, columns, modules, transitions and parameters with every name there is trouble with,
    columns of every type, long names.
    """
    kinds = [kind for kind in Type if kind is not Type.DECIMAL]
    every = [Column(f"c_{kind.sql}", kind, nullable=False) for kind in kinds]
    every += [Column(f"n_{kind.sql}", kind) for kind in kinds]
    every += [Column("c_decimal", Type.DECIMAL, nullable=False, precision=9, scale=2)]
    named = [Column(name, Type.INT, nullable=False) for name in NAMES]
    long = [Column(c * 40, Type.TIMESTAMP, nullable=False) for c in "abcd"]
    columns = (*every, *named, *long)
    tables = [Table("everything", columns, (0, 1)), Table("t" * 40, tuple(long), (0, 1, 2))]
    tables += [Table(name, columns[:2], (0,)) for name in NAMES]
    nullable = (Column("a", Type.UUID), Column("b", Type.JSON))
    tables += [Table("shown", nullable, (0, 2), derived=True, hidden=columns[:1])]
    transitions = [
        Transition(name, columns[i : i + 9], columns[i : i + 1 + i % 3], result_is_row=i % 3 > 0)
        for i, name in enumerate(NAMES)
    ]
    transitions += [Transition("f" * 40, tuple(long), columns[3:4]), Transition("nothing", ())]
    modules = {"m" * 40: transitions, "x": transitions}
    modules.update((name, transitions[-1:]) for name in NAMES)
    return generate_python(tables, modules)


def check(*files: str, folder: Path) -> list[str]:
    """What `mypy --strict` finds."""
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--config-file=", "--no-error-summary", *files],
        cwd=folder,
        env=os.environ | {"MYPYPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert not done.stderr, done.stderr
    return done.stdout.splitlines()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The program, the rows that it uses, and what it is given."""
    folder = tmp_path_factory.mktemp("typed")
    (folder / "bank.wasm").write_bytes(build_guest(BANK).read_bytes())
    (folder / "program.py").write_text(PROGRAM.read_text())
    [schema] = re.findall(r'SCHEMA = """(.*?)"""', PROGRAM.read_text(), re.DOTALL)
    (folder / "schema.sql").write_text(schema)
    arguments = ["--schema", str(folder / "schema.sql"), "--module", str(folder / "bank.wasm")]
    assert main(["generate", "python", *arguments, "-o", str(folder / "rows.py")]) == 0
    (folder / "hostile.py").write_text(hostile())
    return folder


def test_type_checkers_accept_what_is_right_and_refuse_what_is_wrong(folder: Path) -> None:
    found = check("program.py", "rows.py", "hostile.py", folder=folder)
    wrong = {int(line.split(":")[1]) for line in found if line.startswith("program.py")}
    lines = (folder / "program.py").read_text().splitlines()
    expected = {i for i, line in enumerate(lines, 1) if line.endswith("# wrong")}
    assert wrong == expected, found
    assert len(expected) > 5
    assert all(line.startswith("program.py") for line in found), found


def test_what_type_checkers_accept_runs(folder: Path) -> None:
    right = "".join(line for line in PROGRAM.read_text().splitlines(True) if not WRONG.search(line))
    run = "\nimport sys\nmain(Path('db'), Path('bank.wasm').read_bytes())\nimport hostile\n"
    (folder / "right.py").write_text(right + run)
    subprocess.run(
        [sys.executable, "right.py"],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": f"{folder}{os.pathsep}{ROOT}"},
        check=True,
    )


@pytest.mark.parametrize("width", [88, 100, 120])
def test_formatters_change_nothing(folder: Path, width: int) -> None:
    ruff = [
        sys.executable,
        "-m",
        "ruff",
        "format",
        "--isolated",
        "--diff",
        f"--line-length={width}",
    ]
    done = subprocess.run(
        [*ruff, "rows.py", "hostile.py"], cwd=folder, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout


def test_nothing_is_imported_in_vain_or_declared_twice(folder: Path) -> None:
    ruff = [sys.executable, "-m", "ruff", "check", "--isolated", "--select=F,I,E9"]
    subprocess.run([*ruff, "rows.py", "hostile.py"], cwd=folder, check=True)
    only_ints = generate_python([Table("cast", (Column("datetime", Type.INT),), (0,))])
    (folder / "few.py").write_text(only_ints)
    subprocess.run([*ruff, "few.py"], cwd=folder, check=True)


def test_columns_that_need_not_be_given_and_those_that_are_not_null() -> None:
    columns = (
        Column("id", Type.INT),
        Column("auto", Type.INT),
        Column("full", Type.TEXT, nullable=False),
        Column("filled", Type.TEXT, nullable=False, default="x"),
        Column("empty", Type.TEXT),
    )
    text = generate_python([Table("t", columns, (0,), auto=1)])
    read, insert, update = (part.split("\n\n\n")[0] for part in text.split("TypedDict):")[1:])
    assert "\n    id: int\n    auto: int | None\n    full: str\n" in read
    assert "\n    filled: str\n    empty: str | None" in read
    assert "\n    id: int\n    auto: NotRequired[int | None]\n    full: str\n" in insert
    assert "\n    filled: NotRequired[str]\n    empty: NotRequired[str | None]" in insert
    assert "\n    id: int\n    auto: NotRequired[int | None]\n" in update
    assert "\n    full: NotRequired[str]\n    filled: NotRequired[str]\n" in update
