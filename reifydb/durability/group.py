"""A group of commits, and how much is not yet durable: what the log and its users exchange."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Group:
    """Consecutive commits as the kernel handed them over.

    Attributes:
        first_lsn: The lsn of the first commit.
        commits: How many, at least 1.
        records: Their redo records, opaque here.
        state_hash: 16 bytes: the state after the last of them.
    """

    first_lsn: int
    commits: int
    records: bytes
    state_hash: bytes

    @property
    def last_lsn(self) -> int:
        """The lsn of the last commit."""
        return self.first_lsn + self.commits - 1


@dataclass(frozen=True, slots=True)
class Lag:
    """What is committed and not durable.

    Attributes:
        commits: How many commits.
        bytes: Of their redo records.
        ms: The age of the oldest of them in milliseconds.
    """

    commits: int
    bytes: int
    ms: float
