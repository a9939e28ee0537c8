"""Expressions that could not be computed, as errors that point into the SQL."""

from __future__ import annotations

from reifydb import config
from reifydb.engine.kernel import NONE, Control, Fault
from reifydb.errors import (
    ExpressionError,
    KernelError,
    LimitError,
    ReifyDBError,
    TransactionLimitError,
)
from reifydb.views.plan import Encoded

EXPRESSION_FAILED, LIMIT_REACHED = -16, -11
"""The kernel's codes."""


_REASONS = {
    1: "division by zero",
    2: "a number is out of range",
    3: "a text cannot be read as a value of that type",
    4: "texts are too long",
    5: "a float is not finite",
}


def expression_error(
    control: Control | Fault, encoded: Encoded | None, sql: str, relation: str = ""
) -> ExpressionError:
    """The error for what the kernel saw in `fault_…`.

    Args:
        encoded: The plan whose program failed; None when it is not known.
        sql: The text that its instructions point into.
        relation: Whose expression it is.
    """
    reason = _REASONS.get(control.fault_column, "an expression failed")
    at = None if encoded is None else encoded.place(control.fault_index, control.fault_row)
    if at is None:
        return ExpressionError(reason, relation=relation)
    line = sql.count("\n", 0, at) + 1
    column = at - (sql.rfind("\n", 0, at) + 1) + 1
    return ExpressionError(reason, relation=relation, line=line, column=column)


def limit_error(control: Control | Fault, what: str) -> LimitError | None:
    """The error for a query or a view that reached a limit which the kernel named; None: it named
    none.

    Args:
        what: What reached it: `the query`.
    """
    match control.fault_index:
        case 1:
            return LimitError(
                f"the query's answer has more than {config.query_rows_max:,} rows",
                limit="query_rows_max",
                value=config.query_rows_max,
                hint="ask for fewer: where …, limit …",
            )
        case 2:
            return LimitError(
                f"{what}: its joins looked at more than {config.query_scanned_max:,} rows",
                limit="query_scanned_max",
                value=config.query_scanned_max,
                hint="an index on the columns by which tables are joined helps",
            )
        case 3:
            return LimitError(
                "there would be too many views, those beside others included",
                limit="views_max",
                value=config.views_max,
                hint="drop views that nobody reads",
            )
        case 8:
            return LimitError(
                f"{what} has a group with more than {config.aggregate_items_max:,} values in an "
                "array or a text",
                limit="aggregate_items_max",
                value=config.aggregate_items_max,
                hint="fewer rows in a group, or fewer that count: filter (where …)",
            )
    return None


def query_refusal(code: int, control: Control | Fault, encoded: Encoded, sql: str) -> ReifyDBError:
    """The error for a query that the kernel did not run to its end."""
    if code == EXPRESSION_FAILED:
        if isinstance(control, Control) and control.fault_table != NONE:
            return ExpressionError(_REASONS.get(control.fault_column, "an expression failed"))
        return expression_error(control, encoded, sql)
    if code == LIMIT_REACHED:
        found = limit_error(control, "the query")
        return KernelError("the kernel reached a limit for a query") if found is None else found
    if code == -8:
        return TransactionLimitError(
            "a value that is sorted or grouped by, or looked for, is too long",
            limit="key_bytes_max",
            value=config.key_bytes_max,
        )
    if code == -9:
        return TransactionLimitError(
            "a row of the answer is too long", limit="row_bytes_max", value=config.row_bytes_max
        )
    if code == -12:
        return TransactionLimitError(
            "the database's memory is used up",
            limit="memory_bytes_max",
            value=control.memory_limit,
        )
    return KernelError(f"the kernel answered {code} for a query")
