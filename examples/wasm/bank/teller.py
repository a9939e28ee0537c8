"""The process that the demo kills: it opens accounts, and makes transfers until it ends.

    python teller.py FOLDER BANK_WASM ACCOUNTS CALLS_SECONDS

It says what it does on standard output, a JSON object a line: `opened` (so many accounts), `ready`
(the lsn after the last account), `made` (transfers so far, and the last lsn), `calls` (how single
calls went), `durable` (an lsn that is on disk now, and how long after its commit). Transfer number
i is the pair number i of a stream that the demo knows as well.
"""

from __future__ import annotations

import json
import os
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from time import perf_counter, perf_counter_ns, sleep

sys.path.insert(0, str(Path(__file__).resolve().parents[3]))

import reifydb
from bench.account_pairs import first_pairs
from bench.measure import spread

OPENING_BALANCE = 1_000_000
AMOUNT = 1
PAIRS = 200_000
"""So many pairs are drawn; after the last one comes the first one again."""

BATCH = 1000
"""Transfers of one `call_many`; divides `PAIRS`."""

OPEN_BATCH = 5000
SAMPLE_S, LOOK_S = 0.005, 0.0002
"""Between two samples of what is durable; between two looks while one is taken."""


def say(**what: object) -> None:
    """One line for the demo. One write below PIPE_BUF: lines of two threads never mix."""
    os.write(1, (json.dumps(what) + "\n").encode())


def open_accounts(db: reifydb.Database, accounts: int) -> None:
    """Opens all accounts, each with the same balance."""
    for start in range(0, accounts, OPEN_BATCH):
        numbers = range(start, min(start + OPEN_BATCH, accounts))
        calls = [(i, f"owner {i % 1_000_000:06}", OPENING_BALANCE) for i in numbers]
        db.call_many("bank.open", calls).results()
        say(opened=numbers.stop)


def watch_durable(db: reifydb.Database) -> None:
    """On a thread of its own: takes the last commit, and looks until it is on disk."""
    while True:
        sleep(SAMPLE_S)
        lsn, start_s = db.lsn, perf_counter()
        if lsn > db.durable_lsn:
            while db.durable_lsn < lsn:
                sleep(LOOK_S)
            say(durable=lsn, waited_ms=(perf_counter() - start_s) * 1000)


def make_calls(db: reifydb.Database, calls: Sequence[tuple[int, ...]], seconds: float) -> int:
    """Single calls for so long, in whole batches; how many."""
    taken_us: list[float] = []
    call, now = db.call, perf_counter_ns
    start_s = perf_counter()
    while perf_counter() - start_s < seconds:
        first = len(taken_us) % PAIRS
        for source, target, amount in calls[first : first + BATCH]:
            start_ns = now()
            call("bank.transfer", source, target, amount)
            taken_us.append((now() - start_ns) / 1000)
        say(made=len(taken_us), lsn=db.lsn)
    per_s = len(taken_us) / (perf_counter() - start_s)
    say(calls=len(taken_us), per_s=per_s, latency_us=spread(taken_us))
    return len(taken_us)


def make_batches(db: reifydb.Database, calls: Sequence[tuple[int, ...]], made: int) -> None:
    """Batches without end."""
    while True:
        first, before = made % PAIRS, db.lsn
        db.call_many("bank.transfer", calls[first : first + BATCH])
        if db.lsn - before != BATCH:
            raise RuntimeError(f"only {db.lsn - before} of {BATCH} transfers committed")
        made += BATCH
        if made % (10 * BATCH) == 0:
            say(made=made, lsn=db.lsn)


def main() -> None:
    """Works until it is killed."""
    folder, wasm, accounts, calls_s = sys.argv[1:]
    db = reifydb.open(folder)
    db.install(wasm, apply_schema=True)
    open_accounts(db, int(accounts))
    pairs = first_pairs(PAIRS, int(accounts))
    calls = [(source, target, AMOUNT) for source, target in pairs]
    say(ready=db.lsn)
    threading.Thread(target=watch_durable, args=(db,), daemon=True).start()
    make_batches(db, calls, make_calls(db, calls, float(calls_s)))


if __name__ == "__main__":
    main()
