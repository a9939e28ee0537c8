"""A script as text, tokens and syntax trees, and the positions that errors point at.

The only module that runs sqlglot's tokenizer and parser. sqlglot is lenient where a database must
not be (a trailing comma, a statement it does not know), so what it forgives is refused here.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from typing import Any, ClassVar, NoReturn

from sqlglot import exp
from sqlglot.dialects.dialect import Dialect
from sqlglot.errors import ParseError, TokenError
from sqlglot.parsers.postgres import PostgresParser
from sqlglot.tokenizer_core import Token, TokenType

from reifydb import config
from reifydb.errors import SqlError

SUPPORTED = (
    "supported are: create table [if not exists] name (column type …, primary key (…)), "
    "create [unique] index, drop index, alter table, drop table, create view, drop view, "
    "create assertion, drop assertion, create counter, create histogram, create limiter, "
    "create ring, create sequence"
)

_POSTGRES = Dialect.get_or_raise("postgres")
_UNSUPPORTED = "unsupported syntax"
TYPE_TOKEN = "token"
"""Where the node of a type keeps its token."""


QUERY_HINT = (
    "select … from … [inner | left] join … on … where … group by … having … order by … limit …"
)

_LEAVES = (exp.Null, exp.Boolean, exp.Placeholder, exp.Parameter, exp.Star, exp.Case)
"""Nodes that sqlglot gives no position, and that may have no node below them that has one."""


_SCHEMA_WORDS = {TokenType.CREATE, TokenType.ALTER, TokenType.DROP}
_AFTER_A_LIST = {TokenType.R_PAREN, TokenType.SEMICOLON, TokenType.COMMA}
_CLAUSES = {
    *(TokenType.FROM, TokenType.WHERE, TokenType.GROUP_BY, TokenType.HAVING, TokenType.ORDER_BY),
    *(TokenType.LIMIT, TokenType.OFFSET, TokenType.UNION, TokenType.EXCEPT, TokenType.INTERSECT),
}
_BEFORE_A_LIST = {
    *(TokenType.L_PAREN, TokenType.SELECT, TokenType.DISTINCT, TokenType.FROM),
    *(TokenType.GROUP_BY, TokenType.ORDER_BY, TokenType.VALUES, TokenType.SET),
}


DECLARED = "declared"
"""What stands in the place of a statement that is not parsed."""

ASSERTION = "assertion"
"""In the meta of a statement's tree: it is about an assertion, which it calls a view."""


class _Parser(PostgresParser):
    """sqlglot's parser, less clever: what is written stays as it is written.

    Functions keep the names that they have in the text, but for those with a grammar of their own;
    the right side of `->` is no path. What sqlglot would pass through unparsed is refused.
    """

    FUNCTIONS: ClassVar[dict[str, Any]] = {}
    FUNCTION_PARSERS = {  # noqa: RUF012  (a class variable there as well)
        name: parser
        for name, parser in PostgresParser.FUNCTION_PARSERS.items()
        if name in ("CAST", "EXTRACT", "POSITION", "SUBSTRING", "TRIM")
    }
    LAMBDAS: ClassVar[dict[TokenType, Any]] = {  # `f(a -> 'b')` is about JSON
        TokenType.FARROW: lambda self, names: self.expression(
            exp.Kwarg(this=names[0], expression=self._parse_disjunction())
        ),
    }
    JSON_OPERATORS: ClassVar[dict[TokenType, Any]] = {
        TokenType.ARROW: lambda self, this, key: self.expression(
            exp.JSONExtract(this=this, expression=key)
        ),
        TokenType.DARROW: lambda self, this, key: self.expression(
            exp.JSONExtractScalar(this=this, expression=key)
        ),
    }

    def expression(self, instance: Any, token: Any = None, comments: Any = None) -> Any:
        """Notes where a node is that would not know."""
        made = super().expression(instance, token, comments)
        if isinstance(made, _LEAVES) and "start" not in made.meta and self._prev:
            named = isinstance(made, exp.Placeholder) and isinstance(made.this, str)
            made.meta["start"] = self._prev.start - named  # the colon stands before
        return made

    def _parse_types(self, *args: Any, **options: Any) -> Any:
        """Keeps the word that a type was written as: sqlglot knows fewer types than words."""
        token = self._curr
        found = super()._parse_types(*args, **options)
        if token and isinstance(found, exp.DataType):
            found.meta.setdefault(TYPE_TOKEN, token)
        return found

    def _parse_interval(self, *args: Any, **options: Any) -> Any:
        """Notes where an interval begins."""
        token = self._curr
        found = super()._parse_interval(*args, **options)
        if token and isinstance(found, exp.Interval):
            found.meta["start"] = token.start
        return found

    def _parse_table_parts(self, *args: Any, **options: Any) -> Any:
        """Notes where a name in `from` begins that parentheses stand behind."""
        token = self._curr
        found = super()._parse_table_parts(*args, **options)
        if token and isinstance(found, exp.Table) and isinstance(found.this, exp.Anonymous):
            found.meta["start"] = token.start
        return found

    def _parse_limit(self, *args: Any, **options: Any) -> Any:
        """`limit 1, 2` is another dialect's."""
        found = super()._parse_limit(*args, **options)
        if isinstance(found, exp.Limit) and found.args.get("offset") is not None:
            self.raise_error("Expecting offset")
        return found

    def _warn_unsupported(self) -> None:
        self.raise_error(_UNSUPPORTED)


class Source:
    """One script. Making it tokenizes the text; `statements()` parses it.

    Args:
        hint: What is said where something is not supported.
        declared: Words behind `create` and `drop` whose statements are not parsed.
    """

    def __init__(self, sql: str, hint: str = SUPPORTED, declared: Collection[str] = ()) -> None:
        if not isinstance(sql, str):
            raise SqlError(f"SQL is a str, not {type(sql).__name__}")
        self.sql, self.hint, self._declared = sql, hint, declared
        try:
            size = len(sql.encode())
        except UnicodeEncodeError as error:
            self.refuse("a lone surrogate is not a character", error.start)
        if size > config.sql_bytes_max:
            limit = f"sql_bytes_max is {config.sql_bytes_max:,}"
            raise SqlError(f"the script has {size:,} bytes: {limit}", hint="split it up")
        self.tokens = self._tokenize()
        self._check_tokens()

    def refuse(self, message: str, at: int | None = None, *, hint: str = "") -> NoReturn:
        """Raises the error that points at a character of the text, counted from 0."""
        if at is None:
            raise SqlError(message, hint=hint)
        line = self.sql.count("\n", 0, at) + 1
        column = at - (self.sql.rfind("\n", 0, at) + 1) + 1
        raise SqlError(message, line=line, column=column, hint=hint)

    @contextmanager
    def enough_stack(self, at: int) -> Iterator[None]:
        """Refuses what is nested too deep for the stack that is left to its caller."""
        try:
            yield
        except RecursionError:
            self.refuse("the statement is nested too deep", at, hint=self.hint)

    def start(self, node: exp.Expression, otherwise: int) -> int:
        """Where a node starts: at the first of its leaves that knows, else `otherwise`."""
        starts = [found.meta["start"] for found in node.walk() if "start" in found.meta]
        return int(min(starts, default=otherwise))

    def after(self, node: exp.Expression) -> Token | None:
        """The token that follows an identifier."""
        index = self._index_by_start.get(node.meta.get("start", -1), len(self.tokens)) + 1
        return self.tokens[index] if index < len(self.tokens) else None

    def statements(self) -> Iterator[tuple[exp.Expression, int]]:
        """Each statement's tree, and where the statement starts.

        A statement that is not parsed is an `exp.Command` with its tokens in its meta.
        """
        parser = _Parser(dialect=_POSTGRES)
        separators = itertools.groupby(
            self.tokens, lambda token: token.token_type == TokenType.SEMICOLON
        )
        for is_separator, tokens in separators:
            if is_separator:
                continue
            statement = list(tokens)
            if self._is_declared(statement):
                yield exp.Command(this=DECLARED, meta=statement), statement[0].start
            else:
                yield self._parse(parser, statement)

    def column_list(self, create: Token, listed: Sequence[Token]) -> list[exp.Expression]:
        """The entries of a list of columns in parentheses.

        Args:
            create: The statement's first token.
            listed: From the opening parenthesis to the closing one.
        """

        def stand_in(kind: TokenType, text: str) -> Token:
            return Token(kind, text, create.line, create.col, create.start, create.end)

        head = [create, stand_in(TokenType.TABLE, "table"), stand_in(TokenType.VAR, "columns")]
        tree, at = self._parse(_Parser(dialect=_POSTGRES), [*head, *listed])
        schema = tree.this
        if not isinstance(schema, exp.Schema) or not schema.expressions:
            self.refuse("there are no columns in these parentheses", listed[0].start or at)
        return list(schema.expressions)

    def _is_declared(self, tokens: list[Token]) -> bool:
        kinds = (TokenType.CREATE, TokenType.DROP)
        return (
            len(tokens) > 1
            and tokens[0].token_type in kinds
            and tokens[1].text.lower() in self._declared
        )

    @cached_property
    def _index_by_start(self) -> dict[int, int]:
        return {token.start: index for index, token in enumerate(self.tokens)}

    def _tokenize(self) -> list[Token]:
        try:
            return list(_POSTGRES.tokenize(self.sql))
        except TokenError as error:
            missing = re.fullmatch(r"Missing (.+) from \d+:(\d+)", str(error.__cause__))
            if missing:
                self.refuse(f"there is no closing {missing[1]}", int(missing[2]))
            raise SqlError("a comment or a string does not end") from None
        except (
            Exception
        ) as error:  # whatever a tokenizer of others may raise, it is the text's fault
            raise SqlError(f"the script cannot be read: {type(error).__name__}") from error

    def _check_tokens(self) -> None:
        depth = 0
        previous: Token | None = None
        is_schema = False
        for token in self.tokens:
            if previous is None or previous.token_type == TokenType.SEMICOLON:
                is_schema = token.token_type in _SCHEMA_WORDS
            if token.token_type == TokenType.L_PAREN:
                depth += 1
                if depth > config.sql_nesting_max:
                    self.refuse("parentheses are nested too deep", token.start, hint=self.hint)
            elif token.token_type == TokenType.R_PAREN:
                depth -= 1
            if previous is not None:
                self._check_pair(previous, token, is_schema=is_schema)
            previous = token
        if previous is not None and previous.token_type == TokenType.COMMA:
            self.refuse("a comma with nothing after it", previous.start)

    def _check_pair(self, first: Token, second: Token, *, is_schema: bool) -> None:
        """What sqlglot reads over: commas beside nothing, and a number that goes on as a name.

        In a schema the words that end a list are names of columns as well.
        """
        kinds = first.token_type, second.token_type
        after = _AFTER_A_LIST if is_schema else _AFTER_A_LIST | _CLAUSES
        if kinds[0] == TokenType.COMMA and kinds[1] in after:
            self.refuse("a comma with nothing after it", first.start)
        if kinds[1] == TokenType.COMMA and kinds[0] in _BEFORE_A_LIST and not is_schema:
            self.refuse("a comma with nothing before it", second.start)
        if kinds == (TokenType.NUMBER, TokenType.VAR) and second.start == first.end + 1:
            self.refuse(f"{first.text}{second.text} is neither number nor name", first.start)

    def _parse(self, parser: _Parser, tokens: list[Token]) -> tuple[exp.Expression, int]:
        at = tokens[0].start
        is_assertion = _is_about_an_assertion(tokens)
        if is_assertion:
            word = tokens[1]
            tokens[1] = Token(TokenType.VIEW, "view", word.line, word.col, word.start, word.end)
        try:
            trees = parser.parse(tokens, self.sql)
        except ParseError as error:
            self._refuse_parse(error, at)
        except RecursionError:
            self.refuse("the statement is nested too deep", at, hint=self.hint)
        except Exception as error:  # as above
            self.refuse(f"the statement cannot be parsed: {type(error).__name__}", at)
        if len(trees) != 1 or not isinstance(trees[0], exp.Expression):
            self.refuse("this is not a statement", at, hint=self.hint)
        trees[0].meta[ASSERTION] = is_assertion
        return trees[0], at

    def _refuse_parse(self, error: ParseError, at: int) -> NoReturn:
        facts = error.errors[0] if error.errors else {}
        found, said = str(facts.get("highlight") or ""), str(facts.get("description") or "")
        line, column = facts.get("line"), facts.get("col")
        if said == _UNSUPPORTED or not isinstance(line, int) or not isinstance(column, int):
            self.refuse("this statement is not supported", at, hint=self.hint)
        shown = repr(found[:40])
        if said.startswith("Expecting"):
            message = f"expected {said.removeprefix('Expecting').strip()} near {shown}"
        elif said.startswith("Required keyword"):
            message = f"something is missing near {shown}"
        else:
            message = f"unexpected {shown}"
        # sqlglot points at a token's end.
        column = max(1, column - len(found) + 1)
        raise SqlError(message, line=line, column=column, hint=self.hint) from None


def _is_about_an_assertion(tokens: list[Token]) -> bool:
    """`create assertion …` and `drop assertion …`, which sqlglot does not know."""
    kinds = (TokenType.CREATE, TokenType.DROP)
    if len(tokens) < 2 or tokens[0].token_type not in kinds:
        return False
    return tokens[1].token_type == TokenType.VAR and tokens[1].text.lower() == ASSERTION
