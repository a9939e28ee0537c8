"""What the kernel's codes mean, as errors that name table, column and row."""

from __future__ import annotations

from reifydb import config
from reifydb.database.expressions import EXPRESSION_FAILED, expression_error
from reifydb.database.tables import Catalog
from reifydb.engine.catalog import Index
from reifydb.engine.kernel import NONE, Control, Fault
from reifydb.errors import (
    CheckError,
    DuplicateKeyError,
    KernelError,
    NotFoundError,
    NotNullError,
    ReadOnlyError,
    ReifyDBError,
    RequestError,
    TransactionError,
    TransactionLimitError,
    WrongTypeError,
)

CHECK_FAILED = -15
UNDO_ENTRIES_MAX = 1 << 21
"""Changes of one transaction, as in kernel/layout.zig."""


def refusal(
    code: int, control: Control | Fault, catalog: Catalog, table: str, key: object
) -> ReifyDBError:
    """The error for a refused operation of the host's.

    Args:
        code: The kernel's (docs/abi.md).
        control: The kernel's control block: where it saw what was wrong.
        catalog: Names of tables and columns.
        table: The table of the operation.
        key: What to show of the row.
    """
    handle = catalog.handles.get(table)
    place = f"{'table' if handle is None else handle.table.word} {table}"
    column = _column(control, catalog)
    shown = "" if key is None else f" {key!r}"
    if code == -2:
        return NotFoundError(f"{place} has no row with primary key{shown}")
    if code == CHECK_FAILED:
        name = _check(control, catalog)
        return CheckError(f"{place}: check {name} is false for the row", constraint=name)
    if code == EXPRESSION_FAILED:
        return expression_error(control, None, "", f"{place}, check {_check(control, catalog)}")
    index = _index(control, catalog)
    if code == -3 and index is not None:
        names = ", ".join(index_columns(catalog, control.fault_table, index))
        return DuplicateKeyError(
            f"{place} has a row with the same {names} already: index {index.name} is unique"
        )
    if code == -3:
        return DuplicateKeyError(f"{place} has a row with primary key{shown} already")
    if code == -4:
        return NotNullError(f"{place}: column {column} must not be null")
    if code in (-5, -6):
        return WrongTypeError(f"{place}: column {column} has a value that is not of its type")
    if code == -7:
        return ReadOnlyError("this transaction may only read")
    limits: dict[int, tuple[str, str, int]] = {
        -8: (
            f"the key {f'in index {index.name} ' if index else ''}is too long",
            "key_bytes_max",
            config.key_bytes_max,
        ),
        -9: ("the row is too long", "row_bytes_max", config.row_bytes_max),
        -11: ("too many changes or cursors", "transaction_changes_max", UNDO_ENTRIES_MAX),
        -12: ("the database's memory is used up", "memory_bytes_max", control.memory_limit),
        -13: (
            "the transaction is too large",
            "redo_transaction_bytes_max",
            config.redo_transaction_bytes_max,
        ),
        -14: (f"column {column} has no values left", "auto_increment", 2**63 - 1),
    }
    if code == -14 and handle is not None and handle.table.primitive is not None:
        message = f"{place}: {column} would not fit into 64 bits"
        return TransactionLimitError(message, limit="int_max", value=2**63 - 1)
    if code in limits:
        message, limit, value = limits[code]
        return TransactionLimitError(f"{place}: {message}", limit=limit, value=value)
    if code == -10:
        return RequestError(f"{place}: there is no such relation or cursor")
    if code == -1:
        return TransactionError("the transaction was aborted before")
    return KernelError(f"the kernel answered {code} for {place}")


def _column(control: Control | Fault, catalog: Catalog) -> str:
    handle = catalog.by_number.get(control.fault_table)
    if handle is None or control.fault_column == NONE:
        return "?"
    return handle.by_place.get(control.fault_column, "?")


def _check(control: Control | Fault, catalog: Catalog) -> str:
    """The name of the constraint that the kernel named."""
    handle = catalog.by_number.get(control.fault_table)
    checks = () if handle is None else handle.table.checks
    return checks[control.fault_index].name if control.fault_index < len(checks) else "?"


def _index(control: Control | Fault, catalog: Catalog) -> Index | None:
    """The secondary index that the kernel named; None for the primary key."""
    handle = catalog.by_number.get(control.fault_table)
    if handle is None or not control.fault_index:
        return None
    indexes = handle.table.indexes
    return next((index for index in indexes if index.number == control.fault_index), None)


def index_columns(catalog: Catalog, table: int, index: Index) -> list[str]:
    """The names of an index's columns."""
    columns = catalog.by_number[table].table.columns
    return [columns[i].name for i in index.columns]
