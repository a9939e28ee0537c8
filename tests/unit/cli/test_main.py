"""The command line: exit codes, one-line errors, and what it writes."""

import subprocess
import sys
from pathlib import Path

import pytest

import reifydb
from reifydb.cli.main import main

SCHEMA = "create table account (id int primary key, owner text not null, balance int not null);"


@pytest.fixture
def schema(tmp_path: Path) -> Path:
    path = tmp_path / "schema.sql"
    path.write_text(SCHEMA)
    return path


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["version"]) == 0
    assert capsys.readouterr().out == f"reifydb {reifydb.__version__}\n"


@pytest.mark.parametrize("arguments", [["--help"], ["-h"], ["generate", "zig", "--help"]])
def test_help_is_not_an_error(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == 0
    assert capsys.readouterr().out.startswith("Usage: reifydb")


@pytest.mark.parametrize(
    "arguments", [["wibble"], ["--wibble"], ["generate", "zig"], ["generate", "cobol"]]
)
def test_wrong_usage_exits_with_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.splitlines()[-1].startswith("error: ")


def test_generate_zig_prints_or_writes(
    schema: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["generate", "zig", "--schema", str(schema)]) == 0
    printed = capsys.readouterr().out
    assert "pub const Account = struct" in printed
    output = tmp_path / "schema.zig"
    assert main(["generate", "zig", "--schema", str(schema), "-o", str(output)]) == 0
    assert output.read_text() == printed


def test_generate_c_prints_or_writes(
    schema: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["generate", "c", "--schema", str(schema)]) == 0
    printed = capsys.readouterr().out
    assert "REIFYDB_TABLE(account, ACCOUNT_COLUMNS, (int, id))" in printed
    output = tmp_path / "schema.h"
    assert main(["generate", "c", "--schema", str(schema), "-o", str(output)]) == 0
    assert output.read_text() == printed


@pytest.mark.parametrize(
    ("contents", "said"),
    [
        (b"create tabel t", "schema.sql: line 1, column 1: this statement is not supported"),
        (b"\xff", "schema.sql: not UTF-8"),
        (b"", "schema.sql: there is no create table in it"),
        (f"{SCHEMA}{SCHEMA}".encode(), "schema.sql: table account is there twice"),
    ],
)
def test_a_wrong_schema_exits_with_1_and_one_line(
    contents: bytes, said: str, schema: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    schema.write_bytes(contents)
    assert main(["generate", "zig", "--schema", str(schema)]) == 1
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert err.startswith("error: ")
    assert said in err


def test_a_missing_file_exits_with_1(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["generate", "zig", "--schema", str(tmp_path / "none.sql")]) == 1
    assert capsys.readouterr().err == f"error: {tmp_path / 'none.sql'}: No such file or directory\n"


def test_it_runs_as_a_process() -> None:
    command = [sys.executable, "-m", "reifydb"]
    done = subprocess.run([*command, "version"], capture_output=True, text=True, check=True)
    assert done.stdout == f"reifydb {reifydb.__version__}\n"
    assert subprocess.run([*command, "wibble"], capture_output=True, check=False).returncode == 2


def test_help_loads_nothing_heavy() -> None:
    program = (
        "import sys; from reifydb.cli.main import main; main(['--help']);"
        "print(sorted({'wasmtime', 'sqlglot', 'aiohttp', 'msgpack', 'rich'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[-1] == "[]"
