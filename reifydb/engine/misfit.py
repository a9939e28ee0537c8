"""A value that does not fit its column's type, said for people."""

from __future__ import annotations

import reprlib

_short = reprlib.Repr()
_short.maxstring = _short.maxother = 40
_short.maxlevel = 2


class MisfitError(ValueError):
    """A value does not fit a type. `expected` and `got` are for people; `hint` may be empty."""

    def __init__(self, expected: str, value: object, *, found: str = "", hint: str = "") -> None:
        super().__init__(expected)
        self.expected, self.value, self.found, self.hint = expected, value, found, hint

    def got(self, *, secret: bool = False) -> str:
        """What was there instead, shortened; a secret value is not shown."""
        name = type(self.value).__name__
        return f"{name} (secret)" if secret else self.found or describe(self.value)


def describe(value: object) -> str:
    """Type and shortened value, as error messages show them: `str 'x'`, `null`."""
    if value is None:
        return "null"
    name = type(value).__name__
    if isinstance(value, int) and value.bit_length() > 128:
        return f"{name} of {value.bit_length():,} bits"
    return f"{name} {_short.repr(value)}"
