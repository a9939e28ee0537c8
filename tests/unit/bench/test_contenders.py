"""Everyone in the benchmark makes the transfers that they are timed for. Nothing is timed here."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.account_pairs import first_pairs
from bench.bank import MoneyError
from bench.measure import Sizes, percentile, take_timed_turn, take_turn
from bench.transfers import contenders

ACCOUNTS = 300


def test_every_contender_makes_its_transfers(tmp_path: Path) -> None:
    everybody = contenders(tmp_path, Sizes(accounts=ACCOUNTS, scale=0.0))
    names = [contender.name for contender in everybody]
    assert len(set(names)) == len(names) == 12
    for contender in everybody:
        count = max(contender.batch, 50)
        pairs = first_pairs(count, ACCOUNTS)
        turn = take_turn(contender, pairs)
        taken = take_timed_turn(contender, pairs)
        assert turn.transfers == count
        assert len(taken) == count // contender.batch
        contender.check(2 * count)
        with pytest.raises(MoneyError, match="transfers"):
            contender.check(2 * count + 1)
        contender.close()


@pytest.mark.parametrize(
    ("share", "value"), [(0.0, 1), (0.01, 1), (0.5, 50), (0.501, 51), (0.99, 99), (1.0, 100)]
)
def test_percentiles_are_values_that_were_measured(share: float, value: int) -> None:
    assert percentile(list(range(100, 0, -1)), share) == value
