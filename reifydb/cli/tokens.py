"""`reifydb token`: who may use a server, written into its database while no server has it open."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import click

from reifydb.cli.group import LazyGroup
from reifydb.cli.options import folder_argument, json_option

if TYPE_CHECKING:
    from reifydb.gateway.tokens import Token


@click.group(cls=LazyGroup)
def token() -> None:
    """Make, list and revoke the tokens of a database.

    No other process may have it open: stop its server first.
    """


@token.command("make")
@folder_argument
@click.argument("name")
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
@json_option
def make(path: str, name: str, can: tuple[str, ...], days: float | None, as_json: bool) -> None:
    """Make a token, and print it: it cannot be asked for again.

    The database in the folder PATH is made when it is not there.
    """
    from reifydb.cli.folder import open_folder
    from reifydb.cli.output import print_json
    from reifydb.gateway.tokens import Tokens

    capabilities = {part.strip() for each in can for part in each.split(",")} - {""}
    with open_folder(path) as db:
        tokens = Tokens(db)
        made = tokens.make(name, sorted(capabilities), days=days)
        [found] = [known for known in tokens.list() if known.name == name]
    # The database is closed: what is printed now is on disk.
    if as_json:
        print_json({"token": made} | _facts(found))
        return
    click.echo(made)
    click.echo("keep it: it is not shown again", err=True)


@token.command("list")
@folder_argument
@json_option
def list_tokens(path: str, as_json: bool) -> None:
    """List the tokens and what they may do; not the tokens themselves, which are not kept."""
    from reifydb.cli.folder import open_folder
    from reifydb.cli.output import print_json, print_table
    from reifydb.cli.target import check_there
    from reifydb.gateway.tokens import Tokens

    check_there(path)
    with open_folder(path) as db:
        found = [_facts(known) for known in Tokens(db).list()]
    if as_json:
        print_json(found)
        return
    rows = [[f["name"], ", ".join(f["capabilities"]), f["expires"] or "never"] for f in found]
    print_table(["NAME", "MAY", "EXPIRES"], rows)


@token.command("revoke")
@folder_argument
@click.argument("name")
@json_option
def revoke(path: str, name: str, as_json: bool) -> None:
    """Take a token away."""
    from reifydb.cli.folder import open_folder
    from reifydb.cli.output import print_json
    from reifydb.cli.target import check_there
    from reifydb.gateway.tokens import Tokens

    check_there(path)
    with open_folder(path) as db:
        Tokens(db).remove(name)
    if as_json:
        print_json({"revoked": name})
    else:
        click.echo(f"revoked {name}")


def _facts(known: Token) -> dict[str, Any]:
    expires = None
    if known.expires_us is not None:
        at = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=known.expires_us // 1_000_000)
        expires = at.strftime("%Y-%m-%dT%H:%M:%SZ")
    return {
        "name": known.name,
        "capabilities": list(known.capabilities),
        "expires": expires,
    }
