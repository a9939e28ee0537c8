"""Every error that ReifyDB raises, on one page.

The class says what to do about it:

- `RequestError`: what was asked for is wrong. Mend the request; nothing has changed.
- `TransactionError`: the request was sound, its transaction did not commit. Nothing has changed.
- `UnavailableError`: not now. The same request may be served later, unchanged.
- `OperatorError`: someone has to look at the disk, the log or the program.
- `ConnectionLostError`, which is none of these: nobody can say whether it ran. Look, then decide.

`code` is stable and goes over the wire; the text is for people and may change. Facts that a program
may want are attributes.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping

__all__ = [
    "AbortedError",
    "AssertionViolatedError",
    "BusyError",
    "CheckError",
    "ClosedError",
    "ConnectionLostError",
    "ConstraintError",
    "DeadlineError",
    "DuplicateKeyError",
    "DurabilityLostError",
    "DurabilityStalledError",
    "ExpressionError",
    "ForbiddenError",
    "ForeignKeyError",
    "ForkedError",
    "FormatVersionError",
    "KernelError",
    "LimitError",
    "LockedError",
    "LogDamagedError",
    "ModuleError",
    "NotFoundError",
    "NotNullError",
    "OfflineError",
    "OperatorError",
    "OverloadedError",
    "PreconditionFailedError",
    "ReadOnlyError",
    "ReentrantError",
    "ReifyDBError",
    "RequestError",
    "SchemaError",
    "SqlError",
    "StorageError",
    "StorageFullError",
    "TransactionError",
    "TransactionLimitError",
    "TrappedError",
    "UnauthenticatedError",
    "UnavailableError",
    "UnknownNameError",
    "VerifyError",
    "WaitTimeoutError",
    "WrongTypeError",
]


class ReifyDBError(Exception):
    """The root. `code` is stable, `hint` says what would be right (may be empty)."""

    code = "error"

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(f"{message} ({hint})" if hint else message)
        self.message, self.hint = message, hint


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """A hint for a wrong name: the nearest known one, else the list of those there are."""
    names = sorted(known)
    near = difflib.get_close_matches(name, names, n=1)
    if near:
        return f"did you mean {near[0]!r}?"
    if not names:
        return "there are none yet"
    shown = ", ".join(names[:8])
    return f"there are: {shown}, …" if len(names) > 8 else f"there are: {shown}"


# ------------------------------------------------------------------ mend the request


class RequestError(ReifyDBError):
    """What was asked for is wrong. Nothing has changed."""

    code = "bad_request"


class UnknownNameError(RequestError):
    """No table, column, module or transition has this name."""

    code = "unknown_name"

    def __init__(self, kind: str, name: str, known: Iterable[str]) -> None:
        super().__init__(f"there is no {kind} {name!r}", hint=did_you_mean(name, known))
        self.kind, self.name = kind, name


class WrongTypeError(RequestError):
    """A value is not of its column's or parameter's type."""

    code = "wrong_type"


class SqlError(RequestError):
    """SQL that cannot be parsed or is not supported. `line` and `column` count from 1, `said` is
    the message without them.
    """

    code = "sql"

    def __init__(
        self, message: str, *, line: int | None = None, column: int | None = None, hint: str = ""
    ) -> None:
        where = f"line {line}, column {column}: " if line is not None else ""
        super().__init__(where + message, hint=hint)
        self.line, self.column, self.said = line, column, message


class SchemaError(RequestError):
    """A schema change that does not fit what is there."""

    code = "schema"


class ModuleError(RequestError):
    """A module that cannot be installed. `problems` lists every reason."""

    code = "module"

    def __init__(self, message: str, problems: Iterable[str] = (), *, hint: str = "") -> None:
        self.problems = tuple(problems)
        listed = "".join(f"\n- {problem}" for problem in self.problems)
        super().__init__(message + (":" + listed if listed else ""), hint=hint)


class ReentrantError(RequestError):
    """`db.…` was called inside an open transaction on the same thread. Use the transaction."""

    code = "reentrant"


class ClosedError(RequestError):
    """The database, transaction or handle is closed."""

    code = "closed"


class ForkedError(RequestError):
    """A handle was used in a child process after `fork`. Open the database there instead."""

    code = "forked"


class LimitError(RequestError):
    """A named limit was reached. `limit` is its name (docs/limits.md), `value` what it is."""

    code = "limit"

    def __init__(self, message: str, *, limit: str, value: int, hint: str = "") -> None:
        super().__init__(f"{message}: {limit} is {value:,}", hint=hint)
        self.limit, self.value = limit, value


class UnauthenticatedError(RequestError):
    """The server wants a token, and there is none, or one that it does not know."""

    code = "unauthenticated"


class ForbiddenError(RequestError):
    """The token may not do this. `capability` is what is missing."""

    code = "forbidden"

    def __init__(self, message: str, *, capability: str, hint: str = "") -> None:
        super().__init__(message, hint=hint or f"it takes a token with the capability {capability}")
        self.capability = capability


class PreconditionFailedError(RequestError):
    """The row has changed since it was read (`If-Match`). Read it again."""

    code = "precondition_failed"


# ------------------------------------------------------------------ the transaction did not commit


class TransactionError(ReifyDBError):
    """The transaction did not commit. Nothing has changed."""

    code = "transaction"


class AbortedError(TransactionError):
    """A transition aborted. `abort_code` is the application's number, `abort_message` its text."""

    code = "aborted"

    def __init__(self, transition: str, abort_code: int, abort_message: str) -> None:
        said = f": {abort_message}" if abort_message else ""
        super().__init__(f"{transition} aborted with code {abort_code}{said}")
        self.transition, self.abort_code, self.abort_message = transition, abort_code, abort_message


class ConstraintError(TransactionError):
    """A row breaks a rule of its table. `row` is that row, where the error knows it. Only `str`
    shows it: `message` goes to whoever called, who may not read the table.
    """

    code = "constraint"
    row: Mapping[str, object] | None = None

    def __str__(self) -> str:
        return f"{super().__str__()}: {_shown(self.row)}" if self.row else super().__str__()


class DuplicateKeyError(ConstraintError):
    """A row with this primary key, or with the same values in a unique index, is there already."""

    code = "duplicate_key"


class NotNullError(ConstraintError):
    """Null for a column that must not be null."""

    code = "not_null"


class CheckError(ConstraintError):
    """A row for which a `check` constraint of its table is false. `constraint` names it."""

    code = "check"

    def __init__(self, message: str, *, constraint: str) -> None:
        super().__init__(message)
        self.constraint = constraint


_VALUE_SHOWN_MAX = 60


def _shown(row: Mapping[str, object]) -> str:
    """A row for people, long values cut."""
    said = []
    for name, value in row.items():
        text = "null" if value is None else str(value)
        cut = text if len(text) <= _VALUE_SHOWN_MAX else text[: _VALUE_SHOWN_MAX - 1] + "…"
        said.append(f"{name} = {cut}")
    return ", ".join(said)


class AssertionViolatedError(ConstraintError):
    """An assertion would have a row. `constraint` names it, `row` is the first of its rows; None at
    a client.
    """

    code = "assertion"

    def __init__(self, message: str, *, constraint: str, row: Mapping[str, object]) -> None:
        super().__init__(message)
        self.constraint, self.row = constraint, row


class ForeignKeyError(ConstraintError):
    """A row would reference one that is not there. `constraint` names the foreign key, `row` is the
    referencing row; None at a client.
    """

    code = "foreign_key"

    def __init__(self, message: str, *, constraint: str, row: Mapping[str, object]) -> None:
        super().__init__(message)
        self.constraint, self.row = constraint, row


class ExpressionError(TransactionError):
    """An expression of a query, a view or a constraint could not be computed for a row.

    Attributes:
        reason: Why: `division by zero`.
        relation: The view or table whose expression it is; empty: a query's own.
        line, column: Where it stands in the SQL, from 1; None when that is not known.
    """

    code = "expression"

    def __init__(
        self,
        reason: str,
        *,
        relation: str = "",
        line: int | None = None,
        column: int | None = None,
    ) -> None:
        where = f"line {line}, column {column}: " if line is not None else ""
        of = f"{relation}: " if relation else ""
        super().__init__(f"{of}{where}{reason}")
        self.reason, self.relation, self.line, self.column = reason, relation, line, column


class NotFoundError(TransactionError):
    """No row has this primary key."""

    code = "not_found"


class ReadOnlyError(TransactionError):
    """A write in a query or in a read-only database."""

    code = "read_only"


class TrappedError(TransactionError):
    """A transition trapped: a bug in the guest. `trap` names the kind."""

    code = "trapped"

    def __init__(self, transition: str, trap: str) -> None:
        super().__init__(f"{transition} trapped: {trap}")
        self.transition, self.trap = transition, trap


class DeadlineError(TransactionError):
    """A transition took longer than its deadline."""

    code = "deadline"

    def __init__(self, transition: str, deadline_ms: float) -> None:
        super().__init__(f"{transition} was ended: its deadline of {deadline_ms:g} ms has passed")
        self.transition, self.deadline_ms = transition, deadline_ms


class TransactionLimitError(TransactionError, LimitError):
    """The transaction reached a named limit."""

    code = "transaction_limit"


# ------------------------------------------------------------------ not now


class UnavailableError(ReifyDBError):
    """Not now; the same request may be served later."""

    code = "unavailable"


class BusyError(UnavailableError):
    """Another thread kept the engine for longer than `engine_wait_ms_max`."""

    code = "busy"


class OverloadedError(UnavailableError):
    """The server has more to do than it takes on. `retry_after_s`: when to try again."""

    code = "overloaded"

    def __init__(self, message: str, *, retry_after_s: float = 1.0, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.retry_after_s = retry_after_s


class LockedError(UnavailableError):
    """Another process has this database open. `pid` is its process number, 0 when unknown."""

    code = "locked"

    def __init__(self, path: str, pid: int) -> None:
        who = f"process {pid}" if pid else "another process"
        super().__init__(
            f"{path} is in use by {who}", hint="one process opens a database at a time"
        )
        self.path, self.pid = path, pid


class DurabilityStalledError(UnavailableError):
    """The disk did not keep up for `durability_stall_ms_max`: writes are refused, reads go on."""

    code = "durability_stalled"


class StorageFullError(UnavailableError):
    """No space left on the disk. Writes are refused, reads go on, service resumes by itself."""

    code = "storage_full"


class WaitTimeoutError(UnavailableError):
    """`wait_durable` waited for its whole timeout. The commit may still become durable."""

    code = "wait_timeout"


class OfflineError(UnavailableError):
    """A client had no connection to its server for too long. The request was not sent."""

    code = "offline"


# ------------------------------------------------------------------ look first


class ConnectionLostError(ReifyDBError):
    """The connection was lost before the answer came: it has run, or not. Not sent again, for it
    would run twice.
    """

    code = "connection_lost"


# ------------------------------------------------------------------ call an operator


class OperatorError(ReifyDBError):
    """Someone has to look."""

    code = "operator"


class DurabilityLostError(OperatorError):
    """Commits after `durable_lsn` will not become durable: a flush to disk failed. Reopen."""

    code = "durability_lost"

    def __init__(self, message: str, *, durable_lsn: int, hint: str = "") -> None:
        super().__init__(f"{message}; the last durable lsn is {durable_lsn}", hint=hint)
        self.durable_lsn = durable_lsn


class LogDamagedError(OperatorError):
    """The commit log is damaged. `file`, `offset` and `lsn` say where; opening was refused."""

    code = "log_damaged"

    def __init__(self, reason: str, *, file: str, offset: int, lsn: int) -> None:
        super().__init__(
            f"{file}: {reason} at offset {offset}, after lsn {lsn}",
            hint="opening was refused and nothing was changed: restore a copy of the folder",
        )
        self.reason, self.file, self.offset, self.lsn = reason, file, offset, lsn


class FormatVersionError(OperatorError):
    """A file was written by a newer ReifyDB, or is not a ReifyDB file at all."""

    code = "format_version"


class StorageError(OperatorError):
    """The operating system refused a file operation."""

    code = "storage"


class KernelError(OperatorError):
    """The kernel failed: a bug of ours. The engine has stopped; reopening recovers from the log."""

    code = "kernel"


class VerifyError(OperatorError):
    """`verify()` found a structure that contradicts itself."""

    code = "verify"
