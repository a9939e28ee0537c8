"""What readers of all statements share: names, and what is refused with its position."""

from __future__ import annotations

import re
from typing import Any, NoReturn

from sqlglot import exp

from reifydb.engine.catalog import NAME
from reifydb.sql.source import SUPPORTED, Source

RESERVED_PREFIX = "reifydb_"
"""Names of tables that begin so are the system's."""

CAST_HINT = "say what it is: cast(… as …), or …::…"

HINTS = {
    "unique": "make the column the primary key, or check in the transition that writes it",
    "collate": "text is ordered by code point",
    "comment": "write it as an SQL comment: -- …",
    "a generated column": "compute the value in the transition that writes it",
    "temporary": 'open a second database with reifydb.open(":memory:")',
    "unlogged": 'a database that keeps nothing is opened with reifydb.open(":memory:")',
    "like": "write the columns out",
    "constraint": "leave the name out: only checks and foreign keys have names",
}


class Reader:
    """One statement being read. `at` is where to point when nothing nearer is known."""

    def __init__(self, source: Source, at: int) -> None:
        self.source, self.at = source, at

    # -------------------------------------------------------------- names

    def table_name(self, table: object) -> str:
        """The name of the table."""
        if not isinstance(table, exp.Table):
            self.refuse("a table has a name", hint=SUPPORTED)
        if table.args.get("db") or table.args.get("catalog"):
            at = self.source.start(table, self.at)
            self.refuse("a table's name has no dot", at, hint="there is one schema only")
        self.only(table, "a table's name", "this")
        name = self.name(table.this, "table")
        if name.startswith(RESERVED_PREFIX):
            at = self.source.start(table, self.at)
            hint = f"names that begin with {RESERVED_PREFIX} are the system's"
            self.refuse(f"table name {name} is reserved", at, hint=hint)
        return name

    def name(self, node: object, kind: str) -> str:
        """A name: in lower case unless quoted."""
        if not isinstance(node, exp.Identifier):
            self.refuse(f"this is not a {kind}'s name", hint=SUPPORTED)
        name = str(node.this)
        if not node.args.get("quoted"):
            name = name.lower()
        if not NAME.fullmatch(name):
            at = self.source.start(node, self.at)
            hint = "a to z, 0 to 9 and _, not a digit first, at most 63 characters"
            self.refuse(f"{name[:80]!r} cannot be a {kind}'s name", at, hint=hint)
        return name

    # -------------------------------------------------------------- what is refused

    def refuse(self, message: str, at: int | None = None, *, hint: str = "") -> NoReturn:
        """Raises the error that points at `at`, or at the statement."""
        self.source.refuse(message, self.at if at is None else at, hint=hint)

    def only(self, node: exp.Expression, what: str, *wanted: str) -> None:
        """Refuses a node that says more than what is wanted of it."""
        for key, said in node.args.items():
            if said and key not in wanted:
                at = self.source.start(node, self.at)
                self.refuse(
                    f"{what}: {key.replace('_', ' ')} is not supported", at, hint=self.source.hint
                )

    def properties(self, tree: exp.Create) -> None:
        """Whatever stands before `table` or after the columns is a property; none is supported."""
        properties = tree.args.get("properties")
        if properties and properties.expressions:
            self.refuse_feature(properties.expressions[0], self.at)

    def refuse_feature(self, node: object, at: int) -> NoReturn:
        """Names a feature that is not supported by its node's name."""
        words = re.sub(r"(ColumnConstraint|Property)$", "", type(node).__name__)
        words = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", words).lower()
        words = {"reference": "references", "computed": "a generated column"}.get(words, words)
        self.refuse(f"{words} is not supported", at, hint=HINTS.get(words, SUPPORTED))


def bare(node: Any) -> Any:
    """A node without the parentheses around it."""
    while isinstance(node, exp.Paren):
        node = node.this
    return node
