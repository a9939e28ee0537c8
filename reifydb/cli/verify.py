"""`reifydb verify`: whether a database is whole."""

from __future__ import annotations

import click

from reifydb.cli.options import folder_argument, json_option


@click.command()
@folder_argument
@json_option
def verify(path: str, as_json: bool) -> None:
    """Open the database in the folder PATH and check all of it.

    Its log is read to the end, each frame's checksum and the state that it leads to compared with
    what was recorded; then every table and index is compared with itself. The exit code is 1 when
    something is wrong. Opening counts as an incarnation, and cuts off a torn tail, if there is one:
    "reifydb inspect" changes nothing.
    """
    from reifydb.cli.folder import open_folder
    from reifydb.cli.output import print_facts, print_json
    from reifydb.cli.target import check_there

    check_there(path)
    with open_folder(path) as db:
        db.verify()
        tables = {name: db.count(name) for name in db.tables}
        found = {
            "sound": True,
            "path": path,
            "incarnation": db.incarnation,
            "lsn": db.lsn,
            "state_hash": db.state_hash.hex(),
            "tables": tables,
            "modules": sorted(db.modules),
        }
    if as_json:
        print_json(found)
        return
    rows = sum(tables.values())
    shown = {
        "lsn": found["lsn"],
        "state hash": found["state_hash"],
        "tables": f"{len(tables)}, {rows:,} rows",
        "modules": ", ".join(sorted(db.modules)) or "none",
    }
    click.echo(f"{path} is sound")
    print_facts(shown)
