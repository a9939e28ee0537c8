"""Audit: a line of the log for each change of the schema, of modules and of tokens, with who asked
for it and what became of it. What is refused before it begins, for want of a capability or because
it is malformed, is none.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from reifydb.errors import OperatorError, ReifyDBError

_LOG = logging.getLogger("reifydb.audit")

TEXT_CHARACTERS_MAX = 1000
"""Of a text that goes into a line, such as SQL; the rest is cut."""


@dataclass(frozen=True, slots=True)
class Deed:
    """What somebody is about to change.

    Attributes:
        action: `schema.change`, `module.install`, `module.remove`, `token.make` or `token.revoke`.
        facts: What of it; nothing secret.
    """

    action: str
    facts: Mapping[str, Any]


def record(deed: Deed, who: str, address: str, error: BaseException | None, lsn: int) -> None:
    """Writes the line of a deed that has been done, or has failed."""
    outcome = "done"
    if error is not None:
        outcome = error.code if isinstance(error, ReifyDBError) else OperatorError.code
    facts = {
        name: value[:TEXT_CHARACTERS_MAX] if isinstance(value, str) else value
        for name, value in deed.facts.items()
    }
    shown = " ".join(f"{name}={value!r}" for name, value in facts.items())
    audit = {"action": deed.action, "who": who, "address": address, "outcome": outcome} | (
        {"lsn": lsn} | facts
    )
    _LOG.info("%s by %s: %s %s", deed.action, who, outcome, shown, extra={"facts": audit})
