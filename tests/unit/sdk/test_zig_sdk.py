"""The SDK for guests in Zig, on a host that was written from the pages alone."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import wasmtime

from reifydb.generate import generate_zig
from sdk.zig.build import SDK, GuestBuildError, build_guest
from tests.unit.sdk.fake_host import AbortedError, Column, FakeHost, Table

ROOT = Path(__file__).resolve().parents[3]
BANK = ROOT / "examples/wasm/bank"


@pytest.fixture
def bank() -> FakeHost:
    columns = [Column("id", "int"), Column("owner", "text"), Column("balance", "int")]
    host = FakeHost(build_guest(BANK / "bank.zig").read_bytes(), {"account": Table(columns, [0])})
    host.call("open", 1, "ada", 100)
    host.call("open", 2, "bob", 5)
    return host


def balances(host: FakeHost) -> dict[object, object]:
    return {row[0]: row[2] for row in host.tables["account"].rows.values()}


def test_a_transfer_moves_money_and_returns_what_is_left(bank: FakeHost) -> None:
    assert bank.call("transfer", 1, 2, 30) == 70
    assert balances(bank) == {1: 70, 2: 35}
    assert bank.call("total") == 105
    assert bank.call("balance", 2) == 35
    assert bank.tables["account"].rows[1,] == [1, "ada", 70]


@pytest.mark.parametrize(
    ("call", "code", "message"),
    [
        (("transfer", 1, 1, 5), 1, "same_account"),
        (("transfer", 1, 2, 0), 2, "non_positive_amount"),
        (("transfer", 1, 9, 5), 3, "account_missing"),
        (("transfer", 9, 1, 5), 3, "account_missing"),
        (("transfer", 2, 1, 6), 4, "insufficient_funds"),
        (("open", 1, "eve", 0), 5, "account_exists"),
        (("close_account", 1), 6, "account_not_empty"),
        (("open", 3, "eve", -1), 7, "negative_balance"),
        (("deposit", 1, 2**63 - 1), -100, "overflow"),
    ],
)
def test_a_refusal_has_its_code_and_name(
    bank: FakeHost, call: tuple[str, int], code: int, message: str
) -> None:
    before = balances(bank)
    with pytest.raises(AbortedError) as caught:
        bank.call(*call)
    assert caught.value.args == (code, message)
    assert balances(bank) == before


def test_accounts_are_opened_and_closed(bank: FakeHost) -> None:
    bank.call("open", 3, "Zoë with a name longer than two words of memory", 7)
    assert bank.call("withdraw", 3, 7) == 0
    assert bank.tables["account"].rows[3,][1] == "Zoë with a name longer than two words of memory"
    assert bank.call("close_account", 3) is None
    assert set(balances(bank)) == {1, 2}


def test_total_reads_many_rows_per_crossing(bank: FakeHost) -> None:
    for i in range(3, 400):
        bank.call("open", i, "x" * (i % 40), i)
    assert bank.call("total") == 105 + sum(range(3, 400))


def test_a_bank_is_small() -> None:
    # Every page is put back when a guest is reset; every byte is compiled when it is installed.
    module = build_guest(BANK / "bank.zig").read_bytes()
    assert len(module) < 8 * 1024
    compiled = wasmtime.Module(wasmtime.Engine(), module)
    memory = next(e.type for e in compiled.exports if e.name == "memory")
    assert isinstance(memory, wasmtime.MemoryType)
    assert memory.limits.min == 1
