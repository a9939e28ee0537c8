"""The bank with branches: totals as views, and money that is asserted to be constant."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import pytest

import reifydb
from sdk.build import build_guest
from tests.guests.databases import no_trace, open_with

FOLDER = Path(__file__).resolve().parents[3] / "examples/wasm/bank"
BRANCHES = ("north", "south")


@pytest.fixture
def db() -> Iterator[reifydb.Database]:
    with open_with(build_guest(FOLDER / "bank.zig").read_bytes()) as opened:
        for i in range(6):
            opened.call("bank.open", i, f"owner {i}", 100)
        opened.execute((FOLDER / "views.sql").read_text())
        with opened.transaction() as tx:
            tx.insert_many("branch", [{"name": name} for name in BRANCHES])
            tx.insert_many("kept_at", [{"account": i, "branch": BRANCHES[i % 2]} for i in range(5)])
        yield opened
        opened.verify()


def totals(db: reifydb.Database) -> dict[str, tuple[int, int]]:
    return {row["branch"]: (row["accounts"], row["money"]) for row in db.scan("branch_total")}


def test_a_transfer_moves_money_between_branches(db: reifydb.Database) -> None:
    assert totals(db) == {"north": (3, 300), "south": (2, 200)}
    db.call("bank.transfer", 0, 1, 30)
    assert totals(db) == {"north": (3, 270), "south": (2, 230)}
    db.call("bank.transfer", 1, 3, 30)  # within one
    assert totals(db) == {"north": (3, 270), "south": (2, 230)}
    assert [row["id"] for row in db.scan("unplaced")] == [5]


def test_nobody_makes_money_and_nobody_loses_any(db: reifydb.Database) -> None:
    for call, money in ((("bank.deposit", 1, 5), 605), (("bank.withdraw", 1, 5), 595)):
        with no_trace(db), pytest.raises(reifydb.AssertionViolatedError) as refused:
            db.call(*call)
        assert refused.value.constraint == "money_is_constant"
        assert refused.value.row == {"money": money}
    outcomes = db.call_many("bank.open", [(7, "x", 0), (8, "y", 1), (9, "z", 0)])
    assert [outcome.error is None for outcome in outcomes] == [True, False, True]


def test_accounts_and_branches_are_there(db: reifydb.Database) -> None:
    with no_trace(db), pytest.raises(reifydb.ForeignKeyError, match="kept_at_branch_fkey"):
        db.execute("delete from branch where name = 'north'")
    with no_trace(db), pytest.raises(reifydb.ForeignKeyError, match="kept_at_account_fkey"):
        db.execute("insert into kept_at values (77, 'north')")
    db.call("bank.transfer", 2, 1, 100)
    db.call("bank.close_account", 2)
    assert db.get("kept_at", 2) is None
    assert totals(db) == {"north": (2, 200), "south": (2, 300)}


@pytest.mark.parametrize("seed", range(3))
def test_totals_are_those_of_plain_python(db: reifydb.Database, seed: int) -> None:
    rng = random.Random(seed)
    balances = dict.fromkeys(range(6), 100)
    place = {i: BRANCHES[i % 2] for i in range(5)}
    for _ in range(300):
        draw, account = rng.random(), rng.randrange(6)
        if draw < 0.7:
            other, amount = rng.randrange(6), rng.randrange(1, 150)
            if account == other or balances[account] < amount:
                with pytest.raises(reifydb.AbortedError):
                    db.call("bank.transfer", account, other, amount)
            else:
                db.call("bank.transfer", account, other, amount)
                balances[account] -= amount
                balances[other] += amount
        elif draw < 0.85:
            with db.transaction() as tx:
                tx.upsert("kept_at", {"account": account, "branch": rng.choice(BRANCHES)})
                place[account] = str(tx.get("kept_at", account)["branch"])  # type: ignore[index]
        else:
            db.call_many("bank.deposit", [(account, 1)])  # refused
            place.pop(account, None)
            with db.transaction() as tx:
                tx.delete("kept_at", account)
        expected: dict[str, list[int]] = {}
        for one, branch in place.items():
            expected.setdefault(branch, []).append(balances[one])
        assert totals(db) == {b: (len(all_), sum(all_)) for b, all_ in expected.items()}
        assert {row["id"] for row in db.scan("unplaced")} == set(balances) - set(place)
        assert db.call("bank.total") == 600
