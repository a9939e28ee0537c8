"""What a subscription is to: a table or a view by its name, or a select.

It may become another one under a subscription that goes on: a table gets other columns, a select's
table a new one. So whoever begins a snapshot asks anew. Everything in a turn.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from reifydb.errors import SchemaError

if TYPE_CHECKING:
    from reifydb.database.database import Database
    from reifydb.database.followed import Followed
    from reifydb.database.queries import Terms
    from reifydb.database.tables import TableHandle


@dataclass(frozen=True, slots=True, eq=False)
class Source:
    """Where deltas and snapshots come from.

    Attributes:
        handle: How rows and keys look.
        stream: The number of the deltas' stream in the kernel.
        followed: The select; None: a table or a view.
    """

    handle: TableHandle
    stream: int
    followed: Followed | None = None


class Subject(Protocol):
    """What a subscription is to.

    Attributes:
        name: What it is called in messages.
    """

    name: str

    def source(self) -> Source:
        """Where its deltas come from now.

        Raises:
            ReifyDBError: There is no such thing any more; the subscription ends.
        """

    def leave(self) -> None:
        """The subscription has ended."""


class TableSubject:
    """A table or a view, followed through all that is renamed."""

    def __init__(self, db: Database, handle: TableHandle) -> None:
        self._db, self._number, self.name = db, handle.number, handle.name

    def source(self) -> Source:
        """See `Subject`."""
        handle = self._db._state.catalog.by_number.get(self._number)
        if handle is None:
            raise SchemaError(f"table {self.name} was dropped")
        return Source(handle, handle.number)

    def leave(self) -> None:
        """See `Subject`."""


class SelectSubject:
    """A select with values; its text is read anew when the schema has changed under it."""

    def __init__(self, db: Database, sql: str, params: object, terms: Terms | None) -> None:
        self._hub = db._subscriptions
        self._sql, self._params, self._terms = sql, params, terms
        self.name = "select"
        self._followed: Followed | None = None

    def source(self) -> Source:
        """See `Subject`."""
        found = self._followed
        if found is None or found.closed:
            self._hub.take()  # what is said of one that is gone must not reach this one
            found = self._hub.selects.join(self._sql, self._params, self._terms)
            self._followed = found
        return Source(found.handle, found.stream, found)

    def leave(self) -> None:
        """See `Subject`."""
        found, self._followed = self._followed, None
        if found is not None:
            self._hub.forget_select(found)


def is_select(what: object) -> bool:
    """Whether somebody names a select rather than a table: no name has a space or a parenthesis."""
    return isinstance(what, str) and any(c.isspace() or c == "(" for c in what)
