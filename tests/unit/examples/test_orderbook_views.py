"""The order book as views: best bid and ask and depth, beside a book in plain Python."""

from __future__ import annotations

import random
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest

import reifydb
from sdk.build import build_guest
from tests.guests.databases import no_trace, open_with
from tests.unit.examples.plain_book import PlainBook

FOLDER = Path(__file__).resolve().parents[3] / "examples/wasm/orderbook"


@pytest.fixture
def db() -> Iterator[reifydb.Database]:
    with open_with(build_guest(FOLDER / "orderbook.zig").read_bytes()) as opened:
        opened.execute((FOLDER / "views.sql").read_text())
        yield opened
        opened.verify()


def levels(db: reifydb.Database, name: str) -> list[tuple[object, ...]]:
    way = "desc" if name in ("bids", "best_bid") else "asc"
    return list(db.query(f"select price, quantity, orders from {name} order by price {way}").tuples)


def test_the_best_of_each_side(db: reifydb.Database) -> None:
    for trader, price, quantity in (("ada", "9.5", 10), ("bob", "9.5", 5), ("cleo", "9", 1)):
        db.call("orderbook.buy", trader, Decimal(price), quantity)
    db.call("orderbook.sell", "dan", Decimal("10.25"), 4)
    assert levels(db, "best_bid") == [(Decimal("9.5"), 15, 2)]
    assert levels(db, "best_ask") == [(Decimal("10.25"), 4, 1)]
    db.call("orderbook.sell", "eve", Decimal("9.5"), 12)
    assert levels(db, "best_bid") == [(Decimal("9.5"), 3, 1)]
    db.call("orderbook.cancel", 2, "bob")
    assert levels(db, "bids") == [(Decimal(9), 1, 1)]


def test_a_book_that_is_crossed_is_refused(db: reifydb.Database) -> None:
    db.call("orderbook.buy", "ada", Decimal("9.5"), 10)
    with no_trace(db), pytest.raises(reifydb.AssertionViolatedError) as refused:
        db.execute(  # past the matching
            "insert into limit_order (trader, buy, price, quantity) values ('bob', false, 9.25, 1)"
        )
    assert refused.value.constraint == "book_is_not_crossed"
    assert refused.value.row == {"bid": Decimal("9.5"), "ask": Decimal("9.25")}


@pytest.mark.parametrize("seed", range(3))
def test_depth_is_that_of_plain_python(db: reifydb.Database, seed: int) -> None:
    rng, book = random.Random(seed), PlainBook()
    for _ in range(300):
        trader, units = rng.choice("abc"), rng.randrange(90, 110)
        price, quantity = Decimal(units), rng.randrange(1, 9)
        if rng.random() < 0.2 and book.orders:
            order = rng.choice(book.orders)
            left = db.call("orderbook.cancel", order.number, order.trader)
            assert left == book.cancel(order.number, order.trader)
        else:
            buys = rng.random() < 0.5
            db.call("orderbook.buy" if buys else "orderbook.sell", trader, price, quantity)
            book.place(trader, buys, price, quantity)
        for name, buys in (("bids", True), ("asks", False)):
            found = levels(db, name)
            assert [row[:2] for row in found] == book.levels(buys)[:5]
            orders = [
                sum(o.price == row[0] and o.is_buy == buys for o in book.orders) for row in found
            ]
            assert [row[2] for row in found] == orders
            best = "best_bid" if buys else "best_ask"
            assert levels(db, best) == levels(db, name)[:1]
        assert db.count("book_is_not_crossed") == 0
