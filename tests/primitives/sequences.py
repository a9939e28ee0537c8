"""Sequences, as a number."""

from __future__ import annotations

from random import Random
from typing import Any

from tests.primitives.model import Model, RefusedError, Row

_INT_MAX = 2**63 - 1


class SequenceModel(Model):
    """A sequence that starts somewhere and goes by a step."""

    def __init__(self, name: str, start: int, step: int) -> None:
        self.name, self.start, self.step = name, start, step
        self.last: int | None = None

    @property
    def declaration(self) -> str:
        return f"create sequence {self.name} start {self.start} step {self.step}"

    def draw(self, random: Random, now_us: int) -> tuple[str, tuple[Any, ...]]:
        return random.choice(("next", "next", "current")), ()

    def apply(self, operation: str, args: tuple[Any, ...], now_us: int) -> Any:
        if operation == "current":
            return self.last
        value = self.start if self.last is None else self.last + self.step
        if not -_INT_MAX - 1 <= value <= _INT_MAX:
            raise RefusedError("TransactionLimitError")
        self.last = value
        return value

    def rows(self) -> set[Row]:
        return set() if self.last is None else {(self.name, self.last)}
