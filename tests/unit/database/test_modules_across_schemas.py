"""A module built against schema n runs on n+1 and n+2, also after replay, and spoils nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

import reifydb
from reifydb.errors import ModuleError, SchemaError, SqlError
from tests.guests.databases import zig_guest
from tests.unit.database.conftest import SMALL

STEPS = (
    "alter table account add column branch text not null default 'main'",
    "alter table account add column limits json default '{\"day\":1000}'",
    "alter table account rename column owner to holder",
    "alter table account rename to konto",
    "alter table konto add column rate decimal(6,4); create index by_branch on konto (branch, id)",
    "alter table konto drop column limits",
    "create unique index by_holder on konto (holder)",
)
"""One change of the schema after the other, as an application might live through."""


@pytest.fixture
def bank(bank_wasm: bytes, tmp_path: Path) -> str:
    """A folder with the bank and two accounts, made before any change."""
    path = str(tmp_path / "bank.reify")
    with reifydb.open(path, options=SMALL) as db:
        db.install(bank_wasm, apply_schema=True)
        db.call("bank.open", 1, "ada", 100)
        db.call("bank.open", 2, "bob", 100)
    return path


def rows(db: reifydb.Database) -> list[dict[str, object]]:
    [name] = db.tables
    return list(db.scan(name))


@pytest.mark.parametrize("reopened", [False, True], ids=["open", "reopened"])
def test_a_module_goes_on_through_every_change(bank: str, reopened: bool) -> None:
    db = reifydb.open(bank, options=SMALL)
    try:
        opened = 2
        for step, sql in enumerate(STEPS, 1):
            db.execute(sql)
            if reopened:
                db.close()
                db = reifydb.open(bank, options=SMALL)
            db.call("bank.transfer", 1, 2, 10)
            opened += 1
            db.call("bank.open", opened, f"new {step}", 0)
            balances = {row["id"]: row["balance"] for row in rows(db)}
            assert (balances[1], balances[2]) == (100 - 10 * step, 100 + 10 * step)
            assert db.call("bank.total") == 200
            db.verify()
        assert rows(db)[0] == {
            "id": 1, "holder": "ada", "balance": 30, "branch": "main", "rate": None,
        }  # fmt: skip
    finally:
        db.close()


def test_an_update_of_a_module_leaves_columns_that_it_does_not_know_alone(bank: str) -> None:
    with reifydb.open(bank, options=SMALL) as db:
        db.execute("alter table account add column branch text; create index b on account (branch)")
        with db.transaction() as tx:
            tx.update("account", {"id": 1, "branch": "north"})
        db.call("bank.deposit", 1, 5)
        assert db.get("account", 1)["branch"] == "north"  # type: ignore[index]
        assert [row["id"] for row in db.scan("account", index="b", upper="north")] == [1]
        db.call("bank.close_account", 2) if db.call("bank.withdraw", 2, 100) == 0 else None
        assert db.count("account") == 1
        db.verify()


def test_a_row_that_a_module_inserts_gets_the_new_columns_defaults(bank: str) -> None:
    with reifydb.open(bank, options=SMALL) as db:
        db.execute("alter table account add column branch text not null default 'main'")
        db.call("bank.open", 3, "cy", 0)
        assert db.get("account", 3) == {"id": 3, "owner": "cy", "balance": 0, "branch": "main"}


def test_a_new_column_that_is_unique_refuses_a_modules_second_row(bank: str) -> None:
    """The constraint speaks to the module as a code, and it aborts with that."""
    with reifydb.open(bank, options=SMALL) as db:
        db.execute("alter table account add column badge int default 7")
        with db.transaction() as tx:
            tx.update_many("account", [{"id": 1, "badge": 1}, {"id": 2, "badge": 2}])
        db.execute("create unique index badge on account (badge)")
        db.call("bank.open", 3, "cy", 0)  # badge 7
        with pytest.raises(reifydb.AbortedError):
            db.call("bank.open", 4, "di", 0)
        assert db.count("account") == 3
        db.verify()


def test_what_a_module_binds_cannot_be_dropped_while_it_is_installed(bank: str) -> None:
    with reifydb.open(bank, options=SMALL) as db:
        before = db.state_hash
        for sql in (
            "drop table account",
            "alter table account drop column owner",
            "alter table account rename column owner to x; alter table account drop column x",
            "alter table account rename to y; drop table if exists y",
        ):
            with pytest.raises(SchemaError, match="module bank binds it"):
                db.execute(sql)
            assert db.state_hash == before
        assert db.call("bank.balance", 1) == 100
        db.remove("bank")
        db.execute("alter table account drop column owner; drop table account")
        assert db.tables == {}
        db.verify()


def test_after_a_rename_the_same_binary_cannot_be_installed_anew(
    bank: str, bank_wasm: bytes
) -> None:
    with reifydb.open(bank, options=SMALL) as db:
        db.execute("alter table account rename column owner to holder")
        with pytest.raises(ModuleError, match="owner, which does not exist"):
            db.install(bank_wasm)
        assert db.call("bank.transfer", 1, 2, 1) == 99  # the one that is installed goes on


def test_a_failed_script_leaves_bindings_as_they_were(bank: str) -> None:
    with reifydb.open(bank, options=SMALL) as db:
        with pytest.raises(reifydb.UnknownNameError):
            db.execute("alter table account add column a int; drop index nosuch")
        with pytest.raises(SqlError):
            db.execute("alter table account add column a int; alter table account add b wibble")
        assert [c.name for c in db.tables["account"].columns] == ["id", "owner", "balance"]
        assert db.call("bank.transfer", 1, 2, 1) == 99
        db.execute("alter table account add column a int")
        assert db.call("bank.transfer", 1, 2, 1) == 98
        db.verify()


def test_a_module_that_binds_every_type_runs_after_changes() -> None:
    """Rows that a module reads may be older than the table, so shorter, or newer, so longer."""
    with reifydb.open(":memory:") as db:
        db.install(zig_guest("misbehave"), apply_schema=True)
        with db.transaction() as tx:
            tx.insert_many("victim", [{"id": i, "n": i} for i in range(100)])
        db.execute("alter table victim add column text text default 'x'")
        with db.transaction() as tx:
            tx.insert_many("victim", [{"id": i, "n": i} for i in range(100, 200)])
            tx.update_many("victim", [{"id": i, "text": "y"} for i in range(0, 200, 7)])
        db.execute("alter table victim add column more int; alter table victim drop column text")
        assert [row["n"] for row in db.scan("victim")] == list(range(200))
        db.verify()
