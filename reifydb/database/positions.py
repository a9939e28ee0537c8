"""Where in its history a database is."""

from __future__ import annotations

from typing import NamedTuple


class Position(NamedTuple):
    """An lsn, and the incarnation that gave it out.

    After a crash the next incarnation gives out again the lsns that were lost, for other commits;
    so an lsn alone does not say which state is meant.
    """

    incarnation: int
    lsn: int
