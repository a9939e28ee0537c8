"""The SDK for guests in Zig, on a host that was written from the pages alone."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import wasmtime

from sdk.zig.build import BUILD, SDK, GuestBuildError, build_guest
from tests.unit.sdk.fake_host import AbortedError, Column, FakeHost, Table

ROOT = Path(__file__).resolve().parents[3]
BANK = ROOT / "examples/wasm/bank"
GUESTS = ROOT / "tests/guests/zig"


@pytest.fixture
def bank() -> FakeHost:
    columns = [Column("id", "int"), Column("owner", "text"), Column("balance", "int")]
    host = FakeHost(build_guest(BANK / "bank.zig").read_bytes(), {"account": Table(columns, [0])})
    host.call("open", 1, "ada", 100)
    host.call("open", 2, "bob", 5)
    return host


def balances(host: FakeHost) -> dict[object, object]:
    return {row[0]: row[2] for row in host.tables["account"].rows.values()}


def test_a_transfer_moves_money_and_returns_what_is_left(bank: FakeHost) -> None:
    assert bank.call("transfer", 1, 2, 30) == 70
    assert balances(bank) == {1: 70, 2: 35}
    assert bank.call("total") == 105
    assert bank.call("balance", 2) == 35
    assert bank.tables["account"].rows[1,] == [1, "ada", 70]


@pytest.mark.parametrize(
    ("call", "code", "message"),
    [
        (("transfer", 1, 1, 5), 1, "same_account"),
        (("transfer", 1, 2, 0), 2, "non_positive_amount"),
        (("transfer", 1, 9, 5), 3, "account_missing"),
        (("transfer", 9, 1, 5), 3, "account_missing"),
        (("transfer", 2, 1, 6), 4, "insufficient_funds"),
        (("open", 1, "eve", 0), 5, "account_exists"),
        (("close_account", 1), 6, "account_not_empty"),
        (("open", 3, "eve", -1), 7, "negative_balance"),
        (("deposit", 1, 2**63 - 1), -100, "overflow"),
    ],
)
def test_a_refusal_has_its_code_and_name(
    bank: FakeHost, call: tuple[str, int], code: int, message: str
) -> None:
    before = balances(bank)
    with pytest.raises(AbortedError) as caught:
        bank.call(*call)
    assert caught.value.args == (code, message)
    assert balances(bank) == before


def test_accounts_are_opened_and_closed(bank: FakeHost) -> None:
    bank.call("open", 3, "Zoë with a name longer than two words of memory", 7)
    assert bank.call("withdraw", 3, 7) == 0
    assert bank.tables["account"].rows[3,][1] == "Zoë with a name longer than two words of memory"
    assert bank.call("close_account", 3) is None
    assert set(balances(bank)) == {1, 2}


def test_total_reads_many_rows_per_crossing(bank: FakeHost) -> None:
    for i in range(3, 400):
        bank.call("open", i, "x" * (i % 40), i)
    assert bank.call("total") == 105 + sum(range(3, 400))


def test_a_bank_is_small() -> None:
    # Every page is put back when a guest is reset; every byte is compiled when it is installed.
    module = build_guest(BANK / "bank.zig").read_bytes()
    assert len(module) < 8 * 1024
    compiled = wasmtime.Module(wasmtime.Engine(), module)
    memory = next(e.type for e in compiled.exports if e.name == "memory")
    assert isinstance(memory, wasmtime.MemoryType)
    assert memory.limits.min == 1


# ------------------------------------------------------------------ every type and operation

INT_MIN, INT_MAX = -(2**63), 2**63 - 1
NULLS = (None,) * 6
SOME = {
    "bool": [False, True],
    "int": [0, -1, INT_MIN, INT_MAX],
    "float": [0.0, -1.5, 5e-324, 1.7976931348623157e308],
    "text": ["", "a", "1234567", "12345678", "nul \0 é ✓ 𝄞", "long " * 100],
    "bytes": [b"", b"\xff\x00", bytes(range(256))],
    "timestamp": [0, -1, INT_MAX],
}


@pytest.fixture(scope="module")
def every_type_module() -> bytes:
    return build_guest(GUESTS / "every_type.zig").read_bytes()


@pytest.fixture
def every(every_type_module: bytes) -> FakeHost:
    kinds = ["bool", "int", "float", "text", "bytes", "timestamp"]
    names = ["flag", "n", "x", "t", "d", "at"]
    columns = [Column("a", "text"), Column("b", "int")]
    columns += [Column(name, kind) for name, kind in zip(names, kinds, strict=True)]
    columns += [Column(f"{n}_null", k, True) for n, k in zip(names, kinds, strict=True)]
    note = [Column("id", "int"), Column("body", "text"), Column("mark", "int", True)]
    pair = [Column("low", "int"), Column("high", "timestamp"), Column("value", "float")]
    tables = {
        "every_type": Table(columns, [0, 1]),
        "note": Table(note, [0], auto=0),
        "pair": Table(pair, [0, 1]),
    }
    return FakeHost(every_type_module, tables)


def row_of(a: str, b: int, n: int = 0, nulls: tuple[Any, ...] = NULLS) -> tuple[Any, ...]:
    return (a, b, True, n, 0.5, "text of " + a, b"\0" + a.encode(), -b, *nulls)


def refused(host: FakeHost, name: str, *arguments: Any) -> tuple[int, str]:
    with pytest.raises(AbortedError) as caught:
        host.call(name, *arguments)
    code, message = caught.value.args
    return code, message


@pytest.mark.parametrize("kind", SOME)
def test_every_type_passes_in_and_out(every: FakeHost, kind: str) -> None:
    for value in SOME[kind]:
        assert every.call(f"echo_{kind}", value) == value
        assert every.call(f"echo_{kind}_null", value) == value
    assert every.call(f"echo_{kind}_null", None) is None


def test_rows_pass_in_and_out(every: FakeHost) -> None:
    assert every.call("nothing") is None
    full = row_of("k", 1, nulls=(False, INT_MIN, -0.25, "", b"\xff", 0))
    for row in (row_of("", 0), full):
        assert tuple(every.call("echo_row", *row).values()) == row


def test_rows_are_written_and_read(every: FakeHost) -> None:
    first, other = row_of("a", 1), row_of("a", 2, 7, (True, 1, 2.0, "three", b"4", 5))
    every.call("insert", *first)
    every.call("upsert", *other)
    assert every.call("count") == 2
    assert tuple(every.call("get", "a", 2).values()) == other
    changed = row_of("a", 1, 9)
    every.call("update", *changed)
    assert tuple(every.call("get", "a", 1).values()) == changed
    every.call("upsert", *first)
    assert every.call("find", "a", 1) == 0
    assert every.call("find", "b", 1) is None
    assert every.call("delete", "a", 1) is True
    assert every.call("delete", "a", 1) is False
    assert every.call("count") == 1


def test_errors_that_are_passed_on_abort_with_the_hosts_code(every: FakeHost) -> None:
    every.call("insert", *row_of("a", 1))
    before = every.tables["every_type"].rows.copy()
    assert refused(every, "insert", *row_of("a", 1, 5)) == (-3, "duplicate_key")
    assert refused(every, "update", *row_of("a", 2)) == (-2, "not_found")
    assert refused(every, "get", "z", 1) == (-2, "not_found")
    assert refused(every, "delete_in_query", "a", 1) == (-7, "read_only")
    assert refused(every, "insert", *row_of("k" * 2000, 1)) == (-8, "key_too_long")
    assert refused(every, "own_error") == (-100, "something_unforeseen")
    assert refused(every, "add_or_abort", INT_MAX, 1) == (-100, "overflow")
    assert every.tables["every_type"].rows == before


def test_an_abort_is_final(every: FakeHost) -> None:
    assert refused(every, "abort_after_write", 5, 42, "grün") == (42, "grün")
    assert refused(every, "abort_after_write", 5, 0, "") == (1, "")
    assert refused(every, "abort_is_final", 5) == (9, "final")
    assert every.tables["note"].rows == {}


def test_a_failed_check_traps_and_says_why(every: FakeHost) -> None:
    assert every.call("add_or_trap", 2, 3) == 5
    with pytest.raises(wasmtime.Trap):
        every.call("add_or_trap", INT_MAX, 1)
    assert every.log == [(40, "panic: integer overflow")]


def test_a_narrow_binding_leaves_the_other_columns(every: FakeHost) -> None:
    narrow = FakeHost(build_guest(GUESTS / "narrow.zig").read_bytes(), every.tables)
    every.call("insert", *row_of("a", 1, 5, (None, 1, None, "keep", None, 2)))
    every.call("insert", *row_of("a", 2, 6))
    assert narrow.call("add", "a", 1, 4) == 9
    assert narrow.call("add_to_all", 10) == 2
    narrow.call("upsert", 20, 2, "a")
    assert narrow.call("get", "a", 1) == {"n": 19, "b": 1, "a": "a"}
    expected = row_of("a", 1, 19, (None, 1, None, "keep", None, 2))
    assert tuple(every.call("get", "a", 1).values()) == expected
    assert tuple(every.call("get", "a", 2).values()) == row_of("a", 2, 20)
    assert refused(narrow, "upsert", 20, 3, "a") == (-4, "not_null")


def test_many_rows_are_all_or_nothing(every: FakeHost) -> None:
    every.call("insert_many", "m", 0, 20, "x" * 50)
    assert every.call("count") == 20
    assert refused(every, "insert_many", "m", 15, 25, "") == (-3, "duplicate_key")
    assert refused(every, "update_many", "m", 15, 25, "new") == (-2, "not_found")
    assert every.call("get", "m", 15)["t"] == "x" * 50
    every.call("update_many", "m", 0, 5, "new")
    every.call("upsert_many", "m", 15, 25, "")
    assert every.call("get", "m", 4) == {
        "a": "m",
        "b": 4,
        "flag": False,
        "n": 40,
        "x": 1.0,
        "t": "new",
        "d": b"new",
        "at": -4,
        "flag_null": None,
        "n_null": 0,
        "x_null": None,
        "t_null": "new",
        "d_null": None,
        "at_null": every.now,
    }
    assert every.call("delete_many", "m", 20, 40) == 5
    assert every.call("delete_many", "m", 0, 0) == 0
    assert every.call("count") == 20
    every.call("insert_many", "e", 0, 0, "")


@pytest.fixture
def keyed(every: FakeHost) -> FakeHost:
    for a in ("a", "b", "c"):
        for b in (1, 2, -3):
            every.call("insert", *row_of(a, b))
    return every


@pytest.mark.parametrize(
    ("scan", "arguments", "found"),
    [
        ("all", (False, 0, 4096), "a-3 a1 a2 b-3 b1 b2 c-3 c1 c2"),
        ("all", (True, 0, 4096), "c2 c1 c-3 b2 b1 b-3 a2 a1 a-3"),
        ("all", (False, 0, 300), "a-3 a1 a2 b-3 b1 b2 c-3 c1 c2"),
        ("all", (False, 0, 8), "a-3 a1 a2 b-3 b1 b2 c-3 c1 c2"),  # a row is larger than the buffer
        ("all", (False, 0, 0), "a-3 a1 a2 b-3 b1 b2 c-3 c1 c2"),
        ("all", (True, 4, 300), "c2 c1 c-3 b2"),
        ("prefix", ("b", False, 0), "b-3 b1 b2"),
        ("prefix", ("b", True, 2), "b2 b1"),
        ("prefix", ("", False, 0), ""),
        ("range", ("a", 1, "b", 1, False), "a1 a2 b-3 b1"),
        ("range", ("a", 1, "b", 1, True), "b1 b-3 a2 a1"),
        ("range", ("b", 1, "a", 1, False), ""),
        ("between", ("a", 1, "b", 1, False), "a2 b-3"),
        ("between", ("a", 1, "b", 1, True), "b-3 a2"),
        ("after_prefix", ("a", False), "b-3 b1 b2 c-3 c1 c2"),
        ("after_prefix", ("b", True), "c2 c1 c-3"),
        ("before_prefix", ("b", False), "a-3 a1 a2"),
        ("before_prefix", ("b", True), "a2 a1 a-3"),
    ],
)
def test_scans(keyed: FakeHost, scan: str, arguments: tuple[Any, ...], found: str) -> None:
    assert keyed.call(f"scan_{scan}", *arguments) == found


def test_cursors_nest_and_see_the_transactions_own_writes(keyed: FakeHost) -> None:
    keyed.call("upsert", *row_of("a", 1, 5))
    assert keyed.call("same_pairs") == 8 * 8 + 1
    assert keyed.call("clear") == 9
    assert keyed.call("count") == 0


def test_auto_increment(every: FakeHost) -> None:
    assert every.call("create_note", "one", None) == 1
    assert every.call("create_note", "two", 7) == 2
    assert every.call("insert_note", 10, "ten") == 0
    assert every.call("create_note", "eleven", None) == 11
    assert every.call("note_body", 2) == "two"
    assert every.call("note_body", 3) is None


def test_tables_of_fixed_width(every: FakeHost) -> None:
    assert every.call("put_pair", 1, 2, 0.5) == 0
    assert every.call("put_pair", 1, 2, -3.0) == 0.5
    assert every.tables["pair"].rows == {(1, 2): [1, 2, -3.0]}


def test_what_a_transition_can_ask(every: FakeHost) -> None:
    every.caller = "zoë"
    every.random = INT_MIN
    assert every.call("facts") == {"now": every.now, "random": INT_MIN, "caller": "zoë"}
    every.call("log_line", "heard ✓")
    assert every.log == [(30, "heard ✓")]


def test_an_arena_that_is_full_is_an_error(every: FakeHost) -> None:
    assert refused(every, "echo_text", "x" * 40_000) == (-100, "arena_full")
    assert every.call("echo_text", "x" * 16_000) == "x" * 16_000
    assert refused(every, "echo_text", "x" * 20_000) == (-100, "arena_full")


def test_a_secret_is_marked_in_the_manifest(every: FakeHost) -> None:
    assert every.transitions["login"]["params"] == [
        {"name": "user", "type": "text"},
        {"name": "password", "type": "text", "secret": True},
    ]
    assert every.transitions["get"]["query"] is True


# ------------------------------------------------------------------ building


def test_rows_natively() -> None:
    tests = [sys.executable, "-m", "ziglang", "test", str(SDK / "codec_test.zig")]
    subprocess.run([*tests, "--cache-dir", str(BUILD / "zig-cache")], check=True, cwd=BUILD)


@pytest.mark.parametrize(
    ("transition", "message"),
    [
        ("reifydb.transition(one, .{})", "has 1 parameters, but 0 names are given"),
        ('reifydb.transition(one, .{"Upper"})', "'Upper' is not a name"),
        ('reifydb.transition(small, .{"id"})', "i32 is not a column type"),
        (
            'reifydb.transition(unbound, .{"id"})',
            "table 'other' is not among the module's relations",
        ),
    ],
)
def test_mistakes_are_explained_when_compiling(
    tmp_path: Path, transition: str, message: str
) -> None:
    source = tmp_path / "guest.zig"
    source.write_text(
        'const reifydb = @import("reifydb");\n'
        "fn one(_: i64) void {}\n"
        "fn small(_: i32) void {}\n"
        "fn unbound(id: i64) !void {\n"
        '    _ = try reifydb.Table("other", struct { id: i64 }, .{"id"}).delete(id);\n'
        "}\n"
        "pub const panic = reifydb.panic;\n"
        'pub const module = reifydb.module(.{ .name = "m", .relations = .{}, '
        f".transitions = .{{ .t = {transition} }} }});\n"
        "comptime {\n    module.emit();\n}\n"
    )
    with pytest.raises(GuestBuildError, match=message):
        build_guest(source, tmp_path / "guest.wasm")


def test_a_guest_is_built_again_only_when_its_source_changed(tmp_path: Path) -> None:
    for name in ("bank.zig", "schema.zig", "schema.sql"):
        (tmp_path / name).write_bytes((BANK / name).read_bytes())
    out = build_guest(tmp_path / "bank.zig", tmp_path / "out" / "bank.wasm", mode="ReleaseSmall")
    built = out.stat().st_mtime_ns
    assert build_guest(tmp_path / "bank.zig", out, mode="ReleaseSmall").stat().st_mtime_ns == built
    assert len(out.read_bytes()) < 7 * 1024
    (tmp_path / "schema.sql").write_text("-- another\n")
    build_guest(tmp_path / "bank.zig", out, mode="ReleaseSmall")
    assert b"another" in out.read_bytes()
