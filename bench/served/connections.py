"""What connections cost the server: one call under way, being idle, listening.

A call is measured beside a bare aiohttp server that sends frames back. A delivery is one delta for
one subscriber; what the commits themselves cost is measured without subscribers and subtracted.
"""

from __future__ import annotations

import select
import socket
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median

import msgpack

from bench.account_pairs import first_pairs
from bench.measure import Result, Say, Sizes, in_child
from bench.served import hosts
from bench.served.generator import Load, cpu_seconds, generate
from bench.served.tongues import AMOUNT, TRANSFER, WebSocket, frame_at, masked, read_frame

IDLE = 1_000
SUBSCRIBERS = 200
QUICK_COMMITS = 50
"""Commits of one tick, where they come faster than ticks."""


def measure(folder: Path, sizes: Sizes, say: Say) -> Result:
    """All three."""
    found: Result = {}
    with (
        hosts.reifydb_in_memory(folder / "memory.log", sizes.accounts) as memory,
        hosts.reifydb_server(folder / "reifydb", sizes.accounts) as ours,
        hosts.echo_server(folder / "echo.log") as bare,
    ):
        say(f"{IDLE} idle connections")
        found["idle"] = _idle(ours)  # first: later on it has memory left over
        for clients in (1, 64):
            say(f"{clients} connections with one call under way")
            found[f"calls of {clients}"] = _calls(memory, ours, bare, clients, sizes)
        say(f"{SUBSCRIBERS} subscribers")
        for commits in (1, QUICK_COMMITS):
            runs = [
                in_child("bench.served.connections", *memory, commits, sizes.served_s)
                for _ in range(sizes.tries)
            ]
            best = min(runs, key=lambda run: run["delivery_us"])
            found[f"deliveries of {commits}"] = best
    return found


KINDS = {"memory": "committed", "committed": "committed", "durable": "durable", "echo": ""}
"""What calls are measured: in memory, acknowledged as committed and as durable, and echoes."""


def _calls(
    memory: hosts.Host, ours: hosts.Host, bare: hosts.Host, clients: int, sizes: Sizes
) -> Result:
    """Processor time of a call and of an echo, in turns."""
    taken: dict[str, list[float]] = {kind: [] for kind in KINDS}
    for _ in range(max(2, sizes.tries)):
        for kind, ack in KINDS.items():
            host = {"memory": memory, "echo": bare}.get(kind, ours)
            load = Load(
                "echo" if kind == "echo" else "websocket",
                host.address,
                ack,
                clients=clients,
                window=1,
                accounts=sizes.accounts,
                measured_s=sizes.served_s,
                processes=[host.process],
            )
            taken[kind].append(generate(load)["server_cpu_us"])
    found: Result = {}
    for kind, own in taken.items():
        found[f"{kind}_us"] = min(own)
        pairs = zip(own, taken["echo"], strict=True)
        found[f"{kind}_ratio"] = round(median(mine / theirs for mine, theirs in pairs), 2)
    return found


# ------------------------------------------------------------------ idle


def _idle(host: hosts.Host) -> Result:
    """Memory of the server for each connection that does nothing, beyond the first few."""
    tongue = WebSocket(host.address, [], "durable")
    opened = [tongue.connect() for _ in range(50)]
    before = _resident(host.process)
    opened += [tongue.connect() for _ in range(IDLE)]
    time.sleep(0.5)
    kib = (_resident(host.process) - before) / IDLE / 1024
    for connection in opened:
        connection.close()
    return {"connections": IDLE, "kib_each": round(kib, 1)}


def _resident(process: int) -> int:
    status = Path(f"/proc/{process}/status").read_text(encoding="utf-8")
    return int(status.split("VmRSS:")[1].split()[0]) * 1024


# ------------------------------------------------------------------ listening


class _Listeners:
    """Subscribers to the accounts, and whoever makes transfers: each waits until all have heard."""

    def __init__(self, address: str, subscribers: int) -> None:
        self._tongue = WebSocket(address, [], "committed")
        self._caller = self._tongue.connect()
        self._pairs = first_pairs(10_000, 1_000)
        self._at = 0
        self._all = [self._tongue.connect() for _ in range(subscribers)]
        self._poll = select.poll()
        self._by_number: dict[int, socket.socket] = {}
        self._caller.sendall(masked(msgpack.packb(["ping", 0])))
        since = msgpack.unpackb(read_frame(self._caller))[2]  # so that nobody needs a snapshot
        for one in self._all:
            one.sendall(masked(msgpack.packb(["subscribe", 0, "account", {"since": since}])))
            if b"\xa2ok" not in read_frame(one):
                raise ConnectionError("the server does not let us subscribe")
            self._by_number[one.fileno()] = one
            self._poll.register(one, select.POLLIN)

    def work(self, commits: int, process: int, seconds: float) -> tuple[int, float]:
        """Commits, so many at a time, for so long; how many, and the server's time of each."""
        done, cpu_s, end_s = 0, cpu_seconds([process]), time.perf_counter() + seconds
        while time.perf_counter() < end_s:
            self._transfer(commits)
            self._hear(commits)
            done += commits
        return done, (cpu_seconds([process]) - cpu_s) / done

    def _transfer(self, commits: int) -> None:
        calls = []
        for i in range(commits):
            source, target = self._pairs[self._at % len(self._pairs)]
            calls.append(["call", i, TRANSFER, [source, target, AMOUNT]])
            self._at += 1
        self._caller.sendall(masked(msgpack.packb(calls)))
        answered = 0
        while answered < commits:
            answered += read_all(self._caller).count(b"\x94\xa2ok")

    def _hear(self, commits: int) -> None:
        left = commits * len(self._all)
        while left:
            for number, _ in self._poll.poll():
                left -= read_all(self._by_number[number]).count(b"\xa5delta")


def read_all(connection: socket.socket) -> bytes:
    """The next frame's payload, and of all others that have come with it."""
    data = connection.recv(1 << 18)
    payload, at = b"", 0
    while at < len(data):
        frame = frame_at(data, at)
        if frame is None:
            more = connection.recv(1 << 18)
            if not more:
                raise ConnectionError("the server closed a connection")
            data += more
            continue
        _, body, at = frame
        payload += data[body:at]
    return payload


def main(address: str, process: int, commits: int, seconds: float) -> Result:
    """In a process of its own."""
    alone = _Listeners(address, 0)
    alone.work(commits, process, seconds / 4)
    _, own_s = alone.work(commits, process, seconds)
    listeners = _Listeners(address, SUBSCRIBERS)
    listeners.work(commits, process, seconds / 4)
    done, all_s = listeners.work(commits, process, seconds)
    return {
        "subscribers": SUBSCRIBERS,
        "commits_at_once": commits,
        "commits": done,
        "commit_us": round(own_s * 1e6, 2),
        "delivery_us": round((all_s - own_s) / SUBSCRIBERS * 1e6, 2),
    }


def _given(words: Sequence[str]) -> Result:
    return main(words[0], int(words[1]), int(words[2]), float(words[3]))


if __name__ == "__main__":
    import json

    print(json.dumps(_given(sys.argv[1:])))
