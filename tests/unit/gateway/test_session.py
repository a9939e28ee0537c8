"""A conversation, without any I/O."""

from __future__ import annotations

import json
from typing import Any

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reifydb.config import frame_messages_max, in_flight_max
from reifydb.errors import (
    DurabilityLostError,
    ForbiddenError,
    RequestError,
    UnauthenticatedError,
)
from reifydb.gateway.grants import EVERYTHING, grant_of
from reifydb.gateway.session import SHAPES, Hello, Request, Session
from reifydb.wire.codecs import CODECS

JSON = CODECS["reifydb.v1.json"]
MSGPACK = CODECS["reifydb.v1.msgpack"]


def session(**options: Any) -> Session:
    return Session(JSON, EVERYTHING, **options)


def said(of: Session, durable_lsn: int = 0) -> list[Any]:
    """The messages of the next frame."""
    frame = of.frame(durable_lsn)
    if frame is None:
        return []
    content = json.loads(frame)
    return content if isinstance(content[0], list) else [content]


# ------------------------------------------------------------------ in


@pytest.mark.parametrize("codec", CODECS.values(), ids=lambda codec: codec.subprotocol)
def test_a_frame_is_a_message_or_several(codec: Any) -> None:
    one = Session(codec, EVERYTHING)
    assert one.receive(codec.encode([["ping", 1]])) == [Request("ping", 1, [])]
    assert one.receive(codec.encode([["ping", 1], ["get", "x", "t", 5]])) == [
        Request("ping", 1, []),
        Request("get", "x", ["t", 5]),
    ]
    assert one.in_flight == 3


def test_what_may_be_left_out_is_none() -> None:
    [short, long] = session().receive('[["call", 1, "t", []], ["call", 2, "t", [], {}]]')
    assert short == Request("call", 1, ["t", [], None])
    assert long == Request("call", 2, ["t", [], {}])


@pytest.mark.parametrize("kind", SHAPES)
def test_each_message_needs_its_arguments(kind: str) -> None:
    least = SHAPES[kind].least
    one = session()
    assert one.receive(json.dumps([kind, 1, *["x"] * least])) != []
    for count in range(1 + least):
        assert one.receive(json.dumps([kind, 1, *["x"] * least][: 1 + count])) == []
        [[error, id_, problem]] = said(one)
        assert (error, id_, problem["code"]) == ("error", 1 if count else None, "bad_request")
    assert one.receive(json.dumps([kind, 1, *["x"] * (SHAPES[kind].most + 1)])) == []
    [[error, id_, problem]] = said(one)
    assert (error, id_, problem["code"]) == ("error", 1, "bad_request")
    assert one.in_flight == 1


@pytest.mark.parametrize("frame", ["5", "{}", '"x"', "[]", "null", "[1", "", "[[]] x", "[NaN]"])
def test_a_frame_without_messages_ends_the_conversation(frame: str) -> None:
    with pytest.raises(RequestError):
        session().receive(frame)


def test_a_frame_has_a_limit_of_messages() -> None:
    ping = ["ping", 1]
    assert len(session().receive(json.dumps([ping] * frame_messages_max))) == frame_messages_max
    with pytest.raises(RequestError, match="frame_messages_max"):
        session().receive(json.dumps([ping] * (frame_messages_max + 1)))


def test_a_frame_of_the_other_kind_ends_the_conversation() -> None:
    with pytest.raises(RequestError, match="binary frame"):
        session().receive(b'["ping", 1]')
    with pytest.raises(RequestError, match="text frame"):
        Session(MSGPACK, EVERYTHING).receive('["ping", 1]')


def test_a_wrong_message_is_answered_and_those_beside_it_are_taken() -> None:
    one = session()
    frame = [["ping", 1], ["pong", 2], 5, [], [7], ["ping"], ["ping", None], ["ping", True]]
    assert one.receive(json.dumps([*frame, ["ping", 3]])) == [
        Request("ping", 1, []),
        Request("ping", 3, []),
    ]
    problems = said(one)
    assert [problem[1] for problem in problems] == [2, *[None] * 6]
    assert {problem[2]["code"] for problem in problems} == {"bad_request"}


def test_requests_that_are_not_answered_have_a_limit() -> None:
    one = session(durable=False)
    one.receive(json.dumps([["ping", n] for n in range(in_flight_max)]))
    assert one.receive('["ping", "more"]') == []
    [[_, id_, problem]] = said(one)
    assert (id_, problem["code"]) == ("more", "overloaded")
    one.answer(0, ["ok", 0, None, 0], 0)
    assert one.receive('["ping", "more"]') == [Request("ping", "more", [])]


# ------------------------------------------------------------------ hello


def test_before_it_has_said_who_it_is_only_hello_is_heard() -> None:
    one = Session(JSON, None)
    with pytest.raises(UnauthenticatedError):
        one.receive('["ping", 1]')
    assert one.receive('["hello", {"token": "rdb_x", "ack": "committed"}]') == [
        Hello("rdb_x", False)
    ]
    assert one.receive('["hello"]') == [Hello(None, None)]


@pytest.mark.parametrize("options", [5, [], {"token": 5}, {"ack": "soon"}, {"ack": []}])
def test_a_wrong_hello_is_answered(options: Any) -> None:
    one = Session(JSON, None)
    assert one.receive(json.dumps(["hello", options])) == []
    assert said(one)[0][2]["code"] == "bad_request"


def test_a_misspelled_hello_is_answered_with_what_would_be_right() -> None:
    one = Session(JSON, EVERYTHING)
    assert one.receive('[["hello", {"akc": "committed"}], ["hello", {}, "more"]]') == []
    [misspelled, longer] = said(one)
    assert misspelled[2]["hint"] == "did you mean 'ack'?"
    assert longer[2]["code"] == "bad_request"


def test_a_session_refuses_what_its_grant_does_not_have() -> None:
    one = Session(JSON, grant_of("teller", ["call:bank.total"]))
    one.require("call", "bank.total")
    with pytest.raises(ForbiddenError):
        one.require("call", "bank.open")
    for name in (None, 5, [], {}):
        assert not one.may("call", name)
        with pytest.raises(RequestError):
            one.require("call", name)
    with pytest.raises(UnauthenticatedError):
        Session(JSON, None).require("call", "bank.total")


# ------------------------------------------------------------------ out


def test_what_waits_for_nothing_is_said_at_once() -> None:
    one = session()
    one.say(["delta"])
    one.answer(1, ["ok", 1], 7, durable=False)
    assert said(one) == [["delta"], ["ok", 1]]
    assert one.frame(0) is None
    assert one.waits_for is None


def test_answers_wait_until_the_last_of_their_tick_is_durable() -> None:
    one = session()
    one.answer(1, ["ok", 1], 5)
    one.answer(2, ["ok", 2], 7)
    assert (said(one, 4), one.waits_for) == ([], 7)
    one.answer(3, ["ok", 3], 8)
    assert (said(one, 6), one.waits_for) == ([], 7)
    assert (said(one, 7), one.waits_for) == ([["ok", 1], ["ok", 2]], 8)
    one.say(["delta"])
    assert (said(one, 8), one.waits_for) == ([["delta"], ["ok", 3]], None)


def test_a_message_may_wait_although_the_session_does_not() -> None:
    one = session(durable=False)
    one.answer(1, ["ok", 1], 5)
    one.answer(2, ["ok", 2], 5, durable=True)
    assert said(one, 4) == [["ok", 1]]
    assert said(one, 5) == [["ok", 2]]


def test_what_will_never_be_durable_is_told_so() -> None:
    one = session()
    one.answer(1, ["ok", 1], 5)
    one.frame(0)
    one.answer("b", ["ok", "b"], 6)
    one.lose(DurabilityLostError("gone", durable_lsn=4))
    lost = said(one, 4)
    assert [message[:2] for message in lost] == [["error", 1], ["error", "b"]]
    assert lost[0][2]["durable_lsn"] == 4
    assert one.waits_for is None


def test_news_of_the_schema_stands_between_the_answers_of_the_two() -> None:
    one = session()
    one.told = 0, "h1"
    one.answer(1, ["old"], 5)
    one.frame(0)
    one.tell_schema(1, {"hash": "h2"})
    one.answer(2, ["new, at once"], 6, durable=False)
    one.answer(3, ["new"], 7)
    assert said(one, 4) == []
    assert said(one, 5) == [["old"], ["schema", {"hash": "h2"}], ["new, at once"]]
    one.answer(4, ["new, at once"], 8, durable=False)
    assert said(one, 5) == [["new, at once"]]
    assert said(one, 7) == [["new"]]


def test_a_schema_that_is_the_same_for_this_client_is_no_news() -> None:
    one = session()
    one.told = 0, "h1"
    one.tell_schema(1, {"hash": "h1"})
    assert (said(one), one.told) == ([], (1, "h1"))


def test_what_waited_for_what_is_lost_is_said_nevertheless() -> None:
    one = session()
    one.told = 0, "h1"
    one.answer(1, ["old"], 5)
    one.frame(0)
    one.tell_schema(1, {"hash": "h2"})
    one.answer(2, ["at once"], 6, durable=False)
    one.lose(DurabilityLostError("gone", durable_lsn=4))
    assert [message[0] for message in said(one, 4)] == ["error", "schema", "at once"]


ids = st.integers(0, 5) | st.text(max_size=2)


@given(
    st.lists(
        st.one_of(
            st.tuples(
                st.just("answer"), ids, st.integers(0, 3), st.sampled_from([None, True, False])
            ),
            st.tuples(st.just("frame"), st.integers(0, 3)),
            st.tuples(st.just("say"), ids),
            st.tuples(st.just("schema"), ids),
        ),
        max_size=40,
    )
)
def test_everything_is_said_once_and_nothing_before_it_is_durable(steps: list[Any]) -> None:
    one = session()
    one.told = 0, ""
    lsn = durable = count = latest = 0
    waits: dict[int, int] = {}  # the lsn at which each message may be said
    heard: list[int] = []
    known = 0
    made: dict[int, int] = {}  # which schema each message is of
    for step in [*steps, ("frame", 1000)]:
        match step:
            case ("answer", id_, more, wanted):
                lsn += more
                waits[count] = 0 if wanted is False else lsn
                one.answer(id_, [count], lsn, durable=wanted)
                made[count] = latest
                count += 1
            case ("say", _):
                waits[count] = 0
                one.say([count])
                made[count] = latest
                count += 1
            case ("schema", _):
                latest += 1
                one.tell_schema(latest, {"hash": str(latest)})
            case ("frame", more):
                durable = min(durable + more, lsn)
                messages = said(one, durable)
                now = [message[0] for message in messages if message[0] != "schema"]
                for message in messages:
                    if message[0] == "schema":
                        known = int(message[1]["hash"])
                    else:
                        assert made[message[0]] == known
                assert all(waits[number] <= durable for number in now)
                heard += now
    assert sorted(heard) == list(range(count))
    held = [number for number in heard if waits[number]]
    assert held == sorted(held)
    assert one.in_flight == -sum(1 for step in steps if step[0] == "answer")


@given(
    st.binary(max_size=60)
    | st.recursive(
        st.none()
        | st.booleans()
        | st.integers(-9, 9)
        | st.text(max_size=3)
        | st.sampled_from([*SHAPES, "hello"]),
        lambda inner: (
            st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner, max_size=2)
        ),
    ).map(msgpack.packb)
)
def test_whatever_comes_it_is_taken_or_refused(data: bytes) -> None:
    one = Session(MSGPACK, EVERYTHING)
    try:
        received = one.receive(data)
    except RequestError:
        return
    frame = one.frame(0)
    refused = 0
    if frame is not None:
        content = msgpack.unpackb(frame)
        refused = 1 if content[0] == "error" else len(content)
    content = msgpack.unpackb(data, strict_map_key=False)
    assert len(received) + refused == (len(content) if isinstance(content[0], list) else 1)
