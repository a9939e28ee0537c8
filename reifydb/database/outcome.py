"""What became of one call."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one call.

    Attributes:
        value: Its result; None when it did not commit.
        error: Why it did not commit; None when it did.
        lsn: Of its commit, or the last one it could have seen.
    """

    value: object
    error: Exception | None
    lsn: int

    @property
    def ok(self) -> bool:
        """Whether it committed."""
        return self.error is None

    def result(self) -> object:
        """Its result; raises its error when it did not commit."""
        if self.error is not None:
            raise self.error
        return self.value
