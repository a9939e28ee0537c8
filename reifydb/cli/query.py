"""`reifydb query`: the answer to a `select`."""

from __future__ import annotations

from reifydb.cli.options import Place, target_command
from reifydb.cli.parameters import given_params, param_option, params_option


@target_command("SQL")
@param_option
@params_option
def query(
    place: Place, words: list[str], named: tuple[str, ...], params: str | None, as_json: bool
) -> None:
    """Print the answer to a select.

    With --json each row is one line.
    """
    from reifydb.cli.catalog import is_number
    from reifydb.cli.output import print_json, print_table
    from reifydb.cli.target import open_target

    [sql] = words
    given = given_params(named, params)
    with open_target(place) as target:
        answer = target.query(sql, given)
    columns, rows = answer["columns"], answer["rows"]
    names = [column["name"] for column in columns]
    if as_json:
        for row in rows:
            print_json(dict(zip(names, row, strict=True)))
        return
    print_table(names, rows, right="".join("r" if is_number(c) else "l" for c in columns))
