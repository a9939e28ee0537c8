"""The database that a command works on: a folder, which is opened here, or a server.

Both sides of `Target` speak the `PLAIN` dialect (docs/wire.md, "Values"): what a command prints as
JSON is the same for a folder and for a server.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

from reifydb.cli.options import Place
from reifydb.errors import RequestError

Row = dict[str, Any]
Args = Sequence[Any] | Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Answer:
    """What a call was answered with.

    Attributes:
        value: Its result; a row is an array.
        lsn: As of which.
        incarnation: Of the database.
    """

    value: Any
    lsn: int
    incarnation: int


class Target(Protocol):
    """A database. What it is asked for is durable when it answers."""

    def schema(self) -> dict[str, Any]:
        """Its tables and transitions, as `GET /v1/schema` has them."""

    def tables(self) -> list[dict[str, Any]]:
        """Its tables with their rows and what they take, as `GET /v1/tables` has them."""

    def call(self, transition: str, args: Args) -> Answer:
        """Calls a transition."""

    def get(self, table: str, key: Sequence[Any]) -> Row | None:
        """The row with this primary key."""

    def scan(self, table: str, options: Mapping[str, Any], limit: int | None) -> Iterator[Row]:
        """Rows in the order of a key; `options` as those of the WebSocket's scan."""

    def query(self, sql: str, params: Any) -> dict[str, Any]:
        """The answer to a `select`, as `POST /v1/query` has it."""

    def execute(self, sql: str) -> None:
        """Changes the schema."""

    def plan_schema(self, sql: str) -> dict[str, Any]:
        """What that would change, as `POST /v1/schema?dry_run=1` has it."""

    def install(self, wasm: bytes, name: str, *, apply_schema: bool) -> dict[str, Any]:
        """Installs a module; what it is."""

    def plan(self, wasm: bytes, name: str, *, apply_schema: bool) -> dict[str, Any]:
        """What installing it would do."""

    def modules(self) -> list[dict[str, Any]]:
        """The installed modules."""

    def remove(self, module: str) -> None:
        """Removes a module."""

    def tokens(self) -> list[dict[str, Any]]:
        """The tokens: name, capabilities, when they expire."""

    def make_token(
        self, name: str, capabilities: Sequence[str], days: float | None
    ) -> dict[str, Any]:
        """Makes one; the same, and `token`."""

    def revoke_token(self, name: str) -> None:
        """Takes one away."""


@contextmanager
def open_target(place: Place, *, make: bool = False) -> Iterator[Target]:
    """The database at a place, while the block runs.

    Args:
        place: Where it is.
        make: A folder that is not there is made; else that is an error.

    Raises:
        RequestError: There is no database, or the URL is none.
        LockedError, …: As `reifydb.open`.
        UnavailableError: The server cannot be reached; it may show with the first request.
    """
    if place.url is not None:
        from reifydb.cli.remote import Remote

        yield Remote(place.url, place.token)
        return
    assert place.path is not None
    from reifydb.cli.folder import opened

    if not make:
        check_there(place.path)
    with opened(place.path) as folder:
        yield folder


def check_there(path: str) -> None:
    """Refuses a folder without a database: opening would make one, and nobody meant that.

    Raises:
        RequestError: There is none.
    """
    if path.startswith(("http://", "https://")):
        raise RequestError(f"{path} is no folder", hint=f"--url {path}")
    if not os.path.isfile(os.path.join(path, "IDENTITY")):
        raise RequestError(
            f"there is no database in {path}",
            hint="reifydb serve, install --apply-schema and schema --apply make one",
        )
