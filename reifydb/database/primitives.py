"""Operations of primitives as `call` sees them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import partial

from reifydb.config import ModuleLimits
from reifydb.database.faults import operation_refusal
from reifydb.database.state import State
from reifydb.database.transitions import WasmTransition
from reifydb.engine.catalog import Table
from reifydb.engine.descriptors import transition_descriptor
from reifydb.errors import KernelError
from reifydb.primitives import Operation, operations_of

_LIMITS = ModuleLimits()
"""What an operation may write and read: what a module's transition may that was given no limits."""


class NativeTransition(WasmTransition):
    """An operation of a primitive: a transition that the kernel runs itself.

    Attributes:
        table: The primitive's, as it was when this was made.
        operation: What it is.
    """

    def __init__(self, operation: Operation, table: Table, number: int, state: State) -> None:
        refusal = partial(operation_refusal, state, table.name)
        super().__init__(operation.transition(table.name, number), math.inf, refusal)
        self.table, self.operation = table, operation


def native_transitions(
    state: State, table: Table, numbers: Mapping[str, int]
) -> tuple[NativeTransition, ...]:
    """Tells the kernel of the operations of a primitive, which have these numbers."""
    made = []
    for operation in operations_of(table):
        handle = NativeTransition(operation, table, numbers[operation.name], state)
        _define(
            state, "define_transition", handle, transition_descriptor(handle.transition, _LIMITS)
        )
        _define(state, "define_native", handle, operation.descriptor(table))
        made.append(handle)
    return tuple(made)


def _define(state: State, function: str, handle: NativeTransition, source: bytes) -> None:
    state.put(source)
    code = state.kernel.call[function](handle.number, len(source))
    if code < 0:
        raise KernelError(f"the kernel refused {handle.name}: {function} answered {code}")
