"""Histograms, as dictionaries of buckets."""

from __future__ import annotations

import math
from random import Random
from typing import Any

from tests.primitives.model import Model, RefusedError, Row

_VALUES = [0.0, -0.0, 1e-10, 1e-9, 1.0, -1.0, 1e15, -1e15, 1e15 * 1.01, 3.25, -7.5]


class HistogramModel(Model):
    """A histogram."""

    def __init__(self, name: str, key: list[tuple[str, list[Any]]], error: float) -> None:
        self.name, self.key, self.error = name, key, error
        self.log_gamma = math.log((1 + error) / (1 - error))
        self.buckets: dict[Row, dict[int, tuple[int, float, float, float]]] = {}

    @property
    def declaration(self) -> str:
        columns = ", ".join(f"k{i} {kind}" for i, (kind, _) in enumerate(self.key))
        listed = f" ({columns})" if columns else ""
        return f"create histogram {self.name}{listed} error {self.error * 100:g}%"

    def draw(self, random: Random, now_us: int) -> tuple[str, tuple[Any, ...]]:
        key = tuple(random.choice(values) for _, values in self.key)
        names = ("record", "quantile", "summary", "reset", "merge" if self.key else "summary")
        operation = random.choices(names, (16, 4, 2, 1, 2))[0]
        if operation == "record":
            value = random.choice(_VALUES) if random.random() < 0.3 else random.gauss(0, 50)
            return operation, (*key, value, random.choice([1, 1, 1, 3, 0]))
        if operation == "quantile":
            return operation, (*key, random.choice([0.0, 0.5, 0.99, 1.0, random.random(), 1.5]))
        if operation == "merge":
            return operation, (*key, *(random.choice(values) for _, values in self.key))
        return operation, key

    def bucket(self, value: float) -> int:
        if abs(value) < 1e-9:
            return 0
        number = math.ceil(math.log(abs(value)) / self.log_gamma) + (1 << 20)
        return number if value > 0 else -number

    def _put(self, key: Row, bucket: int, more: tuple[int, float, float, float]) -> int:
        buckets = self.buckets.setdefault(key, {})
        count, total, low, high = buckets.get(bucket, (0, 0.0, math.inf, -math.inf))
        made = count + more[0], total + more[1], min(low, more[2]), max(high, more[3])
        buckets[bucket] = made
        return made[0]

    def apply(self, operation: str, args: tuple[Any, ...], now_us: int) -> Any:
        names = len(self.key)
        key, rest = (args[:names], args[names:]) if names else ((self.name,), args)
        buckets = self.buckets.get(key, {})
        total = sum(bucket[0] for bucket in buckets.values())
        match operation:
            case "record":
                value, count = rest
                if count < 1 or abs(value) > 1e15:
                    raise RefusedError("WrongTypeError")
                more = (count, value * count, value, value)
                return self._put(key, self.bucket(value), more)
            case "reset":
                self.buckets.pop(key, None)
                return total
            case "merge":
                for bucket, more in sorted(self.buckets.get(rest, {}).items()):
                    self._put(key, bucket, more)
                return sum(bucket[0] for bucket in self.buckets.get(key, {}).values())
            case "summary":
                if not total:
                    return {"count": 0, "sum": None, "min": None, "max": None}
                added = 0.0
                for _, (_, one, _, _) in sorted(buckets.items()):
                    added += one
                low, high = min(b[2] for b in buckets.values()), max(b[3] for b in buckets.values())
                return {"count": total, "sum": added, "min": low, "max": high}
        return self._quantile(buckets, total, rest[0])

    def _quantile(self, buckets: dict[int, Any], total: int, q: float) -> Any:
        if q > 1:
            raise RefusedError("WrongTypeError")
        before = 0
        for bucket, (count, _, low, high) in sorted(buckets.items()):
            before += count
            if before > math.floor(q * (total - 1)):
                gamma = math.exp(self.log_gamma)
                size = 2 * math.exp((abs(bucket) - (1 << 20)) * self.log_gamma) / (gamma + 1)
                middle = 0.0 if bucket == 0 else math.copysign(size, bucket)
                return _Near(min(max(middle, low), high))
        return None

    def rows(self) -> set[Row]:
        return {
            (*key, bucket, *numbers)
            for key, buckets in self.buckets.items()
            for bucket, numbers in buckets.items()
        }


class _Near(float):
    """Equal to what is as near as two libraries' logarithms are."""

    __hash__ = float.__hash__

    def __eq__(self, other: object) -> bool:
        return isinstance(other, float) and math.isclose(self, other, rel_tol=1e-9, abs_tol=1e-12)
