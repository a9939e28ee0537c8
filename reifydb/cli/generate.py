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
_from_option = click.option(
    "--from",
    "source",
    metavar="PATH|URL",
    help="A database's folder or a server's URL, whose tables and transitions to type, in place of"
    " --schema and --module.",
)
_token_option = click.option(
    "--token", envvar="REIFYDB_TOKEN", help="The token for that server.  [env: REIFYDB_TOKEN]"
)


@generate.command("python")
@_schema_option
@_modules_option
@_from_option
@_token_option
@_output_option
@_check_option
def generate_python(
    schema: Path | None,
    modules: tuple[Path, ...],
    source: str | None,
    token: str | None,
    output: Path | None,
    check: bool,
) -> None:
    """Typed rows, tables and transitions for programs in Python."""
    from reifydb.generate.python import generate_python as python

    _deliver(python(*_read(schema, modules, source, token)), output, check=check)


@generate.command("typescript")
@_schema_option
@_modules_option
@_from_option
@_token_option
@_output_option
@_check_option
def generate_typescript(
    schema: Path | None,
    modules: tuple[Path, ...],
    source: str | None,
    token: str | None,
    output: Path | None,
    check: bool,
) -> None:
    """Typed rows, tables and transitions for clients in TypeScript."""
    from reifydb.generate.typescript import generate_typescript as typescript

    _deliver(typescript(*_read(schema, modules, source, token)), output, check=check)


Program = tuple[list[Table], dict[str, Sequence[Transition]]]
"""Tables, and the transitions of modules by their names."""


def _read(
    schema: Path | None, modules: tuple[Path, ...], source: str | None, token: str | None
) -> Program:
    """What there is to type."""
    if source is None:
        return _read_program(schema, modules)
    if schema is not None or modules:
        raise click.UsageError("'--from' stands in place of '--schema' and '--module'.")
    return _read_database(source, token)


def _read_database(source: str, token: str | None) -> Program:
    """The tables and transitions of a database, as the holder of the token may use them."""
    from reifydb.cli.catalog import table_of, transition_of
    from reifydb.cli.options import Place
    from reifydb.cli.target import open_target

    place = Place(url=source, token=token) if "://" in source else Place(path=source)
    with open_target(place) as target:
        described = target.schema()
    modules: dict[str, list[Transition]] = {}
    for transition in map(transition_of, described["transitions"]):
        modules.setdefault(transition.module, []).append(transition)
    return list(map(table_of, described["tables"])), dict(modules)


def _read_program(schema: Path | None, modules: tuple[Path, ...]) -> Program:
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
