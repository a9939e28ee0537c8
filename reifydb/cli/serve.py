"""`reifydb serve`: a database at a port, until SIGINT or SIGTERM."""

from __future__ import annotations

import json

import click

PORT = 7433
"""Where a server listens when nobody says otherwise."""


@click.command()
@click.argument("path", required=False, type=click.Path(file_okay=False))
@click.option("--memory", is_flag=True, help="Keep nothing: a database without a folder.")
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen at.")
@click.option(
    "--port",
    default=PORT,
    show_default=True,
    type=click.IntRange(0, 65535),
    help="The port; 0 takes a free one.",
)
@click.option(
    "--origin",
    "origins",
    multiple=True,
    metavar="ORIGIN",
    help="A web origin whose pages may connect, as https://app.example; may be repeated.",
)
@click.option("--tokens-needed", is_flag=True, help="Do not start while there is no token.")
@click.option("--json", "as_json", is_flag=True, help="Say where it listens in JSON.")
def serve(
    path: str | None,
    memory: bool,
    host: str,
    port: int,
    origins: tuple[str, ...],
    tokens_needed: bool,
    as_json: bool,
) -> None:
    """Serve the database in the folder PATH over HTTP and WebSocket.

    The folder is made when it is not there. One line says where the server listens. SIGINT and
    SIGTERM stop it: what it took on is answered and on disk before it exits with 0.
    """
    if memory == (path is not None):
        raise click.UsageError("It takes either PATH or '--memory'.")

    import reifydb
    from reifydb.database import MEMORY
    from reifydb.gateway.serve import run
    from reifydb.gateway.server import Settings
    from reifydb.gateway.tokens import Tokens

    with reifydb.open(path or MEMORY) as db:
        if tokens_needed and not Tokens(db).any:
            raise click.ClickException(
                "there is no token, so nobody could do anything "
                "(make one first: reifydb token make)"
            )

        def started(url: str) -> None:
            said = {"url": url, "path": path, "incarnation": db.incarnation}
            click.echo(
                json.dumps(said)
                if as_json
                else f"serving {path or 'a database in memory'} at {url}"
            )

        run(db, host, port, Settings(origins, tokens_needed), started)
