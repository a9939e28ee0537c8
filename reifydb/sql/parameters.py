"""Parameters of a query: `:name`, `?` or `$1`, one of these ways in one query.

Their kinds are found while the query is read, from what they stand beside.
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlglot import exp

from reifydb.sql.expressions import Kind
from reifydb.sql.source import Source

NUMBER_MAX = 256
"""Parameters of a query: they are one row."""


class Parameters:
    """The parameters of a statement: named ones and `?` in the order of the text.

    Args:
        tree: The statement.
        known: Their kinds, where the caller knows them.

    Raises:
        SqlError: They are written in several ways, are too many, or are not as many as known.
    """

    def __init__(self, source: Source, tree: exp.Expression, known: Sequence[Kind] | None) -> None:
        nodes = sorted(
            tree.find_all(exp.Placeholder, exp.Parameter), key=lambda node: source.start(node, 0)
        )
        self.source, self.names = source, []
        self._index: dict[int, int] = {}
        ways = {_way(node) for node in nodes}
        if len(ways) > 1:
            at = source.start(nodes[0], 0)
            source.refuse(f"parameters are written as {' and '.join(sorted(ways))}: take one", at)
        for node in nodes:
            self._number(node, source.start(node, 0))
        self.kinds: list[Kind | None] = [None] * len(self.names)
        if known is not None:
            if len(known) != len(self.names):
                source.refuse(f"{len(self.names)} parameters stand here, {len(known)} are given", 0)
            self.kinds = list(known)

    names: list[str | None]

    def index(self, node: exp.Expression) -> int:
        """The number of the parameter that a node is, from 0."""
        return self._index[id(node)]

    def kind(self, node: exp.Expression) -> Kind | None:
        """Its kind, if that is known by now."""
        return self.kinds[self.index(node)]

    def finished(self) -> tuple[Kind, ...]:
        """The kinds of all, once everything has been read.

        Raises:
            SqlError: One of them is used nowhere: `$2` without `$1`.
        """
        for index, kind in enumerate(self.kinds):
            if kind is None:
                self.source.refuse(f"parameter ${index + 1} is used nowhere", 0)
        return tuple(kind for kind in self.kinds if kind is not None)

    def _number(self, node: exp.Expression, at: int) -> None:
        name: str | None = None
        match _way(node):
            case ":name":
                name = str(node.this)
                index = self.names.index(name) if name in self.names else len(self.names)
            case "?":
                index = len(self.names)
            case _:
                text = str(node.this.this) if isinstance(node.this, exp.Literal) else ""
                if not text.isdecimal() or not 1 <= int(text[:9]) <= NUMBER_MAX:
                    self.source.refuse(f"a parameter is $1 to ${NUMBER_MAX}, or :name", at)
                index = int(text) - 1
        if index >= NUMBER_MAX:
            self.source.refuse(f"more than {NUMBER_MAX} parameters", at)
        self.names += [None] * (index + 1 - len(self.names))
        self.names[index] = name
        self._index[id(node)] = index


def _way(node: exp.Expression) -> str:
    if isinstance(node, exp.Parameter):
        return "$1"
    return ":name" if isinstance(node.this, str) else "?"
