"""`--param` and `--params`: the values for the parameters of a `select`."""

from __future__ import annotations

import json
import re
from typing import Any

import click

from reifydb.cli.options import WORD

_NAMED = re.compile(r"([A-Za-z_]\w*)=(.*)", re.DOTALL)

param_option = click.option(
    "--param",
    "named",
    metavar="NAME=VALUE",
    multiple=True,
    type=WORD,
    help="The value of a parameter :NAME, read by its type.",
)
params_option = click.option(
    "--params", help="All of them as JSON: an object by name, or an array for ? and $1."
)


def given_params(named: tuple[str, ...], params: str | None) -> Any:
    """The parameters as over HTTP: an object by name, an array, or None.

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
