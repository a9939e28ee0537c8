"""What a table takes: counted with each change, taken back with it, the same once reopened."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest

import reifydb

OPTIONS = reifydb.Options(reserve_bytes=4096)


def row_block(row: dict[str, Any]) -> int:
    """A row of four columns (docs/formats.md): head, slots, nulls, tail; rounded up to 8."""
    fixed, tail = 8 + 4 * 8 + 1, len(row["body"] or "") + len(row["town"])
    return (fixed + tail + 7) // 8 * 8


def furnish(db: reifydb.Database) -> None:
    db.execute(
        "create table note (id int primary key, body text, town text not null, mark int);"
        "create index note_by_town on note (town); create unique index note_by_mark on note (mark)"
    )


def some_row(draw: random.Random, key: int) -> dict[str, Any]:
    body = None if draw.random() < 0.2 else "x" * draw.randrange(100)
    mark = None if draw.random() < 0.3 else draw.randrange(10_000)
    return {"id": key, "body": body, "town": draw.choice("abc") * draw.randrange(30), "mark": mark}


def change(db: reifydb.Database, draw: random.Random) -> None:
    """A transaction of all kinds of changes, refusals among them, which may be taken back."""
    with db.transaction() as tx:
        for _ in range(draw.randrange(1, 30)):
            row = some_row(draw, draw.randrange(300))
            try:
                match draw.randrange(4):
                    case 0:
                        tx.insert("note", row)
                    case 1:
                        tx.upsert("note", row)
                    case 2:
                        tx.update("note", {"id": row["id"], "body": row["body"]})
                    case _:
                        tx.delete("note", row["id"])
            except (reifydb.DuplicateKeyError, reifydb.NotFoundError):
                pass
        if draw.random() < 0.3:
            tx.rollback()


@pytest.mark.parametrize("seed", range(3))
def test_after_random_operations_it_is_what_a_recount_gives(tmp_path: Path, seed: int) -> None:
    draw = random.Random(seed)
    with reifydb.open(tmp_path / "db", options=OPTIONS) as db:
        furnish(db)
        empty = db.memory("note")
        assert empty.total == 0
        assert set(empty.indexes) == {"note_by_town", "note_by_mark"}
        for _ in range(60):
            change(db, draw)
            assert db.memory("note").rows == sum(map(row_block, db.scan("note")))
            db.verify()  # counts rows and nodes again, of every table
        found = db.memory("note")
        assert min(found.primary_key, *found.indexes.values()) > 0
        assert found.total == found.rows + found.primary_key + sum(found.indexes.values())
        rows = found.rows
    with reifydb.open(tmp_path / "db", options=OPTIONS) as db:
        assert db.memory("note").rows == rows
        db.verify()
        with db.transaction() as tx:
            tx.delete_many("note", [row["id"] for row in tx.scan("note")])
        assert db.memory("note").total == 0
        db.execute("drop index note_by_town")
        assert set(db.memory("note").indexes) == {"note_by_mark"}


def test_what_is_taken_back_takes_nothing() -> None:
    with reifydb.open(":memory:") as db:
        furnish(db)
        draw = random.Random(7)
        with db.transaction() as tx:
            tx.insert_many("note", [some_row(draw, i) | {"mark": i} for i in range(100)])
        before = db.memory("note")
        with db.transaction() as tx:
            tx.update_many("note", [{"id": i, "body": "y" * 200} for i in range(100)])
            tx.delete_many("note", list(range(50)))
            tx.rollback()
        assert db.memory("note").rows == before.rows
        db.verify()


def test_columns_added_later_take_nothing_until_a_row_is_written() -> None:
    with reifydb.open(":memory:") as db:
        furnish(db)
        with db.transaction() as tx:
            tx.insert_many("note", [{"id": i, "town": "a"} for i in range(10)])
        before = db.memory("note").rows
        db.execute("alter table note add column extra int not null default 5")
        assert db.memory("note").rows == before
        with db.transaction() as tx:
            tx.update("note", {"id": 0, "extra": 6})
        assert db.memory("note").rows == before + 8
        db.verify()


def test_a_table_that_is_not_there_is_named() -> None:
    with reifydb.open(":memory:") as db, pytest.raises(reifydb.UnknownNameError):
        db.memory("nothing")
