"""A few orders, looked at one by one, then many, and what came of them.

    python demo.py [--orders N] [--guest FILE]

The guest is `orderbook.zig` unless `orderbook.c` is given: what is printed is the same.
"""

from __future__ import annotations

import argparse
import random
import sys
from decimal import Decimal
from pathlib import Path
from time import perf_counter

sys.path.insert(0, str(Path(__file__).resolve().parents[3]))

import reifydb
from sdk.build import build_guest

HERE = Path(__file__).resolve().parent
BATCH = 1000


def show(db: reifydb.Database, levels: int = 3) -> None:
    """The book as traders look at it: what is asked above what is bid."""
    depth = db.call("orderbook.depth", levels)
    for price, quantity in reversed(depth["asks"]):
        print(f"{'':22}{price:>10}  {quantity:<10}asked")
    for price, quantity in depth["bids"]:
        print(f"{'bid':>11}{quantity:>10} {price:>10}")
    print()


def by_hand(db: reifydb.Database) -> None:
    """Some orders with what they come to."""
    for side, trader, price, quantity in [
        ("buy", "ada", "9.90", 100),
        ("buy", "bob", "9.95", 50),
        ("sell", "cleo", "10.05", 80),
        ("sell", "dan", "10.00", 40),
        ("sell", "eve", "10.00", 40),
    ]:
        db.call(f"orderbook.{side}", trader, Decimal(price), quantity)
    print("Five orders rest:\n")
    show(db)
    placed = db.call("orderbook.buy", "fay", Decimal("10.02"), 100)
    print(f"fay buys 100 at up to 10.02: {placed['traded']} at once, {placed['resting']} rest\n")
    for trade in db.scan("trade"):
        print("{quantity:>10} from {seller} at {price}".format(**trade))
    print()
    show(db)
    withdrawn = db.call("orderbook.cancel", placed["id"], "fay")
    print(f"fay withdraws the other {withdrawn}. ", end="")
    try:
        db.call("orderbook.cancel", 1, "fay")
    except reifydb.AbortedError as error:
        print(f"The order of ada stays where it is: {error.abort_message}.\n")


def by_dice(db: reifydb.Database, orders: int) -> None:
    """Many orders around one price."""
    dice = random.Random(7)
    sides: dict[str, list[tuple[str, Decimal, int]]] = {"buy": [], "sell": []}
    start_s = perf_counter()
    for _ in range(0, orders, BATCH):
        for side, batch in sides.items():
            for _ in range(BATCH // 2):
                away = dice.gauss(50 if side == "sell" else -50, 100)
                price = Decimal(100_000 + 5 * round(away)).scaleb(-4)
                batch.append((f"trader {dice.randrange(100)}", price, dice.randrange(1, 200)))
            db.call_many(f"orderbook.{side}", batch).results()
            batch.clear()
    taken_s = perf_counter() - start_s
    db.verify()
    trades = db.count("trade")
    print(f"{orders:,} orders more: {trades:,} trades, {orders / taken_s:,.0f} orders/s\n")
    show(db, levels=5)


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("--orders", type=int, default=20_000)
    parser.add_argument(
        "--guest", default="orderbook.zig", choices=["orderbook.zig", "orderbook.c"]
    )
    given = parser.parse_args()
    with reifydb.open(":memory:") as db:
        db.install(build_guest(HERE / given.guest), apply_schema=True)
        by_hand(db)
        by_dice(db, given.orders)


if __name__ == "__main__":
    main()
