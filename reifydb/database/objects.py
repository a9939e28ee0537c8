"""Primitives as objects: what `db.counter(…)` and the like give."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass

from reifydb.engine.catalog import Table, with_article
from reifydb.errors import RequestError


class Counter:
    """A counter of a database, or of a transaction.

    Each method takes the values of the key first, as many as the counter was declared with.
    """

    def __init__(self, at: Primitives, table: Table) -> None:
        self._at, self.name = at, table.name
        self._keys = 0 if table.columns[0].default is not None else len(table.key)

    def add(self, *key_and_amount: object) -> int:
        """Adds an amount, 1 unless it is given behind the key: the value now.

        Raises:
            CheckError: The value would be out of its bounds.
            TransactionLimitError: … or of 64 bits.
        """
        one = (1,) if len(key_and_amount) == self._keys else ()
        return self._call("add", *key_and_amount, *one)

    def get(self, *key: object) -> int:
        """The value; 0 of a key that was never counted."""
        return self._call("get", *key)

    def set(self, *key_and_value: object) -> int:
        """Sets the value: what it was.

        Raises:
            CheckError: The value is out of its bounds.
        """
        return self._call("set", *key_and_value)

    def reset(self, *key: object) -> int:
        """Forgets the key: what its value was."""
        return self._call("reset", *key)

    def _call(self, operation: str, *args: object) -> int:
        value = self._at.call(f"{self.name}.{operation}", *args)
        assert isinstance(value, int)
        return value

    def __repr__(self) -> str:
        return f"<reifydb.Counter {self.name!r}>"


class Sequence:
    """A sequence of a database, or of a transaction."""

    def __init__(self, at: Primitives, table: Table) -> None:
        self._at, self.name = at, table.name

    def next(self) -> int:
        """The next value; it is given out again when this transaction is undone.

        Raises:
            TransactionLimitError: There is none that fits into 64 bits.
        """
        value = self._at.call(f"{self.name}.next")
        assert isinstance(value, int)
        return value

    def current(self) -> int | None:
        """The last value given out; None before the first."""
        value = self._at.call(f"{self.name}.current")
        assert value is None or isinstance(value, int)
        return value

    def __repr__(self) -> str:
        return f"<reifydb.Sequence {self.name!r}>"


class Ring:
    """A ring of a database, or of a transaction.

    Each method takes the values of the part first, as many as the ring has columns behind `per`.
    """

    def __init__(self, at: Primitives, table: Table) -> None:
        self._at, self.name = at, table.name
        self._parts = len(table.key) - 1

    def push(self, *part_and_values: object, **named: object) -> int:
        """Adds a row, by position or by name: its number within the part."""
        return self._int("push", *part_and_values, **named)

    def length(self, *part: object) -> int:
        """How many rows the part has."""
        return self._int("length", *part)

    def clear(self, *part: object) -> int:
        """Deletes all rows of the part: how many there were. The next one has number 1."""
        return self._int("clear", *part)

    def last(self, *part_and_count: object) -> list[dict[str, object]]:
        """The last rows of a part, the newest first; how many is given behind the part.

        Raises:
            RequestError: There are too few or too many values.
        """
        *part, count = part_and_count or (None,)
        if len(part) != self._parts or not isinstance(count, int) or isinstance(count, bool):
            raise RequestError(
                f"ring {self.name}: last takes {self._parts} values of the part, and a count"
            )
        if count < 1:
            return []
        bound = tuple(part) if part else None
        rows = self._at.scan(self.name, lower=bound, upper=bound, limit=count, reverse=True)
        return list(rows)

    def _int(self, operation: str, *args: object, **named: object) -> int:
        value = self._at.call(f"{self.name}.{operation}", *args, **named)
        assert isinstance(value, int)
        return value

    def __repr__(self) -> str:
        return f"<reifydb.Ring {self.name!r}>"


@dataclass(frozen=True, slots=True)
class Taken:
    """What a limiter says.

    Attributes:
        allowed: The tokens were there.
        remaining: Whole tokens that are left.
        retry_after_s: Seconds until they would be there, 0 when they are; None: the bucket is
            smaller than that.
    """

    allowed: bool
    remaining: int
    retry_after_s: float | None

    def __bool__(self) -> bool:
        """Whether the tokens were there."""
        return self.allowed


class Limiter:
    """A limiter of a database, or of a transaction.

    Each method takes the values of the key first, as many as the limiter was declared with.
    """

    def __init__(self, at: Primitives, table: Table) -> None:
        self._at, self.name = at, table.name
        self._keys = 0 if table.columns[0].default is not None else len(table.key)

    def take(self, *key_and_count: object) -> Taken:
        """Takes tokens, one unless it is said behind the key, if they are there."""
        return self._ask("take", key_and_count)

    def peek(self, *key_and_count: object) -> Taken:
        """The same, and takes nothing."""
        return self._ask("peek", key_and_count)

    def reset(self, *key: object) -> None:
        """Fills the bucket."""
        self._at.call(f"{self.name}.reset", *key)

    def _ask(self, operation: str, args: tuple[object, ...]) -> Taken:
        one = (1,) if len(args) == self._keys else ()
        said = self._at.call(f"{self.name}.{operation}", *args, *one)
        assert isinstance(said, dict)
        wait = said["retry_after_us"]
        return Taken(said["allowed"], said["remaining"], None if wait is None else wait / 1e6)

    def __repr__(self) -> str:
        return f"<reifydb.Limiter {self.name!r}>"


class Primitives(ABC):
    """What has primitives: a database, or a transaction of it."""

    @abstractmethod
    def _table(self, name: str) -> Table:
        """The table of this name, or what else has it."""

    @abstractmethod
    def call(self, transition: str, /, *args: object, **named: object) -> object:
        """Runs a transition."""

    @abstractmethod
    def scan(
        self,
        table: str,
        *,
        index: str | None = None,
        lower: object = None,
        upper: object = None,
        lower_exclusive: bool = False,
        upper_exclusive: bool = False,
        limit: int | None = None,
        reverse: bool = False,
    ) -> Iterator[dict[str, object]]:
        """Rows of a table in the order of a key."""

    def counter(self, name: str) -> Counter:
        """A counter as an object: `counter("page_views").add("home")`.

        Raises:
            UnknownNameError, RequestError: There is none of this name.
        """
        return Counter(self, self._primitive("counter", name))

    def ring(self, name: str) -> Ring:
        """A ring as an object. Raises as `counter`."""
        return Ring(self, self._primitive("ring", name))

    def limiter(self, name: str) -> Limiter:
        """A limiter as an object. Raises as `counter`."""
        return Limiter(self, self._primitive("limiter", name))

    def sequence(self, name: str) -> Sequence:
        """A sequence as an object. Raises as `counter`."""
        return Sequence(self, self._primitive("sequence", name))

    def _primitive(self, word: str, name: str) -> Table:
        table = self._table(name)
        if table.word != word:
            raise RequestError(f"{table.name} is {with_article(table.word)}, not a {word}")
        return table
