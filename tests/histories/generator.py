"""Random histories: a schema, and transactions drawn for it. A seed always gives the same one."""

from __future__ import annotations

import random
from collections.abc import Sequence

from reifydb.engine.catalog import Table
from tests.histories.history import Change, History, Step, Transaction
from tests.histories.schema_writer import SchemaWriter
from tests.histories.schemas import random_schema
from tests.histories.table_writer import TableWriter


def generate(
    seed: int, operations: int, tables: tuple[Table, ...] | None = None, *, changes: bool = True
) -> History:
    """A history of about so many operations. O(operations), some 20 µs each.

    Args:
        changes: With changes of the schema in between.
    """
    rng = random.Random(seed)
    schema = tables if tables is not None else random_schema(rng)
    schemas = SchemaWriter(rng, schema)
    transactions: list[Step] = []
    done = 0
    while done < operations:
        if changes and rng.random() < 0.07:
            transactions.append(Change(schemas.change()))
            continue
        transaction = _transaction(rng, schemas.writers)
        done += len(transaction.operations)
        transactions.append(transaction)
    return History(seed, schema, tuple(transactions))


def _transaction(rng: random.Random, writers: Sequence[TableWriter]) -> Transaction:
    count = rng.choices((1, rng.randint(2, 12), rng.randint(20, 60)), (25, 70, 5))[0]
    if rng.random() < 0.1:
        return Transaction(tuple(rng.choice(writers).read() for _ in range(count)), outside=True)
    operations = tuple(rng.choice(writers).operation() for _ in range(count))
    return Transaction(operations, abort=rng.random() < 0.2)
