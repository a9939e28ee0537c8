"""`reifydb call`: a transition, with its arguments as words or as JSON."""

from __future__ import annotations

import json
from typing import Any

import click

from reifydb.cli.options import Place, target_command


@target_command("TRANSITION [VALUE]...")
@click.option("--args", "given_args", metavar="JSON", help="The arguments: an object, or an array.")
def call(place: Place, words: list[str], given_args: str | None, as_json: bool) -> None:
    """Call a transition, and print its result.

    The values are its arguments by position, each read by its parameter's type; null is the word
    null (for text and JSON only in --args). The call is on disk when the result is printed.
    When the transition says no, the exit code is 4 and nothing has changed.
    """
    from reifydb.cli.catalog import Catalog, column_of, signature, values_of
    from reifydb.cli.output import print_facts, print_json, print_lines, shown
    from reifydb.cli.target import open_target

    name, values = words[0], words[1:]
    if given_args is not None and values:
        raise click.UsageError("Arguments are given as words and in '--args'.")
    args = None if given_args is None else _parsed(given_args)
    with open_target(place) as target:
        described = Catalog(target.schema()).transition(name)
        if args is None:
            params = [column_of(param) for param in described["params"]]
            args = values_of(values, params, of=signature(described))
            if len(args) < len(params):
                raise click.UsageError(
                    f"{signature(described)} takes {len(params)} values, not {len(args)}."
                )
        answer = target.call(name, args)
    value, result = answer.value, described["result"]
    if result is not None and "columns" in result and value is not None:
        names = [column["name"] for column in result["columns"]]
        value = dict(zip(names, value, strict=True))
    if as_json:
        print_json({"value": value, "lsn": answer.lsn, "incarnation": answer.incarnation})
    elif isinstance(value, dict) and result is not None and "columns" in result:
        print_facts(value)
    elif value is not None:
        print_lines(shown(value))


def _parsed(text: str) -> Any:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise click.UsageError(f"'--args' is not JSON: {error}") from None
    if not isinstance(found, dict | list):
        raise click.UsageError("'--args' is an object by name, or an array by position.")
    return found
