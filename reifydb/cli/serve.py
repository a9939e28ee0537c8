"""`reifydb serve`: a database at a port, until SIGINT or SIGTERM."""

from __future__ import annotations

from pathlib import Path

import click

from reifydb.cli.options import json_option

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
    help="A web origin whose pages may connect, as https://app.example; several times for several.",
)
@click.option(
    "--install",
    "modules",
    multiple=True,
    metavar="FILE.wasm",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Install this module first, or replace the one of its name.",
)
@click.option(
    "--apply-schema", is_flag=True, help="Make the tables of the modules' own schemas, too."
)
@click.option("--tokens-needed", is_flag=True, help="Refuse to start while there is no token.")
@click.option(
    "--requests-per-token",
    type=click.FloatRange(0, min_open=True),
    metavar="N",
    help="Requests a second of each token; further ones are refused.",
)
@click.option(
    "--requests-per-address",
    type=click.FloatRange(0, min_open=True),
    metavar="N",
    help="The same of each address; behind a proxy all have that of the proxy.",
)
@json_option
def serve(
    path: str | None,
    memory: bool,
    host: str,
    port: int,
    origins: tuple[str, ...],
    modules: tuple[Path, ...],
    apply_schema: bool,
    tokens_needed: bool,
    requests_per_token: float | None,
    requests_per_address: float | None,
    as_json: bool,
) -> None:
    """Serve the database in the folder PATH over HTTP and WebSocket.

    The folder is made when it is not there. One line on standard output
    says where the server listens, once it does; the log goes to standard error. SIGINT and SIGTERM
    end it: what it had taken on is answered and on disk before it exits with 0. Beyond loopback it
    listens only when there is a token.
    """
    if memory == (path is not None):
        raise click.UsageError("It takes either PATH or '--memory'.")

    from reifydb.cli.folder import open_folder
    from reifydb.cli.manifests import read_manifest
    from reifydb.cli.notify import notify
    from reifydb.cli.output import print_json
    from reifydb.cli.progress import progress_log
    from reifydb.cli.server_log import log, write_log
    from reifydb.database import MEMORY
    from reifydb.errors import RequestError
    from reifydb.gateway.serve import run
    from reifydb.gateway.server import Settings
    from reifydb.gateway.tokens import Tokens

    write_log(as_json=as_json)
    named = [(read_manifest(module)[0], module) for module in modules]
    shown = path or "a database in memory"
    with open_folder(path or MEMORY, progress_log(log)) as db:
        if tokens_needed and not Tokens(db).any:
            raise RequestError(
                "there is no token, so nobody could do anything",
                hint="make one first: reifydb token make",
            )
        for name, module in named:
            db.install(module, name=name, apply_schema=apply_schema)
            log("installed module %s", name)

        def started(url: str) -> None:
            if as_json:
                print_json({"url": url, "path": path, "incarnation": db.incarnation})
            else:
                click.echo(f"serving {shown} at {url}")
            log("serving at %s, incarnation %d, lsn %d", url, db.incarnation, db.lsn)
            notify("READY=1")

        settings = Settings(origins, tokens_needed, requests_per_token, requests_per_address)
        run(db, host, port, settings, started)
        notify("STOPPING=1")
        lsn = db.lsn
    log("closed at lsn %d", lsn)
