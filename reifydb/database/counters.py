"""Counters and sequences as objects: what `db.counter(…)` and `db.sequence(…)` give."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reifydb.errors import RequestError

if TYPE_CHECKING:
    from reifydb.database.database import Database
    from reifydb.database.transaction import Transaction
    from reifydb.engine.catalog import Table


class Counter:
    """A counter of a database, or of a transaction.

    Each method takes the values of the key first, as many as the counter was declared with.
    """

    def __init__(self, at: Database | Transaction, table: Table) -> None:
        self._at, self.name = at, _is_a("counter", table)
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

    def __init__(self, at: Database | Transaction, table: Table) -> None:
        self._at, self.name = at, _is_a("sequence", table)

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


def _is_a(word: str, table: Table) -> str:
    if table.word != word:
        article = "an" if table.word[0] in "aeiou" else "a"
        raise RequestError(f"{table.name} is {article} {table.word}, not a {word}")
    return table.name
