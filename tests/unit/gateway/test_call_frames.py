"""Frames of plain calls, which the kernel reads at once: what is kept on that way."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgpack
import pytest

import reifydb
from reifydb.config import frame_messages_max, in_flight_max
from reifydb.errors import DurabilityLostError
from reifydb.gateway.grants import grant_of
from reifydb.wire.codecs import Spliced
from tests.guests.databases import open_with, zig_guest
from tests.unit.gateway.desk import Desk

NULLS: list[Any] = [None] * 9


@pytest.fixture
def db() -> Iterator[reifydb.Database]:
    with open_with(zig_guest("every_type")) as db:
        yield db
        db.verify()


def frame(*calls: tuple[str, list[Any]]) -> bytes:
    packed: bytes = msgpack.packb(
        [["call", i, f"every_type.{name}", args] for i, (name, args) in enumerate(calls)]
    )
    return packed


PLAIN = [
    ("nothing", []),
    ("echo_bool", [True]),
    ("echo_int", [-5]),
    ("echo_float", [3]),
    ("echo_float", [0.5]),
    ("echo_text", ["zoë ✓"]),
    ("echo_bytes", [b"\0\xff"]),
    ("echo_timestamp", [-1]),
    ("echo_decimal", [9_999_999_999]),
    ("echo_uuid", [bytes(16)]),
    ("echo_uuid_null", [None]),
    ("dice", []),
    ("login", ["ada", "secret"]),
    ("put_item", [1, None, 2, 3, bytes(16), None]),
]

ODD = [
    ("echo_int", [True]),
    ("echo_json", ["{}"]),
    ("echo_json_null", ["1"]),
    ("echo_int", [None]),
    ("echo_int", [2**63]),
    ("echo_int", [1, 2]),
    ("echo_int", []),
    ("echo_int", {"value": 1}),
    ("echo_timestamp", [True]),
    ("echo_decimal", [10**10]),
    ("echo_float", [float("inf")]),
    ("echo_uuid", ["00000000-0000-0000-0000-000000000000"]),
    ("echo_uuid", [bytes(15)]),
    ("no_such", []),
]


@pytest.mark.parametrize(("name", "args"), PLAIN)
def test_the_kernel_reads_what_is_plain(db: reifydb.Database, name: str, args: Any) -> None:
    found = db.read_calls(frame(("nothing", []), (name, args)))
    assert found is not None
    assert found.calls == 2
    assert [id_ for _, id_ in found.each()] == [0, 1]


@pytest.mark.parametrize(("name", "args"), ODD)
def test_the_kernel_leaves_what_is_odd(db: reifydb.Database, name: str, args: Any) -> None:
    assert db.read_calls(frame(("nothing", []), (name, args))) is None


def test_the_kernel_reads_no_part_of_a_frame(db: reifydb.Database) -> None:
    whole = frame(("echo_text", ["zoë"]), ("nothing", []), ("echo_int", [70_000]))
    assert db.read_calls(whole) is not None
    for end in range(len(whole)):
        assert db.read_calls(whole[:end]) is None
    assert db.read_calls(whole + b"\0") is None


def test_a_frame_of_many_transitions_is_answered_in_order(db: reifydb.Database) -> None:
    desk = Desk(db, whole=True)
    calls = [("insert_note", [i // 2, "x"]) for i in range(6)] + [("echo_int", [7])]
    said = [message[:2] for message in desk.ask(*msgpack.unpackb(frame(*calls)))]
    assert said == [[("ok", "error")[i % 2], i] for i in range(6)] + [["ok", 6]]
    assert desk.session.in_flight == 0
    assert desk.service.metrics.calls == {
        ("every_type.insert_note", "committed"): 3,
        ("every_type.insert_note", "aborted"): 3,
        ("every_type.echo_int", "committed"): 1,
    }
    assert desk.service.metrics.batches.sum == 7


def test_frames_and_single_calls_are_one_batch_and_answered_in_order(db: reifydb.Database) -> None:
    desk = Desk(db, whole=True)
    desk.take(frame(("echo_int", [1])))
    desk.take(msgpack.packb(["call", "single", "every_type.echo_int", {"value": 2}]))
    desk.take(frame(("echo_int", [3])))
    answers = desk.tick()
    assert [(message[1], message[2]) for message in answers] == [(0, 1), ("single", 2), (0, 3)]
    assert desk.service.metrics.batches.counts[2] == 1  # of three to five


def test_what_is_not_granted_is_refused_call_by_call(db: reifydb.Database) -> None:
    desk = Desk(db, whole=True, grant=grant_of("reader", ["call:every_type.echo_int"]))
    calls = msgpack.unpackb(frame(("echo_int", [1]), ("nothing", [])))
    refused, fine = sorted(desk.ask(*calls), key=lambda message: message[0])
    assert fine[:3] == ["ok", 0, 1]
    assert (refused[1], refused[2]["code"]) == (1, "forbidden")


def test_limits_hold(db: reifydb.Database) -> None:
    desk = Desk(db, whole=True)
    desk.session.in_flight = in_flight_max - 1
    desk.take(frame(("echo_int", [1]), ("echo_int", [2])))
    said = desk.tick()
    assert sorted(message[0] for message in said) == ["error", "ok"]
    desk.session.in_flight = 0
    with pytest.raises(reifydb.RequestError, match="frame_messages_max"):
        desk.take(frame(*[("nothing", [])] * (frame_messages_max + 1)))
    assert desk.session.in_flight == 0


def test_waiting_requests_are_counted_as_calls(db: reifydb.Database) -> None:
    desk = Desk(db, whole=True)
    desk.take(frame(*[("nothing", [])] * 7))
    assert desk.service._waiting == 7
    desk.tick()
    assert desk.service._waiting == 0


def test_a_frame_that_the_log_cuts_goes_on_where_it_was(db: reifydb.Database) -> None:
    desk = Desk(db, whole=True)
    behind = iter([False, True])
    db._executor._calls[db._registry.find_wasm("every_type.insert_note").number] = 3
    db._executor.behind = lambda: True
    db._log.behind = lambda: next(behind, False)  # type: ignore[method-assign]
    desk.take(frame(*[("insert_note", [i, "x"]) for i in range(10)]))
    desk.take(frame(("insert_note", [99, "x"])))
    first = desk.tick()
    assert [message[1] for message in first] == [0, 1, 2]
    assert desk.service._waiting == 8
    db._executor.behind = lambda: False
    rest = desk.tick()
    assert [message[1] for message in rest] == [3, 4, 5, 6, 7, 8, 9, 0]
    assert all(message[0] == "ok" for message in first + rest)
    assert (db.count("note"), desk.session.in_flight) == (11, 0)


def test_while_the_log_is_behind_frames_that_write_wait_and_others_do_not(
    db: reifydb.Database,
) -> None:
    desk = Desk(db, whole=True)
    db._log.behind = lambda: True  # type: ignore[method-assign]
    desk.take(frame(("echo_int", [1])))
    desk.take(frame(("echo_int", [2]), ("insert_note", [1, "x"]), ("echo_int", [3])))
    desk.take(frame(("echo_int", [4])))
    assert [message[2] for message in desk.tick()] == [1, 2]
    db._log.behind = lambda: False  # type: ignore[method-assign]
    assert [message[2] for message in desk.tick()] == [0, 3, 4]


def test_answers_wait_until_durable_and_are_told_when_they_never_will_be(
    db: reifydb.Database,
) -> None:
    desk = Desk(db, whole=True, durable=True)
    desk.session.answer_calls(Spliced(msgpack.packb(["ok", "a", 1, 9]) * 2, 2), 9)
    assert desk.session.frame(8) is None
    desk.session.lose(DurabilityLostError("lost", durable_lsn=8))
    assert [message[:2] for message in msgpack.unpackb(desk.session.frame(8))] == [
        ["error", "a"],
        ["error", "a"],
    ]


def test_a_module_that_is_replaced_meanwhile_is_said_to_have_been(db: reifydb.Database) -> None:
    desk = Desk(db, whole=True)
    desk.take(frame(("echo_int", [1])))
    db.remove("every_type")
    [message] = desk.tick()
    assert message[0] == "error"
    assert db.read_calls(frame(("echo_int", [1]))) is None
    db.install(zig_guest("every_type"))
    assert db.read_calls(frame(("echo_int", [1]))) is not None


def test_who_has_the_engine_is_not_waited_for(db: reifydb.Database) -> None:
    with db._turns.lock:
        assert db.read_calls(frame(("nothing", []))) is None
    assert db.read_calls(frame(("nothing", []))) is not None


def test_what_is_too_much_for_one_crossing_is_answered_all_the_same(db: reifydb.Database) -> None:
    desk = Desk(db, whole=True)
    long = "x" * 10_000
    for _ in range(3):  # results of 12 MB in all: the kernel's output has room for 9
        desk.take(frame(*[("echo_text", [long])] * 400, ("insert_note", [1, "x"])))
    desk.take(frame(("echo_int", [1])))
    said = desk.tick()
    assert [message[1] for message in said] == [*range(401)] * 3 + [0]
    assert [message[0] for message in said].count("error") == 2
    assert sum(message[2] == long for message in said) == 1200
    assert desk.service.metrics.batches.sum == 1204
    assert desk.session.in_flight == 0
