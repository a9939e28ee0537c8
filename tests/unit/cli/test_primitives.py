"""Primitives on the command line: the schema that is printed makes them again."""

from __future__ import annotations

from pathlib import Path

import reifydb
from tests.e2e.cli.processes import reify

SCHEMA = """\
create counter stock (item int) min 0;
create histogram lat error 0.5%;
create limiter api (client text) rate 5 per '1 minute' burst 9;
create ring trade (p decimal(5,2) not null) per (s text) capacity 2;
create sequence ticket start 7;
create table note (id int primary key);
create view low as select item from stock where value < 3;
"""


def test_the_schema_that_is_printed_makes_them_again(tmp_path: Path) -> None:
    with reifydb.open(tmp_path / "db", options=reifydb.Options(reserve_bytes=4096)) as db:
        db.execute(SCHEMA)
    said = reify("schema", tmp_path / "db").stdout
    for line in SCHEMA.splitlines()[:5]:
        assert line in said
    with reifydb.open(":memory:") as db:
        db.execute(said)
        assert db.call("ticket.next") == 7
        assert db.call("stock.add", 1, 2) == 2
        assert db.query("select * from low").tuples == [(1,)]
    with reifydb.open(tmp_path / "again", options=reifydb.Options(reserve_bytes=4096)) as db:
        db.execute(said)
    assert reify("schema", tmp_path / "again").stdout == said


def test_it_is_described_called_and_read(tmp_path: Path) -> None:
    with reifydb.open(tmp_path / "db", options=reifydb.Options(reserve_bytes=4096)) as db:
        db.execute(SCHEMA)
    assert reify("call", tmp_path / "db", "stock.add", 1, 5).stdout == "5\n"
    refused = reify("call", tmp_path / "db", "stock.add", 1, -6)
    assert refused.returncode != 0
    assert "check stock_min" in refused.stderr
    said = reify("describe", tmp_path / "db", "stock").stdout
    assert "a counter, written by stock.add, stock.get, stock.set, stock.reset" in said
    assert "create counter stock (item int) min 0" in said
