"""`reifydb install`, `reifydb uninstall` and `reifydb modules`."""

from __future__ import annotations

from pathlib import Path

import click

from reifydb.cli.options import Place, target_command


@target_command("MODULE.wasm")
@click.option("--name", help="What to call it; by default what its manifest says, or its file.")
@click.option(
    "--apply-schema", is_flag=True, help="Make the tables and indexes of its own schema, too."
)
@click.option("--dry-run", is_flag=True, help="Change nothing; say what would be.")
def install(
    place: Place,
    words: list[str],
    name: str | None,
    apply_schema: bool,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Install a module, or replace the one of its name.

    With --dry-run the exit code is 1 when it would be refused.
    """
    from reifydb.cli.manifests import read_manifest
    from reifydb.cli.output import print_facts, print_json
    from reifydb.cli.target import open_target
    from reifydb.errors import ModuleError

    path = Path(words[0])
    called = name or read_manifest(path)[0]
    wasm = path.read_bytes()
    with open_target(place, make=apply_schema and not dry_run) as target:
        if not dry_run:
            found = target.install(wasm, called, apply_schema=apply_schema)
        else:
            found = target.plan(wasm, called, apply_schema=apply_schema)
            if found["problems"]:
                raise ModuleError(f"module {called} would be refused", found["problems"])
    if as_json:
        print_json(found)
    elif dry_run:
        kinds = ("tables", "indexes", "added", "changed", "removed")
        listed = {kind: ", ".join(found[kind]) for kind in kinds if found[kind]}
        print_facts({"module": called, **listed})
    else:
        count = len(found["transitions"])
        click.echo(f"installed {called}: {count} transition{'' if count == 1 else 's'}")


@target_command()
def modules(place: Place, as_json: bool) -> None:
    """List the installed modules and their transitions."""
    from reifydb.cli.output import print_json, print_table
    from reifydb.cli.target import open_target

    with open_target(place) as target:
        found = target.modules()
    if as_json:
        print_json(found)
        return
    rows = [
        [module["name"], module["sha256"][:12], ", ".join(module["transitions"])]
        for module in found
    ]
    print_table(["NAME", "SHA256", "TRANSITIONS"], rows)


@target_command("MODULE")
def uninstall(place: Place, words: list[str], as_json: bool) -> None:
    """Remove a module. Its tables and their rows stay."""
    from reifydb.cli.output import print_json
    from reifydb.cli.target import open_target

    with open_target(place) as target:
        target.remove(words[0])
    if as_json:
        print_json({"removed": words[0]})
    else:
        click.echo(f"removed {words[0]}")
