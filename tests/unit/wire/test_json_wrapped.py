"""JSON's own null among values that may be absent, and what looks like it."""

import json

import pytest

from reifydb import JSON_NULL
from reifydb.engine.catalog import Column, Type
from reifydb.wire.dialects import PLAIN, RAW

COLUMN = Column("j", Type.JSON)


@pytest.mark.parametrize(
    ("value", "wire"),
    [
        (JSON_NULL, {"$json": None}),
        ({"$json": None}, {"$json": {"$json": None}}),
        ({"$json": {"$json": 1}}, {"$json": {"$json": {"$json": 1}}}),
        ({"$json": 1, "a": 2}, {"$json": 1, "a": 2}),
        ({}, {}),
        ([None], [None]),
    ],
)
def test_what_is_written_is_read_as_it_was(value: object, wire: object) -> None:
    write, read = PLAIN.writer(COLUMN), PLAIN.reader(COLUMN)
    raw = PLAIN.raw_writer(COLUMN)
    assert write is not None
    assert read is not None
    assert raw is not None
    assert write(value) == wire
    assert read(json.loads(json.dumps(wire))) == value
    pack = RAW.writer(COLUMN)
    assert pack is not None
    assert raw(pack(value)) == wire
