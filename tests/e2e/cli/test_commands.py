"""Commands against a server: the same as on a folder, and what only a server has."""

from __future__ import annotations

import json
import os
import pty
import signal
import socket
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from queue import Queue

import pytest
import wasmtime

from sdk.build import build_guest
from tests.e2e.cli.processes import BANK, COMMAND, ROOT, Served, refusal, reify, serve

LOUD = """
(module
  (import "reifydb.v1" "log" (func $log (param i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (data (i32.const 64) "hello from a guest")
  (func (export "say") (result i32)
    (call $log (i32.const 20) (i32.const 64) (i32.const 18))))
"""

LOUD_MANIFEST = {
    "abi": 1,
    "name": "loud",
    "schema": "",
    "relations": [],
    "transitions": [{"name": "say", "params": [], "result": None, "query": False}],
}


@pytest.fixture
def wasm(tmp_path: Path) -> Path:
    path = tmp_path / "bank.wasm"
    path.write_bytes(build_guest(BANK).read_bytes())
    return path


@pytest.fixture
def server(tmp_path: Path, wasm: Path) -> Iterator[Served]:
    with serve(tmp_path / "db", "--install", wasm, "--apply-schema") as server:
        assert reify("call", "--url", server.url, "bank.open", 1, "ada", 100).returncode == 0
        assert reify("call", "--url", server.url, "bank.open", 2, "bob", 0).returncode == 0
        yield server


class Followed:
    """A command that goes on, and its lines as they come."""

    def __init__(self, *args: object) -> None:
        self.process = subprocess.Popen(
            [*COMMAND, *map(str, args)],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            # Where these tests are a background job, SIGINT is ignored; not by what they start.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
        )
        self._lines: Queue[str] = Queue()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        with self.process.stdout as lines:
            for line in lines:
                self._lines.put(line.rstrip("\n"))

    def line(self) -> str:
        return self._lines.get(timeout=20)

    def end(self) -> tuple[int, str]:
        """Ctrl-C: the exit code, and what it complained of."""
        self.process.send_signal(signal.SIGINT)
        return self.wait()

    def wait(self) -> tuple[int, str]:
        code = self.process.wait(60)
        self._reader.join(10)
        assert self.process.stderr is not None
        with self.process.stderr:
            return code, self.process.stderr.read()


# ---------------------------------------------------------------- the same as on a folder


def test_a_server_answers_as_the_folder_does(server: Served, tmp_path: Path) -> None:
    more = (
        "create table seat (hall text, number int, at timestamp default '2024-01-01 00:00:00Z',"
        " price decimal(6,2) default 1.5, big int default 9007199254740993, tags json default"
        " '[1]', photo bytes, primary key (hall, number)); create index by_big on seat (big)"
    )
    given = reify("schema", "--url", server.url, "--apply", "-", given=more)
    assert (given.returncode, given.stdout) == (0, "")
    for hall, number in (("a/b c?", 1), ("", 2), ("é", -3)):
        row = {"hall": hall, "number": number, "photo": "AP8="}
        assert server.ask("POST", "/v1/tables/seat", json.dumps(row).encode())[0] == 201
    asked = [
        ["call", "bank.balance", 1, "--json"],
        ["get", "account", 1, "--json"],
        ["get", "account", 1],
        ["get", "seat", "a/b c?", 1, "--json"],
        ["get", "seat", "", 2, "--json"],
        ["get", "seat", "é", -3, "--json"],
        ["get", "account", 9, "--json"],
        ["get", "account", "x", "--json"],
        ["scan", "seat"],
        ["scan", "seat", "--json", "--reverse"],
        ["scan", "seat", "--lower", "a/b c?", "--lower", 0, "--json"],
        ["scan", "seat", "--index", "by_big", "--lower", "9007199254740993", "--json"],
        ["scan", "seat", "--index", "by_big", "--upper", 5, "--upper-exclusive", "--json"],
        ["scan", "account", "--limit", 1, "--json"],
        ["schema"],
        ["schema", "--json"],
        ["describe", "seat"],
        ["describe", "bank.transfer", "--json"],
        ["describe", "wibble", "--json"],
        ["modules", "--json"],
        ["call", "bank.transfer", 1, 2, 1000, "--json"],
        ["call", "bank.transfer", "--args", "[1]", "--json"],
    ]
    remote = [reify(name, "--url", server.url, *rest) for name, *rest in asked]
    assert server.end() == 0
    for (name, *rest), one in zip(asked, remote, strict=True):
        other = reify(name, tmp_path / "db", *rest)
        assert (one.returncode, without(one.stdout)) == (other.returncode, without(other.stdout))
        assert without(one.stderr) == without(other.stderr)


def without(text: str) -> object:
    """What was printed, without what must differ: an incarnation, and the path over HTTP."""
    if not text.startswith("{") or text.count("\n") != 1:
        return text
    return {k: v for k, v in json.loads(text).items() if k not in ("incarnation", "instance")}


def test_pages_of_a_long_scan_are_read_until_its_end(server: Served) -> None:
    rows = [{"id": i, "owner": "x", "balance": 0} for i in range(3, 12_003)]
    assert server.ask("POST", "/v1/tables/account", json.dumps(rows).encode())[0] == 201
    scan = ["scan", "--url", server.url, "account", "--json"]
    assert len(reify(*scan).stdout.splitlines()) == 12_002
    assert len(reify(*scan, "--limit", 11_000).stdout.splitlines()) == 11_000
    shown = reify("scan", "--url", server.url, "account")
    assert (len(shown.stdout.splitlines()), shown.stderr[:1]) == (101, "…")


def test_who_reads_may_have_had_enough(server: Served) -> None:
    rows = [{"id": i, "owner": "x" * 100, "balance": 0} for i in range(3, 8_003)]
    server.ask("POST", "/v1/tables/account", json.dumps(rows).encode())
    command = " ".join([*COMMAND, "scan", "--url", server.url, "account", "--json"])
    done = subprocess.run(
        ["sh", "-c", f"{command} | head -n 1"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert (json.loads(done.stdout)["id"], done.stderr) == (1, "")


def test_a_module_is_installed_while_it_is_served(server: Served, wasm: Path) -> None:
    plan = reify("install", "--url", server.url, wasm, "--name", "till", "--dry-run", "--json")
    assert json.loads(plan.stdout)["fits"] is True
    assert reify("install", "--url", server.url, wasm, "--name", "till").returncode == 0
    assert reify("call", "--url", server.url, "till.total").stdout == "100\n"


# ---------------------------------------------------------------- tokens and where a server is


def test_url_and_token_come_from_the_environment(tmp_path: Path, wasm: Path) -> None:
    made = reify("token", "make", tmp_path / "db", "app", "--can", "call:bank.total,read:account")
    token = made.stdout.strip()
    with serve(tmp_path / "db", "--install", wasm, "--apply-schema") as server:
        env = {"REIFYDB_URL": server.url, "REIFYDB_TOKEN": token}
        assert reify("call", "bank.total", env=env).stdout == "0\n"
        assert reify("scan", "account", env=env).returncode == 0
        forbidden = reify("modules", "--json", env=env)
        assert json.loads(forbidden.stderr)["code"] == "forbidden"
        assert "a token is needed" in refusal("modules", "--url", server.url)
        unknown = refusal("modules", "--url", server.url, "--token", "rdb_x")
        assert unknown == "the token is not known"


def test_what_is_no_server_is_told() -> None:
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        port = deaf.getsockname()[1]

        def answer() -> None:
            connection, _ = deaf.accept()
            with connection:
                connection.recv(1000)
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi")

        threading.Thread(target=answer, daemon=True).start()
        said = refusal("schema", "--url", f"http://127.0.0.1:{port}", code=3)
    assert "no ReifyDB server" in said
    assert "cannot be reached" in refusal("schema", "--url", f"http://127.0.0.1:{port}", code=3)


def test_a_call_whose_answer_is_lost_is_not_called_safe_to_repeat() -> None:
    schema = {
        "tables": [],
        "transitions": [{"name": "a.b", "params": [], "result": None, "query": False}],
    }
    body = json.dumps(schema).encode()
    with socket.create_server(("127.0.0.1", 0)) as broken:
        url = f"http://127.0.0.1:{broken.getsockname()[1]}"

        def answer() -> None:
            """The schema, then nothing at all for the call."""
            for head in (
                b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % len(body)
                + body,
                b"",
            ):
                connection, _ = broken.accept()
                with connection:
                    connection.recv(1000)
                    connection.sendall(head)

        threading.Thread(target=answer, daemon=True).start()
        done = reify("call", "--url", url, "a.b", "--json")
    said = json.loads(done.stderr)
    assert (done.returncode, said["code"], said["retryable"]) == (3, "connection_lost", False)


# ---------------------------------------------------------------- watching


def test_a_table_is_watched_until_ctrl_c(server: Served) -> None:
    lines = Followed("watch", "--url", server.url, "account")
    objects = Followed("watch", "--url", server.url, "account", "--json")
    assert lines.line() == "snapshot  2 rows at lsn 3"
    assert lines.line() == '= 1  {"id": 1, "owner": "ada", "balance": 100}'
    assert lines.line().startswith("= 2  ")
    snapshot = json.loads(objects.line())
    assert snapshot == {"op": "snapshot", "rows": 2, "incarnation": 1, "lsn": 3}
    assert [json.loads(objects.line())["key"] for _ in range(2)] == [[1], [2]]
    assert server.call("bank.transfer", 1, 2, 30)[0] == 200
    changed = [json.loads(objects.line()) for _ in range(2)]
    assert [(c["op"], c["row"]["balance"], c["lsn"]) for c in changed] == [
        ("update", 70, 4),
        ("update", 30, 4),
    ]
    assert [lines.line()[:3] for _ in range(2)] == ["~ 1", "~ 2"]
    sql = json.dumps({"sql": "alter table account add column at decimal(4,2) default 1.5"})
    assert server.ask("POST", "/v1/schema", sql.encode())[0] == 200
    assert json.loads(objects.line())["op"] == "snapshot"
    assert json.loads(objects.line())["row"]["at"] == "1.50"
    assert lines.end() == (0, "")
    assert objects.end() == (0, "")


def test_a_view_is_watched_and_asked_by_its_key(server: Served, tmp_path: Path) -> None:
    file = tmp_path / "rich.sql"
    file.write_text("create view rich as select owner from account where balance > 50")
    assert reify("schema", "--url", server.url, "--apply", file).returncode == 0
    lines = Followed("watch", "--url", server.url, "rich", "--json")
    assert json.loads(lines.line())["op"] == "snapshot"
    assert json.loads(lines.line())["key"] == [1]
    assert reify("call", "--url", server.url, "bank.deposit", 2, 60).returncode == 0
    change = json.loads(lines.line())
    assert (change["op"], change["key"], change["row"]) == ("insert", [2], {"owner": "bob"})
    assert lines.end() == (0, "")
    assert reify("get", "--url", server.url, "rich", 2).stdout == "owner  bob\n"
    sql = "select owner from account where balance >= :least and id <> :but order by id"
    words = ["--param", "least=-5", "--param", "but=1"]
    done = reify("query", "--url", server.url, sql, *words)
    assert (done.returncode, done.stdout) == (0, "owner\nbob\n")
    done = reify("query", "--url", server.url, "select frob from account")
    assert done.returncode == 1
    assert done.stderr.startswith("error: line 1, column 8")
    assert "1 rows in, 1 out" in reify("describe", "--url", server.url, "rich").stdout


def test_a_select_is_watched_with_its_parameters(server: Served) -> None:
    sql = "select owner from account where balance >= :least"
    lines = Followed("watch", "--url", server.url, sql, "--param", "least=50")
    assert lines.line() == "snapshot  1 rows at lsn 3"
    assert lines.line() == '= 1  {"owner": "ada"}'
    assert server.call("bank.transfer", 1, 2, 60)[0] == 200
    assert [lines.line() for _ in range(2)] == ["- 1", '+ 2  {"owner": "bob"}']
    assert lines.end() == (0, "")
    done = reify("watch", "--url", server.url, "select owner form account")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("error: line 1, column 19")


def test_who_watches_goes_on_when_the_server_was_killed_and_is_there_again(
    server: Served, tmp_path: Path
) -> None:
    watch = Followed("watch", "--url", server.url, "account", "--json")
    assert [json.loads(watch.line())["op"] for _ in range(3)] == ["snapshot", "row", "row"]
    assert server.end(signal.SIGKILL) == -signal.SIGKILL
    with serve(tmp_path / "db", "--port", server.port) as again:
        assert again.call("bank.deposit", 1, 5)[0] == 200
        while json.loads(watch.line()).get("row", {}).get("balance") != 105:
            pass
    assert watch.end() == (0, "")


def test_guests_are_listened_to(server: Served, tmp_path: Path) -> None:
    bare, manifest, loud = (tmp_path / name for name in ("bare.wasm", "m.json", "loud.wasm"))
    bare.write_bytes(wasmtime.wat2wasm(LOUD))
    manifest.write_text(json.dumps(LOUD_MANIFEST))
    assert reify("pack", bare, "--manifest", manifest, "-o", loud).returncode == 0
    assert reify("install", "--url", server.url, loud).returncode == 0
    follow = Followed("logs", "-f", "--url", server.url)
    for _ in range(2):
        assert server.call("loud.say")[0] == 200
    for _ in range(2):
        assert follow.line().endswith(" info    loud.say: hello from a guest")
    kept = reify("logs", "--url", server.url, "--json").stdout.splitlines()
    assert [json.loads(line)["number"] for line in kept] == [1, 2]
    assert reify("logs", "--url", server.url, "--level", "error").stdout == ""
    assert follow.end() == (0, "")
    follow = Followed("logs", "-f", "--url", server.url)
    assert follow.line()
    assert server.end() == 0
    assert follow.wait()[0] in (0, 3)


# ---------------------------------------------------------------- the server's own log, systemd


def test_the_log_is_json_lines_when_asked_for(tmp_path: Path) -> None:
    with subprocess.Popen(
        [*COMMAND, "serve", str(tmp_path / "db"), "--port", "0", "--json"],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert json.loads(process.stdout.readline())["url"].startswith("http://127.0.0.1:")
        process.terminate()
        _, log = process.communicate(timeout=10)
    said = [json.loads(line) for line in log.splitlines()]
    assert [line["message"].split()[0] for line in said] == ["serving", "closed"]
    assert {"time", "level", "logger", "message"} == set(said[0])


def test_systemd_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    address = str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
        channel.bind(address)
        channel.settimeout(10)
        monkeypatch.setenv("NOTIFY_SOCKET", address)
        with serve("--memory") as server:
            assert channel.recv(100) == b"READY=1"
            assert server.end() == 0
            assert channel.recv(100) == b"STOPPING=1"


# ---------------------------------------------------------------- terminals and shells


def on_a_terminal(*args: object, env: dict[str, str]) -> str:
    """What a command writes to a terminal."""
    ours, theirs = pty.openpty()
    environment = {k: v for k, v in os.environ.items() if k not in ("NO_COLOR", "CI")} | env
    with subprocess.Popen(
        [*COMMAND, *map(str, args)], cwd=ROOT, stdout=theirs, stderr=theirs, env=environment
    ) as process:
        os.close(theirs)
        found = b""
        while True:
            try:
                part = os.read(ours, 10_000)
            except OSError:  # Linux: its other end was closed
                break
            if not part:
                break
            found += part
        assert process.wait(20) == 0
    os.close(ours)
    return found.decode()


def test_colours_are_for_terminals_that_want_them(tmp_path: Path, wasm: Path) -> None:
    assert reify("install", tmp_path / "db", wasm, "--apply-schema").returncode == 0
    assert reify("call", tmp_path / "db", "bank.open", 1, "a\x1b[2Jda", 5).returncode == 0
    scan = ["scan", tmp_path / "db", "account"]
    env = {"TERM": "xterm-256color", "COLUMNS": "80"}
    coloured = on_a_terminal(*scan, env=env)
    assert "\x1b[" in coloured
    assert "a\\x1b[2Jda" in coloured
    assert "\x1b[2J" not in coloured
    plain = on_a_terminal(*scan, env=env | {"NO_COLOR": "1"})
    assert "\x1b[3" not in plain
    assert "─" in plain
    assert "─" not in reify(*scan).stdout


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_shells_can_complete(shell: str) -> None:
    made = reify(env={"_REIFYDB_COMPLETE": f"{shell}_source"})
    assert made.returncode == 0
    assert "_REIFYDB_COMPLETE" in made.stdout
    words = {"_REIFYDB_COMPLETE": "bash_complete", "COMP_WORDS": "reifydb ins", "COMP_CWORD": "1"}
    assert reify(env=words).stdout.split() == ["plain,install", "plain,inspect"]
