"""`create view NAME as select …` and `drop view NAME`: the text of the query is kept as it is."""

from __future__ import annotations

import re

from sqlglot import exp
from sqlglot.tokenizer_core import TokenType

from reifydb.sql.reader import Reader
from reifydb.sql.statements import CreateView


class ViewDefinition(Reader):
    """One `create view` statement being read."""

    def read(self, tree: exp.Create) -> CreateView:
        """The statement; its query is read when it is known what tables there are."""
        hint = "create view name as select …"
        if tree.args.get("replace"):
            self.refuse("create or replace view is not supported", hint="drop view, create view")
        self.properties(tree)
        self.only(tree, "create view", "this", "kind", "exists", "expression")
        if isinstance(tree.this, exp.Schema):
            self.refuse("a view's columns are named in its select", hint="select … as name")
        name = self.table_name(tree.this)
        if not isinstance(tree.args.get("expression"), exp.Query):
            self.refuse("a view is a select", hint=hint)
        start, end = self._query()
        before = re.sub(r"[^\n]", " ", self.source.sql[:start])
        return CreateView(name, self.source.sql[start:end], before, bool(tree.args.get("exists")))

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
