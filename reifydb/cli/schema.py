"""`reifydb schema` and `reifydb describe`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import click

from reifydb.cli.options import Place, target_command
from reifydb.errors import SchemaError

if TYPE_CHECKING:
    from reifydb.engine.catalog import ParameterisedView


@target_command()
@click.option(
    "--apply",
    "file",
    metavar="FILE.sql",
    type=click.Path(dir_okay=False, allow_dash=True),
    help="Run its statements, all of them or none; - reads standard input.",
)
@click.option("--dry-run", is_flag=True, help="With --apply: change nothing; say what would be.")
def schema(place: Place, file: str | None, dry_run: bool, as_json: bool) -> None:
    """Print the schema as SQL, or change it.

    With --json tables and transitions are described as in GET /v1/schema. With --dry-run the exit
    code is 1 when it would be refused.
    """
    from reifydb.cli.catalog import Catalog, table_of
    from reifydb.cli.output import print_json
    from reifydb.cli.target import open_target
    from reifydb.sql.create_table import render_schema

    if dry_run and file is None:
        raise click.UsageError("--dry-run goes with --apply")
    sql = None if file is None else _read(file)
    with open_target(place, make=sql is not None and not dry_run) as target:
        if sql is not None and dry_run:
            return _print_plan(target.plan_schema(sql), as_json=as_json)
        if sql is not None:
            target.execute(sql)
        found = target.schema()
    if as_json:
        print_json(found)
    elif file is None:
        tables = [table_of(table) for table in found["tables"]]
        views = tuple(Catalog(found).parameterised.values())
        for statement in render_schema(tables, views):
            click.echo(f"{statement};")


def _print_plan(plan: Mapping[str, Any], *, as_json: bool) -> None:
    from reifydb.cli.output import print_json, print_table

    if as_json:
        print_json(plan)
    elif plan["changes"]:
        rows = [
            [one["does"], one["name"], one["table"], one["rows_read"], one["rows_lost"]]
            for one in plan["changes"]
        ]
        print_table(["DOES", "NAME", "TABLE", "ROWS READ", "ROWS LOST"], rows, right="lllrr")
    if not plan["fits"]:
        listed = "".join(f"\n- {problem}" for problem in plan["problems"])
        raise SchemaError(f"it would be refused:{listed}")


def _read(file: str) -> str:
    try:
        with click.open_file(file, encoding="utf-8") as opened:
            return str(opened.read())
    except UnicodeDecodeError:
        raise click.ClickException(f"{file}: not UTF-8") from None


@target_command("NAME")
def describe(place: Place, words: list[str], as_json: bool) -> None:
    """Say what a table, a view or a transition looks like."""
    from reifydb.cli.catalog import Catalog, signature
    from reifydb.cli.output import print_json
    from reifydb.cli.target import open_target
    from reifydb.errors import UnknownNameError

    [name] = words
    with open_target(place) as target:
        schema = target.schema()
        catalog = Catalog(schema)
        tables = {table["name"]: table for table in target.tables()}
    table, transition = tables.get(name), catalog.transitions.get(name)
    view = catalog.parameterised.get(name)
    if table is not None:
        if as_json:
            print_json(table)
        else:
            _print_table(table)
    elif transition is not None:
        if as_json:
            print_json(transition)
        else:
            reads = ", a query" if transition["query"] else ""
            click.echo(f"{signature(transition)}{reads}")
    elif view is not None:
        if as_json:
            views = schema["parameterised_views"]
            print_json(next(one for one in views if one["name"] == name))
        else:
            _print_parameterised(view)
    else:
        known = [*tables, *catalog.parameterised, *catalog.transitions]
        raise UnknownNameError("table or transition", name, known)


def _print_parameterised(view: ParameterisedView) -> None:
    from reifydb.cli.output import print_lines, print_table

    rows = [
        [column.name, column.sql_type, "" if column.nullable else "not null"]
        for column in view.columns
    ]
    print_table(["COLUMN", "TYPE", ""], rows)
    made_of = ", ".join(name for name, _ in view.reads) or "nothing"
    click.echo(f"a view of {made_of}, used with values: {view.signature}")
    print_lines(view.sql)


def _print_table(table: Mapping[str, Any]) -> None:
    from reifydb.cli.output import print_table, printable

    rows = []
    for column in table["columns"]:
        said = []
        if column["name"] in table["key"]:
            place = table["key"].index(column["name"]) + 1
            said.append("primary key" if len(table["key"]) == 1 else f"primary key, part {place}")
        elif not column["nullable"]:
            said.append("not null")
        if column["name"] == table["auto"]:
            said.append("auto-increment")
        rows.append([column["name"], column["type"], ", ".join(said), column.get("default")])
    print_table(["COLUMN", "TYPE", "", "DEFAULT"], rows)
    taken = table["bytes"]
    for index in table["indexes"]:
        unique = "unique index" if index["unique"] else "index"
        columns, size = ", ".join(index["columns"]), taken["indexes"][index["name"]]
        click.echo(f"{unique} {index['name']} on ({columns}), {size:,} bytes")
    for check in table.get("checks", ()):
        click.echo(printable(f"check {check['name']}: {check['sql']}"))
    for key in table.get("foreign_keys", ()):
        columns, to = ", ".join(key["columns"]), ", ".join(key["to"])
        click.echo(
            f"foreign key {key['name']}: ({columns}) references {key['table']} ({to}),"
            f" on delete {key['on_delete']}"
        )
    click.echo(
        f"{table['rows']:,} rows, {taken['rows']:,} bytes;"
        f" primary key, {taken['primary_key']:,} bytes"
    )
    if "primitive" in table:
        _print_primitive(table)
    if "view" in table:
        _print_view(table["view"], table.get("hidden", ()), taken["beside"])


def _print_primitive(table: Mapping[str, Any]) -> None:
    from reifydb.cli.catalog import table_of
    from reifydb.cli.output import print_lines
    from reifydb.engine.catalog import with_article
    from reifydb.primitives import operations_of
    from reifydb.sql import render_create_table

    made = table_of(table)
    operations = ", ".join(f"{made.name}.{one.name}" for one in operations_of(made))
    click.echo(f"{with_article(made.word)}, written by {operations}")
    print_lines(render_create_table(made))


def _print_view(
    view: Mapping[str, Any], hidden: Sequence[Mapping[str, Any]], beside_bytes: int
) -> None:
    from reifydb.cli.output import print_lines

    if hidden:
        listed = ", ".join(f"{column['name']} {column['type']}" for column in hidden)
        click.echo(f"not shown of its key: {listed}")
    kind = "an assertion" if view.get("assertion") else "a view"
    beside = f"; {beside_bytes:,} bytes beside" if beside_bytes else ""
    click.echo(
        f"{kind} of {', '.join(view['tables'])}: {view['rows_in']:,} rows in,"
        f" {view['rows_out']:,} out{beside}"
    )
    print_lines(view["sql"])
