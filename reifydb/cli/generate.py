"""`reifydb generate`: source text from a schema, for guests and for programs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click

from reifydb.engine.catalog import Table, Transition
from reifydb.errors import ReifyDBError


@click.group()
def generate() -> None:
    """Make source text from a schema."""


_schema_option = click.option(
    "--schema",
    metavar="FILE.sql",
    type=click.Path(path_type=Path, dir_okay=False),
    help="The schema: create table and create index statements.",
)
_output_option = click.option(
    "-o",
    "--output",
    metavar="FILE",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Where the source goes; standard output when left out.",
)
_check_option = click.option(
    "--check",
    is_flag=True,
    help="Write nothing; exit with 1 unless the output is there and up to date.",
)


@generate.command("zig")
@_schema_option
@_output_option
@_check_option
def generate_zig(schema: Path | None, output: Path | None, check: bool) -> None:
    """Typed rows for guests in Zig, one struct for each table."""
    from reifydb.generate.zig import generate_zig as zig

    tables, _ = _read_schema(schema)
    _deliver(zig(tables), output, check=check)


@generate.command("c")
@_schema_option
@_output_option
@_check_option
def generate_c(schema: Path | None, output: Path | None, check: bool) -> None:
    """Typed rows for guests in C, one struct for each table, and the schema for the module."""
    from reifydb.generate.c import generate_c as c

    tables, sql = _read_schema(schema)
    _deliver(c(tables, sql), output, check=check)


_modules_option = click.option(
    "--module",
    "modules",
    multiple=True,
    metavar="FILE.wasm",
    type=click.Path(path_type=Path, dir_okay=False),
    help="A module whose transitions to type; without --schema, its tables too.",
)


@generate.command("python")
@_schema_option
@_modules_option
@_output_option
@_check_option
def generate_python(
    schema: Path | None, modules: tuple[Path, ...], output: Path | None, check: bool
) -> None:
    """Typed rows, tables and transitions for programs in Python."""
    from reifydb.generate.python import generate_python as python

    _deliver(python(*_read_program(schema, modules)), output, check=check)


@generate.command("typescript")
@_schema_option
@_modules_option
@_output_option
@_check_option
def generate_typescript(
    schema: Path | None, modules: tuple[Path, ...], output: Path | None, check: bool
) -> None:
    """Typed rows, tables and transitions for clients in TypeScript."""
    from reifydb.generate.typescript import generate_typescript as typescript

    _deliver(typescript(*_read_program(schema, modules)), output, check=check)


def _read_program(
    schema: Path | None, modules: tuple[Path, ...]
) -> tuple[list[Table], dict[str, Sequence[Transition]]]:
    """The tables of a schema, or else of modules, and the transitions of modules."""
    from reifydb.cli.manifests import read_manifest, tables_of

    manifests = dict(read_manifest(path) for path in modules)
    if len(manifests) < len(modules):
        raise click.ClickException("two modules have the same name")
    of_modules = schema is None and manifests
    tables = tables_of(manifests) if of_modules else _read_schema(schema)[0]
    return tables, {name: manifest.transitions for name, manifest in manifests.items()}


def _deliver(source: str, output: Path | None, *, check: bool) -> None:
    """Writes or prints generated source, or compares it with what is there."""
    if check:
        if output is None:
            raise click.UsageError("'--check' needs '--output': what to compare with.")
        there = output.read_text(encoding="utf-8") if output.exists() else None
        if there != source:
            what = "is not there" if there is None else "is not what would be generated now"
            raise click.ClickException(f"{output} {what}: run the command without --check")
    elif output is None:
        click.echo(source, nl=False)
    else:
        output.write_text(source, encoding="utf-8", newline="\n")


def _read_schema(schema: Path | None) -> tuple[list[Table], str]:
    """The tables of a schema file, each there once, and its text."""
    from reifydb.sql.create_table import parse_schema

    if schema is None:
        raise click.UsageError("Missing option '--schema'.")
    try:
        sql = schema.read_text(encoding="utf-8")
        statements = parse_schema(sql)
    except UnicodeDecodeError:
        raise click.ClickException(f"{schema}: not UTF-8") from None
    except ReifyDBError as error:
        raise click.ClickException(f"{schema}: {error}") from None
    tables = [statement.table for statement in statements]
    names = [table.name for table in tables]
    for name in names:
        if names.count(name) > 1:
            raise click.ClickException(f"{schema}: table {name} is there twice")
    if not tables:
        raise click.ClickException(f"{schema}: there is no create table in it")
    return tables, sql
