"""The process that is killed: `python -m tests.crash.killed <what> <folder> <seed>`.

It imports everything, says `ready`, waits for a line, and works until it is dead. What it says:

    begun <lsn>                 it has opened the database
    durable <lsn> [<checksum>]  this commit is durable; the accounts then had this checksum
"""

from __future__ import annotations

import random
import sys

import reifydb
import reifydb.database.opening  # before it is ready: opening alone is to take time
from tests.crash.bank_history import OPTIONS, actions, balances, perform, prepare, register


def say(*words: object) -> None:
    print(*words, flush=True)


def load(folder: str, seed: int) -> None:
    """Performs a history without end."""
    db = reifydb.open(folder, options=OPTIONS)
    register(db)
    say("begun", db.lsn)
    dice = random.Random(seed)
    said = db.durable_lsn
    for action in actions(seed):
        perform(db, action)
        chance = dice.random()
        if chance < 0.04:
            lsn, checksum = db.lsn, balances(db)
            db.wait_durable(lsn)
            say("durable", lsn, checksum)
        elif chance < 0.06:
            db.flush()
            say("durable", db.lsn)
        elif db.durable_lsn > said:
            said = db.durable_lsn
            say("durable", said)


def reopen(folder: str, seed: int) -> None:
    """Opens, performs a little, closes, over and over: mostly it is opening or closing."""
    drawn = actions(seed)
    dice = random.Random(seed)
    while True:
        db = reifydb.open(folder, options=OPTIONS)
        register(db)
        say("begun", db.lsn)
        for _ in range(dice.randrange(20)):
            perform(db, next(drawn))
        lsn, checksum = db.lsn, balances(db)
        db.close()
        say("durable", lsn, checksum)


def create(folder: str, seed: int) -> None:
    """Makes a new database."""
    say("begun", 0)
    db = reifydb.open(folder, options=OPTIONS)
    prepare(db)
    db.close()
    say("durable", db.durable_lsn)


if __name__ == "__main__":
    what, folder, seed = sys.argv[1:]
    say("ready")
    sys.stdin.readline()
    {"load": load, "reopen": reopen, "create": create}[what](folder, int(seed))
