"""The command line: exit codes, one-line errors, and what it writes."""

import subprocess
import sys
from pathlib import Path

import pytest

import reifydb
from reifydb.cli.main import main
from sdk.build import build_guest

BANK = Path(__file__).parents[3] / "examples/wasm/bank/bank.zig"
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
    "arguments",
    [
        ["wibble"],
        ["--wibble"],
        ["generate", "zig"],
        ["generate", "python"],
        ["generate", "typescript"],
        ["generate", "cobol"],
    ],
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


def test_generate_python_prints_or_writes(
    schema: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bank = tmp_path / "bank.wasm"
    bank.write_bytes(build_guest(BANK).read_bytes())
    for arguments in (["--schema", str(schema), "--module", str(bank)], ["--module", str(bank)]):
        assert main(["generate", "python", *arguments]) == 0
        printed = capsys.readouterr().out
        assert "class Account(TypedDict):" in printed
        assert "def transfer(self, source: int, target: int, amount: int) -> int:" in printed
    output = tmp_path / "rows.py"
    assert main(["generate", "python", "--schema", str(schema), "-o", str(output)]) == 0
    assert "class Account(TypedDict):" in output.read_text()
    assert "class Bank" not in output.read_text()


def test_generate_typescript_prints_or_writes(
    schema: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bank = tmp_path / "bank.wasm"
    bank.write_bytes(build_guest(BANK).read_bytes())
    for arguments in (["--schema", str(schema), "--module", str(bank)], ["--module", str(bank)]):
        assert main(["generate", "typescript", *arguments]) == 0
        printed = capsys.readouterr().out
        assert "export interface Account {" in printed
        assert '"bank.transfer": { params: [source: Int, target: Int, amount: Int];' in printed
    output = tmp_path / "schema.ts"
    assert main(["generate", "typescript", "--schema", str(schema), "-o", str(output)]) == 0
    assert "transitions: {};" in output.read_text()


@pytest.mark.parametrize(
    ("contents", "said"),
    [
        (b"", "it does not start with the bytes"),
        (b"\0asm\1\0\0\0", "it has 0 manifests; one is needed"),
        (b"\0asm\1\0\0\0\0\x13\x10reifydb.manifest{]", "manifest is not valid"),
    ],
)
def test_a_module_without_a_manifest_exits_with_1(
    contents: bytes, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "m.wasm").write_bytes(contents)
    assert main(["generate", "python", "--module", str(tmp_path / "m.wasm")]) == 1
    assert said in capsys.readouterr().err


@pytest.mark.parametrize("language", ["zig", "c", "python", "typescript"])
def test_check_compares_and_writes_nothing(
    language: str, schema: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "made"
    command = ["generate", language, "--schema", str(schema), "-o", str(output)]
    assert main([*command, "--check"]) == 1
    assert "made is not there" in capsys.readouterr().err
    assert not output.exists()
    assert main(command) == 0
    assert main([*command, "--check"]) == 0
    schema.write_text(SCHEMA.replace("owner", "holder"))
    before = output.read_text()
    assert main([*command, "--check"]) == 1
    assert "made is not what would be generated now" in capsys.readouterr().err
    assert output.read_text() == before
    assert main(["generate", language, "--schema", str(schema), "--check"]) == 2


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
