"""`call`, `call_many`, `call_packed` and Python transitions."""

from __future__ import annotations

import itertools
import logging
import struct
from collections.abc import Callable
from typing import Any

import pytest

import reifydb
from tests.guests import wat
from tests.guests.databases import endings, no_trace, open_with, zig_guest


def balances(db: reifydb.Database) -> list[object]:
    return [row["balance"] for row in db.scan("account")]


# ------------------------------------------------------------------ call


def test_arguments_are_given_by_position_by_name_and_mixed(db: reifydb.Database) -> None:
    assert db.call("bank.transfer", 1, 2, 10) == 90
    assert db.call("bank.transfer", source=1, target=2, amount=10) == 80
    assert db.call("bank.transfer", amount=10, target=2, source=1) == 70
    assert db.call("bank.transfer", 1, amount=10, target=2) == 60
    assert db.call("bank.transfer", 1, 2, amount=10) == 50
    assert balances(db)[1:3] == [50, 150]


def test_a_transition_without_result_returns_none(db: reifydb.Database) -> None:
    assert db.call("bank.open", 77, "ada", 5) is None
    assert db.get("account", 77) == {"id": 77, "owner": "ada", "balance": 5}


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda db: db.call("bank.transfer"), reifydb.RequestError, ["expected 3 arguments"]),
        (lambda db: db.call("bank.transfer", 1, 2), reifydb.RequestError, ["got 2", "amount int"]),
        (lambda db: db.call("bank.transfer", 1, 2, 3, 4), reifydb.RequestError, ["got 4"]),
        (
            lambda db: db.call("bank.transfer", 1, 2, 3, amount=4),
            reifydb.RequestError,
            ["amount is given twice"],
        ),
        (
            lambda db: db.call("bank.transfer", 1, 2, amuont=4),
            reifydb.RequestError,
            ["missing amount", "amuont", "did you mean 'amount'"],
        ),
        (
            lambda db: db.call("bank.transfer", source=1, target=2),
            reifydb.RequestError,
            ["missing amount"],
        ),
        (
            lambda db: db.call("bank.transfer", 1, 2, "10"),
            reifydb.WrongTypeError,
            ["bank.transfer", "parameter amount", "expected int", "'10'"],
        ),
        (lambda db: db.call("bank.transfer", 1, 2, 1.5), reifydb.WrongTypeError, ["amount"]),
        (lambda db: db.call("bank.transfer", 1, 2, 1 << 63), reifydb.WrongTypeError, ["amount"]),
        (
            lambda db: db.call("bank.transfer", 1, None, 3),
            reifydb.WrongTypeError,
            ["parameter target", "got null"],
        ),
        (lambda db: db.call("bank.open", 50, b"x", 1), reifydb.WrongTypeError, ["owner", "text"]),
        (lambda db: db.call("bank.open", 50, "\ud800", 1), reifydb.WrongTypeError, ["owner"]),
        (
            lambda db: db.call("bank.transfr", 1, 2, 3),
            reifydb.UnknownNameError,
            ["no transition 'bank.transfr'", "did you mean 'bank.transfer'?"],
        ),
        (lambda db: db.call("transfer", 1, 2, 3), reifydb.UnknownNameError, ["bank.transfer"]),
        (lambda db: db.call("", 1), reifydb.UnknownNameError, ["transition ''"]),
        (lambda db: db.call(None, 1), reifydb.UnknownNameError, ["None"]),
        (lambda db: db.call(["bank"], 1), reifydb.UnknownNameError, ["bank"]),
    ],
)
def test_a_wrong_call_says_what_was_wrong_and_changes_nothing(
    db: reifydb.Database,
    call: Callable[[Any], object],
    error: type[reifydb.ReifyDBError],
    words: list[str],
) -> None:
    with no_trace(db), pytest.raises(error) as caught:
        call(db)
    for word in words:
        assert word in str(caught.value)


def test_an_abort_carries_code_and_message(db: reifydb.Database) -> None:
    with no_trace(db), pytest.raises(reifydb.AbortedError) as caught:
        db.call("bank.transfer", 1, 2, 1000)
    error = caught.value
    assert (error.transition, error.abort_code) == ("bank.transfer", 4)
    assert error.abort_message == "insufficient_funds"
    assert str(error) == "bank.transfer aborted with code 4: insufficient_funds"
    assert error.code == "aborted"


def test_a_trap_is_named_and_the_next_call_is_served(db: reifydb.Database) -> None:
    db.install(zig_guest("misbehave"), apply_schema=True)
    with no_trace(db), pytest.raises(reifydb.TrappedError, match=r"misbehave\.trap trapped"):
        db.call("misbehave.trap", 1, 2)
    assert db.call("bank.transfer", 1, 2, 10) == 90


def test_a_deadline_ends_a_call_and_names_itself() -> None:
    with open_with(zig_guest("misbehave"), deadline_ms=20) as db:
        with no_trace(db), pytest.raises(reifydb.DeadlineError, match="deadline of 20 ms"):
            db.call("misbehave.loop", 1, 2)
        assert db.call("misbehave.honest", 1, 2) is None


# ------------------------------------------------------------------ call_many

CALLS = [(1, 2, 10), (3, 3, 1), (4, 5, 1000), (4, 5, 100), (4, 5, 1)]


def test_outcomes_are_a_sequence(db: reifydb.Database) -> None:
    first = db.lsn
    outcomes = db.call_many("bank.transfer", CALLS)
    assert len(outcomes) == 5
    assert outcomes[0] == reifydb.Outcome(90, None, first + 1)
    assert outcomes[3] == outcomes[-2] == reifydb.Outcome(0, None, first + 2)
    assert [o.ok for o in outcomes] == [True, False, False, True, False]
    assert [o.ok for o in reversed(outcomes)] == [False, True, False, False, True]
    assert [o.lsn for o in outcomes] == [first + 1, first + 1, first + 1, first + 2, first + 2]
    assert [o.lsn for o in outcomes[1:4]] == [first + 1, first + 1, first + 2]
    assert [o.value for o in outcomes[::-1]] == [None, 0, None, None, 90]
    assert outcomes[7:] == []
    for index in (5, -6):
        with pytest.raises(IndexError):
            outcomes[index]
    assert outcomes.committed == 2
    errors = [o.error.abort_message for o in outcomes if isinstance(o.error, reifydb.AbortedError)]
    assert errors == ["same_account", "insufficient_funds", "insufficient_funds"]
    with pytest.raises(reifydb.AbortedError, match="same_account"):
        outcomes[1].result()
    with pytest.raises(reifydb.AbortedError, match="same_account"):
        outcomes.results()
    assert "5 outcomes of bank.transfer, 2 committed" in repr(outcomes)


def test_outcomes_outlive_what_comes_after_them(db: reifydb.Database, bank_wasm: bytes) -> None:
    outcomes = db.call_many("bank.transfer", CALLS)
    kept = db.call_many("bank.balance", [(1,), (2,)])
    db.call_many("bank.transfer", [(6, 7, 1)] * 1000)
    db.remove("bank")
    db.close()
    assert [o.value for o in outcomes] == [90, None, None, 0, None]
    assert kept.results() == [90, 110]


def test_no_calls_have_no_outcomes(db: reifydb.Database) -> None:
    with no_trace(db):
        outcomes = db.call_many("bank.transfer", [])
        assert len(outcomes) == 0
        assert list(outcomes) == []
        assert outcomes.results() == []
        assert db.call_packed("bank.transfer", b"") == b""


@pytest.mark.parametrize(
    ("calls", "words"),
    [
        ([(1, 2, 10), (1, 2)], ["call 1", "expected 3 arguments, got 2"]),
        ([(1, 2, 10), (1, 2, 3, 4)], ["call 1", "got 4"]),
        ([(1, 2, 10), (1, 2, "x")], ["call 1", "parameter amount", "'x'"]),
        ([(1, 2, 10), (1, 2, None)], ["call 1", "parameter amount", "null"]),
        ([(1, 2, 10), 3], ["call 1", "expected a sequence of 3 values"]),
        ([(1, 2, 10), "abc"], ["call 1", "expected a sequence of 3 values"]),
        ([(1, 2, 10), b"abc"], ["call 1", "expected a sequence of 3 values"]),
        ([(1, 2, 10), {1: 1, 2: 2, 3: 3}], ["call 1", "expected a sequence of 3 values"]),
        ([(1, 2, 10), {1, 2, 3}], ["call 1", "expected a sequence of 3 values"]),
        ((1, 2, 10), ["call 0", "expected a sequence of 3 values"]),
        (None, ["bank.transfer", "NoneType"]),
        (7, ["bank.transfer", "int"]),
    ],
)
def test_one_wrong_call_refuses_all_before_any_has_run(
    db: reifydb.Database, calls: Any, words: list[str]
) -> None:
    with no_trace(db), pytest.raises(reifydb.RequestError) as caught:
        db.call_many("bank.transfer", calls)
    for word in words:
        assert word in str(caught.value)


def test_calls_may_come_from_an_iterator_and_be_lists(db: reifydb.Database) -> None:
    outcomes = db.call_many("bank.transfer", ([1, 2, n] for n in (1, 2, 3)))  # type: ignore[arg-type]
    assert outcomes.results() == [99, 97, 94]


def test_a_query_in_a_batch_takes_no_lsn(db: reifydb.Database) -> None:
    with no_trace(db):
        assert db.call_many("bank.balance", [(1,), (99,), (2,)])[2].value == 100
        assert db.call_many("bank.total", [()] * 3).results() == [1000] * 3


def test_more_than_the_kernels_input_runs_in_pieces(db: reifydb.Database) -> None:
    number = (16 << 20) // 40 + 5000
    outcomes = db.call_many("bank.deposit", [(1, 1)] * number)
    assert outcomes.committed == len(outcomes) == number
    assert outcomes[-1].value == 100 + number
    row = db._registry.find_wasm("bank.deposit").encode((2, 1))
    packed = db.call_packed("bank.deposit", row * number)
    found = endings(packed)
    assert len(found) == number
    assert {e.status for e in found} == {0}
    assert db.call("bank.balance", 2) == 100 + number
    assert db.lsn == found[-1].lsn


# ------------------------------------------------------------------ call_packed


def pack(*values: int) -> bytes:
    """A row of ints, as docs/formats.md says."""
    n = len(values)
    row = struct.pack(f"<IHH{n}q", 0, n, 0, *values) + bytes((n + 7) // 8)
    row += bytes(-len(row) % 8)
    return struct.pack("<I", len(row)) + row[4:]


def test_packed_arguments_give_packed_outcomes(db: reifydb.Database) -> None:
    packed = db.call_packed("bank.transfer", b"".join(itertools.starmap(pack, CALLS)))
    found = endings(packed)
    assert [e.status for e in found] == [0, 1, 1, 0, 1]
    assert found[0].payload == pack(90)
    assert (found[1].code, found[1].payload) == (1, b"same_account")


GOOD = pack(1, 2, 10)


@pytest.mark.parametrize(
    "packed",
    [
        GOOD[:-1],
        GOOD + b"x",
        GOOD[:8],
        GOOD[:-8],
        GOOD + bytes(8),
        GOOD + struct.pack("<IHH", 48, 3, 0),
        struct.pack("<I", 0) + GOOD[4:],
        struct.pack("<I", 44) + GOOD[4:],
        struct.pack("<I", 0xFFFFFFF8) + GOOD[4:],
        struct.pack("<I", 48) + GOOD[4:],
        "text",
        None,
        [1, 2, 10],
    ],
)
def test_packed_arguments_that_lead_nowhere_are_refused_whole(
    db: reifydb.Database, packed: Any
) -> None:
    with no_trace(db), pytest.raises(reifydb.RequestError, match="packed arguments"):
        db.call_packed("bank.transfer", packed)
    if isinstance(packed, bytes):
        with no_trace(db), pytest.raises(reifydb.RequestError, match="packed arguments"):
            db.call_packed("bank.transfer", GOOD + packed)


@pytest.mark.parametrize(
    "wrong",
    [
        pack(1, 2),
        pack(1, 2, 3, 4),
        pack(),
        GOOD[:4] + struct.pack("<H", 99) + GOOD[6:],
        GOOD[:32] + b"\x02" + GOOD[33:],
    ],
)
def test_a_packed_row_of_another_kind_is_refused_alone(db: reifydb.Database, wrong: bytes) -> None:
    found = endings(db.call_packed("bank.transfer", GOOD + wrong + GOOD))
    assert [e.status for e in found] == [0, 3, 0]
    assert db.call("bank.balance", 1) == 80
    with no_trace(db):
        [outcome] = reifydb.Outcomes(
            db._registry.find_wasm("bank.transfer"), [db.call_packed("bank.transfer", wrong)], {}
        )
        assert isinstance(outcome.error, reifydb.WrongTypeError)
        assert "bank.transfer(source int, target int, amount int)" in str(outcome.error)


def text_row(offset: int, length: int, tail: bytes) -> bytes:
    """Arguments of `bank.open(60, owner, 1)` whose text lies where it is said."""
    row = struct.pack("<IHHqIIq", 0, 3, 0, 60, offset, length, 1) + b"\0" + tail
    row += bytes(-len(row) % 8)
    return struct.pack("<I", len(row)) + row[4:]


@pytest.mark.parametrize(
    "wrong",
    [
        text_row(33, 4, b"\xff\xfe\0\0"),
        text_row(33, 3, b"\xed\xa0\x80"),
        text_row(33, 1000, b"ada"),
        text_row(0xFFFFFFFF, 3, b"ada"),
        text_row(33, 0xFFFFFFFF, b"ada"),
        text_row(0, 3, b"ada"),
        text_row(8, 8, b"ada"),
    ],
)
def test_a_packed_text_that_is_none_is_refused(db: reifydb.Database, wrong: bytes) -> None:
    assert endings(db.call_packed("bank.open", text_row(33, 3, b"ada")))[0].status == 0
    db.call("bank.withdraw", 60, 1)
    db.call("bank.close_account", 60)
    with no_trace(db):
        assert endings(db.call_packed("bank.open", wrong))[0].status == 3


def test_packed_arguments_may_be_any_bytes(db: reifydb.Database) -> None:
    for packed in (GOOD, bytearray(GOOD), memoryview(GOOD)):
        assert endings(db.call_packed("bank.transfer", packed))[0].status == 0
    assert db.call("bank.balance", 1) == 70


# ------------------------------------------------------------------ Python transitions


def test_a_python_transition_in_each_form_of_the_decorator(db: reifydb.Database) -> None:
    @db.transition
    def plain(tx: reifydb.Transaction, number: int) -> object:
        return tx.insert("note", {"id": number})

    @db.transition()
    def empty(tx: reifydb.Transaction) -> int:
        return tx.count("note")

    @db.transition(name="notes.count", query=True)
    def other(tx: reifydb.Transaction, *, doubled: bool = False) -> int:
        return tx.count("note") * (2 if doubled else 1)

    assert db.call("plain", 7) == 7
    assert db.call("plain", number=8) == 8
    assert db.call("empty") == 2
    assert db.call("notes.count", doubled=True) == 4
    assert plain.__name__ == "plain"


def test_names_of_python_transitions_are_checked(db: reifydb.Database, bank_wasm: bytes) -> None:
    for name in ("bank.transfer", "Ab", "1x", "a b", "a..b", "a" * 64):
        with pytest.raises(reifydb.RequestError) as caught:
            db.transition(name=name)(lambda tx: None)
        assert name in str(caught.value)
    with pytest.raises(reifydb.RequestError, match="'<lambda>' is not a transition's name"):
        db.transition(lambda tx: None)
    db.transition(name="mine")(lambda tx: None)
    with pytest.raises(reifydb.RequestError, match="'mine' already"):
        db.transition(name="mine")(lambda tx: None)
    db.remove("bank")
    db.transition(name="bank.transfer")(lambda tx: None)
    with no_trace(db), pytest.raises(reifydb.ModuleError, match=r"bank\.transfer"):
        db.install(bank_wasm)
    assert db.modules == {}


def test_a_python_transition_that_raises_rolls_back(db: reifydb.Database) -> None:
    @db.transition
    def fails(tx: reifydb.Transaction) -> None:
        tx.insert("note", {"body": "gone"})
        tx.call("bank.transfer", 1, 2, 10)
        raise LookupError("mine")

    with no_trace(db), pytest.raises(LookupError, match="mine"):
        db.call("fails")


def test_a_python_transition_aborts_with_code_and_message(db: reifydb.Database) -> None:
    @db.transition
    def refuses(tx: reifydb.Transaction) -> None:
        tx.insert("note", {"body": "gone"})
        tx.abort(12, "not today")

    with no_trace(db), pytest.raises(reifydb.AbortedError) as caught:
        db.call("refuses")
    assert (caught.value.abort_code, caught.value.abort_message) == (12, "not today")
    assert str(caught.value) == "refuses aborted with code 12: not today"
    nested = pytest.raises(reifydb.AbortedError, match="refuses aborted with code 12")
    with no_trace(db), db.transaction() as tx, nested:
        tx.call("refuses")
    alone = pytest.raises(reifydb.AbortedError, match="the transaction aborted with code 3")
    with no_trace(db), alone, db.transaction() as tx:
        tx.abort(3)


def test_a_python_query_refuses_writes(db: reifydb.Database) -> None:
    @db.transition(query=True)
    def reads(tx: reifydb.Transaction, how: str) -> object:
        if how == "insert":
            return tx.insert("note", {})
        if how == "delete":
            return tx.delete("account", 1)
        if how == "call":
            return tx.call("bank.transfer", 1, 2, 3)
        return tx.call("bank.balance", 1)

    for how in ("insert", "delete", "call"):
        with no_trace(db), pytest.raises(reifydb.ReadOnlyError, match="only read"):
            db.call("reads", how)
    with no_trace(db):
        assert db.call("reads", "balance") == 100


def test_batches_run_transitions_of_modules_only(db: reifydb.Database) -> None:
    db.transition(name="mine")(lambda tx: None)
    with pytest.raises(reifydb.RequestError, match="mine is a Python transition"):
        db.call_many("mine", [()])
    with pytest.raises(reifydb.RequestError, match="mine is a Python transition"):
        db.call_packed("mine", b"")


# ------------------------------------------------------------------ clock, seed, log lines


def test_clock_and_seed_decide_what_a_transition_sees() -> None:
    def facts(clock_ns: int, seed: int) -> object:
        with reifydb.open(":memory:", clock=lambda: clock_ns, seed=seed) as db:
            db.install(zig_guest("every_type"), apply_schema=True)
            return db.call("every_type.facts")

    once = facts(1_700_000_000_000_000_000, 5)
    assert once == facts(1_700_000_000_000_000_000, 5)
    assert once != facts(1_700_000_001_000_000_000, 5)
    assert once != facts(1_700_000_000_000_000_000, 6)


def test_a_clock_that_fails_leaves_the_database_usable(db: reifydb.Database) -> None:
    def broken() -> int:
        raise OSError("no clock")

    clock, db._clock = db._clock, broken
    with no_trace(db), pytest.raises(OSError, match="no clock"):
        db.call("bank.transfer", 1, 2, 3)
    with no_trace(db), pytest.raises(OSError, match="no clock"):
        db.call_many("bank.transfer", [(1, 2, 3)])
    with no_trace(db), pytest.raises(OSError, match="no clock"), db.transaction():
        pass
    db._clock = clock
    assert db.call("bank.transfer", 1, 2, 3) == 97


def test_lines_that_guests_log_reach_the_logger(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "reifydb.guest")
    with open_with(zig_guest("every_type")) as db:
        db.call("every_type.log_line", "from a call ü")
        db.call_many("every_type.log_line", [("one",), ("two",)])
        with db.transaction() as tx:
            tx.call("every_type.log_line", "nested")
    lines = [record.getMessage() for record in caplog.records if record.name == "reifydb.guest"]
    for line in ("from a call ü", "one", "two", "nested"):
        assert f"every_type.log_line: {line}" in lines
    assert len(lines) % 4 == 0


def test_a_handler_of_log_lines_may_use_the_database() -> None:
    """The lines of a call are passed on when its turn is over."""
    seen: list[object] = []

    class Handler(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            seen.append((record.getMessage().split()[-1], db.count("note"), len(db.state_hash)))

    handler = Handler()
    logger = logging.getLogger("reifydb.guest")
    logger.addHandler(handler)
    level = logger.level
    logger.setLevel(logging.DEBUG)
    try:
        with open_with(zig_guest("every_type"), engine_wait_ms_max=200) as db:
            db.call("every_type.log_line", "alone")
            db.call_many("every_type.log_line", [("many",)])
        assert ("alone", 0, 16) in seen
        assert ("many", 0, 16) in seen
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)


# ------------------------------------------------------------------ replaced while a call waits

OTHER = wat.Guest('(func (export "deposit") (result i32) (i32.const 0))', ("deposit",))


@pytest.mark.parametrize("change", ["replace", "remove", "same"])
@pytest.mark.parametrize(
    "call",
    [
        lambda db: db.call("bank.deposit", 1, 5),
        lambda db: db.call("bank.deposit", id=1, amount=5),
        lambda db: db.call_many("bank.deposit", [(1, 5)])[0].result(),
    ],
)
def test_a_call_that_waits_while_its_transition_is_replaced_runs_no_other(
    db: reifydb.Database, bank_wasm: bytes, change: str, call: Callable[[Any], object]
) -> None:
    admit = db._admit

    def admit_and_change() -> None:
        """As if another thread had got its turn between the look-up and this call's turn."""
        db._admit = admit
        admit()
        if change == "remove":
            db.remove("bank")
        elif change == "replace":
            db.execute(wat.SCHEMA)
            db.install(wat.guest(OTHER), name="bank")
        else:
            db.install(bank_wasm, limits=reifydb.ModuleLimits(rows_written_max=77))

    db._admit = admit_and_change
    if change == "same":
        assert call(db) == 105
    else:
        with pytest.raises(reifydb.RequestError, match=r"bank\.deposit was replaced"):
            call(db)
        row = db.get("account", 1)
        assert row is not None
        assert row["balance"] == 100
