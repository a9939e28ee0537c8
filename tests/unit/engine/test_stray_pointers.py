"""A pointer that leads out of a guest's memory traps in its bridge, and is undone like any trap."""

from __future__ import annotations

import pytest

import reifydb
from reifydb.errors import AbortedError, TrappedError
from tests.guests.databases import no_trace

READ = "result abort get_key insert update upsert delete scan log".split()
WRITTEN = "args get_row next caller".split()
OUTSIDE = "memory access out of bounds"

LONGEST: dict[str, object] = {
    **dict.fromkeys("result get_key insert update upsert delete scan".split(), -9),
    "abort": 5,
    **dict.fromkeys(["log", *WRITTEN], None),
}
"""The longest length is longer than any row, so refused before anything is copied; messages and log
lines are cut; what is written to has that much capacity and gets no more than there is."""


def ending(db: reifydb.Database, name: str, *arguments: int) -> object:
    """None when a call of (1, 99, …) commits; its abort's code; or its trap's kind."""
    try:
        db.call(f"misbehave.{name}", 1, 99, *arguments)
    except AbortedError as error:
        return error.abort_code
    except TrappedError as error:
        return error.trap
    return None


@pytest.mark.parametrize("what", [*READ, *WRITTEN])
@pytest.mark.parametrize("kind", [0, 1, 2, 4])
def test_a_stray_pointer_leaves_no_trace(db: reifydb.Database, what: str, kind: int) -> None:
    with db.transaction() as tx:
        tx.insert_many("victim", [{"id": i, "n": i} for i in range(20)])
    guest = db._registry.installed["misbehave"].guest
    if what == "caller" and kind in (1, 2):  # an empty name is no byte: it fits at the end
        assert ending(db, "stray_caller", kind) is None
        return
    with no_trace(db):
        assert ending(db, f"stray_{what}", kind) == OUTSIDE
    assert guest.resets == 1
    db.call("misbehave.honest", 500, 2)
    assert db.call("misbehave.calls", 0, 0) == 2


@pytest.mark.parametrize("what", [*READ, *WRITTEN])
def test_the_longest_length_is_no_way_out(db: reifydb.Database, what: str) -> None:
    with db.transaction() as tx:
        tx.insert_many("victim", [{"id": i, "n": i} for i in range(20)])
    assert ending(db, f"stray_{what}", 3) == LONGEST[what]
    assert db.get("victim", 1) == {"id": 1, "n": 1 if LONGEST[what] else 99}
    db.verify()


@pytest.mark.parametrize("kind", range(15))
@pytest.mark.parametrize("operation", range(6))
def test_a_malformed_row_is_refused(db: reifydb.Database, operation: int, kind: int) -> None:
    if kind == 8 or (operation, kind) == (5, 5):
        # Reserved bits are ignored when read; a row of no columns is refused or a prefix.
        assert ending(db, "malformed_row", operation, kind) in (None, -3, -5)
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
