"""Opening and closing: paths, locks, what is there again, what is left of it afterwards."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import reifydb
from tests.guests.databases import no_trace
from tests.unit.database.conftest import SMALL, furnish

ROOT = Path(__file__).parents[3]


def test_what_was_there_is_there_again(folder: Path, bank_wasm: bytes) -> None:
    with reifydb.open(folder, options=SMALL) as db:
        db.call("bank.transfer", 1, 2, 10)
        with db.transaction() as tx:
            tx.insert("note", {"body": "ä", "mark": -1})
            tx.insert("place", {"town": "b", "street": "", "number": -(1 << 63)})
        lsn, state, tables, module = db.lsn, db.state_hash, db.tables, db.modules["bank"]
        incarnation = db.incarnation
    for number in range(1, 4):
        with reifydb.open(str(folder), options=SMALL) as db:
            assert (db.lsn, db.state_hash, db.tables) == (lsn, state, tables)
            assert db.durable_lsn == lsn
            assert db.incarnation == incarnation + number
            assert db.modules == {"bank": module}
            db.verify()
            assert db.call("bank.balance", 2) == 110
            with db.transaction() as tx:
                assert tx.insert("note", {}) == 2
                tx.rollback()


def test_memory_keeps_nothing(bank_wasm: bytes, tmp_path: Path) -> None:
    before = set(os.listdir("."))
    for _ in range(2):
        with reifydb.open(":memory:") as db:
            assert db.tables == {}
            assert db.lsn == db.durable_lsn == 0
            furnish(db, bank_wasm)
            assert db.durable_lsn == db.lsn == 3
            db.wait_durable(3)
            db.flush()
            assert db.durability_lag.commits == 0
            assert repr(db) == "<reifydb.Database ':memory:', lsn 3>"
    assert set(os.listdir(".")) == before


def test_two_databases_are_two(tmp_path: Path, bank_wasm: bytes) -> None:
    with reifydb.open(tmp_path / "a") as a, reifydb.open(tmp_path / "b") as b:
        furnish(a, bank_wasm)
        assert b.tables == {}
        furnish(b, bank_wasm)
        a.call("bank.transfer", 1, 2, 3)
        assert b.call("bank.balance", 1) == 100
        assert a.state_hash != b.state_hash
        b.call("bank.transfer", 1, 2, 3)
        assert a.state_hash == b.state_hash


@pytest.mark.parametrize("path", ["", b"bank", 7, None, b""])
def test_a_path_that_is_none_is_refused(path: Any, tmp_path: Path) -> None:
    with pytest.raises(reifydb.RequestError, match="path"):
        reifydb.open(path)


def test_wrong_settings_are_refused(tmp_path: Path) -> None:
    with pytest.raises(reifydb.RequestError, match="options"):
        reifydb.open(":memory:", options={"slice_ms": 1})  # type: ignore[arg-type]
    with pytest.raises(reifydb.RequestError, match="clock"):
        reifydb.open(":memory:", clock=5)  # type: ignore[arg-type]
    with pytest.raises(reifydb.RequestError, match="seed"):
        reifydb.open(":memory:", seed="x")  # type: ignore[arg-type]


def test_folders_above_are_made(tmp_path: Path) -> None:
    with reifydb.open(tmp_path / "a" / "b" / "bank.reify") as db:
        assert db.lsn == 0
    assert (tmp_path / "a" / "b" / "bank.reify" / "IDENTITY").exists()


def test_a_file_is_not_a_database(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("mine")
    for path in (file, file / "below"):
        with pytest.raises(reifydb.StorageError) as caught:
            reifydb.open(path)
        assert "file" in str(caught.value)
    assert file.read_text() == "mine"


def test_somebody_elses_folder_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(reifydb.FormatVersionError) as caught:
        reifydb.open(tmp_path)
    assert str(tmp_path) in str(caught.value)
    assert os.listdir(tmp_path) == ["thesis.txt"]


@pytest.mark.skipif(hasattr(os, "geteuid") and os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_may_not_be_written_is_named(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    try:
        with pytest.raises(reifydb.StorageError, match="Permission denied"):
            reifydb.open(tmp_path / "bank")
    finally:
        tmp_path.chmod(0o700)


def test_a_folder_of_the_system_that_cannot_be_written_is_named() -> None:
    """Where not even root may."""
    if not os.path.isdir("/proc/self"):
        pytest.skip("there is no /proc")
    with pytest.raises(reifydb.StorageError, match="/proc/"):
        reifydb.open("/proc/self/bank")


def test_a_database_is_open_once_at_a_time(folder: Path) -> None:
    with reifydb.open(folder, options=SMALL) as db:
        for path in (folder, str(folder) + "/", folder / ".." / folder.name):
            with pytest.raises(reifydb.LockedError) as caught:
                reifydb.open(path, options=SMALL)
            assert caught.value.pid == os.getpid()
            assert caught.value.path == str(folder)
            assert str(caught.value).startswith(f"{folder} is in use by process {os.getpid()}")
            assert "one process opens a database at a time" in str(caught.value)
        script = f"import reifydb; reifydb.open({str(folder)!r})"
        other = subprocess.run(
            [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True
        )
        assert other.returncode == 1
        assert f"LockedError: {folder} is in use by process {os.getpid()}" in other.stderr
        db.call("bank.transfer", 1, 2, 3)
        db.verify()
    with reifydb.open(folder, options=SMALL) as db:
        assert db.call("bank.balance", 1) == 97


def test_opening_that_fails_gives_up_the_lock(folder: Path) -> None:
    [segment] = sorted((folder / "log").iterdir())[:1]
    sound = segment.read_bytes()
    damaged = bytearray(sound)
    damaged[200] ^= 1
    segment.write_bytes(damaged)
    for _ in range(2):
        with pytest.raises(reifydb.LogDamagedError) as caught:
            reifydb.open(folder, options=SMALL)
        assert segment.name in caught.value.file
    segment.write_bytes(sound)
    with reifydb.open(folder, options=SMALL) as db:
        assert db.call("bank.total") == 1000


# ------------------------------------------------------------------ closing

USES: list[Callable[[reifydb.Database], object]] = [
    lambda db: db.call("bank.transfer", 1, 2, 3),
    lambda db: db.call("bank.balance", 1),
    lambda db: db.call("mine"),
    lambda db: db.call_many("bank.transfer", [(1, 2, 3)]),
    lambda db: db.call_many("bank.balance", [(1,)]),
    lambda db: db.get("account", 1),
    lambda db: db.count("account"),
    lambda db: db.scan("account"),
    lambda db: db.execute("create table t (id int primary key)"),
    lambda db: db.remove("bank"),
    lambda db: db.verify(),
    lambda db: db.flush(),
    lambda db: db.wait_durable(),
    lambda db: db.wait_durable(1),
    lambda db: db.lsn,
    lambda db: db.state_hash,
    lambda db: db.durability_lag,
    lambda db: db.transaction().begin(),
    lambda db: db.transaction(query=True).begin(),
    lambda db: db.__enter__(),
]


@pytest.mark.parametrize("in_memory", [True, False])
def test_a_closed_database_says_so(in_memory: bool, folder: Path, db: reifydb.Database) -> None:
    if not in_memory:
        db = reifydb.open(folder, options=SMALL)
    lsn = db.lsn
    db.transition(name="mine")(lambda tx: None)
    db.close()
    db.close()
    for use in USES:
        with pytest.raises(reifydb.ClosedError, match="the database is closed"):
            use(db)
    assert db.durable_lsn == lsn
    assert repr(db).endswith(", closed>")
    assert set(db.tables) == {"note", "place", "account"}


def test_leaving_the_block_closes_and_passes_exceptions_on(folder: Path) -> None:
    with pytest.raises(KeyError), reifydb.open(folder, options=SMALL) as db:  # noqa: PT012
        db.call("bank.transfer", 1, 2, 3)
        raise KeyError
    with pytest.raises(reifydb.ClosedError):
        db.count("account")
    with reifydb.open(folder, options=SMALL) as db:
        assert db.call("bank.balance", 1) == 97


def test_what_was_committed_is_durable_when_a_program_ends_without_closing(folder: Path) -> None:
    script = f"""if True:
        import threading, reifydb
        lazy = reifydb.Options(flush_interval_ms=5000, durability_lag_ms_max=60_000)
        db = reifydb.open({str(folder)!r}, options=lazy)
        def work():
            while True:
                db.call_many("bank.transfer", [(5, 6, 1), (6, 5, 1)] * 1000)
        threading.Thread(target=work, daemon=True).start()
        db.call("bank.transfer", 1, 2, 60)
        tx = db.transaction()
        tx.begin()
        tx.insert("note", {{"body": "neither committed nor rolled back"}})
    """
    subprocess.run([sys.executable, "-W", "ignore", "-c", script], cwd=ROOT, check=True)
    with reifydb.open(folder, options=SMALL) as db:
        db.verify()
        assert db.call("bank.balance", 1) == 40
        assert db.call("bank.total") == 1000
        assert db.count("note") == 0


# ------------------------------------------------------------------ schema and modules


def test_statements_are_all_done_or_none(db: reifydb.Database) -> None:
    with no_trace(db), pytest.raises(reifydb.SchemaError, match="a table note already"):
        db.execute("create table fine (id int primary key); create table note (id int primary key)")
    with no_trace(db), pytest.raises(reifydb.SqlError, match="line 2"):
        db.execute("create table fine (id int primary key);\ncreate tabel x (id int primary key)")
    assert "fine" not in db.tables
    lsn = db.lsn
    db.execute("create table a (id int primary key); create table b (id int primary key);")
    assert db.lsn == lsn + 1
    with no_trace(db):
        db.execute("create table if not exists a (id int primary key)")
        db.execute("")
    with no_trace(db), pytest.raises(reifydb.SchemaError, match="if not exists"):
        db.execute("create table c (id int primary key); create table c (id int primary key)")


@pytest.mark.parametrize(
    ("sql", "words"),
    [
        ("create table reifydb_mine (id int primary key)", ["reifydb_"]),
        ("create table t (id int)", ["primary key"]),
        ("create table t (id int primary key, id text)", ["id"]),
        ("create table t (id in primary key)", ["in"]),
        ("drop table acount", ["account"]),
        ("select * from account", ["create table"]),
        ("create table T\nx (id int primary key)", ["line 2"]),
    ],
)
def test_sql_that_is_refused_says_why(db: reifydb.Database, sql: str, words: list[str]) -> None:
    with no_trace(db), pytest.raises(reifydb.RequestError) as caught:
        db.execute(sql)
    for word in words:
        assert word in str(caught.value)


@pytest.mark.parametrize("sql", [None, 7, b"create table t (id int primary key)", ["x"]])
def test_sql_is_text(db: reifydb.Database, sql: Any) -> None:
    with no_trace(db), pytest.raises(reifydb.RequestError, match="SQL"):
        db.execute(sql)


def test_modules_are_installed_replaced_and_removed(
    db: reifydb.Database, bank_wasm: bytes, tmp_path: Path
) -> None:
    file = tmp_path / "bank.wasm"
    file.write_bytes(bank_wasm)
    with no_trace(db):
        assert db.install(file) == db.install(str(file)) == db.install(bank_wasm)
    module = db.install(bank_wasm, name="other", limits=reifydb.ModuleLimits(rows_written_max=1))
    assert (module.name, set(db.modules)) == ("other", {"bank", "other"})
    with no_trace(db), pytest.raises(reifydb.ReifyDBError):
        db.call("other.transfer", 1, 2, 3)
    assert db.call("bank.transfer", 1, 2, 3) == 97
    db.remove("other")
    with pytest.raises(reifydb.UnknownNameError, match=r"did you mean 'bank\.transfer'"):
        db.call("other.transfer", 1, 2, 3)
    with no_trace(db), pytest.raises(reifydb.UnknownNameError, match=r"no module 'bnak'.*'bank'"):
        db.remove("bnak")
    db.remove("bank")
    assert db.count("account") == 10
    with pytest.raises(reifydb.UnknownNameError, match="there are none yet"):
        db.call("bank.transfer", 1, 2, 3)
    db.install(bank_wasm)
    assert db.call("bank.transfer", 1, 2, 3) == 94


@pytest.mark.parametrize(
    ("source", "words"),
    [
        (b"", ["WebAssembly"]),
        (b"\0asm\1\0\0\0", ["manifest"]),
        (b"not wasm at all", ["WebAssembly"]),
        ("no/such/file.wasm", ["cannot be read", "no/such/file.wasm"]),
        (None, ["cannot be read"]),
        ("\0", ["cannot be read"]),
        (".", ["cannot be read"]),
    ],
)
def test_what_is_no_module_is_refused(db: reifydb.Database, source: Any, words: list[str]) -> None:
    with no_trace(db), pytest.raises(reifydb.ModuleError) as caught:
        db.install(source)
    for word in words:
        assert word in str(caught.value)
    assert db.call("bank.transfer", 1, 2, 3) == 97


def test_a_module_that_does_not_fit_the_schema_lists_every_reason(bank_wasm: bytes) -> None:
    with reifydb.open(":memory:") as db:
        with no_trace(db), pytest.raises(reifydb.ModuleError) as caught:
            db.install(bank_wasm)
        assert "table 'account', which does not exist" in str(caught.value)
        assert "apply_schema=True" in str(caught.value)
        db.execute("create table account (number int primary key, id text, owner text)")
        for apply_schema in (False, True):
            with no_trace(db), pytest.raises(reifydb.ModuleError) as caught:
                db.install(bank_wasm, apply_schema=apply_schema)
            assert caught.value.problems
        assert db.modules == {}
    with reifydb.open(":memory:") as db:
        db.execute("create table account (id int primary key, owner text, balance text not null)")
        with pytest.raises(reifydb.ModuleError) as caught:
            db.install(bank_wasm)
        assert len(caught.value.problems) == 2
        assert "account.balance as int; it is text" in str(caught.value)
        assert "account.owner as not null; it can be null" in str(caught.value)


def test_the_names_of_modules_are_checked(db: reifydb.Database, bank_wasm: bytes) -> None:
    for name in ("Bank", "a.b", "", "x" * 64, 7):
        with no_trace(db), pytest.raises(reifydb.ReifyDBError):
            db.install(bank_wasm, name=name)  # type: ignore[arg-type]
    assert set(db.modules) == {"bank"}


def test_a_closed_database_leaves_nothing_to_the_garbage_collector(bank_wasm: bytes) -> None:
    def use() -> weakref.ref[reifydb.Database]:
        with reifydb.open(":memory:") as db:
            db.install(bank_wasm, apply_schema=True)
            db.call("bank.open", 1, "ada", 100)
            assert db.count("account") == 1
        return weakref.ref(db)

    use()
    gc.collect()
    gc.disable()
    try:
        assert use()() is None
        # What wasmtime's own package leaves behind: a pointer and its dictionary.
        assert gc.collect() <= 4
    finally:
        gc.enable()
