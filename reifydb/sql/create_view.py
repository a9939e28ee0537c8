"""`create {view | assertion} NAME [with (…)] as select …`: the text of the query is kept as is."""

from __future__ import annotations

import re

from sqlglot import exp
from sqlglot.tokenizer_core import TokenType

from reifydb.config import recompute_rows_max
from reifydb.engine.catalog import NAME, Tables
from reifydb.sql.query import Query
from reifydb.sql.query_reader import only_tree, read_query_tree, uses_inside
from reifydb.sql.reader import Reader
from reifydb.sql.source import ASSERTION, QUERY_HINT, Source
from reifydb.sql.statements import CreateView

_SETTINGS = "with (maintenance = 'recompute', max_rows = 10000)"


def read_definition(statement: CreateView, tables: Tables) -> Query:
    """The query of a view or an assertion, which may have parameters if it is a view that is not
    made anew. O(length), as `read_query`.

    Raises:
        SqlError: As `read_query`, and for parameters that it cannot have.
    """
    source = Source(statement.before + statement.sql, QUERY_HINT)
    tree, at = only_tree(source)
    nodes = list(tree.find_all(exp.Placeholder, exp.Parameter))
    if not nodes:
        return read_query_tree(source, tree, at, tables, unique_names=True)
    first = min(source.start(node, at) for node in nodes)
    if statement.assertion:
        source.refuse("an assertion has no parameters", first, hint="write the value")
    if statement.max_rows:
        hint = "leave with (…) out: its query runs when it is read"
        source.refuse("a view with parameters is not kept, and so not made anew", first, hint=hint)
    for node in nodes:
        if not NAME.fullmatch(_name_of(node)):
            hint = ":name, of a to z, 0 to 9 and _, not a digit first, at most 63 characters"
            source.refuse("a view's parameters have names", source.start(node, at), hint=hint)
    return read_query_tree(source, tree, at, tables, unique_names=True, uses=uses_inside())


def _name_of(node: exp.Expression) -> str:
    named = isinstance(node, exp.Placeholder) and isinstance(node.this, str)
    return str(node.this) if named else ""


class ViewDefinition(Reader):
    """One `create view` statement being read."""

    def read(self, tree: exp.Create) -> CreateView:
        """The statement; its query is read when it is known what tables there are."""
        assertion = bool(tree.meta.get(ASSERTION))
        word, article = ("assertion", "an") if assertion else ("view", "a")
        if tree.args.get("replace"):
            hint = f"drop {word}, create {word}"
            self.refuse(f"create or replace {word} is not supported", hint=hint)
        max_rows = self._max_rows(tree)
        self.only(tree, f"create {word}", "this", "kind", "exists", "expression", "properties")
        if isinstance(tree.this, exp.Schema):
            message = f"{article} {word}'s columns are named in its select"
            self.refuse(message, hint="select … as name")
        name = self.table_name(tree.this)
        if not isinstance(tree.args.get("expression"), exp.Query):
            hint = f"create {word} name as select …"
            self.refuse(f"{article} {word} is a select", hint=hint)
        start, end = self._query()
        before = re.sub(r"[^\n]", " ", self.source.sql[:start])
        sql, if_not_exists = self.source.sql[start:end], bool(tree.args.get("exists"))
        return CreateView(name, sql, before, if_not_exists, assertion, max_rows)

    def _max_rows(self, tree: exp.Create) -> int:
        """What `with (maintenance = 'recompute', max_rows = N)` says; 0 without it."""
        properties = tree.args.get("properties")
        if properties is None or not properties.expressions:
            return 0
        found: dict[str, exp.Expression] = {}
        for node in properties.expressions:
            plain = isinstance(node, exp.Property) and isinstance(node.this, exp.Var)
            if not plain or not isinstance(node.args.get("value"), exp.Literal):
                self.refuse_feature(node, self.at)
            name = node.this.name.lower()
            if name not in ("maintenance", "max_rows") or name in found:
                self.refuse(f"a view has no setting {name}", hint=_SETTINGS)
            found[name] = node.args["value"]
        if set(found) != {"maintenance", "max_rows"}:
            self.refuse("both settings are needed", hint=_SETTINGS)
        mode, most = found["maintenance"], found["max_rows"]
        if not mode.is_string or mode.name != "recompute":
            self.refuse(f"there is no maintenance {mode.name}", hint=_SETTINGS)
        if most.is_string or not most.name.isdecimal() or len(most.name) > 18:
            self.refuse("max_rows is a whole number from 1", hint=_SETTINGS)
        if not 1 <= int(most.name) <= recompute_rows_max:
            limit = f"recompute_rows_max is {recompute_rows_max:,}"
            self.refuse(f"max_rows is {most.name}: {limit}", hint=_SETTINGS)
        return int(most.name)

    def _query(self) -> tuple[int, int]:
        """Where the text behind `as` starts and ends."""
        tokens = self.source.tokens
        i = next(i for i, token in enumerate(tokens) if token.start >= self.at)
        while tokens[i].token_type != TokenType.ALIAS:
            i += 1
        start, end = tokens[i + 1].start, tokens[i + 1].end
        for token in tokens[i + 1 :]:
            if token.token_type == TokenType.SEMICOLON:
                break
            end = token.end
        return start, end + 1
