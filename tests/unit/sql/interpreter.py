"""A stupid twin of the kernel's programs: reads the same bytes, computes with Python's own numbers.

Slow and short, so that it can be read beside docs/formats.md, "Program".
"""

from __future__ import annotations

import math
import re
import struct
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from uuid import UUID

from reifydb.engine.catalog import Type
from reifydb.engine.json_values import JSON_NULL, json_bytes, json_value
from reifydb.engine.rows import RowCodec
from reifydb.engine.values import EPOCH, INT_MAX, INT_MIN, TO_TAIL, slot_writer
from reifydb.sql.expressions import Kind
from reifydb.sql.opcodes import NONE, OPCODES
from reifydb.sql.programs import Program

NAMES = {number: name for name, number in OPCODES.items()}
Cell = int | float | bytes | None


class FailureError(Exception):
    """A program that fails: the name of docs/formats.md, and the instruction."""

    def __init__(self, name: str, at: int = -1) -> None:
        super().__init__(name, at)
        self.name, self.at = name, at


def cell(value: object, kind: Kind) -> Cell:
    """A value of Python as a register holds it."""
    if value is None:
        return None
    if kind.type in TO_TAIL:
        return TO_TAIL[kind.type](value)
    return slot_writer(kind.column("c"))(value)


def evaluate(
    program: Program,
    rows: Sequence[Sequence[Cell]],
    parameters: Sequence[Cell] = (),
    constants: Sequence[Cell] | None = None,
) -> list[Cell]:
    """Runs a program on one row of each input."""
    (count, size, c, p, outputs, inputs, reserved) = struct.unpack_from("<IHHHHHH", program.encoded)
    assert (len(parameters), len(rows), reserved) == (p, inputs, 0)
    at = 16
    needed = struct.unpack_from(f"<{inputs}H", program.encoded, at)
    assert all(len(row) >= n for row, n in zip(rows, needed, strict=True))
    at += 2 * inputs
    out = [struct.unpack_from("<HBB", program.encoded, at + 4 * i) for i in range(outputs)]
    at += 4 * outputs
    codes = program.encoded[at : at + c]
    at += c + p
    at += -at % 8
    code = [struct.unpack_from("<HHHHq", program.encoded, at + 16 * i) for i in range(count)]
    registers: list[Cell] = [*_constants(codes, program.encoded[at + 16 * count :]), *parameters]
    registers += [None] * (size - c - p)
    _run(code, registers, rows, c + p)
    for register, _, nullable in out:
        assert nullable or registers[register] is not None, "null in an output that is never null"
    return [registers[register] for register, _, _ in out]


def instructions(program: Program) -> list[tuple[str, int, int, int, int]]:
    """The instructions of a program, by name."""
    (count, _, c, p, outputs, inputs, _) = struct.unpack_from("<IHHHHHH", program.encoded)
    at = 16 + 2 * inputs + 4 * outputs + c + p
    at += -at % 8
    found = [struct.unpack_from("<HHHHq", program.encoded, at + 16 * i) for i in range(count)]
    return [(NAMES[number], dst, a, b, imm) for number, dst, a, b, imm in found]


def _constants(codes: bytes, row: bytes) -> list[Cell]:
    kinds = [Kind(Type.DECIMAL, code - 64, 0) if code > 64 else Kind(Type(code)) for code in codes]
    columns = [kind.column(f"c{i}") for i, kind in enumerate(kinds)]
    values = RowCodec(columns, what="constants").decode(row)
    return [cell(value, kind) for value, kind in zip(values, kinds, strict=True)]


def _run(code: list[tuple[int, ...]], registers: list[Cell], rows: object, first: int) -> None:
    at, steps = 0, 0
    while at < len(code):
        number, dst, a, b, imm = code[at]
        name = NAMES[number]
        if name.startswith("jump"):
            assert at < imm <= len(code), "a jump leads forward"
            at = imm if _jumps(name, registers[a]) else at + 1
            continue
        assert dst >= first, "constants and parameters are not written"
        try:
            registers[dst] = _value(name, registers, rows, a, b, imm)
        except FailureError as error:
            raise FailureError(error.name, at) from None
        at, steps = at + 1, steps + 1


def _jumps(name: str, value: Cell) -> bool:
    return {
        "jump": True,
        "jump_if_false": value == 0 and value is not None,
        "jump_if_true": bool(value),
        "jump_unless": not value,
        "jump_if_null": value is None,
        "jump_if_value": value is not None,
    }[name]


def _value(name: str, registers: list[Cell], rows: object, a: int, b: int, imm: int) -> Cell:
    if name.startswith("load"):
        return rows[a][imm]  # type: ignore[index]
    if name == "set_null":
        return None
    x = registers[a]
    if name in ("move", "is_null", "is_value"):
        return {"move": x, "is_null": int(x is None), "is_value": int(x is not None)}[name]
    y = registers[b] if b < len(registers) else None
    if name in ("and", "or"):
        decisive = int(name == "or")
        if decisive in (x, y):
            return decisive
        return None if x is None or y is None else 1 - decisive
    if name.startswith("same"):
        return int(x == y)
    operands: list[Cell] = [x]
    if name in _TWO or name.split("_")[0] in ("eq", "ne", "lt", "le", "gt", "ge"):
        operands.append(y)
    if name in ("substr", "trim") and b == NONE:
        operands = [x]
    third = imm & 0xFFFF
    if name in ("substr", "replace", "lpad", "rpad") and third != NONE:
        operands.append(registers[third])
    if any(operand is None for operand in operands):
        return None
    return _OPERATIONS[name](*operands, imm)


_TWO = set(
    "add sub mul div mod mul_decimal div_decimal add_float sub_float mul_float "
    "div_float mod_float power concat substr trim replace position like starts_with left right "
    "repeat lpad rpad add_months json_get json_at".split()
)


# ------------------------------------------------------------------ numbers


def _word(value: int) -> int:
    if not INT_MIN <= value <= INT_MAX:
        raise FailureError("OutOfRange")
    return value


def _finite(value: float) -> float:
    if not math.isfinite(value):
        raise FailureError("NotFinite")
    return value + 0.0


def half_away(value: Fraction) -> int:
    """The nearest whole number; halves away from zero."""
    whole = math.floor(abs(value) + Fraction(1, 2))
    return whole if value >= 0 else -whole


def _truncated(a: int, b: int) -> int:
    if b == 0:
        raise FailureError("DivisionByZero")
    whole = abs(a) // abs(b)
    return whole if (a < 0) == (b < 0) else -whole


def _fit(a: int, digits: int) -> int:
    if abs(a) >= 10**digits:
        raise FailureError("OutOfRange")
    return a


def _ratio(a: int, b: int, k: int) -> int:
    if b == 0:
        raise FailureError("DivisionByZero")
    return _word(half_away(Fraction(a, b) * Fraction(10) ** k))


def _float_ratio(a: float, b: float) -> float:
    if b == 0:
        raise FailureError("DivisionByZero")
    return _finite(a / b)


def _defined(function: Callable[..., float], *args: float) -> float:
    try:
        return _finite(function(*args))
    except ValueError:
        raise FailureError("OutOfRange") from None
    except OverflowError:
        raise FailureError("NotFinite") from None


def _float_mod(a: float, b: float) -> float:
    if b == 0:
        raise FailureError("DivisionByZero")
    return math.fmod(a, b) + 0.0


def _float_product(a: float, b: float) -> float:
    return _finite(a * b)


# ------------------------------------------------------------------ texts


def _parsed(read: Callable[[str], object]) -> Callable[[bytes, int], Cell]:
    def parse(data: bytes, imm: int) -> Cell:
        try:
            return read(data.decode().strip(" "))  # type: ignore[return-value]
        except ValueError:
            raise FailureError("InvalidText") from None

    return parse


def _int(text: str) -> int:
    if not re.fullmatch(r"[+-]?[0-9]+", text):
        raise ValueError(text)
    return _word(int(text))


def _float(text: str) -> float:
    if not re.fullmatch(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?", text):
        raise ValueError(text)
    number = float(text)
    if math.isinf(number):
        raise FailureError("OutOfRange")
    return number + 0.0


def _decimal(data: bytes, scale: int) -> int:
    text = data.decode().strip(" ")
    if not re.fullmatch(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?", text):
        raise FailureError("InvalidText")
    return _word(half_away(Fraction(text) * 10**scale))


def _bool(text: str) -> int:
    word = text.lower()
    if word in ("t", "true", "y", "yes", "on", "1"):
        return 1
    if word in ("f", "false", "n", "no", "off", "0"):
        return 0
    raise ValueError(text)


def _moment(text: str) -> int:
    return (datetime.fromisoformat(text).astimezone(UTC) - EPOCH) // timedelta(microseconds=1)


def _moment_text(value: int) -> bytes:
    moment = EPOCH + timedelta(microseconds=value)
    text = moment.strftime("%Y-%m-%d %H:%M:%S").rjust(19, "0")
    part = f".{moment.microsecond:06}".rstrip("0") if moment.microsecond else ""
    return f"{text}{part}+00".encode()


def _decimal_text(value: int, scale: int) -> bytes:
    sign, digits = "-" if value < 0 else "", str(abs(value)).rjust(scale + 1, "0")
    return (sign + (f"{digits[:-scale]}.{digits[-scale:]}" if scale else digits)).encode()


def _float_text(value: float) -> bytes:
    text = repr(value)
    return text.removesuffix(".0").encode()


def _ascii(data: bytes, upper: bool) -> bytes:
    return data.upper() if upper else data.lower()  # of bytes: ASCII letters only


def _substr(data: bytes, start: int, *rest: int) -> bytes:
    count = rest[0] if len(rest) == 2 else None
    text, first = data.decode(), start - 1
    if count is not None and count < 0:
        raise FailureError("OutOfRange")
    end = len(text) if count is None else max(0, first + count)
    return text[max(0, first) : end].encode()


def _trim(data: bytes, *rest: object) -> bytes:
    characters = rest[0].decode() if len(rest) == 2 else " "  # type: ignore[attr-defined]
    text, sides = data.decode(), rest[-1]
    if sides in (1, 3):
        text = text.lstrip(characters) if characters else text
    if sides in (2, 3):
        text = text.rstrip(characters) if characters else text
    return text.encode()


def _pattern(pattern: str, escape: str) -> str:
    """The regular expression of a pattern."""
    found, position = "", 0
    while position < len(pattern):
        character = pattern[position]
        if escape and character == escape:
            position += 1
            if position == len(pattern):
                raise FailureError("InvalidText")
            found += re.escape(pattern[position])
        else:
            found += {"%": ".*", "_": "."}.get(character, re.escape(character))
        position += 1
    return found


def _like(data: bytes, pattern: bytes, imm: int) -> int:
    expression = _pattern(pattern.decode(), chr(imm >> 8) if imm >> 8 else "")
    text = data.decode()
    if imm & 1:
        expression, text = (_ascii(one.encode(), False).decode() for one in (expression, text))
    return int(re.fullmatch(expression, text, re.DOTALL) is not None)


def _pad(data: bytes, count: int, fill: bytes, left: bool) -> bytes:
    text, filling = data.decode(), fill.decode()
    count = max(0, count)
    missing = count - len(text)
    if missing <= 0 or not filling:
        return text[:count].encode()
    more = (filling * (missing // len(filling) + 1))[:missing]
    return (more + text if left else text + more).encode()


def _side(data: bytes, count: int, left: bool) -> bytes:
    text = data.decode()
    if left:
        return text[:count].encode()
    if count >= 0:
        return (text[-count:] if count else "").encode()
    return text[-count:].encode()


# ------------------------------------------------------------------ time and JSON


def _date_trunc(value: int, unit: int) -> int:
    sizes = {1: 1000, 2: 10**6, 3: 60 * 10**6, 4: 3600 * 10**6, 5: 86_400 * 10**6}
    if unit in sizes:
        return value // sizes[unit] * sizes[unit]
    day = (EPOCH + timedelta(microseconds=value)).replace(hour=0, minute=0, second=0, microsecond=0)
    if unit == 6:
        day -= timedelta(days=day.weekday())
    else:
        month = {7: day.month, 8: (day.month - 1) // 3 * 3 + 1, 9: 1}[unit]
        day = day.replace(day=1, month=month)
    return (day - EPOCH) // timedelta(microseconds=1)


def _extract(value: int, field: int) -> int:
    moment = EPOCH + timedelta(microseconds=value)
    year, week, weekday = moment.isocalendar()
    seconds = moment.second * 10**6 + moment.microsecond
    return {
        1: moment.year,
        2: (moment.month + 2) // 3,
        3: moment.month,
        4: week,
        5: moment.day,
        6: weekday % 7,
        7: weekday,
        8: moment.timetuple().tm_yday,
        9: moment.hour,
        10: moment.minute,
        11: seconds,
        12: value,
        13: seconds,
        14: seconds,
        15: year,
    }[field]


def _add_months(value: int, months: int, _: int) -> int:
    moment = EPOCH + timedelta(microseconds=value)
    total = moment.year * 12 + moment.month - 1 + months
    year, month = total // 12, total % 12 + 1
    after = datetime(year + month // 12, month % 12 + 1, 1, tzinfo=UTC)
    last = (after - timedelta(days=1)).day
    moved = moment.replace(year=year, month=month, day=min(moment.day, last))
    return (moved - EPOCH) // timedelta(microseconds=1)


def _json(found: object, missing: bool = False) -> bytes | None:
    return None if missing else json_bytes(JSON_NULL if found is None else found)


def _json_get(data: bytes, key: bytes, _: int) -> bytes | None:
    document = json_value(data)
    if isinstance(document, dict) and key.decode() in document:
        return _json(document[key.decode()])
    return None


def _json_at(data: bytes, index: int, _: int) -> bytes | None:
    document = json_value(data)
    if isinstance(document, list) and -len(document) <= index < len(document):
        return _json(document[index])
    return None


def _json_text(data: bytes, _: int) -> bytes | None:
    document = json_value(data)
    if document is JSON_NULL:
        return None
    return document.encode() if isinstance(document, str) else data


def _json_type(data: bytes, _: int) -> bytes:
    document = json_value(data)
    if document is JSON_NULL:
        return b"null"
    names = {dict: b"object", list: b"array", str: b"string", bool: b"boolean"}
    return names.get(type(document), b"number")


def _json_length(data: bytes, _: int) -> int | None:
    document = json_value(data)
    return len(document) if isinstance(document, dict | list) else None


_OPERATIONS: dict[str, Callable[..., Cell]] = {
    "not": lambda a, _: 1 - a,
    "add": lambda a, b, _: _word(a + b),
    "sub": lambda a, b, _: _word(a - b),
    "mul": lambda a, b, _: _word(a * b),
    "div": lambda a, b, _: _word(_truncated(a, b)),
    "mod": lambda a, b, _: a - b * _truncated(a, b),
    "neg": lambda a, _: _word(-a),
    "abs": lambda a, _: _word(abs(a)),
    "sign": lambda a, _: (a > 0) - (a < 0),
    "fit": _fit,
    "scale_up": lambda a, k: _word(a * 10**k),
    "scale_down": lambda a, k: half_away(Fraction(a, 10**k)),
    "scale_trunc": lambda a, k: _truncated(a, 10**k),
    "scale_floor": lambda a, k: a // 10**k,
    "scale_ceil": lambda a, k: -(-a // 10**k),
    "mul_decimal": lambda a, b, k: _word(half_away(Fraction(a * b, 10**k))),
    "div_decimal": _ratio,
    "add_float": lambda a, b, _: _finite(a + b),
    "sub_float": lambda a, b, _: _finite(a - b),
    "mul_float": lambda a, b, _: _float_product(a, b),
    "div_float": lambda a, b, _: _float_ratio(a, b),
    "mod_float": lambda a, b, _: _float_mod(a, b),
    "neg_float": lambda a, _: -a + 0.0,
    "abs_float": lambda a, _: abs(a),
    "sign_float": lambda a, _: float((a > 0) - (a < 0)),
    "floor": lambda a, _: float(math.floor(a)) + 0.0,
    "ceil": lambda a, _: float(math.ceil(a)) + 0.0,
    "round": lambda a, _: float(round(a)) + 0.0,
    "trunc": lambda a, _: float(math.trunc(a)) + 0.0,
    "sqrt": lambda a, _: _defined(math.sqrt, a),
    "power": lambda a, b, _: _defined(math.pow, a, b),
    "exp": lambda a, _: _defined(math.exp, a),
    "ln": lambda a, _: _defined(math.log, a),
    "int_to_float": lambda a, _: float(a),
    "decimal_to_float": lambda a, scale: float(Fraction(a, 10**scale)),
    "float_to_int": lambda a, _: _word(round(a)),
    "float_to_decimal": lambda a, scale: _word(half_away(Fraction(a) * 10**scale)),
    "bool_to_int": lambda a, _: a,
    "int_to_bool": lambda a, _: int(a != 0),
    "int_to_text": lambda a, _: str(a).encode(),
    "decimal_to_text": _decimal_text,
    "float_to_text": lambda a, _: _float_text(a),
    "bool_to_text": lambda a, _: b"true" if a else b"false",
    "timestamp_to_text": lambda a, _: _moment_text(a),
    "uuid_to_text": lambda a, _: str(UUID(bytes=a)).encode(),
    "text_to_int": _parsed(_int),
    "text_to_decimal": _decimal,
    "text_to_float": _parsed(_float),
    "text_to_bool": _parsed(_bool),
    "text_to_timestamp": _parsed(_moment),
    "text_to_uuid": _parsed(lambda text: UUID(text).bytes),
    "text_to_json": _parsed(lambda text: json_bytes(json_value(text.encode()))),
    "concat": lambda a, b, _: a + b,
    "lower": lambda a, _: _ascii(a, False),
    "upper": lambda a, _: _ascii(a, True),
    "length": lambda a, _: len(a.decode()),
    "octet_length": lambda a, _: len(a),
    "substr": _substr,
    "trim": _trim,
    "replace": lambda a, b, c, _: a.replace(b, c) if b else a,
    "position": lambda a, b, _: a.decode().find(b.decode()) + 1,
    "like": _like,
    "starts_with": lambda a, b, _: int(a.startswith(b)),
    "left": lambda a, n, _: _side(a, n, True),
    "right": lambda a, n, _: _side(a, n, False),
    "repeat": lambda a, n, _: a * n,
    "lpad": lambda a, n, c, _: _pad(a, n, c, True),
    "rpad": lambda a, n, c, _: _pad(a, n, c, False),
    "reverse": lambda a, _: a.decode()[::-1].encode(),
    "date_trunc": _date_trunc,
    "extract": _extract,
    "add_months": _add_months,
    "json_get": _json_get,
    "json_at": _json_at,
    "json_text": _json_text,
    "json_length": _json_length,
    "json_type": _json_type,
}

_COMPARED: dict[str, Callable[[object, object], bool]] = {
    "eq": lambda a, b: a == b,
    "ne": lambda a, b: a != b,
    "lt": lambda a, b: a < b,  # type: ignore[operator]
    "le": lambda a, b: a <= b,  # type: ignore[operator]
    "gt": lambda a, b: a > b,  # type: ignore[operator]
    "ge": lambda a, b: a >= b,  # type: ignore[operator]
}
for _op, _compare in _COMPARED.items():
    for _form in ("word", "float", "tail"):
        _OPERATIONS[f"{_op}_{_form}"] = lambda a, b, _, compare=_compare: int(compare(a, b))
