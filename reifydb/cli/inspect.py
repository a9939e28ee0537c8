"""`reifydb inspect`: what is in a folder, whoever has it open."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any
from uuid import UUID

import click

from reifydb.cli.options import folder_argument, json_option

if TYPE_CHECKING:
    from reifydb.durability.inspection import FolderFacts

SEGMENTS_SHOWN = 20
"""Segments that people are shown: the newest. JSON has all."""


@click.command()
@folder_argument
@json_option
def inspect(path: str, as_json: bool) -> int:
    """Say what is in the database's folder PATH, without opening or changing it.

    Who it is, its segments and incarnations, the first and last commit, what is stated as durable,
    and whether the log can be believed: the exit code is 1 when not. A torn tail is what a crash
    leaves, and no damage. A server may have the folder open meanwhile.
    """
    from reifydb.cli.output import print_json
    from reifydb.durability.inspection import inspect_folder

    found = inspect_folder(path)
    if as_json:
        quarantine = [{"file": name, "bytes": size} for name, size in found.quarantine]
        print_json(asdict(found) | {"uuid": str(UUID(bytes=found.uuid)), "quarantine": quarantine})
    else:
        _print(found)
    return 1 if found.damage else 0


def _print(found: FolderFacts) -> None:
    from reifydb.cli.output import print_facts, print_table

    commits = sum(one.commits for one in found.segments)
    facts: dict[str, Any] = {
        "database": str(UUID(bytes=found.uuid)),
        "format": str(found.version),
        "in use": "no" if found.in_use is None else f"by process {found.in_use}, it seems",
        "commits": f"{commits:,}, lsn {found.first_lsn} to {found.last_lsn}" if commits else "none",
        "stated durable": f"up to lsn {found.durable_lsn}" if found.durable_lsn else "none",
        "incarnations": str(found.incarnations[-1].number if found.incarnations else 0),
        "log": f"{sum(one.bytes for one in found.segments):,} bytes",
        "torn tail": f"{found.torn_bytes:,} bytes" if found.torn_bytes else "none",
        "quarantine": f"{len(found.quarantine)} files" if found.quarantine else "empty",
        "damage": found.damage or "none",
    }
    print_facts(facts)
    click.echo()
    heads = ["SEGMENT", "INCARNATION", "FIRST", "LAST", "FRAMES", "MARKS", "BYTES", "ENDS"]
    rows = [
        [
            one.file,
            one.incarnation,
            one.first_lsn,
            one.last_lsn if one.commits else None,
            one.frames,
            one.marks,
            one.bytes,
            "sealed" if one.sealed else one.problem or "open",
        ]
        for one in found.segments[-SEGMENTS_SHOWN:]
    ]
    print_table(heads, rows, right="lrrrrrrl")
    if len(found.segments) > SEGMENTS_SHOWN:
        click.echo(f"… and {len(found.segments) - SEGMENTS_SHOWN} older ones: --json", err=True)
