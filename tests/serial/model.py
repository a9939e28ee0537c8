"""What tests/guests/zig/serial.zig and the host's operations do, in plain Python, one at a time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

Result = Any
"""What an operation answered: its value, or one of the words below when it was refused."""

ABORTED, TRAPPED, DEADLINE = "aborted", "trapped", "deadline"
DUPLICATE, NOT_FOUND = "duplicate", "not found"
ENDED = (ABORTED, TRAPPED, DEADLINE)


@dataclass(frozen=True, slots=True)
class Step:
    """One operation and what it answered."""

    name: str
    args: tuple[Any, ...]
    result: Result


class State:
    """The cells, and the notes: those are numbered from 1 and never deleted, so the states of one
    history share one list and know how much of it is theirs.
    """

    __slots__ = ("_base", "_notes", "_own", "cells")

    def __init__(self) -> None:
        self.cells: dict[int, int] = {}
        self._base: list[int] = []
        self._notes = 0
        self._own: list[int] = []  # behind the base's

    def copy(self) -> State:
        other = State.__new__(State)
        other.cells, other._base = self.cells.copy(), self._base
        other._notes, other._own = self._notes, self._own.copy()
        return other

    def settle(self) -> None:
        """This is the newest committed state: its notes belong to the base."""
        assert len(self._base) == self._notes
        self._base += self._own
        self._notes, self._own = len(self._base), []

    @property
    def notes(self) -> int:
        return self._notes + len(self._own)

    def same(self, other: State) -> bool:
        return self.cells == other.cells and self.notes == other.notes

    def note(self, number: int) -> int | None:
        at = number - 1
        if 0 <= at < self._notes:
            return self._base[at]
        return self._own[at - self._notes] if self._notes <= at < self.notes else None

    def add_note(self, n: int) -> int:
        self._own.append(n)
        return self.notes

    def sum(self) -> dict[str, int]:
        digest = 0
        for key, n in sorted(self.cells.items()):
            digest = (digest * 31 + key * 7 + n) % 1_000_003
        return {"count": len(self.cells), "total": sum(self.cells.values()), "digest": digest}


def play(state: State, step: Step) -> Result:
    """Does a step to a state and returns its answer; what is refused or ended changes nothing."""
    if step.result == DEADLINE and step.name in TRANSITIONS:
        return DEADLINE  # nobody knows what it saw; others than `spin` on a busy machine
    return _PLAYS[step.name](state, *step.args)


def _move(state: State, source: int, target: int, amount: int) -> Result:
    cells = state.cells
    held = cells.get(source, 0)
    if held < amount:
        return ABORTED
    cells[source] = held - amount
    other = cells.get(target, 0)
    cells[target] = other + amount
    return {"source": held, "target": other}


def _put(state: State, key: int, n: int) -> Result:
    held = state.cells.get(key)
    state.cells[key] = n
    return held


def _collect(state: State, key: int) -> Result:
    found = state.sum()
    state.cells[key] = found["digest"]
    return found


def _get(state: State, key: int) -> Result:
    n = state.cells.get(key)
    return None if n is None else {"id": key, "n": n}


def _get_note(state: State, key: int) -> Result:
    n = state.note(key)
    return None if n is None else {"id": key, "n": n}


def _scan(state: State, lower: int, reverse: bool, limit: int | None) -> Result:
    found = sorted(key for key in state.cells if key >= lower)
    found = found[::-1] if reverse else found
    return [(key, state.cells[key]) for key in found[:limit]]


def _insert(state: State, key: int, n: int) -> Result:
    if key in state.cells:
        return DUPLICATE
    state.cells[key] = n
    return key


def _update(state: State, key: int, n: int) -> Result:
    if key not in state.cells:
        return NOT_FOUND
    state.cells[key] = n
    return None


def _upsert(state: State, key: int, n: int) -> Result:
    state.cells[key] = n
    return None


TRANSITIONS = ("move", "put", "take", "sum", "collect", "note", "trap", "spin")

_PLAYS: dict[str, Any] = {
    "move": _move,
    "put": _put,
    "take": lambda state, key: state.cells.pop(key, None),
    "sum": lambda state: state.sum(),
    "collect": _collect,
    "note": lambda state, n: state.add_note(n),
    "trap": lambda state, key, n: TRAPPED,
    "spin": lambda state, key, n: DEADLINE,
    "get": _get,
    "get_note": _get_note,
    "count": lambda state: len(state.cells),
    "count_notes": lambda state: state.notes,
    "scan": _scan,
    "insert": _insert,
    "update": _update,
    "upsert": _upsert,
    "delete": lambda state, key: state.cells.pop(key, None) is not None,
    "tx_note": lambda state, n: state.add_note(n),
}
