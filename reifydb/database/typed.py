"""Tables for type checkers: what `reifydb generate python` declares for each table of a schema.

At run time these are the methods of databases, transactions and clients with the table's name
filled in; nothing is checked here that they do not check.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Generic, Protocol, TypeVar, cast

RowT = TypeVar("RowT", bound=Mapping[str, object])
InsertT = TypeVar("InsertT", bound=Mapping[str, object])
UpdateT = TypeVar("UpdateT", bound=Mapping[str, object])
KeyT = TypeVar("KeyT")


class Calls(Protocol):
    """What runs transitions: a database, a transaction, a client."""

    def call(self, transition: str, /, *args: object, **named: object) -> object:
        """Runs one."""


class Reads(Protocol):
    """What reads tables: a database, a transaction, a client."""

    def get(self, table: str, key: object) -> dict[str, object] | None:
        """A row by key."""

    def count(self, table: str) -> int:
        """How many rows there are."""

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
        """Rows in order."""


class Writes(Protocol):
    """What writes tables: a transaction, or a client, where each is a transaction of its own."""

    def insert(self, table: str, row: Mapping[str, object]) -> object:
        """Inserts a row."""

    def insert_many(self, table: str, rows: Iterable[Mapping[str, object]]) -> int:
        """Inserts rows."""

    def update(self, table: str, row: Mapping[str, object]) -> None:
        """Updates a row."""

    def upsert(self, table: str, row: Mapping[str, object]) -> None:
        """Updates or inserts a row."""

    def delete(self, table: str, key: object) -> bool:
        """Deletes a row."""


class TypedTable(Generic[RowT, InsertT, UpdateT, KeyT]):
    """A table whose rows have a type: `RowT` as they are read, `InsertT` and `UpdateT` as they are
    given, `KeyT` for its primary key.

    Reading takes a database, an open transaction or a `RemoteDatabase`, writing one of the latter
    two. Errors and costs are those of their methods.

    Attributes:
        name: The table's.
    """

    def __init__(self, name: str) -> None:
        self.name = name

    def get(self, db: Reads, key: KeyT) -> RowT | None:
        """The row with this primary key; None when there is none."""
        return cast("RowT | None", db.get(self.name, key))

    def count(self, db: Reads) -> int:
        """Number of rows."""
        return db.count(self.name)

    def scan(
        self,
        db: Reads,
        *,
        index: str | None = None,
        lower: object = None,
        upper: object = None,
        lower_exclusive: bool = False,
        upper_exclusive: bool = False,
        limit: int | None = None,
        reverse: bool = False,
    ) -> Iterator[RowT]:
        """Rows in the order of their primary keys, or of an index."""
        rows = db.scan(
            self.name,
            index=index,
            lower=lower,
            upper=upper,
            lower_exclusive=lower_exclusive,
            upper_exclusive=upper_exclusive,
            limit=limit,
            reverse=reverse,
        )
        return cast("Iterator[RowT]", rows)

    def insert(self, tx: Writes, row: InsertT) -> KeyT:
        """Inserts a row; its primary key."""
        return cast("KeyT", tx.insert(self.name, row))

    def insert_many(self, tx: Writes, rows: Iterable[InsertT]) -> int:
        """Inserts all the rows or none; how many."""
        return tx.insert_many(self.name, rows)

    def update(self, tx: Writes, row: UpdateT) -> None:
        """Sets the given columns of the row with this primary key."""
        tx.update(self.name, row)

    def upsert(self, tx: Writes, row: InsertT) -> None:
        """Updates the row with this primary key, or inserts it."""
        tx.upsert(self.name, row)

    def delete(self, tx: Writes, key: KeyT) -> bool:
        """Deletes by primary key; whether there was such a row."""
        return tx.delete(self.name, key)

    def __repr__(self) -> str:
        return f"<reifydb.TypedTable {self.name!r}>"
