"""`reifydb query`: the answer to a `select`."""

from __future__ import annotations

import json
import re
from typing import Any

import click

from reifydb.cli.options import WORD, Place, target_command

_NAMED = re.compile(r"([A-Za-z_]\w*)=(.*)", re.DOTALL)


@target_command("SQL")
@click.option(
    "--param",
    "named",
    metavar="NAME=VALUE",
    multiple=True,
    type=WORD,
    help="The value of a parameter :NAME, read by its type.",
)
@click.option("--params", help="All of them as JSON: an object by name, or an array for ? and $1.")
def query(
    place: Place, words: list[str], named: tuple[str, ...], params: str | None, as_json: bool
) -> None:
    """Print the answer to a select.

    With --json each row is one line.
    """
    from reifydb.cli.catalog import is_number
    from reifydb.cli.output import print_json, print_table
    from reifydb.cli.target import open_target

    [sql] = words
    given = _given(named, params)
    with open_target(place) as target:
        answer = target.query(sql, given)
    columns, rows = answer["columns"], answer["rows"]
    names = [column["name"] for column in columns]
    if as_json:
        for row in rows:
            print_json(dict(zip(names, row, strict=True)))
        return
    print_table(names, rows, right="".join("r" if is_number(c) else "l" for c in columns))


def _given(named: tuple[str, ...], params: str | None) -> Any:
    """The parameters as over HTTP.

    Raises:
        UsageError: They are none.
    """
    if params is not None and named:
        raise click.UsageError("--param or --params, not both.")
    if params is not None:
        try:
            return json.loads(params)
        except ValueError as error:
            raise click.UsageError(f"--params is no JSON: {error}") from None
    found: dict[str, str] = {}
    for word in named:
        match = _NAMED.fullmatch(word)
        if match is None:
            raise click.UsageError(f"--param {word!r:.60} is not NAME=VALUE.")
        if match[1] in found:
            raise click.UsageError(f"--param {match[1]} is there twice.")
        found[match[1]] = match[2]
    return found or None
