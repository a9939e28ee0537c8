"""`reifydb version`."""

from __future__ import annotations

import click

import reifydb
from reifydb.cli.options import json_option


@click.command()
@json_option
def version(as_json: bool) -> None:
    """Print the version."""
    from reifydb.cli.output import print_json

    if as_json:
        print_json({"version": reifydb.__version__})
    else:
        click.echo(f"reifydb {reifydb.__version__}")
