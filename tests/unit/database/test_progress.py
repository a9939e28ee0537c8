"""How far long work has come: views, indexes and foreign keys being made, and views made anew."""

from __future__ import annotations

import io
import threading
import time
from pathlib import Path

import pytest

import reifydb
from reifydb import Progress
from reifydb.cli import progress as cli_progress
from reifydb.database import progress as progress_module
from tests.unit.database.conftest import SMALL

ROWS = 60_000


def filled(db: reifydb.Database) -> None:
    db.execute("create table t (id int primary key, g int, x int)")
    with db.transaction() as tx:
        tx.insert_many("t", [{"id": i, "g": i % 100, "x": i} for i in range(ROWS)])


@pytest.fixture
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress_module, "INTERVAL_S", 0.0005)


VIEW = "create view v as select g, count(*) as n from t group by g having count(*) > 1"


def test_a_view_that_is_made_tells_how_far_it_is(often: None) -> None:
    seen: list[Progress] = []
    with reifydb.open(":memory:") as db:
        filled(db)
        db.execute(VIEW, progress=seen.append)
        assert db.count("v") == 100
        db.verify()
    assert {one.what for one in seen} == {"view v"}
    assert Progress("view v", ROWS, ROWS) in seen
    assert Progress("view v", 100, 100) in seen  # the part that shows it
    between = [one.rows for one in seen if one.of == ROWS and 0 < one.rows < ROWS]
    assert between == sorted(between)
    assert between, seen


def test_indexes_and_foreign_keys_tell_as_well(often: None) -> None:
    seen: list[Progress] = []
    with reifydb.open(":memory:") as db:
        filled(db)
        db.execute(
            "create index i on t (g); alter table t add foreign key (x) references t",
            progress=seen.append,
        )
    whats = [one.what for one in seen if one.rows == one.of == ROWS]
    assert whats == ["index i", "index t_x_fkey_index", "foreign keys of table t"]


def test_opening_tells_of_views_that_are_made_anew(tmp_path: Path, often: None) -> None:
    with reifydb.open(tmp_path / "db", options=SMALL) as db:
        filled(db)
        db.execute(VIEW)
    seen: list[Progress] = []
    with reifydb.open(tmp_path / "db", options=SMALL, progress=seen.append) as db:
        assert db.count("v") == 100
        told = len(seen)
        db.execute("create index i on t (g)")  # nobody asked
        assert len(seen) == told
    assert Progress("view v", ROWS, ROWS) in seen


def test_what_the_listener_raises_undoes_all(often: None) -> None:
    def tell(progress: Progress) -> None:
        raise RuntimeError(progress.what)

    with reifydb.open(":memory:") as db:
        filled(db)
        before = db.lsn
        with pytest.raises(RuntimeError, match="view v"):
            db.execute(VIEW, progress=tell)
        assert (db.lsn, set(db.tables)) == (before, {"t"})
        db.execute(VIEW)
        db.verify()


def test_no_thread_runs_when_nobody_listens() -> None:
    with reifydb.open(":memory:") as db:
        filled(db)
        before = {thread.name for thread in threading.enumerate()}
        db.execute(VIEW)
        names = {thread.name for thread in threading.enumerate()} - before
        assert "reifydb progress" not in names


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_terminal_has_a_line_while_it_takes_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stderr", screen := Terminal())
    draw = cli_progress.progress_line()
    assert draw is not None
    draw(Progress("view v", 1, 10))  # too early
    draw(Progress("view v", 10, 10))
    assert screen.getvalue() == ""
    monkeypatch.setattr(cli_progress, "AFTER_S", 0.0)
    draw(Progress("view v", 4096, 1_000_000))
    assert screen.getvalue() == "\rview v: 4,096 of 1,000,000 rows\033[K"
    draw(Progress("view v", 1_000_000, 1_000_000))
    assert screen.getvalue().endswith("\r\033[K")
    monkeypatch.setattr("sys.stderr", io.StringIO())
    assert cli_progress.progress_line() is None


def test_a_log_has_a_line_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    write = cli_progress.progress_log(lambda message, *facts: said.append(message % facts))
    write(Progress("view v", 1, 10))
    monkeypatch.setattr(cli_progress, "LOGGED_S", 0.0)
    time.sleep(0.001)
    write(Progress("view v", 2, 10))
    assert said == ["opening: view v, 2 of 10 rows"]
