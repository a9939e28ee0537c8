"""The kernel has no clock and no dice: the same batches on the same state give the same bytes."""

from __future__ import annotations

from typing import Any

import reifydb
from tests.guests.databases import NOW_NS, open_with, redo_of, run_batch, zig_guest

MODULES = zig_guest("misbehave"), zig_guest("every_type")


def work(db: reifydb.Database) -> list[Any]:
    """Calls of every kind; what they answer."""
    found: list[Any] = []
    for i in range(30):
        found.append(db.call("every_type.create_note", f"note {i}", i))
        found.append(db.call("every_type.facts"))
        calls: list[tuple[str, tuple[Any, ...]]] = [
            ("every_type.upsert_many", ("a", i, i + 20, "text")),
            ("misbehave.trap", (1, 2)),
            ("misbehave.many_rows", (i * 7, i, 30)),
            ("misbehave.abort_twice", (1, 2)),
            ("every_type.delete_many", ("a", i, i + 5)),
        ]
        found += run_batch(db, calls)
        with db.transaction() as tx:
            found.append(tx.call("every_type.facts"))
            tx.upsert("victim", {"id": -i, "n": i})
    return found


def test_the_same_batches_give_the_same_state_and_the_same_redo() -> None:
    with open_with(*MODULES) as one, open_with(*MODULES, slice_ms=0.01) as other:
        found: list[list[Any]] = [[], []]
        redo = [
            redo_of(one, lambda: found[0].extend(work(one))),
            redo_of(other, lambda: found[1].extend(work(other))),
        ]
        assert found[0] == found[1]
        assert len(redo[0]) > 10_000
        assert redo[0] == redo[1]
        assert (one.state_hash, one.lsn) == (other.state_hash, other.lsn)
        one.verify()
        other.verify()


def test_random_and_now_are_given() -> None:
    with open_with(*MODULES) as one, open_with(*MODULES) as same:
        facts = [one.call("every_type.facts") for _ in range(50)]
        assert facts == [same.call("every_type.facts") for _ in range(50)]
        assert len({fact["random"] for fact in facts}) == 50
        assert {fact["caller"] for fact in facts} == {""}
        batch = one.call_many("every_type.facts", [()] * 50).results()
        assert batch == same.call_many("every_type.facts", [()] * 50).results()
        assert len({fact["random"] for fact in batch}) == 50
        micros = {int(fact["now"].timestamp() * 1_000_000) for fact in facts + batch}
        assert micros == {NOW_NS // 1000}


def test_another_seed_gives_other_numbers() -> None:
    numbers = []
    for seed in (1, 2):
        with reifydb.open(":memory:", clock=lambda: NOW_NS, seed=seed) as db:
            db.install(zig_guest("every_type"), apply_schema=True)
            numbers.append(db.call("every_type.facts")["random"])
    assert numbers[0] != numbers[1]


def test_time_never_goes_back() -> None:
    now = [NOW_NS]
    with reifydb.open(":memory:", clock=lambda: now[0]) as db:
        db.install(zig_guest("every_type"), apply_schema=True)
        first = db.call("every_type.facts")["now"]
        now[0] -= 10**12
        assert db.call("every_type.facts")["now"] == first
        now[0] += 2 * 10**12
        assert db.call("every_type.facts")["now"] > first
