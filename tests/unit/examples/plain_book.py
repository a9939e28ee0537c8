"""An order book in plain Python, to compare the one of the example with."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal


class RefusalError(Exception):
    """`args` are the code and the name that the example aborts with."""


@dataclass
class Order:
    number: int
    trader: str
    is_buy: bool
    price: Decimal
    quantity: int


@dataclass
class Trade:
    maker: int
    taker: int
    buyer: str
    seller: str
    price: Decimal
    quantity: int


@dataclass
class PlainBook:
    """All orders in a list, in the order in which they came; the best one is looked for."""

    orders: list[Order] = field(default_factory=list)
    trades: list[Trade] = field(default_factory=list)
    last: int = 0

    def place(self, trader: str, is_buy: bool, price: Decimal, quantity: int) -> dict[str, int]:
        if price <= 0:
            raise RefusalError(1, "non_positive_price")
        if quantity <= 0:
            raise RefusalError(2, "non_positive_quantity")
        self.last += 1
        taker = Order(self.last, trader, is_buy, price, quantity)
        while taker.quantity and (maker := self._best_against(taker)):
            self._trade(maker, taker)
        if taker.quantity:
            self.orders.append(taker)
        traded = quantity - taker.quantity
        return {"id": taker.number, "traded": traded, "resting": taker.quantity}

    def cancel(self, number: int, trader: str) -> int:
        found = next((order for order in self.orders if order.number == number), None)
        if found is None:
            raise RefusalError(3, "no_such_order")
        if found.trader != trader:
            raise RefusalError(4, "not_your_order")
        self.orders.remove(found)
        return found.quantity

    def levels(self, is_buy: bool) -> list[tuple[Decimal, int]]:
        """The prices of a side, best first, with their quantities."""
        side = [order for order in self.orders if order.is_buy == is_buy]
        prices = sorted({order.price for order in side}, reverse=is_buy)
        return [(p, sum(order.quantity for order in side if order.price == p)) for p in prices]

    def _best_against(self, taker: Order) -> Order | None:
        makers = [order for order in self.orders if order.is_buy != taker.is_buy]
        if taker.is_buy:
            good = [order for order in makers if order.price <= taker.price]
            return min(good, key=lambda order: (order.price, order.number), default=None)
        good = [order for order in makers if order.price >= taker.price]
        return min(good, key=lambda order: (-order.price, order.number), default=None)

    def _trade(self, maker: Order, taker: Order) -> None:
        quantity = min(maker.quantity, taker.quantity)
        buyer, seller = (taker, maker) if taker.is_buy else (maker, taker)
        self.trades.append(
            Trade(maker.number, taker.number, buyer.trader, seller.trader, maker.price, quantity)
        )
        for order in (maker, taker):
            order.quantity -= quantity
        if maker.quantity == 0:
            self.orders.remove(maker)
