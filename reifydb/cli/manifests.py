"""What modules say of themselves, read from their files for generated sources."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import click

from reifydb.engine.catalog import NAME, Table
from reifydb.errors import ModuleError, SqlError
from reifydb.sandbox.binary import MANIFEST_SECTION
from reifydb.sandbox.manifest import Manifest, parse_manifest
from reifydb.sandbox.reader import custom_sections, read_sections


def read_manifest(path: Path) -> tuple[str, Manifest]:
    """A module's name, by default its file's, and its manifest. Nothing of it is compiled.

    Raises:
        ClickException: It is no module, or has no valid manifest.
    """
    try:
        found = custom_sections(read_sections(path.read_bytes()), MANIFEST_SECTION)
        if len(found) != 1:
            raise click.ClickException(f"{path}: it has {len(found)} manifests; one is needed")
        manifest = parse_manifest(found[0])
    except ModuleError as error:
        raise click.ClickException(f"{path}: {'; '.join([str(error), *error.problems])}") from None
    name = manifest.name or path.stem
    if not NAME.fullmatch(name):
        raise click.ClickException(f"{path}: {name!r} is no module's name")
    return name, manifest


def tables_of(manifests: Mapping[str, Manifest]) -> list[Table]:
    """The tables of modules' own schemas, each once, in the order of the modules.

    Raises:
        ClickException: A schema is not valid, or two have different tables of one name.
    """
    from reifydb.sql import parse_schema

    tables: dict[str, Table] = {}
    for name, manifest in manifests.items():
        try:
            found = [create.table for create in parse_schema(manifest.schema)]
        except SqlError as error:
            raise click.ClickException(f"the schema of module {name}: {error}") from None
        for table in found:
            if tables.setdefault(table.name, table) != table:
                raise click.ClickException(f"modules have different tables {table.name}")
    return list(tables.values())
