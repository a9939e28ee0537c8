"""`reifydb get` and `reifydb scan`: rows of a table."""

from __future__ import annotations

from itertools import islice
from typing import Any

import click

from reifydb.cli.options import WORD, Place, target_command

ROWS_SHOWN = 100
"""Rows that `scan` prints for people, unless they want another number. JSON has all."""


@target_command("TABLE KEY...")
def get(place: Place, words: list[str], as_json: bool) -> None:
    """Print the row with a primary key; of several columns, the key is several words.

    The exit code is 1 when there is no such row.
    """
    from reifydb.cli.catalog import Catalog, columns_named, values_of
    from reifydb.cli.output import print_facts, print_json
    from reifydb.cli.target import open_target
    from reifydb.errors import NotFoundError

    name, *key = words
    with open_target(place) as target:
        table = Catalog(target.schema()).table(name)
        of = f"the key of {name} ({', '.join(table['key'])})"
        values = values_of(key, columns_named(table, table["key"]), of=of)
        if len(values) < len(table["key"]):
            raise click.UsageError(f"{of} takes {len(table['key'])} values, not {len(values)}.")
        row = target.get(name, values)
    if row is None:
        raise NotFoundError(f"table {name} has no row {' '.join(key)}")
    if as_json:
        print_json(row)
    else:
        print_facts(row)


@target_command("TABLE")
@click.option("--index", help="In the order of this index; without it, of the primary key.")
@click.option(
    "--lower",
    multiple=True,
    type=WORD,
    help="From this value on; several times for several columns of the key.",
)
@click.option("--upper", multiple=True, type=WORD, help="Up to this value.")
@click.option("--lower-exclusive", is_flag=True, help="Without the lower bound itself.")
@click.option("--upper-exclusive", is_flag=True, help="Without the upper bound itself.")
@click.option(
    "--limit",
    type=click.IntRange(0),
    help=f"At most so many rows. [default: {ROWS_SHOWN}; with --json all]",
)
@click.option("--reverse", is_flag=True, help="From the end.")
def scan(
    place: Place,
    words: list[str],
    index: str | None,
    lower: tuple[str, ...],
    upper: tuple[str, ...],
    lower_exclusive: bool,
    upper_exclusive: bool,
    limit: int | None,
    reverse: bool,
    as_json: bool,
) -> None:
    """Print the rows of a table in the order of a key.

    With --json each row is one line.
    """
    from reifydb.cli.catalog import Catalog, columns_named, is_number, values_of
    from reifydb.cli.output import print_json, print_table
    from reifydb.cli.target import open_target
    from reifydb.errors import UnknownNameError

    [name] = words
    with open_target(place) as target:
        table = Catalog(target.schema()).table(name)
        columns = table["key"]
        if index is not None:
            indexes = {found["name"]: found for found in table["indexes"]}
            if index not in indexes:
                raise UnknownNameError(f"index of table {name}:", index, indexes)
            columns = indexes[index]["columns"]
        options: dict[str, Any] = {} if index is None else {"index": index}
        typed = columns_named(table, columns)
        of = f"the order of {index or name} ({', '.join(columns)})"
        for bound, words_of in (("lower", lower), ("upper", upper)):
            if words_of:
                options[bound] = values_of(words_of, typed, of=of)
        if lower_exclusive and lower:
            options["lower_exclusive"] = True
        if upper_exclusive and upper:
            options["upper_exclusive"] = True
        if reverse:
            options["reverse"] = True
        if as_json:
            for row in target.scan(name, options, limit):
                print_json(row)
            return
        most = ROWS_SHOWN if limit is None else limit
        rows = list(islice(target.scan(name, options, most + 1), most + 1))
    sides = "".join("r" if is_number(column) else "l" for column in table["columns"])
    print_table(
        list(rows[0]) if rows else [c["name"] for c in table["columns"]],
        [list(row.values()) for row in rows[:most]],
        right=sides,
    )
    if limit is None and len(rows) > most:
        click.echo(f"… and more: --limit, by default {ROWS_SHOWN}", err=True)
