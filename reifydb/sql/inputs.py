"""What stands in `from`: tables, queries in parentheses, those of `with`, and their joins."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Literal

from sqlglot import exp

from reifydb import config
from reifydb.engine.catalog import OpenView, Table, Tables
from reifydb.errors import did_you_mean
from reifydb.sql.expression_reader import ExpressionReader
from reifydb.sql.expressions import ColumnRef, column_kind
from reifydb.sql.open_views import Uses, read_values
from reifydb.sql.parameters import Parameters
from reifydb.sql.query import Input, Query
from reifydb.sql.reader import Reader
from reifydb.sql.scope import Scope, ScopeInput
from reifydb.sql.source import Source

JOINS_HINT = "inner join … on …, or left join … on …"


@dataclass(frozen=True, slots=True)
class Relations:
    """What a name in `from` may mean.

    Attributes:
        table: What else a name means.
        queries: Those of `with`, which hide tables of the same name.
        read: Reads a query in parentheses.
        uses: What becomes of views with parameters.
    """

    table: Tables
    queries: dict[str, Query]
    read: Callable[[exp.Expression, dict[str, Query]], Query]
    uses: Uses


class InputsReader(Reader):
    """Reads one `from` with its joins into inputs, and their columns into a scope."""

    def __init__(
        self, source: Source, at: int, parameters: Parameters, relations: Relations, scope: Scope
    ) -> None:
        super().__init__(source, at)
        self.parameters, self.relations = parameters, relations
        self.scope = scope
        self.inputs: list[Input] = []

    def read(self, tree: exp.Select) -> None:
        """`from … join …`, which may not be there."""
        first = tree.args.get("from_")
        if first is None:
            return
        self.only(first, "from", "this")
        self.add(first.this, "first", None)
        for join in tree.args.get("joins") or ():
            self.join(join)

    def join(self, node: exp.Join) -> None:
        """One join, to all before it."""
        at = self.source.start(node.this, self.at)
        side, kind = str(node.side).upper(), str(node.kind).upper()
        if node.args.get("using"):
            self.refuse("using (…) is not supported", at, hint="join … on a.x = b.x")
        if node.method:
            self.refuse(f"{node.method.lower()} join is not supported", at, hint=JOINS_HINT)
        if kind == "CROSS" or (not side and not kind and node.args.get("on") is None):
            hint = "join … on true, or on the columns that belong together"
            self.refuse("a join without a condition is not supported", at, hint=hint)
        if side not in ("", "LEFT") or kind not in ("", "INNER", "OUTER"):
            word = (side or kind).lower()
            hint = "turn it around: left join" if side == "RIGHT" else JOINS_HINT
            self.refuse(f"{word} join is not supported", at, hint=hint)
        self.only(node, "join", "this", "side", "kind", "on")
        if node.args.get("on") is None:
            self.refuse("a join has a condition", at, hint=JOINS_HINT)
        self.add(node.this, "left" if side == "LEFT" else "inner", node.args["on"])

    def add(self, node: Any, join: Literal["first", "inner", "left"], on: Any) -> None:
        """One more input."""
        at = self.source.start(node, self.at)
        relation, name, alias, names = self.relation(node, at)
        if any(one.alias == alias for one in self.scope.inputs):
            self.refuse(f"{alias} is in from twice", at, hint=f"{name or 'it'} as another_name")
        if len(self.inputs) == config.query_inputs_max:
            limit = f"query_inputs_max is {config.query_inputs_max}"
            self.refuse(f"too many tables in one select: {limit}", at)
        added = self.scope_input(relation, alias, names, at)
        self.scope.inputs.append(added)
        condition = None
        if on is not None:
            reader = ExpressionReader(self.source, at, self.scope, self.parameters, "on")
            reader.aggregate_hint = "aggregate in a query in from first"
            reader.subquery_hint = "put it into where, or into the query that is joined"
            condition = reader.condition(on, "on")
        if join == "left":
            self.scope.inputs[-1] = added.made_nullable()
        self.inputs.append(Input(relation, alias, join, condition, name))

    def relation(self, node: Any, at: int) -> tuple[Table | Query, str, str, list[str]]:
        """What one name or parentheses mean: relation, its name, its alias, its columns' names."""
        if isinstance(node, exp.Subquery):
            self.only(node, "a query in from", "this", "alias")
            alias, names = self.alias(node)
            if not alias:
                self.refuse("a query in from has a name", at, hint="(select …) as name")
            return self.relations.read(node.this, self.relations.queries), "", alias, names
        if isinstance(node, exp.Table) and isinstance(node.this, exp.Anonymous):
            return self.used(node, at)
        if not isinstance(node, exp.Table) or not isinstance(node.this, exp.Identifier):
            self.refuse("from takes tables and queries in parentheses", at)
        alias, names = self.alias(node)
        name = self.table_name(exp.Table(**{**node.args, "alias": None}))
        query = self.relations.queries.get(name)
        if query is not None:
            return query, name, alias or name, names
        found = self.relations.table(name)
        if found is None:
            hint = did_you_mean(name, self.relations.queries) if self.relations.queries else ""
            self.refuse(f"there is no table {name}", at, hint=hint)
        if isinstance(found, OpenView):
            hint = f"put values behind it: {found.view.signature}"
            self.refuse(f"view {name} has parameters", at, hint=hint)
        return found, name, alias or name, names

    def used(self, node: exp.Table, at: int) -> tuple[Query, str, str, list[str]]:
        """The same for a view with values for its parameters."""
        alias, names = self.alias(node)
        called = node.this.this
        if isinstance(called, str):
            called = exp.Identifier(this=called)
            called.meta["start"] = at
        name = self.table_name(exp.Table(**{**node.args, "this": called, "alias": None}))
        found = self.relations.table(name)
        if found is None:
            hint = "from takes tables and queries in parentheses, and views with values"
            self.refuse(f"there is no view {name}", at, hint=hint)
        if not isinstance(found, OpenView):
            self.refuse(f"{name} has no parameters", at, hint=f"from {name}")
        reader = ExpressionReader(self.source, at, Scope(), self.parameters, f"{name}(…)")
        values = read_values(reader, found.view, node.this.expressions)
        return self.relations.uses.expanded(reader, found, values), name, alias or name, names

    def alias(self, node: exp.Expression) -> tuple[str, list[str]]:
        """`as name (columns)`."""
        alias = node.args.get("alias")
        if alias is None:
            return "", []
        self.only(alias, "an alias", "this", "columns")
        if alias.this is None:
            self.refuse("an alias has a name", self.source.start(alias, self.at))
        names = [self.name(column, "column") for column in alias.args.get("columns") or ()]
        return self.name(alias.this, "table"), names

    def scope_input(
        self, relation: Table | Query, alias: str, names: list[str], at: int
    ) -> ScopeInput:
        """The columns of an input, by the names that the alias gives them if it does."""
        source = len(self.inputs)
        if isinstance(relation, Table):
            found = [
                ColumnRef(source, place, column.name, column_kind(column), column.nullable)
                for place, column in zip(relation.places, relation.columns, strict=True)
            ]
        else:
            columns = zip(relation.columns, relation.kinds, strict=True)
            found = [
                ColumnRef(source, place, column.name, kind, column.nullable)
                for place, (column, kind) in enumerate(columns)
            ]
        if len(names) > len(found):
            self.refuse(f"{alias} has {len(found)} columns, named are {len(names)}", at)
        renamed = [replace(column, name=name) for column, name in zip(found, names, strict=False)]
        return ScopeInput(alias, (*renamed, *found[len(renamed) :]))
