"""Foreign keys: what is refused when a transaction ends, what goes with what, and the schema."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

import reifydb
from reifydb.config import foreign_keys_max
from reifydb.engine.table_json import table_from_json, table_to_json
from reifydb.errors import (
    ForeignKeyError,
    FormatVersionError,
    LimitError,
    ReifyDBError,
    SchemaError,
    SqlError,
    UnknownNameError,
)
from reifydb.sql import parse_schema, render_create_table
from tests.guests.databases import no_trace
from tests.unit.database.conftest import SMALL

SCHEMA = """
create table person (id int primary key, mail text, name text not null default '');
create unique index person_mail on person (mail);
create table post (
    id int primary key, author int not null references person,
    mail text constraint by_mail references person (mail) on delete cascade,
    answers int references post (id) on delete cascade
);
"""


@pytest.fixture
def db() -> Iterator[reifydb.Database]:
    with reifydb.open(":memory:") as db:
        db.execute(SCHEMA)
        with db.transaction() as tx:
            tx.insert_many("person", [{"id": i, "mail": f"m{i}"} for i in range(4)])
            tx.insert_many("post", [
                {"id": 1, "author": 1, "mail": "m2"},
                {"id": 2, "author": 0, "answers": 1},
                {"id": 3, "author": 0, "answers": 2},
            ])  # fmt: skip
        yield db
        db.verify()


def test_a_row_that_references_nothing_is_refused_at_the_end(db: reifydb.Database) -> None:
    with no_trace(db), pytest.raises(ForeignKeyError) as refused, db.transaction() as tx:
        tx.insert("post", {"id": 9, "author": 77})
    error = refused.value
    assert (error.code, error.constraint) == ("foreign_key", "post_author_fkey")
    assert error.row == {"id": 9, "author": 77, "mail": None, "answers": None}
    assert error.message == (
        "table post: foreign key post_author_fkey: table person has no row whose id is the author"
        " of this one"
    )
    with db.transaction() as tx:  # in any order
        tx.insert("post", {"id": 9, "author": 77, "answers": 8})
        tx.insert("post", {"id": 8, "author": 77, "answers": 9})
        tx.insert("person", {"id": 77})


def test_what_is_referenced_stays(db: reifydb.Database) -> None:
    with no_trace(db), pytest.raises(ForeignKeyError, match="post_author_fkey"):
        db.execute("delete from person where id = 1")
    with db.transaction() as tx:
        tx.delete("person", 1)
        tx.insert("person", {"id": 1, "mail": "another"})
    with no_trace(db), pytest.raises(ForeignKeyError, match="by_mail"):
        db.execute("update person set mail = 'x' where id = 2")
    with db.transaction() as tx:
        tx.update("person", {"id": 2, "mail": None})
        tx.update("person", {"id": 3, "mail": "m2"})
    db.execute("delete from person where id = 2")


def test_a_cascade_takes_what_references_and_what_references_that(db: reifydb.Database) -> None:
    with db.subscribe("post") as changes, db.transaction() as tx:
        assert tx.delete("person", 2)
        assert tx.count("post") == 0
        assert tx.count("person") == 3
    del changes
    assert list(db.scan("post")) == []


def test_a_cascade_counts_only_what_was_asked_for_and_is_undone_as_a_whole(
    db: reifydb.Database,
) -> None:
    with no_trace(db):
        tx = db.transaction()
        tx.begin()
        assert tx.delete_many("person", [2, 99]) == 1
        assert tx.count("post") == 0
        tx.rollback()
    assert db.count("post") == 3


def test_a_chain_of_any_length_is_deleted_without_taking_stack() -> None:
    with reifydb.open(":memory:") as db:
        db.execute("create table t (id int primary key, up int references t on delete cascade)")
        count = 200_000
        with db.transaction() as tx:
            tx.insert_many("t", [{"id": i, "up": i - 1 if i else None} for i in range(count)])
        with db.transaction() as tx:
            assert tx.delete("t", 0)
        assert db.count("t") == 0
        db.verify()


def test_a_guest_is_bounded_by_the_rows_that_it_may_write(bank_wasm: bytes) -> None:
    with reifydb.open(":memory:") as db:
        db.install(bank_wasm, apply_schema=True, limits=reifydb.ModuleLimits(rows_written_max=5))
        db.execute("""
            create table entry (id int primary key,
                account int references account on delete cascade)
        """)
        with db.transaction() as tx:
            tx.insert_many("account", [{"id": i, "owner": "", "balance": 0} for i in (1, 2)])
            tx.insert_many("entry", [{"id": i, "account": 1} for i in range(5)])
            tx.insert_many("entry", [{"id": 10 + i, "account": 2} for i in range(4)])
        with no_trace(db), pytest.raises(reifydb.AbortedError) as refused:
            db.call("bank.close_account", 1)
        assert refused.value.abort_code == -11  # limit_reached
        db.call("bank.close_account", 2)
        assert db.count("entry") == 5
        db.verify()


def test_guests_are_refused_in_calls_and_batches(bank_wasm: bytes) -> None:
    with reifydb.open(":memory:") as db:
        db.install(bank_wasm, apply_schema=True)
        db.execute("create table holder (name text primary key)")
        db.execute("alter table account add foreign key (owner) references holder")
        db.execute("insert into holder values ('ada'), ('bob')")
        outcomes = db.call_many("bank.open", [(1, "ada", 1), (2, "eve", 2), (3, "bob", 3)])
        errors = [outcome.error for outcome in outcomes]
        assert errors[0] is None
        assert errors[2] is None
        assert isinstance(errors[1], ForeignKeyError)
        assert errors[1].row == {"id": 2, "owner": "eve", "balance": 2}
        with no_trace(db), pytest.raises(ForeignKeyError, match="account_owner_fkey"):
            db.call("bank.open", 4, "eve", 2)
        assert [row["id"] for row in db.scan("account")] == [1, 3]


def test_rows_that_are_there_are_compared_when_a_key_is_added(db: reifydb.Database) -> None:
    with no_trace(db), pytest.raises(ForeignKeyError) as refused:
        db.execute("alter table person add constraint odd foreign key (id) references post")
    assert refused.value.constraint == "odd"
    assert refused.value.row == {"id": 0, "mail": "m0", "name": ""}
    assert db.tables["person"].foreign_keys == ()
    db.execute("alter table post add column reviewer int default 3")
    db.execute("alter table post add foreign key (reviewer) references person (id)")
    with no_trace(db), pytest.raises(ForeignKeyError, match="post_reviewer_fkey"):
        db.execute("delete from person where id = 3")  # rows that end before the column
    db.execute("alter table post drop constraint post_reviewer_fkey")
    db.execute("delete from person where id = 3")


def test_what_a_script_did_before_it_failed_is_undone(db: reifydb.Database) -> None:
    before = db.tables
    with no_trace(db), pytest.raises(UnknownNameError):
        db.execute("""
            alter table post drop constraint by_mail;
            create table more (id int primary key references post on delete cascade, p int);
            alter table more add foreign key (p) references more;
            drop table nothing
        """)
    assert db.tables == before
    with pytest.raises(ForeignKeyError):
        db.execute("update post set mail = 'nobody' where id = 1")


def test_a_key_with_a_null_references_nothing() -> None:
    with reifydb.open(":memory:") as db:
        db.execute("""
            create table p (a int, b text, primary key (a, b));
            create table c (id int primary key, x text, y int,
                foreign key (y, x) references p (a, b))
        """)
        db.execute("insert into c values (1, null, 5), (2, 'x', null), (3, null, null)")
        with pytest.raises(ForeignKeyError, match="whose a, b are the y, x of this one"):
            db.execute("insert into c values (4, 'x', 5)")
        db.execute("insert into p values (5, 'x')")
        db.execute("insert into c values (4, 'x', 5)")
        db.verify()


# ------------------------------------------------------------------ the schema


@pytest.mark.parametrize(
    ("sql", "reasons"),
    [
        (
            "drop table person",
            ["foreign key post_author_fkey of table post references it", "by_mail of table post"],
        ),
        ("drop index person_mail", ["foreign key by_mail of table post references its columns"]),
        ("drop index post_author_fkey_index", ["foreign key post_author_fkey uses it"]),
        (
            "alter table person drop column mail",
            ["index person_mail has it", "foreign key by_mail of table post references it"],
        ),
        ("alter table post drop column author", ["foreign key post_author_fkey has it"]),
        (
            "create table x (id int primary key references person (name))",
            ["may be the same", "type"],
        ),
        ("create table x (id int primary key references person (mail, id))", ["references 2"]),
        (
            "create table x (id int primary key, foreign key (id, id2) references person)",
            ["no column id2"],
        ),
        (
            "create table x (id int primary key, m text, foreign key (id, m) references person)",
            ["the primary key of table person has 1"],
        ),
        ("create table x (id int primary key references person (nix))", ["no column nix"]),
        ("create table x (id int primary key references nobody)", ["no table 'nobody'"]),
        ("create table x (id text primary key references person)", ["of type text", "type int"]),
        ("create table x (id int primary key references reifydb_table)", ["reserved"]),
        (
            "alter table post add constraint by_mail foreign key (id) references person",
            ["constraint of table post: by_mail already"],
        ),
        ("alter table post drop constraint nix", ["no constraint of table post: 'nix'"]),
    ],
)
def test_what_does_not_fit_is_refused_with_every_reason(
    db: reifydb.Database, sql: str, reasons: list[str]
) -> None:
    with no_trace(db), pytest.raises(ReifyDBError) as refused:
        db.execute(sql)
    assert isinstance(refused.value, SchemaError | SqlError | UnknownNameError)
    for reason in reasons:
        assert reason in str(refused.value)


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ("on delete set null", "line 1, column 54: on delete set null is not supported"),
        ("on delete set default", "set the columns in the transition"),
        ("on update cascade", "on update cascade is not supported"),
        ("match full", "a key with a null references nothing"),
        ("initially immediate", "compared when the transaction ends"),
        ("on delete cascade on delete no action", "on delete is said twice"),
    ],
)
def test_options_that_there_are_not(db: reifydb.Database, said: str, message: str) -> None:
    with pytest.raises(SqlError, match=message):
        db.execute(f"create table x (id int primary key, p int references person {said})")


def test_options_that_say_what_is_so_anyway(db: reifydb.Database) -> None:
    db.execute("""
        create table x (
            id int primary key references person match simple on delete no action
                on update restrict deferrable initially deferred
        )
    """)
    assert db.tables["x"].foreign_keys[0].cascade is False
    assert db.tables["x"].indexes == ()  # its primary key is one


def test_a_view_is_not_referenced(db: reifydb.Database) -> None:
    db.execute("create view v as select id from person")
    with pytest.raises(reifydb.RequestError, match="v is a view"):
        db.execute("create table x (id int primary key references v)")


def test_there_are_not_too_many(db: reifydb.Database) -> None:
    columns = ", ".join(f"c{i} int references person" for i in range(foreign_keys_max + 1))
    with pytest.raises(SqlError, match="foreign_keys_max is 32"):
        db.execute(f"create table x (id int primary key, {columns})")
    columns = ", ".join(f"c{i} int references x" for i in range(foreign_keys_max))
    db.execute(f"create table x (id int primary key, {columns})")
    with pytest.raises(LimitError) as refused:
        db.execute("alter table x add foreign key (id) references person")
    assert refused.value.limit == "foreign_keys_max"


def test_names_follow_when_they_change(db: reifydb.Database) -> None:
    db.execute("""
        alter table person rename column mail to address;
        alter table person rename to human;
        alter table post rename column id to number;
        alter table post rename column author to by_whom;
        alter table post rename to message;
    """)
    keys = {one.name: (one.table, one.to) for one in db.tables["message"].foreign_keys}
    assert keys == {
        "post_author_fkey": ("human", ("id",)),
        "by_mail": ("human", ("address",)),
        "post_answers_fkey": ("message", ("number",)),
    }
    with pytest.raises(ForeignKeyError, match="human has no row whose id is the by_whom"):
        db.execute("insert into message values (9, 99, null, null)")


def test_columns_that_go_move_the_others(tmp_path: Path) -> None:
    with reifydb.open(tmp_path / "db", options=SMALL) as db:
        db.execute("""
            create table p (gone int, a int primary key);
            create table c (gone int, id int primary key, gone_too text, a int references p);
        """)
        db.execute("alter table p drop column gone; alter table c drop column gone")
        db.execute("alter table c drop column gone_too")
        db.execute("insert into p values (1); insert into c values (1, 1)".split(";")[0])
        db.execute("insert into c values (1, 1)")
    with reifydb.open(tmp_path / "db", options=SMALL) as db:
        with pytest.raises(ForeignKeyError):
            db.execute("insert into c values (2, 2)")
        with pytest.raises(ForeignKeyError):
            db.execute("delete from p where a = 1")
        db.verify()


def test_an_index_that_was_made_for_a_key_goes_with_it_unless_it_is_used(
    db: reifydb.Database,
) -> None:
    names = [index.name for index in db.tables["post"].indexes]
    assert names == ["by_mail_index", "post_author_fkey_index", "post_answers_fkey_index"]
    db.execute("create view v as select p.id, q.name from person q join post p on p.author = q.id")
    db.execute("alter table post drop constraint post_author_fkey")
    db.execute("alter table post drop constraint by_mail")
    left = {index.name: index.implied for index in db.tables["post"].indexes}
    assert left == {"post_author_fkey_index": False, "post_answers_fkey_index": True}
    db.execute("drop view v; drop index post_author_fkey_index")


def test_a_check_is_not_dropped(db: reifydb.Database) -> None:
    db.execute("create table x (id int primary key constraint positive check (id > 0))")
    with pytest.raises(SchemaError, match="positive is a check: checks stay"):
        db.execute("alter table x drop constraint positive")
    db.execute("alter table x drop constraint if exists nix")


def test_it_is_kept_rendered_and_found_again(tmp_path: Path) -> None:
    with reifydb.open(tmp_path / "db", options=SMALL) as db:
        db.execute(SCHEMA)
        tables = db.tables
        person, post = render_create_table(tables["person"]), render_create_table(tables["post"])
        kept = table_to_json(tables["post"])
    assert '"format":3' in kept
    assert table_from_json(kept) == tables["post"]
    with pytest.raises(FormatVersionError):
        table_from_json(kept.replace('"cascade":true', '"cascade":1'))
    assert (
        "constraint by_mail foreign key (mail) references person (mail) on delete cascade" in post
    )
    assert "_index" not in post
    assert [s.table.name for s in parse_schema(f"{person};{post}")] == ["person", "post"]
    with reifydb.open(":memory:") as other:
        other.execute(f"{person};{post}")
        assert {n: t for n, t in other.tables.items() if n == "post"}["post"] == tables["post"]
    with reifydb.open(tmp_path / "db", options=SMALL) as db:
        assert db.tables["post"] == tables["post"]
        with pytest.raises(ForeignKeyError):
            db.execute("insert into post values (1, 1, null, null)")
        db.execute("alter table post drop constraint post_author_fkey")
    with reifydb.open(tmp_path / "db", options=SMALL) as db:
        db.execute("insert into post values (1, 1, null, null)")
        db.execute("drop table post; drop table person")
        db.verify()
    with reifydb.open(tmp_path / "db", options=SMALL) as db:
        assert db.tables == {}


def test_tables_that_reference_each_other(db: reifydb.Database) -> None:
    db.execute("alter table person add column pinned int")
    db.execute("alter table person add constraint pin foreign key (pinned) references post")
    for name in ("person", "post"):
        with pytest.raises(SchemaError, match="cannot be dropped"):
            db.execute(f"drop table {name}")
    db.execute("update person set pinned = 1 where id = 1")
    with pytest.raises(ForeignKeyError, match="pin"):
        db.execute("delete from post where id = 1")
    db.execute("alter table person drop constraint pin; drop table post; drop table person")
    assert db.tables == {}
