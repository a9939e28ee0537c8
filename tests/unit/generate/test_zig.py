"""`reifydb generate zig`."""

from __future__ import annotations

import doctest
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import reifydb.generate.zig
from reifydb.engine.catalog import Column, Index, Table, Type
from reifydb.generate import generate_zig
from reifydb.sql import parse_schema

ROOT = Path(__file__).resolve().parents[3]


def test_the_committed_schemas_are_those_of_their_sql() -> None:
    found = list(ROOT.glob("examples/**/schema.sql")) + list(
        ROOT.glob("tests/guests/**/schema.sql")
    )
    assert found
    for sql in found:
        tables = [statement.table for statement in parse_schema(sql.read_text())]
        assert sql.with_suffix(".zig").read_text() == generate_zig(tables), sql


def test_zig_accepts_every_name_and_fmt_changes_nothing(tmp_path: Path) -> None:
    names = [
        "test",
        "type",
        "i64",
        "null",
        "_",
        "a_b",
        "a__b",
        "_1",
        "relations",
        "reifydb",
        "error",
    ]
    columns = tuple(Column(name, Type.INT, nullable=False) for name in names)
    indexes = tuple(Index(name, (i, 0)) for i, name in enumerate(names))
    tables = [Table(name, columns, (0, 1)) for name in names]
    text = generate_zig([replace(tables[0], indexes=(*indexes, Index("one", (2,)))), *tables[1:]])
    (tmp_path / "schema.zig").write_text(text)
    (tmp_path / "reifydb.zig").write_text(
        "pub fn Table(comptime _: []const u8, comptime Row: type, comptime _: anytype) type {\n"
        "    return struct {\n        pub const R = Row;\n    };\n}\n"
        "pub fn IndexedTable(comptime _: []const u8, comptime Row: type, comptime _: anytype, "
        "comptime _: anytype) type {\n    return struct {\n        pub const R = Row;\n    };\n}\n"
    )
    (tmp_path / "all.zig").write_text(
        'const schema = @import("schema");\n'
        "comptime {\n    for (schema.relations) |Relation| _ = @sizeOf(Relation.R);\n}\n"
    )
    zig = [sys.executable, "-m", "ziglang"]
    subprocess.run([*zig, "fmt", "--check", tmp_path / "schema.zig"], check=True)
    modules = ["--dep", "schema", f"-Mroot={tmp_path / 'all.zig'}"]
    modules += ["--dep", "reifydb", f"-Mschema={tmp_path / 'schema.zig'}"]
    modules += [f"-Mreifydb={tmp_path / 'reifydb.zig'}"]
    subprocess.run([*zig, "build-obj", "-fno-emit-bin", *modules], check=True, cwd=tmp_path)


def test_the_example_in_the_docstring() -> None:
    assert doctest.testmod(reifydb.generate.zig).failed == 0
