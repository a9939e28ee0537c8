"""Transitions as `call` sees them: how arguments become bytes, and outcomes become values."""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from reifydb.engine.catalog import Transition, Type
from reifydb.engine.executor import DEADLINE, TRAP_FIRST
from reifydb.engine.kernel import ABORTED, COMMITTED, NOT_RUN, OUTCOME, REFUSED, RUN_HEAD
from reifydb.engine.rows import row_codec
from reifydb.engine.values import Buffer
from reifydb.errors import (
    AbortedError,
    DeadlineError,
    KernelError,
    ReifyDBError,
    RequestError,
    TransactionError,
    TrappedError,
    UnavailableError,
    WrongTypeError,
)

if TYPE_CHECKING:
    from reifydb.database.transaction import Transaction

UNTIL_THE_END = 0xFFFFFFFF
"""Count of a run that goes on to the end of its batch."""

OUTCOME_BYTES = OUTCOME.size

INT_OUTCOME = struct.Struct("<I28xq")
"""Status, and the result where it is one int: the head of an outcome, that of a row, the slot."""


class WasmTransition:
    """A transition of an installed module.

    Attributes:
        name: `module.transition`.
        run_head: Head of a run of any number of its calls; `one_head`: of one call.

    Args:
        refusal: The error for a code and a payload of what could not commit.
    """

    def __init__(
        self,
        transition: Transition,
        deadline_ms: float,
        refusal: Callable[[int, bytes], ReifyDBError],
    ) -> None:
        self.transition, self.number = transition, transition.number
        self._refusal = refusal
        self.query, self.deadline_ms = transition.query, deadline_ms
        self.name = f"{transition.module}.{transition.name}"
        what = f"transition {self.name}"
        self.params = row_codec(transition.params, what=what, arguments=True)
        self._result = row_codec(transition.result, what=f"result of {self.name}")
        self.one_head = RUN_HEAD.pack(self.number, 1)
        self.run_head = RUN_HEAD.pack(self.number, UNTIL_THE_END)
        self.read = self._reader()
        self.encode = self.params.encode
        result = transition.result
        self.int_result = (
            len(result) == 1
            and result[0].type is Type.INT
            and not (result[0].nullable or transition.result_is_row)
        )
        self.short = self.params.laid_behind(self.one_head)
        self._retired = False

    def retire(self, successor: Transition | None) -> None:
        """In a turn: its module was replaced or removed. Who had looked it up and waits is told,
        unless its successor takes and returns the same.
        """
        if successor is None or successor != self.transition:
            self._retired, self.short = True, None

    def check(self) -> None:
        """In a turn: it is still what is installed.

        Raises:
            RequestError: It was retired.
        """
        if self._retired:
            raise RequestError(
                f"transition {self.name} was replaced by another one, or removed, meanwhile",
                hint="nothing has run",
            )

    def lay(self, buffer: memoryview, args: Sequence[object], named: Mapping[str, object]) -> int:
        """Writes a batch of one call to the start of `buffer`; its length."""
        self.check()
        row = self.encode_named(args, named) if named else self.encode(args)
        batch = self.one_head + row
        buffer[: len(batch)] = batch
        return len(batch)

    def read_outcome(self, buffer: Buffer) -> tuple[int, object]:
        """Status and result of the outcome at the start of `buffer`; None unless committed."""
        status, _, _, length, _ = OUTCOME.unpack_from(buffer)
        if status != COMMITTED or not length:
            return status, None
        return status, self.read(buffer, OUTCOME_BYTES)

    def encode_named(self, args: Sequence[object], named: Mapping[str, object]) -> bytes:
        """Arguments given by position, by name, or first the ones and then the others."""
        if not args:
            return self.params.encode_mapping(named)
        known = self.params.names
        if len(args) > len(known):
            return self.params.encode(args)  # raises, with the signature
        given = dict(zip(known, args, strict=False))
        for name in named:
            if name in given:
                raise RequestError(f"transition {self.name}: {name} is given twice")
        return self.params.encode_mapping({**given, **named})

    def _reader(self) -> Callable[[Buffer, int], object]:
        """What a result row at an offset means: nothing, one value, or a row by name."""
        codec = self._result
        if not self.transition.result:
            return _nothing
        if self.transition.result_is_row:
            return codec.decode_mapping
        column = self.transition.result[0]
        if column.type is Type.INT and not column.nullable:
            unpack = struct.Struct("<q").unpack_from
            return lambda buffer, offset: unpack(buffer, offset + 8)[0]
        decode = codec.decode
        return lambda buffer, offset: decode(buffer, offset)[0]

    def failure(
        self, status: int, code: int, payload: bytes, trap_reasons: Mapping[int, str]
    ) -> Exception:
        """The error for an outcome that is not `committed`."""
        if status == ABORTED:
            return AbortedError(self.name, code, payload.decode("utf-8", "replace"))
        if status == NOT_RUN:
            return UnavailableError(
                f"{self.name} was not run: the disk did not keep up, or the database was closed",
                hint="the outcomes before this one are of calls that did run",
            )
        if status == REFUSED:
            return self._refusal(code, payload) if payload else self._refused(code)
        if code == DEADLINE:
            return DeadlineError(self.name, self.deadline_ms)
        if code >= TRAP_FIRST:
            return TrappedError(self.name, trap_reasons.get(code, f"trap {code - TRAP_FIRST}"))
        if code == -1:
            return TrappedError(self.name, "it returned without a result")
        return KernelError(f"the kernel answered status {status}, code {code}")

    def _refused(self, code: int) -> Exception:
        if code in (-4, -5, -6):
            return WrongTypeError(
                f"transition {self.name}: the packed arguments are not a row of "
                f"{self.params.signature}"
            )
        return TransactionError(f"transition {self.name}: refused with code {code}")


class PythonTransition:
    """A Python function registered by `@db.transition`: for tests and trusted code.

    It is called with the transaction and the arguments. What it returns is the result; whatever it
    raises rolls its transaction back.
    """

    def __init__(self, name: str, function: Callable[..., object], *, query: bool) -> None:
        self.name, self.function, self.query = name, function, query

    def run(self, tx: Transaction, args: Sequence[object], named: Mapping[str, object]) -> object:
        """Runs it in this transaction; an abort in it has its name."""
        outer, tx.called = tx.called, self.name
        try:
            return self.function(tx, *args, **named)
        finally:
            tx.called = outer


def _nothing(buffer: Buffer, offset: int) -> None:
    """The result of a transition without one."""
    del buffer, offset
