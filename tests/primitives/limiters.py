"""Rate limiters, in fractions."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from fractions import Fraction
from random import Random
from typing import Any

from tests.primitives.model import Model, RefusedError, Row

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class LimiterModel(Model):
    """A limiter: tokens are fractions, and time is whole microseconds."""

    def __init__(
        self, name: str, key: list[tuple[str, list[Any]]], rate: int, period_us: int, burst: int
    ) -> None:
        self.name, self.key = name, key
        self.rate, self.period_us, self.burst = rate, period_us, burst
        self.buckets: dict[Row, tuple[Fraction, int]] = {}

    @property
    def declaration(self) -> str:
        columns = ", ".join(f"k{i} {kind}" for i, (kind, _) in enumerate(self.key))
        listed = f" ({columns})" if columns else ""
        said = f"rate {self.rate} per '{self.period_us} us' burst {self.burst}"
        return f"create limiter {self.name}{listed} {said}"

    def draw(self, random: Random, now_us: int) -> tuple[str, tuple[Any, ...]]:
        key = tuple(random.choice(values) for _, values in self.key)
        operation = random.choices(("take", "peek", "reset"), (12, 3, 1))[0]
        if operation == "reset":
            return operation, key
        return operation, (*key, random.choice([0, 1, 1, 1, 2, self.burst, self.burst + 1, -1]))

    def _tokens(self, key: Row, now_us: int) -> Fraction:
        if key not in self.buckets:
            return Fraction(self.burst)
        tokens, at = self.buckets[key]
        back = Fraction((now_us - at) * self.rate, self.period_us)
        return min(Fraction(self.burst), tokens + back)

    def apply(self, operation: str, args: tuple[Any, ...], now_us: int) -> Any:
        names = len(self.key)
        key = args[:names] if names else (self.name,)
        if operation == "reset":
            return int(self.buckets.pop(key, None) is not None)
        count = args[-1]
        if count < 0:
            raise RefusedError("WrongTypeError")
        tokens = self._tokens(key, now_us)
        allowed = tokens >= count
        wait: int | None = 0
        if count > self.burst:
            wait = None
        elif not allowed:
            exactly = (count - tokens) * self.period_us / self.rate
            wait = -(-exactly.numerator // exactly.denominator)
        if operation == "take" and allowed:
            tokens -= count
            if count:
                self.buckets[key] = tokens, now_us
        return {"allowed": allowed, "remaining": int(tokens), "retry_after_us": wait}

    def rows(self) -> set[Row]:
        return {
            (
                *key,
                int((self.burst - tokens) * self.period_us),
                _EPOCH + timedelta(microseconds=at),
            )
            for key, (tokens, at) in self.buckets.items()
        }

    def shown(self, row: Row) -> Row:
        """Without the level, which follows from what is missing."""
        *key, level, at, missing = row
        tokens = Fraction(self.burst * self.period_us - missing, self.period_us)
        assert abs(level - float(tokens)) < 1e-9 * self.burst
        return (*key, missing, at)
