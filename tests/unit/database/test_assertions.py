"""Assertions: views that must be empty when a transaction ends, whoever wrote in it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

import reifydb
from reifydb import AssertionViolatedError, SchemaError, SqlError, UnknownNameError
from reifydb.engine.table_json import table_from_json, table_to_json
from reifydb.errors import ConstraintError, FormatVersionError
from reifydb.sql import parse_statements, render_create_table
from tests.guests.databases import no_trace
from tests.unit.database.conftest import SMALL

RICH = "create assertion nobody_rich as select id, balance from account where balance > 120"
CONSTANT = """
create assertion money_is_constant as
    select sum(balance) as money from account having sum(balance) <> 1000
"""


def test_a_commit_that_would_put_a_row_there_is_refused_with_it(db: reifydb.Database) -> None:
    db.execute(RICH)
    with no_trace(db), pytest.raises(AssertionViolatedError) as refused, db.transaction() as tx:
        tx.update("account", {"id": 3, "balance": 121})
    error = refused.value
    assert (error.code, error.constraint) == ("assertion", "nobody_rich")
    assert error.row == {"id": 3, "balance": 121}
    assert str(error) == "assertion nobody_rich is violated: id = 3, balance = 121"
    assert error.message == "assertion nobody_rich is violated"  # what goes over the wire
    assert isinstance(error, ConstraintError)


def test_it_is_the_end_of_the_transaction_that_counts(db: reifydb.Database) -> None:
    db.execute(CONSTANT)
    with db.transaction() as tx:
        tx.update("account", {"id": 3, "balance": 50})
        assert [row["money"] for row in tx.scan("money_is_constant")] == [950]
        tx.update("account", {"id": 4, "balance": 150})
        assert list(tx.scan("money_is_constant")) == []
    db.verify()
    assert db.count("money_is_constant") == 0


def test_a_transition_of_a_module_is_refused(db: reifydb.Database) -> None:
    db.execute(RICH)
    db.execute(CONSTANT)
    assert db.call("bank.transfer", 1, 2, 10) == 90
    with no_trace(db), pytest.raises(AssertionViolatedError) as refused:
        db.call("bank.deposit", 3, 1)
    assert refused.value.row == {"money": 1001}
    with no_trace(db), pytest.raises(AssertionViolatedError) as refused:
        db.call("bank.transfer", 1, 2, 11)
    assert refused.value.row == {"id": 2, "balance": 121}


def test_one_call_of_a_batch_is_refused_and_the_others_commit(db: reifydb.Database) -> None:
    db.execute(RICH)
    calls = [(1, 2, 15), (3, 2, 10), (4, 5, 1), (6, 5, 20), (7, 8, 20)]
    outcomes = db.call_many("bank.transfer", calls)
    errors = [outcome.error for outcome in outcomes]
    assert [type(error) for error in errors] == [
        type(None), AssertionViolatedError, type(None), AssertionViolatedError, type(None)
    ]  # fmt: skip
    assert isinstance(errors[1], AssertionViolatedError)
    assert errors[1].row == {"id": 2, "balance": 125}
    balances = [row["balance"] for row in db.scan("account")]
    assert balances == [100, 85, 115, 100, 99, 101, 100, 80, 120, 100]
    db.execute("drop assertion nobody_rich")
    assert str(errors[3]) == "assertion nobody_rich is violated: id = 5, balance = 121"
    assert [str(o.error) for o in outcomes][3] == "an assertion is violated"  # nobody knows it now
    db.verify()


def test_a_call_inside_a_transaction_is_not_its_end(db: reifydb.Database) -> None:
    db.execute(RICH)
    with db.transaction() as tx:
        tx.call("bank.deposit", 1, 30)
        assert tx.count("nobody_rich") == 1
        tx.call("bank.withdraw", 1, 30)
    with pytest.raises(AssertionViolatedError), db.transaction() as tx:
        tx.call("bank.deposit", 1, 30)
    assert db.get("account", 1) == {"id": 1, "owner": "owner 1", "balance": 100}


def test_a_python_transition_is_refused(db: reifydb.Database) -> None:
    db.execute(RICH)

    @db.transition
    def enrich(tx: reifydb.Transaction, number: int) -> None:
        tx.update("account", {"id": number, "balance": 1000})

    with no_trace(db), pytest.raises(AssertionViolatedError, match="balance = 1000"):
        db.call("enrich", 1)


def test_one_that_is_violated_already_is_not_made(db: reifydb.Database) -> None:
    with no_trace(db), pytest.raises(AssertionViolatedError) as refused:
        db.execute("create assertion poor as select id, balance from account where balance >= 100")
    assert refused.value.constraint == "poor"
    assert refused.value.row == {"id": 0, "balance": 100}
    assert "poor" not in db.tables
    with pytest.raises(AssertionViolatedError):
        db.execute(f"{RICH}; create view fine as select id from account;"
                   "create assertion two as select id from fine where id = 2")  # fmt: skip
    assert set(db.tables) == {"account", "note", "place"}


def test_queries_of_every_kind_can_be_asserted(db: reifydb.Database) -> None:
    db.execute("""
        create view total as select sum(balance) as money from account;
        create assertion a as select money from total where money > 1100;
        create assertion b as select owner from account group by owner having count(*) > 1;
        create assertion c as select x.id from account x left join note n on n.id = x.id + 50
            where n.id is not null;
        create assertion d as select id from account where id = 70 union all
            select id from note where id = 70;
        create assertion e as select id from account order by id limit 1 offset 11;
    """)
    for sql, name in (
        ("update account set balance = 300 where id = 1", "a"),
        ("update account set owner = 'owner 2' where id = 1", "b"),
        ("insert into note (id) values (53)", "c"),
        ("insert into note (id) values (70)", "d"),
        ("insert into account values (11, 'x', 1), (12, 'y', 1)", "e"),
    ):
        with no_trace(db), pytest.raises(AssertionViolatedError) as refused:
            db.execute(sql)
        assert refused.value.constraint == name
        assert refused.value.row


def test_it_is_dropped_by_its_own_word(db: reifydb.Database) -> None:
    db.execute(RICH)
    db.execute("create view v as select id from account")
    with pytest.raises(SchemaError, match=r"nobody_rich is an assertion .*drop assertion"):
        db.execute("drop view nobody_rich")
    with pytest.raises(SchemaError, match=r"v is a view .*drop view v"):
        db.execute("drop assertion v")
    with pytest.raises(SchemaError, match="view nobody_rich is made of it"):
        db.execute("drop table account")
    with pytest.raises(UnknownNameError, match="there is no assertion 'nobody'"):
        db.execute("drop assertion nobody")
    db.execute("drop assertion if exists nobody; drop assertion nobody_rich")
    assert db.call("bank.deposit", 1, 1000) == 1100
    db.execute("create assertion if not exists v as select id from account where id < 0")
    with pytest.raises(SchemaError, match="table or view v already"):
        db.execute("create assertion v as select id from account where id < 0")


@pytest.mark.parametrize(
    ("sql", "message"),
    [
        ("create assertion x", "an assertion is a select"),
        ("create assertion x (a) as select id from account", "an assertion's columns are named"),
        ("create or replace assertion x as select id from account", "not supported"),
        ("create assertion x check (1 > 0)", "line 1, column"),
        ("create temporary assertion x as select id from account", "not supported"),
        ("create assertion reifydb_x as select id from account", "reserved"),
        ("create assertion x as select nothing from account", "there is no column nothing"),
        ("create assertion x as select id from account where id = :a", "no parameters"),
        ("drop assertion account cascade", "not supported"),
        ("alter assertion x rename to y", "not supported"),
    ],
)
def test_what_is_no_assertion_is_refused(db: reifydb.Database, sql: str, message: str) -> None:
    with no_trace(db), pytest.raises(SqlError, match=message):
        db.execute(sql)


def test_the_word_may_still_be_a_name() -> None:
    [made] = parse_statements("create table assertion (assertion int primary key)")
    assert "assertion" in str(made)
    [dropped] = parse_statements("drop table assertion")
    assert "assertion" in str(dropped)


def test_it_is_kept_rendered_and_found_again(tmp_path: Path, bank_wasm: bytes) -> None:
    with reifydb.open(tmp_path / "db", options=SMALL) as db:
        db.install(bank_wasm, apply_schema=True)
        db.call("bank.open", 1, "ada", 5)
        db.execute(RICH)
        rendered = render_create_table(db.tables["nobody_rich"])
        kept = db.tables["nobody_rich"]
    assert rendered == RICH
    assert '"format":3' in table_to_json(kept)
    assert table_from_json(table_to_json(kept)).view == kept.view
    with pytest.raises(FormatVersionError):
        table_from_json(table_to_json(kept).replace('"assertion":true', '"assertion":1'))
    with reifydb.open(tmp_path / "db", options=SMALL) as db:
        db.verify()
        with no_trace(db), pytest.raises(AssertionViolatedError, match="balance = 125"):
            db.call("bank.deposit", 1, 120)
        assert db.call("bank.deposit", 1, 110) == 115
        db.execute(f"drop assertion nobody_rich; {rendered}")
    with reifydb.open(tmp_path / "db", options=SMALL) as db:
        with pytest.raises(AssertionViolatedError):
            db.call("bank.deposit", 1, 110)
        db.execute("drop assertion nobody_rich")
    with reifydb.open(tmp_path / "db", options=SMALL) as db:
        assert db.call("bank.deposit", 1, 110) == 225


def test_an_expression_that_fails_in_a_batch_says_where(db: reifydb.Database) -> None:
    db.execute("create view share as select id, 100 / (balance - 95) as x from account")
    outcomes = db.call_many("bank.withdraw", [(1, 4), (2, 5), (3, 6)])
    errors = [outcome.error for outcome in outcomes]
    assert errors[0] is None
    assert errors[2] is None
    assert str(errors[1]) == "view share: line 1, column 33: division by zero"
    with pytest.raises(reifydb.ExpressionError, match="view share: line 1, column 33"):
        db.call("bank.withdraw", 2, 5)


@pytest.fixture
def large() -> Iterator[reifydb.Database]:
    with reifydb.open(":memory:") as db:
        db.execute("create table t (id int primary key, said text)")
        db.execute("create assertion short as select id, said from t where length(said) > 99")
        yield db


def test_a_long_row_is_whole_in_the_error_and_short_in_its_text(large: reifydb.Database) -> None:
    said = "ü" * 1_000_000
    with pytest.raises(AssertionViolatedError) as refused, large.transaction() as tx:
        tx.insert("t", {"id": 1, "said": said})
    assert refused.value.row == {"id": 1, "said": said}
    assert len(str(refused.value)) < 150
    large.verify()
