"""What a client may do: capabilities. What is not granted is refused."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from reifydb.errors import ForbiddenError, RequestError

KINDS = ("call", "read", "write", "subscribe", "modules", "schema", "operations")
"""`call`, `read`, `write` and `subscribe` may name what they are for: `call:bank.transfer`,
`call:bank.*`, `read:account`. Alone they are for all."""

_NAMED = frozenset({"call", "read", "write", "subscribe"})


@dataclass(frozen=True)
class Grant:
    """The capabilities of one client.

    Attributes:
        name: Whose they are: a token's name, `anonymous` where no tokens are needed.
        capabilities: As `KINDS` says.
    """

    name: str
    capabilities: frozenset[str]
    _everything: frozenset[str] = field(init=False, compare=False)

    def __post_init__(self) -> None:
        for capability in self.capabilities:
            check_capability(capability)
        everything = frozenset(kind for kind in KINDS if kind in self.capabilities)
        object.__setattr__(self, "_everything", everything)

    def may(self, kind: str, name: str = "") -> bool:
        """Whether it may do this, with what has this name. 0.1 µs when it may with all."""
        if kind in self._everything:
            return True
        if not name:
            return False
        if f"{kind}:{name}" in self.capabilities:
            return True
        return f"{kind}:{name.partition('.')[0]}.*" in self.capabilities

    def may_some(self, kind: str) -> bool:
        """Whether there is something that it may do this with."""
        return kind in self._everything or any(c.startswith(f"{kind}:") for c in self.capabilities)

    @property
    def may_call_all(self) -> bool:
        """Whether it may call whatever there is."""
        return "call" in self._everything

    def require(self, kind: str, name: str = "") -> None:
        """Refuses what it may not do.

        Raises:
            ForbiddenError: Names the capability that is missing.
        """
        if not self.may(kind, name):
            needed = f"{kind}:{name}" if name and kind in _NAMED else kind
            raise ForbiddenError(f"{self.name} may not {kind} {name}".rstrip(), capability=needed)

    def require_all_of(self, capability: str) -> None:
        """Refuses what would grant more than this does.

        Raises:
            RequestError: It is no capability.
            ForbiddenError: It is one that this has not.
        """
        check_capability(capability)
        kind, _, name = capability.partition(":")
        if not self.may(kind, name):
            raise ForbiddenError(
                f"{self.name} may not grant {capability}, which it may not do itself",
                capability=capability,
            )


def check_capability(capability: str) -> None:
    """Refuses what is no capability.

    Raises:
        RequestError: Says what would be one.
    """
    kind, colon, name = capability.partition(":")
    if kind not in KINDS or (colon and (kind not in _NAMED or not name)):
        raise RequestError(
            f"{capability!r} is no capability",
            hint=f"{', '.join(KINDS)}; the first four also for one thing: call:bank.transfer",
        )


def grant_of(name: str, capabilities: Iterable[str]) -> Grant:
    """A grant of these capabilities."""
    return Grant(name, frozenset(capabilities))


EVERYTHING = grant_of("anonymous", KINDS)
"""What clients may do where no tokens are needed: on loopback, unless there are some."""
