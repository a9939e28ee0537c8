"""The pytest plugin, in sessions of their own: as pytest finds it, and as tests use it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from sdk.build import build_guest

ROOT = Path(__file__).resolve().parents[2]
BANK = ROOT / "examples/wasm/bank/bank.zig"
FOUND = {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTEST_PLUGINS": "reifydb.pytest_plugin"}

MS_MAX = 2.0
"""What a test with a database may take for all of it: open, install, use, verify, close."""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "bank.wasm").write_bytes(build_guest(BANK).read_bytes())
    (tmp_path / "notes.sql").write_text("create table note (id int primary key, at timestamp)")
    (tmp_path / "pytest.ini").write_text(
        "[pytest]\nreifydb_modules = bank.wasm\nreifydb_schema = notes.sql\n"
        "filterwarnings = error\naddopts = -p no:cacheprovider\n"
    )
    return tmp_path


def run(folder: Path, program: str, *arguments: str, **environment: str) -> tuple[int, str]:
    """The exit code of a session that runs `program`, and what it wrote."""
    (folder / "test_it.py").write_text(program)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", *arguments],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(ROOT)} | (environment or FOUND),
        capture_output=True,
        text=True,
        timeout=120,
    )
    return done.returncode, done.stdout + done.stderr


def test_each_test_has_a_database_of_its_own_and_its_time(folder: Path) -> None:
    program = """
import datetime, pytest, reifydb as package

@pytest.mark.parametrize("i", range(3))
def test_fresh(reifydb, i):
    assert reifydb.count("account") == reifydb.count("note") == 0
    reifydb.call("bank.open", 1, "ada", 100)

def test_time_stands_still_until_it_is_advanced(reifydb, reifydb_clock):
    @reifydb.transition
    def note(tx, id):
        tx.insert("note", {"id": id, "at": reifydb_clock.now})
    reifydb.call("note", 1)
    reifydb_clock.advance(1.5)
    reifydb_clock.advance(datetime.timedelta(days=1))
    reifydb.call("note", 2)
    first, second = (row["at"] for row in reifydb.scan("note"))
    assert first == datetime.datetime(2000, 1, 1, tzinfo=datetime.UTC)
    assert second - first == datetime.timedelta(days=1, seconds=1.5)
    assert reifydb_clock() == int(second.timestamp()) * 10**9 + 500_000_000
    with pytest.raises(ValueError, match="backwards"):
        reifydb_clock.advance(-1)

def test_a_test_may_close_its_database(reifydb):
    reifydb.close()
"""
    code, out = run(folder, program)
    assert code == 0, out
    assert "5 passed" in out


def test_a_guest_sees_the_clock_and_the_seed(folder: Path) -> None:
    program = """
import reifydb.pytest_plugin, pytest
from tests.guests.databases import zig_guest

@pytest.fixture(scope="session")
def reifydb_setup():
    return reifydb.pytest_plugin.Setup(modules=[zig_guest("misbehave")])

def test_the_setup_is_overridden(reifydb, reifydb_seed, reifydb_clock):
    assert list(reifydb.modules) == ["misbehave"]
    assert reifydb._seed >= reifydb_seed
    assert reifydb._clock is reifydb_clock
    print("seed", reifydb_seed)
"""
    seeds = []
    for arguments in ([], [], ["--reifydb-seed=5"]):
        code, out = run(folder, program, "-s", *arguments)
        assert code == 0, out
        seeds.append(int(re.findall(r"seed (\d+)", out)[0]))
    assert seeds[0] == seeds[1] != 5
    assert seeds[2] == 5


def test_a_failure_says_how_to_repeat_it(folder: Path) -> None:
    program = """
def test_fails(reifydb):
    assert not reifydb.tables

def test_fails_without_a_database():
    assert False
"""
    code, out = run(folder, program)
    assert code == 1
    assert len(re.findall(r"to repeat its randomness: --reifydb-seed=\d+", out)) == 1, out


def test_what_a_test_leaves_behind_fails_it(folder: Path) -> None:
    program = """
def test_open(reifydb):
    reifydb.left = reifydb.transaction()
    reifydb.left.begin()

def test_damaged(reifydb):
    reifydb.call("bank.open", 1, "ada", 100)
    kernel = reifydb._kernel
    assert reifydb.get("account", 1) is not None
    row = bytes(kernel.output[: int.from_bytes(kernel.output[:4], "little")])
    memory = bytes(kernel.view(0, kernel.call["end"]()))
    kernel.view(memory.rindex(row) + 24, 1)[0] ^= 1  # rows lie behind all buffers

def test_the_next_one(reifydb):
    reifydb.call("bank.open", 1, "ada", 100)
"""
    code, out = run(folder, program)
    assert code == 1
    assert "the test left a transaction of its database open" in out
    assert "after the test, its database: the state contradicts itself" in out
    assert "3 passed, 2 errors" in out


def test_pytest_finds_it_and_a_run_that_does_not_use_it_loads_nothing(folder: Path) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    [(name, module)] = project["entry-points"]["pytest11"].items()
    installed = folder / "found" / "found-1.dist-info"
    installed.mkdir(parents=True)
    (installed / "METADATA").write_text("Metadata-Version: 2.1\nName: found\nVersion: 1\n")
    (installed / "entry_points.txt").write_text(f"[pytest11]\n{name} = {module}\n")
    program = """
import sys

def test_nothing_heavy(request):
    assert "reifydb.pytest_plugin" in sys.modules
    heavy = {"wasmtime", "sqlglot", "aiohttp", "msgpack", "click", "rich", "reifydb.database"}
    assert not heavy & set(sys.modules)
"""
    path = os.pathsep.join([str(folder / "found"), str(ROOT)])
    code, out = run(
        folder, program, "-p", "no:asyncio", "-p", "no:hypothesispytest", PYTHONPATH=path
    )
    assert code == 0, out


def test_a_database_costs_a_test_two_milliseconds(folder: Path) -> None:
    (folder / "conftest.py").write_text("""
import pytest, time
took_ms = []

@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item):
    began_s = time.perf_counter()
    yield
    took_ms.append((time.perf_counter() - began_s) * 1000)
    return True

def pytest_sessionfinish():
    print("least", min(took_ms))
""")
    program = """
import pytest

@pytest.mark.parametrize("i", range(100))
def test_it(reifydb, i):
    reifydb.call("bank.open", 1, "ada", i)
    assert reifydb.get("account", 1)["balance"] == i
"""
    code, out = run(folder, program, "-s")
    assert code == 0, out
    least_ms = float(re.findall(r"least ([\d.]+)", out)[0])
    # The best of a hundred: what it takes, not what else the machine does. Opened anew with an
    # engine of its own each time, it would be 10 ms, and with a watchdog to wait for 60.
    assert least_ms < 2 * MS_MAX
