"""Views that another version has made, which needed more or fewer tables for them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

import reifydb
from reifydb.database import views
from reifydb.database.view_parts import parts_of, tables_of
from reifydb.errors import SchemaError
from reifydb.views import building


def opened(path: Any) -> reifydb.Database:
    db = reifydb.open(path)
    if "account" not in db.tables:
        db.execute("create table account (id int primary key, branch text, balance int)")
        with db.transaction() as tx:
            tx.insert_many("account", [{"id": i, "branch": "ab"[i % 2]} for i in range(10)])
    return db


@pytest.mark.parametrize("more", [0, 1, 3])
def test_a_view_that_had_more_tables_keeps_its_number(
    more: int, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = (
        "create view many as select branch, n from (select branch, count(*) as n from account"
        " group by branch) t order by n desc, branch limit 1"
    )
    with opened(tmp_path / "db") as db, monkeypatch.context() as patch:
        build: Any = building.build

        def older(name: str, query: Any, first: int, max_rows: int) -> Any:
            return build(name, query, first + more, max_rows)

        patch.setattr(building, "build", older)
        patch.setattr(views, "tables_of", lambda parts: tables_of(parts) + more)
        db.execute(text)
        number = db._state.catalog.get("many").number
    for _ in range(2):
        with opened(tmp_path / "db") as db:
            assert db._state.catalog.get("many").number == number
            assert db.scan("many").__next__() == {"branch": "a", "n": 5}
            db.verify()
    with opened(tmp_path / "db") as db:
        db.execute("drop view many; create view many as select id from account")
        assert db.count("many") == 10
        db.verify()
    with opened(tmp_path / "db") as db:
        db.verify()


def test_a_view_that_had_fewer_tables_is_refused_by_name() -> None:
    with opened(":memory:") as db:
        db.execute("create view few as select branch from account order by branch, id limit 1")
        table = db._state.catalog.get("few").table
        assert table.view is not None
        assert table.view.parts > 1
        older = replace(table, view=replace(table.view, parts=1))
        with pytest.raises(SchemaError, match="view few needs 2 tables, and had 1"):
            parts_of(older, db._state.catalog)
