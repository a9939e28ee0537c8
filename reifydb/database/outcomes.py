"""What became of each call of a batch: a lazy sequence over the kernel's bytes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import overload

from reifydb.database.outcome import Outcome
from reifydb.database.transitions import OUTCOME_BYTES, WasmTransition
from reifydb.engine.kernel import COMMITTED, OUTCOME


class Outcomes(Sequence[Outcome]):
    """One `Outcome` a call, in order; decoded when looked at.

    `len` and the first look cost O(calls) once, each look O(1).
    """

    def __init__(
        self, transition: WasmTransition, parts: Sequence[bytes], reasons: Mapping[int, str]
    ) -> None:
        self._transition, self._data = transition, b"".join(parts)
        self._reasons = reasons
        self._offsets: Sequence[int] | None = None

    @property
    def packed(self) -> bytes:
        """The kernel's bytes (docs/formats.md, "Outcomes")."""
        return self._data

    def _index(self) -> Sequence[int]:
        if self._offsets is None:
            offsets, at = [], 0
            while at < len(self._data):
                offsets.append(at)
                length = OUTCOME.unpack_from(self._data, at)[3]
                at += OUTCOME_BYTES + (length + 7 & ~7)
            self._offsets = offsets
        return self._offsets

    def __len__(self) -> int:
        return len(self._index())

    @overload
    def __getitem__(self, index: int) -> Outcome: ...
    @overload
    def __getitem__(self, index: slice) -> list[Outcome]: ...

    def __getitem__(self, index: int | slice) -> Outcome | list[Outcome]:
        if isinstance(index, slice):
            return [self._at(offset) for offset in self._index()[index]]
        return self._at(self._index()[index])

    def __iter__(self) -> Iterator[Outcome]:
        return map(self._at, self._index())

    def _at(self, offset: int) -> Outcome:
        status, code, lsn, length, _ = OUTCOME.unpack_from(self._data, offset)
        start = offset + OUTCOME_BYTES
        if status == COMMITTED:
            value = self._transition.read(self._data, start) if length else None
            return Outcome(value, None, lsn)
        payload = self._data[start : start + length]
        error = self._transition.failure(status, code, payload, self._reasons)
        return Outcome(None, error, lsn)

    @property
    def committed(self) -> int:
        """How many committed."""
        data = self._data
        return sum(data[at] == COMMITTED for at in self._index())

    def results(self) -> list[object]:
        """All results; raises the first error there is."""
        return [outcome.result() for outcome in self]

    def __repr__(self) -> str:
        return f"<{len(self)} outcomes of {self._transition.name}, {self.committed} committed>"
