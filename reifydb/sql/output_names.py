"""What the columns of a result are called."""

from __future__ import annotations

from typing import Any

from sqlglot import exp

from reifydb.sql.reader import Reader

_NAMES: dict[type, str] = {
    exp.Case: "case",
    exp.Exists: "exists",
    exp.Extract: "extract",
    exp.Trim: "trim",
    exp.Substring: "substring",
    exp.StrPosition: "position",
}


class OutputNames:
    """The names given so far. One that is there again gets a number, or is refused."""

    def __init__(self, reader: Reader, *, unique: bool) -> None:
        self.reader, self.unique = reader, unique
        self.taken: set[str] = set()

    def given(self, name: str, at: int) -> str:
        """The name, or with `_2`, `_3` … behind it the next that is free."""
        if name in self.taken and self.unique:
            self.reader.refuse(f"two columns are called {name}", at, hint=f"… as {name}_2")
        given, number = name, 1
        while given in self.taken:
            number += 1
            given = f"{name}_{number}"
        self.taken.add(given)
        return given


def name_of(node: Any) -> exp.Identifier | str | None:
    """The name of an output without an alias: that of its column or function, if it is one."""
    while True:
        if isinstance(node, exp.Paren | exp.Cast | exp.Filter | exp.Subquery):
            node = node.this
        elif isinstance(node, exp.Select) and len(node.expressions) == 1:
            node = node.expressions[0]
        else:
            break
    if isinstance(node, exp.Alias) and isinstance(node.args["alias"], exp.Identifier):
        return node.args["alias"]
    if isinstance(node, exp.Column):
        return node.this if isinstance(node.this, exp.Identifier) else None
    if isinstance(node, exp.Anonymous):
        return str(node.this).lower()
    return _NAMES.get(type(node))
