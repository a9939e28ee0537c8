"""`reifydb logs`: what transitions have logged."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click

from reifydb.cli.options import Place, target_command


@target_command()
@click.option("-f", "--follow", is_flag=True, help="Go on with each line as it comes.")
@click.option(
    "--level",
    type=click.Choice(["debug", "info", "warning", "error"]),
    default="debug",
    show_default=True,
    help="Leave out what is below.",
)
def logs(place: Place, follow: bool, level: str, as_json: bool) -> None:
    """Print what transitions have logged while a server ran.

    A server keeps the last few thousand lines. Ctrl-C ends --follow with exit code 0. The lines are
    numbered; a number that is missing is a line that came too fast, or below the level.
    """
    if place.url is None:
        raise click.UsageError("A server keeps the lines, a folder does not: '--url'.")
    from reifydb.cli.output import print_json
    from reifydb.cli.remote import Remote

    server = Remote(place.url, place.token)
    say = print_json if as_json else _print_line
    try:
        for line in server.follow(level) if follow else server.logs(level):
            say(line)
    except KeyboardInterrupt:
        return


def _print_line(line: Mapping[str, Any]) -> None:
    from reifydb.cli.output import shown

    facts = (line["time"], line["level"].ljust(7), f"{line['transition']}:", line["text"])
    click.echo(" ".join(map(shown, facts)))
