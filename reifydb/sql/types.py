"""Names of types. A name that promises what our type does not keep is refused, with a hint."""

from __future__ import annotations

from dataclasses import dataclass

from sqlglot import exp

from reifydb.engine.catalog import Type

NAMES = "bool, int, float, text, bytes, timestamp"

_DType = exp.DataType.Type

_INT = (Type.INT, frozenset({_DType.INT, _DType.BIGINT}))
_SERIAL = (Type.INT, frozenset({_DType.SERIAL, _DType.BIGSERIAL}))
_FLOAT = (Type.FLOAT, frozenset({_DType.DOUBLE}))
_TEXT = (Type.TEXT, frozenset({_DType.TEXT, _DType.VARCHAR}))
_BYTES = (Type.BYTES, frozenset({_DType.VARBINARY, _DType.USERDEFINED}))
_TIMESTAMP = (Type.TIMESTAMP, frozenset({_DType.TIMESTAMP, _DType.TIMESTAMPTZ}))

# The word in the text, and what sqlglot may have made of it: `timestamp with local time zone` and
# `int unsigned` begin with a known word and are something else.
_WORDS = {
    "bool": (Type.BOOL, frozenset({_DType.BOOLEAN})),
    "boolean": (Type.BOOL, frozenset({_DType.BOOLEAN})),
    "int": _INT,
    "integer": _INT,
    "bigint": _INT,
    "int8": _INT,
    "serial": _SERIAL,
    "bigserial": _SERIAL,
    "float": _FLOAT,
    "double": _FLOAT,
    "float8": _FLOAT,
    "text": _TEXT,
    "varchar": _TEXT,
    "string": _TEXT,
    "bytes": _BYTES,
    "bytea": _BYTES,
    "blob": _BYTES,
    "timestamp": _TIMESTAMP,
    "timestamptz": _TIMESTAMP,
}

_NARROW_INT = "int has 64 bits; check the range in the transition that writes it"
_WIDE_FLOAT = "float has 64 bits"
_LENGTH = "text has no length; check it in the transition that writes it"
_EXACT = "int in the smallest unit, for example cents"

_HINTS = {
    **dict.fromkeys(
        ("smallint", "int2", "int4", "tinyint", "mediumint", "smallserial"), _NARROW_INT
    ),
    **dict.fromkeys(("real", "float4"), _WIDE_FLOAT),
    **dict.fromkeys(("varchar", "char", "character", "nchar", "nvarchar", "bpchar"), _LENGTH),
    **dict.fromkeys(("numeric", "decimal", "money"), _EXACT),
    **dict.fromkeys(("json", "jsonb", "uuid"), "text or bytes"),
    **dict.fromkeys(("date", "time", "timetz", "datetime"), "timestamp, or int"),
    "interval": "int, for example microseconds",
    "timestamp": "timestamp has microseconds in UTC and takes no argument",
    "timestamptz": "timestamp has microseconds in UTC and takes no argument",
    "float": "float has 64 bits and takes no argument",
    "int": "int has 64 bits, a sign and takes no argument",
}


class TypeNameError(ValueError):
    """A type there is not. `hint` says which one there is."""

    def __init__(self, message: str, hint: str) -> None:
        super().__init__(message)
        self.hint = hint


@dataclass(frozen=True, slots=True)
class Found:
    """A type, and whether its name also means auto-increment and not null."""

    type: Type
    serial: bool


def find(word: str, node: exp.DataType) -> Found:
    """The type that a word in the text and its node mean.

    Raises:
        TypeNameError: There is no such type.
    """
    word = word.lower().split()[0]  # `double precision` is one token
    hint = _HINTS.get(word, f"types are {NAMES}")
    if word not in _WORDS:
        raise TypeNameError(f"there is no type {word[:80]!r}", hint)
    type_, kinds = _WORDS[word]
    if node.expressions or node.args.get("values"):
        raise TypeNameError(f"type {word} takes no argument here", hint)
    if node.this not in kinds or node.args.get("nested"):
        raise TypeNameError(f"this variant of type {word} is not supported", hint)
    if node.this == _DType.USERDEFINED and not _is_plain(node.args.get("kind"), word):
        raise TypeNameError(f"this variant of type {word} is not supported", hint)
    return Found(type_, _WORDS[word] is _SERIAL)


def _is_plain(kind: object, word: str) -> bool:
    """A type that sqlglot does not know is kept as its name: the word alone, nothing after it."""
    return isinstance(kind, exp.Identifier) and str(kind.this).lower() == word
