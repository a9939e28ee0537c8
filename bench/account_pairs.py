"""The pairs of accounts of the transfer workload: the same ones everywhere, from one seed.

A well-known random generator (mulberry32) draws account numbers, either all alike (alpha 0) or by a
Zipf law (alpha 1.5: account 0 takes part in over a third of all draws). All sums are Kahan's, so
that every implementation arrives at the same bits; the tests have golden values.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator
from itertools import islice

SEED = 0x12345678
REDRAWS_MAX = 32
"""How often the second account is drawn again while it is the first one."""

_U32 = 0xFFFFFFFF


def mulberry32(seed: int = SEED) -> Iterator[float]:
    """Numbers from 0 up to but not including 1, without end."""
    state = seed
    while True:
        state = (state + 0x6D2B79F5) & _U32
        z = ((state ^ (state >> 15)) * (state | 1)) & _U32
        z ^= (z + ((z ^ (z >> 7)) * (z | 61) & _U32)) & _U32
        yield (z ^ (z >> 14)) / 4294967296


def account_pairs(accounts: int, alpha: float = 0.0, seed: int = SEED) -> Iterator[tuple[int, int]]:
    """Pairs of account numbers from 0, without end. About 1 µs a pair.

    Args:
        accounts: How many there are; at least 2.
        alpha: 0: all are drawn alike. Else account i is drawn in proportion to (i + 1) ** -alpha.
        seed: Of the generator.
    """
    draw = _sampler(accounts, alpha, mulberry32(seed).__next__)
    while True:
        source, target = draw(), draw()
        redraws = 0
        while source == target and redraws < REDRAWS_MAX:
            target = draw()
            redraws += 1
        yield source, target


def first_pairs(count: int, accounts: int, alpha: float = 0.0) -> list[tuple[int, int]]:
    """The first `count` transfers of the stream that can be made: pairs of two accounts.

    The stream may pair an account with itself after `REDRAWS_MAX` draws; such a pair is left out.
    """
    stream = account_pairs(accounts, alpha)
    return list(islice((pair for pair in stream if pair[0] != pair[1]), count))


def _sampler(accounts: int, alpha: float, random: Callable[[], float]) -> Callable[[], int]:
    if alpha <= 0:
        return lambda: int(random() * accounts)
    *_, total = _kahan((i + 1) ** -alpha for i in range(accounts))
    shares = list(_kahan((i + 1) ** -alpha / total for i in range(accounts)))
    shares[-1] = 1.0
    return lambda: bisect_left(shares, random())


def _kahan(values: Iterable[float]) -> Iterator[float]:
    """Running sums with Kahan's compensation."""
    total = carry = 0.0
    for value in values:
        corrected = value - carry
        following = total + corrected
        carry, total = (following - total) - corrected, following
        yield total
