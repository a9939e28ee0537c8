"""The build tool: what it makes, when it makes it again, and what it says of mistakes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from sdk.build import BUILD, SDK, GuestBuildError, build_guest

ROOT = Path(__file__).resolve().parents[3]
BANK = ROOT / "examples/wasm/bank"


@pytest.mark.parametrize("language", ["zig", "c"])
def test_a_guest_is_built_again_only_when_its_source_changed(tmp_path: Path, language: str) -> None:
    for name in (f"bank.{language}", "schema.zig", "schema.h", "schema.sql"):
        (tmp_path / name).write_bytes((BANK / name).read_bytes())
    source, out = tmp_path / f"bank.{language}", tmp_path / "out" / "bank.wasm"
    assert build_guest(source, out, mode="ReleaseSmall") == out
    built = out.stat().st_mtime_ns
    assert build_guest(source, out, mode="ReleaseSmall").stat().st_mtime_ns == built
    assert len(out.read_bytes()) < 7 * 1024
    for name in ("schema.sql", "schema.h"):
        text = (tmp_path / name).read_text()
        (tmp_path / name).write_text(text.replace("owner text", "owner /* another */ text"))
    build_guest(source, out, mode="ReleaseSmall")
    assert b"another" in out.read_bytes()


def test_the_command_line(tmp_path: Path) -> None:
    command = [sys.executable, str(SDK / "build.py")]
    out = tmp_path / "bank.wasm"
    made = [*command, str(BANK / "bank.c"), "-o", str(out)]
    done = subprocess.run(made, capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == (f"{out}\n", "")
    for name, said in [("bank.rs", "written in .zig or .c"), ("none.c", "there is no such file")]:
        wrong = [*command, str(tmp_path / name)]
        done = subprocess.run(wrong, capture_output=True, text=True, check=False)
        assert (done.returncode, done.stdout) == (1, "")
        assert done.stderr.startswith("error: ")
        assert said in done.stderr


ZIG = """
const reifydb = @import("reifydb");
fn one(_: i64) void {}
fn small(_: i32) void {}
fn unbound(id: i64) !void {
    _ = try reifydb.Table("other", struct { id: i64 }, .{"id"}).delete(id);
}
pub const panic = reifydb.panic;
pub const module = reifydb.module(.{
    .name = "m",
    .relations = .{},
    .transitions = .{ .t = HERE },
});
comptime {
    module.emit();
}
"""


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
def test_mistakes_in_zig_are_explained_when_compiling(
    tmp_path: Path, transition: str, message: str
) -> None:
    source = tmp_path / "guest.zig"
    source.write_text(ZIG.replace("HERE", transition))
    with pytest.raises(GuestBuildError, match=message):
        build_guest(source, tmp_path / "guest.wasm")


C_HEAD = '#include "reifydb.h"\nREIFYDB_TABLE(entry, (int, id) (text, body), (int, id))\n'
C_END = 'REIFYDB_MODULE("m", "", (entry))\n'


UNBOUND = """REIFYDB_TABLE(other, (int, id), (int, id))
REIFYDB_QUERY(t, none, (int, id)) { TRY(other_delete(id)); return 0; }"""


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("REIFYDB_QUERY(t, none, (i32, id)) { return 0; }", "guest.c:3.*REIFYDB_C_i32"),
        ("REIFYDB_QUERY(t, none) { entry_delete(1); return 0; }", "guest.c:3.*ignoring"),
        ("REIFYDB_QUERY(t, none) { TRY(entry_delete(1)); }", "guest.c:3.*does not return a value"),
        ("REIFYDB_QUERY(t, int) { return entry_need(1, result); }", "guest.c:3.*entry_row"),
        (UNBOUND, "table 'other' is not among the relations of REIFYDB_MODULE"),
    ],
)
def test_mistakes_in_c_are_explained_when_compiling(
    tmp_path: Path, body: str, message: str
) -> None:
    source = tmp_path / "guest.c"
    source.write_text(f"{C_HEAD}{body}\n{C_END}")
    with pytest.raises(GuestBuildError, match=message):
        build_guest(source, tmp_path / "guest.wasm")
    assert [path.name for path in tmp_path.iterdir()] == ["guest.c"]


@pytest.mark.parametrize("text", ["int none;\n", C_HEAD])
def test_a_file_without_its_module_is_no_guest(tmp_path: Path, text: str) -> None:
    source = tmp_path / "guest.c"
    source.write_text(text)
    with pytest.raises(
        GuestBuildError, match="no manifest; a guest's file ends with REIFYDB_MODULE"
    ):
        build_guest(source, tmp_path / "guest.wasm")


def test_what_the_compiler_warns_of_is_shown(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = tmp_path / "guest.c"
    body = "REIFYDB_QUERY(t, none, (int, id)) { int64_t twice = 2 * id; return 0; }"
    source.write_text(f"{C_HEAD}{body}\n{C_END}")
    build_guest(source, tmp_path / "guest.wasm")
    assert "unused variable 'twice'" in capsys.readouterr().err


def test_rows_natively() -> None:
    tests = [sys.executable, "-m", "ziglang", "test", str(SDK / "zig" / "codec_test.zig")]
    subprocess.run([*tests, "--cache-dir", str(BUILD / "zig-cache")], check=True, cwd=BUILD)
