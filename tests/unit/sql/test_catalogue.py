"""docs/sql.md lists the operators and functions that there are, and its examples hold."""

import json
import re
from pathlib import Path

import pytest

import reifydb
from reifydb.engine.catalog import Type
from reifydb.sql.aggregates import AGGREGATES
from reifydb.sql.expressions import TIMESTAMP, Kind
from reifydb.sql.functions import BY_NAME, EXTRACT_FIELDS, FUNCTIONS
from reifydb.sql.programs import compile_program
from reifydb.sql.query import Select
from reifydb.sql.query_reader import read_query
from tests.unit.sql.machines import Machine

PAGE = Path(__file__).resolve().parents[3] / "docs" / "sql.md"


def section(name: str) -> str:
    return (
        PAGE.read_text(encoding="utf-8")
        .split(f"\n### {name}\n")[1]
        .split("\n## ")[0]
        .split("\n### ")[0]
    )


def rows(name: str) -> list[list[str]]:
    found = []
    for line in section(name).splitlines():
        if line.startswith("| `"):
            cells = re.split(r"(?<!\\) ?\| ?", line.strip())[1:-1]
            found.append([cell.replace("\\|", "|").strip() for cell in cells])
    return found


def examples() -> list[tuple[str, str]]:
    found = []
    for row in [*rows("Operators"), *rows("Functions")]:
        match = re.fullmatch(r"`(.+)` → `(.*)`", row[2])
        assert match, row
        found.append((match[1], match[2]))
    return found


def test_the_page_has_a_row_for_each_function() -> None:
    listed = [row[0].strip("`") for row in rows("Functions")]
    assert listed == [function.signature for function in FUNCTIONS]


def test_the_page_has_the_other_names() -> None:
    for function, row in zip(FUNCTIONS, rows("Functions"), strict=True):
        for name in function.also:
            assert f"`{name}`" in row[1], name
            assert BY_NAME[name] is function


def test_the_page_has_each_aggregate_and_field() -> None:
    named = " ".join(row[0] for row in rows("Aggregates"))
    assert set(re.findall(r"`(\w+)\(", named)) == set(AGGREGATES)
    [fields] = [row[1] for row in rows("Operators") if row[0].startswith("`extract")]
    assert set(re.findall(r"`(\w+)`", fields)) == set(EXTRACT_FIELDS)


@pytest.mark.parametrize("row", rows("Aggregates"), ids=lambda row: row[0])
def test_the_examples_of_aggregates_hold(row: list[str]) -> None:
    match = re.fullmatch(r"`(.+)` → `(.*)`", row[2])
    assert match, row
    with reifydb.open(":memory:") as db:
        db.execute("create table t (id int primary key, x int, s text)")
        values = zip((1, 2, 2, 5, None), "cabad", strict=True)
        with db.transaction() as tx:
            tx.insert_many("t", [{"id": i, "x": x, "s": s} for i, (x, s) in enumerate(values)])
        found = db.query(f"select {match[1]} as found from t").value()
    if isinstance(found, list | bool):
        found = json.dumps(found, separators=(",", ":"))
    assert str(found) == match[2]


@pytest.mark.parametrize(("expression", "expected"), examples())
def test_the_examples_of_the_page_hold(machine: Machine, expression: str, expected: str) -> None:
    query = read_query(f"select {expression} as x", lambda _: None)
    [kind] = query.kinds
    if kind == TIMESTAMP or kind.type is Type.FLOAT:
        query = read_query(f"select ({expression})::text as x", lambda _: None)
    assert isinstance(query, Select)
    [found] = machine(compile_program([query.outputs[0].value], []))
    assert shown(found, kind) == expected


def shown(value: object, kind: Kind) -> str:
    if value is None:
        return "null"
    if isinstance(value, bytes):
        return value.decode()
    if kind.type is Type.BOOL:
        return "true" if value else "false"
    assert isinstance(value, int)
    if kind.scale:
        digits = str(abs(value)).rjust(kind.scale + 1, "0")
        sign = "-" if value < 0 else ""
        return f"{sign}{digits[: -kind.scale]}.{digits[-kind.scale :]}"
    return str(value)
