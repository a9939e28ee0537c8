"""`create {view | assertion} NAME as select …`: the text of the query is kept as it is."""

from __future__ import annotations

import re

from sqlglot import exp
from sqlglot.tokenizer_core import TokenType

from reifydb.sql.reader import Reader
from reifydb.sql.source import ASSERTION
from reifydb.sql.statements import CreateView


class ViewDefinition(Reader):
    """One `create view` statement being read."""

    def read(self, tree: exp.Create) -> CreateView:
        """The statement; its query is read when it is known what tables there are."""
        assertion = bool(tree.meta.get(ASSERTION))
        word, article = ("assertion", "an") if assertion else ("view", "a")
        if tree.args.get("replace"):
            hint = f"drop {word}, create {word}"
            self.refuse(f"create or replace {word} is not supported", hint=hint)
        self.properties(tree)
        self.only(tree, f"create {word}", "this", "kind", "exists", "expression")
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
        return CreateView(name, sql, before, if_not_exists, assertion)

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
