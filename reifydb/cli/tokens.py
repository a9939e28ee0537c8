"""`reifydb token`: who may use a server, changed in its folder or while it runs."""

from __future__ import annotations

import click

from reifydb.cli.group import LazyGroup
from reifydb.cli.options import Place, target_command


@click.group(cls=LazyGroup)
def token() -> None:
    """Make, list and revoke the tokens of a database.

    With --url on a server that runs, which takes effect at once and needs the capability
    operations; else in a folder, which no other process may have open.
    """


@target_command("NAME")
@click.option(
    "--can",
    required=True,
    multiple=True,
    metavar="CAPABILITY",
    help="What its holder may do: call, read, write, subscribe, modules, schema, operations; the"
    " first four also for one thing, as call:bank.transfer or read:account. Several with commas"
    " between, or the option several times.",
)
@click.option(
    "--days",
    type=click.FloatRange(0, 36_500, min_open=True),
    help="How long it is good for; without it, until it is revoked.",
)
def make(
    place: Place, words: list[str], can: tuple[str, ...], days: float | None, as_json: bool
) -> None:
    """Make a token, and print it: it cannot be asked for again.

    The database in the folder PATH is made when it is not there. Over --url nobody can make a
    token that may do more than the own one.
    """
    from reifydb.cli.output import print_json
    from reifydb.cli.target import open_target

    capabilities = {part.strip() for each in can for part in each.split(",")} - {""}
    with open_target(place, make=True) as target:
        found = target.make_token(words[0], sorted(capabilities), days)
    # What is printed now is on disk.
    if as_json:
        print_json(found)
        return
    click.echo(found["token"])
    click.echo("keep it: it is not shown again", err=True)


@target_command()
def list_tokens(place: Place, as_json: bool) -> None:
    """List the tokens and what they may do; not the tokens themselves, which are not kept."""
    from reifydb.cli.output import print_json, print_table
    from reifydb.cli.target import open_target

    with open_target(place) as target:
        found = target.tokens()
    if as_json:
        print_json(found)
        return
    rows = [[f["name"], ", ".join(f["capabilities"]), f["expires"] or "never"] for f in found]
    print_table(["NAME", "MAY", "EXPIRES"], rows)


@target_command("NAME")
def revoke(place: Place, words: list[str], as_json: bool) -> None:
    """Take a token away; on a server, whoever is connected with it is closed."""
    from reifydb.cli.output import print_json
    from reifydb.cli.target import open_target

    with open_target(place) as target:
        target.revoke_token(words[0])
    if as_json:
        print_json({"revoked": words[0]})
    else:
        click.echo(f"revoked {words[0]}")


token.add_command(make, "make")
token.add_command(list_tokens, "list")
token.add_command(revoke, "revoke")
