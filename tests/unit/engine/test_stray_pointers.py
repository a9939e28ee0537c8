"""A pointer that leads out of a guest's memory traps in its bridge, and is undone like any trap."""

from __future__ import annotations

import pytest

import reifydb
from reifydb.errors import AbortedError, TrappedError
from tests.guests.databases import no_trace, open_with, zig_guest

ALWAYS_READ = "result abort get_key insert update upsert delete scan log".split()
WRITTEN = "args get_row next".split()
KINDS = range(5)
ROW_TOO_LONG = -9


@pytest.mark.parametrize("what", [*ALWAYS_READ, *WRITTEN])
@pytest.mark.parametrize("kind", KINDS)
def test_a_stray_pointer_leaves_no_trace(db: reifydb.Database, what: str, kind: int) -> None:
    with db.transaction() as tx:
        tx.insert_many("victim", [{"id": i, "n": i} for i in range(20)])
    resets = db._installed["misbehave"].guest.resets
    if kind == 3:
        # The longest length: longer than any row, so refused before anything is copied. What is
        # written to has that much capacity and gets no more than there is; messages are cut.
        with no_trace(db) if what not in ("log", *WRITTEN) else db.transaction(query=True):
            pass
        try:
            db.call(f"misbehave.stray_{what}", 1, 99, kind)
        except AbortedError as error:
            assert error.abort_code == (5 if what == "abort" else ROW_TOO_LONG)
            assert db.get("victim", 1) == {"id": 1, "n": 1}
    else:
        with no_trace(db), pytest.raises(TrappedError) as caught:
            db.call(f"misbehave.stray_{what}", 1, 99, kind)
        assert caught.value.trap == "memory access out of bounds"
        assert db._installed["misbehave"].guest.resets == resets + 1
    db.call("misbehave.honest", 500, 2)
    assert db.call("misbehave.calls", 0, 0) >= 1
    db.verify()


@pytest.mark.parametrize("kind", KINDS)
def test_an_empty_caller_is_written_nowhere(db: reifydb.Database, kind: int) -> None:
    # memory.copy checks its bounds even when there is nothing to copy.
    try:
        db.call("misbehave.stray_caller", 1, 99, kind)
    except TrappedError as error:
        assert error.trap == "memory access out of bounds"
    db.verify()


@pytest.mark.parametrize("kind", range(15))
@pytest.mark.parametrize("operation", range(6))
def test_a_malformed_row_is_refused(db: reifydb.Database, operation: int, kind: int) -> None:
    if kind == 8 or (operation, kind) == (5, 5):
        # Reserved bits are ignored when read; a row of no columns is a prefix as good as any.
        try:
            db.call("misbehave.malformed_row", 1, 99, operation, kind)
        except AbortedError as error:
            assert error.abort_code == -5
        db.verify()
        return
    with no_trace(db), pytest.raises(AbortedError) as caught:
        db.call("misbehave.malformed_row", 1, 99, operation, kind)
    assert caught.value.abort_code in ((-4, -5) if kind == 13 else (-5,))


@pytest.mark.parametrize("kind", range(26))
def test_a_malformed_value_is_refused(db: reifydb.Database, kind: int) -> None:
    if kind in (21, 22, 23, 24, 25):
        db.call("misbehave.malformed_value", 1, 99, kind)
        row = db.get("picky", 1)
        assert row is not None
        assert str(row["x"]) != "-0.0"
        db.verify()
        return
    expected = -6 if 13 <= kind <= 18 else -4 if kind in (19, 20) else -5
    with no_trace(db), pytest.raises(AbortedError) as caught:
        db.call("misbehave.malformed_value", 1, 99, kind)
    assert caught.value.abort_code == expected


@pytest.mark.parametrize("kind", range(18))
def test_numbers_that_name_nothing_are_refused(db: reifydb.Database, kind: int) -> None:
    with no_trace(db), pytest.raises(AbortedError) as caught:
        db.call("misbehave.no_such_thing", 1, 99, kind)
    assert caught.value.abort_code == (-10 if kind < 15 else -5)


# ------------------------------------------------------------------ queries


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
    with open_with(zig_guest("every_type")) as other, no_trace(other):
        with pytest.raises(AbortedError):
            other.call("every_type.delete_in_query", "a", 1)
