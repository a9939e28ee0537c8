"""`reifydb serve` and `reifydb token`, as real processes with real sockets and signals."""

from __future__ import annotations

import http.client
import json
import re
import shutil
import signal
import socket
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

import reifydb
from sdk.build import build_guest
from tests.e2e.cli.processes import BANK, COMMAND, ROOT, Served, refusal, reify, serve


def balance(folder: Path, account: int) -> object:
    with reifydb.open(folder) as db:
        db.verify()
        return db.call("bank.balance", account)


# ---------------------------------------------------------------- serving


def test_a_server_stops_at_sigterm_and_its_data_is_there_again(tmp_path: Path) -> None:
    folder = tmp_path / "bank.reify"
    with serve(folder) as server:
        assert server.said == f"serving {folder} at http://127.0.0.1:{server.port}"
        server.install_bank()
        assert server.call("bank.open", 1, "ada", 100)[0] == 200
        assert server.end() == 0
    assert balance(folder, 1) == 100
    with serve(folder, "--json") as server:
        url = f"http://127.0.0.1:{server.port}"
        assert json.loads(server.said) == {"url": url, "path": str(folder), "incarnation": 3}
        assert server.end(signal.SIGINT) == 0


def test_what_was_answered_survives_sigkill(tmp_path: Path) -> None:
    folder = tmp_path / "bank.reify"
    with serve(folder) as server:
        server.install_bank()
        server.call("bank.open", 1, "ada", 0)
        for _ in range(20):
            assert server.call("bank.deposit", 1, 5)[0] == 200
        assert server.end(signal.SIGKILL) == -signal.SIGKILL
    assert balance(folder, 1) == 100


def test_only_pages_of_allowed_origins_may_ask() -> None:
    with serve("--memory", "--origin", "https://a.example", "--origin", "https://b.example") as s:
        assert s.said.startswith("serving a database in memory at http://127.0.0.1:")
        for origin, status in {"a": 200, "b": 200, "c": 403}.items():
            with closing(http.client.HTTPConnection("127.0.0.1", s.port, timeout=10)) as connection:
                headers = {"Origin": f"https://{origin}.example"}
                connection.request("GET", "/v1/tables", headers=headers)
                assert connection.getresponse().status == status


# ---------------------------------------------------------------- not serving


def test_a_port_that_is_taken_is_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        said = refusal("serve", "--memory", "--port", port)
    assert said == (
        f"cannot listen on 127.0.0.1:{port}: Address already in use "
        "(another --port; 0 takes a free one)"
    )


def test_beyond_loopback_a_token_is_needed(tmp_path: Path) -> None:
    folder = tmp_path / "db"
    said = refusal("serve", folder, "--host", "0.0.0.0", "--port", 0)
    assert said.startswith("0.0.0.0 is not loopback, and there is no token")
    assert reify("token", "make", folder, "app", "--can", "read").returncode == 0
    with serve(folder, "--host", "0.0.0.0") as server:
        assert server.ask("GET", "/v1/tables")[0] == 401
        assert server.end() == 0


def test_a_folder_that_is_served_is_locked(tmp_path: Path) -> None:
    folder = tmp_path / "db"
    with serve(folder) as server:
        holder = f"in use by process {server.process.pid}"
        assert holder in refusal("serve", folder, "--port", 0, code=3)
        assert holder in refusal("token", "make", folder, "app", "--can", "read", code=3)


@pytest.mark.parametrize("args", [["serve", "x", "--memory"], ["token", "make", "x"]])
def test_wrong_usage_exits_with_2(args: list[str]) -> None:
    done = reify(*args)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.splitlines()[-1].startswith("error: ")


# ---------------------------------------------------------------- tokens


def test_a_token_is_made_used_and_revoked(tmp_path: Path) -> None:
    folder = tmp_path / "db"
    with serve(folder) as server:
        server.install_bank()
    done = reify("token", "make", folder, "app", "--can", "call:bank.open,read")
    assert done.returncode == 0
    (token,) = done.stdout.splitlines()
    other = json.loads(
        reify("token", "make", folder, "ops", "--can", "operations", "--days", 1, "--json").stdout
    )
    assert (other["name"], other["capabilities"]) == ("ops", ["operations"])
    with serve(folder, "--tokens-needed") as server:
        assert server.call("bank.open", 1, "ada", 100)[0] == 401
        assert server.call("bank.open", 1, "ada", 100, token=token)[0] == 200
        assert server.call("bank.balance", 1, token=token)[0] == 403
    table = reify("token", "list", folder).stdout.splitlines()
    assert re.split("  +", table[1]) == ["app", "call:bank.open, read", "never"]
    assert token not in "".join(table)
    listed = json.loads(reify("token", "list", folder, "--json").stdout)
    assert [(known["name"], known["expires"] is None) for known in listed] == [
        ("app", True),
        ("ops", False),
    ]
    assert reify("token", "revoke", folder, "app").stdout == "revoked app\n"
    assert json.loads(reify("token", "list", folder, "--json").stdout) == listed[1:]
    with serve(folder) as server:
        assert server.call("bank.open", 2, "bob", 0, token=token)[0] == 401
    assert "there is no token 'app'" in refusal("token", "revoke", folder, "app")


def test_a_token_that_cannot_be_made_is_refused_with_the_reason(tmp_path: Path) -> None:
    said = refusal("token", "make", tmp_path / "db", "app", "--can", "call,wibble")
    assert said.startswith("'wibble' is no capability")
    assert "there is no database" in refusal("token", "list", tmp_path / "none")
    assert not (tmp_path / "none").exists()


# ---------------------------------------------------------------- its page


@pytest.mark.skipif(shutil.which("curl") is None, reason="the page asks with curl")
def test_the_page_does_what_it_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its commands in their order, at a free port; a server ends where the page needs it to."""
    page = (ROOT / "docs" / "server.md").read_text(encoding="utf-8")
    blocks = re.findall(r"^```bash\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    commands = [line for block in blocks for line in block.splitlines()]
    assert sum(line.startswith("curl") for line in commands) == 5
    (tmp_path / "bank.wasm").write_bytes(build_guest(BANK).read_bytes())
    shim = f'reifydb() {{ "{sys.executable}" -m reifydb "$@"; }}; '
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    asked: list[str] = []
    while commands:
        line = commands.pop(0)
        if line.startswith("reifydb serve "):
            with serve(tmp_path / line.split()[-1]) as server:
                while commands and commands[0].startswith("curl"):
                    line = commands.pop(0).replace("7433", str(server.port))
                    asked.append(run_line(line, tmp_path))
        else:
            run_line(shim + line, tmp_path)
    assert [json.loads(answer)["value"] for answer in (asked[2], asked[4])] == [100, 100]


def run_line(line: str, folder: Path) -> str:
    done = subprocess.run(
        ["sh", "-euc", line], cwd=folder, capture_output=True, text=True, timeout=20
    )
    assert done.returncode == 0, (line, done.stdout, done.stderr)
    return done.stdout


def test_tokens_and_modules_are_changed_while_it_runs(tmp_path: Path) -> None:
    folder = tmp_path / "db"
    made = reify("token", "make", folder, "ops", "--can", "operations,call,modules,read")
    env = {"REIFYDB_TOKEN": made.stdout.strip()}
    with serve(folder, "--json") as server:
        env["REIFYDB_URL"] = server.url

        def run(*args: str) -> str:
            done = reify(*args, env=env)
            assert done.returncode == 0, done.stderr
            return done.stdout

        app = json.loads(run("token", "make", "app", "--can", "call", "--days", "2", "--json"))
        assert (app["name"], app["capabilities"]) == ("app", ["call"])
        assert server.call("bank.total", token=app["token"])[0] == 404
        listed = json.loads(run("token", "list", "--json"))
        assert [token["name"] for token in listed] == ["app", "ops"]
        assert listed[0]["expires"] == app["expires"]
        assert run("token", "revoke", "app") == "revoked app\n"
        assert server.call("bank.total", token=app["token"])[0] == 401
        refused = reify("token", "make", "x", "--can", "write", env=env)
        assert refused.returncode == 1
        assert "may not grant write" in refused.stderr
        wasm = tmp_path / "bank.wasm"
        wasm.write_bytes(build_guest(BANK).read_bytes())
        refused = reify("uninstall", "bank", env=env)
        assert refused.returncode == 1
        assert "there is no module 'bank'" in refused.stderr
    done = reify("install", folder, wasm, "--apply-schema")
    assert done.returncode == 0
    with serve(folder) as server:
        env["REIFYDB_URL"] = server.url
        assert run("uninstall", "bank") == "removed bank\n"
        assert json.loads(run("modules", "--json")) == []
    assert json.loads(reify("scan", folder, "account", "--json").stdout or "[]") == []


def test_a_module_is_uninstalled_in_a_folder(tmp_path: Path) -> None:
    folder, wasm = tmp_path / "db", tmp_path / "bank.wasm"
    wasm.write_bytes(build_guest(BANK).read_bytes())
    reify("install", folder, wasm, "--apply-schema")
    assert json.loads(reify("uninstall", folder, "bank", "--json").stdout) == {"removed": "bank"}
    assert json.loads(reify("modules", folder, "--json").stdout) == []
    assert "did you mean" not in refusal("uninstall", folder, "bank")


def test_the_log_says_who_changed_what(tmp_path: Path) -> None:
    command = [*COMMAND, "serve", str(tmp_path / "db"), "--port", "0", "--json"]
    with subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        server = Served(process, process.stdout.readline())
        assert server.ask("POST", "/v1/schema", b'{"sql": "create table t (id int primary key)"}')
        process.terminate()
        _, log = process.communicate(timeout=10)
    lines = [json.loads(line) for line in log.splitlines()]
    [audit] = [line for line in lines if line["logger"] == "reifydb.audit"]
    assert (audit["action"], audit["who"], audit["outcome"], audit["lsn"], audit["sql"]) == (
        "schema.change",
        "anonymous",
        "done",
        1,
        "create table t (id int primary key)",
    )


def test_types_are_generated_from_a_folder_and_from_a_server(tmp_path: Path) -> None:
    folder, wasm, sql = tmp_path / "db", tmp_path / "bank.wasm", tmp_path / "note.sql"
    wasm.write_bytes(build_guest(BANK).read_bytes())
    sql.write_text("create table note (id int primary key auto_increment, price decimal(9,2));")
    reify("install", folder, wasm, "--apply-schema")
    reify("schema", folder, "--apply", sql)
    for language, words in (
        ("python", ["class Bank:", "def transfer(self, source: int", "Decimal | None"]),
        ("typescript", ['"bank.transfer"', "note"]),
    ):
        made = reify("generate", language, "--from", folder)
        assert made.returncode == 0, made.stderr
        assert all(word in made.stdout for word in words), made.stdout
        output = tmp_path / f"made.{language}"
        output.write_text(made.stdout)
        with serve(folder) as server:
            checked = reify("generate", language, "--from", server.url, "-o", output, "--check")
            assert checked.returncode == 0, checked.stderr
    assert reify("generate", "python", "--from", folder, "--schema", sql).returncode == 2
    assert "there is no database" in refusal("generate", "python", "--from", tmp_path / "none")
