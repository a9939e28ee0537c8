"""Tokens: who may do what, kept in the database as hashes.

A token is 256 random bits, shown once, when it is made. The database has its SHA-256 only, so that
whoever reads the folder cannot use it: a hash without salt and stretching is enough for what nobody
can guess. The table is made with the first token.
"""

from __future__ import annotations

import hashlib
import secrets
import time
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from reifydb.database import Database
from reifydb.database.tables import TOKENS
from reifydb.engine.values import timestamp_slot
from reifydb.errors import RequestError, UnauthenticatedError, UnknownNameError
from reifydb.gateway.grants import Grant, grant_of

DAYS_MAX = 36_500

PREFIX = "rdb_"
"""How tokens begin, so that scanners for leaked secrets can find them."""


@dataclass(frozen=True, slots=True)
class Token:
    """A token as the database knows it: all but itself."""

    name: str
    capabilities: tuple[str, ...]
    expires_us: int | None

    @property
    def expired(self) -> bool:
        """Whether it is good no more."""
        return self.expires_us is not None and self.expires_us <= time.time() * 1e6

    def shown(self) -> dict[str, Any]:
        """For people and programs: when it expires in UTC, None: never."""
        expires = None
        if self.expires_us is not None:
            at = datetime.fromtimestamp(self.expires_us // 1_000_000, UTC)
            expires = at.strftime("%Y-%m-%dT%H:%M:%SZ")
        return {"name": self.name, "capabilities": list(self.capabilities), "expires": expires}


class Tokens:
    """The tokens of one database."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._seen: tuple[int, dict[bytes, Token]] = (-1, {})

    @property
    def any(self) -> bool:
        """Whether there are any."""
        return bool(self._known())

    def list(self) -> list[Token]:
        """All of them, by name."""
        return sorted(self._known().values(), key=lambda token: token.name)

    def make(self, name: str, capabilities: Iterable[str], *, days: float | None = None) -> str:
        """Makes a token, and returns it: nobody can ask for it again.

        Raises:
            RequestError: A capability is none, or there is a token of this name.
        """
        grant = grant_of(name, capabilities)
        if not name or len(name) > 100:
            raise RequestError("a token's name has 1 to 100 characters")
        if any(known.name == name for known in self.list()):
            raise RequestError(f"there is a token {name!r} already")
        token = PREFIX + secrets.token_urlsafe(32)
        if days is not None and not 0 < days <= DAYS_MAX:
            raise RequestError(f"a token is good for up to {DAYS_MAX:,} days")
        expires = None if days is None else int((time.time() + days * 86_400) * 1e6)
        row: dict[str, object] = {
            "name": name,
            "sha256": _digest(token),
            "capabilities": sorted(grant.capabilities),
            "expires": expires,
        }
        self._db.write_system(TOKENS, row)
        return token

    def remove(self, name: str) -> None:
        """Takes a token away.

        Raises:
            UnknownNameError: There is none of this name.
        """
        known = [token.name for token in self.list()]
        if name not in known:
            raise UnknownNameError("token", name, known)
        self._db.delete_system(TOKENS, name)

    def grant(self, token: str) -> Grant:
        """What the holder of a token may do.

        Raises:
            UnauthenticatedError: It is not known, or has expired.
        """
        found = self._known().get(_digest(token))
        if found is None:
            raise UnauthenticatedError("the token is not known")
        if found.expired:
            raise UnauthenticatedError(f"the token {found.name!r} has expired")
        return grant_of(found.name, found.capabilities)

    def digest_of(self, token: str) -> bytes:
        """What a connection remembers of its token."""
        return _digest(token)

    def still_good(self, digest: bytes) -> bool:
        """Whether the token with this digest is known, and has not expired."""
        found = self._known().get(digest)
        return found is not None and not found.expired

    def _known(self) -> dict[bytes, Token]:
        """By digest. Looked up by the digest of what was given, so that how long it takes says
        nothing of the tokens themselves.
        """
        db = self._db
        if TOKENS.name not in db._state.catalog.handles:
            return {}
        lsn = db._kernel.call["last_lsn"](db._state.catalog.handles[TOKENS.name].number)
        if lsn != self._seen[0]:
            found = {}
            for row in db.scan(TOKENS.name):
                digest, capabilities = row["sha256"], row["capabilities"]
                assert isinstance(digest, bytes)
                assert isinstance(capabilities, list)
                expires = row["expires"]
                micros = None if expires is None else timestamp_slot(expires)
                found[digest] = Token(str(row["name"]), tuple(capabilities), micros)
            self._seen = lsn, found
        return self._seen[1]


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "replace")).digest()
