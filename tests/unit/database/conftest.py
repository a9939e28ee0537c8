"""Databases that the tests of the embedded API share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

import reifydb
from sdk.build import build_guest

BANK = Path(__file__).parents[3] / "examples/wasm/bank/bank.zig"
SCHEMA = """
    create table note (
        id int primary key auto_increment, body text not null default 'empty', mark int);
    create table place (
        town text, street text, number int, people int not null default 1,
        primary key (town, street, number))
"""


@pytest.fixture(scope="session")
def bank_wasm() -> bytes:
    return build_guest(BANK).read_bytes()


def furnish(db: reifydb.Database, bank_wasm: bytes) -> None:
    db.execute(SCHEMA)
    db.install(bank_wasm, apply_schema=True)
    with db.transaction() as tx:
        tx.insert_many(
            "account", [{"id": i, "owner": f"owner {i}", "balance": 100} for i in range(10)]
        )


@pytest.fixture
def db(bank_wasm: bytes) -> Iterator[reifydb.Database]:
    """In memory, with the bank of ten accounts of 100, and the tables of `SCHEMA`."""
    with reifydb.open(":memory:", clock=lambda: 1_700_000_000_000_000_000, seed=1) as db:
        furnish(db, bank_wasm)
        yield db
        if not repr(db).endswith("closed>"):
            db.verify()


@pytest.fixture
def folder(tmp_path: Path, bank_wasm: bytes) -> Path:
    """The folder of such a database, closed."""
    with reifydb.open(tmp_path / "bank", options=SMALL) as db:
        furnish(db, bank_wasm)
    return tmp_path / "bank"


SMALL = reifydb.Options(reserve_bytes=4096)
