"""`create KIND [if not exists] NAME [(COLUMN TYPE, …)] CLAUSE …`, `drop KIND [if exists] NAME, …`.

How primitives are declared. What clauses a kind has is said in declared_kinds.py. The statements
are no SQL that the parser knows: they are read word by word, only lists of columns by the parser.
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlglot import exp
from sqlglot.tokenizer_core import Token, TokenType

from reifydb.engine.catalog import NAME, Column
from reifydb.engine.values import INT_MAX, INT_MIN
from reifydb.sql.definitions import Definition
from reifydb.sql.intervals import parse_interval
from reifydb.sql.reader import RESERVED_PREFIX, Reader
from reifydb.sql.source import Source


class Declaration(Reader):
    """One statement being read, from its second word on.

    Args:
        tokens: The statement's, `create` or `drop` first.
    """

    def __init__(self, source: Source, tokens: Sequence[Token]) -> None:
        super().__init__(source, tokens[0].start)
        self.tokens = list(tokens)
        self.kind = tokens[1].text.lower()
        self._next = 2

    # -------------------------------------------------------------- words

    @property
    def place(self) -> int:
        """Where the next word stands, or the end of the last one."""
        if self._next < len(self.tokens):
            return self.tokens[self._next].start
        return self.tokens[-1].end + 1

    @property
    def word(self) -> str:
        """The next word in lower case; empty at the end, and for what is quoted."""
        if self._next == len(self.tokens):
            return ""
        token = self.tokens[self._next]
        quoted = token.token_type in (TokenType.STRING, TokenType.IDENTIFIER)
        return "" if quoted else token.text.lower()

    def take(self) -> Token:
        """The next token, which there must be."""
        if self._next == len(self.tokens):
            self.refuse(f"the {self.kind} ends too early", self.place, hint=self.source.hint)
        self._next += 1
        return self.tokens[self._next - 1]

    def has(self, *words: str) -> bool:
        """Whether these words come next; then they are taken."""
        coming = self.tokens[self._next : self._next + len(words)]
        if [token.text.lower() for token in coming] != list(words):
            return False
        self._next += len(words)
        return True

    def want(self, *words: str) -> None:
        """Takes these words, which must come next."""
        if not self.has(*words):
            shown = " ".join(words)
            self.refuse(f"{shown} is missing here", self.place, hint=self.source.hint)

    def end(self, clauses: str) -> None:
        """Refuses what is left."""
        if self._next < len(self.tokens):
            shown = self.tokens[self._next].text[:40]
            self.refuse(f"a {self.kind} has no {shown!r}", self.place, hint=clauses)

    # -------------------------------------------------------------- values

    def own_name(self) -> str:
        """The name of the primitive."""
        token = self.take()
        quoted = token.token_type == TokenType.IDENTIFIER
        name = token.text if quoted else token.text.lower()
        if token.token_type == TokenType.STRING or not NAME.fullmatch(name):
            hint = "a to z, 0 to 9 and _, not a digit first, at most 63 characters"
            self.refuse(f"{name[:80]!r} cannot be a {self.kind}'s name", token.start, hint=hint)
        if name.startswith(RESERVED_PREFIX):
            hint = f"names that begin with {RESERVED_PREFIX} are the system's"
            self.refuse(f"{self.kind} name {name} is reserved", token.start, hint=hint)
        return name

    def integer(self, what: str) -> int:
        """A whole number of 64 bits."""
        at = self.place
        sign = -1 if self.has("-") else 1
        token = self.take()
        digits = token.text
        if token.token_type != TokenType.NUMBER or not digits.isdecimal() or len(digits) > 19:
            self.refuse(f"{what} is a whole number", at)
        value = sign * int(digits)
        if not INT_MIN <= value <= INT_MAX:
            self.refuse(f"{what} has more than 64 bits", at)
        return value

    def interval(self, what: str) -> int:
        """A length of time above zero, without months, in microseconds: `'5m'`."""
        at, token = self.place, self.take()
        if token.token_type != TokenType.STRING:
            self.refuse(f"{what} is a length of time", at, hint="'30s', '5m', '1 hour'")
        try:
            months, microseconds = parse_interval(token.text)
        except ValueError as error:
            self.refuse(f"{what}: {error}", at, hint="'30s', '5m', '1 hour'")
        if months or microseconds <= 0:
            self.refuse(f"{what} is above zero and has no months", at)
        return microseconds

    def columns(self, own: Sequence[str], *, keys: bool = False) -> tuple[Column, ...]:
        """The list of columns that comes next; none when no parenthesis does.

        Args:
            own: Names of columns that the primitive has besides.
            keys: They are a key: never null.
        """
        if self.word != "(":
            return ()
        start, depth = self._next, 0
        while True:
            token = self.take()
            depth += (token.token_type == TokenType.L_PAREN) - (
                token.token_type == TokenType.R_PAREN
            )
            if depth == 0:
                break
        definition = Definition(self.source, self.at)
        for entry in self.source.column_list(self.tokens[0], self.tokens[start : self._next]):
            at = self.source.start(entry, self.at)
            if not isinstance(entry, exp.ColumnDef):
                self.refuse(f"a {self.kind} has columns here, and nothing else", at)
            definition.column(entry)
            column = definition.columns[-1]
            more = definition.key or definition.checks or definition.references
            if more or definition.auto is not None or column.default is not None:
                hint = f"{column.name} {column.sql_type}" + ("" if keys else " [not null]")
                self.refuse(f"a {self.kind}'s column has a name and a type", at, hint=hint)
            if keys and definition.nulls[-1]:
                self.refuse(f"column {column.name} is in the key and cannot be null", at)
            if column.name in own:
                self.refuse(f"a {self.kind} has a column {column.name} of its own", at)
        return tuple(definition.columns)
