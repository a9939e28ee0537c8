"""Transfers over the network: ours over WebSocket and HTTP, Redis and PostgreSQL beside it.

| mode | |
|---|---|
| A | 64 connections, 40 calls under way on each |
| B | 64 connections, one call under way on each |
| C | few connections and many calls: whatever is best for each |

Drivers of PostgreSQL keep one call under way on a connection, so that its A is B; C is with a
pipeline that few drivers have. All hosts are up all the time and take turns, so that what else the
machine does hits all of them; then the money of each is counted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from bench.measure import Result, Say, Sizes
from bench.served import hosts
from bench.served.generator import Load, generate
from bench.served.hosts import Host

MODES = {"A": (64, 40), "B": (64, 1)}
BASELINE = "redis everysec"


@dataclass(frozen=True, slots=True)
class Contender:
    """Someone who is measured, in one mode.

    Attributes:
        name: What the table calls it.
        mode: `A`, `B` or `C`.
        host: Whom to ask; `load` how.
    """

    name: str
    mode: str
    host: Host
    tongue: str
    clients: int
    window: int
    ack: str = ""

    def run(self, sizes: Sizes, alpha: float) -> Result:
        """One turn."""
        return generate(
            Load(
                self.tongue,
                self.host.address,
                self.ack,
                clients=self.clients,
                window=self.window,
                accounts=sizes.accounts,
                alpha=alpha,
                measured_s=sizes.served_s,
                processes=[self.host.process],
                lag=self.tongue == "websocket",
            )
        )


def measure(folder: Path, sizes: Sizes, say: Say) -> Result:
    """Both alphas."""
    found: Result = {"accounts": sizes.accounts, "baseline": BASELINE, "skipped": _missing()}
    for alpha in (0.0, 1.5):
        place = folder / f"alpha-{alpha:g}"
        place.mkdir()
        found[f"alpha {alpha:g}"] = _measure(place, sizes, alpha, say)
    return found


def _missing() -> list[str]:
    """Peers that are not there."""
    found = []
    if hosts.redis_program() is None:
        found.append("redis")
    if hosts.postgres_programs() is None:
        found.append("postgresql")
    return found


def _measure(folder: Path, sizes: Sizes, alpha: float, say: Say) -> Result:
    made = 0
    rounds: list[list[Result]] = []
    with ExitStack() as stack:
        everybody, checks = _start(folder, sizes, stack)
        for number in range(sizes.served_rounds):
            rounds.append([])
            for contender in everybody:
                shown = f"{contender.name}, mode {contender.mode}"
                say(f"alpha {alpha:g}, round {number + 1}: {shown}")
                turn = contender.run(sizes, alpha)
                rounds[-1].append(turn)
                made += turn["made"] if contender.ack else 0
        for check in checks:
            check()
    hosts.check_reifydb(folder / "reifydb", sizes.accounts, made)
    turns = zip(*rounds, strict=True)
    return _with_ratios([_summary(who, own) for who, own in zip(everybody, turns, strict=True)])


def _start(
    folder: Path, sizes: Sizes, stack: ExitStack
) -> tuple[list[Contender], list[Callable[[], None]]]:
    """Everybody who is there, and how to look at their money."""
    n = sizes.accounts
    checks: list[Callable[[], None]] = []
    own = stack.enter_context(hosts.reifydb_server(folder / "reifydb", n))
    everybody = list(_ours(own))
    if hosts.redis_program() is not None:
        for appendfsync in ("everysec", "always"):
            place = folder / f"redis-{appendfsync}"
            host = stack.enter_context(hosts.redis_server(place, n, appendfsync))
            checks.append(lambda host=host: hosts.check_redis(host, n))  # type: ignore[misc]
            name = f"redis {appendfsync}"
            everybody += [Contender(name, m, host, "redis", *shape) for m, shape in MODES.items()]
            everybody.append(Contender(name, "C", host, "redis", 16, 400))
    if hosts.postgres_programs() is not None:
        for commit in ("off", "on"):
            place = folder / f"postgres-{commit}"
            host = stack.enter_context(hosts.postgres_server(place, n, commit))
            checks.append(lambda host=host: hosts.check_postgres(host, n))  # type: ignore[misc]
            name = f"postgres {commit}"
            everybody.append(Contender(name, "B", host, "postgres", *MODES["B"]))
            everybody.append(Contender(name, "C", host, "postgres", 16, 40))
    return everybody, checks


def _ours(host: Host) -> Iterator[Contender]:
    for tongue in ("websocket", "http"):
        for ack in ("committed", "durable"):
            for mode, shape in {**MODES, "C": (16, 400)}.items():
                yield Contender(f"{tongue} {ack}", mode, host, tongue, *shape, ack)


def _summary(contender: Contender, turns: Sequence[Result]) -> Result:
    best = max(turns, key=lambda turn: turn["per_s"])
    found: dict[str, Any] = {
        "name": contender.name,
        "mode": contender.mode,
        "connections": contender.clients,
        "under_way": contender.window,
        "per_s": best["per_s"],
        "per_s_turns": [turn["per_s"] for turn in turns],
        "failed": sum(turn["failed"] for turn in turns),
        "server_cpu_us": min(turn["server_cpu_us"] for turn in turns),
        "generator_cpu_us": min(turn["generator_cpu_us"] for turn in turns),
        "latency_ms": {
            share: round(median(turn["latency_ms"][share] for turn in turns), 3)
            for share in ("p50", "p99")
        },
        "money": "all there",
    }
    if "lag_ms" in best:
        lags = [turn["lag_ms"]["p99"] for turn in turns if turn["lag_ms"]["count"]]
        found["lag_p99_ms"] = round(median(lags), 2) if lags else None
    return found


def _with_ratios(found: list[Result]) -> Result:
    """Each beside Redis in its own mode, and PostgreSQL with one call under way."""
    by_name = {(row["name"], row["mode"]): row for row in found}
    for row in found:
        redis = by_name.get((BASELINE, row["mode"]))
        postgres = by_name.get(("postgres off", "B"))
        for name, other in (("to_redis", redis), ("to_postgres", postgres)):
            if other is not None:
                pairs = zip(row["per_s_turns"], other["per_s_turns"], strict=True)
                row[name] = round(median(mine / theirs for mine, theirs in pairs), 2)
    return {"contenders": found}
