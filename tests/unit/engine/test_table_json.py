"""The description of a table in JSON. That it is read back the same is tested with the SQL."""

import json

import pytest

from reifydb.engine.catalog import Column, Table, Type
from reifydb.engine.table_json import table_from_json, table_to_json
from reifydb.errors import FormatVersionError

TABLE = Table(
    "t",
    (
        Column("id", Type.INT, False),
        Column("blob", Type.BYTES, True, b"\x00\xff"),
        Column("at", Type.TIMESTAMP, True, -1),
        Column("pin", Type.TEXT, True, "0000", True),
    ),
    (0,),
    0,
    16,
)


def test_the_description_is_the_documented_one() -> None:
    assert table_to_json(TABLE) == (
        '{"format":1,"name":"t","number":16,"key":[0],"auto":0,"columns":['
        '{"name":"id","type":"int","nullable":false},'
        '{"name":"blob","type":"bytes","nullable":true,"default":"00ff"},'
        '{"name":"at","type":"timestamp","nullable":true,"default":-1},'
        '{"name":"pin","type":"text","nullable":true,"default":"0000","secret":true}]}'
    )
    assert table_from_json(table_to_json(TABLE)) == TABLE


def test_a_newer_format_is_refused_by_its_number() -> None:
    with pytest.raises(FormatVersionError, match="format 6, known is 5"):
        table_from_json('{"format": 6}')


@pytest.mark.parametrize("text", ["", "[]", "1", "null", "{}", '"x"', "[" * 100_000])
def test_something_else_is_refused(text: str) -> None:
    with pytest.raises(FormatVersionError):
        table_from_json(text)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("name",), "T"),
        (("name",), None),
        (("number",), "1"),
        (("key",), []),
        (("key",), [4]),
        (("key",), [-1]),
        (("key",), [True]),
        (("auto",), 9),
        (("columns",), []),
        (("columns", 0, "type"), "decimal"),
        (("columns", 0, "type"), []),
        (("columns", 0, "nullable"), 1),
        (("columns", 0, "default"), "x"),
        (("columns", 0, "default"), 1 << 63),
        (("columns", 1, "default"), "0"),
        (("columns", 2, "default"), 1.5),
        (("columns", 3, "default"), None),
    ],
)
def test_damage_is_refused(path: tuple[str | int, ...], value: object) -> None:
    facts = json.loads(table_to_json(TABLE))
    inner = facts
    for step in path[:-1]:
        inner = inner[step]
    inner[path[-1]] = value
    with pytest.raises(FormatVersionError):
        table_from_json(json.dumps(facts))
