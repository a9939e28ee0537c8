"""The batch loop around the kernel's: slices, calls that were ended from outside, hand-over.

A batch runs in slices of about `slice_ms`. Between two of them the redo, the outcomes and the
guests' log lines so far are taken out of the kernel, and Ctrl-C is honoured. The kernel knows no
clock, so a slice is a number of calls, learned per transition from how long the last ones took.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Protocol

from reifydb.engine.deadlines import Watchdog
from reifydb.engine.ffi import CallEnded
from reifydb.engine.kernel import (
    DONE,
    MALFORMED,
    RUN_HEAD,
    UNKNOWN_TRANSITION,
    YIELDED,
    Kernel,
)
from reifydb.errors import BusyError, KernelError, RequestError

FIRST_SLICE_CALLS = 64
"""A transition's first slice; then it grows as long as it stays below `slice_ms`."""

SLICE_CALLS_MAX = 1 << 20

# Reasons of trapped calls beside the kernel's own (-1: no result).
DEADLINE, TRAP_FIRST, GUEST_FAILED = 1, 16, 255

_OPERATION_READ = 1

# What `run_one` answers (kernel/main.zig, `execute_one`).
PROGRESS, REDO_WAITS, REDO_PRESSES, LOG_WAITS, CALL_ENDED = 0xFF, 1 << 8, 1 << 9, 1 << 10, 1 << 11
DELTAS_WAIT = 1 << 12
PRESSING = REDO_PRESSES | LOG_WAITS | DELTAS_WAIT | CALL_ENDED
"""What a single call has to see to before it returns."""

ODD = 5
"""Progress of `answer_lone`, when nothing has happened."""


class Renewable(Protocol):
    """A guest: what can be put back after a trap; `failed` says why that did not work."""

    failed: str | None

    def renew(self, kernel: Kernel) -> None:
        """Gives it the state of a new instance."""


class Executor:
    """Runs batches and single calls on one kernel. Under the engine lock.

    Attributes:
        guests: Whose each transition is, by number.
        failed: Why the engine has stopped; None while all is well.
        renewed: A guest was renewed since somebody last set this to False.
        on_yield: Takes over redo and deltas between two slices.
        behind: Whether the log is further behind than commits may be.
    """

    def __init__(self, kernel: Kernel, watchdog: Watchdog, *, slice_ms: float) -> None:
        self.kernel, self.watchdog = kernel, watchdog
        self.guests: dict[int, Renewable] = {}
        self.failed: str | None = None
        self.on_yield: Callable[[], None] = lambda: None
        self.behind: Callable[[], bool] = lambda: False
        self.trap_reasons: dict[int, str] = {}
        self.renewed = False
        self._slice_ns = int(slice_ms * 1e6)
        self._calls: dict[int, int] = {}
        self.bind()

    def bind(self) -> None:
        """After the kernel has moved: its functions are others."""
        call = self.kernel.call
        self._execute, self._resume = call["execute"], call["resume"]
        self._execute_one = call["execute_one"].flagged()
        self._answer_lone = call["answer_lone"].flagged()
        self._call, self._retry = call["call"], call["retry"]

    # ------------------------------------------------------------------ batches

    def run(self, batch: bytes, time_us: int, seed: int) -> tuple[list[bytes], int]:
        """Runs the calls of a batch: all of them, unless `behind` says between two slices that the
        log is. Then whoever called waits for it without keeping the engine, and goes on.

        Returns:
            The outcomes of each slice, and how many bytes of the batch have been run.

        Args:
            batch: Runs of calls, at most INPUT_BYTES_MAX bytes.
            time_us: What `now()` returns, unless the state is ahead of it.
            seed: Below 2**63: what `random()` follows from.

        Raises:
            RequestError: The batch is malformed; nothing of it has run.
            KernelError: The kernel itself failed.
        """
        kernel = self.kernel
        self._start()
        kernel.input[: len(batch)] = batch
        kernel.output_len.value = 0
        (transition, _) = RUN_HEAD.unpack_from(batch)
        calls = self._calls.get(transition, FIRST_SLICE_CALLS)
        outcomes: list[bytes] = []
        function: Callable[..., int] = self._execute
        arguments: tuple[int, ...] = (len(batch), time_us, seed, calls)
        self.watchdog.begin()
        began = time.perf_counter_ns()
        try:
            while True:
                try:
                    progress = function(*arguments)
                except CallEnded as ended:
                    self._recover(ended)
                    progress = YIELDED
                except BaseException:
                    self._drop_call()
                    raise
                now = time.perf_counter_ns()
                length = kernel.output_len.value
                if length:
                    outcomes.append(bytes(kernel.output[:length]))
                    kernel.output_len.value = 0
                if progress == DONE:
                    return outcomes, len(batch)
                if progress != YIELDED:
                    raise self._refusal(progress)
                self.on_yield()
                if self.behind():
                    return outcomes, kernel.control.consumed
                if kernel is not self.kernel or kernel.closed:
                    raise KernelError("the kernel was closed during a batch")
                calls = self._adapt(transition, calls, now - began)
                function, arguments = self._resume, (calls,)
                began = time.perf_counter_ns()
        finally:
            self.watchdog.rest()

    def run_one(self, length: int, time_ns: int, seed: int, *, frame: bool = False) -> int:
        """Runs the one call that lies in `kernel.input`; its outcome is at the start of
        `kernel.output`.

        The short way of `run`: no copies, no slices.

        Args:
            length: Of the batch.
            time_ns: What `now()` returns, unless the state is ahead of it.
            seed: Below 2**63: what `random()` follows from.
            frame: It lies there as a client has sent it, and is answered so.

        Returns:
            REDO_WAITS, REDO_PRESSES, LOG_WAITS, DELTAS_WAIT as far as they hold; CALL_ENDED when
            the call was ended from outside. Of a frame also what `answer_lone` (kernel/main.zig)
            says.
        """
        if self.failed is not None:
            self._start()
        watchdog = self.watchdog
        watchdog.busy = True
        if watchdog.asleep:
            watchdog.begin()
        try:
            flags = (self._answer_lone if frame else self._execute_one)(length, time_ns, seed)
        except CallEnded as ended:
            self._end_one(ended)
            flags = REDO_WAITS | REDO_PRESSES | LOG_WAITS | DELTAS_WAIT | CALL_ENDED
            return flags | self.kernel.transition.value << 32
        except BaseException:
            self._drop_call()
            raise
        finally:
            watchdog.busy = False
        if flags & PROGRESS and not (frame and flags & PROGRESS == ODD):
            self._finish_one(flags & PROGRESS)
        return flags

    def _finish_one(self, progress: int) -> None:
        """The call has not run: a buffer was full, or it was refused."""
        while progress == YIELDED:
            self.on_yield()
            try:
                progress = self._resume(1)
            except CallEnded as ended:
                self._end_one(ended)
                return
        if progress != DONE:
            raise self._refusal(progress)

    def _end_one(self, ended: CallEnded) -> None:
        """The call was ended; run again, if by mistake, until it has an outcome."""
        while not self._recover(ended):
            try:
                self._resume(1)
                return
            except CallEnded as again:
                ended = again
            except BaseException:
                self._drop_call()
                raise

    def call_nested(self, transition: int, args: bytes, seed: int) -> int:
        """Runs a transition inside the host's transaction; its outcome is left in `kernel.output`.

        Returns:
            0, or the code of a refusal: nothing has run.
        """
        kernel = self.kernel
        self._start()
        try:
            while True:
                kernel.input[: len(args)] = args
                kernel.output_len.value = 0
                self.watchdog.begin()
                try:
                    return self._call(transition, len(args), seed)
                except CallEnded as ended:
                    if self._recover(ended):
                        return 0
                except BaseException:
                    self._drop_call()
                    raise
        finally:
            self.watchdog.rest()

    def _start(self) -> None:
        if self.failed is not None:
            raise KernelError(self.failed, hint="reopen the database: it recovers from its log")

    def _refusal(self, progress: int) -> Exception:
        if progress == MALFORMED:
            return RequestError("the packed arguments are malformed: a row's length leads nowhere")
        if progress == UNKNOWN_TRANSITION:
            return RequestError("the transition is not installed any more")
        # Whoever has a turn found that nobody has one open: it was interrupted as it ended.
        self.kernel.call["rollback"]()
        return BusyError(
            "a transaction that was interrupted has just been undone", hint="try again"
        )

    def _adapt(self, transition: int, calls: int, took_ns: int) -> int:
        """How many calls the next slice has; at most twice as many as the last."""
        done = self.kernel.control.calls_done
        fitting = calls * self._slice_ns // max(1, took_ns)
        calls = max(1, min(fitting, 2 * calls, SLICE_CALLS_MAX)) if done else calls
        self._calls[transition] = calls
        return calls

    # ------------------------------------------------------------------ after a call was ended

    def _recover(self, ended: CallEnded) -> bool:
        """The order is always the same: deadline off, stack pointer back, the call undone, the
        guest's instance renewed. False: it was struck by mistake and must run again.

        Raises:
            KernelError: The trap struck inside the kernel.
        """
        try:
            return self._end_call(ended)
        except KernelError:
            raise
        except BaseException:
            self._drop_call()
            raise

    def _end_call(self, ended: CallEnded) -> bool:
        kernel = self.kernel
        self.watchdog.disarm(kernel)
        kernel.restore_stack()
        control = kernel.control
        if ended.overflow and control.operation == _OPERATION_READ:
            kernel.operation.value = 0  # a read changes nothing
        overdue = self.watchdog.struck(ended, control.running)
        if overdue is None:
            self._undo(ended, "retry")
        else:
            self._undo(ended, "abandon", self._reason(ended, overdue=overdue))
        self._renew_guest()
        return overdue is not None

    def _undo(self, ended: BaseException, how: str, *reason: int) -> None:
        control = self.kernel.control
        try:
            if not self.kernel.call[how](*reason):
                return
        except CallEnded as trap:
            ended = trap
        why = ended.reason if isinstance(ended, CallEnded) else "interrupted"
        operation = control.operation
        self.failed = f"the kernel failed in operation {operation} ({why}); lsn {control.lsn}"
        raise KernelError(self.failed) from ended

    def _renew_guest(self) -> None:
        guest = self.guests.get(self.kernel.transition.value)
        if guest is not None:
            guest.renew(self.kernel)
            self.renewed = True
        self.watchdog.rearm(self.kernel)

    def _drop_call(self) -> None:
        """An exception came from outside (Ctrl-C) as a call ended, or in the middle of `_recover`:
        whatever of it had not been done is done, and nobody waits for the outcome.
        """
        kernel = self.kernel
        if kernel.closed or self.failed is not None:
            return
        self.watchdog.disarm(kernel)
        kernel.restore_stack()
        if kernel.running.value:
            self._undo(KeyboardInterrupt(), "abandon", DEADLINE)
        self._renew_guest()
        kernel.output_len.value = 0

    def _reason(self, ended: CallEnded, *, overdue: bool) -> int:
        if overdue:
            return DEADLINE
        guest = self.guests.get(self.kernel.transition.value)
        if guest is not None and guest.failed is not None:
            self.trap_reasons[GUEST_FAILED] = guest.failed
            return GUEST_FAILED
        code = TRAP_FIRST + (int(ended.code.value) + 1 if ended.code is not None else 0)
        self.trap_reasons[code] = ended.reason
        return code
