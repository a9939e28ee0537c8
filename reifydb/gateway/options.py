"""What a request says besides its arguments. A name that is not known is refused, for it may be a
misspelled one, and what it asked for would silently not happen.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from reifydb.errors import RequestError, UnknownNameError


def options_of(given: Any, known: Collection[str], of: str, hint: str = "") -> Mapping[str, Any]:
    """The options of a message, `of` what that is: `a call`. None is none of them.

    Raises:
        RequestError: They are no object.
        UnknownNameError: There is no such option.
    """
    if given is None:
        return {}
    if not isinstance(given, dict):
        raise RequestError(f"options of {of} are an object", hint=hint)
    check_names(given, known, f"option of {of}:")
    return given


def check_names(given: Iterable[object], known: Collection[str], what: str) -> None:
    """Refuses what is none of the known names.

    Raises:
        UnknownNameError: Says which would be right.
    """
    for name in given:
        if name not in known:
            raise UnknownNameError(what, str(name)[:100], known)
