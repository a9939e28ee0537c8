"""A query reads, alone and inside a transaction that writes."""

from __future__ import annotations

import pytest

import reifydb
from reifydb.errors import AbortedError
from tests.guests.databases import no_trace


def test_writes_in_a_query_are_refused(db: reifydb.Database) -> None:
    with no_trace(db):
        with pytest.raises(AbortedError) as caught:
            db.call("misbehave.write_in_query", 1, 2)
        assert caught.value.abort_code == -7
        db.call("misbehave.write_in_query_anyway", 1, 2)
        with db.transaction() as tx:
            with pytest.raises(AbortedError):
                tx.call("misbehave.write_in_query", 1, 2)
            tx.call("misbehave.write_in_query_anyway", 1, 2)


@pytest.mark.parametrize("kind", [21, 22, 23, 24, 25])
def test_an_unusual_value_that_is_fine_is_kept_in_its_one_form(
    db: reifydb.Database, kind: int
) -> None:
    db.call("misbehave.malformed_value", 1, 99, kind)
    row = db.get("picky", 1)
    assert row is not None
    assert str(row["x"]) != "-0.0"
    db.verify()


@pytest.mark.parametrize("operation", range(6))
def test_reserved_bits_of_a_row_are_ignored(db: reifydb.Database, operation: int) -> None:
    db.call("misbehave.malformed_row", 1, 99, operation, 8)
    db.verify()
