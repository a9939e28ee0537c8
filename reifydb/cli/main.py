"""The command `reifydb`.

What goes wrong is one line on standard error that begins with `error:`, or with `--json` a problem
(docs/errors.md), and the exit code says of what kind it is:

| code | |
|---|---|
| 0 | done |
| 1 | refused, or failed |
| 2 | wrong usage |
| 3 | not reached, not now (the folder is in use, the server too busy), or the connection was lost |
| 4 | the transition said no |

What a command needs is imported when it runs (group.py), so that `--help` answers at once.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence

import click

from reifydb import errors
from reifydb.cli.group import LazyGroup
from reifydb.cli.output import printable

DONE, FAILED, USAGE, NOT_NOW, REJECTED = range(5)

COMMANDS = {
    "serve": ("serve:serve", "Serve a database over HTTP and WebSocket."),
    "call": ("call:call", "Call a transition."),
    "get": ("rows:get", "Print the row with a primary key."),
    "scan": ("rows:scan", "Print the rows of a table in the order of a key."),
    "query": ("query:query", "Print the answer to a select."),
    "watch": ("watch:watch", "Print a table, then what changes in it."),
    "install": ("modules:install", "Install a module, or replace the one of its name."),
    "uninstall": ("modules:uninstall", "Remove a module; its tables stay."),
    "modules": ("modules:modules", "List the installed modules."),
    "schema": ("schema:schema", "Print the schema as SQL, or change it."),
    "describe": ("schema:describe", "Say what a table or a transition looks like."),
    "verify": ("verify:verify", "Open a database and check all of it."),
    "inspect": ("inspect:inspect", "Say what is in a folder, without opening or changing it."),
    "token": ("tokens:token", "Make, list and revoke the tokens of a database."),
    "logs": ("logs:logs", "Print what transitions have logged."),
    "generate": ("generate:generate", "Make source text from a schema."),
    "pack": ("pack:pack", "Put a manifest into a module."),
    "version": ("version:version", "Print the version."),
}
"""Of each command where it is, in this package, and what the help says of it."""


@click.command(
    cls=LazyGroup,
    lazy={name: (f"reifydb.cli.{where}", said) for name, (where, said) in COMMANDS.items()},
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
def command() -> None:
    """ReifyDB, a database for live application state.

    Most commands work on a database's folder, or with --url on a server. With --json they answer in
    JSON. Exit codes: 1 failed, 2 wrong usage, 3 not reached or not now, 4 the transition said no.
    """


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command line; the console script exits with what this returns.

    Args:
        arguments: Without the program's name. None: those of the process.
    """
    words = sys.argv[1:] if arguments is None else list(arguments)
    as_json = "--json" in words  # also when the rest of them is not understood
    try:
        done = command.main(args=words, prog_name="reifydb", standalone_mode=False)
        sys.stdout.flush()
    except BrokenPipeError:  # who reads has had enough: `reifydb scan … | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return FAILED
    except Exception as error:
        return _failed(error, as_json)
    except KeyboardInterrupt:
        return _failed(click.Abort(), as_json)
    return done if isinstance(done, int) else DONE


NO_ARGUMENTS: type[click.UsageError] | tuple[()] = getattr(
    click.exceptions, "NoArgsIsHelpError", ()
)
"""What click raises for a group without a command, from 8.2 on: its message is the help."""


def _failed(error: BaseException, as_json: bool) -> int:
    """Says what went wrong; the exit code.

    Raises:
        BaseException: The error itself, when it is none that anybody expects.
    """
    if isinstance(error, NO_ARGUMENTS):
        click.echo(error.format_message(), err=True)
        return USAGE
    if isinstance(error, click.UsageError):
        if error.ctx is not None and not as_json:
            click.echo(error.ctx.get_usage(), err=True)
        return _said(errors.RequestError(error.format_message()), as_json, USAGE)
    if isinstance(error, click.ClickException):
        return _said(errors.RequestError(error.format_message()), as_json)
    if isinstance(error, click.Abort):
        return _said(errors.RequestError("interrupted"), as_json)
    if isinstance(error, errors.AbortedError):
        return _said(error, as_json, REJECTED)
    if isinstance(error, errors.UnavailableError | errors.ConnectionLostError):
        return _said(error, as_json, NOT_NOW)
    if isinstance(error, errors.ReifyDBError):
        return _said(error, as_json)
    if isinstance(error, OSError):
        where = f"{error.filename}: " if error.filename else ""
        return _said(errors.RequestError(f"{where}{error.strerror or error}"), as_json)
    raise error


def _said(error: errors.ReifyDBError, as_json: bool, code: int = FAILED) -> int:
    if as_json:
        from reifydb.wire.problems import problem_of

        print(json.dumps(problem_of(error)), file=sys.stderr)
    else:
        # On one line, but for the reasons why a module, or a change of the schema, is refused; what
        # a server says is escaped.
        listed = isinstance(error, errors.ModuleError | errors.SchemaError)
        lines = str(error).split("\n") if listed else [str(error)]
        print("\n".join(map(printable, (f"error: {lines[0]}", *lines[1:]))), file=sys.stderr)
    return code
