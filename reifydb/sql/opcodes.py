"""The instructions of a program, by name: docs/formats.md, "Program", has what each does."""

from __future__ import annotations

from reifydb.engine.catalog import Type

NONE = 0xFFFF
"""No register."""


def _numbered(first: int, names: str) -> dict[str, int]:
    return {name: number for number, name in enumerate(names.split(), first)}


OPCODES: dict[str, int] = {
    **_numbered(0, "move load_word load_tail jump jump_if_false jump_if_true jump_unless"),
    **_numbered(7, "jump_if_null jump_if_value set_null is_null is_value not and or"),
    **_numbered(20, "eq_word ne_word lt_word le_word gt_word ge_word"),
    **_numbered(26, "eq_float ne_float lt_float le_float gt_float ge_float"),
    **_numbered(32, "eq_tail ne_tail lt_tail le_tail gt_tail ge_tail"),
    **_numbered(38, "same_word same_float same_tail"),
    **_numbered(50, "add sub mul div mod neg abs sign"),
    **_numbered(60, "fit scale_up scale_down scale_trunc scale_floor scale_ceil"),
    **_numbered(66, "mul_decimal div_decimal"),
    **_numbered(70, "add_float sub_float mul_float div_float mod_float neg_float abs_float"),
    **_numbered(77, "sign_float floor ceil round trunc"),
    **_numbered(82, "sqrt power exp ln"),
    **_numbered(90, "int_to_float decimal_to_float float_to_int float_to_decimal"),
    **_numbered(94, "bool_to_int int_to_bool"),
    **_numbered(100, "int_to_text decimal_to_text float_to_text bool_to_text"),
    **_numbered(104, "timestamp_to_text uuid_to_text"),
    **_numbered(110, "text_to_int text_to_decimal text_to_float text_to_bool"),
    **_numbered(114, "text_to_timestamp text_to_uuid text_to_json"),
    **_numbered(120, "concat lower upper length octet_length substr trim replace position"),
    **_numbered(129, "like starts_with left right repeat lpad rpad reverse"),
    **_numbered(140, "date_trunc extract add_months"),
    **_numbered(150, "json_get json_at json_text json_length json_type"),
}

JUMPS = frozenset(OPCODES[name] for name in OPCODES if name.startswith("jump"))
"""Their imm is an instruction's index."""

THREE_OPERANDS = frozenset(OPCODES[name] for name in ("substr", "replace", "lpad", "rpad"))
"""The third operand's register is in imm."""

_TAILS = (Type.TEXT, Type.BYTES, Type.UUID, Type.JSON)


def form(type_: Type) -> str:
    """What a cell of this type is compared and loaded as: `word`, `float` or `tail`."""
    if type_ in _TAILS:
        return "tail"
    return "float" if type_ is Type.FLOAT else "word"


CANNOT_FAIL = frozenset(
    OPCODES[name]
    for name in OPCODES
    if name.startswith(("eq_", "ne_", "lt_", "le_", "gt_", "ge_", "same_", "jump", "is_", "load_"))
) | {OPCODES[name] for name in ("move", "set_null", "not", "and", "or", "starts_with")}
"""Instructions that always have a result."""
