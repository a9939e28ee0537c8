"""The pair stream against golden values: another implementation must draw the same."""

from __future__ import annotations

from itertools import islice

import pytest

from bench.account_pairs import account_pairs, first_pairs

UNIFORM = [(10615, 94127), (93987, 23388), (90458, 77833), (27943, 34101), (19990, 35710)]
SKEWED = [
    *[(0, 157), (150, 0), (61, 11), (0, 4), (3, 24)],
    *[(0, 1), (0, 2), (3, 35), (73, 10), (0, 1)],
]


@pytest.mark.parametrize(("alpha", "pairs"), [(0.0, UNIFORM), (1.5, SKEWED)])
def test_the_stream_begins_as_everywhere(alpha: float, pairs: list[tuple[int, int]]) -> None:
    assert list(islice(account_pairs(100_000, alpha), len(pairs))) == pairs


@pytest.mark.parametrize(("alpha", "checksum"), [(0.0, 1396191288), (1.5, 1353517924)])
def test_a_million_pairs_are_the_same_everywhere(alpha: float, checksum: int) -> None:
    found = 0
    for source, target in islice(account_pairs(100_000, alpha), 1_000_000):
        found = (found * 31 + source * 7 + target) & 0xFFFFFFFF
    assert found == checksum


def test_pairs_of_one_account_are_left_out_of_transfers() -> None:
    # With alpha this large, nearly every draw is account 0: the stream gives up redrawing.
    assert any(a == b for a, b in islice(account_pairs(50, 12.0), 1000))
    assert all(a != b for a, b in first_pairs(5, 50, 12.0))
