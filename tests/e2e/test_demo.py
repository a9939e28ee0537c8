"""The demo, small: it must find the money, and must say so when it is not there."""

from __future__ import annotations

import dataclasses
import importlib.util
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[2]
DEMO = ROOT / "examples" / "wasm" / "bank" / "demo.py"
SMALL = ["--accounts", "500", "--seconds", "0.6"]


def demo(*args: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(DEMO), *args]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


@pytest.fixture(scope="module")
def loaded() -> ModuleType:
    sys.path.insert(0, str(DEMO.parent))
    spec = importlib.util.spec_from_file_location("bank_demo", DEMO)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["bank_demo"] = module  # its dataclasses look themselves up
    spec.loader.exec_module(module)
    return module


def test_the_money_survives_sigkill(tmp_path: Path) -> None:
    folder = tmp_path / "bank"
    done = demo(*SMALL, "--folder", str(folder))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "SIGKILL" in done.stdout
    assert "incarnation 2" in done.stdout
    assert "500,000,000 of 500,000,000" in done.stdout
    assert "All the money is there" in done.stdout
    assert not folder.exists()


def test_a_folder_that_exists_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("precious")
    done = demo(*SMALL, "--folder", str(tmp_path))
    assert done.returncode == 2
    assert str(tmp_path) in done.stderr
    assert (tmp_path / "mine").read_text() == "precious"


def test_a_bank_that_cannot_be_installed_ends_with_the_reason(
    tmp_path: Path,
    loaded: ModuleType,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture,
) -> None:
    broken = tmp_path / "bank.wasm"
    broken.write_bytes(b"no wasm at all")
    monkeypatch.setattr(loaded, "build_guest", lambda source: broken)
    folder = tmp_path / "bank"
    monkeypatch.setattr(sys, "argv", ["demo", *SMALL, "--folder", str(folder)])
    assert loaded.main() == 1
    said = capsys.readouterr().err
    assert "the teller ended by itself" in said
    assert "ModuleError" in said
    assert f"the database is kept in {folder}" in said


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({}, None),
        (
            {"balances": {0: 999_999, 1: 1_000_000, 2: 1_000_000}},
            "hold 2,999,999 instead of 3,000,000",
        ),
        ({"balances": {0: 1_000_001, 1: 999_999, 2: 1_000_000}}, "2 accounts do not hold"),
        ({"balances": {0: 1_500_000, 1: 1_500_000}}, "3 accounts do not hold"),
        ({"total": 1}, "the bank says that it holds 1"),
        ({"lsn": 49}, "1 commits had been reported durable"),
        ({"lsn": 51}, "do not hold what the transfers up to lsn 51 make"),
        ({"problem": "a row without a key"}, "a row without a key"),
    ],
)
def test_whatever_is_wrong_is_said(
    loaded: ModuleType, change: dict[str, object], said: str | None
) -> None:
    seen = loaded.Seen(opened=3, first_lsn=50, durable_lsn=50)
    balances = dict.fromkeys(range(3), loaded.OPENING_BALANCE)
    found = loaded.Found(0.1, 50, 2, balances, 3 * loaded.OPENING_BALANCE, None)
    wrong = loaded.problems(3, seen, dataclasses.replace(found, **change))
    assert bool(wrong) == (said is not None)
    assert said is None or any(said in problem for problem in wrong), wrong


def test_whole_rounds_of_the_stream_are_multiplied(loaded: ModuleType) -> None:
    accounts, transfers = 5, 2 * loaded.PAIRS + 3
    balances = dict.fromkeys(range(accounts), loaded.OPENING_BALANCE)
    pairs = loaded.first_pairs(loaded.PAIRS, accounts)
    for i in range(transfers):
        source, target = pairs[i % loaded.PAIRS]
        balances[source] -= 1
        balances[target] += 1
    assert loaded.expected_balances(accounts, transfers) == balances
