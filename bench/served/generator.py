"""The load generator: a process of its own that keeps so many calls under way on so many
connections. `python -m bench.served.generator` takes what to do as one argument, JSON, and
prints what it found.

A closed loop: whoever gets answers sends as many calls again at once, together. One thread, one
poll; it counts and never parses. What it takes of the processor itself is part of what it reports.
"""

from __future__ import annotations

import gc
import json
import os
import select
import socket
import sys
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from time import perf_counter, process_time
from typing import Any

import msgpack

from bench.account_pairs import first_pairs
from bench.measure import Result, in_child
from bench.served.tongues import TONGUES, Tongue, WebSocket, frame_at, masked

RECEIVE_BYTES = 1 << 18
PING_S = 0.001
"""How often the one who looks at durability asks."""

ANSWER_S = 15.0
"""Whoever has no answer for so long gives up."""


@dataclass(frozen=True, slots=True)
class Load:
    """What to do.

    Attributes:
        tongue: One of `TONGUES`; `address` where.
        ack: What an answer means to ReifyDB.
        clients: Connections; `window` calls are under way on each.
        accounts, alpha, pairs: Which transfers.
        warm_s, measured_s: How long: first uncounted, then counted.
        processes: Whose processor time is reported: these, and all that they have started.
        lag: Whether someone asks all the time how far behind durability is.
    """

    tongue: str
    address: str
    ack: str = "committed"
    clients: int = 64
    window: int = 40
    accounts: int = 100_000
    alpha: float = 0.0
    pairs: int = 200_000
    warm_s: float = 0.5
    measured_s: float = 4.0
    processes: Sequence[int] = ()
    lag: bool = False


def generate(load: Load) -> Result:
    """Does it in a process of its own."""
    return in_child("bench.served.generator", json.dumps(asdict(load)))


class _Client:
    """One connection: where it is in the stream, and what it waits for."""

    def __init__(self, tongue: Tongue, at: int, pairs: int) -> None:
        self.tongue, self.at, self._pairs = tongue, at, pairs
        self.socket = tongue.connect()
        self.sent: deque[list[float]] = deque()  # when, and how many of them have no answer
        self.waiting = 0
        self._rest = b""

    def ask(self, count: int, now: float) -> None:
        """Sends so many calls, together unless the stream ends among them."""
        self.sent.append([now, count])
        self.waiting += count
        while count:
            some = min(count, self._pairs - self.at)
            self.socket.sendall(self.tongue.request(self.at, some))
            self.at = (self.at + some) % self._pairs
            count -= some

    def hear(self) -> tuple[int, int]:
        """What has come: transfers that were made, and that were not."""
        data = self.socket.recv(RECEIVE_BYTES)
        if not data:
            raise ConnectionError("the server closed a connection")
        if self._rest:
            data = self._rest + data
        made, failed, taken = self.tongue.answers(data)
        if made + failed == 0 and taken and (due := self.tongue.due(data)):
            self.socket.sendall(due)
        self._rest = data[taken:]
        self.waiting -= made + failed
        return made, failed

    def answered(self, count: int, now: float) -> Iterable[tuple[float, int]]:
        """The oldest calls have answers: how long that took, and for how many of them."""
        while count:
            first = self.sent[0]
            some = min(count, int(first[1]))
            yield now - first[0], some
            count -= some
            first[1] -= some
            if not first[1]:
                self.sent.popleft()


class _Watcher:
    """Asks with pings how long what is committed takes to be durable. What it sees includes the
    way to the server and back and the tick that answers, so the lag itself is shorter.
    """

    def __init__(self, address: str) -> None:
        self.socket = WebSocket(address, [], "committed").connect()
        self.lags_ms: list[float] = []
        self._asked_s = self._seen_s = 0.0
        self._lsn = 0
        self._free = True
        self._rest = b""

    def ask(self, now: float) -> None:
        """Asks, when it is time."""
        if self._free and now - self._asked_s >= PING_S:
            self._asked_s, self._free = now, False
            self.socket.sendall(masked(msgpack.packb(["ping", 0])))

    def hear(self, now: float) -> None:
        """An answer has come."""
        self._rest += self.socket.recv(RECEIVE_BYTES)
        while (frame := frame_at(self._rest, 0)) is not None:
            opcode, body, end = frame
            payload, self._rest = self._rest[body:end], self._rest[end:]
            if opcode == 9:
                self.socket.sendall(masked(payload, 10))
                continue
            _, _, (_, lsn), durable_lsn = msgpack.unpackb(payload)
            self._free = True
            if self._lsn and durable_lsn >= self._lsn:
                self.lags_ms.append((now - self._seen_s) * 1000)
                self._lsn = 0
            if not self._lsn and lsn > durable_lsn:
                self._lsn, self._seen_s = lsn, now


class _Run:
    """The loop, and what it counts."""

    def __init__(self, load: Load) -> None:
        self.load = load
        pairs = first_pairs(load.pairs, load.accounts, load.alpha)
        tongue: Tongue = TONGUES[load.tongue](load.address, pairs, load.ack)
        step = len(pairs) // load.clients
        self._clients = [_Client(tongue, i * step, len(pairs)) for i in range(load.clients)]
        self._by_number = {client.socket.fileno(): client for client in self._clients}
        self._watcher = _Watcher(load.address) if load.lag else None
        self._poll = select.poll()
        for number in self._by_number:
            self._poll.register(number, select.POLLIN)
        if self._watcher is not None:
            self._poll.register(self._watcher.socket.fileno(), select.POLLIN)
        self.made = self.failed = 0
        self.taken: list[tuple[float, int]] = []

    def work(self) -> Result:
        """Warms up, measures, and waits for the last answers."""
        now = perf_counter()
        for client in self._clients:
            client.ask(self.load.window, now)
        self._until(now + self.load.warm_s)
        gc.collect()
        gc.disable()
        made, cpu_s = self.made, process_time()
        theirs_s = cpu_seconds(self.load.processes)
        self.taken = []
        began_s = perf_counter()
        ended_s = self._until(began_s + self.load.measured_s)
        theirs_s = cpu_seconds(self.load.processes) - theirs_s
        cpu_s = process_time() - cpu_s
        measured, taken = self.made - made, self.taken
        self._rest()
        found = {
            "per_s": round(measured / (ended_s - began_s)),
            "measured": measured,
            "made": self.made,
            "failed": self.failed,
            "server_cpu_us": round(theirs_s / measured * 1e6, 2),
            "generator_cpu_us": round(cpu_s / measured * 1e6, 2),
            "latency_ms": _spread(taken),
        }
        if self._watcher is not None:
            lags = [(lag, 1) for lag in self._watcher.lags_ms]
            found["lag_ms"] = _spread([(lag / 1000, times) for lag, times in lags])
        return found

    def _until(self, end_s: float) -> float:
        """Goes on until then; when that really was."""
        by_number, poll, watcher = self._by_number, self._poll, self._watcher
        now = perf_counter()
        while now < end_s:
            if watcher is not None:
                watcher.ask(now)
            ready = poll.poll(1 if watcher is not None else ANSWER_S * 1000)
            if not ready and watcher is None:
                raise TimeoutError(f"no answer for {ANSWER_S:g} s")
            for number, _ in ready:
                client = by_number.get(number)
                if client is None:
                    assert watcher is not None
                    watcher.hear(perf_counter())
                    continue
                made, failed = client.hear()
                count = made + failed
                if count:
                    now = perf_counter()
                    self.made += made
                    self.failed += failed
                    self.taken += client.answered(count, now)
                    client.ask(count, now)
            now = perf_counter()
        return now

    def _rest(self) -> None:
        """The answers that are still to come: what was made must be known exactly."""
        for client in self._clients:
            client.socket.settimeout(ANSWER_S)
            while client.waiting:
                made, failed = client.hear()
                self.made += made
                self.failed += failed
            client.socket.close()


def _spread(taken: Sequence[tuple[float, int]]) -> Result:
    """Of seconds and how often each was seen: count, p50, p99 and max in ms."""
    ordered = sorted(taken)
    count = sum(times for _, times in ordered)
    if not count:
        return {"count": 0, "p50": None, "p99": None, "max": None}

    def at(share: float) -> float:
        seen = 0
        for value, times in ordered:
            seen += times
            if seen >= share * count:
                return round(value * 1000, 3)
        raise AssertionError

    return {"count": count, "p50": at(0.5), "p99": at(0.99), "max": at(1.0)}


def cpu_seconds(processes: Sequence[int]) -> float:
    """Processor time of these processes and of all that descend from them; Linux only."""
    parents: dict[int, int] = {}
    used: dict[int, float] = {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                fields = (folder / "stat").read_text().rpartition(")")[2].split()
            except OSError:  # it has just ended
                continue
            number = int(folder.name)
            parents[number] = int(fields[1])
            used[number] = int(fields[11]) + int(fields[12])

    def belongs(number: int) -> bool:
        while number > 1:
            if number in processes:
                return True
            number = parents.get(number, 0)
        return False

    ticks = sum(time for number, time in used.items() if belongs(number))
    return ticks / os.sysconf("SC_CLK_TCK")


def main(argument: str) -> None:
    """The process."""
    given: dict[str, Any] = json.loads(argument)
    socket.setdefaulttimeout(ANSWER_S)
    print(json.dumps(_Run(Load(**given)).work()))


if __name__ == "__main__":
    main(sys.argv[1])
