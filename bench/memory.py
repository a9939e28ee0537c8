"""Memory per row of `account(id, owner of 12 characters, balance)`, all told.

In a process of its own: what the kernel uses for state, and by how much the process has grown.
sqlite3 stands beside it (`:memory:`, its pages).
"""

from __future__ import annotations

import json
import random
import sqlite3
import sys
from pathlib import Path

from bench.bank import (
    OPENING_BALANCE,
    check_bank,
    memory_used,
    open_accounts,
    open_bank,
    owner,
)
from bench.measure import Result, Say, Sizes, in_child

ORDERS = ("ascending", "shuffled")


def measure(folder: Path, sizes: Sizes, say: Say) -> Result:
    """Rows that come in the order of their keys, and shuffled."""
    del folder
    found: Result = {"rows": sizes.rows}
    for order in ORDERS:
        say(f"memory: {sizes.rows:,} rows, {order}")
        found[order] = in_child("bench.memory", order, sizes.rows)
    return found


def fill(order: str, rows: int) -> Result:
    """Fills a table in this process, which should be fresh."""
    numbers = list(range(rows))
    if order == "shuffled":
        random.Random(1).shuffle(numbers)
    with open_bank(":memory:") as db:
        open_accounts(db, numbers[:1000])
        used, resident = memory_used(db), _resident()
        open_accounts(db, numbers[1000:])
        kernel, process = memory_used(db) - used, _resident() - resident
        check_bank(db, rows)
    return {
        "kernel_bytes_per_row": round(kernel / (rows - 1000), 1),
        "process_bytes_per_row": round(process / (rows - 1000), 1),
        "sqlite_bytes_per_row": round(_sqlite(numbers) / rows, 1),
    }


def _resident() -> int:
    """Resident bytes of this process; 0 where the system does not say."""
    try:
        status = Path("/proc/self/status").read_text(encoding="utf-8")
    except OSError:
        return 0
    return int(status.split("VmRSS:")[1].split()[0]) * 1024


def _sqlite(numbers: list[int]) -> int:
    connection = sqlite3.connect(":memory:")
    connection.execute(
        "create table account (id integer primary key, owner text not null,"
        " balance integer not null)"
    )
    connection.executemany(
        "insert into account values (?, ?, ?)", ((i, owner(i), OPENING_BALANCE) for i in numbers)
    )
    connection.commit()
    pages: int = connection.execute("pragma page_count").fetchone()[0]
    size: int = connection.execute("pragma page_size").fetchone()[0]
    connection.close()
    return pages * size


if __name__ == "__main__":
    print(json.dumps(fill(sys.argv[1], int(sys.argv[2]))))
