"""From one kind to another: which casts there are, and the instructions that do them."""

from __future__ import annotations

from functools import lru_cache

from reifydb.engine.catalog import Type
from reifydb.sql.expressions import Kind

Steps = tuple[tuple[str, int], ...]
"""Instructions of one operand, one after the other, each with its imm."""

_PLAIN: dict[tuple[Type, Type], Steps] = {
    (Type.INT, Type.FLOAT): (("int_to_float", 0),),
    (Type.INT, Type.BOOL): (("int_to_bool", 0),),
    (Type.INT, Type.TEXT): (("int_to_text", 0),),
    (Type.BOOL, Type.INT): (("bool_to_int", 0),),
    (Type.BOOL, Type.TEXT): (("bool_to_text", 0),),
    (Type.FLOAT, Type.INT): (("float_to_int", 0),),
    (Type.FLOAT, Type.TEXT): (("float_to_text", 0),),
    (Type.TIMESTAMP, Type.TEXT): (("timestamp_to_text", 0),),
    (Type.UUID, Type.TEXT): (("uuid_to_text", 0),),
    (Type.JSON, Type.TEXT): (),
    (Type.TEXT, Type.INT): (("text_to_int", 0),),
    (Type.TEXT, Type.FLOAT): (("text_to_float", 0),),
    (Type.TEXT, Type.BOOL): (("text_to_bool", 0),),
    (Type.TEXT, Type.TIMESTAMP): (("text_to_timestamp", 0),),
    (Type.TEXT, Type.UUID): (("text_to_uuid", 0),),
    (Type.TEXT, Type.JSON): (("text_to_json", 0),),
}


@lru_cache(256)
def conversion(source: Kind, target: Kind) -> Steps:
    """The instructions that make a value of one kind one of another; none if it is one already.

    Raises:
        KeyError: There is no such cast.
    """
    if source == target:
        return ()
    if source.interval or target.interval:
        raise KeyError(source, target)
    match source.type, target.type:
        case Type.DECIMAL, Type.DECIMAL:
            return _rescaled(source, target)
        case Type.INT, Type.DECIMAL:
            return (*_scaled(target.scale), ("fit", target.precision))
        case Type.FLOAT, Type.DECIMAL:
            return (("float_to_decimal", target.scale), ("fit", target.precision))
        case Type.TEXT, Type.DECIMAL:
            return (("text_to_decimal", target.scale), ("fit", target.precision))
        case Type.DECIMAL, Type.INT:
            return _scaled(-source.scale)
        case Type.DECIMAL, Type.FLOAT:
            return (("decimal_to_float", source.scale),)
        case Type.DECIMAL, Type.TEXT:
            return (("decimal_to_text", source.scale),)
    return _PLAIN[source.type, target.type]


def _rescaled(source: Kind, target: Kind) -> Steps:
    up = target.scale - source.scale
    whole = source.precision - source.scale + (up < 0)  # rounding may need one digit more
    fits = whole <= target.precision - target.scale
    return _scaled(up) if fits else (*_scaled(up), ("fit", target.precision))


def _scaled(up: int) -> Steps:
    if up == 0:
        return ()
    return (("scale_up", up),) if up > 0 else (("scale_down", -up),)
