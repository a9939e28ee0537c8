"""The tables that the tests of queries ask about."""

from collections.abc import Iterator

import pytest

import reifydb
from reifydb.engine.catalog import Table
from reifydb.sql.create_table import parse_schema
from tests.unit.sql.machines import KernelMachine, Machine, twin

SCHEMA = """
create table item (
    id int primary key, name text, price decimal(10,2) not null, made timestamp not null,
    weight float, ok bool, doc json, code uuid, raw bytes, n int
);
create table part (id int primary key, item_id int not null, n int, label text not null)
"""


@pytest.fixture(scope="session")
def tables() -> dict[str, Table]:
    return {statement.table.name: statement.table for statement in parse_schema(SCHEMA)}


@pytest.fixture(scope="session")
def kernel_machine() -> Iterator[KernelMachine]:
    with reifydb.open(":memory:") as db:
        yield KernelMachine(db)
        assert db._kernel.verify() is None


@pytest.fixture(params=["twin", "kernel"])
def machine(request: pytest.FixtureRequest) -> Machine:
    if request.param == "twin":
        return twin
    found: KernelMachine = request.getfixturevalue("kernel_machine")
    return found
