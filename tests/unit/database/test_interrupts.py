"""Ctrl-C at any moment: no lock is kept, no commit is kept from the log, nothing stays open."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

import reifydb
from tests.guests.databases import open_with, zig_guest

STORM = """
import signal, sys, time
import reifydb
from tests.guests.databases import zig_guest

def interrupt(*_):
    raise KeyboardInterrupt

db = reifydb.open(sys.argv[1])
db.install(zig_guest("misbehave"), apply_schema=True)
db.call("misbehave.honest", 1, 1)
signal.signal(signal.SIGALRM, interrupt)

def work(i):
    WORK

interrupted = 0
begun = time.monotonic()
i = 0
while time.monotonic() < begun + (2.5 if interrupted > 100 else 45):  # a busy machine takes longer
    try:
        # Again and again: one that comes while a collector runs is swallowed.
        signal.setitimer(signal.ITIMER_REAL, 0.0002 + (i % 97) * 1e-6, 0.01)
        while True:
            i += 1
            work(i)
    except KeyboardInterrupt:
        interrupted += 1
    finally:
        while True:
            try:
                signal.setitimer(signal.ITIMER_REAL, 0)
                break
            except KeyboardInterrupt:
                interrupted += 1
    assert db._turns.lock.acquire(timeout=30), "the lock was kept"  # the log's thread may have it
    db._turns.lock.release()
    db.get("victim", 1)  # whoever comes next ends what nobody has any more
    assert db._turns.holder is None, "a transaction was left open"
    if interrupted % 50 == 0:
        db.verify()
        lsn = db.lsn
        give_up = time.monotonic() + 10
        while db.durable_lsn < lsn:  # nobody calls meanwhile
            assert time.monotonic() < give_up, (lsn, db.durable_lsn, db._feed.state)
            time.sleep(0.001)
assert interrupted > 100, interrupted
db.verify()
hash = db.state_hash
db.close()
with reifydb.open(sys.argv[1]) as again:
    assert again.state_hash == hash
    again.verify()
print("ok", interrupted)
"""

WORK = {
    "call": 'db.call("misbehave.honest", i % 50, i)',
    "get": 'db.get("victim", 1)',
    "batch": 'db.call_many("misbehave.honest", [(j, i) for j in range(5)])',
    "transaction": """
    with db.transaction() as tx:
        tx.upsert("victim", {"id": i % 50, "n": i})
        tx.call("misbehave.honest", i % 50, i)
    """,
    "scan": 'list(db.scan("victim"))',
}


@pytest.mark.parametrize("kind", WORK)
def test_a_storm_of_interrupts_leaves_the_database_whole(kind: str, tmp_path: Path) -> None:
    work = textwrap.indent(textwrap.dedent(WORK[kind]).strip(), "    ").strip()
    script = STORM.replace("WORK", work)
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path / "db")],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stdout + done.stderr[-3000:]


def test_a_transaction_that_nobody_has_any_more_is_ended_by_whoever_comes() -> None:
    db = open_with(zig_guest("misbehave"))
    tx = db.transaction()
    tx.begin()
    tx.insert("victim", {"id": 1, "n": 1})
    with pytest.raises(reifydb.ReentrantError):
        db.get("victim", 1)
    del tx
    assert db.get("victim", 1) is None
    db.verify()
    db.close()


def test_counters_of_a_large_transaction_are_committed_in_linear_time() -> None:
    """Quadratic, this took minutes; linear, a fraction of a second."""
    with reifydb.open(":memory:") as db:
        db.execute("create table plain (id int primary key)")
        db.execute("create table auto (id int primary key auto_increment, n int)")
        with db.transaction() as tx:
            tx.insert_many("plain", [{"id": i} for i in range(150_000)])
            tx.insert_many("auto", [{"n": i} for i in range(150_000)])
        assert db.count("auto") == 150_000
        with db.transaction() as tx:
            assert tx.insert("auto", {"n": 0}) == 150_001
        db.verify()


def test_a_scan_of_an_earlier_time_of_a_transaction_is_over() -> None:
    with reifydb.open(":memory:") as db:
        for name in ("a", "b"):
            db.execute(f"create table {name} (id int primary key, v int)")
            with db.transaction() as tx:
                tx.insert_many(name, [{"id": i, "v": ord(name)} for i in range(20_000)])
        tx = db.transaction()
        tx.begin()
        scan = tx.scan("a")
        assert next(scan)["v"] == ord("a")
        tx.commit()
        tx.begin()
        other = tx.scan("b")
        assert next(other)["v"] == ord("b")
        with pytest.raises(reifydb.ClosedError, match="has ended"):
            list(scan)
        assert len(list(other)) == 19_999
        tx.rollback()


def test_an_interrupt_as_a_commit_returns_leaves_it_committed_and_ended(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    db = open_with(zig_guest("misbehave"))
    commit = db._kernel.call["commit"]

    def interrupted() -> int:
        commit()
        raise KeyboardInterrupt

    monkeypatch.setitem(db._kernel.call, "commit", interrupted)
    with pytest.raises(KeyboardInterrupt), db.transaction() as tx:
        tx.insert("victim", {"id": 1, "n": 1})
    monkeypatch.undo()
    assert db.get("victim", 1) == {"id": 1, "n": 1}
    with db.transaction() as tx:
        tx.insert("victim", {"id": 2, "n": 1})
    db.verify()
    db.close()


def test_an_interrupt_as_a_group_is_appended_loses_nothing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with reifydb.open(tmp_path / "db") as db:
        db.execute("create table t (id int primary key)")
        db.flush()
        append = db._log.append
        for when in ("before", "after"):

            def interrupted(group: object, when: str = when) -> None:
                if when == "after":
                    append(group)  # type: ignore[arg-type]
                raise KeyboardInterrupt

            with db.transaction() as tx:
                tx.insert("t", {"id": db.lsn})
            monkeypatch.setattr(db._log, "append", interrupted)
            with pytest.raises(KeyboardInterrupt):
                db.flush()
            monkeypatch.setattr(db._log, "append", append)
            with db.transaction() as tx:
                tx.insert("t", {"id": db.lsn})
            db.flush()
            assert db.durable_lsn == db.lsn
        expected = db.state_hash, db.count("t")
    with reifydb.open(tmp_path / "db") as db:
        assert (db.state_hash, db.count("t")) == expected
