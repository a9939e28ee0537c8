"""`reifydb token`: who may use a server, written into its database while no server has it open."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from reifydb.gateway.tokens import Token

_path_argument = click.argument("path", type=click.Path(file_okay=False, path_type=Path))
_json_option = click.option("--json", "as_json", is_flag=True, help="Answer in JSON.")


@click.group()
def token() -> None:
    """Make, list and revoke the tokens of a database.

    The database must not be open in another process: stop its server first.
    """


@token.command("make")
@_path_argument
@click.argument("name")
@click.option(
    "--can",
    required=True,
    metavar="LIST",
    help="What its holder may do, with commas between: call, read, write, subscribe, modules, "
    "schema, operations; the first four also for one thing: call:bank.transfer, read:account.",
)
@click.option(
    "--days",
    type=click.FloatRange(0, 36_500, min_open=True),
    help="How long it is good for; without, until it is revoked.",
)
@_json_option
def make_token(path: Path, name: str, can: str, days: float | None, as_json: bool) -> None:
    """Make a token, and print it: nobody can ask for it again.

    The database is made when the folder PATH is not there.
    """
    import reifydb
    from reifydb.gateway.tokens import Tokens

    capabilities = sorted({part.strip() for part in can.split(",")} - {""})
    with reifydb.open(path) as db:
        made = Tokens(db).make(name, capabilities, days=days)
        found = next(known for known in Tokens(db).list() if known.name == name)
    # Closed, so what is printed is on disk.
    click.echo(json.dumps({"token": made, **_shown(found)}) if as_json else made)
    if not as_json:
        click.echo("it is not shown again", err=True)


@token.command("list")
@_path_argument
@_json_option
def list_tokens(path: Path, as_json: bool) -> None:
    """Say whose tokens there are, and what they may do. The tokens themselves are not kept."""
    import reifydb
    from reifydb.gateway.tokens import Tokens

    _check_there(path)
    with reifydb.open(path) as db:
        found = Tokens(db).list()
    if as_json:
        click.echo(json.dumps([_shown(known) for known in found]))
        return
    rows = [
        (known.name, ", ".join(known.capabilities), _expiry(known) or "never") for known in found
    ]
    _echo_table([("NAME", "MAY", "EXPIRES"), *rows])


@token.command("revoke")
@_path_argument
@click.argument("name")
@_json_option
def revoke_token(path: Path, name: str, as_json: bool) -> None:
    """Take a token away."""
    import reifydb
    from reifydb.gateway.tokens import Tokens

    _check_there(path)
    with reifydb.open(path) as db:
        Tokens(db).remove(name)
    click.echo(json.dumps({"revoked": name}) if as_json else f"revoked {name}")


def _check_there(path: Path) -> None:
    """Opening would make a database; who asks for tokens did not mean that."""
    if not path.is_dir() or not any(path.iterdir()):
        raise click.ClickException(f"{path}: there is no database")


def _shown(known: Token) -> dict[str, object]:
    return {
        "name": known.name,
        "capabilities": list(known.capabilities),
        "expires": _expiry(known),
    }


def _expiry(known: Token) -> str | None:
    if known.expires_us is None:
        return None
    at = datetime.fromtimestamp(known.expires_us // 1_000_000, UTC)
    return at.isoformat().replace("+00:00", "Z")


def _echo_table(rows: Sequence[Sequence[str]]) -> None:
    """Columns as wide as their widest cell: nothing is cut, so that `grep` finds it."""
    widths = [max(len(cell) for cell in column) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        click.echo("  ".join(cells).rstrip())
