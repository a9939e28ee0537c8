"""A frame of calls is answered alike whether the kernel reads it at once or Python call by call."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import msgpack
import pytest
from hypothesis import event, given
from hypothesis import strategies as st

import reifydb
from reifydb.errors import ReifyDBError
from tests.guests.databases import open_with, zig_guest
from tests.unit.gateway.desk import Desk

INTS = st.one_of(
    st.integers(-200, 70_000),
    st.sampled_from(
        [sign * 2**n + d for n in (7, 8, 15, 16, 31, 32, 63) for d in (-1, 0) for sign in (1, -1)]
    ).filter(lambda n: -(2**63) <= n < 2**63),
)
VALUES: dict[str, st.SearchStrategy[Any]] = {
    "bool": st.booleans(),
    "int": INTS | st.booleans(),
    "float": st.floats() | INTS,
    "text": st.text(max_size=40) | st.sampled_from(["", "x" * 31, "y" * 32, "zoë" * 100]),
    "bytes": st.binary(max_size=40) | st.just(b"\xff" * 300),
    "timestamp": INTS,
    "decimal": st.integers(-(10**10) - 1, 10**10 + 1),
    "uuid": st.binary(min_size=16, max_size=16) | st.uuids().map(str),
    "json": st.sampled_from(['{"a": [1, 2]}', "null", "1e400", "nonsense", ""]),
}
ANYTHING = st.one_of(
    st.none(),
    st.booleans(),
    INTS,
    st.integers(2**63, 2**64 - 1),
    st.floats(),
    st.text(max_size=5),
    st.binary(max_size=17),
    st.just([]),
    st.just({}),
    st.just([1, [2]]),
    st.builds(msgpack.ExtType, st.just(5), st.binary(max_size=4)),
)
KINDS = list(VALUES)
NULLS = [st.none() | VALUES[kind] for kind in KINDS]
ARGUMENTS: dict[str, list[st.SearchStrategy[Any]]] = {
    "nothing": [],
    "login": [VALUES["text"], VALUES["text"]],
    "text_length": [VALUES["text"]],
    "create_note": [VALUES["text"], st.none() | INTS],
    "insert_note": [st.integers(0, 9), VALUES["text"]],
    "note_body": [st.integers(0, 9)],
    "dice": [],
    "put_pair": [INTS, INTS, VALUES["float"]],
    "put_item": [
        INTS,
        *(st.none() | VALUES[k] for k in ("text",)),
        INTS,
        *(st.none() | VALUES[k] for k in ("decimal", "uuid")),
        st.none(),
    ],
    "get_item": [INTS],
    "trap": [],
    "upsert": [VALUES["text"], INTS, *(VALUES[kind] for kind in KINDS[:-1]), st.just("1"), *NULLS],
    "no_such": [],
    **{f"echo_{kind}": [VALUES[kind]] for kind in KINDS},
    **{f"echo_{kind}_null": [st.none() | VALUES[kind]] for kind in KINDS},
}


@st.composite
def calls(draw: st.DrawFn) -> list[Any]:
    """A call, mostly a plain one."""
    name = draw(st.sampled_from(sorted(ARGUMENTS)))
    args: Any = [draw(values) for values in ARGUMENTS[name]]
    id_ = draw(st.integers(0, 2**64 - 1) | st.integers(-40, 300) | st.text(max_size=3))
    message = ["call", id_, f"every_type.{name}", args]
    if draw(st.integers(0, 14)) == 0:
        place = draw(st.integers(0, 3))
        message[place] = draw(ANYTHING)
    elif args and draw(st.integers(0, 14)) == 0:
        args[draw(st.integers(0, len(args) - 1))] = draw(ANYTHING)
    if draw(st.integers(0, 14)) == 0:
        message.append(draw(ANYTHING | st.sampled_from([{"ack": "committed"}, {"ack": "durable"}])))
    if draw(st.integers(0, 14)) == 0:
        return ["ping", id_]
    return message


@st.composite
def frames(draw: st.DrawFn) -> bytes:
    """Calls as a client may send them, or as nobody should."""
    messages = draw(st.lists(calls(), min_size=1, max_size=6))
    if draw(st.booleans()):
        name = messages[0][2:3]  # most frames call one transition again and again
        messages = [m for m in messages if m[2:3] == name] or messages
    data: bytes = msgpack.packb(
        messages[0] if len(messages) == 1 and draw(st.booleans()) else messages
    )
    if draw(st.integers(0, 9)) == 0:
        at = draw(st.integers(0, len(data) - 1))
        data = draw(
            st.sampled_from(
                [
                    data[:at],
                    data + data[:at],
                    data[:at] + draw(st.binary(max_size=2)) + data[at + 1 :],
                    b"\xdc\0" + bytes([len(messages)]) + data[1:],
                ]
            )
        )
    return data


def packed(message: list[Any]) -> bytes:
    data: bytes = msgpack.packb(message)
    return data


@given(data=calls().map(packed))
def test_nor_does_it_matter_whether_a_call_comes_alone(
    desks: tuple[Desk, Desk], data: bytes
) -> None:
    alone, single = desks
    count = alone.alone
    try:
        alone.take_alone(data)
        said: Any = alone.said()
    except ReifyDBError as error:
        alone.session._ready.clear()
        said = type(error), str(error)
    if alone.alone > count:
        event("it is answered as it comes")
    assert alone.session.in_flight == 0
    assert alike(said, answers(single, data))
    assert alone.db.lsn == single.db.lsn
    assert alone.db.state_hash == single.db.state_hash
    assert alone.service.metrics.calls == single.service.metrics.calls


@pytest.fixture(scope="module")
def desks() -> Iterator[tuple[Desk, Desk]]:
    with _database() as one, _database() as other:
        yield Desk(one, whole=True), Desk(other, whole=False)


def _database() -> reifydb.Database:
    return open_with(zig_guest("every_type"))


def answers(desk: Desk, data: bytes) -> Any:
    try:
        desk.take(data)
    except ReifyDBError as error:
        desk.session._ready.clear()
        return type(error), str(error)
    assert desk.session.in_flight >= 0
    found = desk.tick()
    assert desk.session.in_flight == 0
    return found


@given(data=frames())
def test_it_does_not_matter_who_reads_a_frame(desks: tuple[Desk, Desk], data: bytes) -> None:
    whole, single = desks
    if whole.db.read_calls(data) is not None:
        event("the kernel reads it")
    assert alike(answers(whole, data), answers(single, data))
    assert whole.db.lsn == single.db.lsn
    assert whole.db.state_hash == single.db.state_hash


def alike(one: Any, other: Any) -> bool:
    """Equal, types of numbers and NaN included."""
    if isinstance(one, list | tuple):
        same = type(one) is type(other) and len(one) == len(other)
        return same and all(map(alike, one, other))
    if isinstance(one, float) and isinstance(other, float):
        return (one == other and math.copysign(1, one) == math.copysign(1, other)) or one != one
    return type(one) is type(other) and one == other
