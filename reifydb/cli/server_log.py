"""The log of a server, on standard error: a line for each event, in JSON for programs.

Lines of guests are here from `warning` on; all of them are kept for `reifydb logs`.
"""

from __future__ import annotations

import json
import logging
from datetime import UTC, datetime

from reifydb.cli.output import printable

_LOG, _AUDIT = logging.getLogger("reifydb.server"), logging.getLogger("reifydb.audit")


def write_log(*, as_json: bool) -> None:
    """From now on what is logged is written."""
    handler = logging.StreamHandler()
    handler.setFormatter(_JsonLine() if as_json else _Line())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    _LOG.setLevel(logging.INFO)
    _AUDIT.setLevel(logging.INFO)


def log(message: str, *facts: object) -> None:
    """One event of the server's own."""
    _LOG.info(message, *facts)


def _moment(record: logging.LogRecord) -> str:
    moment = datetime.fromtimestamp(record.created, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond // 1000:03}Z"


class _Line(logging.Formatter):
    """`time level logger: message`, then the traceback when there is one."""

    def format(self, record: logging.LogRecord) -> str:
        said = printable(record.getMessage())
        line = f"{_moment(record)} {record.levelname.lower()} {record.name}: {said}"
        if record.exc_info:
            line += "\n" + self.formatException(record.exc_info)
        return line


class _JsonLine(logging.Formatter):
    """One JSON object a line, whatever is logged."""

    def format(self, record: logging.LogRecord) -> str:
        facts = {
            "time": _moment(record),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        } | getattr(record, "facts", {})
        if record.exc_info:
            facts["traceback"] = self.formatException(record.exc_info)
        return json.dumps(facts, ensure_ascii=False)
