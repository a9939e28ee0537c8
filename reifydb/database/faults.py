"""Where the kernel saw what was wrong, and what that means when a transaction was to commit."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reifydb.database.made_views import view_refusal
from reifydb.database.refusals import refusal
from reifydb.engine.kernel import OUTCOME, Fault, fault_of
from reifydb.errors import AssertionViolatedError, ForeignKeyError, ReifyDBError

if TYPE_CHECKING:
    from reifydb.database.state import State
    from reifydb.engine.catalog import ForeignKey

ASSERTION_FAILED, FOREIGN_KEY_BROKEN = -17, -18
"""The kernel's codes."""


def host_refusal(state: State, code: int) -> ReifyDBError:
    """The error for a transaction of the host's that cannot commit: an outcome in the kernel's
    output says why. In a turn.
    """
    output = state.kernel.output
    length = OUTCOME.unpack_from(output)[3]
    return commit_refusal(state, code, bytes(output[OUTCOME.size : OUTCOME.size + length]))


def commit_refusal(state: State, code: int, payload: bytes) -> ReifyDBError:
    """The error for what was refused as it was to commit."""
    fault = fault_of(payload, state.kernel.control.memory_limit)
    if code == ASSERTION_FAILED:
        return _assertion_error(fault, state)
    if code == FOREIGN_KEY_BROKEN:
        return _foreign_key_error(fault, state)
    return view_refusal(code, fault, state.catalog, state.made_views)


def operation_refusal(state: State, table: str, code: int, payload: bytes) -> ReifyDBError:
    """The error for an operation of a primitive that was refused, as it ran or as its transaction
    was to commit.
    """
    fault = fault_of(payload, state.kernel.control.memory_limit)
    handle = state.catalog.by_number.get(fault.fault_table)
    if code in (ASSERTION_FAILED, FOREIGN_KEY_BROKEN) or handle is None or handle.table.derived:
        return commit_refusal(state, code, payload)
    return refusal(code, fault, state.catalog, table, None)


def _assertion_error(fault: Fault, state: State) -> ReifyDBError:
    handle = state.catalog.by_number.get(fault.fault_table)
    if handle is None:
        return AssertionViolatedError("an assertion is violated", constraint="?", row={})
    row = handle.rows.decode_mapping(fault.row) if fault.row else {}
    message = f"assertion {handle.name} is violated"
    return AssertionViolatedError(message, constraint=handle.name, row=row)


def _foreign_key_error(fault: Fault, state: State) -> ReifyDBError:
    handle = state.catalog.by_number.get(fault.fault_table)
    if handle is None or fault.fault_index >= len(handle.table.foreign_keys):
        return ForeignKeyError("a foreign key is broken", constraint="?", row={})
    broken: ForeignKey = handle.table.foreign_keys[fault.fault_index]
    row = handle.rows.decode_mapping(fault.row) if fault.row else {}
    own = ", ".join(handle.names[i] for i in broken.columns)
    message = (
        f"table {handle.name}: foreign key {broken.name}: table {broken.table} has no row whose"
        f" {', '.join(broken.to)} {'is' if len(broken.to) == 1 else 'are'} the {own} of this one"
    )
    return ForeignKeyError(message, constraint=broken.name, row=row)
