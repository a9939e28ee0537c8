"""Durability: the commit log, its files, and what to believe of them after a crash.

The database uses `open_log` and the `CommitLog` it returns; see `log.py` for the way of a commit
from there to the disk, `docs/durability.md` for what is promised.
"""

from reifydb.durability.group import Group, Lag
from reifydb.durability.log import CommitLog, FileLog, open_log
from reifydb.durability.memory import MemoryLog

__all__ = ["CommitLog", "FileLog", "Group", "Lag", "MemoryLog", "open_log"]
