"""Views with parameters where they are used: `orders_of(5)` in `from` is the view's query with 5 in
the parameter's place.

Values are literals or parameters of the query around, so that what comes out is a query that could
have been written out. What goes wrong with it is said of the place where the view is used: its own
text is another one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from sqlglot import exp

from reifydb import config
from reifydb.engine.catalog import Column, OpenView, ParameterisedView
from reifydb.errors import SqlError, did_you_mean
from reifydb.sql.expression_reader import ExpressionReader
from reifydb.sql.expressions import (
    Case,
    Constant,
    Expression,
    Operation,
    Parameter,
    column_kind,
)
from reifydb.sql.kinds import cast
from reifydb.sql.query import Query
from reifydb.sql.reader import CAST_HINT, Reader
from reifydb.sql.rewriting import rewrite_query

Value = Constant | Parameter
"""What stands in a parameter's place."""

VALUE_HINT = "a value is a literal or a parameter"


class Uses:
    """The views with parameters in one query, those in them included.

    Args:
        read: Reads the query of one.
        inside: The query is such a view's itself, which has to leave room for its own uses.
    """

    def __init__(self, read: Callable[[OpenView, Uses], Query], *, inside: bool = False) -> None:
        self._read, self._around = read, int(inside)
        self._count = self._depth = self._around

    def expanded(self, reader: Reader, found: OpenView, values: Sequence[Value]) -> Query:
        """The query of a view with values in it. O(its length).

        Args:
            reader: Of the place where it is used.
        """
        name = found.view.name
        self._count += 1
        if self._count > config.expanded_views_max:
            limit = f"expanded_views_max is {config.expanded_views_max}"
            reader.refuse(f"too many views with parameters in one query: {limit}")
        if self._depth == config.expanded_depth_max:
            limit = f"expanded_depth_max is {config.expanded_depth_max}"
            reader.refuse(f"views with parameters are nested too deep: {limit}")
        self._depth += 1
        try:
            query = self._read(found, self)
        except SqlError as error:
            if self._depth > self._around + 1:
                raise  # only the view that the query names is named
            reader.refuse(f"view {name}: {error.said}", hint=error.hint)
        finally:
            self._depth -= 1

        def change(node: Expression) -> Expression:
            return _with_values(node, values, reader.at)

        return replace(rewrite_query(query, change), parameters=(), parameter_names=())


def read_values(
    reader: ExpressionReader, view: ParameterisedView, nodes: Sequence[Any]
) -> list[Value]:
    """The values that a view is used with, in the order of its parameters."""
    given: dict[str, Value] = {}
    by_name = False
    for position, node in enumerate(nodes):
        at = reader.source.start(node, reader.at)
        if isinstance(node, exp.Kwarg):
            by_name = True
            name, node = reader.name(node.this, "parameter"), node.args["expression"]
        elif by_name:
            reader.refuse("values without a name stand first", at, hint=view.signature)
        elif position == len(view.parameters):
            message = f"{len(nodes)} values are too many for view {view.name}"
            reader.refuse(message, at, hint=view.signature)
        else:
            name = view.parameters[position].name
        column = next((one for one in view.parameters if one.name == name), None)
        if column is None:
            hint = did_you_mean(name, [one.name for one in view.parameters])
            reader.refuse(f"view {view.name} has no parameter {name}", at, hint=hint)
        if name in given:
            reader.refuse(f"parameter {name} of view {view.name} is given twice", at)
        given[name] = _value(reader, view, column, node)
    for column in view.parameters:
        if column.name not in given:
            message = f"parameter {column.name} of view {view.name} has no value"
            reader.refuse(message, hint=view.signature)
    return [given[column.name] for column in view.parameters]


def _value(reader: ExpressionReader, view: ParameterisedView, column: Column, node: Any) -> Value:
    """One value, in the parameter's kind."""
    what, at = f"parameter {column.name} of view {view.name}", reader.source.start(node, reader.at)
    named = node.find(exp.Column) if isinstance(node, exp.Expression) else None
    if named is not None:
        hint = f"{VALUE_HINT}, not a column"
        reader.refuse(f"{what} is given {named.sql()}", at, hint=hint)
    kind = column_kind(column)
    try:
        value = reader.read(node, kind)
    except SqlError as error:
        raise SqlError(
            f"{what}: {error.said}", line=error.line, column=error.column, hint=error.hint
        ) from None
    found = cast(value, kind) if isinstance(value, Constant) else value
    if not isinstance(value, Constant | Parameter):
        reader.refuse(f"{what} is given an expression", at, hint=VALUE_HINT)
    if not isinstance(found, Constant | Parameter) or found.kind != kind:
        reader.refuse(f"{what} is {kind.sql}, not {value.kind.sql}", at, hint=CAST_HINT)
    return found


def _with_values(node: Expression, values: Sequence[Value], at: int) -> Expression:
    """An expression of a view as one of the query that it is used in."""
    match node:
        case Parameter(index=index):
            return values[index]
        case Operation(args=args):
            return replace(node, args=tuple(_with_values(one, values, at) for one in args), at=at)
        case Case(branches=branches, otherwise=otherwise):
            new = tuple(
                (_with_values(when, values, at), _with_values(then, values, at))
                for when, then in branches
            )
            return replace(node, branches=new, otherwise=_with_values(otherwise, values, at), at=at)
    return replace(node, at=at)
