"""The order book in each language: scenarios, and random orders beside a book in plain Python."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import reifydb
from reifydb.errors import AbortedError, WrongTypeError
from sdk.build import build_guest
from tests.guests.databases import LANGUAGES, no_trace, open_with, run_batch
from tests.unit.examples.plain_book import PlainBook, RefusalError
from tests.unit.sdk.fake_host import custom_section

FOLDER = Path(__file__).resolve().parents[3] / "examples/wasm/orderbook"


def module(language: str) -> bytes:
    return build_guest(FOLDER / f"orderbook.{language}").read_bytes()


@pytest.fixture(params=LANGUAGES)
def db(request: pytest.FixtureRequest) -> Iterator[reifydb.Database]:
    with open_with(module(request.param)) as opened:
        yield opened


def buy(db: reifydb.Database, trader: str, price: str, quantity: int) -> tuple[int, int, int]:
    return tuple(db.call("orderbook.buy", trader, Decimal(price), quantity).values())


def sell(db: reifydb.Database, trader: str, price: str, quantity: int) -> tuple[int, int, int]:
    return tuple(db.call("orderbook.sell", trader, Decimal(price), quantity).values())


def trades(db: reifydb.Database) -> list[tuple[Any, ...]]:
    return [
        (t["maker"], t["taker"], t["buyer"], t["seller"], str(t["price"]), t["quantity"])
        for t in db.scan("trade")
    ]


def refused(db: reifydb.Database, name: str, *arguments: Any) -> tuple[int, str]:
    with no_trace(db), pytest.raises(AbortedError) as caught:
        db.call(f"orderbook.{name}", *arguments)
    return caught.value.abort_code, caught.value.abort_message


# ------------------------------------------------------------------ scenarios


def test_an_empty_book(db: reifydb.Database) -> None:
    nothing = {"bid": None, "bid_quantity": 0, "ask": None, "ask_quantity": 0}
    assert db.call("orderbook.best") == nothing
    assert db.call("orderbook.depth", 5) == {"bids": [], "asks": []}


def test_orders_rest_until_somebody_pays_their_price(db: reifydb.Database) -> None:
    assert buy(db, "ada", "9.50", 10) == (1, 0, 10)
    assert sell(db, "bob", "10.00", 4) == (2, 0, 4)
    assert buy(db, "cleo", "9.50", 5) == (3, 0, 5)
    best = db.call("orderbook.best")
    assert best == {
        "bid": Decimal("9.5000"),
        "bid_quantity": 15,
        "ask": Decimal("10.0000"),
        "ask_quantity": 4,
    }
    assert trades(db) == []
    assert buy(db, "dan", "10.25", 6) == (4, 4, 2)  # at the resting order's price
    assert trades(db) == [(2, 4, "dan", "bob", "10.0000", 4)]
    assert db.call("orderbook.best")["bid"] == Decimal("10.25")
    db.verify()


def test_the_best_price_trades_first_and_at_a_price_the_oldest_order(db: reifydb.Database) -> None:
    for trader, price, quantity in [
        ("late", "10.0", 5),
        ("dear", "10.5", 5),
        ("later", "10.0", 5),
        ("cheap", "9.0", 5),
    ]:
        sell(db, trader, price, quantity)
    assert buy(db, "ada", "10.2", 12) == (5, 12, 0)
    assert trades(db) == [
        (4, 5, "ada", "cheap", "9.0000", 5),
        (1, 5, "ada", "late", "10.0000", 5),
        (3, 5, "ada", "later", "10.0000", 2),
    ]
    assert db.call("orderbook.depth", 9) == {"bids": [], "asks": [["10.0000", 3], ["10.5000", 5]]}
    assert sell(db, "bob", "9.9", 1) == (6, 0, 1)  # an order that traded whole has its number still


def test_buyers_trade_by_price_and_time_as_well(db: reifydb.Database) -> None:
    for trader, price in (("low", "8"), ("first", "9"), ("high", "9.5"), ("second", "9")):
        buy(db, trader, price, 2)
    assert sell(db, "eve", "8.5", 7) == (5, 6, 1)
    assert [trade[2] for trade in trades(db)] == ["high", "first", "second"]
    assert db.call("orderbook.best") == {
        "bid": Decimal("8.0000"),
        "bid_quantity": 2,
        "ask": Decimal("8.5000"),
        "ask_quantity": 1,
    }


def test_who_placed_an_order_may_cancel_it(db: reifydb.Database) -> None:
    buy(db, "ada", "9", 10)
    sell(db, "bob", "9", 4)
    assert refused(db, "cancel", 1, "eve") == (4, "not_your_order")
    assert refused(db, "cancel", 2, "bob") == (3, "no_such_order")  # it traded whole
    assert db.call("orderbook.cancel", 1, "ada") == 6
    assert refused(db, "cancel", 1, "ada") == (3, "no_such_order")
    assert db.count("limit_order") == 0


def test_orders_of_nothing_are_refused(db: reifydb.Database) -> None:
    for name in ("buy", "sell"):
        assert refused(db, name, "ada", Decimal(0), 1) == (1, "non_positive_price")
        assert refused(db, name, "ada", Decimal(-1), 1) == (1, "non_positive_price")
        assert refused(db, name, "ada", Decimal(1), 0) == (2, "non_positive_quantity")
        assert refused(db, name, "ada", Decimal(1), -5) == (2, "non_positive_quantity")
    assert refused(db, "depth", 0) == (5, "non_positive_levels")
    with pytest.raises(WrongTypeError):
        buy(db, "ada", "1.00001", 1)


def test_sums_are_checked(db: reifydb.Database) -> None:
    most = 2**63 - 1
    for _ in range(2):
        buy(db, "ada", "1", most)
    assert refused(db, "best") == (-100, "overflow")
    assert sell(db, "bob", "99999999999999.9999", most) == (3, 0, most)
    assert sell(db, "bob", "0.0001", most) == (4, most, 0)
    assert db.call("orderbook.depth", 1)["asks"] == [["99999999999999.9999", most]]


def test_a_book_that_is_larger_than_a_page(db: reifydb.Database) -> None:
    for i in range(300):
        sell(db, f"trader {i}", str(10 + i % 3), 1)
    assert buy(db, "whale", "11", 250) == (301, 200, 50)
    assert [trade[0] for trade in trades(db)] == [
        *[i + 1 for i in range(300) if i % 3 == 0],
        *[i + 1 for i in range(300) if i % 3 == 1],
    ]
    assert db.call("orderbook.depth", 9) == {"bids": [["11.0000", 50]], "asks": [["12.0000", 100]]}
    db.verify()


def test_all_languages_declare_the_same() -> None:
    found = [json.loads(custom_section(module(each), "reifydb.manifest")) for each in LANGUAGES]
    assert all(manifest == found[0] for manifest in found)


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_demo_runs(language: str) -> None:
    demo = [sys.executable, str(FOLDER / "demo.py"), "--orders", "2000"]
    command = [*demo, "--guest", f"orderbook.{language}"]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert "fay buys 100 at up to 10.02: 80 at once, 20 rest" in said
    assert "40 from dan at 10.0000" in said
    assert "2,000 orders more" in said


# ------------------------------------------------------------------ beside a plain book

TRADERS = ["ada", "bob", "cleo"]
PRICES = [Decimal(text) for text in ("-1", "0", "9.9", "9.95", "10", "10.0001", "10.5", "11")]

orders = st.tuples(
    st.sampled_from(["buy", "sell"]),
    st.sampled_from(TRADERS),
    st.sampled_from(PRICES),
    st.sampled_from([0, 1, 2, 3, 10]),
)
cancels = st.tuples(st.just("cancel"), st.sampled_from(TRADERS), st.integers(1, 12))


def expected(book: PlainBook, step: tuple[Any, ...]) -> Any:
    name, trader, *rest = step
    try:
        if name == "cancel":
            return book.cancel(rest[0], trader)
        return book.place(trader, name == "buy", *rest)
    except RefusalError as refusal:
        return refusal.args


def arguments(step: tuple[Any, ...]) -> tuple[Any, ...]:
    name, trader, *rest = step
    return (rest[0], trader) if name == "cancel" else (trader, *rest)


def compare(db: reifydb.Database, book: PlainBook) -> None:
    """The same orders rest, the same trades were made, and no quantity was lost."""
    resting = [tuple(vars(order).values()) for order in book.orders]
    assert [tuple(row.values()) for row in db.scan("limit_order")] == resting
    made = [(*vars(t).values(),) for t in book.trades]
    found = [tuple(row.values())[1:-1] for row in db.scan("trade")]
    assert found == made
    sides = book.levels(True), book.levels(False)
    best = tuple(level for side in sides for level in (side[0] if side else (None, 0)))
    assert tuple(db.call("orderbook.best").values()) == best
    shown = [[[f"{price:.4f}", quantity] for price, quantity in side[:2]] for side in sides]
    assert db.call("orderbook.depth", 2) == {"bids": shown[0], "asks": shown[1]}
    if sides[0] and sides[1]:
        assert sides[0][0][0] < sides[1][0][0], "the book is crossed"
    db.verify()


@pytest.mark.parametrize("language", LANGUAGES)
@settings(max_examples=15)
@given(steps=st.lists(orders | orders | cancels, max_size=20))
def test_random_orders_trade_as_in_a_plain_book(language: str, steps: list[Any]) -> None:
    with open_with(module(language)) as db:
        book, given_in = PlainBook(), 0
        for step in steps:
            wanted = expected(book, step)
            try:
                found = db.call(f"orderbook.{step[0]}", *arguments(step))
            except AbortedError as error:
                found = error.abort_code, error.abort_message
            assert found == wanted
            if isinstance(found, dict):
                given_in += step[3]
            elif isinstance(found, int):
                given_in -= found
            compare(db, book)
            traded = 2 * sum(trade["quantity"] for trade in db.scan("trade"))
            assert given_in == traded + sum(row["quantity"] for row in db.scan("limit_order"))


@pytest.mark.parametrize("seed", range(2))
def test_long_histories_are_the_same_in_all_languages(seed: int) -> None:
    endings = []
    for language in LANGUAGES:
        dice, book, steps = random.Random(seed), PlainBook(), []
        for _ in range(1500):
            step: tuple[Any, ...] = ("cancel", dice.choice(TRADERS), dice.randrange(1, 1500))
            if dice.random() < 0.8:
                price = Decimal(dice.randrange(95_000, 105_000, 50)).scaleb(-4)
                side, trader = dice.choice(["buy", "sell"]), dice.choice(TRADERS)
                step = (side, trader, price, dice.randrange(1, 100))
            expected(book, step)
            steps.append(step)
        with open_with(module(language)) as db:
            calls = [(f"orderbook.{step[0]}", arguments(step)) for step in steps]
            outcomes = run_batch(db, calls)
            compare(db, book)
            assert len(book.trades) > 200
            endings.append((outcomes, list(db.scan("trade"))))
    assert all(other == endings[0] for other in endings)
