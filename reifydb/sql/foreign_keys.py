"""Foreign keys from syntax trees.

    [constraint NAME] foreign key (COLUMN, …) references TABLE [(COLUMN, …)]
        [on delete {no action | restrict | cascade}] [on update {no action | restrict}]

and behind a column `[constraint NAME] references TABLE [(COLUMN)] …`. Whether there is such a table
is for the database to say.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NoReturn

from sqlglot import exp

from reifydb import config
from reifydb.engine.catalog import ForeignKey, Table, free_name
from reifydb.sql.reader import Reader

_DEFERRED = "foreign keys are compared when the transaction ends"

_OPTIONS = {
    "on delete no action": False,
    "on delete restrict": False,
    "on delete cascade": True,
    "on update no action": False,
    "on update restrict": False,
    "match simple": False,
    "deferrable": False,
    "initially deferred": False,
}
"""What may stand behind one, and whether deletes cascade then."""

_HINTS = {
    "on delete set null": "set the columns null in the transition that deletes",
    "on delete set default": "set the columns in the transition that deletes",
    "on update cascade": "a primary key does not change; write the others in the same transaction",
    "on update set null": "set the columns null in the transition that updates",
    "match full": "a key with a null references nothing",
    "initially immediate": _DEFERRED,
}


_NO_NAMES: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class KeyText:
    """A foreign key as it is written: columns by name.

    Attributes:
        to: Empty: the primary key.
        at: Where it stands in the script.
    """

    name: str | None
    columns: tuple[str, ...]
    table: str
    to: tuple[str, ...]
    cascade: bool
    at: int = 0


class KeyReader(Reader):
    """One foreign key being read."""

    def of_table(self, name: str | None, node: exp.ForeignKey) -> KeyText:
        """`foreign key (…) references …`."""
        at = self.source.start(node, self.at)
        self.only(node, "foreign key", "expressions", "reference")
        columns = self._columns(node.expressions, "the foreign key")
        reference = node.args.get("reference")
        if not isinstance(reference, exp.Reference) or not columns:
            hint = "foreign key (column, …) references table (column, …)"
            self.refuse("a foreign key has columns and a table", at, hint=hint)
        return self._read(name, columns, reference, at)

    def of_column(self, name: str | None, column: str, node: exp.Reference, at: int) -> KeyText:
        """`references …` behind a column."""
        return self._read(name, (column,), node, at)

    def _read(
        self, name: str | None, columns: tuple[str, ...], node: exp.Reference, at: int
    ) -> KeyText:
        self.only(node, "references", "this", "options")
        target, to = node.this, _NO_NAMES
        if isinstance(target, exp.Schema):
            to = self._columns(target.expressions, "what it references")
            target = target.this
        if to and len(to) != len(columns):
            message = f"the foreign key has {len(columns)} columns, and references {len(to)}"
            self.refuse(message, at)
        return KeyText(name, columns, self.table_name(target), to, self._cascade(node, at), at)

    def _columns(self, nodes: list[exp.Expression], what: str) -> tuple[str, ...]:
        names = tuple(self.name(node, "column") for node in nodes)
        for i, name in enumerate(names):
            if name in names[:i]:
                self.refuse(
                    f"column {name} is in {what} twice", self.source.start(nodes[i], self.at)
                )
        return names

    def _cascade(self, node: exp.Reference, at: int) -> bool:
        said: dict[str, str] = {}
        for option in node.args.get("options") or ():
            text = " ".join(str(option).lower().split())
            if text not in _OPTIONS:
                self._refuse_option(text, at)
            about = " ".join(text.split()[:2]) if text.startswith("on ") else text
            if about in said:
                self.refuse(f"{about} is said twice", at)
            said[about] = text
        return any(_OPTIONS[text] for text in said.values())

    def _refuse_option(self, text: str, at: int) -> NoReturn:
        hint = _HINTS.get(text, "on delete no action, on delete restrict or on delete cascade")
        self.refuse(f"{text} is not supported", at, hint=hint)


def with_keys(reader: Reader, table: Table, texts: list[KeyText]) -> Table:
    """The table with foreign keys; those that have no name are called by their columns.

    Raises:
        SqlError: A column is not there, or a name is there twice.
    """
    if len(texts) > config.foreign_keys_max:
        at, limit = texts[-1].at, config.foreign_keys_max
        reader.refuse(f"too many foreign keys: foreign_keys_max is {limit}", at)
    made: list[ForeignKey] = []
    taken = {check.name for check in table.checks}
    for text in sorted(texts, key=lambda one: one.name is None):
        if text.name in taken:
            reader.refuse(f"two constraints are called {text.name}", text.at)
        for column in text.columns:
            if table.position(column) is None:
                known = ", ".join(c.name for c in table.columns[:8])
                reader.refuse(f"there is no column {column}", text.at, hint=f"there are: {known}")
        one = key_of(table, text, taken)
        taken.add(one.name)
        made.append(one)
    return replace(table, foreign_keys=tuple(made))


def key_of(table: Table, text: KeyText, taken: set[str]) -> ForeignKey:
    """A foreign key of a table that has its columns.

    Args:
        taken: Names of the table's constraints.
    """
    positions = tuple(table.position(name) or 0 for name in text.columns)
    name = text.name or free_name("_".join((table.name, *text.columns)), "_fkey", taken)
    return ForeignKey(name, positions, text.table, text.to, text.cascade)
