"""Transfers in this process: ReifyDB against the stdlib's sqlite3.

The pairs of `account_pairs.py`, amount 1, a transaction each. Ours are acknowledged as committed:
with a log, durable within the bound, which `lag.py` measures. Ratios are of the best turns of one
run.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from itertools import cycle, islice
from pathlib import Path
from statistics import median

from bench.account_pairs import first_pairs
from bench.bank import Calls, Many, Packed, Sqlite
from bench.measure import (
    Contender,
    Result,
    Say,
    Sizes,
    Turn,
    spread,
    take_timed_turn,
    take_turn,
)

BASELINE = "sqlite3, memory"
PAIRS = 400_000
"""Drawn once; contenders go round in them."""


def measure(folder: Path, sizes: Sizes, say: Say) -> Result:
    """Alpha 0, and where there are rounds for it 1.5."""
    found: Result = {"accounts": sizes.accounts, "baseline": BASELINE}
    for alpha, rounds in ((0.0, sizes.rounds), (1.5, sizes.skewed_rounds)):
        if rounds:
            place = folder / f"alpha {alpha}"
            place.mkdir()
            found[f"alpha {alpha:g}"] = _measure(place, sizes, alpha, rounds, say)
    return found


def contenders(folder: Path, sizes: Sizes) -> list[Contender]:
    """Everybody, with their accounts open. Turns last some 0.1 to 0.3 s each."""
    n, scale = sizes.accounts, sizes.scale
    single, flushed, many, packed = (
        int(count * scale) for count in (20_000, 2_000, 100_000, 200_000)
    )
    everybody: list[Contender] = [
        Sqlite(single, n),
        Sqlite(flushed, n, folder / "full.db", "FULL"),
        Sqlite(single, n, folder / "normal.db", "NORMAL"),
        Many(many, n, decoded=True),
    ]
    for kind in ("memory", "log"):
        places = [folder / f"{i}.reify" if kind == "log" else None for i in range(4)]
        everybody += [
            Calls(single, n, places[0]),
            Many(many, n, places[1]),
            Packed(many, n, places[2], batch=1_000),
            Packed(packed, n, places[3], batch=40_000),
        ]
    return everybody


class _Stream:
    """The pairs, from where this contender last stopped."""

    def __init__(self, pairs: Sequence[tuple[int, int]]) -> None:
        self._pairs, self.taken = cycle(pairs), 0

    def next(self, count: int) -> list[tuple[int, int]]:
        self.taken += count
        return list(islice(self._pairs, count))


def _measure(folder: Path, sizes: Sizes, alpha: float, rounds: int, say: Say) -> Result:
    pairs = first_pairs(PAIRS, sizes.accounts, alpha)
    with ExitStack() as stack:
        everybody = contenders(folder, sizes)
        for contender in everybody:
            stack.callback(contender.close)
        streams = [_Stream(pairs) for _ in everybody]
        turns: list[list[Turn]] = [[] for _ in everybody]
        for number in range(rounds + 1):  # the first one warms up
            say(f"transfers, alpha {alpha:g}: round {number} of {rounds}")
            for i, contender in enumerate(everybody):
                turn = take_turn(contender, streams[i].next(contender.transfers))
                turns[i] += [turn] if number else []
        found = []
        for contender, stream, own in zip(everybody, streams, turns, strict=True):
            say(f"transfers, alpha {alpha:g}: latency of {contender.name}")
            taken = take_timed_turn(contender, stream.next(contender.transfers))
            contender.check(stream.taken)
            found.append(_summary(contender, own, taken))
    return _with_ratios(found)


def _summary(contender: Contender, turns: Sequence[Turn], taken_us: Sequence[float]) -> Result:
    best = max(turns, key=lambda turn: turn.per_s)
    return {
        "name": contender.name,
        "batch": contender.batch,
        "transfers_per_turn": best.transfers,
        "per_s": round(best.per_s),
        "per_s_median": round(median(turn.per_s for turn in turns)),
        "per_s_turns": [round(turn.per_s) for turn in turns],
        "cpu_us_per_transfer": round(min(turn.cpu_us for turn in turns), 3),
        "latency_us": {name: round(value, 2) for name, value in spread(taken_us).items()},
        "money": "all there",
    }


def _with_ratios(found: list[Result]) -> Result:
    by_name = {row["name"]: row for row in found}
    base = by_name[BASELINE]
    for row in found:
        row["ratio"] = round(row["per_s"] / base["per_s"], 2)
        row["ratio_median"] = _median_ratio(row, base)
        twin = by_name.get(row["name"].replace(", log", ", memory"))
        if twin is not None and twin is not row:
            row["of_memory"] = round(row["per_s"] / twin["per_s"], 3)
            row["of_memory_median"] = _median_ratio(row, twin)
    return {"contenders": found}


def _median_ratio(row: Result, other: Result) -> float:
    """The median over the rounds of the ratios within a round."""
    pairs = zip(row["per_s_turns"], other["per_s_turns"], strict=True)
    ratio: float = median(mine / theirs for mine, theirs in pairs)
    return round(ratio, 3)
