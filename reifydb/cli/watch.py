"""`reifydb watch`: a table, then what each commit changes in it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import click

from reifydb.cli.options import Place, target_command

if TYPE_CHECKING:
    from reifydb.database.changes import Delta, Snapshot

MARKS = {"insert": "+", "update": "~", "delete": "-"}


@target_command("TABLE")
def watch(place: Place, words: list[str], as_json: bool) -> None:
    """Print a server's table, then what changes in it, until Ctrl-C.

    One line for each row (=) of the table, then one for each that is inserted (+), updated (~) or
    deleted (-). After a line that begins with "snapshot" all rows before it no longer count.
    """
    import reifydb
    from reifydb.cli.catalog import Catalog, columns_named
    from reifydb.cli.target import open_target

    if place.url is None:
        raise click.UsageError(
            "A folder does not change while it is open here: watch its server, with '--url'."
        )
    [name] = words
    with open_target(place) as target:
        table = Catalog(target.schema()).table(name)
    writer = Writer(columns_named(table, [c["name"] for c in table["columns"]]), table["key"])
    connect: Any = reifydb.connect
    say = _print_json if as_json else _print_line
    try:
        with (
            connect(place.url, token=place.token) as db,
            db.subscribe(name) as changes,
        ):
            for item in changes:
                for line in writer.lines(item):
                    say(line)
    except KeyboardInterrupt:
        return


class Writer:
    """What a subscription brings, as lines."""

    def __init__(self, columns: Sequence[Any], key: Sequence[str]) -> None:
        from reifydb.wire.dialects import PLAIN

        self._key = key
        self._writers = {column.name: PLAIN.writer(column) for column in columns}

    def lines(self, item: Snapshot | Delta) -> list[dict[str, Any]]:
        """The lines of a snapshot or a delta."""
        at = {"lsn": item.position.lsn}
        if not hasattr(item, "changes"):
            rows = item.rows
            head = {"op": "snapshot", "rows": len(rows), "incarnation": item.position.incarnation}
            return [head | at, *({"op": "row", **self._shown(row), **at} for row in rows)]
        return [
            {"op": change.op, "key": self._key_of(change.key), "row": self._row(change.row)} | at
            for change in item.changes
        ]

    def _shown(self, row: Mapping[str, Any]) -> dict[str, Any]:
        found = self._row(row)
        assert found is not None
        return {"key": [found[name] for name in self._key], "row": found}

    def _key_of(self, key: Any) -> list[Any]:
        values = key if isinstance(key, tuple) else (key,)
        return [self._value(*pair) for pair in zip(self._key, values, strict=True)]

    def _row(self, row: Mapping[str, Any] | None) -> dict[str, Any] | None:
        if row is None:
            return None
        return {name: self._value(name, value) for name, value in row.items()}

    def _value(self, name: str, value: Any) -> Any:
        write = self._writers.get(name)  # None for a column that was added meanwhile
        return value if write is None or value is None else write(value)


def _print_json(line: Mapping[str, Any]) -> None:
    click.echo(json.dumps(line, ensure_ascii=False))


def _print_line(line: Mapping[str, Any]) -> None:
    from reifydb.cli.output import shown

    if line["op"] == "snapshot":
        click.echo(f"snapshot  {line['rows']} rows at lsn {line['lsn']}")
        return
    key = " ".join(map(shown, line["key"]))
    row = "" if line["row"] is None else shown(line["row"])
    click.echo(f"{MARKS.get(line['op'], '=')} {key}  {row}".rstrip())
