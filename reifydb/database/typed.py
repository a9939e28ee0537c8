"""Tables for type checkers: what `reifydb generate python` declares for each table of a schema.

At run time these are the methods of databases, transactions and clients with the table's name
filled in; nothing is checked here that they do not check.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Iterable, Iterator, Mapping
from typing import Any, Generic, Protocol, TypeVar, overload

RowT = TypeVar("RowT", bound=Mapping[str, object])
InsertT = TypeVar("InsertT", bound=Mapping[str, object])
UpdateT = TypeVar("UpdateT", bound=Mapping[str, object])
KeyT = TypeVar("KeyT")


class Calls(Protocol):
    """What runs transitions: a database, a transaction, a client."""

    def call(self, transition: str, /, *args: object, **named: object) -> object:
        """Runs one."""


class AsyncCalls(Protocol):
    """The same in an event loop: an `AsyncDatabase`."""

    def call(self, transition: str, /, *args: object, **named: object) -> Awaitable[object]:
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


class AsyncReads(Protocol):
    """The same in an event loop: an `AsyncDatabase`."""

    def get(self, table: str, key: object) -> Awaitable[dict[str, object] | None]:
        """A row by key."""

    def count(self, table: str) -> Awaitable[int]:
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
    ) -> AsyncIterator[dict[str, object]]:
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


class AsyncWrites(Protocol):
    """The same in an event loop: an `AsyncDatabase`."""

    def insert(self, table: str, row: Mapping[str, object]) -> Awaitable[object]:
        """Inserts a row."""

    def insert_many(self, table: str, rows: Iterable[Mapping[str, object]]) -> Awaitable[int]:
        """Inserts rows."""

    def update(self, table: str, row: Mapping[str, object]) -> Awaitable[None]:
        """Updates a row."""

    def upsert(self, table: str, row: Mapping[str, object]) -> Awaitable[None]:
        """Updates or inserts a row."""

    def delete(self, table: str, key: object) -> Awaitable[bool]:
        """Deletes a row."""


class TypedTable(Generic[RowT, InsertT, UpdateT, KeyT]):
    """A table whose rows have a type: `RowT` as they are read, `InsertT` and `UpdateT` as they are
    given, `KeyT` for its primary key.

    Reading takes a database, an open transaction or a client, writing one of the latter two. With
    an `AsyncDatabase` the methods are awaited, and `scan` is iterated over with `async for`. Errors
    and costs are those of their methods.

    Attributes:
        name: The table's.
    """

    def __init__(self, name: str) -> None:
        self.name = name

    @overload
    def get(self, db: Reads, key: KeyT) -> RowT | None: ...
    @overload
    def get(self, db: AsyncReads, key: KeyT) -> Awaitable[RowT | None]: ...
    def get(self, db: Any, key: KeyT) -> Any:
        """The row with this primary key; None when there is none."""
        return db.get(self.name, key)

    @overload
    def count(self, db: Reads) -> int: ...
    @overload
    def count(self, db: AsyncReads) -> Awaitable[int]: ...
    def count(self, db: Any) -> Any:
        """Number of rows."""
        return db.count(self.name)

    @overload
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
    ) -> Iterator[RowT]: ...
    @overload
    def scan(
        self,
        db: AsyncReads,
        *,
        index: str | None = None,
        lower: object = None,
        upper: object = None,
        lower_exclusive: bool = False,
        upper_exclusive: bool = False,
        limit: int | None = None,
        reverse: bool = False,
    ) -> AsyncIterator[RowT]: ...
    def scan(
        self,
        db: Any,
        *,
        index: str | None = None,
        lower: object = None,
        upper: object = None,
        lower_exclusive: bool = False,
        upper_exclusive: bool = False,
        limit: int | None = None,
        reverse: bool = False,
    ) -> Any:
        """Rows in the order of their primary keys, or of an index."""
        return db.scan(
            self.name,
            index=index,
            lower=lower,
            upper=upper,
            lower_exclusive=lower_exclusive,
            upper_exclusive=upper_exclusive,
            limit=limit,
            reverse=reverse,
        )

    @overload
    def insert(self, db: Writes, row: InsertT) -> KeyT: ...
    @overload
    def insert(self, db: AsyncWrites, row: InsertT) -> Awaitable[KeyT]: ...
    def insert(self, db: Any, row: InsertT) -> Any:
        """Inserts a row; its primary key."""
        return db.insert(self.name, row)

    @overload
    def insert_many(self, db: Writes, rows: Iterable[InsertT]) -> int: ...
    @overload
    def insert_many(self, db: AsyncWrites, rows: Iterable[InsertT]) -> Awaitable[int]: ...
    def insert_many(self, db: Any, rows: Iterable[InsertT]) -> Any:
        """Inserts all the rows or none; how many."""
        return db.insert_many(self.name, rows)

    @overload
    def update(self, db: Writes, row: UpdateT) -> None: ...
    @overload
    def update(self, db: AsyncWrites, row: UpdateT) -> Awaitable[None]: ...
    def update(self, db: Any, row: UpdateT) -> Any:
        """Sets the given columns of the row with this primary key."""
        return db.update(self.name, row)

    @overload
    def upsert(self, db: Writes, row: InsertT) -> None: ...
    @overload
    def upsert(self, db: AsyncWrites, row: InsertT) -> Awaitable[None]: ...
    def upsert(self, db: Any, row: InsertT) -> Any:
        """Updates the row with this primary key, or inserts it."""
        return db.upsert(self.name, row)

    @overload
    def delete(self, db: Writes, key: KeyT) -> bool: ...
    @overload
    def delete(self, db: AsyncWrites, key: KeyT) -> Awaitable[bool]: ...
    def delete(self, db: Any, key: KeyT) -> Any:
        """Deletes by primary key; whether there was such a row."""
        return db.delete(self.name, key)

    def __repr__(self) -> str:
        return f"<reifydb.TypedTable {self.name!r}>"
