"""The client's protocol without sockets: a server that is a list of frames, a clock that is set."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import msgpack
import pytest

import reifydb
from reifydb.client import requests
from reifydb.client.feed import Feed
from reifydb.client.protocol import ClientProtocol, Request
from reifydb.config import client_changes_max, client_retries_max
from reifydb.errors import DuplicateKeyError, OverloadedError, UnknownNameError
from reifydb.wire.problems import problem_of

ACCOUNT = {
    "name": "account",
    "columns": [
        {"name": "id", "type": "int", "nullable": False},
        {"name": "balance", "type": "decimal(10,2)", "nullable": False},
    ],
    "key": ["id"],
    "auto": None,
    "indexes": [],
}
EVERYTHING = {
    "name": "thing",
    "columns": [
        {"name": name, "type": kind, "nullable": True}
        for name, kind in {
            "k": "text",
            "n": "int",
            "at": "timestamp",
            "price": "decimal(6,3)",
            "code": "uuid",
            "about": "json",
            "data": "bytes",
        }.items()
    ],
    "key": ["k", "n"],
}
SCHEMA = {
    "hash": "h1",
    "tables": [ACCOUNT, EVERYTHING],
    "transitions": [
        {
            "name": "bank.pay",
            "params": [
                {"name": "id", "type": "int", "nullable": False},
                {"name": "amount", "type": "decimal(10,2)", "nullable": False},
            ],
            "result": {"type": "decimal(10,2)", "nullable": False},
            "query": False,
        },
        {
            "name": "bank.total",
            "params": [],
            "result": {"type": "int", "nullable": False},
            "query": True,
        },
    ],
}


class Clock:
    """Time that stands still until it is set."""

    def __init__(self) -> None:
        self.now = 0.0
        self.due: list[tuple[float, Callable[[], None]]] = []

    def now_s(self) -> float:
        return self.now

    def later(self, after_s: float, run: Callable[[], None]) -> None:
        self.due.append((self.now + after_s, run))

    def drawn(self) -> float:
        return 0.0

    def advance(self, seconds: float) -> None:
        self.now += seconds
        due, self.due = self.due, []
        for at, run in due:
            if at <= self.now:
                run()
            else:
                self.due.append((at, run))


class Talk:
    """A protocol and the server's side of it."""

    def __init__(self, **limits: int) -> None:
        self.clock = Clock()
        self.woken = 0
        self.protocol = ClientProtocol("secret", "durable", self.clock, self._wake)
        self.limits = limits
        self.told: list[Any] = []

    def _wake(self) -> None:
        self.woken += 1

    def frames(self) -> list[list[Any]]:
        """What the client sends: each frame a list of messages."""
        found = [msgpack.unpackb(frame) for frame in self.protocol.take()]
        return [frame if isinstance(frame[0], list) else [frame] for frame in found]

    def messages(self) -> list[Any]:
        return [message for frame in self.frames() for message in frame]

    def say(self, *messages: Any) -> None:
        frame = messages[0] if len(messages) == 1 else list(messages)
        self.protocol.receive(msgpack.packb(frame))

    def greet(self, schema: str = "h1", incarnation: int = 3, lsn: int = 10) -> None:
        self.protocol.open()
        greeting = {
            "incarnation": incarnation,
            "lsn": lsn,
            "schema": schema,
            "limits": self.limits,
        }
        self.say(["hello", greeting])

    def ask(self, kind: str, prepare: Any) -> None:
        self.protocol.ask(
            Request(
                kind,
                prepare,
                lambda value, lsn: self.told.append((value, lsn)),
                lambda error, lsn: self.told.append(error),
            )
        )

    def join(self, since: reifydb.Position | None = None) -> Feed:
        feed = Feed("account", since, self._wake)
        self.protocol.join(feed)
        return feed


@pytest.fixture
def talk() -> Talk:
    talk = Talk()
    talk.greet()
    assert talk.messages() == [["hello", {"ack": "durable", "token": "secret"}], ["schema", 0]]
    talk.say(["ok", 0, SCHEMA, 10])
    return talk


def pay(id_: int = 1, amount: Any = Decimal("2.50")) -> Any:
    return requests.call("bank.pay", (id_, amount), {})


def total() -> Any:
    return requests.call("bank.total", (), {})


# ---------------------------------------------------------------- requests


def test_what_is_asked_for_at_once_is_one_frame_and_answers_find_who_asked(talk: Talk) -> None:
    for kind, prepare in (("call", pay()), ("get", requests.get("account", 7)), ("call", total())):
        talk.ask(kind, prepare)
    [frame] = talk.frames()
    assert frame == [
        ["call", 1, "bank.pay", [1, 250]],
        ["get", 2, "account", 7],
        ["call", 3, "bank.total", []],
    ]
    talk.say(["ok", 3, 9, 12], ["ok", 2, [7, 100], 12], ["ok", 1, 750, 11])
    assert talk.told == [
        (9, 12),
        ({"id": 7, "balance": Decimal("1.00")}, 12),
        (Decimal("7.50"), 11),
    ]
    assert talk.protocol.position == reifydb.Position(3, 12)


def test_values_of_all_types_go_and_come_back(talk: Talk) -> None:
    code, at = UUID(int=5), datetime(2024, 1, 31, 12, tzinfo=UTC)
    row = {"k": "a", "n": 1, "at": at, "price": Decimal("1.500"), "code": code}
    row |= {"about": {"a": [None, 1.5]}, "data": b"\x00"}
    talk.ask("write", requests.write("insert", "thing", [row]))
    [[_, id_, how, table, [given]]] = talk.messages()
    assert (how, table) == ("insert", "thing")
    assert given["price"] == 1500
    assert given["code"] == code.bytes
    assert given["about"] == '{"a":[null,1.5]}'
    talk.say(["ok", id_, [["a", 1]], 11])
    talk.ask("get", requests.get("thing", ("a", 1)))
    [[_, id_, _, key]] = talk.messages()
    assert key == ["a", 1]
    talk.say(["ok", id_, list(given.values()), 11])
    assert talk.told == [([("a", 1)], 11), (row, 11)]
    talk.ask("get", requests.get("thing", ("a", 1)))
    [[_, id_, *_]] = talk.messages()
    talk.say(["ok", id_, ["a", 1, None, None, None, "null", None], 11])
    assert talk.told[-1][0]["about"] is reifydb.JSON_NULL


def test_arguments_by_name_and_what_is_wrong_with_them_is_said_as_the_database_does(
    talk: Talk,
) -> None:
    talk.ask("call", requests.call("bank.pay", (1,), {"amount": 2}))
    talk.ask("call", requests.call("bank.pay", (1,), {"id": 2}))
    talk.ask("call", pay(amount=1.5))
    talk.ask("call", pay(amount=Decimal("0.001")))
    messages = talk.messages()
    assert messages == [["call", 1, "bank.pay", [1, 200]], ["schema", 0]]
    talk.say(["ok", 0, SCHEMA, 10])  # it is not the schema: what they said is told
    twice, inexact, too_fine = map(str, talk.told)
    assert twice == "transition bank.pay: id is given twice"
    parameter = "transition bank.pay, parameter amount: expected decimal(10,2)"
    assert inexact.startswith(f"{parameter}, got float 1.5 (decimal.Decimal(…)")
    assert too_fine.startswith(f"{parameter}, 2 digits behind the point, got Decimal")


def test_errors_are_the_same_classes(talk: Talk) -> None:
    talk.ask("call", pay())
    talk.messages()
    talk.say(["error", 1, problem_of(reifydb.AbortedError("bank.pay", 4, "no")), 11])
    [error] = talk.told
    assert type(error) is reifydb.AbortedError
    assert (error.abort_code, error.abort_message) == (4, "no")


def test_no_more_are_in_flight_than_the_server_takes() -> None:
    talk = Talk(in_flight=3, frame_messages=2)
    talk.greet()
    talk.messages()
    talk.say(["ok", 0, SCHEMA, 10])
    for _ in range(5):
        talk.ask("call", total())
    assert [len(frame) for frame in talk.frames()] == [2, 1]
    assert talk.frames() == []
    woken = talk.woken
    talk.say(["ok", 1, 0, 10])
    assert talk.woken > woken
    assert [len(frame) for frame in talk.frames()] == [1]


def test_frames_are_no_longer_than_the_server_takes() -> None:
    talk = Talk(frame_bytes=100)
    talk.greet()
    talk.messages()
    talk.say(["ok", 0, SCHEMA, 10])
    for text in ("x" * 50, "y" * 50, "z" * 200):
        talk.ask("get", requests.get("thing", (text, 1)))
    assert [len(frame) for frame in talk.frames()] == [1, 1]
    [error] = talk.told
    assert isinstance(error, reifydb.LimitError)
    assert error.limit == "ws_frame_bytes_max"


# ---------------------------------------------------------------- connections come and go


def test_only_what_changes_nothing_is_sent_again(talk: Talk) -> None:
    talk.ask("call", pay())
    talk.ask("call", total())
    talk.ask("write", requests.write("delete", "account", [1]))
    talk.ask("get", requests.get("account", 1))
    talk.messages()
    talk.protocol.lost()
    talk.ask("call", pay())  # not sent yet: it waits
    assert [type(error) for error in talk.told] == [reifydb.ConnectionLostError] * 2
    assert talk.messages() == []
    talk.greet()
    sent = talk.messages()
    assert [message[0] for message in sent] == ["hello", "call", "get", "call"]
    assert sent[1][2:] == ["bank.total", []]


def test_what_waits_for_a_connection_for_too_long_fails_and_has_not_run(talk: Talk) -> None:
    talk.protocol.lost()
    talk.ask("call", pay())
    talk.clock.advance(10)
    talk.ask("call", total())
    talk.protocol.expire(5)
    [error] = talk.told
    assert isinstance(error, reifydb.OfflineError)
    talk.greet()
    assert [message[0] for message in talk.messages()] == ["hello", "call"]


def test_the_end_fails_whatever_waits(talk: Talk) -> None:
    feed = talk.join()
    talk.ask("call", total())
    talk.protocol.end(reifydb.ClosedError("closed"))
    assert [type(error) for error in talk.told] == [reifydb.ClosedError]
    assert isinstance(feed.error, reifydb.ClosedError)
    with pytest.raises(reifydb.ClosedError):
        talk.ask("call", total())


def test_reads_that_are_refused_for_now_are_asked_again_and_calls_are_not(talk: Talk) -> None:
    problem = problem_of(OverloadedError("too much", retry_after_s=2.0))
    talk.ask("call", total())
    talk.ask("call", pay())
    talk.messages()
    talk.say(["error", 1, problem], ["error", 2, problem])
    assert [type(error) for error in talk.told] == [OverloadedError]
    talk.clock.advance(1)
    assert talk.messages() == []
    for _ in range(client_retries_max):
        talk.clock.advance(2)
        [[_, id_, *_]] = talk.messages()
        talk.say(["error", id_, problem])
    assert [type(error) for error in talk.told] == [OverloadedError] * 2


def test_a_token_that_is_refused_is_known(talk: Talk) -> None:
    talk.say(["error", None, problem_of(reifydb.UnauthenticatedError("no"))])
    assert isinstance(talk.protocol.refusal, reifydb.UnauthenticatedError)


@pytest.mark.parametrize(
    "frame", [b"\xc1", b"\x90", msgpack.packb(7), msgpack.packb(["ok"]), msgpack.packb([["ok", 1]])]
)
def test_a_malformed_frame_is_an_error_of_the_connection(talk: Talk, frame: bytes) -> None:
    with pytest.raises(reifydb.ReifyDBError):
        talk.protocol.receive(frame)


def test_what_a_newer_server_says_besides_is_ignored(talk: Talk) -> None:
    talk.say(["news", 1, 2], ["ok", 77, None, 10, "more"])
    assert talk.told == []


# ---------------------------------------------------------------- the schema changes


WIDER = {
    **ACCOUNT,
    "columns": [*ACCOUNT["columns"], {"name": "note", "type": "text", "nullable": True}],
}
CHANGED = {**SCHEMA, "hash": "h2", "tables": [WIDER]}


def test_each_answer_is_read_by_the_schema_that_it_was_made_under(talk: Talk) -> None:
    renamed = {
        **ACCOUNT,
        "columns": [ACCOUNT["columns"][1] | {"name": "debt"}, ACCOUNT["columns"][0]],
    }
    for key in (1, 2, 3):
        talk.ask("get", requests.get("account", key))
    talk.ask("scan", requests.scan("account", {}))
    talk.messages()
    talk.say(
        ["ok", 1, [1, 250], 12],
        ["schema", CHANGED],
        ["ok", 2, [2, 250, "new"], 13],
        ["schema", {**SCHEMA, "hash": "h3", "tables": [renamed]}],
        ["ok", 3, [250, 3], 14],
        ["ok", 4, {"rows": [[250, 3]], "next": None}, 14],
    )
    assert [value for value, _ in talk.told] == [
        {"id": 1, "balance": Decimal("2.50")},
        {"id": 2, "balance": Decimal("2.50"), "note": "new"},
        {"debt": Decimal("2.50"), "id": 3},
        requests.Page([{"debt": Decimal("2.50"), "id": 3}], None),
    ]


def test_an_answer_that_its_schema_does_not_explain_is_an_error(talk: Talk) -> None:
    talk.ask("get", requests.get("account", 1))
    talk.messages()
    talk.say(["ok", 1, [1, 250, "new"], 12])
    assert [type(error) for error in talk.told] == [reifydb.OperatorError]


def test_a_name_that_is_not_known_is_looked_for_once(talk: Talk) -> None:
    talk.ask("count", requests.count("acount"))
    talk.ask("call", total())
    assert [message[0] for message in talk.messages()] == ["call", "schema"]
    talk.say(["ok", 0, SCHEMA, 12])
    [error] = talk.told
    assert isinstance(error, UnknownNameError)
    assert "did you mean 'account'" in str(error)
    talk.ask("count", requests.count("ledger"))
    talk.messages()
    ledger = {**ACCOUNT, "name": "ledger"}
    talk.say(["ok", 0, {**SCHEMA, "hash": "h2", "tables": [ledger]}, 12])
    [[kind, _, table]] = talk.messages()
    assert (kind, table) == ("count", "ledger")


def test_a_refusal_by_a_changed_schema_is_asked_again_by_that(talk: Talk) -> None:
    talk.ask("call", pay())
    talk.messages()
    talk.say(["error", 1, problem_of(reifydb.WrongTypeError("no"))])
    assert talk.messages() == [["schema", 0]]
    finer = {
        **SCHEMA["transitions"][0],
        "params": [
            {"name": "id", "type": "int", "nullable": False},
            {"name": "amount", "type": "decimal(10,4)", "nullable": False},
        ],
    }
    talk.say(["ok", 0, {**SCHEMA, "hash": "h2", "transitions": [finer]}, 12])
    assert talk.messages() == [["call", 2, "bank.pay", [1, 25000]]]


def test_a_refusal_behind_news_of_the_schema_is_asked_again_at_once(talk: Talk) -> None:
    talk.ask("write", requests.write("insert", "account", [{"id": 1, "balance": 0}]))
    talk.messages()
    talk.say(["schema", CHANGED], ["error", 1, problem_of(reifydb.WrongTypeError("no"))])
    assert [message[:2] for message in talk.messages()] == [["write", 2]]
    talk.say(["error", 2, problem_of(reifydb.WrongTypeError("no"))])
    assert [type(error) for error in talk.told] == [reifydb.WrongTypeError]


def test_a_refusal_that_has_nothing_to_do_with_the_schema_is_told_at_once(talk: Talk) -> None:
    talk.ask("write", requests.write("insert", "account", [{"id": 1, "balance": 0}]))
    talk.messages()
    talk.say(["error", 1, problem_of(DuplicateKeyError("there already"))])
    assert [type(error) for error in talk.told] == [DuplicateKeyError]


def test_another_schema_after_the_connection_was_lost_is_fetched_first(talk: Talk) -> None:
    talk.protocol.lost()
    talk.ask("count", requests.count("account"))
    talk.greet("h2", incarnation=4)
    assert [message[0] for message in talk.messages()] == ["hello", "schema"]
    talk.say(["ok", 0, CHANGED, 12])
    assert [message[0] for message in talk.messages()] == ["count"]


# ---------------------------------------------------------------- subscriptions


def started(talk: Talk, feed: Feed) -> int:
    """The feed's id, once it has the table {1: 1.00}."""
    [[kind, id_, *_]] = talk.messages()
    assert kind == "subscribe"
    talk.say(["ok", id_, ACCOUNT, 10])
    talk.say(["page", id_, [[1, [1], [1, 100]]]], ["ready", id_, 10])
    snapshot = feed.take()
    assert snapshot == reifydb.Snapshot(
        reifydb.Position(3, 10), [{"id": 1, "balance": Decimal("1.00")}]
    )
    return int(id_)


def test_pages_and_deltas_between_them_are_one_snapshot(talk: Talk) -> None:
    feed = talk.join()
    [message] = talk.messages()
    assert message == ["subscribe", 1, "account", {}]
    talk.say(["ok", 1, ACCOUNT, 10])
    talk.say(["page", 1, [[1, [1], [1, 100]], [1, [3], [3, 300]]]])
    talk.say(
        ["delta", 1, 11, 0, [[0, [1], None], [2, [3], [3, 301]]]], ["page", 1, [[1, [2], [2, 7]]]]
    )
    assert feed.take() is None
    talk.say(["ready", 1, 12], ["delta", 1, 13, 12, [[1, [1], [1, 5]]]])
    rows = [{"id": 2, "balance": Decimal("0.07")}, {"id": 3, "balance": Decimal("3.01")}]
    assert feed.take() == reifydb.Snapshot(reifydb.Position(3, 12), rows)
    change = reifydb.Change("insert", 1, {"id": 1, "balance": Decimal("0.05")})
    assert feed.take() == reifydb.Delta(reifydb.Position(3, 13), 12, [change])
    assert feed.take() is None


def test_a_subscription_goes_on_where_it_was(talk: Talk) -> None:
    feed = talk.join()
    id_ = started(talk, feed)
    talk.say(["delta", id_, 11, 10, [[2, [1], [1, 5]]]])
    talk.protocol.lost()
    talk.greet(incarnation=4)
    assert talk.messages()[1][2:] == ["account", {"since": [3, 11]}]


def test_after_a_crash_that_took_a_commit_back_a_snapshot_comes(talk: Talk) -> None:
    feed = talk.join()
    started(talk, feed)
    talk.protocol.lost()
    talk.greet(incarnation=4, lsn=9)
    _, [_, id_, _, options] = talk.messages()
    assert options == {"since": [3, 10]}
    talk.say(["ok", id_, ACCOUNT, 9], ["page", id_, []], ["ready", id_, 9])
    assert feed.take() == reifydb.Snapshot(reifydb.Position(4, 9), [])


def test_a_position_of_another_history_is_given_up_unless_the_user_gave_it(talk: Talk) -> None:
    feed = talk.join()
    started(talk, feed)
    talk.protocol.lost()
    talk.greet(incarnation=1)
    _, [_, id_, *_] = talk.messages()
    problem = problem_of(reifydb.RequestError("there is no such position yet"))
    talk.say(["error", id_, problem])
    [[kind, _, _, options]] = talk.messages()
    assert (kind, options) == ("subscribe", {})
    given = talk.join(reifydb.Position(9, 9))
    [[_, id_, *_]] = talk.messages()
    talk.say(["error", id_, problem])
    assert isinstance(given.error, reifydb.RequestError)


def test_a_gap_is_noticed_and_read_anew(talk: Talk) -> None:
    feed = talk.join()
    id_ = started(talk, feed)
    talk.say(["delta", id_, 13, 12, [[2, [1], [1, 5]]]])
    assert feed.take() is None
    assert talk.messages() == [["unsubscribe", 2, id_], ["subscribe", 3, "account", {}]]


def test_other_columns_come_with_a_restart(talk: Talk) -> None:
    feed = talk.join()
    id_ = started(talk, feed)
    talk.say(["restart", id_, WIDER["columns"], ["id"]], ["delta", id_, 12, 0, []])
    talk.say(["page", id_, [[1, [1], [1, 100, "n"]]]], ["ready", id_, 12])
    item = feed.take()
    assert isinstance(item, reifydb.Snapshot)
    assert item.rows == [{"id": 1, "balance": Decimal("1.00"), "note": "n"}]


def test_a_reader_that_does_not_read_is_left_and_goes_on_behind_what_waits(talk: Talk) -> None:
    feed = talk.join()
    id_ = started(talk, feed)
    entries = [[1, [i], [i, 0]] for i in range(client_changes_max // 2)]
    for lsn in (11, 12, 13):
        talk.say(["delta", id_, lsn, lsn - 1, entries])
    assert talk.messages() == [["unsubscribe", 2, id_]]
    assert feed.left
    talk.say(["delta", id_, 14, 13, entries])  # was on its way
    assert [feed.take().position.lsn for _ in (11, 12)] == [11, 12]
    assert feed.take() is None
    talk.protocol.resume(feed)
    assert talk.messages() == [["subscribe", 3, "account", {"since": [3, 12]}]]
    talk.say(["ok", 3, ACCOUNT, 14])
    talk.say(["delta", 3, 13, 12, entries], ["delta", 3, 14, 13, entries])
    assert [feed.take().position.lsn for _ in (13, 14)] == [13, 14]


def test_a_subscription_that_is_left_is_not_begun_again(talk: Talk) -> None:
    feed = talk.join()
    id_ = started(talk, feed)
    talk.protocol.leave(feed)
    assert talk.messages() == [["unsubscribe", 2, id_]]
    talk.say(["delta", id_, 11, 10, []])
    talk.protocol.lost()
    talk.greet()
    assert [message[0] for message in talk.messages()] == ["hello"]


def test_a_table_that_is_dropped_ends_it(talk: Talk) -> None:
    feed = talk.join()
    id_ = started(talk, feed)
    talk.say(["ended", id_, problem_of(reifydb.SchemaError("table account was dropped"))])
    assert isinstance(feed.error, reifydb.SchemaError)
