"""Counters, as a dictionary."""

from __future__ import annotations

from random import Random
from typing import Any

from tests.primitives.model import Model, RefusedError, Row

_INT_MAX = 2**63 - 1


class CounterModel(Model):
    """A counter.

    Args:
        key: Values that its key columns take, and their SQL; none: it has no key.
        least, most: Its bounds.
    """

    def __init__(
        self,
        name: str,
        key: list[tuple[str, list[Any]]],
        least: int | None = None,
        most: int | None = None,
    ) -> None:
        self.name, self.key, self.least, self.most = name, key, least, most
        self.values: dict[Row, int] = {}

    @property
    def declaration(self) -> str:
        columns = ", ".join(f"k{i} {kind}" for i, (kind, _) in enumerate(self.key))
        listed = f" ({columns})" if columns else ""
        bounds = "".join(
            f" {word} {value}"
            for word, value in (("min", self.least), ("max", self.most))
            if value is not None
        )
        return f"create counter {self.name}{listed}{bounds}"

    def draw(self, random: Random, now_us: int) -> tuple[str, tuple[Any, ...]]:
        key = tuple(random.choice(values) for _, values in self.key)
        operation = random.choices(("add", "get", "set", "reset"), (8, 2, 2, 1))[0]
        if operation in ("get", "reset"):
            return operation, key
        edge = [-1, 0, 1, _INT_MAX, -_INT_MAX - 1, self.least or 0, self.most or 0]
        value = random.choice(edge) if random.random() < 0.2 else random.randrange(-5, 8)
        return operation, (*key, value)

    def apply(self, operation: str, args: tuple[Any, ...], now_us: int) -> Any:
        count = len(self.key)
        key = args[:count] if count else (self.name,)
        before = self.values.get(key, 0)
        if operation == "get":
            return before
        if operation == "reset":
            self.values.pop(key, None)
            return before
        value = args[-1] + (before if operation == "add" else 0)
        if not -_INT_MAX - 1 <= value <= _INT_MAX:
            raise RefusedError("TransactionLimitError")
        low = self.least is not None and value < self.least
        if low or (self.most is not None and value > self.most):
            raise RefusedError("CheckError")
        self.values[key] = value
        return value if operation == "add" else before

    def rows(self) -> set[Row]:
        return {(*key, value) for key, value in self.values.items()}
