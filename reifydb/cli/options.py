"""What commands have in common: a database to work on, `--json`, words that begin with a minus."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import click

json_option = click.option("--json", "as_json", is_flag=True, help="Answer in JSON.")
folder_argument = click.argument("path", type=click.Path(file_okay=False))

_ESCAPE = "\0"
"""Before a word that looks like an option and is a number; no argument of a process has a NUL."""

_NEGATIVE = re.compile(r"-\.?[0-9]")


@dataclass(frozen=True, slots=True)
class Place:
    """Where the database is: a folder, or a server."""

    path: str | None = None
    url: str | None = None
    token: str | None = None


class _Word(click.ParamType):  # type: ignore[type-arg,unused-ignore]  # generic from 8.5 on
    name = "value"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        del param, ctx
        return str(value).removeprefix(_ESCAPE)


WORD = _Word()
"""The type of words and of options that may be negative numbers."""


class WordsCommand(click.Command):
    """A command whose arguments may be negative numbers."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parses the arguments, negative numbers taken for words."""
        valued = {
            name
            for param in self.params
            if isinstance(param, click.Option) and not param.is_flag
            for name in param.opts
        }
        found: list[str] = []
        for i, arg in enumerate(args):
            if arg == "--":
                found += args[i:]
                break
            behind_option = i > 0 and args[i - 1] in valued
            found.append(_ESCAPE + arg if _NEGATIVE.match(arg) and not behind_option else arg)
        return super().parse_args(ctx, found)


def target_command(
    words: str = "", *, most: int | None = None
) -> Callable[[Callable[..., None]], click.Command]:
    """Makes a command that works on a folder or a server: `[PATH] words`, or `--url` and words.

    Args:
        words: What stands behind the path, for the usage. Those that are not in brackets have to be
            there; one that ends with `...` may be there several times.
        most: How many words there may be; by default as many as are named.
    """
    names = [name for name in words.split() if not name.startswith("[")]
    if most is None and not words.endswith("..."):
        most = len(words.split())
    metavar = f"[PATH] {words}".rstrip()

    def make(function: Callable[..., None]) -> click.Command:
        @functools.wraps(function)
        def run(given: tuple[str, ...], url: str | None, token: str | None, **options: Any) -> None:
            found = list(given)
            if url:
                place = Place(url=url, token=token)
            elif found:
                place = Place(path=found.pop(0))
            else:
                raise click.UsageError("Missing argument 'PATH', a database's folder, or '--url'.")
            if len(found) < len(names):
                raise click.UsageError(f"Missing argument '{names[len(found)].rstrip('.')}'.")
            if most is not None and len(found) > most:
                extra = " ".join(found[most:])
                raise click.UsageError(f"Got unexpected extra arguments ({extra})")
            function(place, *([found] if words else []), **options)

        for option in reversed(
            (
                click.argument("given", nargs=-1, metavar=metavar, type=WORD),
                click.option(
                    "--url",
                    envvar="REIFYDB_URL",
                    help="The URL of a server, in place of PATH.  [env: REIFYDB_URL]",
                ),
                click.option(
                    "--token",
                    envvar="REIFYDB_TOKEN",
                    help="The token for the server; others on the machine can see it here."
                    "  [env: REIFYDB_TOKEN]",
                ),
                json_option,
            )
        ):
            run = option(run)
        return click.command(cls=WordsCommand)(run)

    return make
