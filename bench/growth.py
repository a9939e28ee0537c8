"""Growth: what a transfer costs, and a row takes, with a hundred and a thousand times the accounts.

All sizes are there at the same time and take turns, so that what else the machine does hits all of
them. Accounts are drawn alike (alpha 0): every transfer finds two that the caches have forgotten.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from itertools import islice
from pathlib import Path
from statistics import median

from bench.account_pairs import account_pairs
from bench.bank import Calls, Packed
from bench.measure import Contender, Result, Say, Sizes, Turn, take_turn

BATCH = 40_000
ROUNDS_MIN = 2


class _Single(Calls):
    """`db.call` on the database of another contender: the largest is there once."""

    def __init__(self, of: Packed, transfers: int) -> None:
        self.batch, self.transfers, self.name = 1, transfers, "call"
        self.db, self.one = of.db, of.db.call

    def close(self) -> None:
        pass


def measure(folder: Path, sizes: Sizes, say: Say) -> Result:
    """Packed and single calls for each size."""
    del folder
    packed_count, single_count = (int(count * sizes.scale) for count in (200_000, 20_000))
    with ExitStack() as stack:
        everybody: list[tuple[int, Contender]] = []
        rows: dict[int, float] = {}
        for accounts in sizes.growth:
            say(f"growth: opening {accounts:,} accounts")
            packed = Packed(packed_count, accounts, batch=BATCH)
            stack.callback(packed.close)
            rows[accounts] = packed.bytes_per_row
            everybody += [(accounts, packed), (accounts, _Single(packed, single_count))]
        turns = _rounds(everybody, max(ROUNDS_MIN, sizes.rounds), say)
        made = dict.fromkeys(sizes.growth, 0)
        for (accounts, contender), own in zip(everybody, turns, strict=True):
            made[accounts] += contender.transfers * (len(own) + 1)
        for accounts, contender in everybody:
            if isinstance(contender, Packed):
                say(f"growth: checking {accounts:,} accounts")
                contender.check(made[accounts])
        return _summary(sizes.growth, everybody, turns, rows)


def _rounds(everybody: Sequence[tuple[int, Contender]], rounds: int, say: Say) -> list[list[Turn]]:
    """The turns of each, the first of which warms up and does not count."""
    streams = [
        (pair for pair in account_pairs(accounts) if pair[0] != pair[1])
        for accounts, _ in everybody
    ]
    turns: list[list[Turn]] = [[] for _ in everybody]
    for number in range(rounds + 1):
        say(f"growth: round {number} of {rounds}")
        for i, (_, contender) in enumerate(everybody):
            turn = take_turn(contender, list(islice(streams[i], contender.transfers)))
            turns[i] += [turn] if number else []
    return turns


def _summary(
    growth: Sequence[int],
    everybody: Sequence[tuple[int, Contender]],
    turns: Sequence[Sequence[Turn]],
    rows: dict[int, float],
) -> Result:
    found: Result = {"batch": BATCH, "accounts": list(growth), "sizes": []}
    for accounts in growth:
        size: Result = {"accounts": accounts, "kernel_bytes_per_row": round(rows[accounts], 1)}
        for (other, contender), own in zip(everybody, turns, strict=True):
            if other == accounts:
                taken = [turn.wall_s / turn.transfers * 1e6 for turn in own]
                name = "call" if contender.batch == 1 else "packed"
                size[f"{name}_us"] = round(min(taken), 3)
                size[f"{name}_us_median"] = round(median(taken), 3)
                size[f"{name}_us_turns"] = [round(value, 3) for value in taken]
        found["sizes"].append(size)
    first, last = found["sizes"][0], found["sizes"][-1]
    for name in ("packed_us", "call_us"):
        found[f"{name}_growth"] = round(last[name] / first[name], 2)
        pairs = zip(last[f"{name}_turns"], first[f"{name}_turns"], strict=True)
        found[f"{name}_growth_median"] = round(median(mine / theirs for mine, theirs in pairs), 2)
    found["money"] = "all there"
    return found
