"""Values as words: what each type takes, and what it refuses."""

import pytest

from reifydb.engine.catalog import Column, Type
from reifydb.errors import RequestError
from reifydb.wire.dialects import WRAPPER
from reifydb.wire.words import plain_word

UUID = "6f9619ff-8b86-d011-b42d-00cf4fc964ff"


def column(kind: Type) -> Column:
    precise = {"precision": 5, "scale": 2} if kind is Type.DECIMAL else {}
    return Column("c", kind, **precise)


@pytest.mark.parametrize(
    ("kind", "word", "value"),
    [
        (Type.TEXT, "null", "null"),
        (Type.TEXT, "", ""),
        (Type.BOOL, "true", True),
        (Type.INT, "-5", "-5"),
        (Type.FLOAT, "1e3", 1000.0),
        (Type.DECIMAL, "12.50", "12.50"),
        (Type.TIMESTAMP, "2024-01-31T12:00:00Z", "2024-01-31T12:00:00Z"),
        (Type.TIMESTAMP, "1000", "1000"),
        (Type.UUID, UUID, UUID),
        (Type.BYTES, "aGk=", "aGk="),
        (Type.JSON, '{"a": [1]}', {"a": [1]}),
        (Type.JSON, "null", {WRAPPER: None}),
    ],
)
def test_a_word_is_a_value(kind: Type, word: str, value: object) -> None:
    assert plain_word(word, column(kind)) == value


@pytest.mark.parametrize(
    ("kind", "word"),
    [
        (Type.BOOL, "1"),
        (Type.INT, "ten"),
        (Type.INT, "1.0"),
        (Type.FLOAT, "nan"),
        (Type.FLOAT, "1_0"),
        (Type.DECIMAL, "a lot"),
        (Type.TIMESTAMP, "2024-01-31"),
        (Type.UUID, "1"),
        (Type.BYTES, "%"),
        (Type.JSON, "{"),
        (Type.JSON, "NaN"),
    ],
)
def test_a_word_of_another_type_is_refused(kind: Type, word: str) -> None:
    with pytest.raises(RequestError):
        plain_word(word, column(kind))
