"""JSON values on their way between Python and a column: canonical text (docs/formats.md).

What `json.dumps` would change silently is refused: keys that are not texts, NaN. Null within JSON
is `None` in Python; a column whose whole value is null in JSON, rather than null in SQL, is
`JSON_NULL`.
"""

from __future__ import annotations

import json
import math
from typing import Any, Final, final

from reifydb.config import json_bytes_max, json_nesting_max
from reifydb.engine.misfit import MisfitError

_NUMBER_BOUND = 17976931348623158 * 10**292
"""From here on a double is infinite."""


@final
class JsonNull:
    """The type of `JSON_NULL`. It is false, as None is."""

    def __bool__(self) -> bool:
        return False

    def __repr__(self) -> str:
        return "reifydb.JSON_NULL"

    def __reduce__(self) -> str:
        return "JSON_NULL"


JSON_NULL: Final = JsonNull()
"""The JSON value null, as the whole value of a column."""

Json = dict[str, Any] | list[Any] | tuple[Any, ...] | str | int | float | bool | JsonNull
"""What a JSON column holds and takes; as it is read there are no tuples."""

_encode = json.JSONEncoder(
    sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False, check_circular=False
).encode


def json_bytes(value: object) -> bytes:
    """The canonical text of a JSON value.

    Raises:
        MisfitError: It is no JSON value; says where in it. None is none: in a row it is null.
    """
    if value is JSON_NULL:
        return b"null"
    if value is None:
        raise MisfitError("json", value)
    _check(value)
    text = _encode(value)
    if "-0.0" in text:
        text = _encode(_without_negative_zeroes(value))
    try:
        data = text.encode()
    except UnicodeEncodeError as error:
        found = f"a lone surrogate U+{ord(text[error.start]):04X}"
        raise MisfitError("json", value, found=found) from None
    if len(data) > json_bytes_max:
        found = f"{len(data):,} bytes of it"
        raise MisfitError(f"json of at most {json_bytes_max:,} bytes", value, found=found)
    return data


def json_value(data: bytes | bytearray | memoryview) -> object:
    """The value of canonical text."""
    value = json.loads(str(data, "utf-8"))
    return JSON_NULL if value is None else value


def _without_negative_zeroes(value: object) -> object:
    if isinstance(value, dict):
        return {key: _without_negative_zeroes(member) for key, member in value.items()}
    if isinstance(value, list | tuple):
        return [_without_negative_zeroes(member) for member in value]
    return value + 0.0 if isinstance(value, float) else value


_SCALARS = frozenset({str, bool, type(None)})


def _check(value: object) -> None:
    """Refuses what is no JSON value. Not recursive: a list may contain itself."""
    waiting: list[tuple[object, str, int]] = [(value, "$", 0)]
    while waiting:
        one, path, depth = waiting.pop()
        if type(one) in _SCALARS or isinstance(one, str):
            continue
        if isinstance(one, dict | list | tuple):
            if depth == json_nesting_max:
                found = f"more at {path[:60]}"
                raise MisfitError(f"json nested at most {json_nesting_max} deep", one, found=found)
            if isinstance(one, dict):
                for key, member in one.items():
                    if not isinstance(key, str):
                        found = f"a key at {path[:60]} that is {key!r:.40}"
                        raise MisfitError("json, whose keys are str", one, found=found)
                    if type(member) not in _SCALARS:
                        waiting.append((member, f"{path}.{key}", depth + 1))
            else:
                waiting += [
                    (member, f"{path}[{i}]", depth + 1)
                    for i, member in enumerate(one)
                    if type(member) not in _SCALARS
                ]
        elif not _is_number(one):
            kind = type(one).__name__
            place = "" if path == "$" else f" at {path[:60]}"
            raise MisfitError("json", one, found=f"{kind} {one!r:.40}{place}")


def _is_number(value: object) -> bool:
    if isinstance(value, float):
        return math.isfinite(value)
    return isinstance(value, int) and -_NUMBER_BOUND < value < _NUMBER_BOUND
