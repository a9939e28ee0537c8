"""HTTP: the processor time of a call over `POST /v1/call`, beside a bare aiohttp handler that
parses and sends back the same JSON.

The bare handler, a server in memory and one with a log are processes of their own, on the same
event loop (uvloop's where that is installed); so is the load. They take turns, and the log is asked
both ways: `committed`, and `durable`, where each answer waits for the disk. What a turn costs is
the processor time of the server's whole process, threads and kernel included.
"""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from time import sleep

from bench.account_pairs import first_pairs
from bench.bank import (
    AMOUNT,
    OPENING_BALANCE,
    TRANSFER,
    bank_wasm,
    open_accounts,
    open_bank,
    owner,
)
from bench.machine import load
from bench.measure import ROOT, Result, Say, Sizes, in_child

CONNECTIONS = (8, 64)
"""Each has one request on its way: so many answers at most share what a flush costs."""

REQUESTS = 10_000
ACCOUNTS = 1_000
BASELINE = "bare aiohttp"
SETTLE_S = 0.05
"""Before and behind a turn, so that what the log still does is counted with it."""


@dataclass(frozen=True, slots=True)
class Served:
    """A process that answers at a port."""

    process: subprocess.Popen[str]
    port: int

    def cpu_s(self) -> float:
        """Processor time of all its threads so far."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def measure(folder: Path, sizes: Sizes, say: Say) -> Result:
    """CPU, requests a second and CPU of the load, by contender; ratios are to the bare handler."""
    requests = max(200, int(REQUESTS * sizes.scale))
    path = folder / "bank.reify"
    with open_bank(path) as db:
        open_accounts(db, range(ACCOUNTS))
    turns: dict[int, dict[str, list[Result]]] = {count: {} for count in CONNECTIONS}
    loads = []
    with _bare() as bare, _reify("--memory") as memory, _reify(str(path)) as logged:
        contenders = {
            BASELINE: (bare, ""),
            "memory": (memory, ""),
            "log, committed": (logged, "?ack=committed"),
            "log, durable": (logged, ""),
        }
        _open_accounts(memory)
        for number in range(-1, sizes.rounds):
            for connections, found in turns.items():
                for name, (server, query) in contenders.items():
                    say(f"HTTP calls: round {number + 1} of {sizes.rounds}, {name}")
                    turn = _turn(server, query, connections, requests)
                    if number >= 0:  # the first warms up
                        found.setdefault(name, []).append(turn)
            loads.append(load()[0])
    return {
        "requests": requests,
        "uvloop": importlib.util.find_spec("uvloop") is not None,
        "load_average": loads,
        "connections": {
            str(connections): {name: _summary(own, found[BASELINE]) for name, own in found.items()}
            for connections, found in turns.items()
        },
    }


def _turn(server: Served, query: str, connections: int, requests: int) -> Result:
    source, target = first_pairs(1, ACCOUNTS)[0]
    body = json.dumps([source, target, AMOUNT])
    sleep(SETTLE_S)
    before_s = server.cpu_s()
    found = in_child(
        "bench.http_load",
        *(server.port, f"/v1/call/{TRANSFER}{query}", body, connections, requests),
    )
    sleep(SETTLE_S)
    return {
        "cpu_us": (server.cpu_s() - before_s) / requests * 1e6,
        "per_s": requests / found["wall_s"],
        "load_cpu_us": found["cpu_s"] / requests * 1e6,
    }


def _summary(turns: list[Result], baseline: list[Result]) -> Result:
    ratios = [one["cpu_us"] / bare["cpu_us"] for one, bare in zip(turns, baseline, strict=True)]
    return {
        "cpu_us": round(median(one["cpu_us"] for one in turns), 1),
        "cpu_us_turns": [round(one["cpu_us"], 1) for one in turns],
        "ratio": round(median(ratios), 3),
        "per_s": round(median(one["per_s"] for one in turns)),
        "load_cpu_us": round(median(one["load_cpu_us"] for one in turns), 1),
    }


# ------------------------------------------------------------------ servers


@contextmanager
def _bare() -> Iterator[Served]:
    with _process("bench.http_echo") as process:
        assert process.stdout is not None
        yield Served(process, int(process.stdout.readline()))


@contextmanager
def _reify(where: str) -> Iterator[Served]:
    options = ["--port", "0", "--json", "--install", str(bank_wasm()), "--apply-schema"]
    with _process("reifydb", "serve", where, *options) as process:
        assert process.stdout is not None
        said = json.loads(process.stdout.readline())
        yield Served(process, int(said["url"].rpartition(":")[2]))


def _open_accounts(server: Served) -> None:
    """The accounts, in a server whose database is empty."""
    calls = [["bank.open", [i, owner(i), OPENING_BALANCE]] for i in range(ACCOUNTS)]
    for start in range(0, ACCOUNTS, 500):
        body = json.dumps({"calls": calls[start : start + 500]}).encode()
        url = f"http://127.0.0.1:{server.port}/v1/batch"
        with urllib.request.urlopen(url, body) as answer:
            answer.read()


@contextmanager
def _process(module: str, *args: str) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", module, *args]
    with subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        try:
            yield process
        finally:
            process.terminate()
