"""The bank in each language: the same transitions, the same answers, the same rows."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import wasmtime

import reifydb
from sdk.build import build_guest
from tests.guests.databases import LANGUAGES, open_with, run_batch
from tests.unit.sdk.fake_host import AbortedError, Column, FakeHost, Table, custom_section

FOLDER = Path(__file__).resolve().parents[3] / "examples/wasm/bank"
INT_MAX = 2**63 - 1


def module(language: str) -> bytes:
    return build_guest(FOLDER / f"bank.{language}").read_bytes()


@pytest.fixture(params=LANGUAGES)
def language(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def bank(language: str) -> FakeHost:
    columns = [Column("id", "int"), Column("owner", "text"), Column("balance", "int")]
    host = FakeHost(module(language), {"account": Table(columns, [0])})
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
        (("withdraw", 2, 6), 4, "insufficient_funds"),
        (("withdraw", 2, -1), 2, "non_positive_amount"),
        (("open", 1, "eve", 0), 5, "account_exists"),
        (("close_account", 1), 6, "account_not_empty"),
        (("close_account", 9), 3, "account_missing"),
        (("balance", 9), 3, "account_missing"),
        (("open", 3, "eve", -1), 7, "negative_balance"),
        (("deposit", 1, INT_MAX), -100, "overflow"),
    ],
)
def test_a_refusal_has_its_code_and_name(
    bank: FakeHost, call: tuple[Any, ...], code: int, message: str
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


def test_a_bank_is_small(language: str) -> None:
    # Every page is put back when a guest is reset; every byte is compiled when it is installed.
    assert len(module(language)) < 8 * 1024
    compiled = wasmtime.Module(wasmtime.Engine(), module(language))
    memory = next(e.type for e in compiled.exports if e.name == "memory")
    assert isinstance(memory, wasmtime.MemoryType)
    assert memory.limits.min == 1


def test_all_banks_declare_the_same() -> None:
    found = [json.loads(custom_section(module(each), "reifydb.manifest")) for each in LANGUAGES]
    for manifest in found:
        assert manifest["schema"] == (FOLDER / "schema.sql").read_text()
    assert all(manifest == found[0] for manifest in found)


def calls(dice: random.Random) -> Iterator[tuple[str, tuple[Any, ...]]]:
    """A history of a few accounts, in which anything may be refused."""
    while True:
        name = dice.choice(["open", "transfer", "transfer", "deposit", "withdraw", "close_account"])
        amount = dice.choice([-1, 0, 1, 5, 100, INT_MAX])
        one, other = dice.randrange(8), dice.randrange(8)
        arguments: dict[str, tuple[Any, ...]] = {
            "open": (one, "owner " * dice.randrange(5), amount),
            "transfer": (one, other, amount),
            "close_account": (one,),
        }
        yield f"bank.{name}", arguments.get(name, (one, amount))


@pytest.mark.parametrize("seed", range(3))
def test_all_banks_answer_the_same_bytes(seed: int) -> None:
    found = []
    for language in LANGUAGES:
        history = calls(random.Random(seed))
        with open_with(module(language)) as db:
            outcomes = run_batch(db, [next(history) for _ in range(1500)])
            rows = list(db.scan("account"))
            assert not rows or db.call("bank.balance", rows[0]["id"]) == rows[0]["balance"]
            db.verify()
            found.append((outcomes, rows))
    assert all(other == found[0] for other in found)
    assert {outcome.code for outcome in found[0][0]} >= {0, 1, 2, 3, 4, 5, 6, 7, -100}


def test_a_bank_in_one_language_takes_over_from_one_in_another() -> None:
    with reifydb.open(":memory:") as db:
        for i, each in enumerate((*LANGUAGES, LANGUAGES[0])):
            db.install(module(each), apply_schema=i == 0)
            db.call("bank.open", i, f"opened in {each}", 10)
        assert db.call("bank.total") == 30
