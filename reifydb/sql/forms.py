"""Expressions with a grammar of their own: `case`, casts, intervals, `extract`, `->`, `escape`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlglot import exp

from reifydb.engine.catalog import Type
from reifydb.errors import did_you_mean
from reifydb.sql import constants, types
from reifydb.sql.expressions import (
    FLOAT,
    INT,
    INTERVAL,
    JSON,
    TEXT,
    TIMESTAMP,
    Case,
    Constant,
    Expression,
    Kind,
    Operation,
)
from reifydb.sql.functions import EXTRACT_DECIMALS, EXTRACT_FIELDS
from reifydb.sql.kinds import can_cast, cast, is_number
from reifydb.sql.reader import CAST_HINT, bare
from reifydb.sql.source import TYPE_TOKEN

if TYPE_CHECKING:
    from reifydb.sql.expression_reader import ExpressionReader

_CAST_HINTS = {
    (Type.JSON, target): "take the text out first: (… ->> '…')::…"
    for target in (Type.INT, Type.FLOAT, Type.BOOL, Type.DECIMAL, Type.TIMESTAMP, Type.UUID)
} | {(Type.TIMESTAMP, Type.INT): "extract(epoch from …)"}


def case(reader: ExpressionReader, node: exp.Case, wanted: Kind | None) -> Expression:
    """`case [x] when … then … else … end`."""
    reader.only(node, "case", "this", "ifs", "default")
    ifs, subject = node.args["ifs"], node.this
    conditions = [
        reader.condition(one.this, "when")
        if subject is None
        else reader.compared("eq", *reader.pair(subject, one.this, "="))
        for one in ifs
    ]
    otherwise = node.args.get("default") or exp.Null()
    values = reader.unified([*(one.args["true"] for one in ifs), otherwise], "case", wanted)
    branches = tuple(zip(conditions, values[:-1], strict=True))
    nullable = any(value.nullable for value in values)
    return Case(branches, values[-1], values[0].kind, nullable, conditions[0].at)


def convert(reader: ExpressionReader, node: exp.Cast, _: Kind | None) -> Expression:
    """`cast(x as type)`, `x::type`, `type 'x'`."""
    at = reader.source.start(node, reader.at)
    reader.only(node, "cast", "this", "to")
    target, inner = node.args["to"], bare(node.this)
    token = target.meta.get(TYPE_TOKEN)
    if token is not None and token.start < at and isinstance(inner, exp.Cast):
        return _typed_literal(reader, node, at)
    kind = type_of(reader, target, at)
    if isinstance(inner, exp.Literal) and inner.is_string:
        return cast(reader.literal(inner, kind), kind)
    return _cast(reader, reader.read(node.this, kind), kind)


def _typed_literal(reader: ExpressionReader, node: exp.Cast, at: int) -> Expression:
    """`timestamp 'x'::text`, in which sqlglot lets the right cast come first."""
    inner, kinds = node.this, []
    while isinstance(inner, exp.Cast):
        kinds.append(type_of(reader, inner.args["to"], at))
        inner = inner.this
    if not (isinstance(inner, exp.Literal) and inner.is_string):
        reader.refuse("a type stands before a string", at, hint=CAST_HINT)
    kind = type_of(reader, node.args["to"], at)
    found = cast(reader.literal(inner, kind), kind)
    for kind in reversed(kinds):
        found = _cast(reader, found, kind)
    return found


def _cast(reader: ExpressionReader, value: Expression, kind: Kind) -> Expression:
    if not can_cast(value.kind, kind):
        hint = _CAST_HINTS.get((value.kind.type, kind.type), "")
        reader.refuse(f"{value.kind.sql} cannot be cast to {kind.sql}", value.at, hint=hint)
    return cast(value, kind)


def type_of(reader: ExpressionReader, node: exp.DataType, at: int) -> Kind:
    """The kind that a type's name means."""
    token = node.meta.get(TYPE_TOKEN)
    word = token.text if token is not None else str(node.this)
    if word.lower() == "interval":
        return INTERVAL
    try:
        found = types.find(word, node)
    except types.TypeNameError as error:
        reader.refuse(str(error), token.start if token else at, hint=error.hint)
    if found.serial:
        reader.refuse(f"there are no values of type {word}", token.start if token else at)
    return Kind(found.type, found.precision, found.scale)


def interval(reader: ExpressionReader, node: exp.Interval, _: Kind | None) -> Expression:
    """`interval '5 minutes'`."""
    months, microseconds, at = interval_parts(reader, node)
    if months:
        hint = "add it to a timestamp: … + interval '1 month'"
        reader.refuse("months and years have no fixed length", at, hint=hint)
    return Constant(microseconds, INTERVAL, at)


def interval_parts(reader: ExpressionReader, node: exp.Interval) -> tuple[int, int, int]:
    """Months and microseconds of an interval, and where it stands."""
    at, unit, text = reader.source.start(node, reader.at), node.args.get("unit"), node.this
    if not isinstance(text, exp.Literal) or not isinstance(unit, exp.Var | None):
        reader.refuse("an interval is a literal", at, hint="x * interval '1 minute'")
    reader.only(node, "interval", "this", "unit", "fraction_in_string")
    words = str(text.this) if unit is None else f"{text.this} {unit.this}"
    try:
        return *constants.parse_interval(words), at
    except ValueError as error:
        reader.refuse(str(error), at)


def extract(reader: ExpressionReader, node: exp.Extract, _: Kind | None) -> Expression:
    """`extract(field from timestamp)`."""
    name, at = str(node.this.name).lower(), reader.source.start(node, reader.at)
    if name not in EXTRACT_FIELDS:
        reader.refuse(f"there is no field {name!r}", at, hint=did_you_mean(name, EXTRACT_FIELDS))
    arg = reader.read(node.args["expression"], TIMESTAMP)
    digits = EXTRACT_DECIMALS.get(name)
    kind = INT if digits is None else Kind(Type.DECIMAL, *digits)
    if arg.kind == INTERVAL and name == "epoch":
        return Operation("fit", (arg,), kind, arg.nullable, kind.precision, at=arg.at)
    if arg.kind != TIMESTAMP:
        what = "epoch alone" if arg.kind == INTERVAL else "nothing"
        reader.refuse(f"extract takes {what} from {arg.kind.sql}", arg.at, hint=CAST_HINT)
    imm = EXTRACT_FIELDS[name]
    return Operation("extract", (arg,), kind, arg.nullable, imm, at=arg.at)


def json(reader: ExpressionReader, node: exp.Expression, _: Kind | None) -> Expression:
    """`->`, `->>`."""
    reader.only(node, "->", "this", "expression", "only_json_types")
    document, key = reader.read(node.this, JSON), reader.read(node.args["expression"], TEXT)
    if document.kind != JSON:
        reader.refuse(f"-> takes json, not {document.kind.sql}", document.at, hint=CAST_HINT)
    if key.kind not in (TEXT, INT):
        reader.refuse(f"a key is text or int, not {key.kind.sql}", key.at)
    op = "json_at" if key.kind == INT else "json_get"
    found = Operation(op, (document, key), JSON, True, at=document.at)
    if isinstance(node, exp.JSONExtract):
        return found
    return Operation("json_text", (found,), TEXT, True, at=document.at)


def escape(reader: ExpressionReader, node: exp.Escape, _: Kind | None) -> Expression:
    """`like … escape '!'`."""
    character = node.args["expression"]
    at = reader.source.start(node, reader.at)
    if not isinstance(node.this, exp.Like | exp.ILike):
        reader.refuse("escape stands behind like", at)
    if not (isinstance(character, exp.Literal) and character.is_string):
        reader.refuse("escape takes a string", at)
    if len(str(character.this)) > 1:
        reader.refuse("escape takes one character, or none", at)
    return reader.like(node.this, None, str(character.this))


def power(reader: ExpressionReader, node: exp.Pow, _: Kind | None) -> Expression:
    """`^`."""
    left, right = reader.together([node.this, node.args["expression"]], FLOAT)
    if not (is_number(left.kind) and is_number(right.kind)):
        reader.refuse_operands("^", left, right)
    args = (cast(left, FLOAT), cast(right, FLOAT))
    return Operation("power", args, FLOAT, left.nullable or right.nullable, at=left.at)
