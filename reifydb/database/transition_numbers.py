"""The numbers of transitions: the log knows them by these, so no number is ever given twice."""

from __future__ import annotations

from collections.abc import Iterable

from reifydb.config import transitions_max
from reifydb.database.state import State
from reifydb.database.tables import TRANSITIONS
from reifydb.errors import LimitError


def number_transitions(state: State, module: str, names: Iterable[str]) -> dict[str, int]:
    """A number for each transition of a module or a primitive: the one it had before, else one that
    was never used. New ones are written down, inside the open transaction.

    Raises:
        LimitError: There are no more.
    """
    there = all_numbers(state)
    known = there.get(module, {})
    following = max((n for of in there.values() for n in of.values()), default=0) + 1
    numbers: dict[str, int] = {}
    for name in names:
        number = known.get(name)
        if number is None:
            number, following = following, following + 1
        if number >= transitions_max:
            raise LimitError("too many transitions", limit="transitions_max", value=transitions_max)
        numbers[name] = number
    new = [
        {"number": number, "module": module, "name": name}
        for name, number in numbers.items()
        if name not in known
    ]
    if new:
        state.write_system(TRANSITIONS, *new)
    return numbers


def all_numbers(state: State) -> dict[str, dict[str, int]]:
    """The numbers of all transitions, by module or primitive and by name. O(all)."""
    found: dict[str, dict[str, int]] = {}
    for row in state.rows_of(TRANSITIONS):
        found.setdefault(str(row["module"]), {})[str(row["name"])] = _int(row["number"])
    return found


def _int(value: object) -> int:
    assert isinstance(value, int)
    return value
