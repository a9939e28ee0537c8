"""Commands and servers as real processes."""

from __future__ import annotations

import http.client
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from sdk.build import build_guest

ROOT = Path(__file__).resolve().parents[3]
BANK = ROOT / "examples" / "wasm" / "bank" / "bank.zig"
COMMAND = [sys.executable, "-m", "reifydb"]

INFO = re.compile(r"Z info |\"level\": \"info\"")
"""What is in a line of a server's log that says nothing bad."""


class Served:
    """A server in a process of its own, and a client of it."""

    def __init__(self, process: subprocess.Popen[str], said: str) -> None:
        self.process, self.said = process, said
        found = re.search(r"http://[\d.]+:(\d+)", said)
        assert found, said
        self.port = int(found[1])
        self.url = found[0]

    def ask(
        self, method: str, path: str, body: bytes | None = None, token: str | None = None
    ) -> tuple[int, Any]:
        headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        with closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)) as connection:
            connection.request(method, path, body, headers)
            answer = connection.getresponse()
            return answer.status, json.loads(answer.read())

    def call(self, transition: str, *args: object, token: str | None = None) -> tuple[int, Any]:
        return self.ask("POST", f"/v1/call/{transition}", json.dumps(args).encode(), token)

    def install_bank(self) -> None:
        wasm = build_guest(BANK).read_bytes()
        status, answer = self.ask("PUT", "/v1/modules/bank?apply_schema=1", wasm)
        assert (status, answer["name"]) == (201, "bank")

    def end(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Sends a signal, and waits for what the process exits with."""
        self.process.send_signal(number)
        return self.process.wait(10)


@contextmanager
def serve(*args: object) -> Iterator[Served]:
    """A server while the block runs; port 0 unless the arguments say another."""
    command = [*COMMAND, "serve", "--port", "0", *map(str, args)]
    with subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout is not None
            assert process.stderr is not None
            said = process.stdout.readline().rstrip()
            assert said, process.stderr.read()
            yield Served(process, said)
            if process.poll() is None:
                process.terminate()
            rest, log = process.communicate(timeout=10)
            assert rest == ""
            assert [line for line in log.splitlines() if not INFO.search(line)] == []
        finally:
            process.kill()


def reify(
    *args: object, given: str | None = None, env: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Runs a command to its end; `given` is its standard input."""
    command = [*COMMAND, *map(str, args)]
    environment = os.environ | (env or {})
    return subprocess.run(
        command, cwd=ROOT, env=environment, input=given, capture_output=True, text=True, timeout=30
    )


def refusal(*args: object, code: int = 1) -> str:
    """The one line with which a command is refused."""
    done = reify(*args)
    assert (done.returncode, done.stdout) == (code, ""), done
    (line,) = done.stderr.splitlines()
    assert line.startswith("error: ")
    return line.removeprefix("error: ")
