"""Names of types. A name that promises what our type does not keep is refused, with a hint."""

from __future__ import annotations

from dataclasses import dataclass

from sqlglot import exp

from reifydb.engine.catalog import DECIMAL_PRECISION_MAX, TYPE_NAMES, Column, Type

NAMES = ", ".join(TYPE_NAMES)

_DType = exp.DataType.Type

_INT = (Type.INT, frozenset({_DType.INT, _DType.BIGINT}))
_SERIAL = (Type.INT, frozenset({_DType.SERIAL, _DType.BIGSERIAL}))
_FLOAT = (Type.FLOAT, frozenset({_DType.DOUBLE}))
_TEXT = (Type.TEXT, frozenset({_DType.TEXT, _DType.VARCHAR}))
_BYTES = (Type.BYTES, frozenset({_DType.VARBINARY, _DType.USERDEFINED}))
_DECIMAL = (Type.DECIMAL, frozenset({_DType.DECIMAL}))
_JSON = (Type.JSON, frozenset({_DType.JSON, _DType.JSONB}))
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
    "decimal": _DECIMAL,
    "numeric": _DECIMAL,
    "uuid": (Type.UUID, frozenset({_DType.UUID})),
    "json": _JSON,
    "jsonb": _JSON,
}

_NARROW_INT = "int has 64 bits; check the range in the transition that writes it"
_WIDE_FLOAT = "float has 64 bits"
_LENGTH = "text has no length; check it in the transition that writes it"
_PRECISION = f"decimal(p,s): p digits in all, at most {DECIMAL_PRECISION_MAX}, s behind the point"

_HINTS = {
    **dict.fromkeys(
        ("smallint", "int2", "int4", "tinyint", "mediumint", "smallserial"), _NARROW_INT
    ),
    **dict.fromkeys(("real", "float4"), _WIDE_FLOAT),
    **dict.fromkeys(("varchar", "char", "character", "nchar", "nvarchar", "bpchar"), _LENGTH),
    **dict.fromkeys(("numeric", "decimal", "money", "dec"), _PRECISION),
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
    precision: int = 0
    scale: int = 0

    def column(self, name: str) -> Column:
        """A column of this type."""
        return Column(name, self.type, precision=self.precision, scale=self.scale)


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
    if type_ is Type.DECIMAL and node.this in kinds and not node.args.get("nested"):
        return Found(type_, False, *_precision(word, node))
    if node.expressions or node.args.get("values"):
        raise TypeNameError(f"type {word} takes no argument here", hint)
    if node.this not in kinds or node.args.get("nested"):
        raise TypeNameError(f"this variant of type {word} is not supported", hint)
    if node.this == _DType.USERDEFINED and not _is_plain(node.args.get("kind"), word):
        raise TypeNameError(f"this variant of type {word} is not supported", hint)
    return Found(type_, _WORDS[word] is _SERIAL)


def _precision(word: str, node: exp.DataType) -> tuple[int, int]:
    """Precision and scale of a decimal, which it must say; a scale left out is 0."""
    hint = _HINTS[word]
    numbers: list[int] = []
    for part in node.expressions:
        literal = part.this if isinstance(part, exp.DataTypeParam) else None
        text = str(literal.this) if isinstance(literal, exp.Literal) else ""
        if not (text.isascii() and text.isdigit()) or len(text) > 4 or part.args.get("expression"):
            raise TypeNameError(f"type {word} takes whole numbers here", hint)
        numbers.append(int(text))
    if not 1 <= len(numbers) <= 2:
        raise TypeNameError(f"type {word} must say how many digits it has", hint)
    precision, scale = numbers[0], numbers[1] if len(numbers) == 2 else 0
    if not 1 <= precision <= DECIMAL_PRECISION_MAX:
        raise TypeNameError(f"a decimal has 1 to {DECIMAL_PRECISION_MAX} digits", hint)
    if scale > precision:
        raise TypeNameError("a decimal's scale is at most its precision", hint)
    return precision, scale


def _is_plain(kind: object, word: str) -> bool:
    """A type that sqlglot does not know is kept as its name: the word alone, nothing after it."""
    return isinstance(kind, exp.Identifier) and str(kind.this).lower() == word
