"""Looking into a folder: what it says, that it changes nothing, and that nobody is kept out."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import reifydb
from reifydb.durability.inspection import inspect_folder
from reifydb.errors import FormatVersionError, LogDamagedError, RequestError

OPTIONS = reifydb.Options(reserve_bytes=0, segment_bytes_max=1000)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two incarnations: ten commits in several segments, then one."""
    path = tmp_path / "db"
    with reifydb.open(path, options=OPTIONS) as db:
        db.execute("create table t (id int primary key, text text)")
        for i in range(9):
            with db.transaction() as tx:
                tx.insert("t", {"id": i, "text": "x" * 300})
            db.flush()
    with reifydb.open(path, options=OPTIONS) as db, db.transaction() as tx:
        tx.delete("t", 0)
    return path


def contents(folder: Path) -> dict[str, tuple[bytes, int]]:
    return {
        str(path.relative_to(folder)): (path.read_bytes(), path.stat().st_mtime_ns)
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_it_says_what_there_is_and_changes_nothing(folder: Path) -> None:
    before = contents(folder)
    found = inspect_folder(str(folder))
    assert contents(folder) == before
    assert found.damage == ""
    assert (found.first_lsn, found.last_lsn, found.durable_lsn) == (1, 11, 11)
    assert sum(one.commits for one in found.segments) == 11
    assert all(one.sealed for one in found.segments)
    assert len(found.segments) > 3
    assert [(i.number, i.first_lsn, i.last_lsn) for i in found.incarnations] == [
        (1, 1, 10),
        (2, 11, 11),
    ]
    assert (found.in_use, found.torn_bytes, found.quarantine) == (None, 0, ())
    assert found.head is not None
    assert found.head.first_lsn == found.segments[-1].first_lsn


def test_whoever_has_it_open_goes_on(folder: Path) -> None:
    with reifydb.open(folder, options=OPTIONS) as db:
        with db.transaction() as tx:
            tx.insert("t", {"id": 100, "text": ""})
        db.flush()
        found = inspect_folder(str(folder))
        assert (found.in_use, found.last_lsn, found.damage) == (os.getpid(), 12, "")
        assert not found.segments[-1].sealed
        with db.transaction() as tx:
            tx.insert("t", {"id": 101, "text": ""})
    assert inspect_folder(str(folder)).last_lsn == 13


WRITER = """
import sys, time, reifydb
options = reifydb.Options(reserve_bytes=0, segment_bytes_max=20_000, flush_interval_ms=0.2)
with reifydb.open(sys.argv[1], options=options) as db:
    print("open", flush=True)
    until = time.monotonic() + 3
    i = 1000
    while time.monotonic() < until:
        i += 1
        with db.transaction() as tx:
            tx.insert("t", {"id": i, "text": "x" * (i % 700)})
        db.flush()
"""


def test_a_log_that_is_written_meanwhile_is_not_called_damaged(folder: Path) -> None:
    """Small segments: a new one comes many times a second."""
    writer = [sys.executable, "-c", WRITER, str(folder)]
    with subprocess.Popen(writer, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "open\n"
        found = []
        while process.poll() is None:
            found.append(inspect_folder(str(folder)).damage)
    assert len(found) > 3
    assert set(found) == {""}
    assert process.returncode == 0


def test_a_torn_tail_is_no_damage_and_stays(folder: Path) -> None:
    newest = max((folder / "log").iterdir())
    data = newest.read_bytes()
    newest.write_bytes(data[:-10])  # its seal
    found = inspect_folder(str(folder))
    assert (found.damage, found.last_lsn) == ("", 11)
    assert found.torn_bytes == found.segments[-1].unread_bytes > 0
    assert found.segments[-1].problem == "a frame is cut short"
    assert newest.read_bytes() == data[:-10]
    with reifydb.open(folder, options=OPTIONS):
        pass
    found = inspect_folder(str(folder))
    assert (found.torn_bytes, len(found.quarantine)) == (0, 1)


def test_damage_is_told_with_all_that_can_be_read(folder: Path) -> None:
    first, *_ = sorted((folder / "log").iterdir())
    data = bytearray(first.read_bytes())
    data[-1] ^= 1
    first.write_bytes(data)
    found = inspect_folder(str(folder))
    assert first.name in found.damage
    assert found.segments[0].problem
    assert found.segments[-1].problem == ""
    assert found.last_lsn == 11


def test_damaged_headers_and_missing_segments_are_damage(folder: Path) -> None:
    first, second, *_ = sorted((folder / "log").iterdir())
    second.unlink()
    assert inspect_folder(str(folder)).damage
    data = bytearray(first.read_bytes())
    data[20] ^= 1
    first.write_bytes(data)
    assert first.name in inspect_folder(str(folder)).damage
    (folder / "HEAD").write_bytes(bytes(64))
    found = inspect_folder(str(folder))
    assert (found.head, bool(found.damage)) == (None, True)


def test_what_is_no_database_is_refused(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="there is no database"):
        inspect_folder(str(tmp_path / "none"))
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "file").touch()
    with pytest.raises(FormatVersionError):
        inspect_folder(str(tmp_path / "other"))
    data = bytearray((folder / "IDENTITY").read_bytes())
    data[20] ^= 1
    (folder / "IDENTITY").write_bytes(data)
    with pytest.raises(LogDamagedError):
        inspect_folder(str(folder))


def test_an_empty_database_has_no_commits(tmp_path: Path) -> None:
    with reifydb.open(tmp_path / "db", options=OPTIONS):
        pass
    found = inspect_folder(str(tmp_path / "db"))
    assert (found.first_lsn, found.last_lsn, found.damage) == (0, 0, "")
