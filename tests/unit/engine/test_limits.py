"""Everything has a limit, and reaching it is an error value that changes nothing. Rule 6 too."""

from __future__ import annotations

import logging

import pytest

import reifydb
from reifydb.errors import AbortedError, LimitError, TransactionLimitError
from tests.guests.databases import no_trace, open_with, zig_guest

LIMIT_REACHED, OUT_OF_MEMORY, TOO_LARGE, ROW_TOO_LONG = -11, -12, -13, -9
PAGE = 65536


def refused(db: reifydb.Database, name: str, *arguments: int) -> int:
    with no_trace(db), pytest.raises(AbortedError) as caught:
        db.call(f"misbehave.{name}", 1, 99, *arguments)
    return caught.value.abort_code


def test_rows_written() -> None:
    limits = reifydb.ModuleLimits(rows_written_max=100)
    with open_with(zig_guest("misbehave"), limits=limits) as db:
        db.call("misbehave.many_rows", 1, 2, 99)
        assert db.count("victim") == 100
        with no_trace(db), pytest.raises(AbortedError) as caught:
            db.call("misbehave.many_rows", 1000, 2, 100)
        assert caught.value.abort_code == LIMIT_REACHED
        with db.transaction() as tx:
            tx.insert_many("victim", [{"id": -i, "n": i} for i in range(1, 500)])
        db.call("misbehave.many_rows", 1, 3, 99)


def test_rows_scanned() -> None:
    limits = reifydb.ModuleLimits(rows_scanned_max=150)
    with open_with(zig_guest("every_type"), limits=limits) as db:
        for i in range(5):
            db.call("every_type.insert_many", "a", i * 30, i * 30 + 30, "t")
        assert len(db.call("every_type.scan_all", False, 0, 4096).split()) == 150
        with no_trace(db), pytest.raises(AbortedError) as caught:
            db.call("every_type.same_pairs")
        assert caught.value.abort_code == LIMIT_REACHED
        assert sum(1 for _ in db.scan("every_type")) == 150


def test_result_bytes() -> None:
    limits = reifydb.ModuleLimits(result_bytes_max=4096)
    with open_with(zig_guest("misbehave"), limits=limits) as db:
        assert len(db.call("misbehave.huge_result", 1, 2, 4096)) == 4096 - 24
        assert refused(db, "huge_result", 4104) == LIMIT_REACHED


def test_a_result_that_is_not_what_was_promised(db: reifydb.Database) -> None:
    for kind in range(5):
        assert refused(db, "wrong_result", kind) in (-4, -5)


def test_cursors(db: reifydb.Database) -> None:
    for _ in range(3):
        db.call("misbehave.leak_cursors", 1, 2, 64)
        assert refused(db, "leak_cursors", 65) == LIMIT_REACHED


def test_cursors_of_a_nested_call_end_with_it(db: reifydb.Database) -> None:
    with db.transaction() as tx:
        for _ in range(3):
            tx.call("misbehave.leak_cursors", 1, 2, 64)
            with pytest.raises(AbortedError):
                tx.call("misbehave.leak_cursors", 1, 2, 65)
            assert [row["id"] for row in tx.scan("victim")] == [1]


def test_a_module_s_limits_hold_in_a_nested_call() -> None:
    limits = reifydb.ModuleLimits(rows_written_max=100)
    with open_with(zig_guest("misbehave"), limits=limits) as db, db.transaction() as tx:
        tx.insert_many("victim", [{"id": -i, "n": i} for i in range(1, 500)])
        tx.call("misbehave.many_rows", 1, 2, 99)
        with pytest.raises(AbortedError) as caught:
            tx.call("misbehave.many_rows", 1000, 3, 100)
        assert caught.value.abort_code == LIMIT_REACHED
        tx.insert_many("victim", [{"id": -i, "n": i} for i in range(501, 1000)])


def test_log_lines_are_cut_and_dropped_when_there_are_too_many(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with open_with(zig_guest("every_type"), zig_guest("misbehave")) as db:
        with caplog.at_level(logging.DEBUG, logger="reifydb.guest"):
            db.call("every_type.log_line", "a line")
            db.call("every_type.log_line", "é" * 600)
            (first, second) = [record.getMessage() for record in caplog.records]
            assert first == "every_type.log_line: a line"
            assert second == "every_type.log_line: " + "é" * 512
            assert caplog.records[0].levelno == logging.WARNING
            caplog.clear()
            db.call_many("every_type.log_line", [("x" * 1000,)] * 2000)
            assert 60 <= len(caplog.records) <= 2000
            caplog.clear()
            db.call("every_type.log_line", "after")
            assert [r.getMessage() for r in caplog.records] == ["every_type.log_line: after"]
            db.call("misbehave.huge_log", 1, 2, 100_000)
        db.verify()


def test_memory_that_runs_out_is_an_error_value() -> None:
    with open_with(zig_guest("misbehave"), memory_bytes_max=3 << 20) as db:
        committed, limits = 0, set()
        for i in range(100):
            try:
                with db.transaction() as tx:
                    tx.insert_many("victim", [{"id": i * 1000 + j, "n": j} for j in range(1000)])
                committed += 1000
            except TransactionLimitError as error:
                limits.add(error.limit)
                db.verify()
        assert limits == {"memory_bytes_max"}
        assert 0 < committed < 100_000
        assert db.count("victim") == committed
        assert refused(db, "many_rows", 100_000) == OUT_OF_MEMORY
        assert refused(db, "huge_row", 3 << 20) == OUT_OF_MEMORY
        with db.transaction() as tx:  # what is deleted makes room again for its like
            assert tx.delete_many("victim", list(range(0, 1000, 8))) == 125
        with db.transaction() as tx:
            tx.insert_many("victim", [{"id": j, "n": -j} for j in range(0, 1000, 8)])
        db.verify()


def test_a_transaction_that_is_too_large_is_refused(db: reifydb.Database) -> None:
    with db.transaction() as tx:
        tx.insert("picky", {"id": -1, "n": 0})

    def write(count: int) -> None:
        with db.transaction() as tx:
            for i in range(count):
                tx.insert("picky", {"id": i, "t": "x" * (1 << 20), "n": i})

    with no_trace(db), pytest.raises(TransactionLimitError) as caught:
        write(100)
    assert caught.value.limit == "redo_transaction_bytes_max"
    write(30)
    assert db.count("picky") == 31
    db.verify()


def test_a_row_that_is_too_long_is_refused(db: reifydb.Database) -> None:
    db.call("misbehave.huge_row", 1, 2, (8 << 20) - 1024)
    db.install(zig_guest("misbehave"))  # its memory has no room for a second one
    assert refused(db, "huge_row", (8 << 20) + 1) == ROW_TOO_LONG
    with no_trace(db), pytest.raises(LimitError), db.transaction() as tx:
        tx.insert("picky", {"id": 9, "t": "x" * (9 << 20), "n": 1})
    db.verify()
