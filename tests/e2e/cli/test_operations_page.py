"""The unit and the container file of docs/operations.md, without systemd or a container."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
import sys
from configparser import ConfigParser
from getpass import getuser
from pathlib import Path

import pytest

from reifydb.cli.serve import serve as command
from tests.e2e.cli.processes import ROOT, serve

PAGE = ROOT / "docs" / "operations.md"


def block(title: str) -> str:
    found = re.search(
        rf"^```\w+ {re.escape(title)}\n(.*?)^```", PAGE.read_text(), re.MULTILINE | re.DOTALL
    )
    assert found, title
    return found[1]


def unit() -> ConfigParser:
    parsed = ConfigParser(interpolation=None)
    parsed.optionxform = str  # type: ignore[assignment,method-assign]
    parsed.read_string(block("reifydb.service"))
    return parsed


def instructions() -> dict[str, str]:
    joined = block("Containerfile").replace("\\\n", " ")
    return dict(line.split(" ", 1) for line in joined.splitlines() if line)


def accepts(words: list[str]) -> None:
    """Whether these are a right command line of `reifydb serve`."""
    program, name, *arguments = words
    assert (Path(program).name, name) == ("reifydb", "serve")
    command.make_context(name, arguments)


def test_the_unit_starts_what_there_is() -> None:
    service = unit()["Service"]
    accepts(shlex.split(service["ExecStart"]))
    assert f"/var/lib/{service['StateDirectory']}/" in service["ExecStart"]
    assert "MemoryDenyWriteExecute" not in service
    assert service["Type"] == "notify"


def test_systemd_has_nothing_to_say_about_the_unit(tmp_path: Path) -> None:
    analyze = shutil.which("systemd-analyze")
    if analyze is None:
        pytest.skip("systemd-analyze is not installed")
    path = tmp_path / "reifydb.service"
    text = block("reifydb.service").replace("/opt/reifydb/bin/reifydb", sys.executable)
    path.write_text(text.replace("User=reifydb", f"User={getuser()}"))
    done = subprocess.run([analyze, "verify", path], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_the_container_starts_what_there_is() -> None:
    found = instructions()
    known = "FROM RUN USER VOLUME EXPOSE STOPSIGNAL HEALTHCHECK ENTRYPOINT".split()
    assert list(found) == known
    accepts(json.loads(found["ENTRYPOINT"]))
    assert found["STOPSIGNAL"] == "SIGTERM"
    assert json.loads(found["ENTRYPOINT"])[2].startswith(found["VOLUME"])


def test_the_containers_health_is_the_servers(tmp_path: Path) -> None:
    python, option, script = json.loads(instructions()["HEALTHCHECK"].split("CMD")[1])
    assert (python, option) == ("python", "-c")

    def healthy(port: int) -> bool:
        assert ":7433/" in script
        asked = [sys.executable, "-c", script.replace(":7433/", f":{port}/")]
        return subprocess.run(asked, capture_output=True, check=False).returncode == 0

    with serve(tmp_path / "db") as server:
        assert healthy(server.port)
        server.end()
        assert not healthy(server.port)
