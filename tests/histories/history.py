"""What a history is made of: operations in transactions, and changes of the schema between them.

A history is data that knows nothing of who runs it: any transaction, operation or change of the
schema may be dropped and the rest still means something. That is what makes a failing one shrink.
So names are not used twice for different things: a table, column or index that was dropped may come
back under its name, but with the same key, types and columns. Whoever names it before or after gets
the same rows, the same error, or the error that there is no such name, and the oracle knows which.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from reifydb.engine.catalog import Table
from reifydb.sql.statements import Statement
from tests.histories.changes import sql_of

MANY = {"insert_many": "insert", "update_many": "update", "upsert_many": "upsert"}


@dataclass(frozen=True, slots=True)
class Operation:
    """One method of a transaction (or of the database: reads alone) and what it is given.

    Attributes:
        flaw: The error code that must come out, whatever the state is; empty for a sound one.
    """

    method: str
    table: str
    arguments: tuple[Any, ...] = ()
    options: tuple[tuple[str, Any], ...] = ()
    flaw: str = ""

    def __str__(self) -> str:
        given = [repr(self.table), *map(repr, self.arguments)]
        given += [f"{name}={value!r}" for name, value in self.options]
        return f"{self.method}({', '.join(given)})"


@dataclass(frozen=True, slots=True)
class Transaction:
    """Operations that commit or abort together. `outside`: reads without a transaction."""

    operations: tuple[Operation, ...]
    abort: bool = False
    outside: bool = False

    def __str__(self) -> str:
        if self.outside:
            return "\n".join(f"db.{operation}" for operation in self.operations)
        lines = ["with db.transaction() as tx:"]
        lines += [f"    tx.{operation}" for operation in self.operations]
        return "\n".join([*lines, "    raise Abort"] if self.abort else lines)


@dataclass(frozen=True, slots=True)
class Change:
    """Changes of the schema in a transaction of their own, which may have to be refused."""

    statements: tuple[Statement, ...]

    @property
    def operations(self) -> tuple[Operation, ...]:
        """None: for those who count them."""
        return ()

    def __str__(self) -> str:
        return f"db.execute({self.sql!r})"

    @property
    def sql(self) -> str:
        """The script."""
        return "; ".join(map(sql_of, self.statements))


Step = Transaction | Change


@dataclass(frozen=True, slots=True)
class History:
    """What happens to one database, from its creation on."""

    seed: int
    tables: tuple[Table, ...]
    transactions: tuple[Step, ...]

    @property
    def operations(self) -> int:
        """How many operations there are, those on many rows counted once."""
        return sum(len(t.operations) for t in self.transactions)

    def __str__(self) -> str:
        head = [f"# seed {self.seed}", *map(describe, self.tables)]
        return "\n".join([*head, *map(str, self.transactions)])


def describe(table: Table) -> str:
    """A table on one line, for people."""
    columns = [
        f"{column.name} {column.sql_type}"
        + ("" if column.nullable else " not null")
        + ("" if column.default is None else f" default {column.default!r}")
        + (" auto_increment" if i == table.auto else "")
        for i, column in enumerate(table.columns)
    ]
    keys = ", ".join(column.name for column in table.key_columns)
    indexes = [
        f"{'unique ' if index.unique else ''}{index.name}"
        f" ({', '.join(table.columns[i].name for i in index.columns)})"
        for index in table.indexes
    ]
    listed = "; ".join(["", *indexes])
    return f"# {table.name} ({', '.join(columns)}, primary key ({keys})){listed}"
