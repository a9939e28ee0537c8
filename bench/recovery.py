"""Recovery: how fast logged transfers come back, indexes included.

The whole of `reifydb.open` is timed: reading and checking the log, replaying it, comparing the
state's hash, linking the bank again.
"""

from __future__ import annotations

from pathlib import Path
from time import perf_counter, process_time

import reifydb
from bench.account_pairs import first_pairs
from bench.bank import TRANSFER, batches, check_bank, open_accounts, open_bank, pack
from bench.measure import Result, Say, Sizes

BATCH = 10_000


def measure(folder: Path, sizes: Sizes, say: Say) -> Result:
    """Logs the transfers, and opens what they left a few times; the best counts."""
    path = folder / "bank.reify"
    say(f"recovery: logging {sizes.logged:,} transfers")
    with open_bank(path) as db:
        open_accounts(db, range(sizes.accounts))
        for calls in batches(first_pairs(sizes.logged, sizes.accounts), BATCH):
            db.call_packed(TRANSFER, pack(db, calls))
        db.wait_durable()
        lsn, state_hash = db.lsn, db.state_hash
    log_bytes = sum(file.stat().st_size for file in path.rglob("*.seg"))
    tries = []
    for number in range(sizes.tries):
        say(f"recovery: opening, {number + 1} of {sizes.tries}")
        cpu_s, start_s = process_time(), perf_counter()
        db = reifydb.open(path)
        tries.append((perf_counter() - start_s, process_time() - cpu_s))
        with db:
            assert (db.lsn, db.state_hash) == (lsn, state_hash), "another state came back"
            check_bank(db, sizes.accounts)
    best_s, best_cpu_s = min(tries)
    return {
        "transfers": sizes.logged,
        "accounts": sizes.accounts,
        "log_bytes_per_commit": round(log_bytes / lsn, 1),
        "opening_s": [round(taken_s, 3) for taken_s, _ in tries],
        "transfers_per_s": round(sizes.logged / best_s),
        "commits_per_s": round(lsn / best_s),
        "cpu_us_per_transfer": round(best_cpu_s / sizes.logged * 1e6, 3),
        "state": "the same hash, verified, all money there",
    }
