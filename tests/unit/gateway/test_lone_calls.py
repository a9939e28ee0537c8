"""A frame of one call that comes while nothing else is under way: what is kept on the short way."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgpack
import pytest

import reifydb
from reifydb.config import in_flight_max, waiting_peers_max
from reifydb.errors import DurabilityLostError, KernelError
from reifydb.gateway.grants import grant_of
from tests.guests.databases import open_with, zig_guest
from tests.unit.gateway.desk import Desk


@pytest.fixture
def db() -> Iterator[reifydb.Database]:
    with open_with(zig_guest("every_type")) as db:
        yield db
        db.verify()


def call(name: str, *args: Any, id_: Any = 7) -> bytes:
    packed: bytes = msgpack.packb(["call", id_, f"every_type.{name}", list(args)])
    return packed


def test_it_is_answered_and_counted_as_a_batch_of_one(db: reifydb.Database) -> None:
    desk = Desk(db, whole=True)
    desk.take_alone(call("insert_note", 1, "x"))
    desk.take_alone(call("insert_note", 1, "x", id_="again"))
    desk.take_alone(call("echo_text", "zoë"))
    made, refused, read = desk.said()
    assert (made, read) == (["ok", 7, 0, db.lsn], ["ok", 7, "zoë", db.lsn])
    assert (refused[:2], refused[2]["code"], refused[3]) == (["error", "again"], "aborted", db.lsn)
    assert desk.alone == 3
    metrics = desk.service.metrics
    assert metrics.calls == {
        ("every_type.insert_note", "committed"): 1,
        ("every_type.insert_note", "aborted"): 1,
        ("every_type.echo_text", "committed"): 1,
    }
    assert (metrics.batches.sum, metrics.batches.counts[0]) == (3, 3)
    assert sum(metrics.seconds["every_type.insert_note"].counts) == 2
    assert (desk.session.in_flight, desk.service.busy) == (0, False)


def test_a_trap_is_an_answer() -> None:
    with open_with(zig_guest("misbehave")) as db:
        desk = Desk(db, whole=True)
        for id_, name in enumerate(["honest", "trap", "honest"]):
            desk.take_alone(msgpack.packb(["call", id_, f"misbehave.{name}", [id_, 5]]))
        fine, trapped, fine_again = desk.said()
        assert [fine[:2], trapped[:2], fine_again[:2]] == [["ok", 0], ["error", 1], ["ok", 2]]
        assert (trapped[2]["code"], desk.alone) == ("trapped", 3)
        db.verify()


@pytest.mark.parametrize(
    "frame",
    [
        msgpack.packb([["call", 7, "every_type.echo_int", [1]]]),
        msgpack.packb(["call", 7, "every_type.echo_int", {"value": 1}]),
        msgpack.packb(["call", 7, "every_type.echo_int", [1], {"ack": "committed"}]),
        call("echo_int", 1, id_="x" * 257),
    ],
)
def test_what_is_not_plain_goes_the_way_of_all(db: reifydb.Database, frame: bytes) -> None:
    desk = Desk(db, whole=True)
    desk.take_alone(frame)
    [answer] = desk.said()
    assert (answer[0], answer[2], desk.alone) == ("ok", 1, 0)


def test_an_answer_that_is_long_is_worded_all_the_same(db: reifydb.Database) -> None:
    desk = Desk(db, whole=True)
    for length in (8_000, 8_144, 8_152, 8_160, 8_192, 10_000):
        desk.take_alone(call("echo_text", "x" * length))
        [answer] = desk.said()
        assert answer[2] == "x" * length
    assert desk.alone == 6


def test_nobody_is_waited_for(db: reifydb.Database) -> None:
    desk = Desk(db, whole=True)
    assert desk.db.answer_lone(call("nothing"), db._schema_turn.number, desk.session.may)
    with db._turns.lock:
        assert db.answer_lone(call("nothing"), db._schema_turn.number, desk.session.may) is None
    with db._schema_turn._lock:  # somebody is about to change it
        assert db.answer_lone(call("nothing"), db._schema_turn.number, desk.session.may) is None
    with db.transaction():
        assert db.answer_lone(call("nothing"), db._schema_turn.number, desk.session.may) is None


def test_what_is_not_granted_is_refused(db: reifydb.Database) -> None:
    desk = Desk(db, whole=True, grant=grant_of("reader", ["call:every_type.echo_int"]))
    desk.take_alone(call("echo_int", 1))
    desk.take_alone(call("nothing"))
    fine, refused = desk.said()
    assert (fine[:3], refused[2]["code"], desk.alone) == (["ok", 7, 1], "forbidden", 1)


def test_another_schema_is_told_first(db: reifydb.Database) -> None:
    desk = Desk(db, whole=True)
    desk.take_alone(call("echo_int", 1))
    db.execute("create table other (id int primary key)")
    desk.take_alone(call("echo_int", 2))
    desk.take_alone(call("echo_int", 3))
    assert [message[0] for message in desk.said()] == ["ok", "schema", "ok", "ok"]
    assert desk.alone == 2


def test_limits_hold(db: reifydb.Database) -> None:
    desk = Desk(db, whole=True)
    desk.session.in_flight = in_flight_max
    desk.take_alone(call("nothing"))
    desk.session.in_flight = 0
    assert desk.said()[0][2]["code"] == "overloaded"
    desk.service._owing = {object() for _ in range(waiting_peers_max)}  # type: ignore[misc]
    assert not desk.service.answer_lone(desk, call("nothing"))


def test_while_the_log_is_behind_a_write_waits(db: reifydb.Database) -> None:
    desk = Desk(db, whole=True)
    db._log.behind = lambda: True  # type: ignore[method-assign]
    desk.take_alone(call("insert_note", 1, "x"))
    assert (desk.said(), db.count("note")) == ([], 0)
    db._log.behind = lambda: False  # type: ignore[method-assign]
    desk.take_alone(call("insert_note", 2, "x", id_=8))  # not before the one that waits
    assert [message[:2] for message in desk.said()] == [["ok", 7], ["ok", 8]]


def test_an_answer_waits_until_it_is_durable(tmp_path: Any) -> None:
    with reifydb.open(tmp_path / "db") as db:
        db.install(zig_guest("every_type"), apply_schema=True)
        db.flush()
        desk = Desk(db, whole=True, durable=True)
        desk.take_alone(call("insert_note", 1, "x"))
        assert (desk.said(), desk.service._owing) == ([], {desk})
        assert (desk.session.in_flight, desk.alone) == (0, 1)
        db.flush()
        desk.service._after_flush()
        assert desk.said()[0][:2] == ["ok", 7]
        desk.take_alone(call("insert_note", 2, "x", id_=8))
        desk.session.lose(DurabilityLostError("lost", durable_lsn=1))
        desk.service.speak(desk)
        assert desk.tick()[0][:2] == ["error", 8]


def test_a_listener_hears_of_it_in_the_same_tick(db: reifydb.Database) -> None:
    desk = Desk(db, whole=True)
    desk.ask(["subscribe", "s", "note"])
    desk.tick()
    desk.take_alone(call("insert_note", 1, "x"))
    assert [message[:2] for message in desk.said()] == [["ok", 7], ["delta", "s"]]
    assert (desk.alone, desk.session.in_flight) == (1, 0)


def test_a_failure_is_an_answer(db: reifydb.Database, monkeypatch: pytest.MonkeyPatch) -> None:
    desk = Desk(db, whole=True)

    def fail(*args: Any, **named: Any) -> int:
        raise KernelError("the kernel failed")

    monkeypatch.setattr(db._executor, "run_one", fail)
    desk.take_alone(call("nothing"))
    monkeypatch.undo()
    desk.take_alone(call("nothing", id_=8))
    failed, fine = desk.said()
    assert (failed[1], failed[2]["code"], fine[1]) == (7, "kernel", 8)
    assert (desk.session.in_flight, desk.alone) == (0, 2)
