"""`reifydb watch`: a table or a select, then what each commit changes in it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import click

from reifydb.cli.options import Place, target_command
from reifydb.cli.parameters import given_params, param_option, params_option

if TYPE_CHECKING:
    from reifydb.database.changes import Delta, Snapshot

LOOK_S = 0.2
"""How soon Ctrl-C is noticed."""

MARKS = {"insert": "+", "update": "~", "delete": "-"}


@target_command("TABLE|SELECT")
@param_option
@params_option
def watch(
    place: Place, words: list[str], named: tuple[str, ...], params: str | None, as_json: bool
) -> None:
    """Print a server's table or the answer to a select, then what changes in it, until Ctrl-C.

    One line for each row (=) of it, then one for each that is inserted (+), updated (~) or
    deleted (-). After a line that begins with "snapshot" all rows before it no longer count.
    """
    import reifydb
    from reifydb.cli.interrupts import until_interrupted
    from reifydb.cli.output import print_json

    if place.url is None:
        raise click.UsageError(
            "A folder does not change while it is open here: watch its server, with '--url'."
        )
    [what] = words
    say = print_json if as_json else _print_line
    try:
        with (
            reifydb.connect(place.url, token=place.token) as db,
            db.subscribe(what, given_params(named, params)) as changes,
            until_interrupted() as interrupted,
        ):
            writer = Writer(lambda: changes.described)
            while not interrupted():
                item = changes.get(timeout_s=LOOK_S)
                for line in writer.lines(item) if item is not None else ():
                    say(line)
    except KeyboardInterrupt:
        return


class Writer:
    """What a subscription brings, as lines.

    Args:
        described: What the rows look like now, as the server says it.
    """

    def __init__(self, described: Callable[[], Mapping[str, Any]]) -> None:
        self._described = described
        self._look()

    def _look(self) -> None:
        from reifydb.cli.catalog import column_of
        from reifydb.wire.dialects import PLAIN

        table = self._described()
        self._key: Sequence[str] = table["key"]
        self._columns = [column["name"] for column in table["columns"]]
        stored = [*table["columns"], *table.get("hidden", ())]
        self._writers = {c["name"]: PLAIN.writer(column_of(c)) for c in stored}

    def lines(self, item: Snapshot | Delta) -> list[dict[str, Any]]:
        """The lines of a snapshot or a delta. A snapshot comes also when the table was altered."""
        from reifydb.database.changes import Delta

        at = {"lsn": item.position.lsn}
        if isinstance(item, Delta):
            return [
                {"op": change.op, "key": self._key_of(change.key), "row": self._row(change.row)}
                | at
                for change in item.changes
            ]
        if item.rows and list(item.rows[0]) != self._columns:
            self._look()
        incarnation = item.position.incarnation
        head = {"op": "snapshot", "rows": len(item.rows), "incarnation": incarnation}
        return [
            head | at,
            *(
                {"op": "row", "key": self._key_of(key), "row": self._row(row)} | at
                for key, row in zip(item.keys, item.rows, strict=True)
            ),
        ]

    def _key_of(self, key: Any) -> list[Any]:
        values = key if isinstance(key, tuple) else (key,)
        return [self._value(*pair) for pair in zip(self._key, values, strict=True)]

    def _row(self, row: Mapping[str, Any] | None) -> dict[str, Any] | None:
        if row is None:
            return None
        return {name: self._value(name, value) for name, value in row.items()}

    def _value(self, name: str, value: Any) -> Any:
        write = self._writers[name]
        return value if write is None or value is None else write(value)


def _print_line(line: Mapping[str, Any]) -> None:
    from reifydb.cli.output import shown

    if line["op"] == "snapshot":
        click.echo(f"snapshot  {line['rows']} rows at lsn {line['lsn']}")
        return
    key = " ".join(map(shown, line["key"]))
    row = "" if line["row"] is None else shown(line["row"])
    click.echo(f"{MARKS.get(line['op'], '=')} {key}  {row}".rstrip())
