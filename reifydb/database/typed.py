"""Tables for type checkers: what `reifydb generate python` declares for each table of a schema.

At run time these are the methods of `Database` and `Transaction` with the table's name filled in;
nothing is checked here that they do not check.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Generic, TypeVar, cast

if TYPE_CHECKING:
    from reifydb.database.database import Database
    from reifydb.database.transaction import Transaction

RowT = TypeVar("RowT", bound=Mapping[str, object])
InsertT = TypeVar("InsertT", bound=Mapping[str, object])
UpdateT = TypeVar("UpdateT", bound=Mapping[str, object])
KeyT = TypeVar("KeyT")


class TypedTable(Generic[RowT, InsertT, UpdateT, KeyT]):
    """A table whose rows have a type: `RowT` as they are read, `InsertT` and `UpdateT` as they are
    given, `KeyT` for its primary key.

    Reading takes a database or an open transaction, writing a transaction. Errors and costs are
    those of the methods of `Transaction`.

    Attributes:
        name: The table's.
    """

    def __init__(self, name: str) -> None:
        self.name = name

    def get(self, db: Database | Transaction, key: KeyT) -> RowT | None:
        """The row with this primary key; None when there is none."""
        return cast("RowT | None", db.get(self.name, key))

    def count(self, db: Database | Transaction) -> int:
        """Number of rows."""
        return db.count(self.name)

    def scan(
        self,
        db: Database | Transaction,
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

    def insert(self, tx: Transaction, row: InsertT) -> KeyT:
        """Inserts a row; its primary key."""
        return cast("KeyT", tx.insert(self.name, row))

    def insert_many(self, tx: Transaction, rows: Iterable[InsertT]) -> int:
        """Inserts all the rows or none; how many."""
        return tx.insert_many(self.name, rows)

    def update(self, tx: Transaction, row: UpdateT) -> None:
        """Sets the given columns of the row with this primary key."""
        tx.update(self.name, row)

    def upsert(self, tx: Transaction, row: InsertT) -> None:
        """Updates the row with this primary key, or inserts it."""
        tx.upsert(self.name, row)

    def delete(self, tx: Transaction, key: KeyT) -> bool:
        """Deletes by primary key; whether there was such a row."""
        return tx.delete(self.name, key)

    def __repr__(self) -> str:
        return f"<reifydb.TypedTable {self.name!r}>"
