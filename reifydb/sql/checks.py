"""Check constraints: conditions on a row that must not be false.

In the catalog a check is its name and the text of its condition; here the text is made and read.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from reifydb.engine.catalog import Check, Table, free_name
from reifydb.sql.expression_text import render_expression
from reifydb.sql.expressions import ColumnRef, Expression, column_kind, moved, walk
from reifydb.sql.scope import Scope, ScopeInput

if TYPE_CHECKING:
    from reifydb.sql.source import Source

_PREFIX = "select "


def read_check(sql: str, table: Table) -> Expression:
    """The condition of a check, over one row of its table: input 0.

    Raises:
        SqlError: It is not a condition on a row of this table.

    >>> from reifydb.sql.create_table import parse_schema
    >>> [made] = parse_schema("create table t (id int primary key check (id > 0))")
    >>> [check] = made.table.checks
    >>> check.name, check.sql
    ('t_id_check', 'id > 0')
    """
    from reifydb.sql.source import Source

    source = Source(_PREFIX + sql, "a condition on the columns of the row")
    [(tree, at)] = source.statements()
    return moved(read_condition(source, tree.expressions[0], at, table), -len(_PREFIX))


def read_condition(source: Source, node: Any, at: int, table: Table) -> Expression:
    """As `read_check`, of a tree in a statement.

    Raises:
        SqlError: As `read_check`.
    """
    from reifydb.sql.expression_reader import ExpressionReader
    from reifydb.sql.parameters import Parameters
    from reifydb.sql.query_reader import check_depth

    check_depth(source, node, at)
    parameters = Parameters(source, node, None)
    if parameters.names:
        source.refuse("a check has no parameters", at)
    columns = tuple(
        ColumnRef(0, place, column.name, column_kind(column), column.nullable)
        for place, column in zip(table.places, table.columns, strict=True)
    )
    scope = Scope([ScopeInput(table.name, columns)])
    reader = ExpressionReader(source, at, scope, parameters, "check")
    reader.aggregate_hint = reader.subquery_hint = "a check is of one row"
    with source.enough_stack(at):
        return reader.condition(node, "check")


def canonical(condition: Expression, table: Table) -> str:
    """The text that a condition is kept as: it is read as the same one.

    O(nodes), twice: it is read to make sure.
    """
    from reifydb.sql.render import quoted

    names = dict(zip(table.places, (column.name for column in table.columns), strict=True))

    def name(column: ColumnRef) -> str:
        return quoted(names[column.place])

    short = render_expression(condition, name)
    if _again(short, table) == condition:
        return short
    return render_expression(condition, name, exact=True)


def _again(sql: str, table: Table) -> Expression | None:
    from reifydb.errors import SqlError

    try:
        return read_check(sql, table)
    except SqlError:
        return None


def make_check(name: str | None, condition: Expression, table: Table) -> Check:
    """A check for a table; one without a name is called by its table and column."""
    names = {check.name for check in table.checks}
    if name is None:
        columns = check_columns(condition)
        middle = f"_{next(iter(columns)).name}" if len(columns) == 1 else ""
        name = free_name(f"{table.name}{middle}", "_check", names)
    return Check(name, canonical(condition, table))


def check_columns(condition: Expression) -> frozenset[ColumnRef]:
    """The columns that a condition looks at."""
    return frozenset(node for node in walk(condition) if isinstance(node, ColumnRef))


def renamed_checks(before: Table, after: Table) -> tuple[Check, ...]:
    """The checks of a table whose columns, or which itself, have other names now.

    Raises:
        SqlError: A check's text is not one of `before`.
    """
    return tuple(
        replace(check, sql=canonical(read_check(check.sql, before), after))
        for check in before.checks
    )


def checks_of_column(table: Table, column: str) -> Sequence[str]:
    """The names of the checks that look at a column: while there are any, it stays."""
    return [
        check.name
        for check in table.checks
        if any(found.name == column for found in check_columns(read_check(check.sql, table)))
    ]
