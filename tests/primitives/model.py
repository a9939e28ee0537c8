"""What a primitive must do, in a few lines: the oracle of the random histories."""

from __future__ import annotations

from abc import ABC, abstractmethod
from random import Random
from typing import Any

Row = tuple[Any, ...]


class RefusedError(Exception):
    """The model refuses an operation: the primitive must, too, with an error of a name.

    Args:
        error: The name of the class that must be raised.
    """

    def __init__(self, error: str) -> None:
        super().__init__(error)
        self.error = error


class Model(ABC):
    """One primitive. Models are copied by `copy.deepcopy` where a transaction begins.

    Attributes:
        name: Of the primitive.
    """

    name: str

    @property
    @abstractmethod
    def declaration(self) -> str:
        """The statement that creates it."""

    @abstractmethod
    def draw(self, random: Random, now_us: int) -> tuple[str, tuple[Any, ...]]:
        """An operation of the primitive and arguments for it, often at an edge."""

    @abstractmethod
    def apply(self, operation: str, args: tuple[Any, ...], now_us: int) -> Any:
        """Does it: its result.

        Raises:
            RefusedError: It is refused, and nothing has changed.
        """

    @abstractmethod
    def rows(self) -> set[Row]:
        """The rows of the relation."""

    def shown(self, row: Row) -> Row:
        """A row of the relation as `rows` has it."""
        return row

    def at(self, now_us: int) -> None:  # noqa: B027 (most primitives do nothing by time)
        """Time has passed, and what was due has been done."""
