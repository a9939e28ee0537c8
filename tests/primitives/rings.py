"""Rings, as lists."""

from __future__ import annotations

from random import Random
from typing import Any

from tests.primitives.model import Model, Row


class RingModel(Model):
    """A ring.

    Args:
        per: Values that tell its parts apart, and their SQL.
    """

    def __init__(self, name: str, per: list[tuple[str, list[Any]]], capacity: int) -> None:
        self.name, self.per, self.capacity = name, per, capacity
        self.parts: dict[Row, tuple[int, list[Row]]] = {}

    @property
    def declaration(self) -> str:
        per = ", ".join(f"p{i} {kind}" for i, (kind, _) in enumerate(self.per))
        said = f" per ({per})" if per else ""
        return f"create ring {self.name} (t text, n int not null){said} capacity {self.capacity}"

    def draw(self, random: Random, now_us: int) -> tuple[str, tuple[Any, ...]]:
        part = tuple(random.choice(values) for _, values in self.per)
        operation = random.choices(("push", "length", "clear"), (20, 3, 1))[0]
        if operation != "push":
            return operation, part
        return operation, (*part, random.choice([None, "", "x" * 300]), random.randrange(100))

    def apply(self, operation: str, args: tuple[Any, ...], now_us: int) -> Any:
        part, values = args[: len(self.per)], args[len(self.per) :]
        last, rows = self.parts.get(part, (0, []))
        if operation == "length":
            return len(rows)
        if operation == "clear":
            self.parts.pop(part, None)
            return len(rows)
        kept = [*rows, (*part, last + 1, *values)][-self.capacity :]
        self.parts[part] = last + 1, kept
        return last + 1

    def rows(self) -> set[Row]:
        return {row for _, rows in self.parts.values() for row in rows}
