"""Twins that are broken on purpose, each in one way that a real database might be.

What the comparer does not notice here it would not notice there.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from types import ModuleType

from tests.histories import broken_indexes, broken_rows, broken_schemas, broken_subscriptions
from tests.histories.twin import Twin


def _broken(module: ModuleType) -> Iterator[type[Twin]]:
    for name, found in vars(module).items():
        own = inspect.isclass(found) and found.__module__ == module.__name__
        if own and issubclass(found, Twin) and not name.startswith("_"):
            yield found


BROKEN = [
    twin
    for module in (broken_rows, broken_indexes, broken_schemas, broken_subscriptions)
    for twin in _broken(module)
]
